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
 * Level: APC.
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
 * Level: APC.
 * Locks: see ntmm_read_virtual_memory.
 * Source: NtWriteVirtualMemory as observed; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_write_virtual_memory(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t address,
                                                             const void *buffer, uint64_t size,
                                                             uint64_t *copied);

/** @name What ntmm_probe_virtual_memory probes for
 * @{ */
#define NTMM_PROBE_READ 0u  /**< Each page can be read. */
#define NTMM_PROBE_WRITE 1u /**< Each page can be written, and counts as written. */
/** @} */

/**
 * Probe a buffer of a process as NT's system services do before they move bytes for their caller
 * (ProbeForRead, ProbeForWrite): each page is accessed once, in rising order. A probe for writing
 * makes every page dirty and marks it written for a write watch, however many bytes come later.
 * For who forwards services that read or write files or devices; the pages may leave memory again.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_READ, or NTMM_PROCESS_VM_WRITE
 * @param address  first byte
 * @param size     bytes; 0: nothing is probed, and the handle is not looked at
 * @param access   NTMM_PROBE_READ or NTMM_PROBE_WRITE
 * @return NTMM_STATUS_SUCCESS; or, with the pages before the one that failed probed,
 *         NTMM_STATUS_ACCESS_VIOLATION      the range leaves user space or wraps, or a page is not
 *                                           committed or does not allow the access
 *         NTMM_STATUS_GUARD_PAGE_VIOLATION  a guard page, which is consumed
 *         NTMM_STATUS_IN_PAGE_ERROR         a page could not be read
 *         NTMM_STATUS_INVALID_PARAMETER_5   access is neither
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED, NTMM_STATUS_PROCESS_IS_TERMINATING, NTMM_STATUS_NO_MEMORY,
 *         NTMM_STATUS_COMMITMENT_LIMIT      see ntmm_read_virtual_memory
 * Level: APC.
 * Locks: see ntmm_read_virtual_memory.
 * Source: public documentation of ProbeForWrite; nt_semantics 3.9, 6.2, 6.3.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_probe_virtual_memory(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t address,
                                                             uint64_t size, uint32_t access);

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
 * Level: APC.
 * Locks: (W) of one process at a time, and what a fault takes. Waits as ntmm_read_virtual_memory.
 * Source: ours, after MmCopyVirtualMemory.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_copy_virtual_memory(struct ntmm_system *system,
                                                            ntmm_handle from, uint64_t from_address,
                                                            ntmm_handle to, uint64_t to_address,
                                                            uint64_t size, uint64_t *copied);

/** @name What a page is locked in
 * @{ */
#define NTMM_MAP_PROCESS 1u /**< In the working set: the page stays valid. */
#define NTMM_MAP_SYSTEM 2u  /**< In memory: needs the privilege to lock memory. */
/** @} */

/**
 * Lock pages, as NtLockVirtualMemory does: they are brought in, and stay valid until they are
 * unlocked, made inaccessible or freed, or the process ends. Locks do not nest.
 *
 * @param system    any
 * @param process   target; needs NTMM_PROCESS_VM_OPERATION
 * @param base      in/out, bytes; on success rounded down to 4 KiB
 * @param size      in/out, bytes, > 0; on success rounded to cover the request
 * @param map_type  NTMM_MAP_PROCESS, NTMM_MAP_SYSTEM or both
 * @return NTMM_STATUS_SUCCESS               all pages are locked
 *         NTMM_STATUS_WAS_LOCKED            a success: they are, and a page was already locked
 *         or, with base, size and every lock as they were,
 *         NTMM_STATUS_INVALID_PARAMETER     map_type has another bit, or none
 *         NTMM_STATUS_ACCESS_VIOLATION      base or size is NULL; or a page is not committed, or
 *                                           not accessible
 *         NTMM_STATUS_INVALID_PARAMETER_2   base is not a user address
 *         NTMM_STATUS_INVALID_PARAMETER_3   size is 0 or the range reaches past the last address
 *         NTMM_STATUS_INVALID_HANDLE        no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED         the handle lacks the right
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD    NTMM_MAP_SYSTEM without the privilege
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_INCOMPATIBLE_FILE_MAP  frames of the embedder are there
 *         NTMM_STATUS_WORKING_SET_QUOTA     more pages would be locked than the minimum of the
 *                                           working set less 8; of a range that is longer than that
 *                                           no page is touched
 *         NTMM_STATUS_GUARD_PAGE_VIOLATION  a page was a guard page; it is none any more
 *         NTMM_STATUS_IN_PAGE_ERROR         a page could not be read from its page file
 *         NTMM_STATUS_NO_MEMORY             there are no frames to hold the pages together
 *         NTMM_STATUS_COMMITMENT_LIMIT      no commit for a page table
 * Level: APC.
 * Locks: takes what a fault takes. Waits for frames and transfers with no lock held.
 * Source: NtLockVirtualMemory as observed; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_lock_virtual_memory(struct ntmm_system *system,
                                                            ntmm_handle process, uint64_t *base,
                                                            uint64_t *size, uint32_t map_type);

/**
 * Unlock pages, as NtUnlockVirtualMemory does.
 *
 * @param system    any
 * @param process   target; needs NTMM_PROCESS_VM_OPERATION
 * @param base      in/out, bytes; on success rounded down to 4 KiB
 * @param size      in/out, bytes, > 0; on success rounded to cover the request
 * @param map_type  which locks go: NTMM_MAP_PROCESS, NTMM_MAP_SYSTEM or both
 * @return NTMM_STATUS_SUCCESS               every page had all these locks, and has none of them
 *         NTMM_STATUS_NOT_LOCKED            a page lacks one of them, or is not in memory: every
 *                                           lock is as it was, and the pages of the range that have
 *                                           no lock at all leave the working set, as in NT
 *         NTMM_STATUS_INVALID_PARAMETER, NTMM_STATUS_INVALID_PARAMETER_2,
 *         NTMM_STATUS_INVALID_PARAMETER_3, NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD, NTMM_STATUS_PROCESS_IS_TERMINATING
 *                                           see ntmm_lock_virtual_memory
 *         NTMM_STATUS_ACCESS_VIOLATION      base or size is NULL
 * Level: DISPATCH.
 * Locks: takes (W), (F), (L), (Q). Waits for a shootdown when pages leave the working set.
 * Source: NtUnlockVirtualMemory and VirtualUnlock, Microsoft documentation and observed behaviour.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_unlock_virtual_memory(struct ntmm_system *system,
                                                              ntmm_handle process, uint64_t *base,
                                                              uint64_t *size, uint32_t map_type);

/** IO_STATUS_BLOCK of a 64-bit caller: 16 bytes, NT's layout. */
struct ntmm_io_status {
    uint32_t status;      /**< NTSTATUS of the writing. */
    uint32_t padding;     /**< 0. */
    uint64_t information; /**< Bytes written. */
};

/**
 * Write the modified pages of a view of a file, as NtFlushVirtualMemory does. Private memory has no
 * file: it is no view.
 *
 * @param system     any
 * @param process    target; needs NTMM_PROCESS_VM_OPERATION
 * @param base       in/out, bytes; rounded to pages once the range was found good
 * @param size       in/out, bytes; 0: to the end of the view
 * @param io_status  out, once the range was found good
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION      base, size or io_status is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2   base is no user address, or the range leaves the view
 *         NTMM_STATUS_INVALID_PARAMETER_3   the range reaches past the last address
 *         NTMM_STATUS_INVALID_HANDLE        no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED         the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_NOT_MAPPED_VIEW       the address is free, or private memory
 *         NTMM_STATUS_NOT_MAPPED_DATA       the view is of an image
 *         or, with some pages written, NTMM_STATUS_NO_MEMORY or NTMM_STATUS_COMMITMENT_LIMIT when a
 *         gap before the pages cannot be filled with zeros, NTMM_STATUS_CANT_WAIT when the platform
 *         can neither wait nor pump, or the status of the write or flush that failed
 * Level: APC.
 * Locks: takes (W), (O), (X). Waits for I/O.
 * Source: NtFlushVirtualMemory; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_flush_virtual_memory(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t *base,
                                                             uint64_t *size,
                                                             struct ntmm_io_status *io_status);

/** VIRTUAL_MEMORY_INFORMATION_CLASS, NT's values. */
enum ntmm_virtual_memory_information_class {
    NTMM_VM_PREFETCH_INFORMATION = 0,                /**< Bring contents into memory: uint32_t. */
    NTMM_VM_PAGE_PRIORITY_INFORMATION = 1,           /**< Priority of resident pages: uint32_t. */
    NTMM_VM_CFG_CALL_TARGET_INFORMATION = 2,         /**< struct ntmm_cfg_call_target_list. */
    NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION = 7, /**< Trim pages: uint32_t. */
};

/** Prefetch: into the working set; from build 26100 on. */
#define NTMM_PREFETCH_TO_WORKING_SET 1u
/** Removal: every page of the range; otherwise those that were idle when last looked at. */
#define NTMM_REMOVE_FORCE_TRIM 1u

/** MEMORY_RANGE_ENTRY of a 64-bit caller: 16 bytes, NT's layout. */
struct ntmm_memory_range_entry {
    uint64_t virtual_address; /**< First byte; rounded down to 4 KiB. */
    uint64_t number_of_bytes; /**< > 0; rounded up. */
};

/** @name Flags of a call target
 * @{ */
#define NTMM_CFG_CALL_TARGET_VALID 1u     /**< It may be called. */
#define NTMM_CFG_CALL_TARGET_PROCESSED 2u /**< Out: it was looked at. */
/** @} */

/** CFG_CALL_TARGET_INFO. */
struct ntmm_cfg_call_target {
    uint64_t offset; /**< Bytes into the range, a multiple of 16. */
    uint64_t flags;  /**< NTMM_CFG_CALL_TARGET_* bits. */
};

/** CFG_CALL_TARGET_LIST_INFORMATION. */
struct ntmm_cfg_call_target_list {
    uint32_t count;                       /**< Targets. */
    uint32_t reserved;                    /**< 0. */
    uint32_t *processed;                  /**< Out: targets processed. */
    struct ntmm_cfg_call_target *targets; /**< In/out: their flags. */
    void *section;                        /**< Not used for private memory. */
    uint64_t file_offset;                 /**< Not used for private memory. */
};

/**
 * Tell something of ranges of memory, as NtSetInformationVirtualMemory does.
 *
 * Prefetch reads what lies in page files, and what views show of files and images, to standby, in
 * transfers of up to 1 MiB that may still be in flight when it returns; about as many pages, at
 * most, as were available when it began. What cannot be read is passed over. With
 * NTMM_PREFETCH_TO_WORKING_SET it also makes those pages valid. Page priority
 * changes pages that are in memory now. No guard is consumed, no page need be accessible, and
 * addresses that are free, never touched, or not a user's are passed over.
 *
 * @param system             any
 * @param process            target; needs NTMM_PROCESS_SET_INFORMATION
 * @param information_class  enum ntmm_virtual_memory_information_class
 * @param count              ranges; call targets: 1
 * @param ranges             `count` ranges; call targets: one that is committed and executable
 * @param information        NTMM_PREFETCH_*, a priority 0..5, NTMM_REMOVE_*, or in/out the list of
 *                           call targets (ntmm/call_target.h); of a process without control flow
 *                           guard they are only checked
 * @param length             bytes at information: 4, or those of the list
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_PARAMETER_2   no such class
 *         NTMM_STATUS_INVALID_PARAMETER_5   information is NULL, or its value is out of range
 *         NTMM_STATUS_INVALID_PARAMETER_6   length is not what the class has
 *         NTMM_STATUS_INVALID_PARAMETER_3   count is 0, or not 1 for call targets
 *         NTMM_STATUS_ACCESS_VIOLATION      ranges is NULL, or a pointer of the list is
 *         NTMM_STATUS_INVALID_PARAMETER_4   a range has no bytes
 *         NTMM_STATUS_INVALID_HANDLE        no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED         the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_INVALID_PARAMETER     call targets: the range is not executable, or an offset
 *                                           is not aligned or outside, or a flag unknown; no flag
 *                                           is changed
 *         call targets only: NTMM_STATUS_COMMITMENT_LIMIT, NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED for
 *         a page of their bitmap; NTMM_STATUS_NO_MEMORY for that, or, as the status of a read, when
 *         a page table could not be brought in
 * Level: APC.
 * Locks: takes (W), (X) for a piece at a time, (F), (G), (L), (P), (N), (Q); of call targets (A),
 * (W), (C).
 * Waits for a free block for a read and for page tables, with no lock held.
 * Source: NtSetInformationVirtualMemory as observed; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_information_virtual_memory(
    struct ntmm_system *system, ntmm_handle process, uint32_t information_class, uint64_t count,
    const struct ntmm_memory_range_entry *ranges, void *information, uint32_t length);

#ifdef __cplusplus
}
#endif

#endif
