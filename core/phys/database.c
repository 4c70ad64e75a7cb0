/*
 * Building the PFN database.
 *
 *   range: [anchor, first range only] [rows of its frames] [rows of its runs] [frames for use ...]
 *
 * Each range carries its own metadata at its start, so a machine whose RAM has holes pays for what
 * it has. Everything is linked in rising order: the head of a fresh list is the lowest frame.
 */
#include "base/bits.h"
#include "phys/pfn.h"

struct pfn *pfn_find(const struct call *c, uint64_t frame)
{
    const struct anchor *anchor = anchor_of(c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        uint64_t index = frame - get64(&range->base_frame);
        if (index < get64(&range->frame_count))
            return (struct pfn *)core_at(c->bias, get64(&range->pfn_ref)) + index;
    }
    return NULL;
}

struct pfn *pfn_slow_at(const struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_find(c, frame);
    NTMM_ASSERT(pfn);
    return pfn;
}

/* Pages of metadata at the start of a range, and where its parts lie; fills the row of the range.
 * */
static uint64_t lay_out_range(struct call *c, const struct ntmm_frame_range *given, bool is_first,
                              struct frame_range *range)
{
    uint64_t end = given->base_frame + given->frame_count;
    uint64_t first_run = round_up(given->base_frame, RUN_FRAMES) / RUN_FRAMES;
    uint64_t end_run = end / RUN_FRAMES;
    uint64_t runs = end_run > first_run ? end_run - first_run : 0;
    uint64_t pfn_bytes = round_up(given->frame_count * sizeof(struct pfn), 64);
    uint64_t run_bytes = runs * sizeof(struct run);
    uint64_t start = frame_ref(c, given->base_frame) + (is_first ? NTMM_PAGE_SIZE : 0);
    uint64_t pages = round_up(pfn_bytes + run_bytes, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT;

    pages += is_first ? 1 : 0;
    set64(&range->base_frame, given->base_frame);
    set64(&range->frame_count, given->frame_count);
    set64(&range->pfn_ref, start);
    set64(&range->run_ref, start + pfn_bytes);
    set32(&range->run_count, (uint32_t)runs);
    set32(&range->node, given->node);
    set64(&range->first_run, first_run);
    set64(&range->metadata_end, given->base_frame + pages);
    return pages;
}

static void fill_metadata_rows(struct call *c, const struct frame_range *range)
{
    uint64_t end = get64(&range->metadata_end);
    for (uint64_t frame = get64(&range->base_frame); frame < end; frame++) {
        struct pfn *pfn = pfn_at(c, frame);
        set64(&pfn->flink, FRAME_NONE);
        set64(&pfn->blink, FRAME_NONE);
        set32(&pfn->share_count, 1);
        set16(&pfn->reference_count, 1);
        set16(&pfn->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_METADATA, 0));
    }
}

static void fill_free_rows(struct call *c, const struct frame_range *range, struct frame_list *list)
{
    uint64_t end = get64(&range->base_frame) + get64(&range->frame_count);
    uint16_t state = pfn_state((enum ntmm_frame_location)get32(&list->location), NTMM_USE_FREE, 0);
    uint64_t previous = get64(&list->tail);

    for (uint64_t frame = get64(&range->metadata_end); frame < end; frame++) {
        struct pfn *pfn = pfn_at(c, frame);
        set64(&pfn->blink, previous);
        set64(&pfn->flink, FRAME_NONE);
        set16(&pfn->state, state);
        if (previous == FRAME_NONE)
            set64(&list->head, frame);
        else
            set64(&pfn_at(c, previous)->flink, frame);
        previous = frame;
    }
    set64(&list->tail, previous);
    set64(&list->count, get64(&list->count) + end - get64(&range->metadata_end));
}

static void fill_run_rows(struct call *c, const struct frame_range *range, struct node *node)
{
    struct run *runs = core_at(c->bias, get64(&range->run_ref));
    for (uint32_t i = get32(&range->run_count); i-- > 0;) {
        struct run *run = &runs[i];
        uint64_t base = (get64(&range->first_run) + i) * RUN_FRAMES;
        uint64_t used = max_u64(get64(&range->metadata_end), base) - base;
        set64(&run->base_frame, base);
        set32(&run->free_count, used < RUN_FRAMES ? RUN_FRAMES - (uint32_t)used : 0);
        if (used == 0)
            run_list_add(c, node, run);
    }
}

ntmm_status pfn_build(struct call *c, const struct ntmm_frame_range *ranges, uint32_t range_count)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = &anchor->partition;
    uint64_t metadata = 0;
    uint64_t total = 0;

    set32(&anchor->range_count, range_count);
    for (uint32_t i = 0; i < range_count; i++) {
        struct frame_range *range = &anchor->ranges[i];
        uint64_t pages = lay_out_range(c, &ranges[i], i == 0, range);
        if (pages > ranges[i].frame_count)
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
        uint64_t skip = i == 0 ? 1 : 0;
        if (!(ranges[i].flags & NTMM_FRAMES_ZEROED))
            __builtin_memset(table_at(c, ranges[i].base_frame + skip), 0,
                             (size_t)((pages - skip) << NTMM_PAGE_SHIFT));
        metadata += pages;
        total += ranges[i].frame_count;
        bool is_zeroed = ranges[i].flags & NTMM_FRAMES_ZEROED;
        struct node *node = &partition->node;
        fill_metadata_rows(c, range);
        fill_free_rows(c, range, is_zeroed ? &node->zeroed : &node->free);
        fill_run_rows(c, range, node);
    }
    set64(&partition->total_pages, total);
    set64(&partition->metadata_pages, metadata);
    return NTMM_STATUS_SUCCESS;
}
