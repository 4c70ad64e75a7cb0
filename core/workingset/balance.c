/*
 * The balance set manager. See balance.h, and docs/paging.md for what the numbers are about.
 *
 *   (slot, hand) --> | working set | working set | ... |  standby, modified, in transfer
 *                     one clock over all of them           the reserve
 *
 * The reserve holds pages that can be had back without I/O while they wait to be taken, oldest
 * first. Trimming fills it up, and no more: so a slow disk delays faults, but does not empty
 * working sets. Each time it is filled, all working sets are aged first; so an age counts fillings
 * of the reserve that the page was not used in, whatever the time between them, and the oldest
 * pages go first.
 *
 * Several threads may do this at once; each then trims for itself, at most a reserve too much.
 * Source: nt_semantics 8 and 9.1; the reserve, the clock and what an age counts are ours.
 */
#include "workingset/balance.h"
#include "base/bits.h"
#include "paging/transfers.h"
#include "space/wsl.h"
#include "workingset/area_tables.h"

/* Entries looked at, at most, while one (W) is held: some 10 microseconds. */
#define SWEEP_PAGES 512u

/* Parts are powers of two: 1 << shift. */

/* The reserve is this part of the frames that hold pages of processes, 1/8. With 1/8 and with 1/4
 * the stored traces miss about as often as under LRU, but with 1/8 half as many faults are soft. */
#define RESERVE_SHIFT 3u
/* Never less: one shootdown and one transfer should be worth it. */
#define RESERVE_MINIMUM_PAGES 8u
/* Never more, 16 MiB: a fault should not trim for long. */
#define RESERVE_MAXIMUM_PAGES 4096u
/* Entries that one round looks at for each page wanted: all of memory, unless that is so large that
 * the reserve has its maximum. */
#define ROUND_FACTOR 16u

/* Entries that one tick ages, at most: a few milliseconds. */
#define TICK_PAGES 262144u
/* A tick ages while this part of memory, 1/4, is available. When it is not, only filling the
 * reserve does: ticks that come faster than pages are needed would make everything look idle but
 * what was used last, and the order of the rest would be lost. */
#define AMPLE_SHIFT 2u

/* NT's wake conditions of the modified page writer, in pages, and what they are of 1 GiB, 1/16: a
 * smaller memory wakes it at that part of itself. */
#define WRITE_WHEN_UNUSED_BELOW 20000u
#define WRITE_WHEN_AVAILABLE_BELOW 15000u
#define WRITE_WHEN_MODIFIED_ABOVE 16384u
#define MEMORY_SHIFT 4u
#define AVAILABLE_SHIFT 4u

/* Pages of files that a tick writes because of their age, at most, 16 MiB: gradually, so that reads
 * find the devices free in between. */
#define AGED_PAGES 4096u

/* A working set at its hard maximum gives up this part of it at once, 1/16, but no more than 64
 * pages: so finding them costs each fault a few entries. */
#define REPLACE_SHIFT 4u
#define REPLACE_MAXIMUM_PAGES 64u

/* --- rounds: the clock goes over the working sets --- */

/* What trimming leaves to a working set. */
enum leaves { LEAVES_MINIMUM, LEAVES_NOTHING };

struct round {
    enum leaves leaves;
    uint32_t age;                    /* rank from which pages go; WSL_AGE_NONE: the round ages */
    uint64_t examine;                /* entries still to be looked at */
    uint64_t trim;                   /* pages still to be trimmed */
    uint64_t progress;               /* pages and tables trimmed */
    uint64_t ranks[WSL_AGE_MAX + 1]; /* of an aging round: pages above their minimum, by rank */
};

static bool is_aging(const struct round *round) { return round->age == WSL_AGE_NONE; }

static bool is_round_over(const struct round *round)
{
    return round->examine == 0 || (!is_aging(round) && round->trim == 0);
}

static bool is_above_maximum(const struct process *process)
{
    return get64(&process->working_set_pages) > get64(&process->working_set_maximum);
}

static uint64_t pages_above_minimum(const struct process *process)
{
    uint64_t pages = get64(&process->working_set_pages);
    return pages - min_u64(pages, get64(&process->working_set_minimum));
}

/* Most pages that a round may trim of a working set. */
static uint64_t most_of(const struct process *process, const struct round *round)
{
    bool is_hard = (get32(&process->limit_flags) & LIMIT_HARD_MINIMUM) != 0;
    if (round->leaves == LEAVES_NOTHING && !is_hard)
        return round->trim; /* and where there is no page, perhaps a table */
    return min_u64(round->trim, pages_above_minimum(process));
}

/*
 * Rank: the age, plus one for an idle page of a working set above its maximum.
 *
 *   age      0 1 2 3 4 5 6 7
 *   within   0 1 2 3 4 5 6 7
 *   above    0 2 3 4 5 6 7 7
 */
static void add_ranks(struct round *round, const struct process *process,
                      const struct wsl_pass *pass)
{
    uint32_t more = is_above_maximum(process);
    if (pages_above_minimum(process) == 0)
        return;
    for (uint32_t age = 1; age <= WSL_AGE_MAX; age++)
        round->ranks[min_u64(age + more, WSL_AGE_MAX)] += pass->ages[age];
}

static uint32_t age_of_rank(const struct process *process, uint32_t rank)
{
    bool is_earlier = rank > 1 && rank <= WSL_AGE_MAX && is_above_maximum(process);
    return is_earlier ? rank - 1 : rank;
}

/* A piece of a locked working set. False: the round has no more to do with it. */
static bool sweep_piece(struct call *c, struct process *process, struct round *round)
{
    struct wsl_pass pass = {
        .examine = min_u64(SWEEP_PAGES, round->examine),
        .trim = most_of(process, round),
        .trim_age = age_of_rank(process, round->age),
    };
    if (pass.trim == 0 && !is_aging(round))
        return false;
    wsl_sweep(c, process, &pass);
    round->examine -= min_u64(round->examine, pass.examined);
    round->trim -= pass.trimmed;
    round->progress += pass.trimmed + pass.tables;
    if (is_aging(round))
        add_ranks(round, process, &pass);
    return !pass.wrapped;
}

/* A working set, or the rest of it. True: the clock is at its end. */
static bool sweep_slot(struct call *c, uint32_t slot, struct round *round)
{
    bool has_more = true;
    while (has_more && !is_round_over(round)) {
        struct process *process = process_lock_slot(c, slot);
        if (!process)
            return true;
        has_more = sweep_piece(c, process, round);
        process_unlock_working_set(c, process);
    }
    return !has_more;
}

static uint32_t slot_count(const struct call *c)
{
    return load32_acquire(&anchor_of(c)->slot_count);
}

/* The slot at which the clock's hand is. */
static uint32_t current_slot(const struct call *c)
{
    uint32_t slot = load32_relaxed(&partition_of(c)->balance_slot);
    return slot < slot_count(c) ? slot : 0;
}

/* On to the next slot, unless another thread has done it. */
static void leave_slot(struct call *c, uint32_t slot)
{
    uint32_t next = slot + 1 < slot_count(c) ? slot + 1 : 0;
    uint32_t seen = load32_relaxed(&partition_of(c)->balance_slot);
    if (seen == slot || seen >= slot_count(c))
        (void)cas32_acq_rel(&partition_of(c)->balance_slot, &seen, next);
}

/* At most once around, which ends where it began: the slot of the beginning comes twice. */
static void go_round(struct call *c, struct round *round)
{
    for (uint32_t visits = 0; visits <= slot_count(c) && !is_round_over(round); visits++) {
        uint32_t slot = current_slot(c);
        if (sweep_slot(c, slot, round))
            leave_slot(c, slot);
    }
}

/* --- trimming --- */

/* The rank from which on there are so many pages; 0: there are not so many idle ones. */
static uint32_t rank_of(const struct round *aged, uint64_t pages)
{
    uint32_t rank = WSL_AGE_MAX;
    for (uint64_t older = aged->ranks[rank]; older < pages && rank > 0; older += aged->ranks[rank])
        rank--;
    return rank;
}

/*
 * Age all, then trim so many pages of working sets above their minimum: first those older than the
 * rank at which that many are found, then those of that rank, and on down to `lowest`. Returns the
 * pages and tables that went.
 */
static uint64_t trim_oldest(struct call *c, uint64_t pages, uint64_t all, uint32_t lowest)
{
    uint64_t examine = min_u64(all, pages * ROUND_FACTOR);
    struct round aging = {.age = WSL_AGE_NONE, .examine = examine};
    go_round(c, &aging);
    struct round round = {.age = rank_of(&aging, pages) + 1, .trim = pages};
    round.age = (uint32_t)min_u64(max_u64(round.age, lowest), WSL_AGE_MAX);
    for (;; round.age--) {
        round.examine = examine;
        go_round(c, &round);
        if (round.trim == 0 || round.age == lowest)
            return round.progress;
    }
}

/* Go below the minimum, and at last take what is used. Returns the pages and tables that went. */
static uint64_t trim_below_minimum(struct call *c, uint64_t pages)
{
    struct round round = {.leaves = LEAVES_NOTHING, .age = 1, .trim = pages};
    round.examine = UINT64_MAX;
    go_round(c, &round);
    round.age = 0;
    go_round(c, &round);
    return round.progress;
}

/* --- one working set --- */

/* Trim pages of this age at least, twice around at most. Returns how many went. */
static uint64_t trim_own(struct call *c, struct process *process, uint64_t pages, uint32_t age)
{
    uint64_t trimmed = 0;
    for (uint32_t turns = 0; turns < 2 && trimmed < pages;) {
        struct wsl_pass pass = {.examine = SWEEP_PAGES, .trim = pages - trimmed, .trim_age = age};
        wsl_sweep(c, process, &pass);
        trimmed += pass.trimmed;
        turns += pass.wrapped;
    }
    return trimmed;
}

static void age_own(struct call *c, struct process *process)
{
    struct wsl_pass pass;
    uint64_t examined = 0;
    uint64_t pages = get64(&process->working_set_pages);
    for (uint32_t turns = 0; turns < 2 && examined < pages; turns += pass.wrapped) {
        pass = (struct wsl_pass){.examine = pages - examined, .trim_age = WSL_AGE_NONE};
        wsl_sweep(c, process, &pass);
        examined += pass.examined;
    }
}

/* Idle pages, or if there is none, any. Returns how many went, at most `pages`. */
static uint64_t trim_some(struct call *c, struct process *process, uint64_t pages)
{
    uint64_t trimmed = trim_own(c, process, pages, 1);
    if (trimmed)
        return trimmed;
    age_own(c, process);
    trimmed = trim_own(c, process, pages, 1);
    return trimmed ? trimmed : trim_own(c, process, pages, 0);
}

uint64_t balance_shrink(struct call *c, struct process *process, uint64_t pages)
{
    uint64_t before = get64(&process->working_set_pages);
    uint64_t now = before;
    while (now > pages && trim_some(c, process, now - pages) != 0)
        now = get64(&process->working_set_pages);
    return before - now;
}

uint64_t balance_make_room(struct call *c, struct process *process)
{
    uint64_t maximum = get64(&process->working_set_maximum);
    uint64_t part = min_u64(max_u64(maximum >> REPLACE_SHIFT, 1), REPLACE_MAXIMUM_PAGES);
    return balance_shrink(c, process, maximum - part);
}

static void empty_slot(struct call *c, uint32_t slot)
{
    uint64_t page = 0;
    for (bool has_more = true; has_more;) {
        struct process *process = process_lock_slot(c, slot);
        if (!process)
            return;
        has_more = wsl_trim_range(c, process, &page, get64(&process->highest_page), 0);
        process_unlock_working_set(c, process);
    }
}

void balance_empty_all(struct call *c)
{
    for (uint32_t slot = 0; slot < slot_count(c); slot++)
        empty_slot(c, slot);
}

void balance_age_all(struct call *c)
{
    struct round aging = {.age = WSL_AGE_NONE, .examine = UINT64_MAX};
    go_round(c, &aging);
}

/* --- the reserve --- */

/* Where the frames are that hold pages of processes. */
struct use {
    uint64_t pages;   /* all of them */
    uint64_t sets;    /* in working sets */
    uint64_t reserve; /* on a list, or in a transfer */
};

static uint64_t user_pages(struct call *c)
{
    uint64_t peak;
    return frames_user_pages(c, &peak);
}

/* A moment's truth, roughly: one working set after the other. */
static struct use find_use(struct call *c)
{
    struct use use = {0};
    for (uint32_t slot = 0; slot < slot_count(c); slot++) {
        struct process *process = process_lock_slot(c, slot);
        if (!process)
            continue;
        use.sets += get64(&process->working_set_pages);
        process_unlock_working_set(c, process);
    }
    /* a page that several map is one page */
    uint64_t shares = load64_relaxed(&partition_of(c)->section_shares);
    uint64_t shared = load64_relaxed(&partition_of(c)->section_active);
    use.sets -= min_u64(use.sets, shares - min_u64(shares, shared));
    use.pages = user_pages(c);
    use.reserve = use.pages - min_u64(use.pages, use.sets);
    return use;
}

static uint64_t reserve_of(const struct use *use)
{
    uint64_t part = use->pages >> RESERVE_SHIFT;
    return min_u64(max_u64(part, RESERVE_MINIMUM_PAGES), RESERVE_MAXIMUM_PAGES);
}

/* Write what is modified, as far as blocks and slots go; returns the pages. */
static uint64_t write_modified(struct call *c)
{
    return writer_run(c, UINT64_MAX) + mapped_writer_run(c, UINT64_MAX);
}

/* Fill the reserve, and `pages` more, with pages of rank `lowest` at least; write what is modified.
 * */
static void fill_reserve(struct call *c, uint64_t pages, uint32_t lowest)
{
    struct use use = find_use(c);
    uint64_t goal = reserve_of(&use) + pages;
    uint64_t wanted = goal - min_u64(goal, use.reserve);
    if (wanted != 0) {
        (void)trim_oldest(c, wanted, use.sets, lowest);
        (void)area_tables_sweep(c, wanted * ROUND_FACTOR, wanted);
    }
    (void)write_modified(c);
}

/* Whether `pages` frames are there, or will be without anybody's help: a write ends, and wakes who
 * waits for frames. */
static bool is_served(struct call *c, uint64_t pages)
{
    return frames_available(c) >= pages || transfers_are_writing(c);
}

/* Without page files and mapped files every page is modified and stays so: trimming it frees
 * nothing. */
static bool can_gain(const struct call *c)
{
    return load64_relaxed(&anchor_of(c)->areas_head) != 0 ||
           load32_acquire(&partition_of(c)->page_file_count) != 0 ||
           (c->sys->paging_flags & NTMM_PAGING_ZEROS_NEED_NO_SLOT);
}

/* The reserve cannot be written now, or nothing is left above a minimum: go on regardless. Returns
 * the pages and tables that went. */
static uint64_t trim_harder(struct call *c, uint64_t pages)
{
    struct use use = find_use(c);
    uint64_t wanted = reserve_of(&use) + pages;
    uint64_t progress = trim_oldest(c, wanted, use.sets, 0);
    if (progress == 0)
        progress = trim_below_minimum(c, wanted);
    return progress + area_tables_sweep(c, UINT64_MAX, wanted);
}

void balance_reclaim(struct call *c, uint64_t pages)
{
    c->chances = waiters_chances(c);
    if (!can_gain(c))
        return;
    fill_reserve(c, pages, 0);
    uint64_t most = user_pages(c); /* each page once, though others bring them back meanwhile */
    for (uint64_t trimmed = 0; trimmed <= most;) {
        c->chances = waiters_chances(c);
        if (is_served(c, pages))
            return;
        uint64_t available = frames_available(c);
        uint64_t progress = trim_harder(c, pages);
        trimmed += progress;
        (void)write_modified(c);
        /* a write that fails at once leaves its pages modified: to have written is no gain */
        if (progress == 0 && frames_available(c) <= available)
            return;
    }
}

/* --- the tick --- */

static uint64_t part_of_memory(struct call *c, uint64_t most, uint32_t shift)
{
    return min_u64(most, load64_relaxed(&partition_of(c)->total_pages) >> shift);
}

static bool is_scarce(struct call *c, uint64_t available)
{
    return available < part_of_memory(c, WRITE_WHEN_AVAILABLE_BELOW, MEMORY_SHIFT);
}

static bool is_modified_list_long(struct call *c, uint64_t available)
{
    uint64_t standby = load64_relaxed(&partition_of(c)->standby_pages);
    uint64_t unused = available - min_u64(available, standby);
    uint64_t modified = load64_relaxed(&partition_of(c)->modified.count) +
                        load64_relaxed(&partition_of(c)->modified_mapped.count);
    return unused < part_of_memory(c, WRITE_WHEN_UNUSED_BELOW, MEMORY_SHIFT) &&
           modified > min_u64(available >> AVAILABLE_SHIFT, WRITE_WHEN_MODIFIED_ABOVE);
}

static void age_all(struct call *c)
{
    struct use use = find_use(c);
    struct round aging = {.age = WSL_AGE_NONE, .examine = min_u64(use.sets, TICK_PAGES)};
    go_round(c, &aging);
}

void balance_tick(struct call *c)
{
    uint64_t available = frames_available(c);
    if (available >= part_of_memory(c, UINT64_MAX, AMPLE_SHIFT))
        age_all(c);
    if (is_scarce(c, available) && can_gain(c))
        fill_reserve(c, 0, 1);
    else if (is_modified_list_long(c, available))
        (void)write_modified(c);
    (void)mapped_age_run(c, AGED_PAGES);
}
