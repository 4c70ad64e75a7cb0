/*
 * Conditions of memory: levels that NT signals.
 *
 *   available   0 ..... low ............ high ...............> all
 *               |-LOW---|                |-HIGH----------------|
 *   commit      0 ......... 3/4 of limit ... 9/10 ............ limit
 *               |-LOW_COMMIT-|               |-HIGH_COMMIT-------|
 *               9/10 of the limit with all page files grown:  MAXIMUM_COMMIT
 *
 * They are computed from counts when somebody asks. Whoever changes a count calls condition_note,
 * which looks only while the event is wanted, so that nobody else pays.
 *
 * Source: "Standard event objects", CreateMemoryResourceNotification, Microsoft documentation; the
 * fractions of commit are ours.
 */
#include "phys/cache.h"

#include <ntmm/statistics.h>

static uint32_t bit(enum ntmm_memory_condition condition) { return 1u << condition; }

/* Counts of a moment, without a lock. */
static uint32_t conditions_of_frames(const struct call *c)
{
    const struct anchor *anchor = anchor_of(c);
    const struct partition *partition = &anchor->partition;
    uint64_t available = load64_relaxed(&partition->node.zeroed.count) +
                         load64_relaxed(&partition->node.free.count) +
                         load64_relaxed(&partition->standby_pages);
    available += caches_frames(c);
    uint32_t bits = 0;
    if (available <= get64(&anchor->low_memory_pages))
        bits |= bit(NTMM_LOW_MEMORY_CONDITION);
    if (available >= get64(&anchor->high_memory_pages))
        bits |= bit(NTMM_HIGH_MEMORY_CONDITION);
    return bits;
}

static bool is_high(uint64_t commit, uint64_t limit) { return commit * 10 >= limit * 9; }

static uint32_t conditions_of_commit(const struct call *c)
{
    const struct partition *partition = partition_of(c);
    uint64_t commit = commit_charged(c);
    uint64_t limit = load64_relaxed(&partition->commit_limit);
    uint64_t maximum = limit + load64_relaxed(&partition->commit_growth);
    uint32_t bits = 0;
    if (commit * 4 <= limit * 3)
        bits |= bit(NTMM_LOW_COMMIT_CONDITION);
    if (is_high(commit, limit))
        bits |= bit(NTMM_HIGH_COMMIT_CONDITION);
    if (is_high(commit, maximum))
        bits |= bit(NTMM_MAXIMUM_COMMIT_CONDITION);
    return bits;
}

uint32_t conditions_now(const struct call *c)
{
    return conditions_of_frames(c) | conditions_of_commit(c);
}

void condition_look(struct call *c)
{
    uint32_t now = conditions_now(c);
    uint32_t before = __atomic_exchange_n(&c->sys->conditions, now, __ATOMIC_RELAXED);
    if (now != before)
        event_note(c, NTMM_EVENT_MEMORY_CONDITION, 0, now, before, now ^ before);
}
