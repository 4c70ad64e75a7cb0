/*
 * Byte-range locks of files.
 *
 *   file --> lock --> lock --> 0        (handle, key) owns [start, start + length)
 *
 *   asked for                  refused when it meets
 *   a shared lock              an exclusive one of another owner
 *   an exclusive lock          any other lock, of the same owner too
 *   bytes to read              an exclusive one of another owner
 *   bytes to write             an exclusive one of another owner, a shared one of whomever
 *
 * A lock of no bytes meets nothing. Reads, writes and sections look at locks when they begin; views
 * never do. Locks of a handle go with it.
 *
 *   OB4 a lock is of a handle that is open and names its file
 *
 * Everything here needs (O). Source: NtLockFile, LockFileEx, public documentation; that the key
 * belongs to the owner: documentation of file systems' run-time library.
 */
#ifndef NTMM_SECTION_FILE_LOCK_H
#define NTMM_SECTION_FILE_LOCK_H

#include "section/object.h"

#define FILE_LOCK_TAG SLAB_TAG('F', 'L', 'c', 'k')

struct file_lock {
    le64 next;   /* of the same file, a reference, or 0; newest first */
    le64 start;  /* byte; fixed, as is all below */
    le64 length; /* bytes; start + length is at most 2^64 */
    le64 handle; /* without what it lacks */
    le32 key;
    le32 is_exclusive;
};

/* Bytes of a file, and who wants them. */
struct file_lock_range {
    uint64_t start;
    uint64_t length;
    ntmm_handle handle;
    uint32_t key;
};

static inline struct file_lock *file_lock_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

enum file_lock_kind { FILE_LOCK_SHARED, FILE_LOCK_EXCLUSIVE };

/* A new lock: LOCK_NOT_GRANTED; NO_MEMORY, COMMITMENT_LIMIT with c->want set. */
ntmm_status file_lock_add(struct call *c, struct file *file, const struct file_lock_range *range,
                          enum file_lock_kind kind);

/* The lock of exactly this range goes, an exclusive one before a shared one: RANGE_NOT_LOCKED. */
ntmm_status file_lock_remove(struct call *c, struct file *file,
                             const struct file_lock_range *range);

/* All locks of a handle go; whether there was one. */
bool file_locks_drop(struct call *c, struct file *file, ntmm_handle handle);

enum file_access { FILE_READS, FILE_WRITES };

/* Whether the bytes may be read or written. */
bool file_locks_allow(const struct call *c, const struct file *file,
                      const struct file_lock_range *range, enum file_access access);

#endif
