/**
 * @file
 * A system: one instance of the memory manager, and nothing outside it.
 *
 * A system lives in two places. What must survive lies in the frames handed over (little-endian, no
 * host pointer), beginning with the anchor in the lowest frame; what belongs to the running program
 * (platform, waiters) lies in storage the caller supplies. An arena written out while no call is in
 * progress and attached elsewhere, at another address, in another process, on another kind of host,
 * is the same system.
 *
 * Glossary. Commit: pages promised. Commit limit: pages that can be promised. Available: zeroed,
 * free and standby frames. Metadata: frames the core took for good when it was created.
 */
#ifndef NTMM_SYSTEM_H
#define NTMM_SYSTEM_H

#include <ntmm/counters.h>
#include <ntmm/platform.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** ntmm_config.version of this header. */
#define NTMM_CONFIG_VERSION 4u

/** @name Bits of ntmm_config.paging_flags
 * @{ */
/** A modified page that holds only zeros is not written: it becomes demand zero again. */
#define NTMM_PAGING_ZEROS_NEED_NO_SLOT 0x1u
/** @} */
/** Most pages of a transfer from a page file. */
#define NTMM_READ_CLUSTER_MAXIMUM 16u
/** Most pages of a transfer to a page file. */
#define NTMM_WRITE_CLUSTER_MAXIMUM 256u

/** The Windows build whose behaviour is the default: Windows 11 23H2. */
#define NTMM_DEFAULT_WINDOWS_BUILD 22631u

/** How a system behaves. Zero the struct, set `size` and `version`; 0 elsewhere: the default. */
struct ntmm_config {
    uint32_t size;                  /**< sizeof(struct ntmm_config). */
    uint32_t version;               /**< NTMM_CONFIG_VERSION. */
    uint32_t windows_build;         /**< Where builds differ, behave as this one. */
    uint32_t physical_address_bits; /**< MAXPHYADDR, 32..52; default 46. */
    uint64_t core_base;             /**< Core address of physical 0, page-aligned; default 0. */
    uint64_t invalid_pte_mask;      /**< Swizzle mask of invalid entries: 0 or one bit, 32..51. */
    uint64_t seed;                  /**< Of every random choice. */
    uint32_t self_map_slot;         /**< Slot of the root that maps itself, 256..511; 0: none. */
    uint32_t paging_flags;          /**< NTMM_PAGING_* bits. */
    uint32_t read_cluster_pages;    /**< Of a hard fault, 1 (no read-ahead)..16; default 8. */
    uint32_t write_cluster_pages;   /**< Of the modified page writer, 1..256; default 64. */
    uint64_t extra_commit_pages;    /**< Commit limit beyond RAM and page files. */
    uint64_t commit_reserve_pages;  /**< Overdraft for page tables made by faults; default 64. */
    uint64_t fault_wait_100ns;      /**< Longest wait of a fault for a frame; default 10 s. */
    uint64_t low_memory_pages;  /**< Available frames of the low condition; default 1/128 of RAM, at
                                     most 64 MiB. */
    uint64_t high_memory_pages; /**< Of the high condition, at least the low one's; default three
                                     times it. */
    uint64_t modified_page_life_100ns; /**< After that long the pages of a file that are modified
                                            are written; default 300 s. NT: ModifiedPageLife. */
};

/** One running system; opaque. */
struct ntmm_system;

/** Frames by state, and commit. Pages throughout. */
struct ntmm_memory_information {
    uint64_t total_pages;             /**< Frames handed over that are there. */
    uint64_t metadata_pages;          /**< Of these, PFN database and other fixed structures. */
    uint64_t zeroed_pages;            /**< On the zeroed list. */
    uint64_t free_pages;              /**< On the free list. */
    uint64_t standby_pages[8];        /**< On the standby lists, by priority. */
    uint64_t modified_pages;          /**< On the modified list. */
    uint64_t modified_no_write_pages; /**< On the modified-no-write list. */
    uint64_t bad_pages;               /**< On the bad list. */
    uint64_t active_pages;            /**< Active: mapped, tables and slabs, less metadata. */
    uint64_t transition_pages;        /**< In transition, on no list. */
    uint64_t table_pages;             /**< Of the active: page tables, roots included. */
    uint64_t slab_pages;              /**< Of the active: the core's object slabs. */
    uint64_t process_pages;           /**< Of the active: process objects and their directory. */
    uint64_t paging_pages;            /**< Of the active: page file tables and slot maps. */
    uint64_t user_pages;              /**< Frames that hold pages of processes, on any list. */
    /** Their highest number, but for what several processors had at once for a moment. */
    uint64_t user_peak_pages;
    uint64_t free_large_runs;    /**< Aligned 2 MiB runs wholly zeroed or free. */
    uint64_t commit_pages;       /**< Commit charge. */
    uint64_t commit_limit_pages; /**< Commit limit. */
    /** Highest commit charge, with what processors kept of it for what they promise next. */
    uint64_t commit_peak_pages;
    uint64_t modified_mapped_pages; /**< Of the modified, those to be written to files. */
};

/** What ntmm_destroy_system found still in use after everything was torn down; all 0 when right. */
struct ntmm_teardown {
    uint64_t lost_pages;         /**< Frames on no free list that are not metadata. */
    uint64_t outstanding_commit; /**< Pages still charged. */
    uint64_t live_objects;       /**< Slab objects never freed. */
    uint64_t processes_ended;    /**< Processes that were still alive and were ended. */
    uint64_t waiters;            /**< Faults still waiting. */
    uint64_t transfers;          /**< Transfers still in flight. */
};

/**
 * Bytes of storage that a system needs outside its frames.
 *
 * @return bytes
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API size_t ntmm_system_size(void);

/**
 * Make a system in frames handed over.
 *
 * @param storage   caller-owned, aligned for any object, alive as long as the system; no bytes of
 *                  it are managed memory
 * @param size      bytes at storage, at least ntmm_system_size()
 * @param config    copied
 * @param platform  copied; `context` must outlive the system
 * @param system    out: the system; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with storage and frames unspecified,
 *         NTMM_STATUS_BUFFER_TOO_SMALL         size is below ntmm_system_size()
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH     a struct's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_3      a config value is out of its range
 *         NTMM_STATUS_INVALID_PARAMETER_4      a required operation is missing, or the frame ranges
 *                                              are empty, unordered, overlapping, beyond
 *                                              MAXPHYADDR, or further apart than a host pointer
 *                                              of 32 bits reaches
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES   too few frames for the fixed metadata
 * Level: any.
 * Locks: none; nothing else may use the storage or the frames. Cost: O(frames).
 * Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_system(void *storage, size_t size,
                                                      const struct ntmm_config *config,
                                                      const struct ntmm_platform *platform,
                                                      struct ntmm_system **system);

/**
 * Take over an arena that holds a system: one saved while no call was in progress.
 *
 * @param storage   as for ntmm_create_system
 * @param size      as for ntmm_create_system
 * @param platform  must hand over the same frame ranges as when the system was made
 * @param system    out: the system; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with the frames untouched,
 *         NTMM_STATUS_BUFFER_TOO_SMALL       size is below ntmm_system_size()
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   the platform's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_3    a required operation is missing, or the frame ranges
 *                                            differ from those in the anchor, or are further apart
 *                                            than a host pointer of 32 bits reaches
 *         NTMM_STATUS_FILE_INVALID           the lowest frame holds no anchor of this version
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_attach_system(void *storage, size_t size,
                                                      const struct ntmm_platform *platform,
                                                      struct ntmm_system **system);

/**
 * End every process, free everything and report what was left, which is nothing unless a frame, a
 * charge or an object leaked. What is modified of files is written as far as their devices take it.
 *
 * @param system    no call on it may be in progress; unusable afterwards
 * @param teardown  out, may be NULL: what was still in use
 * Level: APC.
 * Locks: takes what the ends of processes, sections and files take. Waits for transfers, and for
 * frames that the gap of a file needs. Source: ours.
 */
NTMM_API void ntmm_destroy_system(struct ntmm_system *system, struct ntmm_teardown *teardown);

/**
 * Frames by state, and commit.
 *
 * @param system       any
 * @param information  out: filled whole
 * Level: DISPATCH.
 * Locks: takes (P), (N) and each (L) in turn; the numbers are of slightly different moments when
 * other calls run at the same time. Source: ours, after SYSTEM_MEMORY_LIST_INFORMATION.
 */
NTMM_API void ntmm_query_memory(struct ntmm_system *system,
                                struct ntmm_memory_information *information);

/**
 * All counters of the system, those that processes own summed.
 *
 * @param system  any
 * @param values  out: `count` values in the order of enum ntmm_counter
 * @param count   entries at values; entries past NTMM_COUNTER_COUNT are set to 0
 * Level: DISPATCH.
 * Locks: takes the process list lock and each process's working-set lock in turn. Source: ours.
 */
NTMM_API void ntmm_query_counters(struct ntmm_system *system, uint64_t *values, uint32_t count);

/**
 * Zero free frames, as NT's zero-page thread does when a processor is idle.
 *
 * @param system        any
 * @param budget_pages  most frames to zero in this call
 * @return frames zeroed and moved from the free to the zeroed list; below the budget when the free
 *         list ran empty or the platform's zero failed
 * Level: DISPATCH.
 * Locks: takes the node lock a few times for each batch, none while zeroing. Source: ours.
 */
NTMM_API uint64_t ntmm_zero_free_pages(struct ntmm_system *system, uint64_t budget_pages);

/**
 * Enable kinds of event.
 *
 * @param system  any
 * @param mask    bit (1 << kind) for each enum ntmm_event_kind wanted; 0, the default: none
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API void ntmm_set_event_mask(struct ntmm_system *system, uint32_t mask);

#ifdef __cplusplus
}
#endif

#endif
