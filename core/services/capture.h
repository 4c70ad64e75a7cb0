/*
 * Capturing a caller's range: rounding and bounds, with NT's parameter numbers left to the service.
 */
#ifndef NTMM_SERVICES_CAPTURE_H
#define NTMM_SERVICES_CAPTURE_H

#include "base/bits.h"

#include <ntmm/constants.h>
#include <ntmm/types.h>
#include <ntmm/virtual.h>

/* Pages [start, end) that cover `size` > 0 bytes at `base`, whose last byte is at most `highest`.
 * */
struct page_range {
    uint64_t start;
    uint64_t end;
};

static inline struct page_range capture_range(uint64_t base, uint64_t size)
{
    return (struct page_range){
        .start = base >> NTMM_PAGE_SHIFT,
        .end = ((base + (size - 1)) >> NTMM_PAGE_SHIFT) + 1,
    };
}

/* Whether `size` bytes at `base` reach past the last byte `highest`. */
static inline bool reaches_past(uint64_t base, uint64_t size, uint64_t highest)
{
    return base > highest || size > highest - base + 1;
}

/* Whether there is a NUMA node that a parameter asks for. There is one, of number 0. */
static inline ntmm_status capture_node(uint64_t value)
{
    bool is_node = (value & ~NTMM_NUMA_NODE_MANDATORY) == 0 || value == NTMM_NUMA_NODE_NONE;
    return is_node ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER;
}

static inline void give_range(struct page_range range, uint64_t *base, uint64_t *size)
{
    *base = range.start << NTMM_PAGE_SHIFT;
    *size = (range.end - range.start) << NTMM_PAGE_SHIFT;
}

#endif
