/**
 * @file
 * Processes: private address spaces with a page-table root, and their accounting.
 */
#ifndef NTMM_PROCESS_H
#define NTMM_PROCESS_H

#include <ntmm/counters.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** ntmm_process_config.version of this header. */
#define NTMM_PROCESS_CONFIG_VERSION 2u

/** @name Flags of ntmm_process_config
 * @{ */
/** Searches for space begin at random places, with NT's entropy: 8 bits of granules from below, 17
 * from above. */
#define NTMM_PROCESS_RANDOM_LAYOUT 0x1u
/** With RANDOM_LAYOUT: 24 bits more from below, unless the process ends below 4 GiB. */
#define NTMM_PROCESS_HIGH_ENTROPY 0x2u
/** A 32-bit process: its addresses end below 2 GiB. */
#define NTMM_PROCESS_WOW64 0x4u
/** With WOW64: they end below 4 GiB. */
#define NTMM_PROCESS_LARGE_ADDRESS_AWARE 0x8u
/** A 64-bit process of an image without the large-address-aware mark: they end below 2 GiB. */
#define NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE 0x10u
/** ProcessDynamicCodePolicy: nothing but pages of images becomes executable, and they stay as they
 * are. */
#define NTMM_PROCESS_NO_DYNAMIC_CODE 0x20u
/** Control flow guard: the process has a bitmap of call targets, see ntmm/call_target.h. */
#define NTMM_PROCESS_CONTROL_FLOW_GUARD 0x40u
/** ProcessASLRPolicy, EnableForceRelocateImages: where the system chooses the base of a view of an
 * image that does not say DYNAMIC_BASE, the base that the image prefers counts as taken. Searches
 * for space find it another, at random with RANDOM_LAYOUT. One marked as stripped of relocations,
 * which can be nowhere else, lies there all the same. */
#define NTMM_PROCESS_FORCE_RELOCATE_IMAGES 0x80u
/** ProcessASLRPolicy, DisallowStrippedImages. With FORCE_RELOCATE_IMAGES: such a one is not mapped,
 * CONFLICTING_ADDRESSES. */
#define NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES 0x100u
/** @} */

/** How a process is made. Zero the struct, set `size` and `version`; 0 elsewhere: the default. A
 * version 1 ends before `flags`, and is taken as one that has zeros there. */
struct ntmm_process_config {
    uint32_t size;                      /**< sizeof(struct ntmm_process_config). */
    uint32_t version;                   /**< NTMM_PROCESS_CONFIG_VERSION. */
    uint64_t highest_address;           /**< Highest byte of a reservation; default
                                      NTMM_HIGHEST_VAD_ADDRESS. */
    uint64_t bottom_up_start;           /**< Where searches for space begin; default 64 KiB. */
    uint64_t commit_limit_pages;        /**< Private commit of the process; default: no limit. */
    uint64_t working_set_minimum_pages; /**< Not trimmed below while others can be; default 50. */
    uint64_t working_set_maximum_pages; /**< Trimmed first above it; default 345 or the minimum. */
    uint32_t flags;                     /**< NTMM_PROCESS_* flags. */
    uint32_t protection;                /**< PS_PROTECTION, see ntmm/access.h; default: none. */
};

/** Accounting of one process. */
struct ntmm_process_information {
    ntmm_handle process;                /**< The handle. */
    uint64_t root_frame;                /**< Frame of the root table: CR3 >> 12. */
    uint64_t virtual_size_bytes;        /**< Reserved and committed address space. */
    uint64_t peak_virtual_size_bytes;   /**< Its highest value. */
    uint64_t region_count;              /**< VADs. */
    uint64_t commit_pages;              /**< Private pages promised. */
    uint64_t peak_commit_pages;         /**< Its highest value. */
    uint64_t working_set_pages;         /**< Valid leaf entries. */
    uint64_t peak_working_set_pages;    /**< Their highest number. */
    uint64_t working_set_minimum_pages; /**< As configured. */
    uint64_t working_set_maximum_pages; /**< As configured. */
    uint64_t table_pages;               /**< Page tables, the root and those paged out included. */
    uint64_t counters[NTMM_COUNTER_COUNT]; /**< By enum ntmm_counter; 0 where the system owns it. */
};

/**
 * Make a process with an empty address space.
 *
 * @param system   any
 * @param config   copied; NULL: defaults
 * @param process  out: its handle; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH    config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2     a config value is out of its range
 *         NTMM_STATUS_COMMITMENT_LIMIT        the root table cannot be charged
 *         NTMM_STATUS_NO_MEMORY               no frame; or no room for a bitmap of call targets
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the process table is full
 * Level: APC.
 * Locks: takes the process list lock. Never waits. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_process(struct ntmm_system *system,
                                                       const struct ntmm_process_config *config,
                                                       ntmm_handle *process);

/**
 * Clone a process: make one whose address space is a copy of another's, as NT's fork does.
 *
 * The child has the parent's private regions, page by page with their protections and contents, its
 * placeholders, its views that were mapped with NTMM_VIEW_SHARE, and its borrowed frames, all at
 * the same addresses. It has not: views mapped with NTMM_VIEW_UNMAP, large and nonpaged pages, user
 * physical pages and their windows, locks of pages. Watched regions are not watched in the child. A
 * store of either is not seen by the other, but in views of shared pages: private pages are shared
 * until one of the two stores to them. The child is in the parent's job. What other threads of the
 * parent change while it is cloned is in the child or not, page by page. docs/clones.md has the
 * whole.
 *
 * @param system   any
 * @param parent   with NTMM_PROCESS_CREATE_PROCESS
 * @param config   copied: commit limit and working-set limits, 0: the parent's; the rest is the
 *                 parent's and must be 0 here. NULL: all as the parent's
 * @param process  out: the child's handle, with all rights; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and no child,
 *         NTMM_STATUS_ACCESS_VIOLATION        process is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH    config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_3     config says something of the address space
 *         NTMM_STATUS_INVALID_HANDLE          parent names nothing alive
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    parent is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the parent is ending
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED the parent's private commit passes the child's limit
 *         NTMM_STATUS_COMMITMENT_LIMIT        it passes the commit limit, or one of the job, or
 *                                             tables and what is shared cannot be charged
 *         NTMM_STATUS_NO_MEMORY               no frame came free in time
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the process table is full
 *         or the status of a read that failed, of a table or of a page that is not shared
 * Level: APC.
 * Locks: takes (A), (W) of the parent and of the child, one after the other, (O), and the process
 * list lock. Waits for frames and for I/O. Source: NtCreateProcess without a section,
 * RtlCloneUserProcess.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_clone_process(struct ntmm_system *system,
                                                      ntmm_handle parent,
                                                      const struct ntmm_process_config *config,
                                                      ntmm_handle *process);

/**
 * End a process: every page, table and reservation is freed and every charge returned, then the
 * handle is stale.
 *
 * @param system   any
 * @param process  no processor may run in its address space when this returns; faults of it that
 *                 wait are woken and see the process end
 * @return NTMM_STATUS_SUCCESS; or NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED when the handle lacks NTMM_PROCESS_TERMINATE, or
 *         NTMM_STATUS_PROCESS_IS_TERMINATING when another thread ends it already; or
 *         NTMM_STATUS_NO_MEMORY when no frame came free in time for a page table that is out, or
 *         the status of a read that failed: of such a table. Then the process is ended so far as it
 *         could, no call but this one reaches it, and it may be ended again
 * Level: APC.
 * Locks: takes (A), (W) and the process list lock. Waits for a shootdown, for tables that are out,
 * and for what the last reference to a section waits for, as ntmm_close_section does. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_end_process(struct ntmm_system *system,
                                                    ntmm_handle process);

/**
 * Accounting of a process.
 *
 * @param system       any
 * @param process      a live process
 * @param information  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED (the handle lacks NTMM_PROCESS_QUERY_LIMITED_INFORMATION) or
 *         NTMM_STATUS_PROCESS_IS_TERMINATING
 * Level: DISPATCH.
 * Locks: takes (W). Source: ours, after VM_COUNTERS.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_process(struct ntmm_system *system,
                                                      ntmm_handle process,
                                                      struct ntmm_process_information *information);

#ifdef __cplusplus
}
#endif

#endif
