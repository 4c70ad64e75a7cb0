/*
 * Frames that are removed while the system runs. See phys/hot.h.
 *
 *   look: what cannot leave is refused      limit: falls, or what is charged needs the frames
 *   turn: caches, lists, working sets       end: bad ones too, then all are absent
 *
 * A page goes as it goes out of a row for large pages (workingset/rows.h): it moves, or is dropped
 * when its slot or file has it and no frame is free. What was taken stays taken from turn to turn,
 * so that less is in the way in each; what others free meanwhile is taken in the next.
 */
#include "workingset/remove.h"
#include "phys/cache.h"
#include "phys/hot.h"
#include "phys/rows.h"
#include "workingset/retire.h"
#include "workingset/rows.h"

#define TURNS 5u /* a page of a section: trimmed, moved; three for what others do */

/* Whether what is in a frame may leave it, by its row. */
static ntmm_status look(const struct pfn *pfn)
{
    enum ntmm_frame_use use = pfn_use(pfn);
    if (use == NTMM_USE_ABSENT)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    bool is_staying = pfn_location(pfn) == NTMM_FRAME_ACTIVE && use != NTMM_USE_FREE &&
                      use != NTMM_USE_PRIVATE && use != NTMM_USE_SECTION;
    return is_staying ? NTMM_STATUS_NOT_SUPPORTED : NTMM_STATUS_SUCCESS;
}

/* Frames that the limit has no part in are counted in *bad. */
static ntmm_status look_at_all(const struct call *c, uint64_t base, uint64_t count, uint64_t *bad)
{
    for (uint64_t frame = base; frame < base + count; frame++) {
        const struct pfn *pfn = pfn_at(c, frame);
        ntmm_status status = look(pfn);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        *bad += pfn_location(pfn) == NTMM_FRAME_BAD;
    }
    return NTMM_STATUS_SUCCESS;
}

static bool is_emptied(const struct call *c, const struct move *move)
{
    uint64_t bad = 0;
    for (uint64_t frame = move->base; frame < move->end; frame++)
        bad += pfn_location(pfn_at(c, frame)) == NTMM_FRAME_BAD;
    return move->taken.count + bad == move->end - move->base;
}

/* Whether all frames but bad ones are the caller's. */
static bool empty(struct call *c, struct move *move)
{
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        (void)caches_drain(c);
        move_listed(c, move);
        if (is_emptied(c, move))
            return true;
        if (!move->is_failed)
            rows_visit(c, move);
        if (is_emptied(c, move))
            return true;
        if (move->is_failed)
            return false;
    }
    return false;
}

/* Why one of the frames is in use still. */
static ntmm_status why_they_stay(const struct call *c, const struct move *move)
{
    if (move->is_failed)
        return NTMM_STATUS_NO_MEMORY;
    for (uint64_t frame = move->base; frame < move->end; frame++) {
        const struct pfn *pfn = pfn_at(c, frame);
        if (pfn_location(pfn) != NTMM_FRAME_ACTIVE || pfn_use(pfn) == NTMM_USE_FREE)
            continue;
        ntmm_status status = look(pfn);
        return status != NTMM_STATUS_SUCCESS ? status : frame_why_it_stays(c, frame);
    }
    return NTMM_STATUS_RETRY;
}

static void put_back(struct call *c, struct frame_chain *taken, struct frame_chain *bad)
{
    uint64_t next;
    for (uint64_t frame = bad->head; frame != FRAME_NONE; frame = next) {
        next = get64(&pfn_at(c, frame)->flink);
        frame_enlist(c, frame, NTMM_FRAME_BAD);
    }
    chain_free(c, taken);
}

/* The limit had fallen by all but `bad` frames. Frames may have become bad, or good, since. */
static void settle_limit(struct call *c, uint64_t bad, uint64_t bad_taken)
{
    if (bad_taken > bad)
        commit_extend(c, bad_taken - bad, 0);
    else
        commit_lower(c, bad - bad_taken);
}

static ntmm_status take_all(struct call *c, struct move *move, uint64_t bad)
{
    struct frame_chain bad_ones = chain_empty();
    uint64_t count = move->end - move->base;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (!empty(c, move))
        status = why_they_stay(c, move);
    else if (!commit_is_within(c))
        status = NTMM_STATUS_COMMITMENT_LIMIT;
    if (status == NTMM_STATUS_SUCCESS)
        frames_take_bad(c, move->base, count, &bad_ones);
    if (status == NTMM_STATUS_SUCCESS && move->taken.count + bad_ones.count != count)
        status = NTMM_STATUS_RETRY;
    if (status != NTMM_STATUS_SUCCESS) {
        put_back(c, &move->taken, &bad_ones);
        return status;
    }
    settle_limit(c, bad, bad_ones.count);
    frames_make_absent(c, &move->taken);
    frames_make_absent(c, &bad_ones);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status remove_frames(struct call *c, uint64_t base, uint64_t count)
{
    struct move move = {.base = base, .end = base + count, .taken = chain_empty()};
    uint64_t bad = 0;
    ntmm_status status = look_at_all(c, base, count, &bad);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!commit_lower_within(c, count - bad))
        return NTMM_STATUS_COMMITMENT_LIMIT;
    status = take_all(c, &move, bad);
    if (status != NTMM_STATUS_SUCCESS)
        commit_extend(c, count - bad, 0);
    c->want = (struct want){.kind = WANT_NOTHING};
    return status;
}
