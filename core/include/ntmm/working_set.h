/**
 * @file
 * Working sets: their limits, emptying them, and the commands of the page lists.
 *
 * The minimum is what trimming leaves to a process while others can give; the maximum, from where
 * on its pages go first. Either may be hard: a hard minimum is never trimmed below, and at a hard
 * maximum the process gives up a page of its own for each that it brings in.
 */
#ifndef NTMM_WORKING_SET_H
#define NTMM_WORKING_SET_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Flags of working-set limits
 * @{ */
#define NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE 0x01u  /**< The minimum is hard. */
#define NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE 0x02u /**< The minimum is soft. */
#define NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE 0x04u  /**< The maximum is hard. */
#define NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE 0x08u /**< The maximum is soft. */
#define NTMM_QUOTA_LIMITS_USE_DEFAULT_LIMITS 0x10u /**< 50 and 345 pages, whatever is given. */
/** @} */

/** Both limits of this value: empty the working set. */
#define NTMM_WORKING_SET_EMPTY 0xFFFFFFFFFFFFFFFFull

/**
 * Set the limits of a working set, as SetProcessWorkingSetSizeEx does.
 *
 * A minimum below 20 pages becomes 20; a limit above what the system has, its frames less the fixed
 * metadata and less 512 (of a small system: less half), becomes that; a maximum below the minimum
 * that comes of it becomes that. Minima are promised out of the frames that are not metadata.
 *
 * @param system         any
 * @param process        target; needs NTMM_PROCESS_SET_QUOTA
 * @param minimum_bytes  > 0, rounded down to pages; with maximum_bytes NTMM_WORKING_SET_EMPTY: the
 *                       limits stay, every page that is not locked leaves the working set
 * @param maximum_bytes  > 0, rounded down to pages, at least 13 pages. A working set that is above
 *                       a hard maximum is trimmed to it at once
 * @param flags          NTMM_QUOTA_LIMITS_* bits; what is neither enabled nor disabled stays
 * @return NTMM_STATUS_SUCCESS
 *         NTMM_STATUS_WORKING_SET_LIMIT_RANGE  a success: a limit became another than was given
 *         or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER       an unknown flag, one kind both enabled and disabled,
 *                                             or a limit of 0
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right, or a job has set the
 *                                             limits
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_BAD_WORKING_SET_LIMIT   the minimum is above the maximum, or the maximum
 *                                             below 13 pages
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD      a limit would rise above both its default and what it
 *                                             is, without the privilege to increase working sets
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the minimum would rise above what is not promised
 * Level: DISPATCH.
 * Locks: takes (W), and what trimming takes. Waits for a shootdown when pages go.
 * Source: SetProcessWorkingSetSizeEx, Microsoft documentation; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_working_set_limits(struct ntmm_system *system,
                                                               ntmm_handle process,
                                                               uint64_t minimum_bytes,
                                                               uint64_t maximum_bytes,
                                                               uint32_t flags);

/** QUOTA_LIMITS of a 64-bit caller: 48 bytes, NT's layout. */
struct ntmm_quota_limits {
    uint64_t paged_pool_limit;         /**< Bytes; no limit is kept. */
    uint64_t nonpaged_pool_limit;      /**< Bytes; no limit is kept. */
    uint64_t minimum_working_set_size; /**< Bytes. */
    uint64_t maximum_working_set_size; /**< Bytes. */
    uint64_t pagefile_limit;           /**< Bytes; all ones: none. */
    uint64_t time_limit;               /**< All ones: none. */
};

/** QUOTA_LIMITS_EX of a 64-bit caller: 88 bytes, NT's layout. */
struct ntmm_quota_limits_ex {
    struct ntmm_quota_limits limits; /**< As above. */
    uint64_t working_set_limit;      /**< 0. */
    uint64_t reserved[3];            /**< 0. */
    uint32_t flags;                  /**< NTMM_QUOTA_LIMITS_*: which limits are hard, or soft. */
    uint32_t cpu_rate_limit;         /**< 0. */
};

/**
 * The limits of a process, as the class ProcessQuotaLimits reports them.
 *
 * @param system       any
 * @param process      target; needs NTMM_PROCESS_QUERY_LIMITED_INFORMATION
 * @param information  out: struct ntmm_quota_limits or _ex; untouched on failure
 * @param length       bytes at information: 48 or 88
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  length is neither
 *         NTMM_STATUS_ACCESS_VIOLATION      information is NULL
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_set_working_set_limits
 * Level: DISPATCH.
 * Locks: takes (W). Never waits.
 * Source: NtQueryInformationProcess as observed.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_quota_limits(struct ntmm_system *system,
                                                           ntmm_handle process, void *information,
                                                           uint32_t length);

/**
 * Set the limits of a process, as the class ProcessQuotaLimits does: the working set's, and of the
 * longer form its flags. The other limits are accepted and not kept.
 *
 * @param system       any
 * @param process      target
 * @param information  struct ntmm_quota_limits or _ex
 * @param length       bytes at information: 48 or 88
 * @return as ntmm_set_working_set_limits; before that
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   length is neither
 *         NTMM_STATUS_ACCESS_VIOLATION       information is NULL
 *         NTMM_STATUS_DATATYPE_MISALIGNMENT  information is not aligned to 4 bytes
 * Level: DISPATCH.
 * Locks: see ntmm_set_working_set_limits.
 * Source: NtSetInformationProcess as observed.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_quota_limits(struct ntmm_system *system,
                                                         ntmm_handle process,
                                                         const void *information, uint32_t length);

/**
 * Trim every page of a process that is not locked, as EmptyWorkingSet does.
 *
 * @param system   any
 * @param process  target; needs NTMM_PROCESS_SET_QUOTA and NTMM_PROCESS_QUERY_INFORMATION
 * @return NTMM_STATUS_SUCCESS: clean pages are on standby, the others on the modified list; or
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_set_working_set_limits
 * Level: DISPATCH.
 * Locks: takes (W) for a piece at a time, (F), (L), (Q). Waits for shootdowns.
 * Source: EmptyWorkingSet, Microsoft documentation.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_empty_working_set(struct ntmm_system *system,
                                                          ntmm_handle process);

/** SYSTEM_MEMORY_LIST_COMMAND, NT's values. */
enum ntmm_memory_list_command {
    NTMM_MEMORY_CAPTURE_ACCESSED_BITS = 0,           /**< Nothing: nobody is told of them here. */
    NTMM_MEMORY_CAPTURE_AND_RESET_ACCESSED_BITS = 1, /**< Age every working set once. */
    NTMM_MEMORY_EMPTY_WORKING_SETS = 2,              /**< Of all processes. */
    NTMM_MEMORY_FLUSH_MODIFIED_LIST = 3,             /**< Write modified pages. */
    NTMM_MEMORY_PURGE_STANDBY_LIST = 4,              /**< Free what is on standby. */
    NTMM_MEMORY_PURGE_LOW_PRIORITY_STANDBY_LIST = 5, /**< The same, of priority 0. */
};

/**
 * Do something to all memory, as NtSetSystemInformation does with SystemMemoryListInformation.
 *
 * @param system   any
 * @param caller   the handle of who asks: it must hold the privilege to profile a process
 * @param command  enum ntmm_memory_list_command. FLUSH_MODIFIED_LIST begins to write every modified
 *                 page that has a slot to go to; the last transfers may be in flight when it
 *                 returns
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD      the handle lacks the privilege
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the caller is ending
 *         NTMM_STATUS_INVALID_PARAMETER       no such command
 * Level: APC.
 * Locks: takes (W) of one process at a time, (F), (G), (L), (P), (N), (Q).
 * FLUSH_MODIFIED_LIST waits for transfers, with no lock held.
 * Source: NT's classes of system information as published by debuggers; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_memory_list_command(struct ntmm_system *system,
                                                            ntmm_handle caller, uint32_t command);

#ifdef __cplusplus
}
#endif

#endif
