/*
 * The balance set manager: when to age, trim and write.
 */
#ifndef NTMM_WORKINGSET_BALANCE_H
#define NTMM_WORKINGSET_BALANCE_H

#include "space/process.h"

/*
 * No frame is left: trim working sets and start writing, until `pages` frames are available or
 * nothing more can be done without waiting. No lock is held. Takes (W) of one process at a time.
 * c->chances: those of before it last looked.
 */
void balance_reclaim(struct call *c, uint64_t pages);

/* One tick: age every working set, trim when few frames are available, write when many pages are
 * modified. No lock is held. */
void balance_tick(struct call *c);

#endif
