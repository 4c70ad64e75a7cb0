/*
 * The embedder's frames at an address: mapping, unmapping.
 *
 * The order of the checks is NtAllocateVirtualMemory's, and the frames last: a frame that was
 * handed over is the system's own and cannot be borrowed. Which process may map what the embedder
 * decides: who calls this is the embedder.
 */
#include "base/bits.h"
#include "services/capture.h"
#include "services/relief.h"
#include "services/space_search.h"
#include "space/borrowed.h"
#include "space/call_targets.h"
#include "space/private.h"
#include "space/protection.h"

#include <ntmm/borrow.h>

struct borrowing {
    uint64_t base; /* bytes, as given; 0: the system chooses */
    uint64_t size;
    uint64_t first_frame;
    uint32_t protect;    /* NTMM_PAGE_* */
    uint32_t protection; /* code */
};

static ntmm_status check(const struct borrowing *b)
{
    if (protection_is_guard(b->protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (b->base > NTMM_HIGHEST_VAD_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (b->size == 0 || reaches_past(b->base, b->size, NTMM_HIGHEST_VAD_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return NTMM_STATUS_SUCCESS;
}

/* Whether frames exist for processors and are nobody's but the embedder's. */
static bool are_frames_foreign(const struct call *c, uint64_t first, uint64_t count)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t limit = 1ull << (get32(&anchor->physical_address_bits) - NTMM_PAGE_SHIFT);
    if (first >= limit || count > limit - first)
        return false;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t base = get64(&anchor->ranges[i].base_frame);
        if (first < base + get64(&anchor->ranges[i].given_count) && base < first + count)
            return false;
    }
    return true;
}

static ntmm_status find_place(struct call *c, struct process *process, const struct borrowing *b,
                              struct vad_place *place)
{
    const struct space_bounds bounds = space_bounds_none();
    if (b->base == 0)
        return search_space(c, process, round_up(b->size, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT,
                            &bounds, place);
    struct page_range asked = capture_range(b->base, b->size);
    place->start = round_down(asked.start, NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE);
    place->end = asked.end;
    if (place->start < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (place->end > get64(&process->highest_page))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return space_is_free(c, process, place) ? NTMM_STATUS_SUCCESS
                                            : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

static ntmm_status map(struct call *c, struct process *process, const struct borrowing *b,
                       struct page_range *range)
{
    struct vad_place place;
    ntmm_status status = find_place(c, process, b, &place);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *range = (struct page_range){.start = place.start, .end = place.end};
    if (!are_frames_foreign(c, b->first_frame, place.end - place.start))
        return NTMM_STATUS_INVALID_PARAMETER_6;
    bool is_code = targets_are_kept(process) && protection_can_execute(b->protection);
    if (is_code)
        status = targets_prepare(c, process, place.start, place.end);
    if (status == NTMM_STATUS_SUCCESS)
        status = borrowed_map(c, process, &place, b->protection, b->protect, b->first_frame);
    if (is_code && status == NTMM_STATUS_SUCCESS)
        targets_set(c, process, place.start, place.end, true);
    if (is_code)
        targets_prune(c, process, place.start, place.end);
    return status;
}

ntmm_status ntmm_map_borrowed(struct ntmm_system *system, ntmm_handle handle, uint64_t *base,
                              uint64_t *size, uint32_t protect, uint64_t first_frame)
{
    struct call c = call_begin_to_wait(system);
    struct borrowing b = {.protect = protect, .first_frame = first_frame};
    struct page_range range = {.start = 0};
    struct relief relief = relief_begin();
    struct process *process;

    if (!protection_of_private(protect, &b.protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!base || !size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    b.base = *base;
    b.size = *size;
    ntmm_status status = check(&b);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = map(&c, process, &b, &range);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    give_range(range, base, size);
    event_note(&c, NTMM_EVENT_RESERVE, handle, *base, *size, 0);
    return status;
}

static ntmm_status unmap(struct call *c, struct process *process, uint64_t address,
                         struct page_range *range)
{
    struct vad *vad = vad_find(c, process, address >> NTMM_PAGE_SHIFT);
    if (!vad || !vad_is_borrowed(vad) || !vad_may_change(vad))
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    *range = (struct page_range){.start = vad_start(vad), .end = vad_end(vad)};
    ntmm_status status = private_release(c, process, vad, range->start, range->end);
    if (status == NTMM_STATUS_SUCCESS)
        targets_clear(c, process, range->start, range->end);
    return status;
}

ntmm_status ntmm_unmap_borrowed(struct ntmm_system *system, ntmm_handle handle, uint64_t address)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct page_range range = {.start = 0};
    struct process *process;
    ntmm_status status;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = unmap(&c, process, address, &range);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status == NTMM_STATUS_SUCCESS) {
        uint64_t base, size;
        give_range(range, &base, &size);
        event_note(&c, NTMM_EVENT_RELEASE, handle, base, size, 0);
    }
    return status;
}

static ntmm_status map_shared(struct call *c, struct process *process, uint64_t frame)
{
    struct vad_place place = {.start = NTMM_SHARED_USER_DATA_ADDRESS >> NTMM_PAGE_SHIFT,
                              .end = (NTMM_SHARED_USER_DATA_ADDRESS >> NTMM_PAGE_SHIFT) + 1};
    if (!are_frames_foreign(c, frame, 1))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (!space_is_free(c, process, &place))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    ntmm_status status = borrowed_map(c, process, &place, PROT_READONLY, NTMM_PAGE_READONLY, frame);
    if (status == NTMM_STATUS_SUCCESS)
        vad_forbid_change(vad_find(c, process, place.start));
    return status;
}

ntmm_status ntmm_map_shared_user_data(struct ntmm_system *system, ntmm_handle handle,
                                      uint64_t frame)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct process *process;
    ntmm_status status;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = map_shared(&c, process, frame);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status == NTMM_STATUS_SUCCESS)
        event_note(&c, NTMM_EVENT_RESERVE, handle, NTMM_SHARED_USER_DATA_ADDRESS, NTMM_PAGE_SIZE,
                   0);
    return status;
}
