/*
 * Frames out of use: on the bad list, which nobody takes frames from.
 *
 * Who marks a frame as bad takes it first, as for something else: off its list, or away from its
 * page. So a bad frame is like a free one but for its list (P14). What it backed of the commit
 * limit goes with it.
 */
#include "phys/rows.h"
#include "phys/slots.h"

void frame_make_bad(struct call *c, uint64_t frame)
{
    NTMM_ASSERT(pfn_use(pfn_at(c, frame)) == NTMM_USE_FREE);
    frame_enlist(c, frame, NTMM_FRAME_BAD);
    commit_lower(c, 1);
}

/* Off the list of its location. (F) is held. */
static void take_off(struct call *c, uint64_t frame, const struct pfn *pfn)
{
    struct frame_list *list = list_of(c, pfn, pfn_location(pfn));
    lock_acquire(c, &list->lock, LOCK_LIST);
    list_remove(c, list, frame);
    frame_step(c, pfn, pfn_location(pfn) == NTMM_FRAME_BAD ? "unlist_bad" : "unlist");
    lock_release(c, &list->lock, LOCK_LIST);
}

bool frame_take_bad(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    bool is_bad = pfn_location(pfn) == NTMM_FRAME_BAD;
    if (is_bad) {
        take_off(c, frame, pfn);
        frame_capture(c, frame);
    }
    frame_unlock(c, frame);
    return is_bad;
}

bool frame_make_good(struct call *c, uint64_t frame)
{
    if (!frame_take_bad(c, frame))
        return false;
    frame_free(c, frame);
    commit_extend(c, 1, 0);
    return true;
}

bool frame_lose(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    bool is_page = pfn_location(pfn) == NTMM_FRAME_MODIFIED && !use_is_of_table(pfn_use(pfn));
    if (is_page) {
        uint64_t original = load64_relaxed(&pfn->original_pte);
        take_off(c, frame, pfn);
        if (!entry_is_of_file(original))
            store64_relaxed(&pfn->original_pte, entry_damaged(field_get(original, SW_PROTECTION)));
        frame_restore_entry(c, pfn);
        frame_capture(c, frame);
    }
    frame_unlock(c, frame);
    return is_page;
}
