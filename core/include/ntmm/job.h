/**
 * @file
 * Jobs: limits that several processes share.
 *
 * A process that was assigned to a job stays in it until it ends. A job lives as long as its handle
 * is open or a process is in it. An allocation that would pass a memory limit fails; no process is
 * ended for it.
 *
 * Source: job objects, Microsoft documentation; what is in doubt stands in docs/fidelity.md.
 */
#ifndef NTMM_JOB_H
#define NTMM_JOB_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Limits of a job that are in force
 * @{ */
#define NTMM_JOB_LIMIT_WORKING_SET 0x001u    /**< Each process: hard working-set limits. */
#define NTMM_JOB_LIMIT_PROCESS_MEMORY 0x100u /**< Each process: its private commit. */
#define NTMM_JOB_LIMIT_JOB_MEMORY 0x200u     /**< All processes together: their private commit. */
/** @} */

/** @name Messages of a job: the detail of NTMM_EVENT_JOB_LIMIT
 * @{ */
#define NTMM_JOB_MESSAGE_PROCESS_MEMORY_LIMIT 9u /**< A process would have passed its limit. */
#define NTMM_JOB_MESSAGE_JOB_MEMORY_LIMIT 10u    /**< The job would have passed its limit. */
/** @} */

/** ntmm_job_limits.version of this header. */
#define NTMM_JOB_LIMITS_VERSION 1u

/** What a job limits. Zero the struct, set `size` and `version`. Pages throughout. */
struct ntmm_job_limits {
    uint32_t size;                      /**< sizeof(struct ntmm_job_limits). */
    uint32_t version;                   /**< NTMM_JOB_LIMITS_VERSION. */
    uint32_t flags;                     /**< NTMM_JOB_LIMIT_*: which of these are in force. */
    uint32_t reserved;                  /**< 0. */
    uint64_t working_set_minimum_pages; /**< 20..maximum. */
    uint64_t working_set_maximum_pages; /**< Of each process. */
    uint64_t process_memory_pages;      /**< Of each process. */
    uint64_t job_memory_pages;          /**< Of all together. */
};

/** What a job is and has. */
struct ntmm_job_information {
    struct ntmm_job_limits limits; /**< As set last. */
    uint32_t process_count;        /**< Processes that are in it. */
    uint32_t reserved;             /**< 0. */
    uint64_t commit_pages;         /**< Private commit of its processes. */
    uint64_t peak_commit_pages;    /**< Its highest value. */
};

/**
 * Make a job without limits.
 *
 * @param system  any
 * @param job     out: its handle; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION  job is NULL
 *         NTMM_STATUS_NO_MEMORY         no frame for the object
 *         NTMM_STATUS_COMMITMENT_LIMIT  no commit for it
 * Level: APC.
 * Locks: takes (D). May wait for a frame. Source: NtCreateJobObject.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_job(struct ntmm_system *system, ntmm_handle *job);

/**
 * Close the handle of a job. Its limits stay in force for the processes that are in it.
 *
 * @param system  any
 * @param job     of a job
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_HANDLE or NTMM_STATUS_OBJECT_TYPE_MISMATCH
 * Level: DISPATCH.
 * Locks: takes (D). Source: NtClose.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_close_job(struct ntmm_system *system, ntmm_handle job);

/**
 * Set the limits of a job. What its processes have already committed stays theirs; working-set
 * limits apply to the processes in it at once.
 *
 * @param system  any
 * @param job     of a job
 * @param limits  copied
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION      limits is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  its size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER     an unknown flag
 *         NTMM_STATUS_BAD_WORKING_SET_LIMIT the minimum is below 20 or above the maximum
 *         NTMM_STATUS_INVALID_HANDLE        job names nothing
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  job is a handle of another kind
 * Level: DISPATCH.
 * Locks: takes (D), and (W) of each process in turn. Source: NtSetInformationJobObject.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_job_limits(struct ntmm_system *system, ntmm_handle job,
                                                       const struct ntmm_job_limits *limits);

/**
 * Put a process into a job. What it has committed counts from now on, even beyond the limits.
 *
 * @param system   any
 * @param job      of a job
 * @param process  with NTMM_PROCESS_SET_QUOTA and NTMM_PROCESS_TERMINATE
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE          one of them names nothing
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    one of them is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the process's handle lacks a right, or the process is
 *                                             in a job already (jobs do not nest)
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 * Level: DISPATCH.
 * Locks: takes (A), (W), (D). Source: NtAssignProcessToJobObject.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_assign_process_to_job(struct ntmm_system *system,
                                                              ntmm_handle job, ntmm_handle process);

/**
 * What a job is and has.
 *
 * @param system       any
 * @param job          of a job
 * @param information  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_ACCESS_VIOLATION: information is NULL;
 *         NTMM_STATUS_INVALID_HANDLE or NTMM_STATUS_OBJECT_TYPE_MISMATCH
 * Level: DISPATCH.
 * Locks: takes (D). Source: NtQueryInformationJobObject.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_job(struct ntmm_system *system, ntmm_handle job,
                                                  struct ntmm_job_information *information);

#ifdef __cplusplus
}
#endif

#endif
