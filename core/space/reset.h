/*
 * Giving up what pages hold, for a while or for good.
 *
 *              reset                         the frame is taken
 *   ordinary ----------> disposable, clean ----------------------> lost: zeros
 *      ^  ^                    |    |                                |
 *      |  +---- a write -------+    |                                | undo (false)
 *      +------- undo (true) --------+                                |
 *      +-------------------------------------------------------------+
 *
 * An offer is a reset that also takes the page out of the working set, to standby at a priority of
 * its own; a reclaim is an undo that gives the priority back. A discard frees what the pages hold
 * at once. Commit, protection and the marks of a write watch stay.
 *
 * A page that a transfer uses is disposable too: the completion frees its slot. A locked page stays
 * in memory, whatever is asked. (A) and (W) are held; a table of the range that is out is a
 * shortage (WANT_TABLE). Source: nt_semantics 2.7, 3.8; the mechanism is ours (docs/services.md).
 */
#ifndef NTMM_SPACE_RESET_H
#define NTMM_SPACE_RESET_H

#include "space/private.h"

enum reset_kind { RESET_CONTENTS, RESET_OFFER, RESET_UNDO, RESET_RECLAIM, RESET_DISCARD };

/*
 * Do one of these to the committed pages of [start, end) of a private VAD. priority: of OFFER.
 * UNSUCCESSFUL, of UNDO and RECLAIM: done, but contents of some page had gone.
 */
ntmm_status private_reset(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                          uint64_t end, enum reset_kind kind, uint32_t priority);

#endif
