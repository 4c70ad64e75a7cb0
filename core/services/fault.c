/*
 * The public side of the door: locks, waiting, trying again.
 *
 * A fault that lacks frames queues its wait first and then looks once more whether as many as it
 * needs have come free: freeing looks for waiters after it has put a frame on the list, both under
 * (N), so one of the two sees the other and no wake-up is lost.
 */
#include "fault/door.h"

static ntmm_status resolve_once(struct call *c, const struct ntmm_fault_request *request,
                                struct ntmm_fault_result *result)
{
    struct process *process;
    *result = (struct ntmm_fault_result){.kind = NTMM_FAULT_KIND_NONE};
    ntmm_status status = process_lock_working_set(c, request->process, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = door_resolve(c, process, request, result);
    process_unlock_working_set(c, process);
    return status;
}

ntmm_status ntmm_fault_begin(struct ntmm_system *system, const struct ntmm_fault_request *request,
                             struct ntmm_wait *wait, struct ntmm_fault_result *result)
{
    struct call c = call_begin(system);
    for (;;) {
        ntmm_status status = resolve_once(&c, request, result);
        if (status != NTMM_STATUS_PENDING)
            return status;
        waiters_add(&c, wait);
        if (!frames_are_free(&c, c.want.pages)) {
            event_note(&c, NTMM_EVENT_FAULT_WAIT, request->process, request->address, 0, 0);
            return NTMM_STATUS_PENDING;
        }
        waiters_cancel(&c, wait);
    }
}

void ntmm_fault_cancel(struct ntmm_system *system, struct ntmm_wait *wait)
{
    struct call c = call_begin(system);
    waiters_cancel(&c, wait);
}

static ntmm_status wait_for_frame(struct ntmm_system *system, struct ntmm_wait *wait,
                                  uint64_t deadline)
{
    const struct ntmm_platform *platform = &system->platform;
    ntmm_status status = NTMM_STATUS_TIMEOUT;
    if (platform->wait)
        status = platform->wait(platform->context, wait, deadline);
    ntmm_fault_cancel(system, wait);
    return status;
}

ntmm_status ntmm_page_fault(struct ntmm_system *system, const struct ntmm_fault_request *request,
                            struct ntmm_fault_result *result)
{
    const struct ntmm_platform *platform = &system->platform;
    uint64_t deadline = 0;
    struct ntmm_wait wait;

    for (;;) {
        ntmm_status status = ntmm_fault_begin(system, request, &wait, result);
        if (status != NTMM_STATUS_PENDING)
            return status;
        if (deadline == 0 && platform->now)
            deadline = platform->now(platform->context) + system->fault_wait_100ns;
        if (wait_for_frame(system, &wait, deadline) != NTMM_STATUS_SUCCESS)
            return NTMM_STATUS_NO_MEMORY;
    }
}
