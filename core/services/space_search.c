/*
 * Finding room in an address space. See space_search.h.
 *
 * Foreign ranges are not in the tree: a candidate that meets one moves the bound past it and the
 * search goes on.
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

static inline bool search_up(struct call *c, struct process *process, struct gap_wish wish,
                             struct vad_place *place)
{
    struct page_range foreign;
    while (gap_tree_search_lowest(c->bias, &process->vads, &wish, &place->start, &place->way)) {
        place->end = place->start + wish.pages;
        if (!foreign_at_or_after(c, process, place->start, &foreign) || foreign.start >= place->end)
            return true;
        wish.lo = foreign.end;
    }
    return false;
}

static inline bool search_down(struct call *c, struct process *process, struct gap_wish wish,
                               struct vad_place *place)
{
    struct page_range foreign;
    while (gap_tree_search_highest(c->bias, &process->vads, &wish, &place->start, &place->way)) {
        place->end = place->start + wish.pages;
        if (!foreign_at_or_after(c, process, place->start, &foreign) || foreign.start >= place->end)
            return true;
        wish.hi = foreign.start;
    }
    return false;
}

static uint64_t lowest_of(const struct space_bounds *bounds)
{
    return max_u64(NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT, bounds->lowest);
}

/* From the process's own top, and where that finds nothing, from what the bounds allow. */
static bool search_from_top(struct call *c, struct process *process, uint64_t pages,
                            const struct space_bounds *bounds, struct vad_place *place)
{
    uint64_t hi = min_u64(bounds->end, get64(&process->highest_page));
    uint64_t top = min_u64(hi, get64(&process->top_page));
    struct gap_wish wish = {lowest_of(bounds), top, pages, bounds->align};
    if (search_down(c, process, wish, place))
        return true;
    wish.hi = hi;
    return top < hi && search_down(c, process, wish, place);
}

/* From the process's own bottom nothing was found: from what the bounds allow. */
static bool search_from_lowest(struct call *c, struct process *process, struct gap_wish wish,
                               const struct space_bounds *bounds, struct vad_place *place)
{
    uint64_t bottom = wish.lo;
    wish.lo = lowest_of(bounds);
    return wish.lo < bottom && search_up(c, process, wish, place);
}

ntmm_status search_everywhere(struct call *c, struct process *process, uint64_t pages,
                              const struct space_bounds *bounds, struct vad_place *place)
{
    const struct gap_wish wish = wish_above_bottom(process, pages, bounds);
    bool is_found = bounds->is_top_down ? search_from_top(c, process, pages, bounds, place)
                                        : search_up(c, process, wish, place) ||
                                              search_from_lowest(c, process, wish, bounds, place);
    return is_found ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY;
}
