/*
 * Building the PFN database.
 *
 *   range: [anchor, first range only] [rows of its frames] [rows of its runs] [frames for use ...]
 *
 * Each range carries its own metadata at its start, so a machine whose RAM has holes pays for what
 * it has, and one whose RAM grows for what was added (hot.h). Everything is linked in rising order:
 * the head of a fresh list is the lowest frame.
 */
#include "base/bits.h"
#include "phys/pfn.h"

struct pfn *pfn_find(const struct call *c, uint64_t frame)
{
    const struct anchor *anchor = anchor_of(c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        uint64_t index = frame - get64(&range->base_frame);
        if (index < load64_acquire(&range->frame_count))
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

/* What the metadata of a range are made of. */
struct parts {
    uint64_t pfn_bytes;
    uint64_t first_run;
    uint64_t runs;
    uint64_t pages; /* of all */
};

static struct parts parts_of(const struct frame_range *range)
{
    uint64_t base = get64(&range->base_frame);
    uint64_t count = get64(&range->given_count);
    uint64_t end_run = (base + count) / RUN_FRAMES;
    struct parts parts = {
        .pfn_bytes = round_up(count * sizeof(struct pfn), 64),
        .first_run = round_up(base, RUN_FRAMES) / RUN_FRAMES,
    };
    parts.runs = end_run > parts.first_run ? end_run - parts.first_run : 0;
    uint64_t bytes = parts.pfn_bytes + parts.runs * sizeof(struct run);
    parts.pages = round_up(bytes, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT;
    return parts;
}

uint64_t pfn_metadata_pages(const struct frame_range *range) { return parts_of(range).pages; }

/* The metadata begin in a frame of the range, and are zero. Nobody reads them yet. */
static void lay_out_range(struct call *c, struct frame_range *range, uint64_t start_frame,
                          bool is_zeroed)
{
    struct parts parts = parts_of(range);
    uint64_t start = frame_ref(c, start_frame);
    if (!is_zeroed)
        __builtin_memset(table_at(c, start_frame), 0, (size_t)(parts.pages << NTMM_PAGE_SHIFT));
    set64(&range->pfn_ref, start);
    set64(&range->run_ref, start + parts.pfn_bytes);
    set64(&range->first_run, parts.first_run);
    set64(&range->metadata_end, start_frame + parts.pages);
}

static void give_range(struct frame_range *range, const struct ntmm_frame_range *given)
{
    set64(&range->base_frame, given->base_frame);
    set64(&range->given_count, given->frame_count);
    set64(&range->metadata_end, given->base_frame);
    set32(&range->node, given->node);
}

static void fill_kept_row(struct pfn *pfn, enum ntmm_frame_use use)
{
    set64(&pfn->flink, FRAME_NONE);
    set64(&pfn->blink, FRAME_NONE);
    set32(&pfn->share_count, 1);
    set16(&pfn->reference_count, 1);
    set16(&pfn->state, pfn_state(NTMM_FRAME_ACTIVE, use, 0));
}

/* The first rows of a range say metadata, the others, up to `end`, another use. */
static void fill_kept_rows(struct call *c, const struct frame_range *range, uint64_t end,
                           enum ntmm_frame_use use)
{
    struct pfn *rows = core_at(c->bias, get64(&range->pfn_ref));
    uint64_t base = get64(&range->base_frame);
    for (uint64_t frame = base; frame < end; frame++) {
        bool is_metadata = frame < get64(&range->metadata_end);
        fill_kept_row(&rows[frame - base], is_metadata ? NTMM_USE_METADATA : use);
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
    for (uint64_t i = parts_of(range).runs; i-- > 0;) {
        struct run *run = &runs[i];
        uint64_t base = (get64(&range->first_run) + i) * RUN_FRAMES;
        uint64_t used = max_u64(get64(&range->metadata_end), base) - base;
        set64(&run->base_frame, base);
        if (!node)
            continue;
        set32(&run->free_count, used < RUN_FRAMES ? RUN_FRAMES - (uint32_t)used : 0);
        if (used == 0)
            run_list_add(c, node, run);
    }
}

static void publish_rows(struct frame_range *range)
{
    store32_release(&range->run_count, (uint32_t)parts_of(range).runs);
    store64_release(&range->frame_count, get64(&range->given_count));
}

void pfn_build_rows(struct call *c, struct frame_range *range)
{
    uint64_t base = get64(&range->base_frame);
    lay_out_range(c, range, base, false);
    fill_kept_rows(c, range, base + get64(&range->given_count), NTMM_USE_ABSENT);
    fill_run_rows(c, range, NULL);
    publish_rows(range);
}

/* A range that is there from the beginning; pages of its metadata, 0: it has too few. */
static uint64_t build_range(struct call *c, struct frame_range *range, bool is_first,
                            bool is_zeroed)
{
    struct node *node = &partition_of(c)->node;
    uint64_t anchor_pages = is_first ? 1 : 0;
    uint64_t pages = pfn_metadata_pages(range) + anchor_pages;
    if (pages > get64(&range->given_count))
        return 0;
    lay_out_range(c, range, get64(&range->base_frame) + anchor_pages, is_zeroed);
    publish_rows(range);
    fill_kept_rows(c, range, get64(&range->metadata_end), NTMM_USE_METADATA);
    fill_free_rows(c, range, is_zeroed ? &node->zeroed : &node->free);
    fill_run_rows(c, range, node);
    return pages;
}

ntmm_status pfn_build(struct call *c, const struct ntmm_frame_range *ranges, uint32_t range_count)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t metadata = 0;
    uint64_t total = 0;

    set32(&anchor->range_count, range_count);
    for (uint32_t i = 0; i < range_count; i++) {
        give_range(&anchor->ranges[i], &ranges[i]);
        if (ranges[i].flags & NTMM_FRAMES_ABSENT)
            continue;
        bool is_zeroed = (ranges[i].flags & NTMM_FRAMES_ZEROED) != 0;
        uint64_t pages = build_range(c, &anchor->ranges[i], i == 0, is_zeroed);
        if (pages == 0)
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
        metadata += pages;
        total += ranges[i].frame_count;
    }
    set64(&anchor->partition.total_pages, total);
    set64(&anchor->partition.metadata_pages, metadata);
    return NTMM_STATUS_SUCCESS;
}
