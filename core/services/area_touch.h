/*
 * Touching pages of a section without a view: for reading and writing of files, and of images'
 * headers.
 */
#ifndef NTMM_SERVICES_AREA_TOUCH_H
#define NTMM_SERVICES_AREA_TOUCH_H

#include "section/area.h"

/*
 * A share of a page of an area, to be given back by frame_end_share. Waits; no lock is held. What
 * prototype_acquire answers but PENDING, or NO_MEMORY when no frame came free in time.
 */
ntmm_status area_touch(struct call *c, struct control_area *area, uint64_t page, uint64_t *frame);

/* Copy bytes out of an area, or into it: then the pages are modified. The caller refers to the
 * area. *moved is counted up. */
ntmm_status area_read(struct call *c, struct control_area *area, uint64_t offset, void *buffer,
                      uint64_t size, uint64_t *moved);
ntmm_status area_write(struct call *c, struct control_area *area, uint64_t offset,
                       const void *buffer, uint64_t size, uint64_t *moved);

/* Write the modified pages of [start, end) of a data area to its file, wait for them, and make them
 * durable; then valid data reaches as far as they do. The caller refers to the area. */
ntmm_status area_flush(struct call *c, struct control_area *area, uint64_t start, uint64_t end);

#endif
