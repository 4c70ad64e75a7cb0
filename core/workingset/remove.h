/*
 * Frames that are removed while the system runs.
 */
#ifndef NTMM_WORKINGSET_REMOVE_H
#define NTMM_WORKINGSET_REMOVE_H

#include "phys/pfn.h"

/*
 * The frames [base, base + count) of a range are absent, whatever was in them. As
 * ntmm_remove_frames: on failure all are there as before, though pages in them may have left
 * working sets or be in other frames. The caller has the change. No lock is held; takes (W) of one
 * process at a time, (F), (L), (P), (N), (G), (Q).
 */
ntmm_status remove_frames(struct call *c, uint64_t base, uint64_t count);

#endif
