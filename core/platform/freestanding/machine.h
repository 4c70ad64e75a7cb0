/*
 * What the files of the freestanding platform know of each other.
 *
 *   machine.c    the platform struct; the level
 *   direct.c     bytes of user frames, through the direct map
 *   processor.c  control registers, the page attribute table
 *   shootdown.c  address spaces, contexts, rounds of invalidation
 */
#ifndef NTMM_PLATFORM_FREESTANDING_MACHINE_H
#define NTMM_PLATFORM_FREESTANDING_MACHINE_H

#include <ntmm/freestanding.h>

ntmm_status direct_zero(void *context, const uint64_t *frames, uint32_t count);
ntmm_status direct_copy(void *context, const uint64_t *to, const uint64_t *from, uint32_t count);
ntmm_status direct_compare(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                           uint64_t *equal);
ntmm_status direct_read(void *context, const struct ntmm_content_span *spans, uint32_t count,
                        void *buffer);
ntmm_status direct_write(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         const void *buffer);

void shootdown_invalidate(void *context, const struct ntmm_shootdown *shootdown);

static inline struct ntmm_freestanding_processor *this_processor(struct ntmm_freestanding *machine)
{
    return &machine->processors[machine->config.processor(machine)];
}

#endif
