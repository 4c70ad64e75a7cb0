/*
 * Locking and unlocking bytes of files: NtLockFile and NtUnlockFile.
 *
 * Who waits for a lock keeps nothing but its place in a queue, and looks for the handle anew each
 * time that any lock of any file has gone.
 */
#include "section/file_lock.h"
#include "paging/transfers.h"
#include "services/relief.h"

#define ALL_FLAGS (NTMM_LOCK_FAIL_IMMEDIATELY | NTMM_LOCK_EXCLUSIVE)

/* The file of a handle that may read or write it. (O) is held. */
static ntmm_status find_file(struct call *c, const struct file_lock_range *range,
                             struct file **file)
{
    uint64_t ref;
    ntmm_status status = object_find(c, range->handle, HANDLE_KIND_FILE, 0, &ref);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!object_handle_holds(range->handle, NTMM_FILE_READ_DATA) &&
        !object_handle_holds(range->handle, NTMM_FILE_WRITE_DATA))
        return NTMM_STATUS_ACCESS_DENIED;
    *file = file_at(c, ref);
    return range->length != 0 && range->start + (range->length - 1) < range->start
               ? NTMM_STATUS_INVALID_LOCK_RANGE
               : NTMM_STATUS_SUCCESS;
}

/* One attempt; what refuses it can be waited for with the wait, which is then queued. */
static ntmm_status try_lock(struct call *c, const struct file_lock_range *range, uint32_t flags,
                            struct ntmm_wait *wait)
{
    struct file *file;
    objects_lock(c);
    ntmm_status status = find_file(c, range, &file);
    if (status == NTMM_STATUS_SUCCESS)
        status = file_lock_add(
            c, file, range, flags & NTMM_LOCK_EXCLUSIVE ? FILE_LOCK_EXCLUSIVE : FILE_LOCK_SHARED);
    if (status == NTMM_STATUS_LOCK_NOT_GRANTED && !(flags & NTMM_LOCK_FAIL_IMMEDIATELY))
        waiters_add(c, &c->sys->for_file_lock, wait);
    objects_unlock(c);
    return status;
}

/* As try_lock, however long it takes. */
static ntmm_status lock_or_wait(struct call *c, const struct file_lock_range *range, uint32_t flags)
{
    for (;;) {
        struct ntmm_wait wait = {0};
        ntmm_status status = try_lock(c, range, flags, &wait);
        if (status != NTMM_STATUS_LOCK_NOT_GRANTED || flags & NTMM_LOCK_FAIL_IMMEDIATELY)
            return status;
        bool is_woken = wait_until_woken(c, &wait);
        waiters_cancel(c, &c->sys->for_file_lock, &wait);
        if (!is_woken)
            return NTMM_STATUS_CANT_WAIT;
    }
}

ntmm_status ntmm_lock_file(struct ntmm_system *system, ntmm_handle file, uint64_t offset,
                           uint64_t length, uint32_t key, uint32_t flags)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    const struct file_lock_range range = {offset, length, file, key};
    ntmm_status status;
    if (flags & ~ALL_FLAGS)
        return NTMM_STATUS_INVALID_PARAMETER_6;
    do {
        status = lock_or_wait(&c, &range, flags);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

ntmm_status ntmm_unlock_file(struct ntmm_system *system, ntmm_handle handle, uint64_t offset,
                             uint64_t length, uint32_t key)
{
    struct call c = call_begin(system);
    const struct file_lock_range range = {offset, length, handle, key};
    struct file *file;
    objects_lock(&c);
    ntmm_status status = find_file(&c, &range, &file);
    if (status == NTMM_STATUS_SUCCESS)
        status = file_lock_remove(&c, file, &range);
    objects_unlock(&c);
    if (status == NTMM_STATUS_SUCCESS)
        waiters_wake_all(&c, &c.sys->for_file_lock);
    return status;
}
