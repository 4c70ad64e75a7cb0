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
 *
 * One word, changed by compare and exchange: no lock, and no moment at which it is wrong.
 */
#include "phys/pfn.h"

/* Raise the recorded peak to at least `charge`. */
static void note_peak(struct partition *partition, uint64_t charge)
{
    uint64_t peak = load64_relaxed(&partition->commit_peak);
    while (charge > peak && !cas64(&partition->commit_peak, &peak, charge)) {
    }
}

static bool charge_up_to(struct call *c, uint64_t pages, uint64_t limit, uint64_t *charged)
{
    struct partition *partition = partition_of(c);
    uint64_t seen = load64_relaxed(&partition->commit);
    do {
        if (pages > limit || seen > limit - pages || schedule_refuses_commit()) {
            c->want = (struct want){.kind = WANT_COMMIT, .pages = pages};
            return false;
        }
    } while (!cas64(&partition->commit, &seen, seen + pages));
    *charged = seen + pages;
    note_peak(partition, seen + pages);
    condition_note(c);
    return true;
}

bool commit_charge(struct call *c, uint64_t pages)
{
    uint64_t charged;
    return charge_up_to(c, pages, load64_relaxed(&partition_of(c)->commit_limit), &charged);
}

bool commit_charge_fault(struct call *c, uint64_t pages, uint64_t *overdrawn)
{
    struct partition *partition = partition_of(c);
    uint64_t limit = load64_relaxed(&partition->commit_limit);
    uint64_t charged;

    *overdrawn = 0;
    if (!charge_up_to(c, pages, limit + get64(&partition->commit_reserve), &charged))
        return false;
    if (charged > limit)
        *overdrawn = charged - limit < pages ? charged - limit : pages;
    return true;
}

void commit_return(struct call *c, uint64_t pages)
{
    struct partition *partition = partition_of(c);
    uint64_t seen = load64_relaxed(&partition->commit);
    do {
        NTMM_ASSERT(seen >= pages);
    } while (!cas64(&partition->commit, &seen, seen - pages));
    condition_note(c);
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

bool commit_is_within(const struct call *c)
{
    const struct partition *partition = partition_of(c);
    return load64_relaxed(&partition->commit) <= load64_relaxed(&partition->commit_limit);
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
