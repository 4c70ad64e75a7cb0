/*
 * See privilege.h.
 */
#include "services/privilege.h"

ntmm_status privileged_lock(struct call *c, ntmm_handle handle, uint32_t rights,
                            uint32_t privileges, struct process **process)
{
    ntmm_status status = process_lock_working_set(c, handle, rights, process);
    bool is_process = status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_PROCESS_IS_TERMINATING;
    if (!is_process || handle_holds(handle, privileges))
        return status;
    if (status == NTMM_STATUS_SUCCESS)
        process_unlock_working_set(c, *process);
    return NTMM_STATUS_PRIVILEGE_NOT_HELD;
}
