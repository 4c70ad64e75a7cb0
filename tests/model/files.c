/*
 * Files of the model: bytes in the control area of the file's data, a size exact to the byte, and
 * handles. Reads and writes go through the same pages that views see.
 *
 * Ours: how a file is made and what it holds at first; 2^47 bytes at most. Source of the rest:
 * NtReadFile and NtWriteFile of cached files, MmCanFileBeTruncated.
 */
#include "model/pages.h"
#include "model/section.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN_ACCESS (FILE_READ_DATA | FILE_WRITE_DATA | FILE_EXECUTE)

static bool is_access(uint32_t access) { return access && !(access & ~KNOWN_ACCESS); }

static uint64_t hand_out(struct model_system *system, struct model_file *file, uint32_t access)
{
    struct model_object object = {.file = file, .access = access};

    file->references++;
    return model_section_make_handle(system, &object);
}

uint32_t model_create_file(struct model_system *system, uint32_t access, uint64_t size_bytes,
                           uint64_t valid_bytes, bool has_no_sections, uint64_t *handle)
{
    struct model_file *file;

    if (valid_bytes > size_bytes || size_bytes > MODEL_LARGEST_SIZE) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (!is_access(access)) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    file = calloc(1, sizeof(*file));
    if (!file) {
        abort();
    }
    file->data = model_control_make(file);
    file->size_bytes = size_bytes;
    file->valid_bytes = valid_bytes;
    file->has_no_sections = has_no_sections;
    *handle = hand_out(system, file, access);
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_open_file(struct model_system *system, uint64_t file, uint32_t access,
                         uint64_t *handle)
{
    uint32_t status;
    struct model_file *found = model_section_file_of(system, file, 0, &status);

    if (!found) {
        return status;
    }
    if (!is_access(access)) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    *handle = hand_out(system, found, access);
    return NTMM_STATUS_SUCCESS;
}

void model_file_release(struct model_file *file)
{
    file->references--;
    if (file->references == 0) {
        model_control_free(file->data);
        free(file);
    }
}

uint32_t model_close_file(struct model_system *system, uint64_t file)
{
    uint32_t status;
    struct model_file *found = model_section_file_of(system, file, 0, &status);

    if (found) {
        memset(&system->handles[file - 1], 0, sizeof(*system->handles));
        model_file_release(found);
    }
    return status;
}

uint32_t model_query_file(struct model_system *system, uint64_t file, uint64_t *size_bytes)
{
    uint32_t status;
    const struct model_file *found = model_section_file_of(system, file, 0, &status);

    if (found) {
        *size_bytes = found->size_bytes;
    }
    return status;
}

/* Ours: any view is in the way, wherever it ends, as NT's are that map a part of a segment. */
bool model_file_can_shrink(const struct model_file *file, uint64_t size_bytes)
{
    if (file->data->views) {
        return false;
    }
    for (size_t i = 0; i < file->data->reach_count; i++) {
        if (file->data->reaches[i] > size_bytes) {
            return false;
        }
    }
    return true;
}

/* What is behind the end, or was, is zero. */
static void clear_behind(struct model_file *file, uint64_t size_bytes)
{
    struct model_region *shared = &file->data->shared;

    for (size_t i = model_page_index(shared, size_bytes / MODEL_PAGE_SIZE); i < shared->page_count;
         i++) {
        struct model_page *page = &shared->pages[i];
        uint64_t first = page->number * MODEL_PAGE_SIZE;
        size_t from = first < size_bytes ? (size_t)(size_bytes - first) : 0;

        if (page->bytes) {
            memset(page->bytes + from, 0, MODEL_PAGE_SIZE - from);
        }
        if (page->loose) {
            memset(page->loose + from, 0, MODEL_PAGE_SIZE - from);
        }
    }
}

void model_file_resize(struct model_file *file, uint64_t size_bytes)
{
    clear_behind(file, size_bytes < file->size_bytes ? size_bytes : file->size_bytes);
    file->size_bytes = size_bytes;
    file->valid_bytes = size_bytes < file->valid_bytes ? size_bytes : file->valid_bytes;
    file->data->generation++;
}

uint32_t model_set_file_size(struct model_system *system, uint64_t file, uint64_t size_bytes)
{
    uint32_t status;
    struct model_file *found = model_section_file_of(system, file, FILE_WRITE_DATA, &status);

    if (!found) {
        return status;
    }
    if (size_bytes > MODEL_LARGEST_SIZE) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if (size_bytes < found->size_bytes && !model_file_can_shrink(found, size_bytes)) {
        return NTMM_STATUS_USER_MAPPED_FILE;
    }
    if (size_bytes != found->size_bytes) {
        model_file_resize(found, size_bytes);
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_can_delete_file(struct model_system *system, uint64_t file)
{
    uint32_t status;

    (void)model_section_file_of(system, file, 0, &status);
    return status;
}

uint32_t model_flush_file(struct model_system *system, uint64_t file)
{
    return model_can_delete_file(system, file);
}

uint32_t model_purge_file(struct model_system *system, uint64_t file)
{
    uint32_t status;
    const struct model_file *found = model_section_file_of(system, file, 0, &status);

    return found && found->data->views ? NTMM_STATUS_PURGE_FAILED : status;
}

static uint8_t *byte_at(struct model_file *file, uint64_t offset)
{
    struct model_page *page = model_control_page(file->data, offset / MODEL_PAGE_SIZE);

    return &pages_bytes(page)[offset % MODEL_PAGE_SIZE];
}

uint32_t model_read_file(struct model_system *system, uint64_t file, uint64_t offset, uint8_t *data,
                         uint64_t size, uint64_t *moved)
{
    uint32_t status;
    struct model_file *found = model_section_file_of(system, file, FILE_READ_DATA, &status);

    *moved = 0;
    if (!found) {
        return status;
    }
    if (!data && size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (size && offset >= found->size_bytes) {
        return NTMM_STATUS_END_OF_FILE;
    }
    for (; *moved < size && offset + *moved < found->size_bytes; (*moved)++) {
        data[*moved] = *byte_at(found, offset + *moved);
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_write_file(struct model_system *system, uint64_t file, uint64_t offset,
                          const uint8_t *data, uint64_t size, uint64_t *moved)
{
    uint32_t status;
    struct model_file *found = model_section_file_of(system, file, FILE_WRITE_DATA, &status);

    *moved = 0;
    if (!found) {
        return status;
    }
    if (!data && size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (size > MODEL_LARGEST_SIZE || offset > MODEL_LARGEST_SIZE - size) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if (size && offset + size > found->size_bytes) {
        model_file_resize(found, offset + size);
    }
    for (; *moved < size; (*moved)++) {
        struct model_page *page =
            model_control_page(found->data, (offset + *moved) / MODEL_PAGE_SIZE);

        *byte_at(found, offset + *moved) = data[*moved];
        if (page->loose) {
            page->loose[(offset + *moved) % MODEL_PAGE_SIZE] = 0;
        }
    }
    return NTMM_STATUS_SUCCESS;
}
