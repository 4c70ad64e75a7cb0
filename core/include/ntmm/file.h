/**
 * @file
 * Files: what sections map, and what is read and written beside them.
 *
 * A file is a stream of bytes on a device of the platform's storage, with a size exact to the byte.
 * All sections of a file, and ntmm_read_file and ntmm_write_file, go through the same pages: what
 * one writes the others see at once. Pages reach the device through the mapped page writer, a
 * flush, or the end of the file's last use; bytes past the size never do.
 *
 * Glossary. Size: the end of the file. Valid data: the bytes that were ever written; what lies
 * between them and the size reads as zero, whatever the device holds there.
 */
#ifndef NTMM_FILE_H
#define NTMM_FILE_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Access that a file handle grants, NT's values
 * @{ */
#define NTMM_FILE_READ_DATA 0x01u  /**< FILE_READ_DATA. */
#define NTMM_FILE_WRITE_DATA 0x02u /**< FILE_WRITE_DATA. */
#define NTMM_FILE_EXECUTE 0x20u    /**< FILE_EXECUTE. */
/** @} */

/** @name Flags of ntmm_file_config
 * @{ */
/** A pipe, console or directory: no section can be made of it. */
#define NTMM_FILE_NO_SECTIONS 1u
/** @} */

/** ntmm_file_config.version of this header. */
#define NTMM_FILE_CONFIG_VERSION 1u
/** Most UTF-16 units of a file's name. */
#define NTMM_FILE_NAME_MAXIMUM 255u

/** How a file is made. Zero the struct, set `size` and `version`. */
struct ntmm_file_config {
    uint32_t size;        /**< sizeof(struct ntmm_file_config). */
    uint32_t version;     /**< NTMM_FILE_CONFIG_VERSION. */
    uint64_t device;      /**< The platform's number of the device; no two files share one. */
    uint64_t size_bytes;  /**< The end of the file. */
    uint64_t valid_bytes; /**< Valid data; at most size_bytes. */
    uint32_t flags;       /**< NTMM_FILE_NO_SECTIONS or 0. */
    uint32_t name_units;  /**< UTF-16 units at `name`; 0: none. */
    const uint16_t *name; /**< NT path, such as \\Device\\HarddiskVolume1\\a.dll; copied. */
};

/** What is known of a file. */
struct ntmm_file_information {
    uint64_t device;          /**< The platform's number. */
    uint64_t size_bytes;      /**< The end of the file. */
    uint64_t valid_bytes;     /**< Valid data. */
    uint32_t handle_count;    /**< Handles that are open. */
    uint32_t data_views;      /**< Views of its data sections, in all processes. */
    uint32_t image_views;     /**< Views of its image section. */
    uint32_t data_sections;   /**< Section objects for its data. */
    uint32_t image_sections;  /**< Section objects for its image. */
    uint32_t is_write_failed; /**< 1: a write to the device failed since this was last asked. */
};

/**
 * Make a file known, and open it.
 *
 * @param system  any
 * @param config  copied
 * @param access  NTMM_FILE_* bits that the handle grants
 * @param file    out: the handle; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_ACCESS_VIOLATION       config or file is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2    valid_bytes is above size_bytes, size_bytes above
 *                                            2^47, a flag unknown, or the name too long
 *         NTMM_STATUS_INVALID_PARAMETER_3    access has other bits, or none
 *         NTMM_STATUS_SHARING_VIOLATION      the device is a file already, or a page file
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES 131,072 handles of sections and files are open
 *         NTMM_STATUS_NO_MEMORY              no frame for the object
 *         NTMM_STATUS_COMMITMENT_LIMIT       no commit for the frame
 * Level: APC.
 * Locks: takes (O). May wait for frames. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_file(struct ntmm_system *system,
                                                    const struct ntmm_file_config *config,
                                                    uint32_t access, ntmm_handle *file);

/**
 * Another handle of a file.
 *
 * @param system  any
 * @param file    an open file
 * @param access  NTMM_FILE_* bits that the new handle grants, whatever the first one does
 * @param opened  out: the handle; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION      opened is NULL
 *         NTMM_STATUS_INVALID_HANDLE        no such file
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_INVALID_PARAMETER_3   access has other bits, or none
 *         NTMM_STATUS_SHARING_VIOLATION     it is to be written, and an image of it is in use
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES, NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT
 *                                           for want of room for a handle, as ntmm_create_file
 * Level: APC.
 * Locks: takes (O). May wait for frames. Source: NtOpenFile, as far as sections matter to it.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_open_file(struct ntmm_system *system, ntmm_handle file,
                                                  uint32_t access, ntmm_handle *opened);

/**
 * Close a handle. With the last handle, and no section or view left, the file's modified pages are
 * written and the file is forgotten; until then it lives on. Who keeps valid data elsewhere flushes
 * and asks for it (ntmm_query_file) before.
 *
 * @param system  any
 * @param file    an open file
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH; or the
 *         status of a write that failed, the handle closed and the pages kept, to be written later
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: NtClose, IRP_MJ_CLEANUP of file systems.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_close_file(struct ntmm_system *system, ntmm_handle file);

/**
 * Describe a file.
 *
 * @param system       any
 * @param file         an open file
 * @param information  out: filled whole on success
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_ACCESS_VIOLATION when information is NULL;
 *         NTMM_STATUS_INVALID_HANDLE or NTMM_STATUS_OBJECT_TYPE_MISMATCH
 * Level: DISPATCH.
 * Locks: takes (O). Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_file(struct ntmm_system *system, ntmm_handle file,
                                                   struct ntmm_file_information *information);

/**
 * Set the end of the file, as FileEndOfFileInformation does. Growing is always allowed; the new
 * bytes read as zero. Shrinking is refused while a view of the file's data exists, or a section of
 * it reaches past the new size, even inside one page, and while an image of it is in use
 * (MmCanFileBeTruncated).
 *
 * @param system      any
 * @param file        an open file; the handle grants NTMM_FILE_WRITE_DATA
 * @param size_bytes  the new end
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED
 *         NTMM_STATUS_INVALID_PARAMETER_3  size_bytes is above 2^47
 *         NTMM_STATUS_USER_MAPPED_FILE     a section or view is in the way
 *         NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT
 *                                          for want of a frame or of a table of the file's pages
 *         or what the device answers to NTMM_IO_EXTEND (NTMM_STATUS_DISK_FULL)
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: nt_semantics 4.9.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_set_file_size(struct ntmm_system *system, ntmm_handle file,
                                                      uint64_t size_bytes);

/**
 * Whether the file may be deleted now: not while an image of it is in use (MmFlushImageSection).
 *
 * @param system  any
 * @param file    an open file
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_CANNOT_DELETE, NTMM_STATUS_INVALID_HANDLE or
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH
 * Level: DISPATCH.
 * Locks: takes (O). Source: nt_semantics 4.9.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_can_delete_file(struct ntmm_system *system,
                                                        ntmm_handle file);

/** @name Flags of ntmm_lock_file, the values of LockFileEx
 * @{ */
/** Do not wait for a lock that is in the way. */
#define NTMM_LOCK_FAIL_IMMEDIATELY 1u
/** Nobody else reads or writes the bytes; without: nobody writes them. */
#define NTMM_LOCK_EXCLUSIVE 2u
/** @} */

/**
 * Lock bytes of a file, as NtLockFile does. ntmm_read_file, ntmm_write_file and ntmm_create_section
 * look at locks when they begin, views never do. An exclusive lock is granted where there is no
 * other, a shared one where there is no exclusive one but of the same handle and key. A lock of no
 * bytes is granted, and in nobody's way. Locks go with their handle.
 *
 * @param system  any
 * @param file    an open file; the handle grants NTMM_FILE_READ_DATA or NTMM_FILE_WRITE_DATA
 * @param offset  first byte; may lie past the end of the file
 * @param length  bytes
 * @param key     with the handle the owner; reads, writes and sections have the key 0
 * @param flags   NTMM_LOCK_* bits
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_6  a flag is unknown
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED
 *         NTMM_STATUS_INVALID_LOCK_RANGE   the last byte is past 2^64 - 1
 *         NTMM_STATUS_LOCK_NOT_GRANTED     a lock is in the way, and FAIL_IMMEDIATELY is set
 *         NTMM_STATUS_CANT_WAIT            a lock is in the way, and the platform cannot wait, or
 *                                          knows that nobody could wake this call
 *         NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT for want of room for the lock
 * Level: APC.
 * Locks: takes (O). Waits for other locks, with no lock of the core held, and for frames.
 * Source: NtLockFile, LockFileEx.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_lock_file(struct ntmm_system *system, ntmm_handle file,
                                                  uint64_t offset, uint64_t length, uint32_t key,
                                                  uint32_t flags);

/**
 * Unlock bytes of a file, as NtUnlockFile does: exactly those of one lock of the same handle and
 * key. Where the same bytes have an exclusive and a shared lock, the exclusive one goes first.
 *
 * @param system  any
 * @param file    an open file; the handle grants NTMM_FILE_READ_DATA or NTMM_FILE_WRITE_DATA
 * @param offset  first byte of the lock
 * @param length  its bytes
 * @param key     its key
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED
 *         NTMM_STATUS_INVALID_LOCK_RANGE  the last byte is past 2^64 - 1
 *         NTMM_STATUS_RANGE_NOT_LOCKED    there is no such lock
 * Level: DISPATCH.
 * Locks: takes (O), (Q). Source: NtUnlockFile, UnlockFileEx.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_unlock_file(struct ntmm_system *system, ntmm_handle file,
                                                    uint64_t offset, uint64_t length, uint32_t key);

/**
 * Read bytes of a file, through the same pages that views see.
 *
 * @param system  any
 * @param file    an open file; the handle grants NTMM_FILE_READ_DATA
 * @param offset  first byte
 * @param buffer  out: `size` bytes of the caller's
 * @param size    bytes
 * @param moved   out, written whenever it is not NULL: bytes read, fewer than `size` at the end of
 *                the file
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_ACCESS_DENIED; NTMM_STATUS_FILE_LOCK_CONFLICT when bytes are locked so that
 *         this handle may not; NTMM_STATUS_END_OF_FILE when offset is at or past the end and
 *         size is not 0; NTMM_STATUS_ACCESS_VIOLATION when moved is NULL, or the buffer is NULL or
 *         wraps around; NTMM_STATUS_NO_MEMORY when no frame came free in time;
 *         NTMM_STATUS_COMMITMENT_LIMIT; or the status of the read that failed, *moved counting what
 *         came before
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: cached NtReadFile.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_read_file(struct ntmm_system *system, ntmm_handle file,
                                                  uint64_t offset, void *buffer, uint64_t size,
                                                  uint64_t *moved);

/**
 * Write bytes of a file, through the same pages that views see; past its end the file grows first,
 * and stays so when the bytes then cannot be written: what it has got more reads as zero.
 *
 * @param system  any
 * @param file    an open file; the handle grants NTMM_FILE_WRITE_DATA
 * @param offset  first byte
 * @param buffer  the bytes
 * @param size    bytes
 * @param moved   out, written whenever it is not NULL: bytes written
 * @return as ntmm_read_file but END_OF_FILE; NTMM_STATUS_INVALID_PARAMETER_3 when the end would lie
 *         above 2^47; or what the device answers to NTMM_IO_EXTEND (NTMM_STATUS_DISK_FULL)
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: cached NtWriteFile.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_write_file(struct ntmm_system *system, ntmm_handle file,
                                                   uint64_t offset, const void *buffer,
                                                   uint64_t size, uint64_t *moved);

/**
 * Write the modified pages of a range of a file to its device, and make them durable.
 *
 * @param system  any
 * @param file    an open file
 * @param offset  first byte
 * @param size    bytes; 0: to the end
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_CANT_WAIT when the platform can neither wait nor pump,
 *         NTMM_STATUS_NO_MEMORY, NTMM_STATUS_COMMITMENT_LIMIT for what the core keeps of the file,
 *         or the status of the write or flush that failed
 * Level: APC.
 * Locks: takes (O), (X). Waits for I/O. Source: NtFlushBuffersFile.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_flush_file(struct ntmm_system *system, ntmm_handle file,
                                                   uint64_t offset, uint64_t size);

/**
 * Drop the pages of a file that no view maps, modified ones unwritten (MmPurgeSection,
 * CcPurgeCacheSection).
 *
 * @param system  any
 * @param file    an open file
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH; or,
 *         with nothing changed, NTMM_STATUS_PURGE_FAILED: a view maps the file, or a page is
 *         being read or written
 * Level: APC.
 * Locks: takes (O), (X). Source: nt_semantics 4.9.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_purge_file(struct ntmm_system *system, ntmm_handle file);

/**
 * Write modified pages of files, in clusters by file offset: the mapped page writer. First what has
 * been modified for the life of modified pages (ntmm_config.modified_page_life_100ns), mapped or
 * not, then what nobody maps, oldest first.
 * The platform calls it in the background; nothing waits for the writes that it starts.
 *
 * @param system        any
 * @param budget_pages  most pages
 * @return pages whose write was started
 * Level: APC.
 * Locks: takes (O), (X), (F), (L). Source: nt_semantics 9.1.
 */
NTMM_API uint64_t ntmm_write_mapped_pages(struct ntmm_system *system, uint64_t budget_pages);

#ifdef __cplusplus
}
#endif

#endif
