/*
 * Shortages, relieved: the one place where services wait.
 *
 *   take locks --> operation --lacks something--> drop locks --> relieve --> begin anew
 *
 * An operation that lacks a frame, commit, or a table that is out changes nothing and says so in
 * c->want; the service drops its locks, calls relieve, and tries again while that returns true.
 */
#ifndef NTMM_SERVICES_RELIEF_H
#define NTMM_SERVICES_RELIEF_H

#include "space/process.h"

/* Tables that one operation may bring in before it gives up: its range does not fit into memory. */
#define RELIEF_TABLES_LIMIT 16384u

/* Times that an operation may have its rows of frames made: it gave them back for something else
 * that it lacked, and they were whole no more. */
#define RELIEF_ROWS_LIMIT 4u

struct relief {
    uint64_t deadline; /* of waiting for frames, 0: not yet set */
    uint32_t tables;   /* brought in so far */
    uint64_t out;      /* tables that were out when the first was brought in */
    uint64_t frames;   /* asked for last time */
    uint32_t rows;     /* times that rows of frames were made */
    bool has_wait;     /* wait is set */
    struct ntmm_wait wait;
};

/* Few services ever wait: the wait is set when one does. */
static inline struct ntmm_wait *relief_wait(struct relief *relief)
{
    if (!relief->has_wait)
        relief->wait = (struct ntmm_wait){0};
    relief->has_wait = true;
    return &relief->wait;
}

static inline struct relief relief_begin(void)
{
    struct relief relief;
    relief.deadline = 0;
    relief.tables = 0;
    relief.out = 0;
    relief.frames = 0;
    relief.rows = 0;
    relief.has_wait = false;
    return relief;
}

/* Tables after which it is clear: they go again before the last one comes. */
static inline uint32_t relief_tables_expected(const struct relief *relief)
{
    uint64_t expected = 2 * relief->out + 16;
    return expected < RELIEF_TABLES_LIMIT / 2 ? (uint32_t)expected : RELIEF_TABLES_LIMIT / 2;
}

/*
 * A table is out, and as many came in as if they went again before the last one came: they do not
 * fit into memory together. So the range that an operation is to empty goes in parts: what is there
 * is dropped, and its tables need not come again. First that is all of the range, then what came
 * since.
 */
static inline bool relief_wants_parts(const struct call *c, const struct relief *relief)
{
    return c->want.kind == WANT_TABLE && relief->tables >= relief_tables_expected(relief);
}

/* Of a range that ends at `end`, both pages. */
static inline uint64_t relief_end_of_part(const struct call *c, const struct relief *relief,
                                          uint64_t end)
{
    bool is_first = relief->tables == relief_tables_expected(relief);
    return is_first || end < c->want.page ? end : c->want.page;
}

/* Tables went with the part: that was worth it, there is no limit to their number. */
static inline void relief_part_is_done(struct relief *relief)
{
    relief->tables = relief_tables_expected(relief) + 1;
}

/* Whether an operation lacked something, or met a shortage on its way to success. Most do not, and
 * who asks this first needs no struct relief for them. */
static inline bool relief_is_wanted(const struct call *c)
{
    return __builtin_expect(c->want.kind != WANT_NOTHING, 0);
}

bool relieve_want(struct call *c, struct relief *relief, struct process *process,
                  ntmm_status *status);

/*
 * After an operation that returned *status: whether to try again, with c->want empty, since what
 * one attempt lacked says nothing of the next. False: *status is final, perhaps that of a read that
 * failed. No lock is held. Waits for transfers, and for frames as long as transfers may free some.
 *
 * process: whose tables are meant by WANT_TABLE; its slot is live, or ending by the caller.
 */
static inline bool relieve(struct call *c, struct relief *relief, struct process *process,
                           ntmm_status *status)
{
    if (!relief_is_wanted(c))
        return false;
    return relieve_want(c, relief, process, status);
}

/* A fault is about to wait: what it can do itself. True: a frame may be there now. */
bool relieve_frames(struct call *c, uint64_t pages);

/* --- attempts at one page --- */

/*
 * After an attempt that returned *status, and entered `wait` when it met a read of another's:
 * whether to try again. False: *status is final, c->want is empty and `wait` is over. No lock is
 * held; waits as relieve does, *deadline being 0 before the first attempt.
 */
bool wait_retry(struct call *c, struct ntmm_wait *wait, uint64_t *deadline, ntmm_status *status);

/* --- what both sides of waiting share; used by fault.c --- */

/* Queue the wait for what c->want says, and submit a new transfer. False: there is no need to wait
 * any more. No lock is held. */
bool wait_begin(struct call *c, struct ntmm_wait *wait);

/* Out of its queue, and out of its block. */
void wait_end(struct call *c, struct ntmm_wait *wait);

/* Out of its queue only: the block's outcome is still to be looked at. */
void wait_leave_queue(struct call *c, struct ntmm_wait *wait);

/* Out of its block, when it is in no queue. */
void wait_leave_block(struct call *c, struct ntmm_wait *wait);

/* The same behind an attempt: what was waited for last time is left, c->want is about the next. */
void wait_leave_last(struct call *c, struct ntmm_wait *wait);

/* Block until the wait is woken. False: the deadline passed, or the platform cannot wait. */
bool wait_block(struct call *c, struct ntmm_wait *wait, uint64_t *deadline);

#endif
