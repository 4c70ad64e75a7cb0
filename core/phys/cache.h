/*
 * Caches of free frames: what a processor takes from its node together, and hands out by itself.
 *
 *   node  zeroed, free --64 at a time, (N)--> cache of a processor --one by one, (P)--> faults
 *                      <-----all of them, when frames are short-----
 *
 * A system has none until somebody has waited for a node: before that, (N) costs less. Only who
 * wants a zeroed frame takes from a cache; a few frames that come free go to that of the processor,
 * so that it takes again what it has just used, and more of them to the node, as always. A
 * cache takes a sixteenth of what the node has, and no few, so that it never has what others lack
 * for long; who finds the node empty empties the caches first, and only then looks on.
 *
 * In a cache a frame is active, of use FREE, with a share and a reference, as one that is being
 * zeroed is. It counts as zeroed or free in every report.
 *
 * What caches add to the node's user_pages is part of that sum (P10); user_peak may miss what came
 * and went in them between two looks of who held (N).
 *
 *   P15 a frame in a cache is such a frame, in no other cache; it is zero if the cache says so
 */
#ifndef NTMM_PHYS_CACHE_H
#define NTMM_PHYS_CACHE_H

#include "phys/pfn.h"

#define COMMIT_KEPT_MAX 64u /* pages that a processor keeps promised to nobody, see commit.c */

static inline bool caches_are_used(const struct call *c)
{
    return load32_relaxed(&anchor_of(c)->has_caches) != 0;
}

static inline struct frame_cache *cache_of_processor(struct call *c)
{
    return &anchor_of(c)->caches[call_processor(c) & (FRAME_CACHES - 1)];
}

/* From now on they are. */
void caches_begin(struct call *c);

/* Frames in all of them, at this moment: zeroed or free ones. */
uint64_t caches_count(const struct call *c, bool is_zeroed);

/* Both. */
static inline uint64_t caches_frames(const struct call *c)
{
    return caches_are_used(c) ? caches_count(c, false) + caches_count(c, true) : 0;
}

/* What all of them add to the node's user_pages. */
uint64_t caches_user_pages(const struct call *c);

/*
 * A frame from the processor's cache, which is filled if it is empty; active, with the use.
 * FRAME_NONE: the node has too few. Takes (P), (N).
 */
uint64_t cache_take(struct call *c, enum ntmm_frame_use use, bool *is_zeroed);

/* A few frames that nothing names, which are not zeroed, become the processor's cache's; `user` of
 * them were pages of processes. False, with nothing changed: there is no room. Takes (P). */
bool cache_put(struct call *c, const struct frame_chain *chain, uint64_t user);

bool caches_give_back(struct call *c);

/* Give all frames of all caches to the node. Whether there were any. Takes (P), (N). */
static inline bool caches_drain(struct call *c)
{
    return __builtin_expect(caches_are_used(c), 0) && caches_give_back(c);
}

#endif
