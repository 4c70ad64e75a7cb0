/*
 * Byte-range locks of files. See file_lock.h.
 */
#include "section/file_lock.h"

static bool meets(const struct file_lock *lock, const struct file_lock_range *range)
{
    uint64_t length = get64(&lock->length);
    if (length == 0 || range->length == 0)
        return false;
    return range->start <= get64(&lock->start) + (length - 1) &&
           get64(&lock->start) <= range->start + (range->length - 1);
}

static bool is_own(const struct file_lock *lock, const struct file_lock_range *range)
{
    return get64(&lock->handle) == (range->handle & ~OBJECT_LACKS) &&
           get32(&lock->key) == range->key;
}

static bool is_refused_by(const struct file_lock *lock, const struct file_lock_range *range,
                          enum file_lock_kind kind)
{
    bool is_other = !is_own(lock, range);
    return meets(lock, range) &&
           (kind == FILE_LOCK_EXCLUSIVE || (get32(&lock->is_exclusive) && is_other));
}

ntmm_status file_lock_add(struct call *c, struct file *file, const struct file_lock_range *range,
                          enum file_lock_kind kind)
{
    for (uint64_t ref = get64(&file->locks); ref; ref = get64(&file_lock_at(c, ref)->next)) {
        if (is_refused_by(file_lock_at(c, ref), range, kind))
            return NTMM_STATUS_LOCK_NOT_GRANTED;
    }
    uint64_t ref = slab_allocate(c, SLAB_FILE_LOCK, 0);
    if (!ref)
        return want_status(c);
    struct file_lock *lock = file_lock_at(c, ref);
    set64(&lock->next, get64(&file->locks));
    set64(&lock->start, range->start);
    set64(&lock->length, range->length);
    set64(&lock->handle, range->handle & ~OBJECT_LACKS);
    set32(&lock->key, range->key);
    set32(&lock->is_exclusive, kind == FILE_LOCK_EXCLUSIVE);
    set64(&file->locks, ref);
    return NTMM_STATUS_SUCCESS;
}

static void unlink_lock(struct call *c, le64 *link)
{
    uint64_t ref = get64(link);
    set64(link, get64(&file_lock_at(c, ref)->next));
    slab_release(c, ref);
}

ntmm_status file_lock_remove(struct call *c, struct file *file, const struct file_lock_range *range)
{
    le64 *found = NULL;
    for (le64 *link = &file->locks; get64(link); link = &file_lock_at(c, get64(link))->next) {
        const struct file_lock *lock = file_lock_at(c, get64(link));
        bool is_it = is_own(lock, range) && get64(&lock->start) == range->start &&
                     get64(&lock->length) == range->length;
        if (is_it && (!found || get32(&lock->is_exclusive)))
            found = link;
    }
    if (!found)
        return NTMM_STATUS_RANGE_NOT_LOCKED;
    unlink_lock(c, found);
    return NTMM_STATUS_SUCCESS;
}

bool file_locks_drop(struct call *c, struct file *file, ntmm_handle handle)
{
    bool has_dropped = false;
    for (le64 *link = &file->locks; get64(link);) {
        struct file_lock *lock = file_lock_at(c, get64(link));
        if (get64(&lock->handle) != (handle & ~OBJECT_LACKS)) {
            link = &lock->next;
            continue;
        }
        unlink_lock(c, link);
        has_dropped = true;
    }
    return has_dropped;
}

bool file_locks_allow(const struct call *c, const struct file *file,
                      const struct file_lock_range *range, enum file_access access)
{
    for (uint64_t ref = get64(&file->locks); ref; ref = get64(&file_lock_at(c, ref)->next)) {
        const struct file_lock *lock = file_lock_at(c, ref);
        bool is_exclusive = get32(&lock->is_exclusive) != 0;
        bool is_in_way = is_exclusive ? !is_own(lock, range) : access == FILE_WRITES;
        if (is_in_way && meets(lock, range))
            return false;
    }
    return true;
}
