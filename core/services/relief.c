/*
 * Waiting, and what is done about a shortage. See relief.h.
 *
 * A wait is queued first, then what it waits for is looked at once more: whoever provides it looks
 * for waiters after providing, so one of the two sees the other.
 */
#include "services/relief.h"
#include "base/bits.h"
#include "fault/door.h"
#include "paging/transfers.h"
#include "section/view.h"
#include "workingset/balance.h"
#include "workingset/rows.h"

/* A fault that waits for a frame looks again after this time: a page file may have been paused, and
 * nobody tells when that ends. */
#define FRAME_RETRY_100NS 10000000u

static struct wait_queue *queue_of(struct call *c, struct ntmm_wait *wait)
{
    struct transfer_block *block = wait->block;
    if (wait->flags & WAIT_FOR_FRAME)
        return &c->sys->for_frame;
    if (wait->flags & WAIT_FOR_BLOCK)
        return &c->sys->transfers.for_block;
    return block ? &block->waits : NULL;
}

void wait_leave_queue(struct call *c, struct ntmm_wait *wait)
{
    struct wait_queue *queue = queue_of(c, wait);
    if (queue)
        waiters_cancel(c, queue, wait);
    wait->flags &= ~(uint32_t)(WAIT_FOR_FRAME | WAIT_FOR_BLOCK);
}

void wait_leave_block(struct call *c, struct ntmm_wait *wait)
{
    struct transfer_block *block = wait->block;
    wait->block = NULL;
    if (block)
        block_leave(c, block);
}

void wait_end(struct call *c, struct ntmm_wait *wait)
{
    wait_leave_queue(c, wait);
    wait_leave_block(c, wait);
}

/* Whether there was a chance since the caller looked, and it is still worth looking at once. */
static bool take_chance(struct call *c, struct ntmm_wait *wait)
{
    if (waiters_chances(c) == c->chances || wait->flags >= WAIT_CHANCES_LIMIT)
        return false;
    wait->flags += WAIT_CHANCE;
    return true;
}

static bool begin_for_frame(struct call *c, struct ntmm_wait *wait, uint64_t pages)
{
    wait->flags |= WAIT_FOR_FRAME;
    waiters_add(c, &c->sys->for_frame, wait);
    if (!frames_are_available(c, pages) && !take_chance(c, wait))
        return true;
    wait_leave_queue(c, wait);
    return false;
}

static bool begin_for_block(struct call *c, struct ntmm_wait *wait)
{
    wait->flags |= WAIT_FOR_BLOCK;
    if (block_wait_for_read(c, wait))
        return true;
    wait->flags &= ~(uint32_t)WAIT_FOR_BLOCK;
    return false;
}

static bool begin_for_read(struct call *c, struct ntmm_wait *wait)
{
    struct transfer_block *block = c->want.block;
    wait->block = block;
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    bool is_queued = !block->is_done;
    if (is_queued)
        waiters_add_locked(&block->waits, wait);
    queue_step(c, &block->waits, is_queued ? "queue" : "pass");
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
    if (c->want.is_new)
        block_submit(c, block);
    return is_queued && !wait_is_woken(wait);
}

bool wait_begin(struct call *c, struct ntmm_wait *wait)
{
    switch (c->want.kind) {
    case WANT_FRAME:
        return begin_for_frame(c, wait, c->want.pages);
    case WANT_BLOCK:
        return begin_for_block(c, wait);
    case WANT_READ:
        return begin_for_read(c, wait);
    case WANT_NOTHING:
    case WANT_COMMIT:
    case WANT_TABLE:
    case WANT_ROWS:
        break;
    }
    NTMM_ASSERT(false);
    return false;
}

/* Until there may be frames. A write that fails wakes too: so many of them are a reason to look,
 * and after that only frames are. */
static bool sleep_for_frame(struct call *c, struct ntmm_wait *wait, uint64_t until)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    while (platform->wait(platform->context, wait, until) == NTMM_STATUS_SUCCESS) {
        if (wait->flags < WAIT_CHANCES_LIMIT) {
            wait->flags += WAIT_CHANCE;
            return true;
        }
        waiters_add(c, &c->sys->for_frame, wait);
        if (frames_are_available(c, max_u64(c->want.pages, 1)))
            return true;
    }
    return false;
}

bool wait_block(struct call *c, struct ntmm_wait *wait, uint64_t *deadline)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    bool is_for_frame = (wait->flags & WAIT_FOR_FRAME) != 0;
    if (!platform->wait)
        return false;
    if (is_for_frame && *deadline == 0 && platform->now)
        *deadline = platform->now(platform->context) + c->sys->fault_wait_100ns;
    if (!is_for_frame) /* a transfer always ends */
        return platform->wait(platform->context, wait, UINT64_MAX) == NTMM_STATUS_SUCCESS;
    uint64_t now = platform->now ? platform->now(platform->context) : 0;
    uint64_t until = min_u64(*deadline, now + FRAME_RETRY_100NS);
    if (sleep_for_frame(c, wait, until))
        return true;
    return platform->now && platform->now(platform->context) < *deadline;
}

bool relieve_frames(struct call *c, uint64_t pages)
{
    balance_reclaim(c, pages);
    return frames_are_available(c, pages);
}

void wait_leave_last(struct call *c, struct ntmm_wait *wait)
{
    struct want want = c->want;
    wait_leave_block(c, wait);
    c->want = want;
}

/* Do what c->want says. False, with *status set: in vain. */
static bool wait_for_want(struct call *c, struct ntmm_wait *wait, uint64_t *deadline,
                          ntmm_status *status)
{
    bool is_woken = true;
    if (c->want.kind == WANT_FRAME && relieve_frames(c, c->want.pages))
        return true;
    if (wait_begin(c, wait))
        is_woken = wait_block(c, wait, deadline);
    wait_leave_queue(c, wait);
    if (!is_woken)
        *status = NTMM_STATUS_NO_MEMORY;
    return is_woken;
}

bool wait_retry(struct call *c, struct ntmm_wait *wait, uint64_t *deadline, ntmm_status *status)
{
    wait_leave_last(c, wait);
    if (*status == NTMM_STATUS_COMMITMENT_LIMIT && page_files_extend(c, 1))
        return true;
    if (*status == NTMM_STATUS_PENDING && wait_for_want(c, wait, deadline, status))
        return true;
    wait_leave_block(c, wait);
    c->want = (struct want){.kind = WANT_NOTHING};
    return false;
}

/* The tables of a page, or those of the prototype that its view shows now. (W) is held. */
static ntmm_status bring(struct call *c, struct relief *relief, struct process *process,
                         const struct want *want)
{
    if (!want->is_prototype)
        return door_bring_tables(c, process, want->page, relief_wait(relief));
    const struct vad *vad = vad_find(c, process, want->page);
    if (!vad || !vad_is_view(vad))
        return NTMM_STATUS_SUCCESS; /* as the operation will see */
    return prototype_bring(c, view_area(c, vad), view_prototype(vad, want->page),
                           relief_wait(relief));
}

/* Bring in the tables that lead to a page. */
static bool bring_tables(struct call *c, struct relief *relief, struct process *process,
                         const struct want *wanted, ntmm_status *status)
{
    uint64_t handle = get64(&process->handle);
    for (;;) {
        working_set_acquire(c, process);
        bool is_same = get64(&process->handle) == handle && get32(&process->state) != PROCESS_FREE;
        if (relief->out == 0)
            relief->out = get64(&process->tables_out);
        ntmm_status result = is_same ? bring(c, relief, process, wanted)
                                     : NTMM_STATUS_SUCCESS; /* the operation will see it gone */
        process_unlock_working_set(c, process);
        struct want want = c->want;
        wait_end(c, relief_wait(relief));
        c->want = want;
        if (result == NTMM_STATUS_SUCCESS)
            return true;
        if (result != NTMM_STATUS_PENDING)
            *status = result;
        if (result != NTMM_STATUS_PENDING ||
            !wait_for_want(c, relief_wait(relief), &relief->deadline, status)) {
            wait_end(c, relief_wait(relief));
            return false;
        }
    }
}

static bool relieve_kind(struct call *c, struct relief *relief, struct process *process,
                         struct want want, ntmm_status *status)
{
    switch (want.kind) {
    case WANT_TABLE:
        if (++relief->tables > RELIEF_TABLES_LIMIT) {
            *status = NTMM_STATUS_NO_MEMORY;
            return false;
        }
        return bring_tables(c, relief, process, &want, status);
    case WANT_COMMIT:
        return page_files_extend(c, want.pages);
    case WANT_FRAME:
        /* It gave back what it had got. Asking for one more each time ends in success or in
         * waiting, never in giving and taking the same frames. */
        relief->frames = max_u64(want.pages, relief->frames + 1);
        want.pages = relief->frames;
        c->want = want;
        return page_files_exist(c) &&
               wait_for_want(c, relief_wait(relief), &relief->deadline, status);
    case WANT_ROWS:
        return relief->rows++ < RELIEF_ROWS_LIMIT && rows_make(c, want.pages, want.rows);
    case WANT_NOTHING:
    case WANT_BLOCK:
    case WANT_READ:
        break;
    }
    return false;
}

bool relieve_want(struct call *c, struct relief *relief, struct process *process,
                  ntmm_status *status)
{
    struct want want = c->want;
    c->want = (struct want){.kind = WANT_NOTHING};
    if (NTMM_SUCCEEDED(*status) && want.kind != WANT_TABLE)
        return false;
    bool is_relieved = relieve_kind(c, relief, process, want, status);
    if (is_relieved)
        c->want = (struct want){.kind = WANT_NOTHING};
    return is_relieved;
}
