/*
 * The size of a file, and its bytes: read, written, flushed, purged, through the pages of its data
 * area. See file.c.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/file_lock.h"
#include "section/prototype.h"
#include "services/area_flush.h"
#include "services/area_touch.h"
#include "services/relief.h"
#include "services/section_make.h"

#include <ntmm/file.h>

/* A file that a call uses, and its data area. */
struct file_use {
    struct file *file;
    struct control_area *area;
};

struct file_size {
    uint64_t size_bytes;
    uint64_t valid_bytes;
};

/* Find the file and refer to its data, made if there is none yet. On failure nothing is held. */
static ntmm_status use_file(struct call *c, ntmm_handle handle, uint32_t rights,
                            struct file_use *use)
{
    struct relief relief = relief_begin();
    uint64_t ref;
    ntmm_status status;
    do {
        objects_lock(c);
        status = object_find(c, handle, HANDLE_KIND_FILE, rights, &ref);
        if (status == NTMM_STATUS_SUCCESS) {
            use->file = file_at(c, ref);
            use->area = file_data_area(c, use->file, AREA_CALL);
            if (use->area)
                file_keep(use->file);
            else
                status = want_status(c);
        }
        objects_unlock(c);
    } while (relieve(c, &relief, NULL, &status));
    return status;
}

/* As use_file, of data that somebody has used; otherwise use->area is NULL, and nothing is held. */
static ntmm_status use_file_if_used(struct call *c, ntmm_handle handle, struct file_use *use)
{
    uint64_t ref;
    use->area = NULL;
    objects_lock(c);
    ntmm_status status = object_find(c, handle, HANDLE_KIND_FILE, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS)
        use->file = file_at(c, ref);
    if (status == NTMM_STATUS_SUCCESS && get64(&use->file->data_area) != 0) {
        use->area = area_at(c, get64(&use->file->data_area));
        area_refer(use->area, AREA_CALL);
        file_keep(use->file);
    }
    objects_unlock(c);
    return status;
}

static void leave_file(struct call *c, struct file_use *use)
{
    area_release(c, use->area, AREA_CALL);
    (void)file_release(c, use->file);
}

/* --- size --- */

/* The area can have prototypes for so many pages. */
static ntmm_status make_room(struct call *c, struct control_area *area, uint64_t pages)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        area_lock(c, area);
        status = prototype_grow(c, area, pages) ? NTMM_STATUS_SUCCESS : want_status(c);
        area_unlock(c, area);
    } while (relieve(c, &relief, NULL, &status));
    return status;
}

/* It has them. Only now views of what was not there before can show pages. */
static void enlarge_area(struct call *c, struct control_area *area, uint64_t pages)
{
    area_lock(c, area);
    if (pages > get64(&area->pages)) {
        set64(&area->pages, pages);
        set64(&subsection_at(c, get64(&area->subsections))->page_count, pages);
    }
    area_unlock(c, area);
}

/* What lies behind the end in the last page is zeros: views show it, and the file may grow. One
 * piece: all of it becomes zero or, on failure, nothing. */
static ntmm_status zero_behind_end(struct call *c, struct control_area *area, uint64_t end)
{
    static const uint8_t zeros[NTMM_PAGE_SIZE];
    uint64_t size = round_up(end, NTMM_PAGE_SIZE) - end;
    uint64_t moved = 0;
    return size ? area_write(c, area, end, zeros, size, &moved) : NTMM_STATUS_SUCCESS;
}

/* One call at a time changes the size of a file: what one has written behind the old end, the other
 * must not make zeros. */
static ntmm_status begin_resize(struct call *c, struct file *file)
{
    for (;;) {
        uint32_t chances = waiters_chances(c);
        objects_lock(c);
        bool is_free = get32(&file->is_resizing) == 0;
        set32(&file->is_resizing, 1);
        objects_unlock(c);
        if (is_free)
            return NTMM_STATUS_SUCCESS;
        if (!wait_for_chance(c, chances))
            return NTMM_STATUS_CANT_WAIT;
    }
}

static void end_resize(struct call *c, struct file *file)
{
    objects_lock(c);
    set32(&file->is_resizing, 0);
    objects_unlock(c);
    waiters_note_chance(c);
}

/* The new size. The writer writes a page as far as the file goes: what it wrote of the last one
 * before now ended at the old end, so the whole page is to be written again. */
static void set_larger_size(struct call *c, struct file *file, uint64_t bytes, uint64_t last_frame)
{
    objects_lock(c);
    store64_relaxed(&file->size_bytes, bytes);
    if (last_frame != FRAME_NONE)
        frame_make_modified(c, last_frame);
    objects_unlock(c);
}

/* From a size to a larger one; the last page so far is kept in memory until the file is larger. */
static ntmm_status grow(struct call *c, struct file *file, struct control_area *area,
                        uint64_t before, uint64_t bytes)
{
    uint64_t last_frame = FRAME_NONE;
    ntmm_status status = make_room(c, area, pages_of_bytes(bytes));
    if (status == NTMM_STATUS_SUCCESS && before % NTMM_PAGE_SIZE != 0)
        status = area_touch(c, area, before >> NTMM_PAGE_SHIFT, &last_frame);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = zero_behind_end(c, area, before);
    if (status == NTMM_STATUS_SUCCESS)
        status = transfer_and_wait(c, get64(&file->device), NTMM_IO_EXTEND, bytes);
    if (status == NTMM_STATUS_SUCCESS) {
        enlarge_area(c, area, pages_of_bytes(bytes));
        set_larger_size(c, file, bytes, last_frame);
    }
    if (last_frame != FRAME_NONE)
        frame_end_share(c, last_frame);
    return status;
}

static ntmm_status extend_data(struct call *c, struct file *file, struct control_area *area,
                               uint64_t bytes)
{
    ntmm_status status = begin_resize(c, file);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t before = load64_relaxed(&file->size_bytes);
    if (before < bytes)
        status = grow(c, file, area, before, bytes);
    end_resize(c, file);
    return status;
}

ntmm_status file_extend(struct call *c, struct file *file, uint64_t bytes)
{
    struct relief relief = relief_begin();
    struct control_area *area;
    ntmm_status status;
    do {
        objects_lock(c);
        area = file_data_area(c, file, AREA_CALL);
        status = area ? NTMM_STATUS_SUCCESS : want_status(c);
        objects_unlock(c);
    } while (relieve(c, &relief, NULL, &status));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = extend_data(c, file, area, bytes);
    area_release(c, area, AREA_CALL);
    return status;
}

/* Whether a section or view reaches past a size. (O) is held. */
static bool is_mapped_past(struct call *c, const struct file *file, uint64_t bytes)
{
    const struct control_area *area = area_at(c, get64(&file->data_area));
    if (get64(&file->image_area) && !area_is_idle(area_at(c, get64(&file->image_area))))
        return true;
    if (get32(&area->view_count) != 0)
        return true;
    for (uint64_t ref = object_first(c, HANDLE_KIND_SECTION); ref;) {
        const struct section *section = section_at(c, ref);
        if (get64(&section->area) == get64(&file->data_area) && get64(&section->size_bytes) > bytes)
            return true;
        ref = get64(&section->object.next);
    }
    return false;
}

/* The new size, if nothing is in the way; *before is what it was. */
static ntmm_status set_smaller_size(struct call *c, struct file *file, uint64_t bytes,
                                    struct file_size *before)
{
    objects_lock(c);
    bool is_in_the_way = is_mapped_past(c, file, bytes);
    before->size_bytes = load64_relaxed(&file->size_bytes);
    before->valid_bytes = get64(&file->valid_bytes);
    if (!is_in_the_way) {
        /* first, for who reads the others without (O) */
        store32_relaxed(&file->cuts, get32(&file->cuts) + 1);
        store64_release(&file->size_bytes, bytes);
        store64_release(&file->valid_bytes, min_u64(before->valid_bytes, bytes));
    }
    objects_unlock(c);
    return is_in_the_way ? NTMM_STATUS_USER_MAPPED_FILE : NTMM_STATUS_SUCCESS;
}

static void set_size_back(struct call *c, struct file *file, const struct file_size *before)
{
    objects_lock(c);
    store64_relaxed(&file->size_bytes, before->size_bytes);
    store64_relaxed(&file->valid_bytes, before->valid_bytes);
    objects_unlock(c);
}

/* A last page that is not in memory, and cannot be read now, is zero behind the end when it is. */
static ntmm_status zero_last_page(struct call *c, struct control_area *area, uint64_t bytes)
{
    uint64_t frame;
    if (bytes % NTMM_PAGE_SIZE == 0 ||
        area_touch(c, area, bytes >> NTMM_PAGE_SHIFT, &frame) != NTMM_STATUS_SUCCESS)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = zero_behind_end(c, area, bytes);
    frame_end_share(c, frame);
    return status;
}

/* Pages behind the new end go; the last one keeps its first bytes. A device that cannot become
 * smaller keeps its size: what it has past the end is not read. */
static ntmm_status truncate(struct call *c, const struct file_use *use, uint64_t bytes)
{
    struct file_size before;
    /* so that valid data reaches the new end, whatever pages were written behind a gap; and no
     * write behind the new end is in flight, to land on what is written there later */
    ntmm_status status = area_flush(c, use->area, 0, get64(&use->area->pages));
    if (!NTMM_SUCCEEDED(status))
        return status;
    status = set_smaller_size(c, use->file, bytes, &before);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = zero_last_page(c, use->area, bytes);
    if (status != NTMM_STATUS_SUCCESS) {
        set_size_back(c, use->file, &before);
        return status;
    }
    area_cut(c, use->area, pages_of_bytes(bytes));
    (void)transfer_and_wait(c, get64(&use->file->device), NTMM_IO_TRUNCATE, bytes);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status shrink(struct call *c, const struct file_use *use, uint64_t bytes)
{
    ntmm_status status = begin_resize(c, use->file);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bytes < load64_relaxed(&use->file->size_bytes))
        status = truncate(c, use, bytes);
    end_resize(c, use->file);
    return status;
}

ntmm_status ntmm_set_file_size(struct ntmm_system *system, ntmm_handle handle, uint64_t size_bytes)
{
    struct call c = call_begin_to_wait(system);
    struct file_use use;
    ntmm_status status = use_file(&c, handle, NTMM_FILE_WRITE_DATA, &use);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t size = load64_relaxed(&use.file->size_bytes);
    if (size_bytes > SECTION_BYTES_MAX)
        status = NTMM_STATUS_INVALID_PARAMETER_3;
    else if (size_bytes > size)
        status = extend_data(&c, use.file, use.area, size_bytes);
    else if (size_bytes < size)
        status = shrink(&c, &use, size_bytes);
    leave_file(&c, &use);
    return status;
}

/* --- bytes --- */

static bool is_buffer(const void *buffer, uint64_t size)
{
    return size == 0 || (buffer && size - 1 <= UINTPTR_MAX - (uintptr_t)buffer);
}

/* Of `size` bytes from an offset on, those that an offset can reach. */
static uint64_t size_from(uint64_t offset, uint64_t size)
{
    return offset == 0 ? size : min_u64(size, 0 - offset);
}

/* FILE_LOCK_CONFLICT when a lock is in the way of bytes of a file. */
static ntmm_status check_locks(struct call *c, const struct file *file, enum file_access access,
                               const struct file_lock_range *range)
{
    objects_lock(c);
    bool is_allowed = file_locks_allow(c, file, range, access);
    objects_unlock(c);
    return is_allowed ? NTMM_STATUS_SUCCESS : NTMM_STATUS_FILE_LOCK_CONFLICT;
}

ntmm_status ntmm_read_file(struct ntmm_system *system, ntmm_handle handle, uint64_t offset,
                           void *buffer, uint64_t size, uint64_t *moved)
{
    struct call c = call_begin_to_wait(system);
    struct file_use use;
    if (!moved)
        return NTMM_STATUS_ACCESS_VIOLATION;
    *moved = 0;
    ntmm_status status = use_file(&c, handle, NTMM_FILE_READ_DATA, &use);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct file_lock_range range = {offset, size_from(offset, size), handle, 0};
    uint64_t end = load64_relaxed(&use.file->size_bytes);
    if (!is_buffer(buffer, size))
        status = NTMM_STATUS_ACCESS_VIOLATION;
    else
        status = check_locks(&c, use.file, FILE_READS, &range);
    if (status == NTMM_STATUS_SUCCESS && size != 0 && offset >= end)
        status = NTMM_STATUS_END_OF_FILE;
    else if (status == NTMM_STATUS_SUCCESS && size != 0)
        status = area_read(&c, use.area, offset, buffer, min_u64(size, end - offset), moved);
    leave_file(&c, &use);
    return status;
}

ntmm_status ntmm_write_file(struct ntmm_system *system, ntmm_handle handle, uint64_t offset,
                            const void *buffer, uint64_t size, uint64_t *moved)
{
    struct call c = call_begin_to_wait(system);
    struct file_use use;
    if (!moved)
        return NTMM_STATUS_ACCESS_VIOLATION;
    *moved = 0;
    ntmm_status status = use_file(&c, handle, NTMM_FILE_WRITE_DATA, &use);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct file_lock_range range = {offset, size_from(offset, size), handle, 0};
    if (!is_buffer(buffer, size))
        status = NTMM_STATUS_ACCESS_VIOLATION;
    else if (offset > SECTION_BYTES_MAX || size > SECTION_BYTES_MAX - offset)
        status = NTMM_STATUS_INVALID_PARAMETER_3;
    else
        status = check_locks(&c, use.file, FILE_WRITES, &range);
    if (status == NTMM_STATUS_SUCCESS && size != 0 &&
        offset + size > load64_relaxed(&use.file->size_bytes))
        status = extend_data(&c, use.file, use.area, offset + size);
    if (status == NTMM_STATUS_SUCCESS)
        status = area_write(&c, use.area, offset, buffer, size, moved);
    leave_file(&c, &use);
    return status;
}

ntmm_status ntmm_flush_file(struct ntmm_system *system, ntmm_handle handle, uint64_t offset,
                            uint64_t size)
{
    struct call c = call_begin_to_wait(system);
    struct file_use use;
    ntmm_status status = use_file(&c, handle, 0, &use);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t end = load64_relaxed(&use.file->size_bytes);
    uint64_t first = min_u64(offset, end);
    uint64_t stop = size == 0 || size > end - first ? end : first + size;
    status = area_flush(&c, use.area, first >> NTMM_PAGE_SHIFT, pages_of_bytes(stop));
    leave_file(&c, &use);
    return status;
}

ntmm_status ntmm_purge_file(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin_to_wait(system);
    struct file_use use;
    ntmm_status status = use_file_if_used(&c, handle, &use);
    if (status != NTMM_STATUS_SUCCESS || !use.area)
        return status;
    objects_lock(&c);
    bool is_mapped = get32(&use.area->view_count) != 0;
    objects_unlock(&c);
    status = is_mapped ? NTMM_STATUS_PURGE_FAILED : area_purge(&c, use.area, 0);
    leave_file(&c, &use);
    return status;
}

uint64_t ntmm_write_mapped_pages(struct ntmm_system *system, uint64_t budget_pages)
{
    struct call c = call_begin_to_wait(system);
    uint64_t pages = mapped_age_run(&c, budget_pages);
    return pages + mapped_writer_run(&c, budget_pages - pages);
}
