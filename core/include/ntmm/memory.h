/**
 * @file
 * Memory of a process, touched from outside: read, written, copied, locked, flushed, prefetched.
 *
 * A system access follows the rules of the process's own: a guard page is consumed, a page that is
 * out is read, a write makes the page dirty and sets its mark of a write watch.
 */
#ifndef NTMM_MEMORY_H
#define NTMM_MEMORY_H

#include <ntmm/constants.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read memory of a process into a buffer, as NtReadVirtualMemory does.
 *
 * The range is read in chunks of 64 KiB, counted from its beginning. All pages of a chunk must be
 * readable before a byte of it moves.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_READ
 * @param address  first byte
 * @param buffer   out: `size` bytes of the caller's; on failure the first `*copied` of them are
 *                 written, the others perhaps
 * @param size     bytes; 0: nothing is read, and the handle is not looked at
 * @param copied   out, written always: bytes read; NULL: not wanted
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION      the range does not lie in user space, or the buffer is
 *                                           NULL or wraps around
 *         NTMM_STATUS_INVALID_HANDLE        no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED         the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_PARTIAL_COPY          a page of a chunk is not committed, cannot be read, is
 *                                           a guard page (which is consumed), or could not be read
 *                                           from its page file; *copied has the chunks before it
 *         NTMM_STATUS_NO_MEMORY             no frame came free in time
 *         NTMM_STATUS_COMMITMENT_LIMIT      no commit for a page table
 *         or the status of the platform's content operation
 * Locks: takes what a fault takes; (W) is held while bytes move. Waits for frames and transfers
 * with no lock held.
 * Source: NtReadVirtualMemory as observed; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_read_virtual_memory(struct ntmm_system *system,
                                                            ntmm_handle process, uint64_t address,
                                                            void *buffer, uint64_t size,
                                                            uint64_t *copied);

/**
 * Write a buffer into the memory of a process, as NtWriteVirtualMemory does: page by page, as far
 * as pages can be written.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_WRITE
 * @param address  first byte
 * @param buffer   `size` bytes of the caller's
 * @param size     bytes; 0: nothing is written, and the handle is not looked at
 * @param copied   out, written always: bytes written; NULL: not wanted
 * @return NTMM_STATUS_SUCCESS; or, with *copied bytes written,
 *         NTMM_STATUS_ACCESS_VIOLATION, NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING, NTMM_STATUS_NO_MEMORY,
 *         NTMM_STATUS_COMMITMENT_LIMIT      see ntmm_read_virtual_memory
 *         NTMM_STATUS_PARTIAL_COPY          the page behind them is not committed, cannot be
 *                                           written, is a guard page (which is consumed), or could
 *                                           not be read from its page file
 *         or the status of the platform's content operation
 * Locks: see ntmm_read_virtual_memory.
 * Source: NtWriteVirtualMemory as observed; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_write_virtual_memory(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t address,
                                                             const void *buffer, uint64_t size,
                                                             uint64_t *copied);

/**
 * Copy memory from one process to another, or within one.
 *
 * Whole pages move at once where both sides are aligned alike. Of ranges of one process that
 * overlap the contents of the target are unspecified.
 *
 * @param system        any
 * @param from          whose memory is read; needs NTMM_PROCESS_VM_READ
 * @param from_address  first byte
 * @param to            whose memory is written; needs NTMM_PROCESS_VM_WRITE
 * @param to_address    first byte
 * @param size          bytes; 0: nothing is copied, and no handle is looked at
 * @param copied        out, written always: bytes copied; NULL: not wanted
 * @return as ntmm_write_virtual_memory; NTMM_STATUS_ACCESS_VIOLATION when either range does not lie
 *         in user space, NTMM_STATUS_PARTIAL_COPY when either page could not be touched; `from` is
 *         looked up before `to`
 * Locks: (W) of one process at a time, and what a fault takes. Waits as ntmm_read_virtual_memory.
 * Source: ours, after MmCopyVirtualMemory.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_copy_virtual_memory(struct ntmm_system *system,
                                                            ntmm_handle from, uint64_t from_address,
                                                            ntmm_handle to, uint64_t to_address,
                                                            uint64_t size, uint64_t *copied);

#ifdef __cplusplus
}
#endif

#endif
