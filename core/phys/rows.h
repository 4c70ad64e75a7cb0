/*
 * Rows: adjacent aligned runs, taken frame by frame because none is whole, and those that a call
 * holds.
 *
 *   before   | . p . s p . . p |    p a page in use or modified, s on standby, . zeroed or free
 *   during   | x x x x p x x p |    x taken: active, used for nothing, named by nothing
 *   held     | x x x x x x x x |
 *
 * Who empties a row takes what is zeroed or free first, so that no page moves into the row that it
 * is to leave, then moves page after page. When all are taken the call holds the row, and its next
 * runs_allocate takes it; what it then still holds, rows_give_back frees.
 *
 * A taken frame is active with a share and a reference, of use FREE and without entry, as one that
 * is being zeroed is; nobody but the call that took it can find it.
 */
#ifndef NTMM_PHYS_ROWS_H
#define NTMM_PHYS_ROWS_H

#include "phys/pfn.h"

/* --- frames.c --- */

/* The run of a frame, or NULL at the ragged ends of a range. */
struct run *run_of(const struct call *c, uint64_t frame);

/* Whether a frame is zeroed or free, at this moment. Takes no lock. */
bool frames_are_unused(const struct call *c);

/* The first of `count` frames, aligned to that, that are whole runs, or all available. FRAME_NONE:
 * there are none. Takes (F), (L), (N). */
uint64_t row_take(struct call *c, enum ntmm_frame_use use, uint64_t count);

/* The frames of [base, base + count) that are zeroed or free, to the chain. Takes (N). */
void row_take_free(struct call *c, enum ntmm_frame_use use, uint64_t base, uint64_t count,
                   struct frame_chain *taken);

/* A frame, if it is on standby: its page is where its original entry says, and it is the caller's.
 * Takes (F), (L), (N). */
bool frame_repurpose(struct call *c, enum ntmm_frame_use use, uint64_t frame);

/* Frames that the caller took are used for something from now on. Takes (N). */
void frames_give_use(struct call *c, enum ntmm_frame_use use, uint64_t base, uint64_t count);

/* A frame that the caller took from its page: nothing names it any more. Takes (N). */
void frame_capture(struct call *c, uint64_t frame);

/* --- rows.c --- */

/* Forget what could not move; no lock. */
void rows_forget_stuck(struct call *c);

/* Something in the run of a frame cannot move. Takes no lock. */
void row_mark_stuck(struct call *c, uint64_t frame);

/* What it costs to take [base, base + count); UINT64_MAX, or `most` or more: it is not wanted. A
 * moment's truth: no lock is held. */
typedef uint64_t (*row_cost)(const struct call *c, uint64_t base, uint64_t count, uint64_t most);

/* The first frame of the row of `count` frames, aligned to them, that costs least. FRAME_NONE: none
 * is wanted. Takes no lock. */
uint64_t row_cheapest(const struct call *c, uint64_t count, row_cost cost_of);

/*
 * The first frame of the row of `count` frames, aligned to them, that is the cheapest to empty: the
 * fewest of its frames hold pages, and each of these is on standby, modified, or active as a page
 * of a process or a section without transfer, in no run that is marked. FRAME_NONE: there is none.
 * A moment's truth: no lock is held.
 */
uint64_t row_choose(const struct call *c, uint64_t count);

/* The call holds a row, all of whose frames it took; all its rows have the same size. */
void rows_hold(struct call *c, uint64_t base, uint64_t count);

/* A row that the call holds is its no more: its frames are active, of a use. FRAME_NONE: it holds
 * none. Takes (N). */
uint64_t rows_take_held(struct call *c, enum ntmm_frame_use use, uint64_t count);

/* Free what the call still holds. Takes (N), (Q). */
void rows_give_back_held(struct call *c);

static inline void rows_give_back(struct call *c)
{
    if (__builtin_expect(c->rows != 0, 0))
        rows_give_back_held(c);
}

#endif
