/*
 * User physical pages: get, free, map, scatter.
 */
#include "services/relief.h"
#include "space/awe.h"

#include <ntmm/physical.h>

ntmm_status ntmm_allocate_user_physical_pages(struct ntmm_system *system, ntmm_handle handle,
                                              uint64_t *count, uint64_t *frames)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    struct relief relief = relief_begin();
    ntmm_status status;
    uint64_t got = 0;

    if (!count || !frames)
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        status = process_lock_privileged(&c, handle, NTMM_PROCESS_VM_OPERATION, HELD_LOCK_MEMORY,
                                         &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = awe_allocate(&c, process, frames, *count, &got);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status == NTMM_STATUS_SUCCESS)
        *count = got;
    return status;
}

ntmm_status ntmm_free_user_physical_pages(struct ntmm_system *system, ntmm_handle handle,
                                          uint64_t *count, const uint64_t *frames)
{
    struct call c = call_begin(system);
    struct process *process;
    uint64_t freed;

    if (!count || !frames)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = awe_free(&c, process, frames, *count, &freed);
    process_unlock_address(&c, process);
    *count = freed;
    return status;
}

static ntmm_status map(struct ntmm_system *system, ntmm_handle handle,
                       const struct awe_mapping *mapping)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (mapping->count)
            status = awe_map(&c, process, mapping);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    return status;
}

ntmm_status ntmm_map_user_physical_pages(struct ntmm_system *system, ntmm_handle handle,
                                         uint64_t base, uint64_t count, const uint64_t *frames)
{
    const struct awe_mapping mapping = {
        .page = base >> NTMM_PAGE_SHIFT, .frames = frames, .count = count};
    return map(system, handle, &mapping);
}

ntmm_status ntmm_map_user_physical_pages_scatter(struct ntmm_system *system, ntmm_handle handle,
                                                 const uint64_t *addresses, uint64_t count,
                                                 const uint64_t *frames)
{
    const struct awe_mapping mapping = {.addresses = addresses, .frames = frames, .count = count};
    if (count && !addresses)
        return NTMM_STATUS_ACCESS_VIOLATION;
    return map(system, handle, &mapping);
}
