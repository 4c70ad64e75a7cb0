/*
 * Points at which a simulation may let another processor run, and charges that it may let fail.
 * (Which allocations of frames fail is a matter of each system: struct allocation_failures.)
 *
 * Only a build with NTMM_SCHEDULE_POINTS has them: tests/sim compiles the core once more so, and
 * defines the functions. In any other build they are nothing.
 *
 * A point may stand under a spin lock: who waits for the lock relaxes, and a coroutine that relaxes
 * gives way.
 */
#ifndef NTMM_BASE_SCHEDULE_H
#define NTMM_BASE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum schedule_point {
    POINT_ACQUIRE,    /* before a lock is taken */
    POINT_RELEASE,    /* after it was released */
    POINT_RELAX,      /* while a lock is waited for */
    POINT_EXCHANGE,   /* before an atomic read-modify-write of a word: entries, counts */
    POINT_COMPLETION, /* before a transfer's completion is called */
    POINT_COUNT,
};

struct call;
struct pfn;
struct transfer_block;
struct wait_queue;

/*
 * frame_step(c, pfn, "name"): the row of a frame was changed, by the step of that name in
 * tests/models/frames.steps, and by nothing else since the last one. The row's lock is held, or
 * nobody else can reach the frame. "use": nothing changed but the use; "rest": (F) is let go;
 * "moved": the row has become that of another frame's page. The row is as it was with "name" and
 * "restore", its entry was changed; and with "collide", a fault meets the read of the page.
 *
 * block_step(c, block, "name"), queue_step(c, queue, "name"): the same of a block for reads, and of
 * the queue of its waits, by tests/models/collided.steps. (Q) is held, but for "submit".
 */
#if defined(NTMM_SCHEDULE_POINTS)
void ntmm_frame_step(const struct call *c, const struct pfn *pfn, const char *step);
#define frame_step(c, pfn, step) ntmm_frame_step(c, pfn, step)
void ntmm_block_step(const struct call *c, const struct transfer_block *block, const char *step);
#define block_step(c, block, step) ntmm_block_step(c, block, step)
void ntmm_queue_step(const struct call *c, const struct wait_queue *queue, const char *step);
#define queue_step(c, queue, step) ntmm_queue_step(c, queue, step)
void ntmm_schedule_point(enum schedule_point point);
bool ntmm_schedule_refuses_commit(void);
static inline void schedule_point(enum schedule_point point) { ntmm_schedule_point(point); }
static inline bool schedule_refuses_commit(void) { return ntmm_schedule_refuses_commit(); }
#else
#define frame_step(c, pfn, step) ((void)0)
#define block_step(c, block, step) ((void)0)
#define queue_step(c, queue, step) ((void)0)
static inline void schedule_point(enum schedule_point point) { (void)point; }
static inline bool schedule_refuses_commit(void) { return false; }
#endif

#endif
