/*
 * Finding room in an address space, around the embedder's own ranges.
 */
#ifndef NTMM_SERVICES_SPACE_SEARCH_H
#define NTMM_SERVICES_SPACE_SEARCH_H

#include "services/capture.h"
#include "space/vad.h"

/* Where a search may look: pages, half-open, clipped to what the process has. */
struct space_bounds {
    uint64_t lowest; /* 0: from the process's bottom, below it only when nothing is left above */
    uint64_t end;    /* GAP_TREE_END_MAX: no bound */
    uint64_t align;  /* pages, a power of two, at least 64 KiB */
    bool is_top_down;
};

/* The least that every search must keep to. */
static inline struct space_bounds space_bounds_none(void)
{
    return (struct space_bounds){.end = GAP_TREE_END_MAX,
                                 .align = NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE};
}

/* Page that no address may reach, from ZeroBits: a count from bit 31 down, or a mask. */
static inline uint64_t space_end_of_zero_bits(uint64_t zero_bits)
{
    if (zero_bits >= 32) {
        unsigned bits = floor_log2(zero_bits) + 1;
        return bits < 64 ? (1ull << bits) >> NTMM_PAGE_SHIFT : GAP_TREE_END_MAX;
    }
    return zero_bits > 0 ? (1ull << (32 - zero_bits)) >> NTMM_PAGE_SHIFT : GAP_TREE_END_MAX;
}

ntmm_status search_everywhere(struct call *c, struct process *process, uint64_t pages,
                              const struct space_bounds *bounds, struct vad_place *place);

/* The same, where some pages count as taken though they may be free; NULL: none. */
ntmm_status search_around(struct call *c, struct process *process, uint64_t pages,
                          const struct space_bounds *bounds, const struct page_range *taken,
                          struct vad_place *place);

/* What a search from the process's own bottom asks of the tree. */
static inline struct gap_wish wish_above_bottom(const struct process *process, uint64_t pages,
                                                const struct space_bounds *bounds)
{
    return (struct gap_wish){max_u64(get64(&process->bottom_page), bounds->lowest),
                             min_u64(bounds->end, get64(&process->highest_page)), pages,
                             bounds->align};
}

/* Room for `pages` within bounds: the lowest, or the highest. NO_MEMORY. Nearly always it lies
 * above the bottom and nothing foreign is in the way. */
static inline ntmm_status search_space(struct call *c, struct process *process, uint64_t pages,
                                       const struct space_bounds *bounds, struct vad_place *place)
{
    const struct gap_wish wish = wish_above_bottom(process, pages, bounds);
    bool is_found =
        !bounds->is_top_down && !c->sys->platform.foreign_range &&
        gap_tree_search_lowest(c->bias, &process->vads, &wish, &place->start, &place->way);
    if (!is_found)
        return search_everywhere(c, process, pages, bounds, place);
    place->end = place->start + pages;
    return NTMM_STATUS_SUCCESS;
}

bool foreign_ask(struct call *c, const struct process *process, uint64_t page,
                 struct page_range *range);

/* The lowest foreign range that ends above a page, in pages; false: none. */
static inline bool foreign_at_or_after(struct call *c, const struct process *process, uint64_t page,
                                       struct page_range *range)
{
    return c->sys->platform.foreign_range && foreign_ask(c, process, page, range);
}

/* Whether no region and no foreign range meets the pages; sets place->way. */
static inline bool space_is_free(struct call *c, struct process *process, struct vad_place *place)
{
    struct page_range foreign;
    if (!gap_tree_locate_free(c->bias, &process->vads, place->start, place->end, &place->way))
        return false;
    return !foreign_at_or_after(c, process, place->start, &foreign) || foreign.start >= place->end;
}

#endif
