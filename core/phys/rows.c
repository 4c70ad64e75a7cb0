/*
 * Rows of frames: which one is cheap to empty, and those that a call holds. See rows.h.
 */
#include "phys/rows.h"
#include "base/bits.h"

/* Whether pages in these may leave their frame. */
static bool is_movable_use(enum ntmm_frame_use use)
{
    return use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION;
}

void rows_forget_stuck(struct call *c)
{
    const struct anchor *anchor = anchor_of(c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint32_t count = load32_acquire(&anchor->ranges[i].run_count);
        if (count == 0)
            continue;
        struct run *runs = core_at(c->bias, get64(&anchor->ranges[i].run_ref));
        for (uint32_t k = 0; k < count; k++)
            store32_release(&runs[k].is_stuck, 0);
    }
}

void row_mark_stuck(struct call *c, uint64_t frame)
{
    struct run *run = run_of(c, frame);
    if (run)
        store32_release(&run->is_stuck, 1);
}

/* What it costs to empty a frame: 0, or 1 when a page is in it; UINT32_MAX: it cannot be. */
static uint32_t cost_of_frame(const struct pfn *pfn)
{
    uint16_t state = load16_relaxed(&pfn->state);
    bool is_in_transfer = (state & (PFN_READ_IN_PROGRESS | PFN_WRITE_IN_PROGRESS)) != 0;
    switch ((enum ntmm_frame_location)(state & PFN_LOCATION)) {
    case NTMM_FRAME_ZEROED:
    case NTMM_FRAME_FREE:
        return 0;
    case NTMM_FRAME_STANDBY:
    case NTMM_FRAME_MODIFIED:
        return 1;
    case NTMM_FRAME_ACTIVE:
        return is_movable_use(pfn_use(pfn)) && !is_in_transfer ? 1 : UINT32_MAX;
    case NTMM_FRAME_MODIFIED_NO_WRITE:
    case NTMM_FRAME_BAD:
    case NTMM_FRAME_TRANSITION:
        break;
    }
    return UINT32_MAX;
}

/* Pages in a row; UINT64_MAX: it cannot be emptied, or has `most` or more. */
static uint64_t cost_of_row(const struct call *c, uint64_t base, uint64_t count, uint64_t most)
{
    uint64_t cost = 0;
    for (uint64_t frame = base; frame < base + count && cost < most; frame++) {
        const struct run *run = frame % RUN_FRAMES ? NULL : run_of(c, frame);
        if (run && load32_relaxed(&run->is_stuck))
            return UINT64_MAX;
        uint32_t one = cost_of_frame(pfn_at(c, frame));
        if (one == UINT32_MAX)
            return UINT64_MAX;
        cost += one;
    }
    return cost < most ? cost : UINT64_MAX;
}

uint64_t row_cheapest(const struct call *c, uint64_t count, row_cost cost_of)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t chosen = FRAME_NONE;
    uint64_t fewest = UINT64_MAX;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        uint64_t frames = load64_acquire(&range->frame_count);
        if (frames == 0)
            continue;
        uint64_t end = get64(&range->base_frame) + frames;
        uint64_t base = round_up(get64(&range->metadata_end), count);
        for (; base + count <= end; base += count) {
            uint64_t cost = cost_of(c, base, count, fewest);
            if (cost < fewest) {
                fewest = cost;
                chosen = base;
            }
        }
    }
    return chosen;
}

uint64_t row_choose(const struct call *c, uint64_t count)
{
    return row_cheapest(c, count, cost_of_row);
}

/* --- rows that a call holds: all their frames are one chain, row by row --- */

void rows_hold(struct call *c, uint64_t base, uint64_t count)
{
    uint64_t next = c->rows ? (uint64_t)(c->rows - 1) * RUN_FRAMES : FRAME_NONE;
    for (uint64_t frame = base; frame < base + count; frame++)
        set64(&pfn_at(c, frame)->flink, frame + 1 < base + count ? frame + 1 : next);
    c->rows = (uint32_t)(base / RUN_FRAMES) + 1;
}

uint64_t rows_take_held(struct call *c, enum ntmm_frame_use use, uint64_t count)
{
    if (c->rows == 0)
        return FRAME_NONE;
    uint64_t base = (uint64_t)(c->rows - 1) * RUN_FRAMES;
    uint64_t next = get64(&pfn_at(c, base + count - 1)->flink);
    c->rows = next == FRAME_NONE ? 0 : (uint32_t)(next / RUN_FRAMES) + 1;
    frames_give_use(c, use, base, count);
    return base;
}

void rows_give_back_held(struct call *c)
{
    struct frame_chain freed = chain_empty();
    uint64_t next;
    for (uint64_t frame = (uint64_t)(c->rows - 1) * RUN_FRAMES; frame != FRAME_NONE; frame = next) {
        next = get64(&pfn_at(c, frame)->flink);
        chain_add(c, &freed, frame);
    }
    c->rows = 0;
    chain_free(c, &freed);
}
