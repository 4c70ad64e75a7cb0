/*
 * NtFlushVirtualMemory.
 *
 * Only a view of a data file has anything to flush. Private memory, and an address without a
 * region, is no view, and that is all there is to say of them.
 *
 * Source: nt_semantics 3.6.
 */
#include "services/capture.h"
#include "space/process.h"

#include <ntmm/memory.h>

ntmm_status ntmm_flush_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                      uint64_t *base, uint64_t *size,
                                      struct ntmm_io_status *io_status)
{
    struct call c = call_begin(system);
    struct process *process;
    if (!base || !size || !io_status)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (*base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (reaches_past(*base, *size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    ntmm_status status = process_lock_working_set(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    process_unlock_working_set(&c, process);
    return NTMM_STATUS_NOT_MAPPED_VIEW;
}
