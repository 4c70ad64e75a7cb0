/*
 * Frames that are taken out of use while the system runs.
 */
#ifndef NTMM_WORKINGSET_RETIRE_H
#define NTMM_WORKINGSET_RETIRE_H

#include "phys/pfn.h"

#include <ntmm/frames.h>

/*
 * A frame that exists goes to the bad list, whatever it holds; *outcome says what became of that.
 * As ntmm_mark_frame_bad: NO_MEMORY, RETRY and NOT_SUPPORTED with the frame in use as before. No
 * lock is held; takes (W) of one process at a time, (F), (L), (N), (G), (Q).
 */
ntmm_status retire_frame(struct call *c, uint64_t frame, bool is_readable,
                         enum ntmm_bad_frame_outcome *outcome);

/* Why a frame is in use still: RETRY, a transfer or a call that will be over; NOT_SUPPORTED, what
 * does not let go of it. */
ntmm_status frame_why_it_stays(const struct call *c, uint64_t frame);

#endif
