/*
 * Files: making, opening, closing, and their size. Reading and writing stand in file_io.c.
 *
 *   handles open, or sections, views, calls of its areas    the file lives
 *   none of these                                           its pages are written, and it goes
 *
 * Whoever lets the last of these go writes and ends the file (file_release), so nothing modified is
 * forgotten; what a device refuses stays modified, and the file with it, until it is opened again.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/file_lock.h"
#include "section/prototype.h"
#include "services/area_touch.h"
#include "services/relief.h"
#include "services/section_make.h"

#include <ntmm/file.h>

#define ACCESSES (NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE)

/* --- areas of a file --- */

static struct control_area *area_or_none(const struct call *c, const le64 *field)
{
    uint64_t ref = get64(field);
    return ref ? area_at(c, ref) : NULL;
}

struct control_area *file_data_area(struct call *c, struct file *file, enum area_user user)
{
    struct control_area *area = area_or_none(c, &file->data_area);
    if (area) {
        area_refer(area, user);
        return area;
    }
    const struct area_config config = {
        .file = core_ref(c, file),
        .pages = pages_of_bytes(get64(&file->size_bytes)),
        .flags = AREA_OF_FILE,
        .protection = PROT_READWRITE,
        .subsection_count = 1,
    };
    uint64_t ref = area_create(c, &config);
    if (!ref)
        return NULL;
    area = area_at(c, ref);
    set32(&area->section_count, 0);
    area_refer(area, user);
    struct subsection *s = subsection_at(c, get64(&area->subsections));
    set64(&s->page_count, config.pages);
    set32(&s->protection, PROT_READWRITE);
    set64(&file->data_area, ref);
    return area;
}

static bool is_idle(const struct control_area *area) { return !area || area_is_idle(area); }

/* --- the end --- */

/* Nothing refers to the file but one handle, the caller's. (O) is held. */
static bool is_last_use(const struct call *c, const struct file *file)
{
    return get32(&file->object.handle_count) == 1 && is_idle(area_or_none(c, &file->data_area)) &&
           is_idle(area_or_none(c, &file->image_area));
}

/* Write what is modified; the file has data. No lock is held. */
static ntmm_status write_all(struct call *c, struct file *file)
{
    objects_lock(c);
    struct control_area *area = area_or_none(c, &file->data_area);
    if (area)
        area_refer(area, AREA_CALL);
    objects_unlock(c);
    if (!area)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = area_flush(c, area, 0, get64(&area->pages));
    area_release(c, area, AREA_CALL);
    return status;
}

/* A write is over, its frames are settled, but it has not said so yet: it is about to. */
static void wait_for_last_write(struct call *c, const struct control_area *area)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    while (load32_acquire(&area->io_count) != 0) {
        if (platform->relax)
            platform->relax(platform->context);
    }
}

/* Both areas, hidden, and the object, in no slot, go. */
static void end_file(struct call *c, struct file *file, struct control_area *data,
                     struct control_area *image)
{
    if (data)
        wait_for_last_write(c, data);
    bool is_over = !data || area_end(c, data);
    NTMM_ASSERT(is_over); /* every write was waited for */
    (void)is_over;
    if (image)
        (void)area_end(c, image);
    object_free(c, core_ref(c, file));
    areas_finish(c);
}

/* The last use is over. (O) is held, and released. */
static void finish_file(struct call *c, struct file *file)
{
    struct control_area *data = area_or_none(c, &file->data_area);
    struct control_area *image = area_or_none(c, &file->image_area);
    set32(&file->object.handle_count, 0);
    object_unlist(c, HANDLE_KIND_FILE, &file->object);
    if (data)
        area_hide(c, data);
    if (image)
        area_hide(c, image);
    objects_unlock(c);
    end_file(c, file, data, image);
}

ntmm_status file_release(struct call *c, struct file *file)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    objects_lock(c);
    if (is_last_use(c, file)) {
        objects_unlock(c);
        status = write_all(c, file);
        objects_lock(c);
        if (NTMM_SUCCEEDED(status) && is_last_use(c, file)) {
            finish_file(c, file);
            return status;
        }
    }
    set32(&file->object.handle_count, get32(&file->object.handle_count) - 1);
    objects_unlock(c);
    return status;
}

void area_give_up(struct call *c, struct control_area *area, enum area_user user)
{
    uint64_t ref = get64(&area->file);
    if (!ref) {
        area_release(c, area, user);
        areas_finish(c);
        return;
    }
    struct file *file = file_at(c, ref);
    objects_lock(c);
    file_keep(file);
    objects_unlock(c);
    area_release(c, area, user);
    (void)file_release(c, file); /* what could not be written stays modified, and the file known */
}

static void end_section(struct call *c, uint64_t ref)
{
    struct section *section = section_at(c, ref);
    objects_lock(c);
    object_unlist(c, HANDLE_KIND_SECTION, &section->object);
    objects_unlock(c);
    area_give_up(c, area_at(c, get64(&section->area)), AREA_SECTION);
    object_free(c, ref);
}

static void end_known_file(struct call *c, struct file *file)
{
    set32(&file->object.handle_count, 1);
    (void)write_all(c, file);
    objects_lock(c);
    finish_file(c, file);
}

/* Those that no file needs to be written for: their pages are memory for what does. */
static void end_sections_without_file(struct call *c)
{
    for (uint64_t ref = object_first(c, HANDLE_KIND_SECTION), next; ref; ref = next) {
        next = get64(&section_at(c, ref)->object.next);
        if (!get64(&area_at(c, get64(&section_at(c, ref)->area))->file))
            end_section(c, ref);
    }
}

void objects_end_with_system(struct call *c)
{
    objects_lock(c);
    object_close_all(c);
    objects_unlock(c);
    end_sections_without_file(c);
    for (uint64_t ref; (ref = object_first(c, HANDLE_KIND_SECTION)) != 0;)
        end_section(c, ref);
    for (uint64_t ref; (ref = object_first(c, HANDLE_KIND_FILE)) != 0;)
        end_known_file(c, file_at(c, ref));
    areas_finish_with_system(c);
    object_table_free(c);
}

/* --- making and opening --- */

static ntmm_status check_config(const struct ntmm_file_config *config, uint32_t access)
{
    if (config->size != sizeof *config || config->version != NTMM_FILE_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (config->valid_bytes > config->size_bytes || config->size_bytes > SECTION_BYTES_MAX ||
        config->flags & ~NTMM_FILE_NO_SECTIONS || config->name_units > NTMM_FILE_NAME_MAXIMUM ||
        (config->name_units && !config->name))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (access == 0 || access & ~ACCESSES)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    return NTMM_STATUS_SUCCESS;
}

/* The file that a device is, or 0. (O) is held. */
static uint64_t find_device(struct call *c, uint64_t device)
{
    for (uint64_t ref = object_first(c, HANDLE_KIND_FILE); ref;) {
        const struct file *file = file_at(c, ref);
        if (get64(&file->device) == device)
            return ref;
        ref = get64(&file->object.next);
    }
    return 0;
}

bool device_is_file(struct call *c, uint64_t device)
{
    objects_lock(c);
    bool is_file = find_device(c, device) != 0;
    objects_unlock(c);
    return is_file;
}

/* (O) is held. */
static ntmm_status make(struct call *c, const struct ntmm_file_config *config, uint32_t access,
                        ntmm_handle *handle)
{
    ntmm_status status;
    ntmm_handle opened;
    uint64_t ref = find_device(c, config->device);
    if (page_file_has_device(c, config->device))
        return NTMM_STATUS_SHARING_VIOLATION;
    if (ref && get32(&file_at(c, ref)->object.handle_count) != 0)
        return NTMM_STATUS_SHARING_VIOLATION;
    if (ref) { /* closed, with pages that are still in use: it is as it was left */
        status = object_open(c, HANDLE_KIND_FILE, ref, &opened);
        if (status == NTMM_STATUS_SUCCESS)
            *handle = handle_with(opened, access);
        return status;
    }
    ref = object_create(c, HANDLE_KIND_FILE, config->name, config->name_units, &opened, &status);
    if (!ref)
        return status;
    struct file *file = file_at(c, ref);
    set64(&file->device, config->device);
    set64(&file->size_bytes, config->size_bytes);
    set64(&file->valid_bytes, config->valid_bytes);
    set32(&file->flags, config->flags);
    *handle = handle_with(opened, access);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_create_file(struct ntmm_system *system, const struct ntmm_file_config *config,
                             uint32_t access, ntmm_handle *file)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    if (!config || !file)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = check_config(config, access);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    areas_finish(&c);
    do {
        objects_lock(&c);
        status = make(&c, config, access, file);
        objects_unlock(&c);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

static bool is_image_in_use(const struct call *c, const struct file *file)
{
    return !is_idle(area_or_none(c, &file->image_area));
}

/* (O) is held. */
static ntmm_status open_again(struct call *c, ntmm_handle handle, uint32_t access,
                              ntmm_handle *opened)
{
    uint64_t ref;
    ntmm_handle own;
    ntmm_status status = object_find(c, handle, HANDLE_KIND_FILE, 0, &ref);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (access == 0 || access & ~ACCESSES)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (access & NTMM_FILE_WRITE_DATA && is_image_in_use(c, file_at(c, ref)))
        return NTMM_STATUS_SHARING_VIOLATION;
    status = object_open(c, HANDLE_KIND_FILE, ref, &own);
    if (status == NTMM_STATUS_SUCCESS)
        *opened = handle_with(own, access);
    return status;
}

ntmm_status ntmm_open_file(struct ntmm_system *system, ntmm_handle handle, uint32_t access,
                           ntmm_handle *opened)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    ntmm_status status;
    if (!opened)
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        objects_lock(&c);
        status = open_again(&c, handle, access, opened);
        objects_unlock(&c);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

ntmm_status ntmm_close_file(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin_to_wait(system);
    uint64_t ref;
    bool has_dropped = false;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, HANDLE_KIND_FILE, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS) {
        has_dropped = file_locks_drop(&c, file_at(&c, ref), handle);
        object_close_slot(&c, handle);
    }
    objects_unlock(&c);
    if (has_dropped)
        waiters_wake_all(&c, &c.sys->for_file_lock);
    return status == NTMM_STATUS_SUCCESS ? file_release(&c, file_at(&c, ref)) : status;
}

static uint32_t views_of(const struct control_area *area)
{
    return area ? get32(&area->view_count) : 0;
}

static uint32_t sections_of(const struct control_area *area)
{
    return area ? get32(&area->section_count) : 0;
}

ntmm_status ntmm_query_file(struct ntmm_system *system, ntmm_handle handle,
                            struct ntmm_file_information *information)
{
    struct call c = call_begin(system);
    uint64_t ref;
    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, HANDLE_KIND_FILE, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS) {
        struct file *file = file_at(&c, ref);
        const struct control_area *data = area_or_none(&c, &file->data_area);
        const struct control_area *image = area_or_none(&c, &file->image_area);
        *information = (struct ntmm_file_information){
            .device = get64(&file->device),
            .size_bytes = get64(&file->size_bytes),
            .valid_bytes = get64(&file->valid_bytes),
            .handle_count = get32(&file->object.handle_count),
            .data_views = views_of(data),
            .image_views = views_of(image),
            .data_sections = sections_of(data),
            .image_sections = sections_of(image),
            .is_write_failed = exchange32_acquire(&file->is_write_failed, 0),
        };
    }
    objects_unlock(&c);
    return status;
}

ntmm_status ntmm_can_delete_file(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin(system);
    uint64_t ref;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, HANDLE_KIND_FILE, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS && is_image_in_use(&c, file_at(&c, ref)))
        status = NTMM_STATUS_CANNOT_DELETE;
    objects_unlock(&c);
    return status;
}
