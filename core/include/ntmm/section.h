/**
 * @file
 * Sections: memory that processes share, files mapped as data, files mapped as images.
 *
 * A section object is a handle on a control area: one a file for its data, one for its image, one
 * for each section backed by the page files. Views map a section into a process; they keep the
 * control area, not the object, so handles may be closed while views live.
 *
 * Glossary. View: a region of a process that shows part of a section. Control area: what all
 * sections of one file, as data or as image, have in common. Prototype PTE: the entry of a page of
 * a control area, whichever processes map it.
 */
#ifndef NTMM_SECTION_H
#define NTMM_SECTION_H

#include <ntmm/access.h>
#include <ntmm/constants.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>
#include <ntmm/virtual.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Attributes of a section, NT's values
 * @{ */
#define NTMM_SEC_BASED 0x00200000u            /**< One address in all processes. */
#define NTMM_SEC_NO_CHANGE 0x00400000u        /**< Protections of views cannot be changed. */
#define NTMM_SEC_FILE 0x00800000u             /**< Query only. */
#define NTMM_SEC_IMAGE 0x01000000u            /**< An executable image. */
#define NTMM_SEC_RESERVE 0x04000000u          /**< Pages are committed one by one. */
#define NTMM_SEC_COMMIT 0x08000000u           /**< Pages are committed at once. */
#define NTMM_SEC_NOCACHE 0x10000000u          /**< Views are not cached. */
#define NTMM_SEC_WRITECOMBINE 0x40000000u     /**< Views combine writes. */
#define NTMM_SEC_LARGE_PAGES 0x80000000u      /**< Pages of 2 MiB, resident from the beginning. */
#define NTMM_SEC_IMAGE_NO_EXECUTE 0x11000000u /**< SEC_IMAGE | SEC_NOCACHE. */
/** @} */

/** @name Rights of a section handle, NT's values
 * @{ */
#define NTMM_SECTION_QUERY 0x01u                /**< ntmm_query_section. */
#define NTMM_SECTION_MAP_WRITE 0x02u            /**< Views that write. */
#define NTMM_SECTION_MAP_READ 0x04u             /**< Views that read. */
#define NTMM_SECTION_MAP_EXECUTE 0x08u          /**< Views that execute. */
#define NTMM_SECTION_EXTEND_SIZE 0x10u          /**< ntmm_extend_section. */
#define NTMM_SECTION_MAP_EXECUTE_EXPLICIT 0x20u /**< Kept, and asked for by nothing. */
#define NTMM_SECTION_ALL_ACCESS 0x000F001Fu     /**< All of them but the last. */
/** @} */

/** @name Inherit disposition of a view, NT's values
 * @{ */
#define NTMM_VIEW_SHARE 1u /**< A process cloned from this one has the view. */
#define NTMM_VIEW_UNMAP 2u /**< It has not. */
/** @} */

/** Map an image elsewhere without IMAGE_NOT_AT_BASE. */
#define NTMM_MEM_DIFFERENT_IMAGE_BASE_OK 0x00800000u
/** ntmm_unmap_view_of_section: its pages stay on Standby for longer. */
#define NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST 0x00000001u

/** Most UTF-16 units of a section's name. */
#define NTMM_SECTION_NAME_MAXIMUM 255u
/** ntmm_section_config.version of this header. */
#define NTMM_SECTION_CONFIG_VERSION 2u

/** The object attributes of a section, and who makes it. Zero it, set `size` and `version`. */
struct ntmm_section_config {
    uint32_t size;                    /**< sizeof(struct ntmm_section_config). */
    uint32_t version;                 /**< NTMM_SECTION_CONFIG_VERSION. */
    const uint16_t *name;             /**< UTF-16, compared exactly; copied. NULL: no name. */
    uint32_t name_units;              /**< Units at `name`. */
    uint32_t open_if;                 /**< 1, OBJ_OPENIF: a section of that name is opened. */
    const struct ntmm_caller *caller; /**< Whose privileges count; NULL: all are held. */
};

/** Classes of ntmm_query_section, NT's values. */
enum ntmm_section_information_class {
    NTMM_SECTION_BASIC_INFORMATION = 0, /**< struct ntmm_section_basic_information. */
    NTMM_SECTION_IMAGE_INFORMATION = 1, /**< SECTION_IMAGE_INFORMATION, 64 bytes. */
};

/** SECTION_BASIC_INFORMATION of a 64-bit caller: 24 bytes. */
struct ntmm_section_basic_information {
    uint64_t base_address;          /**< Of SEC_BASED, otherwise 0. */
    uint32_t allocation_attributes; /**< NTMM_SEC_* bits. */
    uint32_t reserved;              /**< 0. */
    uint64_t maximum_size;          /**< Bytes. */
};

/**
 * Make a section, as NtCreateSection does. The order of the checks is the order of the statuses.
 *
 * @param system        any
 * @param section       out: a handle that grants desired_access; untouched on failure
 * @param access        NTMM_SECTION_* bits that the handle grants; other bits are dropped
 * @param config        name and caller; NULL: no name, every privilege
 * @param maximum_size  bytes; NULL or 0: the file's size
 * @param protect       NTMM_PAGE_*: the most that views may have, and what the file must allow
 * @param attributes    NTMM_SEC_* bits
 * @param file          an open file, or 0: backed by the page files
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_OBJECT_NAME_EXISTS (opened; success-class); or, with
 *         nothing changed but perhaps the file's size,
 *         NTMM_STATUS_INVALID_PARAMETER_6       attributes
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION   protect
 *         NTMM_STATUS_ACCESS_VIOLATION          section is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH      config's, or its caller's, size or version is
 *                                               not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_3       the name is too long
 *         NTMM_STATUS_INVALID_FILE_FOR_SECTION  SEC_IMAGE without file; the file has no sections;
 *                                               an image of an empty file
 *         NTMM_STATUS_INVALID_PARAMETER_4       no file, and no size; large pages: not a multiple
 *         NTMM_STATUS_SECTION_TOO_BIG           larger than anything; a file that cannot be
 *                                               extended; larger than the image
 *         NTMM_STATUS_FILE_LOCK_CONFLICT        a lock of bytes keeps this handle of the file from
 *                                               reading what the section has, or, when its views
 *                                               may write, from writing it (ntmm_lock_file)
 *         NTMM_STATUS_PRIVILEGE_NOT_HELD        large pages, and the caller lacks SeLockMemory
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES    8 TiB and more of SEC_RESERVE; 131,072 handles of
 *                                               sections and files are open; after
 *                                               COMMITMENT_LIMIT: no aligned runs of frames for
 *                                               large pages, or too much is resident already
 *         NTMM_STATUS_COMMITMENT_LIMIT          SEC_COMMIT, or a shared writable part of an image
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH  file
 *         NTMM_STATUS_ACCESS_DENIED             the file's handle does not grant what protect needs
 *         NTMM_STATUS_MAPPED_FILE_SIZE_ZERO     data of an empty file
 *         NTMM_STATUS_DISK_FULL                 the file cannot grow to maximum_size
 *         NTMM_STATUS_INVALID_IMAGE_NOT_MZ, NTMM_STATUS_INVALID_IMAGE_FORMAT,
 *         NTMM_STATUS_INVALID_IMAGE_PROTECT, NTMM_STATUS_INVALID_IMAGE_NE_FORMAT,
 *         NTMM_STATUS_INVALID_IMAGE_LE_FORMAT, NTMM_STATUS_INVALID_IMAGE_WIN_16  the file is no
 *                                               image, or a damaged one: see docs/sections.md
 *         NTMM_STATUS_INVALID_IMAGE_HASH, NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE  an image that the
 *                                               verifier refused (ntmm_set_image_verifier)
 *         NTMM_STATUS_OBJECT_NAME_COLLISION     a section has the name, and open_if is 0
 *         NTMM_STATUS_NO_MEMORY                 no frame in time
 *         or the status of a read of the file that failed
 * Level: APC.
 * Locks: takes (O), (X); where a verifier is asked, (W) of the caller's process. Waits for I/O with
 * a file. Source: nt_semantics 4.2.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_section(struct ntmm_system *system,
                                                       ntmm_handle *section, uint32_t access,
                                                       const struct ntmm_section_config *config,
                                                       const uint64_t *maximum_size,
                                                       uint32_t protect, uint32_t attributes,
                                                       ntmm_handle file);

/** ntmm_image_file.version of this header. */
#define NTMM_IMAGE_FILE_VERSION 1u

/** A file that is about to become an image: what its verifier is told. Headers are those that the
 * checks of the format accepted. */
struct ntmm_image_file {
    uint32_t size;            /**< sizeof(struct ntmm_image_file). */
    uint32_t version;         /**< NTMM_IMAGE_FILE_VERSION. */
    ntmm_handle file;         /**< As ntmm_create_section got it; another thread may close it. */
    uint64_t device;          /**< The file's device. */
    uint64_t file_bytes;      /**< Its size now. */
    ntmm_handle caller;       /**< Who makes the section: ntmm_caller.process; 0: kernel mode. */
    uint32_t protection;      /**< PS_PROTECTION of that process; 0: none, or it is no more. */
    uint32_t image_bytes;     /**< SizeOfImage. */
    uint32_t header_bytes;    /**< SizeOfHeaders. */
    uint32_t checksum;        /**< CheckSum. */
    uint16_t machine;         /**< Machine. */
    uint16_t characteristics; /**< Characteristics. */
    uint16_t dll_characteristics; /**< DllCharacteristics. */
    uint16_t subsystem;           /**< Subsystem. */
    /**
     * Copies bytes of the file as its data views have them, which the image will have, too,
     * whatever the handle grants. May wait for I/O.
     *
     * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_ACCESS_VIOLATION when buffer is NULL,
     *         NTMM_STATUS_END_OF_FILE when the range leaves the file, or why it could not be read
     */
    ntmm_status (*read)(const struct ntmm_image_file *image, uint64_t offset, void *buffer,
                        uint32_t bytes);
    void *reader; /**< read's. */
};

/**
 * Says whether a file may become an image, as code integrity does.
 *
 * @param context  as registered
 * @param image    what it is; gone when this returns
 * @return NTMM_STATUS_SUCCESS or another success: it may. NTMM_STATUS_INVALID_IMAGE_HASH or
 *         NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE: it may not, and that is what NtCreateSection
 *         returns; any other failure: it may not, INVALID_IMAGE_HASH
 */
typedef ntmm_status (*ntmm_image_verifier)(void *context, const struct ntmm_image_file *image);

/**
 * Have somebody asked before a file becomes an image.
 *
 * Asked is once for each image that is made, when its headers were accepted and before anything is
 * kept of it. The image then stays while anything uses it, and, as long as memory is not short,
 * while the file is open: more sections and views of it ask nobody. Where two calls make the image
 * of one file at the same time both may ask, and one of the images is kept. A refusal leaves
 * nothing behind, and the next section of the file asks again.
 *
 * It is asked on the thread of ntmm_create_section, at its level and with no lock held: it may make
 * any call on the system that such a thread may, and wait. What must not change between question
 * and use is the embedder's to protect (NT's file systems refuse who would write to an image).
 *
 * A verifier is not part of a saved or forked system.
 *
 * @param system    no call on it may be in progress
 * @param verifier  NULL: everything may become an image
 * @param context   handed to it
 * Level: any.
 * Locks: none. Source: ours, after SeValidateImageHeader; nt_semantics 5.1.
 */
NTMM_API void ntmm_set_image_verifier(struct ntmm_system *system, ntmm_image_verifier verifier,
                                      void *context);

/**
 * Open a section by its name, as NtOpenSection does.
 *
 * @param system      any
 * @param section     out: a handle; untouched on failure
 * @param access      NTMM_SECTION_* bits that it grants
 * @param name        UTF-16, compared exactly
 * @param name_units  units
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_OBJECT_NAME_NOT_FOUND, NTMM_STATUS_ACCESS_VIOLATION when
 *         a pointer is NULL; for want of room for a handle as ntmm_duplicate_section:
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES, NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT
 * Level: APC.
 * Locks: takes (O). May wait for frames. Source: nt_semantics 4.1.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_open_section(struct ntmm_system *system,
                                                     ntmm_handle *section, uint32_t access,
                                                     const uint16_t *name, uint32_t name_units);

/**
 * Another handle of a section.
 *
 * @param system    any
 * @param section   an open section
 * @param access    NTMM_SECTION_* bits that the new handle grants, of those that the first one does
 * @param duplicate out: the handle; untouched on failure
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED when the first one does not grant the access,
 *         NTMM_STATUS_ACCESS_VIOLATION when duplicate is NULL; for want of room for a handle
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES (as many as can be are open), NTMM_STATUS_NO_MEMORY
 *         or NTMM_STATUS_COMMITMENT_LIMIT
 * Level: APC.
 * Locks: takes (O). May wait for frames. Source: NtDuplicateObject.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_duplicate_section(struct ntmm_system *system,
                                                          ntmm_handle section, uint32_t access,
                                                          ntmm_handle *duplicate);

/**
 * Close a handle. With the last one the object and its name go; what views show stays.
 *
 * @param system   any
 * @param section  an open section
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_HANDLE or NTMM_STATUS_OBJECT_TYPE_MISMATCH
 * Level: APC.
 * Locks: takes (O), (X). When the last reference to its pages goes, waits for tables of these that
 * are out; one that cannot be read puts their end off, to a later call that makes or ends a section
 * or file. Source: NtClose.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_close_section(struct ntmm_system *system,
                                                      ntmm_handle section);

/**
 * Describe a section, as NtQuerySection does.
 *
 * @param system         any
 * @param section        an open section; needs NTMM_SECTION_QUERY
 * @param information    enum ntmm_section_information_class
 * @param buffer         out: the class's layout; untouched on failure
 * @param length         bytes at buffer, at least the class's
 * @param return_length  out, may be NULL: bytes written; untouched on failure
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_INVALID_INFO_CLASS, NTMM_STATUS_INFO_LENGTH_MISMATCH,
 *         NTMM_STATUS_ACCESS_VIOLATION, NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED;
 *         NTMM_STATUS_SECTION_NOT_IMAGE when the image class is asked of another section
 * Level: DISPATCH.
 * Locks: takes (O). Source: nt_semantics 4.2.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_section(struct ntmm_system *system,
                                                      ntmm_handle section, uint32_t information,
                                                      void *buffer, uint64_t length,
                                                      uint64_t *return_length);

/**
 * Make a section of a file's data longer, as NtExtendSection does, and the file with it.
 *
 * @param system   any
 * @param section  an open section; needs NTMM_SECTION_EXTEND_SIZE
 * @param size     in/out, bytes. Not above the size now: success, and *size is that
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_ACCESS_VIOLATION, NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED;
 *         NTMM_STATUS_SECTION_NOT_EXTENDED when it is no file's data, or cannot be written and the
 *         file would have to grow; NTMM_STATUS_SECTION_TOO_BIG; NTMM_STATUS_NO_MEMORY or
 *         NTMM_STATUS_COMMITMENT_LIMIT for want of a frame or of a table of the file's pages; or
 *         what the device answers. On failure nothing is changed: neither section nor file
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: nt_semantics 4.3.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_extend_section(struct ntmm_system *system,
                                                       ntmm_handle section, uint64_t *size);

/**
 * Map a view of a section into a process, as NtMapViewOfSection does. The order of the checks is
 * that of docs/sections.md.
 *
 * @param system       any
 * @param section      an open section, whose handle grants what protect needs
 * @param process      needs NTMM_PROCESS_VM_OPERATION
 * @param base         in/out, bytes. 0: the system chooses, for an image the base that it is
 *                     relocated for, when that is free and no policy of the process keeps it away.
 *                     On success the view's base
 * @param zero_bits    as in ntmm_allocate_virtual_memory
 * @param commit_size  bytes of a SEC_RESERVE section that are committed at once
 * @param offset       in/out, bytes into the section, a multiple of 64 KiB, of a section of large
 *                     pages of 2 MiB; NULL: 0
 * @param view_size    in/out, bytes. 0: to the section's end. On success rounded up to pages
 * @param inherit      NTMM_VIEW_SHARE or NTMM_VIEW_UNMAP
 * @param type         NTMM_MEM_RESERVE, NTMM_MEM_TOP_DOWN, NTMM_MEM_LARGE_PAGES,
 *                     NTMM_MEM_DIFFERENT_IMAGE_BASE_OK, NTMM_SEC_NO_CHANGE
 * @param protect      NTMM_PAGE_*; of an image it has no effect
 * @return NTMM_STATUS_SUCCESS; success-class with the view mapped: NTMM_STATUS_IMAGE_NOT_AT_BASE,
 *         NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_8      inherit
 *         NTMM_STATUS_INVALID_PARAMETER_4      zero_bits, or base does not obey them
 *         NTMM_STATUS_INVALID_PARAMETER_9      type
 *         NTMM_STATUS_INVALID_PARAMETER        large pages of an ordinary section
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION  protect; after the handles: large pages with
 *                                              NOACCESS, copy-on-write or a modifier
 *         NTMM_STATUS_ACCESS_VIOLATION         base or view_size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_3      base or view_size is beyond user space
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING   the process, then the section
 *         NTMM_STATUS_MAPPED_ALIGNMENT         base or *offset, to 64 KiB; of large pages to 2 MiB
 *         NTMM_STATUS_SECTION_PROTECTION       the section does not allow protect
 *         NTMM_STATUS_INVALID_VIEW_SIZE        beyond the section's end; large pages: no multiple
 *         NTMM_STATUS_DYNAMIC_CODE_BLOCKED     it executes, is no image, and the process has
 *                                              NTMM_PROCESS_NO_DYNAMIC_CODE
 *         NTMM_STATUS_INVALID_PARAMETER_5      commit_size is above the view's size
 *         NTMM_STATUS_CONFLICTING_ADDRESSES    something is at base, or, base 0, where an image
 *                                              that is stripped of relocations must lie, or
 *                                              the process disallows those
 *                                              (DISALLOW_STRIPPED_IMAGES)
 *         NTMM_STATUS_NO_MEMORY                no room, or no frame in time
 *         NTMM_STATUS_COMMITMENT_LIMIT, NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED  copies on write
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES   the control area has too many views
 * Level: APC.
 * Locks: takes (A), (W), (O), (X). Source: nt_semantics 4.4, 4.5, 5.4.
 */
NTMM_API NTMM_MUST_USE ntmm_status
ntmm_map_view_of_section(struct ntmm_system *system, ntmm_handle section, ntmm_handle process,
                         uint64_t *base, uint64_t zero_bits, uint64_t commit_size, uint64_t *offset,
                         uint64_t *view_size, uint32_t inherit, uint32_t type, uint32_t protect);

/**
 * Map a view, as NtMapViewOfSectionEx does: with extended parameters, and perhaps over a
 * placeholder.
 *
 * @param system      as there
 * @param section     as there
 * @param process     as there
 * @param base        as there
 * @param offset      as there; a multiple of 4 KiB over a placeholder
 * @param view_size   as there; over a placeholder exactly its size
 * @param type        as there; also NTMM_MEM_REPLACE_PLACEHOLDER
 * @param protect     as there
 * @param parameters  extended parameters: address requirements, whose alignment must be 0
 * @param count       parameters
 * @return as ntmm_map_view_of_section, INVALID_PARAMETER for what is wrong with parameters;
 *         NTMM_STATUS_NOT_SUPPORTED for a machine that the image is not for
 * Level: APC.
 * Locks: as there. Source: nt_semantics 4.4.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_map_view_of_section_ex(
    struct ntmm_system *system, ntmm_handle section, ntmm_handle process, uint64_t *base,
    uint64_t *offset, uint64_t *view_size, uint32_t type, uint32_t protect,
    const struct ntmm_mem_extended_parameter *parameters, uint32_t count);

/**
 * Unmap the view that contains an address, as NtUnmapViewOfSectionEx does.
 *
 * @param system   any
 * @param process  needs NTMM_PROCESS_VM_OPERATION
 * @param base     any address in the view
 * @param flags    NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST: pages of the section that nobody else maps
 *                 get a page priority one higher, until they are used again or are given one;
 *                 NTMM_MEM_PRESERVE_PLACEHOLDER; or 0
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed, NTMM_STATUS_INVALID_PARAMETER_3 for other
 *         flags; NTMM_STATUS_NOT_MAPPED_VIEW; NTMM_STATUS_INVALID_HANDLE,
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING; NTMM_STATUS_CONFLICTING_ADDRESSES when a placeholder
 *         is to stay of a view that did not replace one; NTMM_STATUS_INVALID_PAGE_PROTECTION when
 *         something of it is secured; NTMM_STATUS_NO_MEMORY when no frame came free in time for a
 *         page table that is out; or the status of a page table that could not be read. With the
 *         last two the view is there still, and may be unmapped again; but where its tables do not
 *         fit into memory together, it shows the section where it had copies
 * Level: APC.
 * Locks: takes (A), (W), (O), (X). Waits for tables that are out, with the last reference to the
 * section's pages also for theirs, as ntmm_close_section does. Source: nt_semantics 4.6.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_unmap_view_of_section(struct ntmm_system *system,
                                                              ntmm_handle process, uint64_t base,
                                                              uint32_t flags);

/**
 * Whether two views are of the same file, as NtAreMappedFilesTheSame does.
 *
 * @param system   any
 * @param process  whose; needs no right
 * @param image    an address in an image view
 * @param other    an address in a view
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_NOT_SAME_DEVICE; NTMM_STATUS_CONFLICTING_ADDRESSES when
 *         an address is in private memory; NTMM_STATUS_INVALID_ADDRESS when it is free;
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING
 * Level: DISPATCH.
 * Locks: takes (W). Source: nt_semantics 4.9.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_are_mapped_files_the_same(struct ntmm_system *system,
                                                                  ntmm_handle process,
                                                                  uint64_t image, uint64_t other);

#ifdef __cplusplus
}
#endif

#endif
