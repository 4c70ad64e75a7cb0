/*
 * The balance set manager. See balance.h, and docs/paging.md for what the numbers are about.
 *
 *   (slot, hand) --> | working set | working set | ... |      one clock over all of them
 *
 * Outside the working sets, on Standby, on Modified or being written, lies the reserve: pages that
 * can be had back without I/O while they wait to be taken, oldest first. Trimming fills the reserve
 * up; so a slow disk delays faults, but does not empty working sets. The clock's hand moves on from
 * call to call: a page that it finds not accessed on its next visit has not been used for a whole
 * round.
 *
 * Several threads may do this at once; each then trims for itself, at most a reserve too much.
 * Source: nt_semantics 8 and 9.1; the clock, the reserve and the steps are ours.
 */
#include "workingset/balance.h"
#include "base/bits.h"
#include "paging/transfers.h"
#include "space/wsl.h"

/* Entries looked at, at most, while one (W) is held: some 10 microseconds. */
#define SWEEP_PAGES 512u

/* The reserve is this part of the frames that hold pages of processes. With 1/8 and with 1/4 the
 * stored traces miss about as often as under LRU, but with 1/8 half as many faults are soft. */
#define RESERVE_DIVISOR 8u
/* Never less: one shootdown and one transfer should be worth it. */
#define RESERVE_MINIMUM_PAGES 8u
/* Never more: a fault that trims should not trim for a second. 64 MiB. */
#define RESERVE_MAXIMUM_PAGES 16384u

/* Entries of a working set that one tick ages, at most: some milliseconds. */
#define TICK_PAGES 65536u

/* A tick ages while this part of memory is available. When it is not, only the clock does, as fast
 * as pages are needed: ticks that come faster would make everything look idle but the last pages
 * used, and the order in which pages were used would be lost. */
#define AMPLE_PART 4u

/* NT's wake conditions of the modified page writer, in pages, and what they are of 1 GiB: a smaller
 * memory wakes it at that part of itself. */
#define WRITE_WHEN_UNUSED_BELOW 20000u
#define WRITE_WHEN_AVAILABLE_BELOW 15000u
#define WRITE_WHEN_MODIFIED_ABOVE 16384u
#define MEMORY_PART 16u
#define AVAILABLE_PART 16u

/* Rounds of the clock that trim only what is idle: in the first one everything may be accessed, in
 * the second one a page is at age 1, in the third one at age 2. */
#define GENTLE_ROUNDS 3u

/* How far trimming goes; each goes further than those before it. Ages count rounds of the clock. */
enum severity {
    TRIM_IDLE,          /* idle pages of working sets above their minimum */
    TRIM_USED,          /* any page of these */
    TRIM_BELOW_MINIMUM, /* idle pages of all */
    TRIM_ALL,
    TRIM_SEVERITIES,
};

/* --- processes in turn --- */

/* Lock the working set of a slot's live process; NULL, nothing locked: there is none. */
static struct process *lock_slot(struct call *c, uint32_t slot)
{
    struct process *process = process_in_slot(c, slot);
    if (!process)
        return NULL;
    lock_acquire(c, &process->working_set_lock, LOCK_WORKING_SET);
    if (get64(&process->handle) != 0 && get32(&process->state) == PROCESS_LIVE)
        return process;
    process_unlock_working_set(c, process);
    return NULL;
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
    uint32_t seen = load32_relaxed(&partition_of(c)->balance_slot);
    if (seen == slot || seen >= slot_count(c))
        (void)cas32_acq_rel(&partition_of(c)->balance_slot, &seen,
                            slot + 1 < slot_count(c) ? slot + 1 : 0);
}

/* --- trimming --- */

/* Trimming in progress. */
struct trimming {
    enum severity severity;
    uint64_t left;     /* pages still to be trimmed */
    uint64_t progress; /* pages and tables trimmed */
};

/* Pages that trimming leaves to a working set. */
static uint64_t kept_pages(const struct process *process, enum severity severity)
{
    return severity < TRIM_BELOW_MINIMUM ? get64(&process->working_set_minimum) : 0;
}

/* A working set within its maximum gets the benefit of the doubt for one more round. */
static uint32_t trim_age(const struct process *process, enum severity severity)
{
    uint64_t maximum = get64(&process->working_set_maximum);
    if (severity == TRIM_USED || severity == TRIM_ALL)
        return 0;
    return get64(&process->working_set_pages) > maximum ? 1 : 2;
}

/* A piece of a locked working set. False: there is no more to do with it in this round. */
static bool sweep_piece(struct call *c, struct process *process, struct trimming *t)
{
    uint64_t pages = get64(&process->working_set_pages);
    uint64_t kept = kept_pages(process, t->severity);
    if (pages <= kept && kept != 0)
        return false;
    struct wsl_pass pass = {
        .examine = SWEEP_PAGES,
        .trim = kept != 0 ? min_u64(t->left, pages - kept) : t->left,
        .trim_age = trim_age(process, t->severity),
    };
    wsl_sweep(c, process, &pass);
    t->left -= pass.trimmed;
    t->progress += pass.trimmed + pass.tables;
    return !pass.wrapped;
}

/* The clock goes over one working set, or the rest of it. True: it is at its end. */
static bool sweep_slot(struct call *c, uint32_t slot, struct trimming *t)
{
    bool has_more = true;
    while (has_more && t->left != 0) {
        struct process *process = lock_slot(c, slot);
        if (!process)
            return true;
        has_more = sweep_piece(c, process, t);
        process_unlock_working_set(c, process);
    }
    return !has_more;
}

/* At most one round, which ends where it began: the slot of its beginning comes twice. Returns the
 * pages and tables trimmed. */
static uint64_t trim_round(struct call *c, uint64_t pages, enum severity severity)
{
    struct trimming t = {.severity = severity, .left = pages};
    for (uint32_t visits = 0; visits <= slot_count(c) && t.left != 0; visits++) {
        uint32_t slot = current_slot(c);
        if (sweep_slot(c, slot, &t))
            leave_slot(c, slot);
    }
    return t.progress;
}

static uint64_t user_pages(struct call *c)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    uint64_t pages = get64(&node->user_pages);
    lock_release(c, &node->lock, LOCK_NODE);
    return pages;
}

static uint64_t reserve_wanted(struct call *c)
{
    uint64_t part = user_pages(c) / RESERVE_DIVISOR;
    return min_u64(max_u64(part, RESERVE_MINIMUM_PAGES), RESERVE_MAXIMUM_PAGES);
}

/* Frames with pages of processes that are in no working set: on a list, or in a transfer. */
static uint64_t reserve_pages(struct call *c)
{
    uint64_t pages = user_pages(c);
    for (uint32_t slot = 0; slot < slot_count(c) && pages != 0; slot++) {
        struct process *process = lock_slot(c, slot);
        if (!process)
            continue;
        pages -= min_u64(pages, get64(&process->working_set_pages));
        process_unlock_working_set(c, process);
    }
    return pages;
}

/* Whether a transfer to a page file is in flight: it will end, and wake who waits for frames. */
static bool is_writing(struct call *c)
{
    uint32_t users = 0;
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++)
        users += c->sys->transfers.writes[i].users;
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
    return users != 0;
}

/* Without page files every page is modified and stays so: trimming it frees nothing. */
static bool can_gain(const struct call *c)
{
    return load32_acquire(&partition_of(c)->page_file_count) != 0 ||
           (c->sys->paging_flags & NTMM_PAGING_ZEROS_NEED_NO_SLOT);
}

/* Fill the reserve up to `goal` pages with what is idle, and write what is modified in it. */
static void fill_reserve(struct call *c, uint64_t goal, uint32_t rounds)
{
    uint64_t present = reserve_pages(c);
    for (uint32_t i = 0; i < rounds && present < goal; i++)
        present += trim_round(c, goal - present, TRIM_IDLE);
    (void)writer_run(c, UINT64_MAX);
}

/* Whether `pages` frames are there, or will be without anybody's help. */
static bool is_served(struct call *c, uint64_t pages)
{
    return frames_available(c) >= pages || is_writing(c);
}

/* What is in the reserve cannot be written now, or nothing is idle: go on regardless. Returns the
 * pages and tables trimmed. */
static uint64_t trim_harder(struct call *c, uint64_t pages)
{
    uint64_t progress = 0;
    for (uint32_t severity = TRIM_IDLE; progress == 0 && severity < TRIM_SEVERITIES; severity++)
        progress = trim_round(c, pages, (enum severity)severity);
    return progress;
}

void balance_reclaim(struct call *c, uint64_t pages)
{
    uint64_t goal = pages + reserve_wanted(c);
    if (!can_gain(c))
        return;
    fill_reserve(c, goal, GENTLE_ROUNDS);
    uint64_t most = user_pages(c); /* each page once, though others bring them back meanwhile */
    for (uint64_t trimmed = 0; trimmed <= most && !is_served(c, pages);) {
        uint64_t progress = trim_harder(c, goal);
        trimmed += progress;
        if (writer_run(c, UINT64_MAX) + progress == 0)
            return;
    }
}

/* --- the tick --- */

/* Age a piece of a locked working set, of which `done` pages are aged. Returns how many more. */
static uint64_t age_piece(struct call *c, struct process *process, uint64_t done, uint32_t *ends)
{
    uint64_t all = min_u64(get64(&process->working_set_pages), TICK_PAGES);
    struct wsl_pass pass = {.examine = min_u64(all - min_u64(all, done), SWEEP_PAGES),
                            .trim_age = WSL_AGE_NONE};
    if (pass.examine == 0)
        return 0;
    wsl_sweep(c, process, &pass);
    *ends += pass.wrapped;
    return pass.examined;
}

/* Age a working set once around, from the hand to the hand. */
static void age_slot(struct call *c, uint32_t slot)
{
    uint64_t done = 0;
    uint64_t before;
    uint32_t ends = 0;
    do {
        struct process *process = lock_slot(c, slot);
        if (!process)
            return;
        before = done;
        done += age_piece(c, process, done, &ends);
        process_unlock_working_set(c, process);
    } while (done != before && ends < 2);
}

static uint64_t part_of_memory(struct call *c, uint64_t most, uint32_t divisor)
{
    return min_u64(most, get64(&partition_of(c)->total_pages) / divisor);
}

static bool is_scarce(struct call *c, uint64_t available)
{
    return available < part_of_memory(c, WRITE_WHEN_AVAILABLE_BELOW, MEMORY_PART);
}

static bool is_modified_list_long(struct call *c, uint64_t available)
{
    uint64_t standby = load64_relaxed(&partition_of(c)->standby_pages);
    uint64_t unused = available - min_u64(available, standby);
    uint64_t modified = load64_relaxed(&partition_of(c)->modified.count);
    return unused < part_of_memory(c, WRITE_WHEN_UNUSED_BELOW, MEMORY_PART) &&
           modified > min_u64(available / AVAILABLE_PART, WRITE_WHEN_MODIFIED_ABOVE);
}

void balance_tick(struct call *c)
{
    uint64_t available = frames_available(c);
    if (available >= part_of_memory(c, UINT64_MAX, AMPLE_PART)) {
        for (uint32_t slot = 0; slot < slot_count(c); slot++)
            age_slot(c, slot);
    }
    if (is_scarce(c, available) && can_gain(c))
        fill_reserve(c, reserve_wanted(c), 1);
    else if (is_modified_list_long(c, available))
        (void)writer_run(c, UINT64_MAX);
}
