/*
 * Addresses of SEC_BASED sections: from the top of what every process has, downwards.
 *
 * Source: nt_semantics 4.10: the second section of one page lies 64 KiB below the first.
 */
#include "base/bits.h"
#include "section/area.h"

#include <ntmm/constants.h>

#define GRANULE_PAGES (NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE)
/* Below the addresses of 32-bit programs too. */
#define TOP_PAGE (0x7FFE0000ull >> NTMM_PAGE_SHIFT)

uint64_t section_take_base(struct call *c, uint64_t pages)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t top = get64(&anchor->based_page);
    uint64_t span = round_up(pages, GRANULE_PAGES);
    if (top == 0)
        top = TOP_PAGE;
    if (span + GRANULE_PAGES > top)
        return 0;
    set64(&anchor->based_page, top - span);
    return top - span;
}
