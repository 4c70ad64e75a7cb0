/**
 * @file
 * Secured memory: ranges of a process that the kernel's own users rely on.
 *
 * While a range is secured, nobody takes away the access that was secured: a free, an unmap, a
 * decommit, a protection or a commit that would is refused with
 * NTMM_STATUS_INVALID_PAGE_PROTECTION. Access may be raised, contents may change or be reset, pages
 * may be paged out. Any number of secures of the same pages may stand at once.
 */
#ifndef NTMM_SECURE_H
#define NTMM_SECURE_H

#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Secure the pages around a range, as MmSecureVirtualMemory does. The pages are looked at, not
 * touched.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_OPERATION
 * @param base     first byte
 * @param size     bytes, > 0
 * @param mode     what is secured: NTMM_PAGE_READONLY or NTMM_PAGE_READWRITE
 * @param secured  out: what ntmm_unsecure_virtual_memory takes; untouched on failure. It names
 *                 nothing any more when the process has ended
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2     base above user space
 *         NTMM_STATUS_INVALID_PARAMETER_3     size is 0, or the range passes the end of user space
 *         NTMM_STATUS_INVALID_PARAMETER_4     mode is neither
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_CONFLICTING_ADDRESSES   the pages are not inside one region, or it is a
 *                                             window of physical pages or of borrowed frames
 *         NTMM_STATUS_ACCESS_VIOLATION        `secured` is NULL; or a page is not committed, is a
 *                                             guard, or does not grant the access
 *         NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT  no memory for the record
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (S), (C), (P), (N). Waits for page tables that are out.
 * Source: MmSecureVirtualMemory, Microsoft documentation; statuses: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_secure_virtual_memory(struct ntmm_system *system,
                                                              ntmm_handle process, uint64_t base,
                                                              uint64_t size, uint32_t mode,
                                                              uint64_t *secured);

/**
 * End one secure, as MmUnsecureVirtualMemory does; others of the same pages stand.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_OPERATION
 * @param secured  of ntmm_secure_virtual_memory, for this process
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2     no secure of the process that stands
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 * Level: DISPATCH.
 * Locks: takes (A), (W), (S), perhaps (C), (P), (N). Never waits.
 * Source: MmUnsecureVirtualMemory, Microsoft documentation; statuses: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_unsecure_virtual_memory(struct ntmm_system *system,
                                                                ntmm_handle process,
                                                                uint64_t secured);

#ifdef __cplusplus
}
#endif

#endif
