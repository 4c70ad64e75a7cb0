/*
 * Rows of frames for large pages, made by moving what stands in the way.
 */
#ifndef NTMM_WORKINGSET_ROWS_H
#define NTMM_WORKINGSET_ROWS_H

#include "space/move.h"

/*
 * The call is to hold `rows` rows of `count` frames each, aligned to their size (phys/rows.h):
 * those that are whole, then those whose frames are available, then those that can be emptied, the
 * cheapest first (space/move.h). False: there are not so many, and it holds none; pages that moved
 * for it stay where they are. Takes as many frames to move to as pages move: with fewer available
 * than the row has frames nothing moves. No I/O, no waiting. No lock is held; takes (W) of one
 * process at a time, (O) and (X).
 */
bool rows_make(struct call *c, uint64_t count, uint32_t rows);

/* Move, or trim, the pages of all processes that are in the frames; move NULL: survey them. No lock
 * is held; takes (W) of one process at a time. */
void rows_visit(struct call *c, struct move *move);

#endif
