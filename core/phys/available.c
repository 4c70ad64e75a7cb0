/*
 * Whether there are frames: counts of a moment.
 */
#include "phys/cache.h"

uint64_t frames_available(struct call *c)
{
    struct partition *partition = partition_of(c);
    struct node *node = &partition->node;
    const struct allocation_failures *failures = &c->sys->failures;
    if (__builtin_expect(failures->count == UINT64_MAX, 0) && failures->after == 0)
        return 0; /* a test lets every allocation fail */
    lock_acquire(c, &node->lock, LOCK_NODE);
    uint64_t available = get64(&node->zeroed.count) + get64(&node->free.count);
    lock_release(c, &node->lock, LOCK_NODE);
    atomic_thread_fence(
        memory_order_seq_cst); /* against frame_enlist: count, then look for waiters */
    return available + caches_frames(c) + load64_relaxed(&partition->standby_pages);
}

/* One list has them all, at this moment: nobody has to wait for a node to know that. */
static bool are_plenty(struct call *c, uint64_t pages)
{
    const struct node *node = &partition_of(c)->node;
    return c->sys->failures.count == 0 && (load64_relaxed(&node->free.count) >= pages ||
                                           load64_relaxed(&node->zeroed.count) >= pages);
}

bool frames_are_available(struct call *c, uint64_t pages)
{
    if (__builtin_expect(are_plenty(c, pages), 1) || frames_available(c) >= pages)
        return true;
    c->want = (struct want){.kind = WANT_FRAME, .pages = pages};
    return false;
}
