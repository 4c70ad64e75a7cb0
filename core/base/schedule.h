/*
 * Points at which a simulation may let another processor run, and charges that it may let fail.
 * (Which allocations of frames fail is a matter of each system: struct allocation_failures.)
 *
 * Only a build with NTMM_SCHEDULE_POINTS has them: tests/sim compiles the core once more so, and
 * defines the two functions. In any other build they are nothing.
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

#if defined(NTMM_SCHEDULE_POINTS)
void ntmm_schedule_point(enum schedule_point point);
bool ntmm_schedule_refuses_commit(void);
static inline void schedule_point(enum schedule_point point) { ntmm_schedule_point(point); }
static inline bool schedule_refuses_commit(void) { return ntmm_schedule_refuses_commit(); }
#else
static inline void schedule_point(enum schedule_point point) { (void)point; }
static inline bool schedule_refuses_commit(void) { return false; }
#endif

#endif
