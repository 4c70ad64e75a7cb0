/*
 * Pages that leave their frames, so that a row of frames (phys/rows.h) becomes empty.
 *
 *   |entry| --> old frame        1 (W): the entry is withdrawn, in transition to the old frame
 *   |entry| -.- old frame        2 shootdown: nobody stores to it any more
 *            \  copy
 *             > new frame        3 the entry is what it was, but for the frame
 *
 * A private page moves under (W) of its process, which is kept until its entry is valid again: so
 * no fault, service or sweep sees anything but the page, valid, in the one frame or the other.
 * Accessed, dirty and age bits, the slot, the priority and the mark of the row go with it; working
 * set, marks of write watch and counts of tables do not change. A page on standby or modified moves
 * under (F) of its old frame alone. A page of a section that processes map is trimmed from them
 * first, and so comes to a list. Nothing is written and nothing is waited for.
 *
 * What stays: a page that is locked, borrowed, of large pages or of small ones that are not paged
 * (move_survey finds these), and a frame that a transfer or a call holds.
 *
 * When a copy fails, or no frame is left to move to, the page stays valid where it was.
 * Source: that NT moves pages to make runs, public descriptions; the steps are ours.
 */
#ifndef NTMM_SPACE_MOVE_H
#define NTMM_SPACE_MOVE_H

#include "phys/pfn.h"
#include "space/process.h"

struct move {
    uint64_t base, end;       /* frames that are to be empty */
    struct frame_chain taken; /* of these, those that are */
    bool is_trimming;         /* private pages are trimmed instead: their frames cannot be read */
    bool is_failed;           /* no frame to move to, or a page that could not be copied */
};

/* Mark the runs that hold pages of a process that cannot move (row_mark_stuck): a piece of the
 * address space, from *page on. True: there is more. (W) is held. */
bool move_survey(struct call *c, struct process *process, uint64_t *page);

/* Move (or trim) private pages of a process, and trim it of pages of sections, that are in the
 * frames: a piece of the address space, from *page on. True: there is more. (W) is held. */
bool move_pages(struct call *c, struct process *process, struct move *move, uint64_t *page);

/* Take what is zeroed or free, then move what is on standby or modified. When no frame is free
 * pages on standby go instead, as when their frames are taken. Takes (F), (L), (N), (G), (Q). */
void move_listed(struct call *c, struct move *move);

#endif
