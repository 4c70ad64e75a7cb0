/*
 * Layout of an address space. See layout.h.
 */
#include "space/layout.h"
#include "base/bits.h"
#include "phys/anchor.h"
#include "space/call_targets.h"

#include <ntmm/constants.h>

#define GRANULE_PAGES (NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE)
#define BOTTOM_BITS 8u
#define BOTTOM_BITS_HIGH 24u
#define TOP_BITS 17u
#define TARGETS_START 0x7DF400000000ull
#define TARGETS_BITS 16u
#define TOP_BITS_NARROW 8u

/* The last byte of a reservation, 64 KiB below the last user byte. */
static uint64_t highest_of(const struct ntmm_process_config *config)
{
    uint64_t highest = NTMM_HIGHEST_VAD_ADDRESS;
    if (config->flags & NTMM_PROCESS_WOW64)
        highest = config->flags & NTMM_PROCESS_LARGE_ADDRESS_AWARE ? NTMM_HIGHEST_VAD_ADDRESS_4G
                                                                   : NTMM_HIGHEST_VAD_ADDRESS_2G;
    else if (config->flags & NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE)
        highest = NTMM_HIGHEST_VAD_ADDRESS_2G;
    return config->highest_address ? min_u64(highest, config->highest_address) : highest;
}

static uint64_t low_bits(uint64_t value, unsigned count) { return value & ((1ull << count) - 1); }

/* 2 TiB from 0x7DF4'00000000 on, 16 bits of granules higher when layouts are random; in a smaller
 * address space its end. */
static uint64_t choose_targets(struct call *c, const struct ntmm_process_config *config,
                               uint64_t highest, uint64_t salt)
{
    uint64_t pages = targets_pages(highest);
    uint64_t start = TARGETS_START >> NTMM_PAGE_SHIFT;
    if (highest < start + pages + (GRANULE_PAGES << TARGETS_BITS))
        return highest > pages ? round_down(highest - pages, GRANULE_PAGES) : 0;
    bool is_random = (config->flags & NTMM_PROCESS_RANDOM_LAYOUT) != 0;
    return start +
           (is_random ? low_bits(system_random(c, ~salt), TARGETS_BITS) * GRANULE_PAGES : 0);
}

struct layout layout_choose(struct call *c, const struct ntmm_process_config *config, uint64_t salt)
{
    uint64_t lowest = NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT;
    struct layout layout = {.highest = (highest_of(config) >> NTMM_PAGE_SHIFT) + 1,
                            .bottom = lowest};
    layout.top = layout.highest;
    if (config->flags & NTMM_PROCESS_RANDOM_LAYOUT) {
        uint64_t random = system_random(c, salt);
        bool is_narrow = layout.highest <= 1ull << (32 - NTMM_PAGE_SHIFT);
        bool is_high = (config->flags & NTMM_PROCESS_HIGH_ENTROPY) && !is_narrow;
        uint64_t bottom = low_bits(random, BOTTOM_BITS);
        bottom += is_high ? low_bits(random >> BOTTOM_BITS, BOTTOM_BITS_HIGH) : 0;
        uint64_t top = low_bits(random >> (BOTTOM_BITS + BOTTOM_BITS_HIGH),
                                is_narrow ? TOP_BITS_NARROW : TOP_BITS);
        layout.bottom = min_u64(lowest + bottom * GRANULE_PAGES, layout.highest);
        layout.top = layout.highest - min_u64(top * GRANULE_PAGES, layout.highest - lowest);
    }
    if (config->flags & NTMM_PROCESS_CONTROL_FLOW_GUARD)
        layout.targets = choose_targets(c, config, layout.highest, salt);
    if (config->bottom_up_start)
        layout.bottom = config->bottom_up_start >> NTMM_PAGE_SHIFT;
    return layout;
}
