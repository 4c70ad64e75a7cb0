/*
 * Commit: pages promised, exact to the page.
 *
 * C1 the partition's charge is the sum of: private pages committed and tables of every process,
 *    frames of slabs, frames of process objects, frames of page files' descriptors and slot maps.
 * C2 the charge never passes the limit, but for page tables made by faults: these may go beyond by
 *    at most the reserve, and each such page is counted by the process.
 *    Frames that went bad lower the limit, whatever is charged: it may be passed by as many. Frames
 *    that are removed lower it before they go, and do not go if what is charged then passes it.
 * C3 the recorded peak is at least the charge.
 * C4 the limit is the frames that are there, less metadata and bad ones, and what page files and
 *    the configuration add.
 * C5 a processor keeps at most COMMIT_KEPT_MAX pages.
 *
 * One word, changed by compare and exchange: no lock, and no moment at which it is wrong. Once
 * processors keep frames apart (cache.h), they keep commit apart too, as NT's do: what a processor
 * gives back it keeps, up to COMMIT_KEPT_MAX pages, and charges from that first, so that two that
 * make and free regions do not write one word by turns. The partition's word includes what is kept;
 * the charge is less by that (commit_charged). Whoever would pass the limit takes all of it back
 * first. The peak is of the word, so it may say more than was ever promised, by what was kept.
 */
#include "base/bits.h"
#include "phys/cache.h"

/* Raise the recorded peak to at least `charge`. */
static void note_peak(struct partition *partition, uint64_t charge)
{
    uint64_t peak = load64_relaxed(&partition->commit_peak);
    while (charge > peak && !cas64(&partition->commit_peak, &peak, charge)) {
    }
}

/* Charge the partition's word, which is *charged then, unless that would pass the limit. */
static bool charge_up_to(struct call *c, uint64_t pages, uint64_t limit, uint64_t *charged)
{
    struct partition *partition = partition_of(c);
    uint64_t seen = load64_relaxed(&partition->commit);
    do {
        if (pages > limit || seen > limit - pages)
            return false;
    } while (!cas64(&partition->commit, &seen, seen + pages));
    *charged = seen + pages;
    note_peak(partition, *charged);
    return true;
}

/* Charge from what the processor keeps. False: that is less. */
static bool charge_kept(struct call *c, uint64_t pages)
{
    if (!caches_are_used(c))
        return false;
    le64 *kept = &cache_of_processor(c)->commit;
    uint64_t seen = load64_relaxed(kept);
    do {
        if (seen < pages)
            return false;
    } while (!cas64(kept, &seen, seen - pages));
    return true;
}

/* Keep what is given back. False: there is no room for it. */
static __attribute__((noinline)) bool keep(struct call *c, uint64_t pages)
{
    if (pages > COMMIT_KEPT_MAX)
        return false;
    le64 *kept = &cache_of_processor(c)->commit;
    uint64_t seen = load64_relaxed(kept);
    do {
        if (seen > COMMIT_KEPT_MAX - pages)
            return false;
    } while (!cas64(kept, &seen, seen + pages));
    return true;
}

static void take_from_word(struct call *c, uint64_t pages)
{
    struct partition *partition = partition_of(c);
    uint64_t seen = load64_relaxed(&partition->commit);
    do {
        NTMM_ASSERT(seen >= pages);
    } while (!cas64(&partition->commit, &seen, seen - pages));
}

/* Give back what all processors keep. Whether it was anything. */
static __attribute__((noinline)) bool give_back_kept(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t pages = 0;
    if (!caches_are_used(c))
        return false;
    for (uint32_t i = 0; i < FRAME_CACHES; i++) {
        uint64_t seen = load64_relaxed(&anchor->caches[i].commit);
        while (seen != 0 && !cas64(&anchor->caches[i].commit, &seen, 0)) {
        }
        pages += seen;
    }
    take_from_word(c, pages);
    return pages != 0;
}

static bool charge_within(struct call *c, uint64_t pages, uint64_t limit)
{
    uint64_t charged;
    while (!charge_up_to(c, pages, limit, &charged)) {
        if (!give_back_kept(c))
            return false;
    }
    return true;
}

/* What charge does not find at once. */
static __attribute__((noinline)) bool charge_anywhere(struct call *c, uint64_t pages,
                                                      uint64_t beyond, uint64_t *overdrawn)
{
    uint64_t limit = load64_relaxed(&partition_of(c)->commit_limit);
    uint64_t charged;
    if (charge_kept(c, pages) || charge_within(c, pages, limit)) {
        condition_note(c);
        return true;
    }
    if (beyond != 0 && charge_up_to(c, pages, limit + beyond, &charged)) {
        *overdrawn = charged > limit ? min_u64(charged - limit, pages) : 0;
        condition_note(c);
        return true;
    }
    c->want = (struct want){.kind = WANT_COMMIT, .pages = pages};
    return false;
}

/* Charge; beyond the limit up to `beyond` pages, *overdrawn says how many of these. */
static inline bool charge(struct call *c, uint64_t pages, uint64_t beyond, uint64_t *overdrawn)
{
    uint64_t limit = load64_relaxed(&partition_of(c)->commit_limit);
    uint64_t charged;
    *overdrawn = 0;
    if (schedule_refuses_commit()) {
        c->want = (struct want){.kind = WANT_COMMIT, .pages = pages};
        return false;
    }
    if (__builtin_expect(caches_are_used(c) || !charge_up_to(c, pages, limit, &charged), 0))
        return charge_anywhere(c, pages, beyond, overdrawn);
    condition_note(c);
    return true;
}

bool commit_charge(struct call *c, uint64_t pages)
{
    uint64_t overdrawn;
    return charge(c, pages, 0, &overdrawn);
}

bool commit_charge_fault(struct call *c, uint64_t pages, uint64_t *overdrawn)
{
    return charge(c, pages, get64(&partition_of(c)->commit_reserve), overdrawn);
}

void commit_return(struct call *c, uint64_t pages)
{
    if (__builtin_expect(!caches_are_used(c), 1) || !keep(c, pages))
        take_from_word(c, pages);
    condition_note(c);
}

uint64_t commit_charged(const struct call *c)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t kept = 0;
    for (uint32_t i = 0; caches_are_used(c) && i < FRAME_CACHES; i++)
        kept += load64_relaxed(&anchor->caches[i].commit);
    uint64_t word = load64_relaxed(&anchor->partition.commit);
    return word > kept ? word - kept : 0;
}

/* First the charge, so that nobody is promised what it takes. */
void commit_extend(struct call *c, uint64_t limit_pages, uint64_t charge_pages)
{
    struct partition *partition = partition_of(c);
    NTMM_ASSERT(charge_pages <= limit_pages);
    note_peak(partition, add64(&partition->commit, charge_pages));
    (void)add64(&partition->commit_limit, limit_pages);
    condition_note(c);
}

void commit_lower(struct call *c, uint64_t limit_pages)
{
    (void)add64(&partition_of(c)->commit_limit, 0 - limit_pages);
    condition_note(c);
}

bool commit_is_within(struct call *c)
{
    const struct partition *partition = partition_of(c);
    while (load64_relaxed(&partition->commit) > load64_relaxed(&partition->commit_limit)) {
        if (!give_back_kept(c))
            return false;
    }
    return true;
}

bool commit_lower_within(struct call *c, uint64_t limit_pages)
{
    bool is_there = load64_relaxed(&partition_of(c)->commit_limit) >= limit_pages;
    if (is_there)
        commit_lower(c, limit_pages);
    if (is_there && commit_is_within(c))
        return true;
    if (is_there)
        commit_extend(c, limit_pages, 0);
    c->want = (struct want){.kind = WANT_COMMIT, .pages = limit_pages};
    return false;
}
