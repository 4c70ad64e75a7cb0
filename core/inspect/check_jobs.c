/*
 * The checker's view of jobs: each is what the processes that refer to it say.
 */
#include "inspect/checker.h"
#include "space/job.h"

/* Frames that there can be: a chain that runs in a circle ends here. */
#define FRAMES_MOST 0x10000u

bool check_job_frames(struct checker *k)
{
    uint32_t frames = 0;
    for (uint64_t ref = get64(&anchor_of(k->c)->job_frames); ref;) {
        if (++frames > FRAMES_MOST || !check_directory_frame(k, ref))
            return check_fail(k, "PR4", ref, FRAMES_MOST, frames);
        ref = get64((const le64 *)core_at(k->c->bias, ref));
    }
    return true;
}

/* JB1 of the job at `ref`. */
static bool check_job(struct checker *k, uint64_t ref)
{
    const struct job *job = core_at(k->c->bias, ref);
    uint32_t slots = get32(&anchor_of(k->c)->slot_count);
    uint64_t commit = 0;
    uint32_t members = 0;
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct process *process = process_in_slot(k->c, slot);
        if (get64(&process->handle) == 0 || get64(&process->job) != ref)
            continue;
        members++;
        commit += get64(&process->commit_pages);
    }
    k->job_members += members;
    return check_equal(k, "JB1", ref, members, get32(&job->members)) &&
           check_equal(k, "JB1", ref, commit, load64_relaxed(&job->commit));
}

/* JB1: a process's job is one of those that are. */
static uint32_t count_members(struct checker *k)
{
    uint32_t slots = get32(&anchor_of(k->c)->slot_count);
    uint32_t members = 0;
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct process *process = process_in_slot(k->c, slot);
        members += get64(&process->handle) != 0 && get64(&process->job) != 0;
    }
    return members;
}

bool check_jobs(struct checker *k)
{
    k->job_members = 0;
    for (uint64_t ref = get64(&anchor_of(k->c)->job_frames); ref;) {
        for (uint32_t i = 1; i <= JOBS_PER_FRAME; i++) {
            if (!check_job(k, ref + i * JOB_SLOT_BYTES))
                return false;
        }
        ref = get64((const le64 *)core_at(k->c->bias, ref));
    }
    return check_equal(k, "JB1", 0, k->job_members, count_members(k));
}
