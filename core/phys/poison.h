/*
 * Poison: what debug builds, and that of ci/coverage, put where nobody may write.
 *
 *   freed ----> filled, marked ----> free list, cache ----> taken: whole? mark gone ----> zeroed,
 *               (no lock held)                              (traps if not)                 filled
 *
 * A store that still reaches a frame after it came free (a translation that was not withdrawn, a
 * transfer that was not counted, a pointer of the core's) breaks the pattern: the next to take the
 * frame traps, and the checker names the frame (P16). So does a store behind the end of an object
 * of a slab, if the object does not fill its place (S6).
 *
 * A free frame is the core's, as one of a table is, so it is filled through the direct map: no
 * operation of the platform is called, none fails, and none is counted by who makes them fail. A
 * whole page is filled and looked at, so that a store of one byte is found wherever it falls; what
 * that costs is lost in the noise of the simulation's time.
 *
 * Frames that are lent to the core are in no range and never free. Frames that were handed over
 * with other contents than zeros are not filled before they are used once. The filling depends on
 * nothing but the order of calls: equal runs of one build leave equal frames, but a debug build
 * does not leave those of a build without guards.
 *
 * Whether frames and objects are guarded is said in the anchor when a system is created. A build
 * that does not guard takes that back when it attaches; one that does never begins to.
 *
 *   P16 a marked frame is free, on its list or in a cache that is not of zeroed frames, and holds
 *       the pattern
 */
#ifndef NTMM_PHYS_POISON_H
#define NTMM_PHYS_POISON_H

#include "phys/pfn.h"

#if defined(NTMM_DEBUG) || defined(NTMM_COVERAGE)
#define POISON_IS_BUILT 1
#else
#define POISON_IS_BUILT 0
#endif

/* Even, so that as an entry it is not valid; as a pointer it is not canonical. */
#define POISON_BYTE 0xDEu

/* Of table_frame: the row's frame was filled when it came free. */
#define PFN_POISONED (1ull << 63)

static inline bool is_said_guarded(const struct call *c)
{
    return get32(&anchor_of(c)->is_guarded) != 0;
}

#if POISON_IS_BUILT
static inline bool is_guarded(const struct call *c) { return is_said_guarded(c); }
#else
static inline bool is_guarded(const struct call *c)
{
    (void)c;
    return false;
}
#endif

/* Whether bytes are all of the pattern. */
static inline bool poison_is_whole(const void *bytes, size_t size)
{
    const uint8_t *first = bytes;
    return size == 0 ||
           (*first == POISON_BYTE && __builtin_memcmp(first, first + 1, size - 1) == 0);
}

static inline bool poison_is_marked(const struct pfn *pfn)
{
    return (get64(&pfn->table_frame) & PFN_POISONED) != 0;
}

/* Frames that come free, before anybody can take them. */
static inline void poison_fill_chain(const struct call *c, const struct frame_chain *chain)
{
    if (!is_guarded(c))
        return;
    for (uint64_t frame = chain->head; frame != FRAME_NONE; frame = get64(&pfn_at(c, frame)->flink))
        __builtin_memset(table_at(c, frame), POISON_BYTE, NTMM_PAGE_SIZE);
}

/* A frame that was filled names nothing any more, and is about to be listed. */
static inline void poison_mark(const struct call *c, struct pfn *pfn)
{
    if (is_guarded(c))
        set64(&pfn->table_frame, PFN_POISONED);
}

/* A frame that the caller took, from wherever it was. */
static inline void poison_end(const struct call *c, uint64_t frame)
{
    if (!is_guarded(c))
        return;
    struct pfn *pfn = pfn_at(c, frame);
    if (!poison_is_marked(pfn))
        return;
    NTMM_ASSERT(poison_is_whole(table_at(c, frame), NTMM_PAGE_SIZE)); /* written to while free */
    set64(&pfn->table_frame, 0);
}

#endif
