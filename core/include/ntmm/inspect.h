/**
 * @file
 * Looking at a system: the invariants' checker, everything known of one address, and of what a
 * section is made.
 */
#ifndef NTMM_INSPECT_H
#define NTMM_INSPECT_H

#include <ntmm/system.h>
#include <ntmm/virtual.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A broken invariant. */
struct ntmm_check_report {
    char invariant[8];   /**< Its number in docs/INVARIANTS.md, such as "P3"; empty: all hold. */
    ntmm_handle process; /**< Whose, or 0. */
    uint64_t object;     /**< Frame number, core address or user address, as the invariant says. */
    uint64_t expected;   /**< What the checker counted. */
    uint64_t found;      /**< What the object says. */
};

/**
 * Reads what lies on a device of the platform's storage, at once.
 *
 * @param context       the caller's
 * @param device        the number that the page file was made with
 * @param offset_bytes  a multiple of 4096
 * @param buffer        out: the bytes as a read would see them now
 * @param size_bytes    4096
 * @return a success, or any failure: the bytes cannot be had
 */
typedef ntmm_status ntmm_storage_reader(void *context, uint64_t device, uint64_t offset_bytes,
                                        void *buffer, size_t size_bytes);

/**
 * Bytes of scratch memory that ntmm_check and ntmm_check_with_storage need.
 *
 * @param system  any
 * @return bytes: 4 for each frame handed over, one bit for each slot of each page file, four pages,
 *         and 12 for each control area that there is room for; so it grows when a page file is made
 *         or grows, and when sections and files are made
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API size_t ntmm_check_scratch_size(const struct ntmm_system *system);

/**
 * Recount everything from entries and lists alone and compare with what the objects say.
 *
 * Tables that lie in a page file are read through a reader. Of one that cannot be read what it
 * holds is unknown: each of its pages may be committed or not, and each entry may name a slot. Then
 * a region's commit (V4), the used slots of page files (G1) and, below a table above the leaves, a
 * process's or an area's tables (PR3, CA4, PT4) are only held to what they can be at least and at
 * most, and the entries in the table are not looked at (V2, V3, V5, V9, PT1).
 *
 * @param system   no call on it may be in progress, and no transfer complete
 * @param scratch  caller-owned, aligned to 8 bytes, contents lost
 * @param size     bytes at scratch, at least ntmm_check_scratch_size()
 * @param reader   of page files, or NULL: there is none
 * @param context  handed to the reader
 * @param report   out: the first broken invariant, or an empty one
 * @return NTMM_STATUS_SUCCESS         every invariant holds, as far as it could be looked at
 *         NTMM_STATUS_BUFFER_TOO_SMALL  scratch is too small; report is untouched
 *         NTMM_STATUS_INTERNAL_ERROR  one is broken; report says which
 * Level: APC.
 * Locks: none. Cost: O(frames + entries + slots). Source: ours; docs/INVARIANTS.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_check_with_storage(struct ntmm_system *system,
                                                           void *scratch, size_t size,
                                                           ntmm_storage_reader *reader,
                                                           void *context,
                                                           struct ntmm_check_report *report);

/**
 * As ntmm_check_with_storage without a reader: exact while no table lies in a page file.
 *
 * @param system   no call on it may be in progress, and no transfer complete
 * @param scratch  caller-owned, aligned to 8 bytes, contents lost
 * @param size     bytes at scratch, at least ntmm_check_scratch_size()
 * @param report   out: the first broken invariant, or an empty one
 * @return as ntmm_check_with_storage
 * Level: APC.
 * Locks: none. Cost: O(frames + entries + slots). Source: ours; docs/INVARIANTS.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_check(struct ntmm_system *system, void *scratch,
                                              size_t size, struct ntmm_check_report *report);

/** State of a frame, NT's numbers. */
enum ntmm_frame_location {
    NTMM_FRAME_ZEROED,            /**< On the zeroed list. */
    NTMM_FRAME_FREE,              /**< On the free list. */
    NTMM_FRAME_STANDBY,           /**< On a standby list. */
    NTMM_FRAME_MODIFIED,          /**< On the modified list. */
    NTMM_FRAME_MODIFIED_NO_WRITE, /**< On the modified-no-write list. */
    NTMM_FRAME_BAD,               /**< On the bad list. */
    NTMM_FRAME_ACTIVE,            /**< Active and valid. */
    NTMM_FRAME_TRANSITION,        /**< On no list, referenced. */
};

/** What a frame is used for. */
enum ntmm_frame_use {
    NTMM_USE_FREE,          /**< Nothing. */
    NTMM_USE_METADATA,      /**< The core's fixed structures. */
    NTMM_USE_PRIVATE,       /**< A page of a process. */
    NTMM_USE_TABLE,         /**< A page table. */
    NTMM_USE_SLAB,          /**< Objects of one tag. */
    NTMM_USE_PROCESS,       /**< Process objects. */
    NTMM_USE_PAGING,        /**< Page file descriptors and slot maps, and the dummy page. */
    NTMM_USE_USER_PHYSICAL, /**< A user physical page, mapped in a window or not. */
    NTMM_USE_SECTION,       /**< A page of a section, or one that clones share, whoever maps it. */
    NTMM_USE_PROTOTYPE,     /**< A table of prototype PTEs, or what is known of one of clones. */
    NTMM_USE_OBJECT,        /**< The table of section and file handles, and what images keep. */
    NTMM_USE_ABSENT,        /**< The frame is not there: not added yet, or removed (frames.h). */
};

/** A row of the PFN database. */
struct ntmm_frame_information {
    uint64_t frame;                    /**< Frame number. */
    enum ntmm_frame_location location; /**< State. */
    enum ntmm_frame_use use;           /**< Use. */
    uint64_t entry_address;            /**< Core address of the entry that maps it, or 0. */
    uint64_t original_pte;             /**< What the entry becomes when the frame is taken. */
    uint64_t table_frame;              /**< Frame that holds that entry. */
    uint64_t share_count;              /**< Entries that map it. */
    uint64_t slot; /**< Of a page file, that holds the page or is being written; 0: none. */
    uint32_t reference_count;  /**< References. */
    uint32_t priority;         /**< Page priority, 0..7. */
    uint32_t is_modified;      /**< Whether it differs from its backing. */
    uint32_t tag;              /**< Slab tag, four characters, first in the low byte; or 0. */
    uint32_t used;             /**< Table: non-empty entries. Slab: objects. */
    uint32_t owner;            /**< Index of the owning process, or all ones. */
    uint32_t is_being_read;    /**< Whether its page is on its way from a page file. */
    uint32_t is_being_written; /**< Whether its page is on its way to one. */
    uint32_t page_file;        /**< Number of the page file of `slot`; 0 without one. */
    uint32_t reserved;         /**< 0. */
};

/**
 * A row of the PFN database.
 *
 * @param system       any
 * @param frame        frame number
 * @param information  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS, or NTMM_STATUS_INVALID_PARAMETER_2 when no such frame was handed
 *         over
 * Level: any.
 * Locks: none; a snapshot that may mix two moments. Source: ours, after !pfn.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_frame(struct ntmm_system *system, uint64_t frame,
                                                    struct ntmm_frame_information *information);

/** Everything known of a user address. */
struct ntmm_explanation {
    struct ntmm_memory_basic_information memory; /**< What a query says. */
    uint64_t vad_address;                        /**< Core address of the VAD, or 0. */
    uint64_t vad_base;                           /**< First byte of the region. */
    uint64_t vad_end;                            /**< Byte after its last. */
    uint64_t vad_commit_pages;                   /**< Pages committed in it. */
    uint32_t levels;                             /**< Levels of the tables: 4. */
    uint32_t stopped_level;    /**< Level of the last entry the walk read, 1..4. */
    uint64_t entry_address[5]; /**< By level - 1; 0 below stopped_level. */
    uint64_t entry[5];         /**< Raw entries, by level - 1. */
    uint64_t slot;             /**< Of a page file, that the last entry read names; 0: none. */
    uint32_t page_file;        /**< Number of the page file of `slot`; 0 without one. */
    uint32_t missing_level; /**< Level of the table that is not in memory, 1..3, whose place `slot`
                               or `frame` is; 0: none is missing on the way to the page. */
    uint32_t is_partial;    /**< Whether `memory` says less than a query: see ntmm_explain. */
    uint32_t has_frame;     /**< Whether `frame` is filled. */
    struct ntmm_frame_information
        frame; /**< The frame of the page, or of a table in transition, when there is one. */
};

/**
 * Everything known of a user address: the region, the entry at each level, the frame.
 *
 * Nothing is brought into memory for it. When a table in which a query would look is not in memory,
 * is_partial is 1 and memory.region_size ends before what that table decides.
 *
 * When the page's own entry is in such a table, missing_level says which: the table of level n, to
 * which the entry of level n + 1 = stopped_level leads. It lies in `slot` of `page_file`, or in
 * `frame` (has_frame 1), in transition: on a list, or on its way from or to a page file. Then of
 * `memory` the base address, the allocation's base and protection and the type are as always;
 * region_size and protect are 0, unknown; state is NTMM_MEM_COMMIT or NTMM_MEM_RESERVE when all
 * pages of the region are committed or none is, else 0, unknown.
 *
 * @param system       any
 * @param process      a live process
 * @param address      bytes
 * @param explanation  out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_PARAMETER (not a user address),
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, or
 *         NTMM_STATUS_PROCESS_IS_TERMINATING
 * Level: DISPATCH.
 * Locks: takes (W). Never waits for I/O. Source: ours, after !pte, !vad and !pfn.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_explain(struct ntmm_system *system, ntmm_handle process,
                                                uint64_t address,
                                                struct ntmm_explanation *explanation);

/** A subsection: pages of a section one after another that have one source and one protection. */
struct ntmm_subsection_information {
    uint64_t first_page;   /**< In the section. */
    uint64_t page_count;   /**< Pages. */
    uint64_t file_offset;  /**< Bytes: where its first page begins in the file; 0 without one. */
    uint64_t file_bytes;   /**< Bytes that the file has for it; what its pages have more is zero. */
    uint64_t backed_pages; /**< Pages that begin in the file; the others are demand zero. */
    uint32_t protect;      /**< NTMM_PAGE_* of a view that asks for nothing else. */
    uint32_t is_shared;    /**< 1: what is written to it is seen by all; 0: it is copied. */
};

/**
 * The subsections of a section, by rising page. They cover it without a hole; pages of an image
 * that are of no part of it are subsections of NTMM_PAGE_NOACCESS.
 *
 * @param system    any
 * @param section   an open section; needs NTMM_SECTION_QUERY
 * @param records   out: the first `capacity` of them; untouched on failure, may be NULL for 0
 * @param capacity  records that fit
 * @param count     out: how many there are; untouched on failure
 * @return NTMM_STATUS_SUCCESS, also when not all fit; NTMM_STATUS_ACCESS_VIOLATION when count, or
 *         records for a capacity, is NULL; NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH or NTMM_STATUS_ACCESS_DENIED
 * Level: DISPATCH.
 * Locks: takes (O), (X). Source: ours, after !ca.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_subsections(
    struct ntmm_system *system, ntmm_handle section, struct ntmm_subsection_information *records,
    uint32_t capacity, uint32_t *count);

/**
 * Decode an entry into text: its kind and its fields, such as "transition Protection=0x4 Transition
 * PageFrameNumber=0x60533" or "page file 0 slot 0x1a3 PageFileAllocated Protection=0x4".
 *
 * @param entry        raw value, swizzle removed
 * @param level        1..5
 * @param buffer       out: the text with its final 0, cut to fit
 * @param buffer_size  bytes at buffer; 0 writes nothing
 * @return bytes the whole text needs, its final 0 not counted
 * Level: any.
 * Locks: none. Source: ours, after !pte.
 */
NTMM_API size_t ntmm_format_entry(uint64_t entry, uint32_t level, char *buffer, size_t buffer_size);

#ifdef __cplusplus
}
#endif

#endif
