/*
 * A frame that reports errors, and what it holds.
 *
 *   zeroed, free      taken                              modified, readable    moved
 *   standby           taken, as for something else       modified, else        lost
 *   valid, readable   moved; of a section: trimmed       valid, else           trimmed
 *
 * A page that is trimmed comes to a list, and goes from there in the next turn. Between two turns
 * no lock is held: what others do with the frame meanwhile may cost a turn more.
 */
#include "workingset/retire.h"
#include "phys/cache.h"
#include "phys/rows.h"
#include "workingset/rows.h"

#define TURNS 4u /* a page of a section: trimmed, moved; two for what others do */

struct retiring {
    uint64_t frame;
    bool is_readable;
    bool is_taken; /* the frame is the caller's */
    enum ntmm_bad_frame_outcome outcome;
};

static bool is_of_page(enum ntmm_frame_use use)
{
    return use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION;
}

static struct move move_of(const struct retiring *r)
{
    return (struct move){.base = r->frame,
                         .end = r->frame + 1,
                         .taken = chain_empty(),
                         .is_trimming = !r->is_readable};
}

static ntmm_status note(struct retiring *r, bool is_taken, enum ntmm_bad_frame_outcome outcome)
{
    if (is_taken)
        r->outcome = outcome;
    r->is_taken = is_taken;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status take_unused(struct call *c, struct retiring *r)
{
    struct frame_chain taken = chain_empty();
    row_take_free(c, NTMM_USE_FREE, r->frame, 1, &taken);
    return note(r, taken.count != 0, NTMM_BAD_FRAME_UNUSED);
}

static ntmm_status empty_modified(struct call *c, struct retiring *r)
{
    struct move move = move_of(r);
    if (!r->is_readable) {
        bool is_table = use_is_of_table(pfn_use(pfn_at(c, r->frame)));
        return is_table ? NTMM_STATUS_NOT_SUPPORTED
                        : note(r, frame_lose(c, r->frame), NTMM_BAD_FRAME_LOST);
    }
    move_listed(c, &move);
    if (move.is_failed)
        return NTMM_STATUS_NO_MEMORY;
    return note(r, move.taken.count != 0, NTMM_BAD_FRAME_MOVED);
}

/* Away from all that map it. */
static ntmm_status empty_active(struct call *c, struct retiring *r)
{
    struct move move = move_of(r);
    enum ntmm_frame_use use = pfn_use(pfn_at(c, r->frame));
    if (use == NTMM_USE_FREE) {
        (void)caches_drain(c); /* it is free there, or somebody is about to use it, or to free it */
        return NTMM_STATUS_SUCCESS;
    }
    if (!is_of_page(use))
        return NTMM_STATUS_NOT_SUPPORTED;
    rows_visit(c, &move);
    if (move.is_failed)
        return NTMM_STATUS_NO_MEMORY;
    return note(r, move.taken.count != 0, NTMM_BAD_FRAME_MOVED);
}

/* One turn. SUCCESS: the frame is taken, or may be in another turn. */
static ntmm_status empty(struct call *c, struct retiring *r)
{
    switch (pfn_location(pfn_at(c, r->frame))) {
    case NTMM_FRAME_ZEROED:
    case NTMM_FRAME_FREE:
        return take_unused(c, r);
    case NTMM_FRAME_STANDBY:
        return note(r, frame_repurpose(c, NTMM_USE_FREE, r->frame), NTMM_BAD_FRAME_DROPPED);
    case NTMM_FRAME_MODIFIED:
        return empty_modified(c, r);
    case NTMM_FRAME_ACTIVE:
        return empty_active(c, r);
    case NTMM_FRAME_TRANSITION:
        return NTMM_STATUS_RETRY;
    case NTMM_FRAME_MODIFIED_NO_WRITE:
    case NTMM_FRAME_BAD:
        break;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status frame_why_it_stays(const struct call *c, uint64_t frame)
{
    const struct pfn *pfn = pfn_at(c, frame);
    bool is_alone = get16(&pfn->reference_count) == 1;
    bool is_held = pfn_location(pfn) == NTMM_FRAME_ACTIVE && is_of_page(pfn_use(pfn)) && is_alone;
    return is_held ? NTMM_STATUS_NOT_SUPPORTED : NTMM_STATUS_RETRY;
}

ntmm_status retire_frame(struct call *c, uint64_t frame, bool is_readable,
                         enum ntmm_bad_frame_outcome *outcome)
{
    struct retiring r = {
        .frame = frame, .is_readable = is_readable, .outcome = NTMM_BAD_FRAME_UNUSED};
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t turn = 0; turn < TURNS && status == NTMM_STATUS_SUCCESS && !r.is_taken; turn++) {
        if (pfn_location(pfn_at(c, frame)) == NTMM_FRAME_BAD)
            break;
        status = empty(c, &r);
    }
    if (r.is_taken)
        frame_make_bad(c, frame);
    else if (status == NTMM_STATUS_SUCCESS && pfn_location(pfn_at(c, frame)) != NTMM_FRAME_BAD)
        status = frame_why_it_stays(c, frame);
    c->want = (struct want){.kind = WANT_NOTHING};
    *outcome = r.outcome;
    return status;
}
