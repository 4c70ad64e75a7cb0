/**
 * @file
 * Write watch: which pages of a region were written since they were last asked about.
 *
 * A region that is reserved with NTMM_MEM_WRITE_WATCH is watched for its whole life. A page is
 * marked when it is first written, by a program or by a service that writes for it. A mark stays
 * when the page leaves memory and comes back, when its protection changes, and when the region is
 * split; it goes when it is reset, when the page is released, and when it is decommitted. A mark
 * over which the page's protection was changed survives decommit: it is there until it is reset or
 * the page is released.
 */
#ifndef NTMM_WRITE_WATCH_H
#define NTMM_WRITE_WATCH_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Of the functions below: the pages that they return are reset. */
#define NTMM_WRITE_WATCH_FLAG_RESET 0x01u

/**
 * The addresses of marked pages, as NtGetWriteWatch gives them.
 *
 * @param system       any
 * @param process      target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param flags        0, or NTMM_WRITE_WATCH_FLAG_RESET: the pages returned are reset, no others
 * @param base         bytes; rounded down to 4 KiB
 * @param size         bytes, > 0; rounded up so that the request is covered
 * @param addresses    out: first bytes of marked pages, ascending; untouched on failure
 * @param count        in: room at addresses, > 0; out: how many were written; untouched on failure
 * @param granularity  out: 4096; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2  flags holds another bit
 *         NTMM_STATUS_INVALID_PARAMETER_1  base is above NTMM_HIGHEST_USER_ADDRESS, or in no
 *                                          watched region
 *         NTMM_STATUS_INVALID_PARAMETER_3  size is 0, or the range reaches past the region or the
 *                                          last user address
 *         NTMM_STATUS_ACCESS_VIOLATION     addresses, count or granularity is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_5  *count is 0
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 * Level: DISPATCH.
 * Locks: takes (W). Never waits for I/O; with the flag it waits for a shootdown. A write that is
 * made while the call resets its page may count as made before it.
 * Cost: O(marked pages of the range), and little for what is not marked.
 * Source: NtGetWriteWatch, observed; which parameter: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_get_write_watch(struct ntmm_system *system,
                                                        ntmm_handle process, uint32_t flags,
                                                        uint64_t base, uint64_t size,
                                                        uint64_t *addresses, uint64_t *count,
                                                        uint32_t *granularity);

/**
 * The same as a bitmap, for those who keep one: emulators, collectors of garbage, snapshots.
 *
 * @param system   any
 * @param process  target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param flags    0, or NTMM_WRITE_WATCH_FLAG_RESET: all pages of the range are reset
 * @param base     bytes; rounded down to 4 KiB
 * @param size     bytes, > 0; rounded up so that the request is covered
 * @param bitmap   out: bit i % 64 of word i / 64 says whether page i of the range is marked; the
 *                 bits of the last word behind the range are 0; untouched on failure
 * @param words    words at bitmap, at least one for each 64 pages of the range; the others are left
 * @param count    out: marked pages of the range, or NULL; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_BUFFER_TOO_SMALL  the bitmap is
 *         NTMM_STATUS_ACCESS_VIOLATION  bitmap is NULL
 *         and as ntmm_get_write_watch, but for NTMM_STATUS_INVALID_PARAMETER_5
 * Level: DISPATCH.
 * Locks: takes (W). Never waits for I/O; with the flag it waits for a shootdown.
 * Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_get_write_watch_bitmap(struct ntmm_system *system,
                                                               ntmm_handle process, uint32_t flags,
                                                               uint64_t base, uint64_t size,
                                                               uint64_t *bitmap, uint64_t words,
                                                               uint64_t *count);

/**
 * Forget what was written, as NtResetWriteWatch does: the next write of each page marks it again.
 *
 * @param system   any
 * @param process  target; the handle holds NTMM_PROCESS_VM_OPERATION
 * @param base     bytes; rounded down to 4 KiB
 * @param size     bytes, > 0; rounded up so that the request is covered. The pages need not be
 *                 committed
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_1  base is above NTMM_HIGHEST_USER_ADDRESS, or in no
 *                                          watched region
 *         NTMM_STATUS_INVALID_PARAMETER_3  size is 0, or the range reaches past the region or the
 *                                          last user address
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 * Level: DISPATCH.
 * Locks: takes (W). Never waits for I/O; waits for a shootdown when a page was valid and dirty.
 * Source: NtResetWriteWatch, observed; which parameter: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_reset_write_watch(struct ntmm_system *system,
                                                          ntmm_handle process, uint64_t base,
                                                          uint64_t size);

#ifdef __cplusplus
}
#endif

#endif
