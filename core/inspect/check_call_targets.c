/*
 * The checker's view of the bitmap of call targets: that it is where its process says.
 */
#include "inspect/checker.h"
#include "space/call_targets.h"

bool check_call_targets(struct checker *k, const struct process *process)
{
    uint64_t start = get64(&process->targets_page);
    uint64_t va = start << NTMM_PAGE_SHIFT;
    bool is_asked = (get32(&process->flags) & NTMM_PROCESS_CONTROL_FLOW_GUARD) != 0;
    if (!start)
        return check_equal(k, "TG1", 0, is_asked && get32(&process->state) == PROCESS_LIVE, 0);
    uint64_t ref = gap_tree_find(k->c->bias, &process->vads, start);
    if (!ref && get32(&process->state) == PROCESS_END_FAILED)
        return true;
    if (!ref)
        return check_fail(k, "TG1", va, 1, 0);
    const struct vad *vad = vad_at(k->c, ref);
    uint64_t end = start + targets_pages(get64(&process->highest_page));
    return check_equal(k, "TG1", va, start, vad_start(vad)) &&
           check_equal(k, "TG1", va, end, vad_end(vad)) &&
           check_equal(k, "TG1", va, VAD_AWE, get32(&vad->type)) &&
           check_equal(k, "TG1", va, 0, vad_may_change(vad));
}
