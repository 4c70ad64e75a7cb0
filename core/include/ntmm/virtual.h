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
 * Commit, reserve or both, or give contents up, as NtAllocateVirtualMemory does.
 *
 * RESET says that the contents of the whole pages in the range do not matter any more: they are
 * found as they were or as zeros, until they are written. RESET_UNDO says that they matter again,
 * and whether they are all still there. Both leave commit and protection alone.
 *
 * @param system     any
 * @param process    target; any live process of the system
 * @param base       in/out, bytes. 0: the system chooses. Rounded down to 64 KiB when reserving, to
 *                   4 KiB when committing; on success the rounded base
 * @param zero_bits  high address bits that must be zero, 0..21 counted from bit 31, or from 32 up a
 *                   mask whose highest set bit bounds the address; used when the system chooses
 * @param size       in/out, bytes, > 0; on success rounded so that [base, base + size) covers the
 *                   request; for a reset the whole pages inside it, perhaps 0
 * @param type       NTMM_MEM_RESERVE, NTMM_MEM_COMMIT or both, and NTMM_MEM_TOP_DOWN. COMMIT with
 *                   base 0 implies RESERVE. Or NTMM_MEM_RESET or NTMM_MEM_RESET_UNDO alone. With
 *                   RESERVE also NTMM_MEM_WRITE_WATCH (ntmm/write_watch.h); with RESERVE alone and
 *                   READWRITE NTMM_MEM_PHYSICAL (ntmm/physical.h); with RESERVE and COMMIT
 *                   also NTMM_MEM_LARGE_PAGES: leaves of 2 MiB, which base and size are multiples
 *                   of; all are taken, zeroed and charged at once, never leave memory, are
 *                   protected as wholes and released together
 * @param protect    one NTMM_PAGE_* value legal for private memory, and its modifiers
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_ACCESS_VIOLATION         base or size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2      base lies outside the addresses a user may reserve
 *         NTMM_STATUS_INVALID_PARAMETER_3      zero_bits is 22..31
 *         NTMM_STATUS_INVALID_PARAMETER_4      size is 0 or reaches past the last address
 *         NTMM_STATUS_INVALID_PARAMETER_5      type holds an unknown bit, or neither COMMIT nor
 *                                              RESERVE
 *         NTMM_STATUS_INVALID_PARAMETER_6      PHYSICAL, and protect is not READWRITE
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION  protect is not legal for private memory, or a
 *                                              commit would take secured access away
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD       large pages, and the handle lacks SeLockMemory
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES   large pages, and no aligned run of frames is
 *                                              zeroed, free or on standby, or can be made so by
 *                                              moving pages, or they are more than may stay in
 *                                              memory
 *         NTMM_STATUS_INVALID_HANDLE           process names nothing alive
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH     process is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED            the handle lacks NTMM_PROCESS_VM_OPERATION
 *         NTMM_STATUS_PROCESS_IS_TERMINATING   the process is ending
 *         NTMM_STATUS_INVALID_PARAMETER        type holds a bit of placeholders
 *         NTMM_STATUS_DYNAMIC_CODE_BLOCKED     protect executes, and NTMM_PROCESS_NO_DYNAMIC_CODE
 *         NTMM_STATUS_ALREADY_COMMITTED        committing a view of a file or of an image
 *         NTMM_STATUS_SECTION_PROTECTION       committing a view that was mapped with less
 *         NTMM_STATUS_USER_MAPPED_FILE         resetting a view of a file or of an image
 *         NTMM_STATUS_CONFLICTING_ADDRESSES    reserving: the range meets a region; committing or
 *                                              resetting: it is not inside one region of private
 *                                              pages, or a view of a section committed page by page
 *         NTMM_STATUS_UNSUCCESSFUL             RESET_UNDO: contents of some page have gone; the
 *                                              range is ordinary memory again
 *         NTMM_STATUS_NO_MEMORY                no gap in the address space, or no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT         the charge exceeds the commit limit
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED  the charge exceeds the process's own limit
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). Waits for page tables that are in a page file, and for one shootdown
 * if a commit changes the protection of valid pages.
 * Source: NtAllocateVirtualMemory, Microsoft documentation; order of checks: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_allocate_virtual_memory(struct ntmm_system *system,
                                                                ntmm_handle process, uint64_t *base,
                                                                uint64_t zero_bits, uint64_t *size,
                                                                uint32_t type, uint32_t protect);

/** @name Types of extended parameters
 * What ntmm_mem_extended_parameter.type names. Values: public SDK headers.
 * @{ */
#define NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS 1u /**< requirements: where to look. */
#define NTMM_MEM_PARAMETER_NUMA_NODE 2u            /**< value: node, NTMM_NUMA_NODE_*. */
#define NTMM_MEM_PARAMETER_PARTITION_HANDLE 3u     /**< value: a pseudo-handle, NTMM_PARTITION_*. */
#define NTMM_MEM_PARAMETER_USER_PHYSICAL_HANDLE 4u /**< value: a section of physical pages. */
#define NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS 5u      /**< value: NTMM_MEM_ATTRIBUTE_* bits. */
#define NTMM_MEM_PARAMETER_IMAGE_MACHINE 6u        /**< Of views of images only. */
#define NTMM_MEM_PARAMETER_MAX 7u                  /**< Types are below. */
/** @} */

#define NTMM_NUMA_NODE_MANDATORY 0x8000000000000000ull /**< No other node will do. */
#define NTMM_NUMA_NODE_NONE 0xFFFFFFFFull              /**< No preference. */

/** @name Pseudo-handles of memory partitions
 * @{ */
#define NTMM_PARTITION_CURRENT (~0ull)             /**< The caller's. */
#define NTMM_PARTITION_SYSTEM (~0ull - 1)          /**< The system's. */
#define NTMM_PARTITION_EXISTING_REGION (~0ull - 2) /**< Of the region that is committed. */
/** @} */

/** @name Attributes of an allocation
 * @{ */
#define NTMM_MEM_ATTRIBUTE_GRAPHICS 0x1u            /**< For a graphics driver. */
#define NTMM_MEM_ATTRIBUTE_NONPAGED 0x2u            /**< Pages that stay in memory. */
#define NTMM_MEM_ATTRIBUTE_ZERO_PAGES_OPTIONAL 0x4u /**< Contents may be anything; they are 0. */
#define NTMM_MEM_ATTRIBUTE_NONPAGED_LARGE 0x8u      /**< With LARGE_PAGES: 2 MiB pages. */
#define NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE 0x10u      /**< With LARGE_PAGES: 1 GiB pages. */
#define NTMM_MEM_ATTRIBUTE_SOFT_FAULT_PAGES 0x20u   /**< Soft faults; changes nothing. */
#define NTMM_MEM_ATTRIBUTE_EC_CODE 0x40u            /**< ARM64EC code. */
/** @} */

/** MEM_ADDRESS_REQUIREMENTS of a 64-bit caller: 24 bytes. All zero: as if it were not there. */
struct ntmm_mem_address_requirements {
    uint64_t lowest_starting_address; /**< A multiple of 64 KiB; 0: no bound. */
    uint64_t highest_ending_address; /**< The last byte, a multiple of 4 KiB less 1; 0: no bound. */
    uint64_t alignment;              /**< A power of two from 64 KiB up; 0: 64 KiB. */
};

/** MEM_EXTENDED_PARAMETER: 16 bytes. */
struct ntmm_mem_extended_parameter {
    uint64_t type; /**< NTMM_MEM_PARAMETER_* in the low 8 bits; the others 0. */
    union {
        uint64_t value; /**< Of every type but ADDRESS_REQUIREMENTS. */
        const struct ntmm_mem_address_requirements *requirements; /**< Of ADDRESS_REQUIREMENTS. */
    };
};

/**
 * Commit, reserve or both, with extended parameters and placeholders, as NtAllocateVirtualMemoryEx
 * does.
 *
 * A placeholder is address space held for something else. RESERVE|RESERVE_PLACEHOLDER with NOACCESS
 * makes one; RESERVE|REPLACE_PLACEHOLDER puts a private region, perhaps committed, in the place of
 * one that has just this base and size; ntmm_free_virtual_memory splits, restores and joins them.
 *
 * With the attribute NONPAGED, RESERVE|COMMIT takes frames for all pages, zeroed, which never leave
 * memory: they are in no working set, count as locked, are protected one by one and released
 * together, and need the privilege to lock memory.
 *
 * @param system           any
 * @param process          target; any live process of the system
 * @param base             in/out, bytes; as in ntmm_allocate_virtual_memory; when it replaces,
 *                         rounded down to 4 KiB
 * @param size             in/out, bytes, > 0; as there
 * @param type             as there, and NTMM_MEM_RESERVE_PLACEHOLDER or
 *                         NTMM_MEM_REPLACE_PLACEHOLDER
 * @param protect          as there
 * @param parameters       extended parameters, each type at most once; NULL when count is 0
 * @param parameter_count  how many
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_INVALID_PARAMETER        whatever ntmm_allocate_virtual_memory answers by an
 *                                              INVALID_PARAMETER of a number; a parameter that is
 *                                              missing, of no known type, twice the same, or wrong
 *                                              in itself; address requirements with a base, or
 *                                              without RESERVE; a NUMA node that does not exist; a
 *                                              placeholder with COMMIT, another kind of memory or a
 *                                              protection but NOACCESS; a replacement without base
 *                                              or RESERVE; NONPAGED without RESERVE and COMMIT, or
 *                                              with WRITE_WATCH, PHYSICAL or a placeholder
 *         NTMM_STATUS_ACCESS_VIOLATION         base, size or the address requirements are NULL
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION  protect is not legal for private memory, or a
 *                                              commit would take secured access away
 *         NTMM_STATUS_INVALID_HANDLE           process names nothing alive; or a partition or a
 *                                              section of physical pages that does not exist
 *         NTMM_STATUS_NO_MEMORY                no gap that meets the requirements, or no frame for
 *                                              a table; NONPAGED: no frame came free in time
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES   as there; NONPAGED: more than may stay in memory, or
 *                                              no frame can be had
 *         NTMM_STATUS_CONFLICTING_ADDRESSES    as there; or no placeholder has exactly this range
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING, NTMM_STATUS_COMMITMENT_LIMIT,
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED, NTMM_STATUS_PRIVILEGE_NOT_HELD,
 *         NTMM_STATUS_DYNAMIC_CODE_BLOCKED, NTMM_STATUS_ALREADY_COMMITTED,
 *         NTMM_STATUS_SECTION_PROTECTION, NTMM_STATUS_USER_MAPPED_FILE, and those of resets:
 *         as there
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: as there.
 * Source: NtAllocateVirtualMemoryEx, VirtualAlloc2, Microsoft documentation; observed rules.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_allocate_virtual_memory_ex(
    struct ntmm_system *system, ntmm_handle process, uint64_t *base, uint64_t *size, uint32_t type,
    uint32_t protect, const struct ntmm_mem_extended_parameter *parameters,
    uint32_t parameter_count);

/**
 * Decommit or release, as NtFreeVirtualMemory does; split, restore and join placeholders.
 *
 * RELEASE|PRESERVE_PLACEHOLDER on a part of a placeholder makes it two or three, each a region of
 * its own; on the whole of a region that replaced a placeholder it makes it one again, its contents
 * lost. RELEASE|COALESCE_PLACEHOLDERS joins the two or more placeholders that tile the range.
 *
 * @param system   any
 * @param process  target
 * @param base     in/out, bytes; rounded down to 4 KiB
 * @param size     in/out, bytes; 0: the whole region that begins at base. On success the size freed
 *                 (0 for a decommit with size 0 since build 17134)
 * @param type     NTMM_MEM_DECOMMIT or NTMM_MEM_RELEASE; with RELEASE perhaps one of
 *                 NTMM_MEM_PRESERVE_PLACEHOLDER and NTMM_MEM_COALESCE_PLACEHOLDERS
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_INVALID_PARAMETER_4     type is none of these
 *         NTMM_STATUS_ACCESS_VIOLATION        base or size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2     base is not a user address
 *         NTMM_STATUS_INVALID_PARAMETER_3     the range reaches past the last user address; or size
 *                                             is 0 with a flag of placeholders
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_MEMORY_NOT_ALLOCATED    base is in no region; decommit of a window
 *         NTMM_STATUS_UNABLE_TO_FREE_VM       the range leaves its region, or is a part of a region
 *                                             of large pages or of a window
 *         NTMM_STATUS_UNABLE_TO_DECOMMIT_VM   decommit of large pages
 *         NTMM_STATUS_FREE_VM_NOT_AT_BASE     base is not the region's first page, and size is 0 or
 *                                             the region is of large pages or a window
 *         NTMM_STATUS_CONFLICTING_ADDRESSES   PRESERVE: the range is a whole placeholder, a part of
 *                                             a replacement, or of neither; COALESCE: no two or
 *                                             more placeholders tile it
 *         NTMM_STATUS_UNABLE_TO_DELETE_SECTION  a view, or frames of the embedder, are there
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION   the page of shared user data is there, or a page is
 *                                               secured (ntmm/secure.h)
 *         NTMM_STATUS_NO_MEMORY               no frame for a part of a split region, or for a table
 *                                             that marks decommitted pages
 *         NTMM_STATUS_COMMITMENT_LIMIT        no commit for it
 *         or the status of a page table that could not be read: where the tables of the range do
 *         not fit into memory together, pages of it are gone then, decommitted or as never touched
 * Level: APC.
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
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_WAS_UNLOCKED, a success, when a page that was locked
 *         became inaccessible or a guard page, and so lost its lock; or, with nothing changed and
 *         base and size as they were,
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION    protect is not legal for private memory, or for
 *                                                large pages, or takes secured access away
 *         NTMM_STATUS_ACCESS_VIOLATION           base, size or old is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2        base is not a user address
 *         NTMM_STATUS_INVALID_PARAMETER_3        size is 0 or the range reaches past the last
 *                                                address
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING     see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_CONFLICTING_ADDRESSES      the range is not inside one region, or holds a
 *                                                part of a large page
 *         NTMM_STATUS_NOT_COMMITTED              a page of it is not committed
 *         NTMM_STATUS_SECTION_PROTECTION         a view, or frames of the embedder, are there, and
 *                                                were mapped with less
 *         NTMM_STATUS_DYNAMIC_CODE_BLOCKED       NTMM_PROCESS_NO_DYNAMIC_CODE: protect executes,
 *                                                or code of an image would be written to
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED    copies on write, or pages for call targets, that
 *                                                the process may not have
 *         NTMM_STATUS_NO_MEMORY                  no frame for a table, or for call targets
 *         NTMM_STATUS_COMMITMENT_LIMIT           no commit for them
 *         or the status of a page table that could not be read
 * Level: APC.
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
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (W), or shares it. Waits for page tables that are in a page file; touches no page of
 * the process.
 * Source: NtQueryVirtualMemory, MemoryBasicInformation.
 */
NTMM_API NTMM_MUST_USE ntmm_status
ntmm_query_virtual_memory(struct ntmm_system *system, ntmm_handle process, uint64_t address,
                          struct ntmm_memory_basic_information *information);

#ifdef __cplusplus
}
#endif

#endif
