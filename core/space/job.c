/*
 * Jobs. See job.h.
 */
#include "space/job.h"
#include "base/bits.h"
#include "phys/pfn.h"

/* First of a frame of jobs. */
struct job_frame {
    le64 next; /* next frame, a reference, or 0 (D) */
    le64 first_index;
};

static struct job *job_in_frame(const struct call *c, uint64_t frame_ref, uint32_t i)
{
    return core_at(c->bias, frame_ref + (i + 1) * JOB_SLOT_BYTES);
}

static bool is_free(const struct job *job)
{
    return get64(&job->handle) == 0 && get32(&job->members) == 0;
}

/* A frame of jobs at the head of the chain, charged. */
static uint64_t add_frame(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = partition_of(c);
    uint64_t head = get64(&anchor->job_frames);
    uint64_t frame;
    if (!commit_charge(c, 1))
        return 0;
    if (!frame_allocate_zeroed(c, NTMM_USE_PROCESS, &frame)) {
        commit_return(c, 1);
        return 0;
    }
    struct job_frame *header = table_at(c, frame);
    set64(&header->next, head);
    set64(&header->first_index,
          head ? get64(&((struct job_frame *)core_at(c->bias, head))->first_index) + JOBS_PER_FRAME
               : 0);
    set64(&partition->process_pages, get64(&partition->process_pages) + 1);
    set64(&anchor->job_frames, frame_ref(c, frame));
    return frame_ref(c, frame);
}

static struct job *open_slot(struct call *c, uint64_t frame, uint32_t i)
{
    struct anchor *anchor = anchor_of(c);
    struct job_frame *header = core_at(c->bias, frame);
    struct job *job = job_in_frame(c, frame, i);
    uint32_t generation = get32(&anchor->next_generation);
    set32(&anchor->next_generation, generation == HANDLE_GENERATION_MAX ? 1 : generation + 1);
    __builtin_memset(job, 0, sizeof *job);
    set64(&job->handle, (uint64_t)HANDLE_KIND_JOB << HANDLE_KIND_SHIFT |
                            (uint64_t)generation << HANDLE_GENERATION_SHIFT |
                            (get64(&header->first_index) + i));
    return job;
}

struct job *job_create(struct call *c)
{
    for (uint64_t frame = get64(&anchor_of(c)->job_frames); frame;
         frame = get64(&((struct job_frame *)core_at(c->bias, frame))->next)) {
        for (uint32_t i = 0; i < JOBS_PER_FRAME; i++) {
            if (is_free(job_in_frame(c, frame, i)))
                return open_slot(c, frame, i);
        }
    }
    uint64_t frame = add_frame(c);
    return frame ? open_slot(c, frame, 0) : NULL;
}

ntmm_status job_find(struct call *c, ntmm_handle handle, struct job **job)
{
    uint64_t index = (uint32_t)handle;
    if (handle == 0)
        return NTMM_STATUS_INVALID_HANDLE;
    if (handle >> HANDLE_KIND_SHIFT != HANDLE_KIND_JOB)
        return NTMM_STATUS_OBJECT_TYPE_MISMATCH;
    for (uint64_t frame = get64(&anchor_of(c)->job_frames); frame;) {
        const struct job_frame *header = core_at(c->bias, frame);
        uint64_t first = get64(&header->first_index);
        if (index >= first && index - first < JOBS_PER_FRAME) {
            *job = job_in_frame(c, frame, (uint32_t)(index - first));
            return get64(&(*job)->handle) == handle ? NTMM_STATUS_SUCCESS
                                                    : NTMM_STATUS_INVALID_HANDLE;
        }
        frame = get64(&header->next);
    }
    return NTMM_STATUS_INVALID_HANDLE;
}

void job_apply_working_set(const struct call *c, struct process *process)
{
    const struct job *job = job_of(c, process);
    if (!job_sets_working_set(c, process))
        return;
    uint64_t change = get64(&job->minimum) - get64(&process->working_set_minimum);
    (void)add64(&partition_of(c)->minimum_pages, change);
    set64(&process->working_set_minimum, get64(&job->minimum));
    set64(&process->working_set_maximum, get64(&job->maximum));
    set32(&process->limit_flags, get32(&process->limit_flags) | LIMIT_HARD_MAXIMUM);
}

static void note_peak(struct job *job, uint64_t commit)
{
    uint64_t peak = load64_relaxed(&job->commit_peak);
    while (commit > peak && !cas64(&job->commit_peak, &peak, commit)) {
    }
}

void job_keep(struct job *job) { set32(&job->members, get32(&job->members) + 1); }
void job_end_keep(struct job *job) { set32(&job->members, get32(&job->members) - 1); }

void job_join(struct call *c, struct process *process, struct job *job)
{
    uint64_t commit = get64(&process->commit_pages);
    set64(&process->job, core_ref(c, job));
    set32(&job->members, get32(&job->members) + 1);
    note_peak(job, add64(&job->commit, commit) + commit);
    job_apply_working_set(c, process);
}

void job_leave(struct call *c, struct process *process)
{
    struct job *job = job_of(c, process);
    if (!job)
        return;
    NTMM_ASSERT(get64(&process->commit_pages) == 0);
    set32(&job->members, get32(&job->members) - 1);
    set64(&process->job, 0);
}

void job_frames_free(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = partition_of(c);
    struct frame_chain chain = chain_empty();
    for (uint64_t frame = get64(&anchor->job_frames); frame;) {
        uint64_t next = get64(&((struct job_frame *)core_at(c->bias, frame))->next);
        chain_add(c, &chain, ref_frame(c, frame));
        frame = next;
    }
    set64(&anchor->job_frames, 0);
    commit_return(c, chain.count);
    set64(&partition->process_pages, get64(&partition->process_pages) - chain.count);
    chain_free(c, &chain);
}

/* The job's word on a charge: what message it sends when it refuses, or 0. */
static uint32_t charge_job(struct job *job, const struct process *process, uint64_t pages)
{
    uint32_t flags = load32_relaxed(&job->flags);
    uint64_t most = load64_relaxed(&job->process_pages);
    uint64_t has = get64(&process->commit_pages);
    if (flags & NTMM_JOB_LIMIT_PROCESS_MEMORY && (pages > most || has > most - pages))
        return NTMM_JOB_MESSAGE_PROCESS_MEMORY_LIMIT;
    most = flags & NTMM_JOB_LIMIT_JOB_MEMORY ? load64_relaxed(&job->job_pages) : UINT64_MAX;
    uint64_t seen = load64_relaxed(&job->commit);
    do {
        if (pages > most || seen > most - pages)
            return NTMM_JOB_MESSAGE_JOB_MEMORY_LIMIT;
    } while (!cas64(&job->commit, &seen, seen + pages));
    note_peak(job, seen + pages);
    return 0;
}

static void return_job(struct job *job, uint64_t pages) { (void)add64(&job->commit, 0 - pages); }

ntmm_status charge_pages(struct call *c, struct process *process, uint64_t pages)
{
    struct job *job = job_of(c, process);
    uint64_t limit = get64(&process->commit_limit);
    uint64_t now = get64(&process->commit_pages);
    ntmm_status status = NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED;
    uint32_t refusal = job ? charge_job(job, process, pages) : 0;
    if (__builtin_expect(refusal != 0, 0)) {
        event_note(c, NTMM_EVENT_JOB_LIMIT, get64(&process->handle), get64(&job->handle), pages,
                   refusal);
        return NTMM_STATUS_COMMITMENT_LIMIT;
    }
    if (pages <= limit && now <= limit - pages) {
        if (commit_charge(c, pages)) {
            process_add_peak(&process->commit_pages, &process->commit_peak, pages);
            return NTMM_STATUS_SUCCESS;
        }
        status = want_status(c);
    }
    if (job)
        return_job(job, pages);
    return status;
}

void return_pages(struct call *c, struct process *process, uint64_t pages)
{
    struct job *job = job_of(c, process);
    process_subtract(&process->commit_pages, pages);
    if (job)
        return_job(job, pages);
    commit_return(c, pages);
}
