/*
 * The checker's view of user physical pages: the list of each process, and the entries of windows.
 */
#include "inspect/checker.h"
#include "space/awe.h"

/* U1: a frame of the list, and its way back. */
static bool check_listed_frame(struct checker *k, const struct process *process, uint64_t frame,
                               uint64_t previous)
{
    const struct pfn *pfn = pfn_find(k->c, frame);
    if (!pfn || pfn_use(pfn) != NTMM_USE_USER_PHYSICAL)
        return check_fail(k, "U1", frame, NTMM_USE_USER_PHYSICAL, 0);
    return check_equal(k, "U1", frame, process_index(process), awe_owner(pfn)) &&
           check_equal(k, "U1", frame, previous, get64(&pfn->blink));
}

bool check_physical(struct checker *k, const struct process *process)
{
    uint64_t pages = get64(&process->physical_pages);
    uint64_t frame = pages ? get64(&process->physical_head) : FRAME_NONE;
    uint64_t previous = FRAME_NONE;
    uint64_t length = 0;
    for (; frame != FRAME_NONE && length <= pages; length++) {
        if (!check_listed_frame(k, process, frame, previous))
            return false;
        previous = frame;
        frame = get64(&pfn_at(k->c, frame)->flink);
    }
    k->physical_frames += length;
    return check_equal(k, "U1", 0, length, pages);
}

bool check_window_entry(struct walk *w, uint64_t raw, const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY);
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint64_t frame = field_get(raw, HW_FRAME);
    if (!(raw & FIELD_MASK(HW_VALID)) || at->is_out)
        return check_fail(w->k, "U2", va, 1, raw);
    if (!check_owner(w, frame, at, NTMM_USE_USER_PHYSICAL))
        return false;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    uint64_t expected = awe_entry(frame, (uint32_t)field_get(original, SW_PROTECTION));
    if (((raw ^ expected) & ~varies) != 0)
        return check_fail(w->k, "U2", va, expected, raw);
    return check_equal(w->k, "U2", va, process_index(w->process), awe_owner(pfn));
}
