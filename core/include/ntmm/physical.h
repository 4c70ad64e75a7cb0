/**
 * @file
 * User physical pages, which Windows calls AWE: frames that a process owns as such, and windows of
 * its address space in which it looks at some of them at a time.
 *
 * A window is a region reserved with NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL. Its pages are accessible
 * where a frame is mapped; a query shows these as committed and the others as reserved. Frames are
 * named by their numbers. They are zero when they are got, stay in memory, count in no working set,
 * are charged to commit until they are freed, and end with the process. Releasing a window frees no
 * frame.
 */
#ifndef NTMM_PHYSICAL_H
#define NTMM_PHYSICAL_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Get frames for a process, as NtAllocateUserPhysicalPages does.
 *
 * @param system   any
 * @param process  target; the handle holds NTMM_PROCESS_VM_OPERATION and SeLockMemory
 * @param count    in: frames wanted; out: frames got, perhaps fewer; untouched on failure
 * @param frames   out: their numbers; room for as many as are wanted. On failure its contents are
 *                 of no matter
 * @return NTMM_STATUS_SUCCESS: at least one frame, or none was wanted; or, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION         count or frames is NULL
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING   see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD       the handle lacks SeLockMemory
 *         NTMM_STATUS_NO_MEMORY                no frame is free
 *         NTMM_STATUS_COMMITMENT_LIMIT         not one page can be charged
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED  not one can be charged to the process
 * Level: APC.
 * Locks: takes (A), (W), (C), (P), (N). May wait for a frame when there are page files.
 * Source: NtAllocateUserPhysicalPages, Microsoft documentation of AllocateUserPhysicalPages.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_allocate_user_physical_pages(struct ntmm_system *system,
                                                                     ntmm_handle process,
                                                                     uint64_t *count,
                                                                     uint64_t *frames);

/**
 * Free frames of a process, as NtFreeUserPhysicalPages does. What is mapped is unmapped.
 *
 * @param system   any
 * @param process  target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param count    in: frames to free; out: frames freed, also when not all could be
 * @param frames   their numbers
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_PARAMETER_3     a frame is not the process's, or was named before: it
 *                                             and those behind it stay, *count says how many went
 *         and, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION        count or frames is NULL
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         or the status of a page table that could not be read
 * Level: DISPATCH.
 * Locks: takes (A), (W), (C), (P), (N). Waits for a shootdown when a frame was mapped.
 * Source: NtFreeUserPhysicalPages, Microsoft documentation of FreeUserPhysicalPages.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_free_user_physical_pages(struct ntmm_system *system,
                                                                 ntmm_handle process,
                                                                 uint64_t *count,
                                                                 const uint64_t *frames);

/**
 * Map frames at pages in a row of a window, or unmap these, as NtMapUserPhysicalPages does. All or
 * nothing. A page that shows another frame shows the new one instead, with READWRITE.
 *
 * @param system   any
 * @param process  target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param base     bytes, in a window; rounded down to 4 KiB
 * @param count    pages; 0: nothing happens
 * @param frames   numbers of frames, one a page; NULL: the pages are unmapped
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_INVALID_PARAMETER_1     base is in no window
 *         NTMM_STATUS_INVALID_PARAMETER_2     the pages leave the window
 *         NTMM_STATUS_INVALID_PARAMETER_3     a frame is not the process's, is mapped at another
 *                                             page, or is named twice
 *         NTMM_STATUS_NO_MEMORY               no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT        no commit for a table
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). Waits for a shootdown when a page showed a frame before, and for
 * tables that are paged out.
 * Source: NtMapUserPhysicalPages, Microsoft documentation of MapUserPhysicalPages.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_map_user_physical_pages(struct ntmm_system *system,
                                                                ntmm_handle process, uint64_t base,
                                                                uint64_t count,
                                                                const uint64_t *frames);

/**
 * The same at any pages of any windows, as NtMapUserPhysicalPagesScatter does.
 *
 * @param system     any
 * @param process    target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param addresses  bytes, each in a window; rounded down to 4 KiB
 * @param count      pages; 0: nothing happens
 * @param frames     numbers of frames, one a page; NULL: the pages are unmapped
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION        addresses is NULL and count is not 0
 *         and as ntmm_map_user_physical_pages, but for NTMM_STATUS_INVALID_PARAMETER_2
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). Waits for a shootdown when a page showed a frame before.
 * Source: NtMapUserPhysicalPagesScatter, Microsoft documentation of MapUserPhysicalPagesScatter.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_map_user_physical_pages_scatter(struct ntmm_system *system,
                                                                        ntmm_handle process,
                                                                        const uint64_t *addresses,
                                                                        uint64_t count,
                                                                        const uint64_t *frames);

#ifdef __cplusplus
}
#endif

#endif
