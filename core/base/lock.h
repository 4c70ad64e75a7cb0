/*
 * Locks, and the one order in which they are taken.
 *
 * A lock is a word: 0 free, 1 held, (W) also LOCK_SHARED. Waiting spins through the platform's
 * relax, which yields a coroutine. The first lock of a call raises the level, the last lowers it.
 *
 * Order: a lock may be taken only while every lock held has a lower level. Two locks of one level
 * are never held together. Debug builds check it at each acquisition.
 *
 *   level             letter  protects
 *   LOCK_ADDRESS      (A)     the regions of a process: the VAD tree with (W), and who changes it
 *   LOCK_WORKING_SET  (W)     valid entries and tables of a process, its accounting, VADs with (A)
 *   LOCK_OBJECTS      (O)     section and file objects, handles and names; who refers to an area
 *   LOCK_SECTION      (X)     an area, or a block of clones: prototypes that name no frame, tables
 *   LOCK_IMAGE        (I)     the page in which an image's pages are relocated
 *   LOCK_DIRECTORY    (D)     the process table, and counters of processes that have ended
 *   LOCK_SLAB         (S)     a slab class
 *   LOCK_FRAME        (F)     rows of frames in transition, on Standby or Modified, or with I/O in
 *                             flight; one of a fixed array, by frame number
 *   LOCK_PAGE_FILE    (G)     a page file: its slot map and counts
 *   LOCK_LIST         (L)     a standby, modified, modified-no-write or bad list, and its frames
 *   LOCK_CACHE        (P)     frames that a processor keeps apart
 *   LOCK_NODE         (N)     zeroed and free lists of a node, its runs, and the frames on them
 *   LOCK_WAITERS      (Q)     queues of faults that wait, and the blocks of transfers
 *
 * L1 no lock is held when no call is in progress.
 */
#ifndef NTMM_BASE_LOCK_H
#define NTMM_BASE_LOCK_H

#include "base/assert.h"
#include "base/instance.h"

/*
 * lock_try does not wait, so it may be used against the order: who comes from a list holds (L) and
 * tries (F).
 *
 * Commit (C) is the partition's word and what processors keep of it, each changed by compare and
 * exchange: exact without a lock (phys/commit.c). A field with two letters is read under either and
 * written under both. (R) marks a word read and written atomically by anyone. No platform operation
 * that can block, and no I/O, happens under any of these.
 */
enum lock_level {
    LOCK_ADDRESS,
    LOCK_WORKING_SET,
    LOCK_OBJECTS,
    LOCK_SECTION,
    LOCK_IMAGE,
    LOCK_DIRECTORY,
    LOCK_SLAB,
    LOCK_FRAME,
    LOCK_PAGE_FILE,
    LOCK_LIST,
    LOCK_CACHE,
    LOCK_NODE,
    LOCK_WAITERS,
};

void lock_wait(struct call *c, le32 *lock);

/* The platform has the operation. */
void lock_raise_level(struct call *c);
void lock_lower_level(struct call *c);

/* Which locks a call holds is known to debug builds alone. */
#if defined(NTMM_DEBUG)
static inline void lock_note_held(struct call *c, enum lock_level level)
{
    c->held |= (uint16_t)(1u << level);
}
static inline void lock_note_free(struct call *c, enum lock_level level)
{
    c->held &= (uint16_t)~(1u << level);
}
#else
static inline void lock_note_held(struct call *c, enum lock_level level) { (void)c, (void)level; }
static inline void lock_note_free(struct call *c, enum lock_level level) { (void)c, (void)level; }
#endif

/* A lock may be shared by readers that are counted elsewhere: then nobody has it, and who wants it
 * for itself waits until they are gone (space/readers.h). (W) alone is ever shared. */
#define LOCK_SHARED 2u

/* How long locks are held: tests/tables compiles the core once more so, and defines the two. */
#if defined(NTMM_TRACE_LOCKS)
void ntmm_lock_acquired(const le32 *lock, enum lock_level level);
void ntmm_lock_released(const le32 *lock, enum lock_level level);
static inline void lock_trace_acquired(const le32 *lock, enum lock_level level)
{
    ntmm_lock_acquired(lock, level);
}
static inline void lock_trace_released(const le32 *lock, enum lock_level level)
{
    ntmm_lock_released(lock, level);
}
#else
static inline void lock_trace_acquired(const le32 *lock, enum lock_level level)
{
    (void)lock, (void)level;
}
static inline void lock_trace_released(const le32 *lock, enum lock_level level)
{
    (void)lock, (void)level;
}
#endif

static inline bool lock_is_held(const struct call *c, enum lock_level level)
{
    return (c->held >> level) & 1u;
}

/* What comes before a lock is looked at, and after it was given back. */
static inline void lock_enter(struct call *c, enum lock_level level)
{
    NTMM_ASSERT(c->held >> level == 0);
    (void)level;
    if (c->depth++ == 0 && c->sys->platform.raise_level)
        lock_raise_level(c);
    schedule_point(POINT_ACQUIRE);
}

/* The same while another is held: the level is raised already. */
static inline void lock_enter_next(struct call *c, enum lock_level level)
{
    NTMM_ASSERT(c->depth > 0 && c->held >> level == 0);
    (void)level;
    c->depth++;
    schedule_point(POINT_ACQUIRE);
}

static inline void lock_leave(struct call *c)
{
    if (--c->depth == 0 && c->sys->platform.lower_level)
        lock_lower_level(c);
    schedule_point(POINT_RELEASE);
}

/* True: nobody had it. False: it was waited for. */
static inline bool lock_acquire(struct call *c, le32 *lock, enum lock_level level)
{
    lock_enter(c, level);
    bool is_at_once = __builtin_expect(cas32_acquire(lock, 0, 1), 1);
    if (!is_at_once)
        lock_wait(c, lock);
    lock_note_held(c, level);
    lock_trace_acquired(lock, level);
    return is_at_once;
}

/* Take a lock that is free, at any place in the order; a lock is held already. */
static inline bool lock_try(struct call *c, le32 *lock, enum lock_level level)
{
    NTMM_ASSERT(c->depth > 0 && !lock_is_held(c, level));
    schedule_point(POINT_ACQUIRE);
    if (!cas32_acquire(lock, 0, 1))
        return false;
    c->depth++;
    lock_note_held(c, level);
    lock_trace_acquired(lock, level);
    return true;
}

static inline void lock_release(struct call *c, le32 *lock, enum lock_level level)
{
    NTMM_ASSERT(lock_is_held(c, level));
    lock_note_free(c, level);
    lock_trace_released(lock, level);
    store32_release(lock, 0);
    lock_leave(c);
}

/* The same while another stays held. */
static inline void lock_release_inner(struct call *c, le32 *lock, enum lock_level level)
{
    NTMM_ASSERT(lock_is_held(c, level) && c->depth > 1);
    lock_note_free(c, level);
    lock_trace_released(lock, level);
    store32_release(lock, 0);
    c->depth--;
    schedule_point(POINT_RELEASE);
}

#endif
