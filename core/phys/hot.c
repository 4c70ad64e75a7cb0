/*
 * Frames that come and go while the system runs. See hot.h.
 */
#include "phys/hot.h"
#include "base/bits.h"
#include "phys/free.h"
#include "phys/rows.h"

/* Frames put on a list while (N) is held once. */
#define ADD_PIECE 64u

bool frame_is_there(const struct call *c, uint64_t frame)
{
    const struct pfn *pfn = pfn_find(c, frame);
    return pfn && !pfn_is_absent(pfn);
}

struct frame_range *frames_range(const struct call *c, uint64_t base, uint64_t count)
{
    struct anchor *anchor = anchor_of(c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        struct frame_range *range = &anchor->ranges[i];
        uint64_t index = base - get64(&range->base_frame);
        uint64_t given = get64(&range->given_count);
        if (index < given && count <= given - index)
            return range;
    }
    return NULL;
}

bool change_begin(struct call *c) { return cas32_acquire(&c->sys->frames_change, 0, 1); }

void change_end(struct call *c) { store32_release(&c->sys->frames_change, 0); }

/* --- adding --- */

static ntmm_status check_absent(const struct call *c, const struct frame_range *range,
                                uint64_t base, uint64_t count)
{
    if (get64(&range->frame_count) == 0)
        return base == get64(&range->base_frame) ? NTMM_STATUS_SUCCESS
                                                 : NTMM_STATUS_INVALID_PARAMETER_2;
    for (uint64_t frame = base; frame < base + count; frame++) {
        if (!pfn_is_absent(pfn_at(c, frame)))
            return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    return NTMM_STATUS_SUCCESS;
}

/* To the tail of their list, in rising order. */
static void list_frames(struct call *c, uint64_t base, uint64_t end, bool is_zeroed)
{
    struct node *node = &partition_of(c)->node;
    struct frame_list *list = is_zeroed ? &node->zeroed : &node->free;
    for (uint64_t frame = base; frame < end;) {
        uint64_t piece = min_u64(end, frame + ADD_PIECE);
        lock_acquire(c, &node->lock, LOCK_NODE);
        for (; frame < piece; frame++)
            free_put(c, node, list, get64(&list->tail), frame);
        lock_release(c, &node->lock, LOCK_NODE);
    }
}

ntmm_status frames_add(struct call *c, struct frame_range *range, uint64_t base, uint64_t count,
                       bool is_zeroed)
{
    struct partition *partition = partition_of(c);
    uint64_t metadata = 0;
    ntmm_status status = check_absent(c, range, base, count);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (get64(&range->frame_count) == 0) {
        metadata = pfn_metadata_pages(range);
        if (metadata > count)
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
        pfn_build_rows(c, range);
    }
    (void)add64(&partition->total_pages, count);
    (void)add64(&partition->metadata_pages, metadata);
    list_frames(c, base + metadata, base + count, is_zeroed);
    commit_extend(c, count - metadata, 0);
    atomic_thread_fence(memory_order_seq_cst); /* against frames_available, as frame_enlist */
    waiters_wake_all(c, &c->sys->for_frame);
    condition_note(c);
    return NTMM_STATUS_SUCCESS;
}

/* --- removing --- */

void frames_make_absent(struct call *c, struct frame_chain *taken)
{
    uint64_t next;
    for (uint64_t frame = taken->head; frame != FRAME_NONE; frame = next) {
        struct pfn *pfn = pfn_at(c, frame);
        next = get64(&pfn->flink);
        set64(&pfn->flink, FRAME_NONE);
        set64(&pfn->blink, FRAME_NONE);
        store16_relaxed(&pfn->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_ABSENT, 0));
    }
    (void)add64(&partition_of(c)->total_pages, 0 - taken->count);
    *taken = chain_empty();
    condition_note(c);
}

void frames_take_bad(struct call *c, uint64_t base, uint64_t count, struct frame_chain *taken)
{
    for (uint64_t frame = base; frame < base + count; frame++) {
        if (pfn_location(pfn_at(c, frame)) == NTMM_FRAME_BAD && frame_take_bad(c, frame))
            chain_add(c, taken, frame);
    }
}
