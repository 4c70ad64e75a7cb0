/*
 * The zeroed and free lists of a node, one frame at a time: what frames.c and cache.c share.
 */
#ifndef NTMM_PHYS_FREE_H
#define NTMM_PHYS_FREE_H

#include "phys/pfn.h"

/* A frame that is nobody else's is somebody's from now on. */
static inline void free_make_active(struct pfn *pfn, enum ntmm_frame_use use)
{
    set32(&pfn->share_count, 1);
    set16(&pfn->reference_count, 1);
    store16_relaxed(&pfn->state, pfn_state(NTMM_FRAME_ACTIVE, use, PRIORITY_DEFAULT));
}

/* Fetch the line of an address, which is about to be written: as one's own, so that the store does
 * not have to ask for it once more. Without effect on processors that lack the instruction. */
#if defined(__x86_64__)
static inline void free_fetch_line(const void *address)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
}
#else
static inline void free_fetch_line(const void *address) { __builtin_prefetch(address, 1); }
#endif

/* Whether a frame holds a page that processes see, and that may leave memory. */
static inline bool free_is_user(enum ntmm_frame_use use)
{
    return use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION;
}

/* Take the head of a node's list. FRAME_NONE: empty. (N) is held. */
uint64_t free_pop(struct call *c, struct node *node, struct frame_list *list,
                  enum ntmm_frame_use use);

/* Take up to *count, more than half of them, or all there are, from the head of a node's list that
 * is not empty, through flink: active, of use FREE; the flink of the last one stays what it was.
 * *count is how many. (N) is held. */
uint64_t free_pop_chain(struct call *c, struct node *node, struct frame_list *list,
                        uint64_t *count);

/* Put an active frame that nothing names on a node's list, behind another of it or, FRAME_NONE, at
 * its head. (N) is held. */
void free_put(struct call *c, struct node *node, struct frame_list *list, uint64_t previous,
              uint64_t frame);

#endif
