/*
 * The public side of the door: locks, waiting, trying again.
 *
 *   begin --> resolve under (W) --> PENDING --> relieve a shortage of frames --> queue the wait,
 *     ^                                          submit a new read                   |
 *     +-------------- woken, or nothing to wait for any more -----------------------+
 *
 * The block that a fault waited for is left only after the fault was resolved anew: until then it
 * keeps the page in memory.
 */
#include "fault/door.h"
#include "paging/transfers.h"
#include "services/relief.h"
#include "space/readers.h"

/* (W) is shared. True: the fault is resolved. False: (W) is the caller's alone, or *status says why
 * it is not. */
static __attribute__((noinline)) bool resolve_as_reader(
    struct call *c, const struct ntmm_fault_request *request, const struct ntmm_wait *wait,
    struct process **process, struct ntmm_fault_result *result, ntmm_status *status)
{
    uint64_t zeroed = FRAME_NONE;
    do {
        if (door_resolve_soft(c, *process, request, wait, &zeroed, result))
            return true;
        *status = zeroed == FRAME_NONE ? process_lock_working_set(c, request->process, 0, process)
                                       : process_lock_to_read(c, request->process, 0, process);
    } while (c->reader);
    if (zeroed != FRAME_NONE)
        frame_free_zeroed(c, NTMM_USE_PRIVATE, zeroed);
    return false;
}

static ntmm_status resolve_once(struct call *c, const struct ntmm_fault_request *request,
                                struct ntmm_wait *wait, struct ntmm_fault_result *result)
{
    struct process *process;
    *result = (struct ntmm_fault_result){.kind = NTMM_FAULT_KIND_NONE};
    ntmm_status status = process_lock_to_read(c, request->process, 0, &process);
    if (__builtin_expect(c->reader != 0, 0) &&
        resolve_as_reader(c, request, wait, &process, result, &status))
        return NTMM_STATUS_SUCCESS;
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = door_resolve(c, process, request, wait, result);
    process_unlock_working_set(c, process);
    return status;
}

/* Whether an earlier begin of the fault waited, as few do. */
static bool has_waited(const struct ntmm_wait *wait)
{
    return wait->block || (wait->flags & (WAIT_FOR_FRAME | WAIT_FOR_BLOCK));
}

/* A wait for a block that was woken is in no queue; who woke it is done with it once the block is
 * left, which takes the same lock. */
static bool is_out_of_queue(const struct ntmm_wait *wait)
{
    return wait->block && wait_is_woken(wait);
}

static ntmm_status begin(struct call *c, const struct ntmm_fault_request *request,
                         struct ntmm_wait *wait, struct ntmm_fault_result *result)
{
    for (;;) {
        if (has_waited(wait) && !is_out_of_queue(wait))
            wait_leave_queue(c, wait);
        ntmm_status status = resolve_once(c, request, wait, result);
        if (wait->block)
            wait_leave_last(c, wait);
        if (status != NTMM_STATUS_PENDING)
            return status;
        if (c->want.kind == WANT_FRAME && relieve_frames(c, c->want.pages))
            continue;
        if (wait_begin(c, wait)) {
            event_note(c, NTMM_EVENT_FAULT_WAIT, request->process, request->address, 0, 0);
            return NTMM_STATUS_PENDING;
        }
    }
}

ntmm_status ntmm_fault_begin(struct ntmm_system *system, const struct ntmm_fault_request *request,
                             struct ntmm_wait *wait, struct ntmm_fault_result *result)
{
    struct call c = call_begin_to_wait(system);
    return begin(&c, request, wait, result);
}

void ntmm_fault_cancel(struct ntmm_system *system, struct ntmm_wait *wait)
{
    struct call c = call_begin(system);
    wait_end(&c, wait);
}

ntmm_status ntmm_page_fault(struct ntmm_system *system, const struct ntmm_fault_request *request,
                            struct ntmm_fault_result *result)
{
    struct call c = call_begin_to_wait(system);
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;

    for (;;) {
        ntmm_status status = begin(&c, request, &wait, result);
        if (status == NTMM_STATUS_COMMITMENT_LIMIT && page_files_extend(&c, 1))
            continue;
        if (status != NTMM_STATUS_PENDING)
            return status;
        if (!wait_block(&c, &wait, &deadline)) {
            ntmm_fault_cancel(system, &wait);
            return NTMM_STATUS_NO_MEMORY;
        }
    }
}
