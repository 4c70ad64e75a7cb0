/*
 * Finding room in an address space, around the embedder's own ranges.
 */
#ifndef NTMM_SERVICES_SPACE_SEARCH_H
#define NTMM_SERVICES_SPACE_SEARCH_H

#include "services/capture.h"
#include "space/vad.h"

/* Room for `pages`, 64 KiB aligned: the lowest from the process's bottom, or the highest.
 * NO_MEMORY. */
ntmm_status search_space(struct call *c, struct process *process, uint64_t pages,
                         uint64_t zero_bits, bool is_top_down, struct vad_place *place);

/* Whether no region and no foreign range meets the pages; sets place->way. */
bool space_is_free(struct call *c, struct process *process, struct vad_place *place);

/* The lowest foreign range that ends above a page, in pages; false: none. */
bool foreign_at_or_after(struct call *c, const struct process *process, uint64_t page,
                         struct page_range *range);

#endif
