/*
 * Where images go: one base an image while its control area lives, in every process.
 *
 *   64-bit DLL       0x7FF800000000 to 0x7FFFFFFF0000    downwards from a random slot
 *   64-bit program   0x7FF600000000 to 0x7FF7FFFF0000    a random slot each
 *   below 4 GiB      0x50000000 to 0x78000000            downwards from a random slot
 *
 * A region's first slot is drawn from the seed or the platform's entropy when the first image of
 * its kind comes. An image whose preferred base is below 4 GiB stays there, as 32-bit ones do; a
 * program of them moves by up to 255 slots from its preferred base. Source: nt_semantics 5.5, 5.6.
 * What a process's own policies make of an image without DYNAMIC_BASE: services/map_view.c.
 */
#include "base/bits.h"
#include "section/area.h"
#include "section/image_record.h"

#include <ntmm/constants.h>

#define GRANULE_PAGES ((uint64_t)NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE)
#define PAGE_OF(address) ((uint64_t)(address) >> NTMM_PAGE_SHIFT)
#define PROGRAM_SLOTS_LOW 256u

enum image_kind { IMAGE_LIBRARY_64, IMAGE_PROGRAM_64, IMAGE_LOW };

struct region {
    uint64_t start, end; /* pages */
};

static const struct region regions[] = {
    [IMAGE_LIBRARY_64] = {PAGE_OF(0x7FF800000000), PAGE_OF(0x7FFFFFFF0000)},
    [IMAGE_PROGRAM_64] = {PAGE_OF(0x7FF600000000), PAGE_OF(0x7FF7FFFF0000)},
    [IMAGE_LOW] = {PAGE_OF(0x50000000), PAGE_OF(0x78000000)},
};

/* Uniform in [0, bound), bound at most 2^32; without a division, which 32-bit machines lack. */
static uint64_t draw(struct call *c, uint64_t salt, uint64_t bound)
{
    uint64_t value = system_random(c, (salt + 1) * UINT64_C(0x9E3779B97F4A7C15));
    return (value >> 32) * bound >> 32;
}

/* The lowest page of another image's place that meets [start, end); ~0: none. (O) is held. */
static uint64_t conflict(struct call *c, uint64_t start, uint64_t end)
{
    for (uint64_t ref = get64(&anchor_of(c)->areas_head); ref;) {
        const struct control_area *area = area_at(c, ref);
        uint64_t base = get64(&area->base_page);
        if (area_is(area, AREA_IMAGE) && base < end && start < base + get64(&area->pages))
            return base;
        ref = get64(&area->next);
    }
    return ~0ull;
}

static uint64_t slots_of(const struct region *region)
{
    return (region->end - region->start) / GRANULE_PAGES;
}

/* Downwards from a page to a region's start; 0: there is no room. */
static uint64_t find_below(struct call *c, const struct region *region, uint64_t end,
                           uint64_t pages)
{
    while (end >= region->start + pages) {
        uint64_t start = round_down(end - pages, GRANULE_PAGES);
        uint64_t other = start >= region->start ? conflict(c, start, start + pages) : 0;
        if (other == ~0ull)
            return start;
        if (other < region->start)
            break;
        end = other;
    }
    return 0;
}

static uint64_t choose_in(struct call *c, enum image_kind kind, uint64_t pages)
{
    const struct region *region = &regions[kind];
    le64 *next = &anchor_of(c)->image_next[kind];
    if (get64(next) == 0 || kind == IMAGE_PROGRAM_64)
        set64(next, region->end -
                        draw(c, (uint64_t)kind + get64(next), slots_of(region)) * GRANULE_PAGES);
    uint64_t found = find_below(c, region, get64(next), pages);
    if (!found) /* around the end */
        found = find_below(c, region, region->end, pages);
    if (found)
        set64(next, found);
    return found;
}

/* A program below 4 GiB: near where it would like to be. */
static uint64_t choose_near(struct call *c, uint64_t preferred_page, uint64_t pages)
{
    uint64_t first = max_u64(preferred_page, PAGE_OF(NTMM_LOWEST_USER_ADDRESS));
    uint64_t slot = draw(c, preferred_page, PROGRAM_SLOTS_LOW);
    for (uint32_t i = 0; i < PROGRAM_SLOTS_LOW; i++, slot = (slot + 1) % PROGRAM_SLOTS_LOW) {
        uint64_t start = first + slot * GRANULE_PAGES;
        if (start + pages <= PAGE_OF(0x7FFE0000) && conflict(c, start, start + pages) == ~0ull)
            return start;
    }
    return 0;
}

uint64_t image_choose_base(struct call *c, const struct image *image)
{
    bool is_low = !image->is_64 || image->preferred_base < 1ull << 32;
    bool is_library = (image->characteristics & IMAGE_DLL) != 0;
    uint64_t page;
    if (is_low && !is_library)
        page = choose_near(c, PAGE_OF(image->preferred_base), image->image_pages);
    else
        page = choose_in(c,
                         is_low       ? IMAGE_LOW
                         : is_library ? IMAGE_LIBRARY_64
                                      : IMAGE_PROGRAM_64,
                         image->image_pages);
    return page ? page << NTMM_PAGE_SHIFT : image->preferred_base;
}
