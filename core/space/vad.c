/*
 * VADs: making, finding and deleting them.
 */
#include "space/vad.h"
#include "phys/slab.h"

struct vad *vad_find(struct call *c, struct process *process, uint64_t page)
{
    uint64_t hint = get64(&process->vad_hint);
    NTMM_ASSERT(lock_is_held(c, LOCK_WORKING_SET));
    if (hint) {
        struct vad *vad = vad_at(c, hint);
        if (page - vad_start(vad) < vad_end(vad) - vad_start(vad))
            return vad;
    }
    uint64_t ref = gap_tree_find(c->bias, &process->vads, page);
    if (!ref)
        return NULL;
    set64(&process->vad_hint, ref);
    return vad_at(c, ref);
}

struct vad *vad_create(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    uint64_t ref = slab_allocate(c, SLAB_VAD, process_index(process));
    if (!ref)
        return NULL;
    struct vad *vad = vad_at(c, ref);
    set64(&vad->node.start, start);
    set64(&vad->node.end, end);
    gap_tree_insert(c->bias, &process->vads, ref);
    set64(&process->vad_hint, ref); /* what was just made is asked for next */
    return vad;
}

void vad_delete(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t ref = vad_ref(c, vad);
    NTMM_ASSERT(get64(&vad->commit_pages) == 0);
    if (get64(&process->vad_hint) == ref)
        set64(&process->vad_hint, 0);
    gap_tree_remove(c->bias, &process->vads, ref);
    slab_release(c, ref);
}
