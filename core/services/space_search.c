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

static bool search_up(struct call *c, struct process *process, uint64_t lo, uint64_t hi,
                      uint64_t pages, uint64_t align, struct page_range *range)
{
    struct page_range foreign;
    while (gap_tree_search_lowest(c->bias, &process->vads, lo, hi, pages, align, &range->start)) {
        range->end = range->start + pages;
        if (!foreign_at_or_after(c, process, range->start, &foreign) || foreign.start >= range->end)
            return true;
        lo = foreign.end;
    }
    return false;
}

static bool search_down(struct call *c, struct process *process, uint64_t lo, uint64_t hi,
                        uint64_t pages, uint64_t align, struct page_range *range)
{
    struct page_range foreign;
    while (gap_tree_search_highest(c->bias, &process->vads, lo, hi, pages, align, &range->start)) {
        range->end = range->start + pages;
        if (!foreign_at_or_after(c, process, range->start, &foreign) || foreign.start >= range->end)
            return true;
        hi = foreign.start;
    }
    return false;
}

/* From the process's own bottom or top, and where that finds nothing, all that the bounds allow. */
static bool search(struct call *c, struct process *process, uint64_t pages,
                   const struct space_bounds *bounds, struct page_range *range)
{
    uint64_t lowest = max_u64(NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT, bounds->lowest);
    uint64_t bottom = max_u64(get64(&process->bottom_page), bounds->lowest);
    uint64_t hi = min_u64(bounds->end, get64(&process->highest_page));
    uint64_t top = min_u64(hi, get64(&process->top_page));
    uint64_t align = bounds->align;
    if (bounds->is_top_down)
        return search_down(c, process, lowest, top, pages, align, range) ||
               (top < hi && search_down(c, process, lowest, hi, pages, align, range));
    return search_up(c, process, bottom, hi, pages, align, range) ||
           (bottom > lowest && search_up(c, process, lowest, hi, pages, align, range));
}

ntmm_status search_space(struct call *c, struct process *process, uint64_t pages,
                         const struct space_bounds *bounds, struct vad_place *place)
{
    struct page_range range;
    if (!search(c, process, pages, bounds, &range))
        return NTMM_STATUS_NO_MEMORY;
    place->start = range.start;
    place->end = range.end;
    gap_tree_locate(c->bias, &process->vads, range.start, &place->way);
    return NTMM_STATUS_SUCCESS;
}
