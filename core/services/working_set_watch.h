/*
 * The watch of a working set, for those who dispatch on classes of process information.
 */
#ifndef NTMM_SERVICES_WORKING_SET_WATCH_H
#define NTMM_SERVICES_WORKING_SET_WATCH_H

#include "base/instance.h"

/* Begin to watch, or forget what was seen. */
ntmm_status working_set_watch_begin(struct ntmm_system *system, ntmm_handle process,
                                    uint64_t length);

/* Give what was seen, and forget it. *size: bytes written, or needed: BUFFER_TOO_SMALL. */
ntmm_status working_set_watch_take(struct ntmm_system *system, ntmm_handle process, bool is_ex,
                                   void *buffer, uint64_t length, uint64_t *size);

#endif
