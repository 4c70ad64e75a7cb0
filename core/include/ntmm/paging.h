/**
 * @file
 * Page files, and the background work that paging needs.
 *
 * A page file is a device of the platform's storage. Its size counts into the commit limit; its
 * space, in slots of a page, is given out when a page is first written. The core starts no thread:
 * the platform, or whoever drives it, calls ntmm_balance_set_manager about once a second and
 * ntmm_write_modified_pages when it has time. Neither is needed for progress: a fault that finds no
 * frame trims and writes by itself before it waits.
 *
 * Glossary. Slot: room for one page in a page file. Modified: a frame whose page must be written
 * before it can be taken. Standby: one that can be taken at once, and given back without I/O.
 * Cluster: the pages of one transfer.
 */
#ifndef NTMM_PAGING_H
#define NTMM_PAGING_H

#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most page files of a system. */
#define NTMM_PAGING_FILES_MAXIMUM 16u
/** Least initial size of a page file, bytes. */
#define NTMM_PAGING_FILE_MINIMUM_BYTES 0x100000u
/** Most pages of a page file: 16 TiB. */
#define NTMM_PAGING_FILE_MAXIMUM_PAGES 0x100000000ull

/** ntmm_paging_file_config.version of this header. */
#define NTMM_PAGING_FILE_VERSION 1u

/** How a page file is made. */
struct ntmm_paging_file_config {
    uint32_t size;          /**< sizeof(struct ntmm_paging_file_config). */
    uint32_t version;       /**< NTMM_PAGING_FILE_VERSION. */
    uint64_t device;        /**< The platform's number of the device; all of it is used. */
    uint64_t initial_bytes; /**< Size at first, rounded down to pages; at least 1 MiB. */
    uint64_t maximum_bytes; /**< It may grow to this, rounded down to pages; 0: initial_bytes. */
};

/** One page file. Pages throughout; counts since it was made. */
struct ntmm_paging_file_information {
    uint32_t number;             /**< From 0; as in a page file entry. */
    uint32_t is_paused;          /**< 1 while its writes are held back after many failures. */
    uint64_t device;             /**< The platform's number. */
    uint64_t size_pages;         /**< Size now. */
    uint64_t initial_pages;      /**< Size when it was made. */
    uint64_t maximum_pages;      /**< It may grow to this. */
    uint64_t used_pages;         /**< Slots that hold a page. */
    uint64_t peak_pages;         /**< Their highest number. */
    uint64_t bad_pages;          /**< Slots never used again, because a write to them failed. */
    uint64_t reads;              /**< Read transfers that succeeded. */
    uint64_t pages_read;         /**< Pages they brought, dummy pages not counted. */
    uint64_t writes;             /**< Write transfers that succeeded. */
    uint64_t pages_written;      /**< Pages they took. */
    uint64_t failed_reads;       /**< Read transfers that failed. */
    uint64_t failed_writes;      /**< Write transfers that failed. */
    uint64_t outstanding_writes; /**< Write transfers in flight. */
};

/**
 * Add a page file, as NtCreatePagingFile does. Its device is extended to the initial size, and the
 * commit limit rises by that size less slot 0, which is never used.
 *
 * @param system  any
 * @param config  copied
 * @param number  out, may be NULL: its number; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed but perhaps the device's size,
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2    initial_bytes is below NTMM_PAGING_FILE_MINIMUM_BYTES
 *         NTMM_STATUS_INVALID_PARAMETER_3    the maximum is below the initial size, or above
 *                                            NTMM_PAGING_FILE_MAXIMUM_PAGES
 *         NTMM_STATUS_OBJECT_NAME_COLLISION  the device is a page file, or a file of sections
 *         NTMM_STATUS_TOO_MANY_PAGING_FILES  there are NTMM_PAGING_FILES_MAXIMUM
 *         NTMM_STATUS_NOT_SUPPORTED          the platform has no storage
 *         NTMM_STATUS_NO_MEMORY              no frames for its slot map
 *         NTMM_STATUS_CANT_WAIT              the platform can neither wait nor pump
 *         or what the device answered to the extension (NTMM_STATUS_DISK_FULL; on the emulated
 *         platform NTMM_STATUS_INVALID_PARAMETER when there is no such device)
 * Level: APC.
 * Locks: takes (D), (C), (P), (N), (G); none while waiting for the device. Blocks. Source:
 * NtCreatePagingFile, public descriptions; the device's number instead of a name is ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_paging_file(
    struct ntmm_system *system, const struct ntmm_paging_file_config *config, uint32_t *number);

/**
 * One page file.
 *
 * @param system       any
 * @param number       from 0; page files are numbered in the order in which they were made
 * @param information  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS, or NTMM_STATUS_INVALID_PARAMETER_2 when there is no such page file
 * Level: DISPATCH.
 * Locks: takes (G). Source: ours, after SYSTEM_PAGEFILE_INFORMATION.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_paging_file(
    struct ntmm_system *system, uint32_t number, struct ntmm_paging_file_information *information);

/**
 * Start writing modified pages to the page files, as NT's modified page writer does. Returns when
 * the transfers have been handed to the platform, not when they are complete.
 *
 * @param system        any
 * @param budget_pages  most pages to start writing
 * @return pages whose write was started, or which needed no slot because they hold only zeros
 *         (NTMM_PAGING_ZEROS_NEED_NO_SLOT); less than the budget when the modified list is empty,
 *         all write blocks are in flight, or no page file has room
 * Level: APC.
 * Locks: takes (F), (G), (L), (Q); none while submitting. Source: public descriptions of NT's
 * modified page writer.
 */
NTMM_API uint64_t ntmm_write_modified_pages(struct ntmm_system *system, uint64_t budget_pages);

/**
 * One tick of the balance set manager: ages every working set; when few frames are available it
 * trims, and starts writing when many pages are modified. Pages of files that have been modified
 * for the life of modified pages (ntmm_config.modified_page_life_100ns) it begins to write whatever
 * is available, at most 16 MiB a tick. To be called about once a second of the platform's time, or
 * more often.
 *
 * @param system  any
 * Level: APC.
 * Locks: takes (W) of each process in turn, and what trimming and ntmm_write_modified_pages take.
 * Waits for shootdowns. Source: public descriptions of NT's balance set manager; the measures are
 * ours, docs/paging.md.
 */
NTMM_API void ntmm_balance_set_manager(struct ntmm_system *system);

#ifdef __cplusplus
}
#endif

#endif
