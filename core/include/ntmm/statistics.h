/**
 * @file
 * Counters of the system and of processes in NT's layouts, and the conditions of memory that NT
 * signals.
 *
 * The structs have NT's layouts of a 64-bit caller, with fields in the host's byte order; buffers
 * need no alignment. What the core does not know is 0, and its description says so. A value that is
 * too large for a 32-bit field is given as 0xFFFFFFFF.
 *
 * Source: NtQuerySystemInformation and NtQueryInformationProcess, public SDK and phnt headers;
 * "Standard event objects", Microsoft documentation.
 */
#ifndef NTMM_STATISTICS_H
#define NTMM_STATISTICS_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>
#include <ntmm/working_set.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Classes of ntmm_query_information_process, NT's numbers. */
enum ntmm_process_information_class {
    NTMM_PROCESS_QUOTA_LIMITS = 1,          /**< struct ntmm_quota_limits, or _ex. */
    NTMM_PROCESS_VM_COUNTERS = 3,           /**< struct ntmm_vm_counters, 88, 96 or 112 bytes. */
    NTMM_PROCESS_WORKING_SET_WATCH = 15,    /**< struct ntmm_working_set_watch, an array. */
    NTMM_PROCESS_WORKING_SET_WATCH_EX = 42, /**< struct ntmm_working_set_watch_ex, an array. */
};

/**
 * PSAPI_WS_WATCH_INFORMATION: a fault that brought a page into the working set. 16 bytes. The last
 * record of an array has no PC, and for VA the number of faults that came when the log was full.
 */
struct ntmm_working_set_watch {
    uint64_t faulting_pc; /**< The instruction's address; all ones: not known. 0: the last one. */
    uint64_t faulting_va; /**< The address accessed; bit 0: set, nothing was read for it. */
};

/** PSAPI_WS_WATCH_INFORMATION_EX: 32 bytes. */
struct ntmm_working_set_watch_ex {
    struct ntmm_working_set_watch basic; /**< As above. */
    uint64_t faulting_thread_id;         /**< The thread's id; 0: not known. */
    uint64_t flags;                      /**< 0. */
};

/** VM_COUNTERS_EX2: 112 bytes. VM_COUNTERS_EX is the first 96, VM_COUNTERS the first 88. */
struct ntmm_vm_counters {
    uint64_t peak_virtual_size;              /**< Highest virtual_size. */
    uint64_t virtual_size;                   /**< Bytes of all regions. */
    uint32_t page_fault_count;               /**< Faults, modulo 2^32. */
    uint32_t padding;                        /**< 0. */
    uint64_t peak_working_set_size;          /**< Highest working_set_size. */
    uint64_t working_set_size;               /**< Bytes of valid pages. */
    uint64_t quota_peak_paged_pool_usage;    /**< 0: there are no pools. */
    uint64_t quota_paged_pool_usage;         /**< 0. */
    uint64_t quota_peak_nonpaged_pool_usage; /**< 0. */
    uint64_t quota_nonpaged_pool_usage;      /**< 0. */
    uint64_t pagefile_usage;                 /**< Bytes of private commit. */
    uint64_t peak_pagefile_usage;            /**< Their highest number. */
    uint64_t private_usage;                  /**< pagefile_usage again. */
    uint64_t private_working_set_size;       /**< Of working_set_size, private. */
    uint64_t shared_commit_usage;            /**< Bytes of sections' commit; 0. */
};

/**
 * Query a process, as NtQueryInformationProcess does, for the classes of memory. The checks come in
 * the order below.
 *
 * The classes of working-set watch give the faults since the watch began, or since they were asked
 * for last, in their order, and forget them. Both share one log of 504 faults.
 *
 * @param system             any
 * @param process            a live process
 * @param information_class  enum ntmm_process_information_class
 * @param buffer             out: untouched on failure
 * @param length             bytes at buffer: exactly a length that the class has; of the classes of
 *                           working-set watch at least what is to be written
 * @param return_length      out, may be NULL: bytes written; BUFFER_TOO_SMALL: bytes needed;
 *                           untouched on other failures
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_INFO_CLASS      no such class, or none of memory
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH    length is none of the class's
 *         NTMM_STATUS_ACCESS_VIOLATION        buffer is NULL
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH
 *         NTMM_STATUS_ACCESS_DENIED           the handle holds neither
 *                                             NTMM_PROCESS_QUERY_LIMITED_INFORMATION nor
 *                                             NTMM_PROCESS_QUERY_INFORMATION; of a watch: not the
 *                                             second
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_UNSUCCESSFUL            nobody began to watch the working set
 *         NTMM_STATUS_BUFFER_TOO_SMALL        the log does not fit; it stays as it is
 * Level: DISPATCH.
 * Locks: takes (W). Never waits. Source: NtQueryInformationProcess, GetWsChangesEx, Microsoft
 * documentation, and observed behaviour.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_information_process(struct ntmm_system *system,
                                                                  ntmm_handle process,
                                                                  uint32_t information_class,
                                                                  void *buffer, uint64_t length,
                                                                  uint64_t *return_length);

/**
 * Set something of a process, as NtSetInformationProcess does, for the classes of memory.
 *
 * The classes of working-set watch begin to log faults that bring pages into the working set, or,
 * when they are logged already, empty the log. It ends with the process.
 *
 * @param system             any
 * @param process            a live process
 * @param information_class  enum ntmm_process_information_class, without VM_COUNTERS
 * @param buffer             of NTMM_PROCESS_QUOTA_LIMITS: as in ntmm_set_quota_limits; else unused
 * @param length             bytes at buffer; of a watch 0
 * @return NTMM_STATUS_SUCCESS; or of NTMM_PROCESS_QUOTA_LIMITS as ntmm_set_quota_limits; or
 *         NTMM_STATUS_INVALID_INFO_CLASS    no such class, or none that can be set
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  length is not the class's
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH
 *         NTMM_STATUS_ACCESS_DENIED         a watch, and the handle lacks
 *                                           NTMM_PROCESS_QUERY_INFORMATION
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_NO_MEMORY             no frame for the log
 *         NTMM_STATUS_COMMITMENT_LIMIT      no commit for it
 * Level: APC.
 * Locks: takes (W), (S), (C), (P), (N). May wait for frames. Source: NtSetInformationProcess,
 * InitializeProcessForWsWatch, Microsoft documentation.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_information_process(struct ntmm_system *system,
                                                                ntmm_handle process,
                                                                uint32_t information_class,
                                                                const void *buffer,
                                                                uint64_t length);

/** Classes of ntmm_query_system_information, NT's numbers. */
enum ntmm_system_information_class {
    NTMM_SYSTEM_BASIC_INFORMATION = 0,         /**< struct ntmm_system_basic_information. */
    NTMM_SYSTEM_PERFORMANCE_INFORMATION = 2,   /**< struct ntmm_system_performance_information. */
    NTMM_SYSTEM_PAGE_FILE_INFORMATION = 18,    /**< struct ntmm_page_file_entry, 32 bytes each. */
    NTMM_SYSTEM_FILE_CACHE_INFORMATION = 21,   /**< struct ntmm_system_file_cache_information. */
    NTMM_SYSTEM_MEMORY_LIST_INFORMATION = 80,  /**< struct ntmm_system_memory_lists. */
    NTMM_SYSTEM_PAGE_FILE_INFORMATION_EX = 144 /**< struct ntmm_page_file_entry, 40 bytes each. */
};

/** SYSTEM_BASIC_INFORMATION: 64 bytes. */
struct ntmm_system_basic_information {
    uint32_t reserved;                     /**< 0. */
    uint32_t timer_resolution;             /**< 0: the embedder's to fill in. */
    uint32_t page_size;                    /**< 4096. */
    uint32_t number_of_physical_pages;     /**< Frames handed over. */
    uint32_t lowest_physical_page_number;  /**< The lowest frame. */
    uint32_t highest_physical_page_number; /**< The highest frame. */
    uint32_t allocation_granularity;       /**< 65536. */
    uint32_t padding;                      /**< 0. */
    uint64_t minimum_user_mode_address;    /**< NTMM_LOWEST_USER_ADDRESS. */
    uint64_t maximum_user_mode_address;    /**< NTMM_HIGHEST_USER_ADDRESS. */
    uint64_t active_processors_affinity;   /**< 0: the embedder's to fill in. */
    uint8_t number_of_processors;          /**< 0: the embedder's to fill in. */
    uint8_t padding2[7];                   /**< 0. */
};

/**
 * SYSTEM_PERFORMANCE_INFORMATION: 344 bytes; before Windows 10 it was the first 312. Pages and
 * counts since the system was made. What is not of memory, pools or the cache is 0.
 */
struct ntmm_system_performance_information {
    uint64_t idle_process_time;           /**< 0. */
    uint64_t io_transfer_counts[3];       /**< Read, write, other: 0. */
    uint32_t io_operation_counts[3];      /**< Read, write, other: 0. */
    uint32_t available_pages;             /**< Zeroed, free and standby. */
    uint32_t committed_pages;             /**< Commit charge. */
    uint32_t commit_limit;                /**< Commit limit. */
    uint32_t peak_commitment;             /**< Highest charge, as commit_peak_pages. */
    uint32_t page_fault_count;            /**< All faults. */
    uint32_t copy_on_write_count;         /**< 0: nothing is shared. */
    uint32_t transition_count;            /**< Pages recovered from standby and modified. */
    uint32_t cache_transition_count;      /**< 0. */
    uint32_t demand_zero_count;           /**< Demand-zero faults. */
    uint32_t page_read_count;             /**< Pages read for faults. */
    uint32_t page_read_io_count;          /**< Transfers for that. */
    uint32_t cache_read_count;            /**< 0. */
    uint32_t cache_io_count;              /**< 0. */
    uint32_t dirty_pages_write_count;     /**< Pages written to page files. */
    uint32_t dirty_write_io_count;        /**< Transfers for that. */
    uint32_t mapped_pages_write_count;    /**< 0. */
    uint32_t mapped_write_io_count;       /**< 0. */
    uint32_t paged_pool_pages;            /**< 0. */
    uint32_t nonpaged_pool_pages;         /**< Frames of the core's own objects. */
    uint32_t pool_operation_counts[4];    /**< Allocations and frees of either pool: 0. */
    uint32_t free_system_ptes;            /**< 0. */
    uint32_t resident_system_code_page;   /**< 0. */
    uint32_t total_system_driver_pages;   /**< 0. */
    uint32_t total_system_code_pages;     /**< 0. */
    uint32_t pool_lookaside_hits[2];      /**< Nonpaged, paged: 0. */
    uint32_t available_paged_pool_pages;  /**< 0. */
    uint32_t resident_system_cache_page;  /**< 0. */
    uint32_t resident_paged_pool_page;    /**< 0. */
    uint32_t resident_system_driver_page; /**< 0. */
    uint32_t cache_manager_counts[30];    /**< Cc...: 0. */
    uint32_t context_switches;            /**< 0. */
    uint32_t translation_fill_counts[2];  /**< First and second level: 0. */
    uint32_t system_calls;                /**< 0. */
    uint64_t cache_total_dirty_pages;     /**< 0. */
    uint64_t cache_dirty_page_threshold;  /**< 0. */
    uint64_t resident_available_pages;    /**< Frames that nothing promised to keep in memory. */
    uint64_t shared_committed_pages;      /**< 0. */
};

/** Bytes of ntmm_system_performance_information before Windows 10, the least that is taken. */
#define NTMM_SYSTEM_PERFORMANCE_MINIMUM 312u

/** SYSTEM_FILECACHE_INFORMATION: 64 bytes. There is no file cache, so most is 0. */
struct ntmm_system_file_cache_information {
    uint64_t current_size;                 /**< Bytes of the system working set; 0. */
    uint64_t peak_size;                    /**< 0. */
    uint32_t page_fault_count;             /**< 0. */
    uint32_t padding;                      /**< 0. */
    uint64_t minimum_working_set;          /**< 0. */
    uint64_t maximum_working_set;          /**< 0. */
    uint64_t current_size_with_transition; /**< Pages; 0. */
    uint64_t peak_size_with_transition;    /**< Pages; 0. */
    uint32_t transition_repurpose_count;   /**< Standby pages taken for something else. */
    uint32_t flags;                        /**< 0. */
};

/** SYSTEM_MEMORY_LIST_INFORMATION: 176 bytes, pages. */
struct ntmm_system_memory_lists {
    uint64_t zero_page_count;                 /**< Zeroed. */
    uint64_t free_page_count;                 /**< Free. */
    uint64_t modified_page_count;             /**< Modified. */
    uint64_t modified_no_write_page_count;    /**< Modified, not to be written. */
    uint64_t bad_page_count;                  /**< Bad. */
    uint64_t page_count_by_priority[8];       /**< Standby. */
    uint64_t repurposed_pages_by_priority[8]; /**< Standby pages taken for something else. */
    uint64_t modified_page_count_page_file;   /**< Of the modified, bound for page files: all. */
};

/**
 * SYSTEM_PAGEFILE_INFORMATION_EX: one page file, pages. SYSTEM_PAGEFILE_INFORMATION is the first 32
 * bytes. The name follows the fields of its entry.
 */
struct ntmm_page_file_entry {
    uint32_t next_entry_offset;   /**< Bytes from this entry to the next; 0: the last. */
    uint32_t total_size;          /**< Size now. */
    uint32_t total_in_use;        /**< Slots that hold a page. */
    uint32_t peak_usage;          /**< Their highest number. */
    uint16_t name_length;         /**< Bytes of the name, without its end. */
    uint16_t name_maximum_length; /**< The same with its end, a 16-bit zero. */
    uint32_t padding;             /**< 0. */
    uint64_t name_address;        /**< Host address of the name, inside the buffer: UTF-16. */
    uint32_t minimum_size;        /**< Class 144: size when it was made. */
    uint32_t maximum_size;        /**< Class 144: it may grow to this. */
};

/**
 * Query the system, as NtQuerySystemInformation does, for the classes of memory. The checks come in
 * the order below.
 *
 * The page-file classes give an entry for each page file, named \\Device\\PageFileN after its
 * number; without a page file they give nothing.
 *
 * @param system             any
 * @param information_class  enum ntmm_system_information_class
 * @param buffer             out: untouched on failure
 * @param length             bytes at buffer, at least what the class needs
 * @param return_length      out, may be NULL: bytes written on success, bytes needed with
 *                           INFO_LENGTH_MISMATCH; else untouched
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_INFO_CLASS    no such class, or none of memory
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  length is less than the class needs
 *         NTMM_STATUS_ACCESS_VIOLATION      buffer is NULL
 * Level: DISPATCH.
 * Locks: as ntmm_query_memory and ntmm_query_counters; (G) of each page file. Never waits.
 * Source: NtQuerySystemInformation, Microsoft documentation, public phnt headers.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_system_information(struct ntmm_system *system,
                                                                 uint32_t information_class,
                                                                 void *buffer, uint64_t length,
                                                                 uint64_t *return_length);

/**
 * Conditions of memory, NT's objects of these names in \\KernelObjects. A condition is a level: it
 * holds as long as what it says is so.
 */
enum ntmm_memory_condition {
    NTMM_LOW_MEMORY_CONDITION,     /**< Available frames at most the low threshold. */
    NTMM_HIGH_MEMORY_CONDITION,    /**< Available frames at least the high threshold. */
    NTMM_LOW_COMMIT_CONDITION,     /**< Commit at most three quarters of its limit. */
    NTMM_HIGH_COMMIT_CONDITION,    /**< Commit at least nine tenths of its limit. */
    NTMM_MAXIMUM_COMMIT_CONDITION, /**< The same of the limit with all page files grown. */
    NTMM_MEMORY_CONDITION_COUNT    /**< Their number. */
};

/**
 * Whether a condition holds at this moment, as QueryMemoryResourceNotification tells.
 *
 * NTMM_EVENT_MEMORY_CONDITION of the event stream reports changes as they happen; enabling it
 * reports what holds then.
 *
 * @param system        any
 * @param condition     enum ntmm_memory_condition
 * @param is_signalled  out: untouched on failure
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_INVALID_PARAMETER_2 when there is no such condition;
 *         NTMM_STATUS_ACCESS_VIOLATION when is_signalled is NULL
 * Level: any.
 * Locks: none. Source: CreateMemoryResourceNotification and "Standard event objects", Microsoft
 * documentation; thresholds: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_memory_condition(struct ntmm_system *system,
                                                               uint32_t condition,
                                                               bool *is_signalled);

#ifdef __cplusplus
}
#endif

#endif
