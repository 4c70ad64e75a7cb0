/*
 * Trimming tables of prototypes.
 */
#ifndef NTMM_WORKINGSET_AREA_TABLES_H
#define NTMM_WORKINGSET_AREA_TABLES_H

#include "base/instance.h"

/* Look at so many tables of areas at most, once around, and let so many go; how many went. No lock
 * is held. Takes (O), (X) in turn. 0 when another call does the same. */
uint64_t area_tables_sweep(struct call *c, uint64_t examine, uint64_t go);

#endif
