/*
 * Working-set limits, emptying, and the commands of the page lists.
 *
 *   given --> legal? --> into the system's bounds --> privilege --> promised out of memory --> set
 *
 * The checks after the handle need the process, whose limits say whether one rises; so here, unlike
 * elsewhere, the privilege comes after whether the process lives.
 *
 * Source: nt_semantics 3.10 and 8; SetProcessWorkingSetSizeEx documentation.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "services/privilege.h"
#include "services/relief.h"
#include "space/job.h"
#include "space/wsl.h"
#include "workingset/balance.h"

#include <ntmm/working_set.h>

/* NT's own, pages. */
#define MINIMUM_FLOOR 20u
#define MAXIMUM_FLOOR 13u
#define SYSTEM_KEEPS_PAGES 512u

#define KNOWN_FLAGS                                                                                \
    (NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE | NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE |                  \
     NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE | NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE |                  \
     NTMM_QUOTA_LIMITS_USE_DEFAULT_LIMITS)

struct limits {
    uint64_t minimum; /* pages */
    uint64_t maximum; /* pages */
    uint32_t flags;   /* NTMM_QUOTA_LIMITS_* */
};

static bool has_both(uint32_t flags, uint32_t a, uint32_t b) { return (flags & a) && (flags & b); }

static ntmm_status check_flags(uint32_t flags)
{
    if (flags & ~KNOWN_FLAGS ||
        has_both(flags, NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE,
                 NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE) ||
        has_both(flags, NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE, NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE))
        return NTMM_STATUS_INVALID_PARAMETER;
    return NTMM_STATUS_SUCCESS;
}

/* Frames that a working set, or all minima together, can have. */
static uint64_t usable_pages(const struct call *c)
{
    const struct partition *partition = partition_of(c);
    return load64_relaxed(&partition->total_pages) - load64_relaxed(&partition->metadata_pages);
}

/* Into the system's bounds. WORKING_SET_LIMIT_RANGE: not what was given. */
static ntmm_status bound(const struct call *c, struct limits *limits)
{
    const struct limits given = *limits;
    uint64_t usable = usable_pages(c);
    uint64_t most = max_u64(usable - min_u64(SYSTEM_KEEPS_PAGES, usable / 2), MINIMUM_FLOOR);
    if (limits->minimum > limits->maximum || limits->maximum < MAXIMUM_FLOOR)
        return NTMM_STATUS_BAD_WORKING_SET_LIMIT;
    limits->minimum = max_u64(min_u64(limits->minimum, most), MINIMUM_FLOOR);
    limits->maximum = max_u64(min_u64(limits->maximum, most), limits->minimum);
    bool is_given = limits->minimum == given.minimum && limits->maximum == given.maximum;
    return is_given ? NTMM_STATUS_SUCCESS : NTMM_STATUS_WORKING_SET_LIMIT_RANGE;
}

/* Whether a limit rises above what anybody may have. */
static bool is_raised(const struct process *process, const struct limits *limits)
{
    uint64_t minimum = max_u64(get64(&process->working_set_minimum), WORKING_SET_MINIMUM_DEFAULT);
    uint64_t maximum = max_u64(get64(&process->working_set_maximum), WORKING_SET_MAXIMUM_DEFAULT);
    return limits->minimum > minimum || limits->maximum > maximum;
}

/* The minimum of a process changes; it may only rise while all together, and what stays in memory
 * whoever wants it (large pages, NONPAGED), fit. Promised first, then looked at, as there
 * (space/large.c): of two that do not fit together one sees the other. */
static bool promise(const struct call *c, uint64_t old, uint64_t new)
{
    struct partition *partition = partition_of(c);
    uint64_t minima = add64(&partition->minimum_pages, new - old);
    uint64_t kept = load64_acquire(&partition->large_pages);
    if (new <= old || minima + kept <= usable_pages(c))
        return true;
    (void)add64(&partition->minimum_pages, old - new);
    return false;
}

static uint32_t hard_limits(uint32_t before, uint32_t flags)
{
    uint32_t clear = (flags & NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE ? LIMIT_HARD_MINIMUM : 0) |
                     (flags & NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE ? LIMIT_HARD_MAXIMUM : 0);
    uint32_t set = (flags & NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE ? LIMIT_HARD_MINIMUM : 0) |
                   (flags & NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE ? LIMIT_HARD_MAXIMUM : 0);
    return (before & ~clear) | set;
}

/* (W) is held. */
static ntmm_status apply(struct call *c, ntmm_handle handle, struct process *process,
                         struct limits limits)
{
    uint64_t old = get64(&process->working_set_minimum);
    ntmm_status status = bound(c, &limits);
    if (!NTMM_SUCCEEDED(status))
        return status;
    if (job_sets_working_set(c, process))
        return NTMM_STATUS_ACCESS_DENIED;
    if (is_raised(process, &limits) && !handle_holds(handle, HELD_INCREASE_WORKING_SET))
        return NTMM_STATUS_PRIVILEGE_NOT_HELD;
    if (!promise(c, old, limits.minimum))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    set64(&process->working_set_minimum, limits.minimum);
    set64(&process->working_set_maximum, limits.maximum);
    set32(&process->limit_flags, hard_limits(get32(&process->limit_flags), limits.flags));
    if (get32(&process->limit_flags) & LIMIT_HARD_MAXIMUM)
        (void)balance_shrink(c, process, limits.maximum);
    return status;
}

static ntmm_status empty(struct call *c, ntmm_handle handle, uint32_t rights)
{
    uint64_t page = 0;
    for (bool has_more = true; has_more;) {
        struct process *process;
        ntmm_status status = process_lock_working_set(c, handle, rights, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        has_more = wsl_trim_range(c, process, &page, get64(&process->highest_page), 0);
        process_unlock_working_set(c, process);
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_set_working_set_limits(struct ntmm_system *system, ntmm_handle handle,
                                        uint64_t minimum_bytes, uint64_t maximum_bytes,
                                        uint32_t flags)
{
    struct call c = call_begin(system);
    struct limits limits = {.minimum = minimum_bytes >> NTMM_PAGE_SHIFT,
                            .maximum = maximum_bytes >> NTMM_PAGE_SHIFT,
                            .flags = flags};
    struct process *process;
    bool is_default = (flags & NTMM_QUOTA_LIMITS_USE_DEFAULT_LIMITS) != 0;
    ntmm_status status = check_flags(flags);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_default && (minimum_bytes == 0 || maximum_bytes == 0))
        return NTMM_STATUS_INVALID_PARAMETER;
    if (!is_default && minimum_bytes == NTMM_WORKING_SET_EMPTY &&
        maximum_bytes == NTMM_WORKING_SET_EMPTY)
        return empty(&c, handle, NTMM_PROCESS_SET_QUOTA);
    if (is_default) {
        limits.minimum = WORKING_SET_MINIMUM_DEFAULT;
        limits.maximum = WORKING_SET_MAXIMUM_DEFAULT;
    }
    status = process_lock_working_set(&c, handle, NTMM_PROCESS_SET_QUOTA, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = apply(&c, handle, process, limits);
    process_unlock_working_set(&c, process);
    return status;
}

ntmm_status ntmm_empty_working_set(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin(system);
    return empty(&c, handle, NTMM_PROCESS_SET_QUOTA | NTMM_PROCESS_QUERY_INFORMATION);
}

/* --- in NT's layout --- */

static bool is_quota_length(uint32_t length)
{
    return length == sizeof(struct ntmm_quota_limits) ||
           length == sizeof(struct ntmm_quota_limits_ex);
}

static uint32_t shown_flags(uint32_t limit_flags)
{
    uint32_t minimum = limit_flags & LIMIT_HARD_MINIMUM ? NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE
                                                        : NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE;
    uint32_t maximum = limit_flags & LIMIT_HARD_MAXIMUM ? NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE
                                                        : NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE;
    return minimum | maximum;
}

ntmm_status ntmm_query_quota_limits(struct ntmm_system *system, ntmm_handle handle,
                                    void *information, uint32_t length)
{
    struct call c = call_begin(system);
    struct process *process;
    if (!is_quota_length(length))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status =
        process_lock_working_set(&c, handle, NTMM_PROCESS_QUERY_LIMITED_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t commit_limit = min_u64(get64(&process->commit_limit), UINT64_MAX >> NTMM_PAGE_SHIFT);
    bool is_limited = commit_limit != UINT64_MAX >> NTMM_PAGE_SHIFT;
    const struct ntmm_quota_limits_ex found = {
        .limits = {.paged_pool_limit = UINT64_MAX,
                   .nonpaged_pool_limit = UINT64_MAX,
                   .minimum_working_set_size = get64(&process->working_set_minimum)
                                               << NTMM_PAGE_SHIFT,
                   .maximum_working_set_size = get64(&process->working_set_maximum)
                                               << NTMM_PAGE_SHIFT,
                   .pagefile_limit = is_limited ? commit_limit << NTMM_PAGE_SHIFT : UINT64_MAX,
                   .time_limit = UINT64_MAX},
        .flags = shown_flags(get32(&process->limit_flags)),
    };
    process_unlock_working_set(&c, process);
    __builtin_memcpy(information, &found, length);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_set_quota_limits(struct ntmm_system *system, ntmm_handle handle,
                                  const void *information, uint32_t length)
{
    struct ntmm_quota_limits_ex given = {.flags = 0};
    if (!is_quota_length(length))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if ((uintptr_t)information % sizeof(uint32_t) != 0)
        return NTMM_STATUS_DATATYPE_MISALIGNMENT;
    __builtin_memcpy(&given, information, length);
    return ntmm_set_working_set_limits(system, handle, given.limits.minimum_working_set_size,
                                       given.limits.maximum_working_set_size, given.flags);
}

/* --- the page lists --- */

/* Wait until a page comes to standby, or a write fails, since c->chances was read; or for a second.
 * Not beyond the deadline, and not with nothing in flight. */
static bool wait_for_a_write(struct call *c, uint64_t *deadline)
{
    struct ntmm_wait wait = {0};
    if (transfers_in_use(c) == 0)
        return waiters_chances(c) != c->chances;
    c->want = (struct want){.kind = WANT_FRAME, .pages = UINT64_MAX};
    bool is_over = !wait_begin(c, &wait) || wait_block(c, &wait, deadline);
    wait_end(c, &wait);
    return is_over;
}

static uint64_t modified_pages(const struct call *c)
{
    const struct partition *partition = partition_of(c);
    return load64_relaxed(&partition->modified.count) +
           load64_relaxed(&partition->modified_mapped.count);
}

/* Ends: what is written leaves the list, and what fails for good stays on it with nothing moving.
 * */
static void flush_modified(struct call *c)
{
    uint64_t most = modified_pages(c); /* others may make as many more meanwhile */
    uint64_t deadline = 0;
    for (uint64_t begun = 0; begun < most && modified_pages(c) != 0;) {
        c->chances = waiters_chances(c);
        uint64_t pages = writer_run(c, UINT64_MAX) + mapped_writer_run(c, UINT64_MAX);
        begun += pages;
        if (pages != 0)
            deadline = 0; /* the bound is one for a write */
        else if (!wait_for_a_write(c, &deadline))
            return;
    }
}

static ntmm_status run_command(struct call *c, uint32_t command)
{
    switch (command) {
    case NTMM_MEMORY_CAPTURE_ACCESSED_BITS:
        return NTMM_STATUS_SUCCESS;
    case NTMM_MEMORY_CAPTURE_AND_RESET_ACCESSED_BITS:
        balance_age_all(c);
        return NTMM_STATUS_SUCCESS;
    case NTMM_MEMORY_EMPTY_WORKING_SETS:
        balance_empty_all(c);
        return NTMM_STATUS_SUCCESS;
    case NTMM_MEMORY_FLUSH_MODIFIED_LIST:
        flush_modified(c);
        return NTMM_STATUS_SUCCESS;
    case NTMM_MEMORY_PURGE_STANDBY_LIST:
        frames_purge_standby(c, STANDBY_PRIORITIES);
        return NTMM_STATUS_SUCCESS;
    case NTMM_MEMORY_PURGE_LOW_PRIORITY_STANDBY_LIST:
        frames_purge_standby(c, 1);
        return NTMM_STATUS_SUCCESS;
    default:
        return NTMM_STATUS_INVALID_PARAMETER;
    }
}

ntmm_status ntmm_memory_list_command(struct ntmm_system *system, ntmm_handle caller,
                                     uint32_t command)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    ntmm_status status = privileged_lock(&c, caller, 0, HELD_PROFILE, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    process_unlock_working_set(&c, process);
    return run_command(&c, command);
}
