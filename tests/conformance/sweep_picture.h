/*
 * What a failed call must not have changed, besides what pages hold.
 */
#ifndef CONFORMANCE_SWEEP_PICTURE_H
#define CONFORMANCE_SWEEP_PICTURE_H

#include "conformance/strip.h"
#include "conformance/subject_core.h"

#define PICTURE_NUMBERS 24

struct sweep_picture {
    char regions[2][STRIP_SIZE]; /* of the live and of the other process */
    uint64_t numbers[PICTURE_NUMBERS];
};

/* While events are off. */
void sweep_picture_take(const struct subject *subject, struct core_self *core,
                        struct sweep_picture *picture);

/*
 * NULL, or how they differ, in a text that the next call overwrites. were_touched: the call may
 * have touched pages before it failed, whose tables and marks stay.
 */
const char *sweep_picture_difference(const struct sweep_picture *before,
                                     const struct sweep_picture *after, bool were_touched);

#endif
