/**
 * @file
 * NT's virtual-memory services for private memory.
 *
 * A region is a VAD: [base, end), one reservation. Its pages are reserved or committed each; a
 * committed page has a protection of its own. A page that was never touched costs nothing but its
 * commit charge.
 */
#ifndef NTMM_VIRTUAL_H
#define NTMM_VIRTUAL_H

#include <ntmm/constants.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** MEMORY_BASIC_INFORMATION of a 64-bit caller: 48 bytes, NT's layout. */
struct ntmm_memory_basic_information {
    uint64_t base_address;       /**< The page asked for. */
    uint64_t allocation_base;    /**< First byte of the region; 0 when free. */
    uint32_t allocation_protect; /**< NTMM_PAGE_* given when reserving; 0 when free. */
    uint16_t partition_id;       /**< Memory partition; 0. */
    uint16_t padding;            /**< 0. */
    uint64_t region_size;        /**< Bytes from base_address with equal state and protection. */
    uint32_t state;              /**< NTMM_MEM_FREE, NTMM_MEM_RESERVE or NTMM_MEM_COMMIT. */
    uint32_t protect;            /**< NTMM_PAGE_*; 0 when reserved, NOACCESS when free. */
    uint32_t type;               /**< NTMM_MEM_PRIVATE, MAPPED or IMAGE; 0 when free. */
    uint32_t padding2;           /**< 0. */
};

/**
 * Commit, reserve or both, as NtAllocateVirtualMemory does.
 *
 * @param system     any
 * @param process    target; any live process of the system
 * @param base       in/out, bytes. 0: the system chooses. Rounded down to 64 KiB when reserving, to
 *                   4 KiB when committing; on success the rounded base
 * @param zero_bits  high address bits that must be zero, 0..21 counted from bit 31, or from 32 up a
 *                   mask whose highest set bit bounds the address; used when the system chooses
 * @param size       in/out, bytes, > 0; on success rounded so that [base, base + size) covers the
 *                   request
 * @param type       NTMM_MEM_RESERVE, NTMM_MEM_COMMIT or both, and NTMM_MEM_TOP_DOWN. COMMIT with
 *                   base 0 implies RESERVE
 * @param protect    one NTMM_PAGE_* value legal for private memory, and its modifiers
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_ACCESS_VIOLATION         base or size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2      base lies outside the addresses a user may reserve
 *         NTMM_STATUS_INVALID_PARAMETER_3      zero_bits is 22..31
 *         NTMM_STATUS_INVALID_PARAMETER_4      size is 0 or reaches past the last address
 *         NTMM_STATUS_INVALID_PARAMETER_5      type holds an unknown bit, or neither COMMIT nor
 *                                              RESERVE
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION  protect is not legal for private memory
 *         NTMM_STATUS_NOT_SUPPORTED            type asks for a kind of memory this version lacks
 *                                              (reset, write watch, physical, large pages)
 *         NTMM_STATUS_INVALID_HANDLE           process names nothing alive
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH     process is a handle of another kind
 *         NTMM_STATUS_PROCESS_IS_TERMINATING   the process is ending
 *         NTMM_STATUS_CONFLICTING_ADDRESSES    reserving: the range meets a region; committing: it
 *                                              is not inside one region
 *         NTMM_STATUS_NO_MEMORY                no gap in the address space, or no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT         the charge exceeds the commit limit
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED  the charge exceeds the process's own limit
 * Locks: takes (A), (W), (C). Never waits for I/O; may wait for a shootdown when a commit changes
 * the protection of valid pages.
 * Source: NtAllocateVirtualMemory, Microsoft documentation; order of checks: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_allocate_virtual_memory(struct ntmm_system *system,
                                                                ntmm_handle process, uint64_t *base,
                                                                uint64_t zero_bits, uint64_t *size,
                                                                uint32_t type, uint32_t protect);

/**
 * Decommit or release, as NtFreeVirtualMemory does.
 *
 * @param system   any
 * @param process  target
 * @param base     in/out, bytes; rounded down to 4 KiB
 * @param size     in/out, bytes; 0: the whole region that begins at base. On success the size freed
 *                 (0 for a decommit with size 0 since build 17134)
 * @param type     NTMM_MEM_DECOMMIT or NTMM_MEM_RELEASE
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_INVALID_PARAMETER_4     type is neither
 *         NTMM_STATUS_ACCESS_VIOLATION        base or size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2     base is not a user address
 *         NTMM_STATUS_INVALID_PARAMETER_3     the range reaches past the last user address
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_MEMORY_NOT_ALLOCATED    base is in no region
 *         NTMM_STATUS_UNABLE_TO_FREE_VM       the range leaves its region
 *         NTMM_STATUS_FREE_VM_NOT_AT_BASE     size is 0 and base is not the region's first page
 *         NTMM_STATUS_NO_MEMORY               no frame for the second half of a split region, or
 *                                             for a table that marks decommitted pages
 *         NTMM_STATUS_COMMITMENT_LIMIT        no commit for it
 * Locks: takes (A), (W), (C). Waits for a shootdown when a valid page goes.
 * Source: NtFreeVirtualMemory, Microsoft documentation and observed behaviour.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_free_virtual_memory(struct ntmm_system *system,
                                                            ntmm_handle process, uint64_t *base,
                                                            uint64_t *size, uint32_t type);

/**
 * Change the protection of committed pages, as NtProtectVirtualMemory does.
 *
 * @param system   any
 * @param process  target
 * @param base     in/out, bytes; rounded down to 4 KiB
 * @param size     in/out, bytes, > 0; on success rounded to cover the request
 * @param protect  new protection
 * @param old      out: protection of the first page before; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION    protect is not legal for private memory
 *         NTMM_STATUS_ACCESS_VIOLATION           base, size or old is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2        base is not a user address
 *         NTMM_STATUS_INVALID_PARAMETER_3        size is 0 or the range reaches past the last
 *                                                address
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING     see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_CONFLICTING_ADDRESSES      the range is not inside one region
 *         NTMM_STATUS_NOT_COMMITTED              a page of it is not committed
 *         NTMM_STATUS_NO_MEMORY                  no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT           no commit for a table
 * Locks: takes (A), (W), (C). Waits for a shootdown when a valid page is involved.
 * Source: NtProtectVirtualMemory, Microsoft documentation and observed behaviour.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_protect_virtual_memory(struct ntmm_system *system,
                                                               ntmm_handle process, uint64_t *base,
                                                               uint64_t *size, uint32_t protect,
                                                               uint32_t *old);

/**
 * The run of like pages that begins at an address, as NtQueryVirtualMemory's basic class reports
 * it.
 *
 * @param system       any
 * @param process      target
 * @param address      bytes; rounded down to 4 KiB
 * @param information  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION      information is NULL
 *         NTMM_STATUS_INVALID_PARAMETER     address is above NTMM_HIGHEST_USER_ADDRESS
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 * Locks: takes (W). Never waits; touches no page of the process.
 * Source: NtQueryVirtualMemory, MemoryBasicInformation.
 */
NTMM_API NTMM_MUST_USE ntmm_status
ntmm_query_virtual_memory(struct ntmm_system *system, ntmm_handle process, uint64_t address,
                          struct ntmm_memory_basic_information *information);

#ifdef __cplusplus
}
#endif

#endif
