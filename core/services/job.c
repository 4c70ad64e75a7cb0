/*
 * NtCreateJobObject and its companions, as far as memory is concerned.
 */
#include "space/job.h"
#include "services/relief.h"

#define KNOWN_LIMITS                                                                               \
    (NTMM_JOB_LIMIT_WORKING_SET | NTMM_JOB_LIMIT_PROCESS_MEMORY | NTMM_JOB_LIMIT_JOB_MEMORY)
#define WORKING_SET_LEAST 20u

static void lock_directory(struct call *c)
{
    lock_acquire(c, &anchor_of(c)->directory_lock, LOCK_DIRECTORY);
}

static void unlock_directory(struct call *c)
{
    lock_release(c, &anchor_of(c)->directory_lock, LOCK_DIRECTORY);
}

ntmm_status ntmm_create_job(struct ntmm_system *system, ntmm_handle *handle)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    ntmm_status status;
    if (!handle)
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        lock_directory(&c);
        struct job *job = job_create(&c);
        status = job ? NTMM_STATUS_SUCCESS : want_status(&c);
        if (job)
            *handle = get64(&job->handle);
        unlock_directory(&c);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

ntmm_status ntmm_close_job(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin(system);
    struct job *job;
    lock_directory(&c);
    ntmm_status status = job_find(&c, handle, &job);
    if (status == NTMM_STATUS_SUCCESS)
        set64(&job->handle, 0);
    unlock_directory(&c);
    return status;
}

static ntmm_status check_limits(const struct ntmm_job_limits *limits)
{
    uint64_t minimum = limits->working_set_minimum_pages;
    if (limits->size != sizeof *limits || limits->version != NTMM_JOB_LIMITS_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (limits->flags & ~KNOWN_LIMITS)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (limits->flags & NTMM_JOB_LIMIT_WORKING_SET &&
        (minimum < WORKING_SET_LEAST || minimum > limits->working_set_maximum_pages))
        return NTMM_STATUS_BAD_WORKING_SET_LIMIT;
    return NTMM_STATUS_SUCCESS;
}

/* Working-set limits of those that are in the job. Whoever joins later gets them then. */
static void apply_to_members(struct call *c, const struct job *job)
{
    uint32_t slots = load32_acquire(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct process *process = process_in_slot(c, slot);
        working_set_acquire(c, process);
        lock_directory(c);
        if (get64(&process->handle) && job_of(c, process) == job)
            job_apply_working_set(c, process);
        unlock_directory(c);
        process_unlock_working_set(c, process);
    }
}

ntmm_status ntmm_set_job_limits(struct ntmm_system *system, ntmm_handle handle,
                                const struct ntmm_job_limits *limits)
{
    struct call c = call_begin(system);
    struct job *job;
    if (!limits)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = check_limits(limits);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    lock_directory(&c);
    status = job_find(&c, handle, &job);
    if (status == NTMM_STATUS_SUCCESS) {
        set64(&job->minimum, limits->working_set_minimum_pages);
        set64(&job->maximum, limits->working_set_maximum_pages);
        store64_relaxed(&job->process_pages, limits->process_memory_pages);
        store64_relaxed(&job->job_pages, limits->job_memory_pages);
        store32_release(&job->flags, limits->flags);
    }
    unlock_directory(&c);
    if (status == NTMM_STATUS_SUCCESS && limits->flags & NTMM_JOB_LIMIT_WORKING_SET)
        apply_to_members(&c, job);
    return status;
}

ntmm_status ntmm_assign_process_to_job(struct ntmm_system *system, ntmm_handle handle,
                                       ntmm_handle process_handle)
{
    struct call c = call_begin(system);
    struct process *process;
    struct job *job;
    ntmm_status status = process_lock_address(
        &c, process_handle, NTMM_PROCESS_SET_QUOTA | NTMM_PROCESS_TERMINATE, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    lock_directory(&c);
    status = job_find(&c, handle, &job);
    if (status == NTMM_STATUS_SUCCESS && get64(&process->job))
        status = NTMM_STATUS_ACCESS_DENIED;
    if (status == NTMM_STATUS_SUCCESS)
        job_join(&c, process, job);
    unlock_directory(&c);
    process_unlock_address(&c, process);
    return status;
}

ntmm_status ntmm_query_job(struct ntmm_system *system, ntmm_handle handle,
                           struct ntmm_job_information *information)
{
    struct call c = call_begin(system);
    struct job *job;
    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    lock_directory(&c);
    ntmm_status status = job_find(&c, handle, &job);
    if (status == NTMM_STATUS_SUCCESS)
        *information = (struct ntmm_job_information){
            .limits = {.size = sizeof information->limits,
                       .version = NTMM_JOB_LIMITS_VERSION,
                       .flags = get32(&job->flags),
                       .working_set_minimum_pages = get64(&job->minimum),
                       .working_set_maximum_pages = get64(&job->maximum),
                       .process_memory_pages = get64(&job->process_pages),
                       .job_memory_pages = get64(&job->job_pages)},
            .process_count = get32(&job->members),
            .commit_pages = load64_relaxed(&job->commit),
            .peak_commit_pages = load64_relaxed(&job->commit_peak),
        };
    unlock_directory(&c);
    return status;
}
