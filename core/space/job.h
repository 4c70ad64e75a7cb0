/*
 * Jobs, and the charges that processes make through them.
 *
 *   anchor --> frame [next | job | job ...] --> frame [next | job ...] --> 0
 *
 * Jobs lie in frames of their own, 31 a frame, that are kept while the system lives: so a process
 * may follow its reference to its job under its own locks alone. A slot whose handle was closed is
 * used again when its last process has ended.
 *
 * JB1 members is the number of processes whose job it is, and commit the sum of their private
 *     commit
 */
#ifndef NTMM_SPACE_JOB_H
#define NTMM_SPACE_JOB_H

#include "space/process.h"

#include <ntmm/job.h>

#define JOB_SLOT_BYTES 128u
#define JOBS_PER_FRAME (NTMM_PAGE_SIZE / JOB_SLOT_BYTES - 1)
#define HANDLE_KIND_JOB 2u

struct job {
    le64 handle;        /* or 0: closed, or free (D) */
    le32 members;       /* processes (D) */
    le32 flags;         /* NTMM_JOB_LIMIT_* (R) */
    le64 process_pages; /* limit of each process (R) */
    le64 job_pages;     /* limit of all (R) */
    le64 minimum;       /* working-set limits (D) */
    le64 maximum;       /* (D) */
    le64 commit;        /* (R) */
    le64 commit_peak;   /* (R) */
};

NTMM_STATIC_ASSERT(sizeof(struct job) <= JOB_SLOT_BYTES, "a slot holds a job");

/* The job of a process, or NULL. */
static inline struct job *job_of(const struct call *c, const struct process *process)
{
    uint64_t ref = get64(&process->job);
    return ref ? (struct job *)core_at(c->bias, ref) : NULL;
}

/* Whether the limits of a working set are its job's. (W) is held. */
static inline bool job_sets_working_set(const struct call *c, const struct process *process)
{
    const struct job *job = job_of(c, process);
    return job && (load32_relaxed(&job->flags) & NTMM_JOB_LIMIT_WORKING_SET);
}

/* A new job. (D) is held; NULL with c->want set. */
struct job *job_create(struct call *c);

/* The job of a handle: INVALID_HANDLE, OBJECT_TYPE_MISMATCH. (D) is held. */
ntmm_status job_find(struct call *c, ntmm_handle handle, struct job **job);

/* The slot of a job stays until job_end_keep: a process is about to join. (D) is held. */
void job_keep(struct job *job);
void job_end_keep(struct job *job);

/* A process joins; (A), (W) and (D) are held. */
void job_join(struct call *c, struct process *process, struct job *job);

/* A process without commit leaves its job, if it has one. (D) is held. */
void job_leave(struct call *c, struct process *process);

/* The limits of a working set that the process's job asks for, if it does. (W) and (D) are held. */
void job_apply_working_set(const struct call *c, struct process *process);

/* Calls visit for the frame of each job frame; in order. */
void job_frames_free(struct call *c);

/*
 * Charge private pages to the job, the process and the partition, or to none. (W) is held.
 * COMMITMENT_LIMIT: of the job, or, with c->want set, of the partition;
 * PAGEFILE_QUOTA_EXCEEDED: of the process.
 */
ntmm_status charge_pages(struct call *c, struct process *process, uint64_t pages);
void return_pages(struct call *c, struct process *process, uint64_t pages);

static inline ntmm_status charge_private(struct call *c, struct process *process, uint64_t pages)
{
    return pages ? charge_pages(c, process, pages) : NTMM_STATUS_SUCCESS;
}

static inline void return_private(struct call *c, struct process *process, uint64_t pages)
{
    if (pages)
        return_pages(c, process, pages);
}

#endif
