/*
 * Where the address space of a process ends, and where searches for room begin.
 *
 *   0   64 KiB      bottom                          top      highest
 *   |null|..........|--> first fit, upwards         |........|64 KiB no access|
 *                         first fit, downwards <----|
 *
 * Randomised, the bottom lies 0..255 granules above 64 KiB, and with high entropy 24 bits of
 * granules (1 TiB) higher; the top 17 bits of granules (8 bits in 32-bit processes) below the
 * highest. What lies outside of bottom and top is used when nothing else is left.
 * Source: nt_semantics 1.1, 5.6, 5.7, 14.1.
 */
#ifndef NTMM_SPACE_LAYOUT_H
#define NTMM_SPACE_LAYOUT_H

#include "base/instance.h"

#include <ntmm/process.h>

/* Pages. */
struct layout {
    uint64_t highest; /* page after the last that can be reserved */
    uint64_t bottom;
    uint64_t top;     /* page after the last that a search from the top looks at first */
    uint64_t targets; /* where the bitmap of call targets begins, if the process has one */
};

/* The layout that a configuration asks for, which is sound. Draws from the platform's entropy, or
 * from the system's seed and `salt`. No lock is held. */
struct layout layout_choose(struct call *c, const struct ntmm_process_config *config,
                            uint64_t salt);

#endif
