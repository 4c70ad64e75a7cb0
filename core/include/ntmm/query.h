/**
 * @file
 * Asking what an address space holds: NT's information classes, an iterator, and a bulk query.
 *
 * The structs have NT's layouts of a 64-bit caller, with fields in the host's byte order. A buffer
 * is memory of the caller, not of the managed machine, and needs no alignment.
 *
 * Glossary. Run: pages one after another of one region, of one state and one protection; or free
 * pages up to the next region. Region: one reservation, one VAD.
 *
 * Source: NtQueryVirtualMemory, public SDK headers and observed behaviour; docs/fidelity.md has the
 * decisions where these are silent. Iterator and scan are ours.
 */
#ifndef NTMM_QUERY_H
#define NTMM_QUERY_H

#include <ntmm/virtual.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Information classes of ntmm_query_virtual_memory_class, NT's numbers. */
enum ntmm_memory_information_class {
    NTMM_MEMORY_BASIC_INFORMATION = 0,       /**< struct ntmm_memory_basic_information. */
    NTMM_MEMORY_WORKING_SET_INFORMATION = 1, /**< A count and as many NTMM_WORKING_SET_* words. */
    NTMM_MEMORY_MAPPED_FILENAME_INFORMATION = 2,  /**< The name of a view's file. */
    NTMM_MEMORY_REGION_INFORMATION = 3,           /**< struct ntmm_memory_region_information. */
    NTMM_MEMORY_WORKING_SET_EX_INFORMATION = 4,   /**< struct ntmm_memory_page_information. */
    NTMM_MEMORY_SHARED_COMMIT_INFORMATION = 5,    /**< uint64_t: bytes of shared commit. */
    NTMM_MEMORY_IMAGE_INFORMATION = 6,            /**< struct ntmm_memory_image_information. */
    NTMM_MEMORY_REGION_INFORMATION_EX = 7,        /**< struct ntmm_memory_region_information. */
    NTMM_MEMORY_PRIVILEGED_BASIC_INFORMATION = 8, /**< As basic. */
    NTMM_MEMORY_BASIC_INFORMATION_CAPPED = 0xA,   /**< As basic. */
};

/** MEMORY_REGION_INFORMATION: a whole region. 48 bytes; class 3 knows the first 32. */
struct ntmm_memory_region_information {
    uint64_t allocation_base;    /**< First byte. */
    uint32_t allocation_protect; /**< NTMM_PAGE_* given when reserving. */
    uint32_t region_type;        /**< NTMM_REGION_* bits. */
    uint64_t region_size;        /**< Bytes of the region. */
    uint64_t commit_size;        /**< Bytes of it that are committed. */
    uint64_t partition_id;       /**< Memory partition; 0. */
    uint64_t node_preference;    /**< NUMA node it prefers; all ones: none. */
};

/** Bytes of the least buffer of the region classes. */
#define NTMM_REGION_INFORMATION_MINIMUM 24u

/** @name Bits of ntmm_memory_region_information.region_type
 * Class 3 leaves NTMM_REGION_PRIVATE to NTMM_REGION_DIRECT_MAPPED out, as it was observed to.
 * @{ */
#define NTMM_REGION_PRIVATE 0x0001u          /**< Private memory. */
#define NTMM_REGION_MAPPED_DATA_FILE 0x0002u /**< A view of a file. */
#define NTMM_REGION_MAPPED_IMAGE 0x0004u     /**< A view of an image. */
#define NTMM_REGION_MAPPED_PAGE_FILE 0x0008u /**< A view of page-file-backed memory. */
#define NTMM_REGION_MAPPED_PHYSICAL 0x0010u  /**< The embedder's frames. */
#define NTMM_REGION_DIRECT_MAPPED 0x0020u    /**< Files that are memory themselves. */
#define NTMM_REGION_SOFTWARE_ENCLAVE 0x0040u /**< Never set. */
#define NTMM_REGION_PAGE_SIZE_64K 0x0080u    /**< Never set. */
#define NTMM_REGION_PLACEHOLDER 0x0100u      /**< A placeholder reservation. */
#define NTMM_REGION_MAPPED_AWE 0x0200u       /**< A window for user physical pages. */
#define NTMM_REGION_WRITE_WATCH 0x0400u      /**< Written pages are tracked. */
#define NTMM_REGION_PAGE_SIZE_LARGE 0x0800u  /**< Pages of 2 MiB. */
#define NTMM_REGION_PAGE_SIZE_HUGE 0x1000u   /**< Pages of 1 GiB. */
/** @} */

/** MEMORY_WORKING_SET_EX_INFORMATION: one page. 16 bytes. */
struct ntmm_memory_page_information {
    uint64_t virtual_address; /**< In: any address inside the page. */
    uint64_t attributes;      /**< Out: NTMM_PAGE_STATE_* fields. */
};

/** @name Fields of ntmm_memory_page_information.attributes
 * Bits that are not named are 0. A page that was never touched, or is not committed, is all 0.
 * @{ */
#define NTMM_PAGE_STATE_VALID 0x1ull               /**< In the working set. */
#define NTMM_PAGE_STATE_SHARE_COUNT_SHIFT 1u       /**< 3 bits; valid: 0 for private pages. */
#define NTMM_PAGE_STATE_PROTECTION_SHIFT 4u        /**< 11 bits; valid: NTMM_PAGE_*. */
#define NTMM_PAGE_STATE_SHARED 0x8000ull           /**< Of a section. */
#define NTMM_PAGE_STATE_NODE_SHIFT 16u             /**< 6 bits; valid: NUMA node. */
#define NTMM_PAGE_STATE_LOCKED 0x400000ull         /**< Valid: locked. */
#define NTMM_PAGE_STATE_LARGE 0x800000ull          /**< Valid: part of a large page. */
#define NTMM_PAGE_STATE_LOCATION_SHIFT 22u         /**< 2 bits; not valid: NTMM_PAGE_LOCATION_*. */
#define NTMM_PAGE_STATE_PRIORITY_SHIFT 24u         /**< 3 bits; of a page in memory. */
#define NTMM_PAGE_STATE_MODIFIED_LIST 0x8000000ull /**< Not valid: waits to be written. */
#define NTMM_PAGE_STATE_BAD 0x80000000ull /**< Not valid: its frame failed, see frames.h. */
#define NTMM_PAGE_LOCATION_NONE 0u        /**< Nowhere. */
#define NTMM_PAGE_LOCATION_RESIDENT 1u    /**< In memory, outside the working set. */
#define NTMM_PAGE_LOCATION_PAGE_FILE 2u   /**< In a page file, or on its way from there. */
/** @} */

/** @name Fields of a word of the working-set class
 * @{ */
#define NTMM_WORKING_SET_PROTECTION 0x1Full   /**< Code: 1 R, 2 X, 3 RX, 4 RW, 6 RWX; +8 +24. */
#define NTMM_WORKING_SET_SHARE_COUNT_SHIFT 5u /**< 3 bits; 0 for private pages. */
#define NTMM_WORKING_SET_SHARED 0x100ull      /**< Of a section. */
#define NTMM_WORKING_SET_NODE_SHIFT 9u        /**< 3 bits. */
#define NTMM_WORKING_SET_PAGE_SHIFT 12u       /**< The rest: the page's address. */
/** @} */

/** MEMORY_IMAGE_INFORMATION. 24 bytes. */
struct ntmm_memory_image_information {
    uint64_t image_base;    /**< First byte of the image. */
    uint64_t size_of_image; /**< Bytes. */
    uint32_t flags;         /**< 0x1 partial map, 0x2 not executable, 0x3C signing level. */
    uint32_t padding;       /**< 0. */
};

/**
 * Query an address space, as NtQueryVirtualMemory does.
 *
 * The checks come in the order below; the first that fails decides.
 *
 * @param system             any
 * @param process            target
 * @param address            bytes; which page or region. The working-set and shared-commit classes
 *                           ignore it
 * @param information_class  enum ntmm_memory_information_class
 * @param buffer             out: what the class gives; untouched on failure, but see below. The
 *                           class of single pages reads the addresses in it
 * @param length             bytes at buffer. Region classes fill in what fits, from 24 bytes up
 * @param return_length      out, may be NULL: bytes written; untouched on failure, but the bytes
 *                           that a mapped filename needs when length is too small for it
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INVALID_INFO_CLASS     no such class, or one that is not supported
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   length is less than the class needs; single pages: it
 *                                            is 0 or no multiple of 16. The working-set class finds
 *                                            this last, and sets the count in the buffer
 *         NTMM_STATUS_ACCESS_VIOLATION       buffer is NULL
 *         NTMM_STATUS_INVALID_PARAMETER      address is above NTMM_HIGHEST_USER_ADDRESS (basic,
 *                                            region, image and mapped-filename classes)
 *         NTMM_STATUS_INVALID_HANDLE         process names nothing alive
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH   process is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED          the handle lacks NTMM_PROCESS_QUERY_INFORMATION
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD     a single page is a system address, and the handle's
 *                                            holder lacks the profile privilege
 *         NTMM_STATUS_PROCESS_IS_TERMINATING the process is ending
 *         NTMM_STATUS_INVALID_ADDRESS        no region at address (region), or no view (image,
 *                                            mapped filename, which finds this before it looks at
 *                                            buffer and length)
 *         NTMM_STATUS_FILE_INVALID           the view is of no file (mapped filename)
 *         NTMM_STATUS_BUFFER_OVERFLOW        the name is longer than the buffer (mapped filename)
 *         NTMM_STATUS_NO_MEMORY              the tables that decide do not fit into memory
 *                                            together
 *         or that of a page table's read. Single pages that were answered before it stay answered.
 * Level: APC.
 * Locks: takes (W). Waits for page tables that are in a page file; touches no page of the process.
 * Source: NtQueryVirtualMemory, Microsoft documentation, public SDK headers, observed behaviour.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_virtual_memory_class(
    struct ntmm_system *system, ntmm_handle process, uint64_t address, uint32_t information_class,
    void *buffer, uint64_t length, uint64_t *return_length);

/** @name States that a scan or an iterator reports
 * @{ */
#define NTMM_REGIONS_FREE 0x1u      /**< Free runs. */
#define NTMM_REGIONS_RESERVED 0x2u  /**< Reserved runs. */
#define NTMM_REGIONS_COMMITTED 0x4u /**< Committed runs. */
#define NTMM_REGIONS_ALL 0x7u       /**< All: the records tile the range. */
/** @} */

/**
 * The runs of a range, many at once. With NTMM_REGIONS_ALL the records, each as
 * ntmm_query_virtual_memory gives it but ending at `to`, cover [from, *next) exactly once.
 *
 * @param system    any
 * @param process   target
 * @param from      bytes; rounded down to 4 KiB
 * @param to        bytes; rounded up to 4 KiB, at most NTMM_USER_PROBE_ADDRESS
 * @param flags     NTMM_REGIONS_* bits: the states to report
 * @param records   out: by rising address; unspecified on failure
 * @param capacity  records that fit, > 0
 * @param count     out: records written; untouched on failure
 * @param next      out: where to go on; the rounded `to` when the range is done. A call can end
 *                  before either, with some records, where a page table is not in memory. Untouched
 *                  on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION   records, count or next is NULL
 *         NTMM_STATUS_INVALID_PARAMETER  from is above to, to is above NTMM_USER_PROBE_ADDRESS,
 *                                        capacity is 0, or flags names no state or an unknown bit
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING, NTMM_STATUS_NO_MEMORY
 *                                        see ntmm_query_virtual_memory_class
 *         or that of a page table's read.
 * Level: APC.
 * Locks: holds (W) once for all records of a call. Waits for page tables that are in a page file.
 * Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_scan_regions(struct ntmm_system *system,
                                                     ntmm_handle process, uint64_t from,
                                                     uint64_t to, uint32_t flags,
                                                     struct ntmm_memory_basic_information *records,
                                                     uint32_t capacity, uint32_t *count,
                                                     uint64_t *next);

/** A walk over an address space, owned by the caller; it needs no end. */
struct ntmm_region_iterator {
    ntmm_handle process; /**< Target. */
    uint64_t next;       /**< First byte not looked at yet. */
    uint64_t end;        /**< Where the walk ends. */
    uint32_t flags;      /**< NTMM_REGIONS_* bits. */
    uint32_t reserved;   /**< 0. */
};

/**
 * Begin a walk at address 0 over the whole user address space.
 *
 * @param iterator  out: filled whole
 * @param process   target; not looked up yet
 * @param flags     NTMM_REGIONS_* bits: the states to report
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API void ntmm_begin_regions(struct ntmm_region_iterator *iterator, ntmm_handle process,
                                 uint32_t flags);

/**
 * The next run of a walk. Each address is looked at exactly once, whatever other calls do between
 * two steps: a run begins where the one before ended, also inside a region that is newer.
 *
 * @param system       any
 * @param iterator     in/out: stands behind the run on success, and at the end when it is over
 * @param information  out: the run; untouched otherwise
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_NO_MORE_ENTRIES when the walk is over; or, with the
 *         iterator as it was, a status of ntmm_scan_regions
 * Level: APC.
 * Locks: as ntmm_scan_regions. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status
ntmm_next_region(struct ntmm_system *system, struct ntmm_region_iterator *iterator,
                 struct ntmm_memory_basic_information *information);

#ifdef __cplusplus
}
#endif

#endif
