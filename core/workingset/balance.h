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

/* Trim one working set until it has `pages` pages, idle ones first; locked ones stay. (W) is held,
 * and tables of the process may go. Returns how many went. */
uint64_t balance_shrink(struct call *c, struct process *process, uint64_t pages);

/* The same, to some pages below its maximum. */
uint64_t balance_make_room(struct call *c, struct process *process);

/* Trim every page that is not locked of every process. No lock is held. */
void balance_empty_all(struct call *c);

/* Age every working set once. No lock is held. */
void balance_age_all(struct call *c);

/* One tick: age every working set, trim when few frames are available, write when many pages are
 * modified. No lock is held. */
void balance_tick(struct call *c);

#endif
