/*
 * Finding room in an address space. See space_search.h.
 *
 * Foreign ranges, and one that counts as taken, are not in the tree: a candidate that meets one
 * moves the bound past it and the search goes on.
 */
#include "services/space_search.h"

bool foreign_ask(struct call *c, const struct process *process, uint64_t page,
                 struct page_range *range)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct ntmm_foreign_range found;
    if (!platform->foreign_range(platform->context, get64(&process->handle),
                                 page << NTMM_PAGE_SHIFT, &found))
        return false;
    range->start = found.base >> NTMM_PAGE_SHIFT;
    range->end = round_up(found.end, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT;
    return true;
}

/* Whether something that is not in the tree is in a place's way, and what. */
static inline bool is_in_the_way(struct call *c, const struct process *process,
                                 const struct vad_place *place, const struct page_range *taken,
                                 struct page_range *range)
{
    if (taken && taken->start < place->end && place->start < taken->end) {
        *range = *taken;
        return true;
    }
    return foreign_at_or_after(c, process, place->start, range) && range->start < place->end;
}

static inline bool search_up(struct call *c, struct process *process, struct gap_wish wish,
                             const struct page_range *taken, struct vad_place *place)
{
    struct page_range other;
    while (gap_tree_search_lowest(c->bias, &process->vads, &wish, &place->start, &place->way)) {
        place->end = place->start + wish.pages;
        if (!is_in_the_way(c, process, place, taken, &other))
            return true;
        wish.lo = other.end;
    }
    return false;
}

static inline bool search_down(struct call *c, struct process *process, struct gap_wish wish,
                               const struct page_range *taken, struct vad_place *place)
{
    struct page_range other;
    while (gap_tree_search_highest(c->bias, &process->vads, &wish, &place->start, &place->way)) {
        place->end = place->start + wish.pages;
        if (!is_in_the_way(c, process, place, taken, &other))
            return true;
        wish.hi = other.start;
    }
    return false;
}

static uint64_t lowest_of(const struct space_bounds *bounds)
{
    return max_u64(NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT, bounds->lowest);
}

/* From the process's own top, and where that finds nothing, from what the bounds allow. */
static bool search_from_top(struct call *c, struct process *process, uint64_t pages,
                            const struct space_bounds *bounds, const struct page_range *taken,
                            struct vad_place *place)
{
    uint64_t hi = min_u64(bounds->end, get64(&process->highest_page));
    uint64_t top = min_u64(hi, get64(&process->top_page));
    struct gap_wish wish = {lowest_of(bounds), top, pages, bounds->align};
    if (search_down(c, process, wish, taken, place))
        return true;
    wish.hi = hi;
    return top < hi && search_down(c, process, wish, taken, place);
}

/* From the process's own bottom nothing was found: from what the bounds allow. */
static bool search_from_lowest(struct call *c, struct process *process, struct gap_wish wish,
                               const struct space_bounds *bounds, const struct page_range *taken,
                               struct vad_place *place)
{
    uint64_t bottom = wish.lo;
    wish.lo = lowest_of(bounds);
    return wish.lo < bottom && search_up(c, process, wish, taken, place);
}

ntmm_status search_around(struct call *c, struct process *process, uint64_t pages,
                          const struct space_bounds *bounds, const struct page_range *taken,
                          struct vad_place *place)
{
    const struct gap_wish wish = wish_above_bottom(process, pages, bounds);
    bool is_found = bounds->is_top_down
                        ? search_from_top(c, process, pages, bounds, taken, place)
                        : search_up(c, process, wish, taken, place) ||
                              search_from_lowest(c, process, wish, bounds, taken, place);
    return is_found ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY;
}

ntmm_status search_everywhere(struct call *c, struct process *process, uint64_t pages,
                              const struct space_bounds *bounds, struct vad_place *place)
{
    return search_around(c, process, pages, bounds, NULL, place);
}
