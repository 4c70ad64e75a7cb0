/*
 * OfferVirtualMemory, ReclaimVirtualMemory and DiscardVirtualMemory.
 *
 * Order: the arguments, the handle, the region, and that every page is committed. Source:
 * nt_semantics 3.8; the statuses are ours.
 */
#include "services/capture.h"
#include "services/relief.h"
#include "space/reset.h"

#include <ntmm/offer.h>

static bool is_legal_range(uint64_t base, uint64_t size)
{
    return base % NTMM_PAGE_SIZE == 0 && size % NTMM_PAGE_SIZE == 0 && size != 0 &&
           !reaches_past(base, size, NTMM_HIGHEST_USER_ADDRESS);
}

/* NOT_COMMITTED; or that of a table that is out. */
static ntmm_status check_committed(struct call *c, struct process *process, const struct vad *vad,
                                   struct page_range range)
{
    for (uint64_t page = range.start; page < range.end;) {
        struct page_state state = private_query(c, process, vad, page, range.end, &page);
        if (c->want.kind != WANT_NOTHING)
            return want_status(c);
        if (!state.is_committed)
            return NTMM_STATUS_NOT_COMMITTED;
    }
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status change_range(struct call *c, struct process *process, struct page_range range,
                                enum reset_kind kind, uint32_t priority)
{
    struct vad *vad = vad_find(c, process, range.start);
    if (!vad || range.end > vad_end(vad) || !vad_is_private(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    ntmm_status status = check_committed(c, process, vad, range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return private_reset(c, process, vad, range.start, range.end, kind, priority);
}

static ntmm_status change(struct ntmm_system *system, ntmm_handle handle, uint64_t base,
                          uint64_t size, enum reset_kind kind, uint32_t priority)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct process *process;
    ntmm_status status;
    if (!is_legal_range(base, size))
        return NTMM_STATUS_INVALID_PARAMETER;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = change_range(&c, process, capture_range(base, size), kind, priority);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    return status;
}

ntmm_status ntmm_offer_virtual_memory(struct ntmm_system *system, ntmm_handle handle, uint64_t base,
                                      uint64_t size, uint32_t priority)
{
    if (priority < NTMM_OFFER_VERY_LOW || priority > NTMM_OFFER_NORMAL)
        return NTMM_STATUS_INVALID_PARAMETER;
    return change(system, handle, base, size, RESET_OFFER, priority);
}

ntmm_status ntmm_reclaim_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                        uint64_t base, uint64_t size)
{
    return change(system, handle, base, size, RESET_RECLAIM, 0);
}

ntmm_status ntmm_discard_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                        uint64_t base, uint64_t size)
{
    return change(system, handle, base, size, RESET_DISCARD, 0);
}
