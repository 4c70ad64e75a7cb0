/* Files, sections and views of the page-array model as a subject. */
#include "conformance/subject_model.h"

#include <string.h>

static struct model_system *system_of(void *self) { return &((struct model_self *)self)->system; }

static struct model_process *process_of(void *self, enum caller who)
{
    return &((struct model_self *)self)->processes[who];
}

static uint32_t create_file(void *self, const struct subject_file *file, uint64_t *handle)
{
    return model_create_file(system_of(self), file->access, file->size_bytes, file->valid_bytes,
                             file->flags & SUBJECT_NO_SECTIONS, handle);
}

static uint32_t open_file(void *self, uint64_t file, uint32_t access, uint64_t *handle)
{
    return model_open_file(system_of(self), file, access, handle);
}

static uint32_t close_file(void *self, uint64_t file)
{
    return model_close_file(system_of(self), file);
}

static uint32_t file_size(void *self, uint64_t file, uint64_t *size_bytes)
{
    return model_query_file(system_of(self), file, size_bytes);
}

static uint32_t set_file_size(void *self, uint64_t file, uint64_t size_bytes)
{
    return model_set_file_size(system_of(self), file, size_bytes);
}

static uint32_t can_delete_file(void *self, uint64_t file)
{
    return model_can_delete_file(system_of(self), file);
}

static uint32_t read_file(void *self, uint64_t file, uint64_t offset, uint8_t *data, uint64_t size,
                          uint64_t *moved)
{
    return model_read_file(system_of(self), file, offset, data, size, moved);
}

static uint32_t write_file(void *self, uint64_t file, uint64_t offset, const uint8_t *data,
                           uint64_t size, uint64_t *moved)
{
    return model_write_file(system_of(self), file, offset, data, size, moved);
}

static uint32_t flush_file(void *self, uint64_t file, uint64_t offset, uint64_t size)
{
    (void)offset;
    (void)size;
    return model_flush_file(system_of(self), file);
}

static uint32_t purge_file(void *self, uint64_t file)
{
    return model_purge_file(system_of(self), file);
}

static uint32_t create_section(void *self, uint64_t *handle,
                               const struct model_section_request *request)
{
    return model_create_section(system_of(self), handle, request);
}

static uint32_t open_section(void *self, uint64_t *handle, uint32_t access, const char *name)
{
    return model_open_section(system_of(self), handle, access, name);
}

static uint32_t duplicate_section(void *self, uint64_t section, uint32_t access, uint64_t *handle)
{
    return model_duplicate_section(system_of(self), section, access, handle);
}

static uint32_t close_section(void *self, uint64_t section)
{
    return model_close_section(system_of(self), section);
}

/* SECTION_BASIC_INFORMATION and SECTION_IMAGE_INFORMATION of a 64-bit caller. */
static uint32_t query_section(void *self, uint64_t section, uint32_t information_class,
                              void *buffer, uint64_t length, uint64_t *return_length)
{
    struct model_section_information found = {0};
    uint64_t words[3];
    uint32_t status;

    if (information_class > 1) {
        return NTMM_STATUS_INVALID_INFO_CLASS;
    }
    if (length < (information_class ? 64 : sizeof(words))) {
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    }
    if (!buffer) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    status = model_query_section(system_of(self), section, &found);
    if (status == NTMM_STATUS_SUCCESS && information_class) {
        status = NTMM_STATUS_SECTION_NOT_IMAGE;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        words[0] = found.base;
        words[1] = found.attributes;
        words[2] = found.size_bytes;
        memcpy(buffer, words, sizeof(words));
        *return_length = sizeof(words);
    }
    return status;
}

static uint32_t extend_section(void *self, uint64_t section, uint64_t *size)
{
    return model_extend_section(system_of(self), section, size);
}

static uint32_t map_view(void *self, enum caller who, uint64_t section, uint64_t *base,
                         uint64_t *offset, uint64_t *size, const struct model_view_request *request)
{
    return model_map_view(process_of(self, who), section, base, offset, size, request);
}

static uint32_t map_view_ex(void *self, enum caller who, uint64_t section, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count)
{
    return model_map_view_ex(process_of(self, who), section, base, offset, size, type, protect,
                             parameters, count);
}

static uint32_t unmap_view(void *self, enum caller who, uint64_t address, uint32_t flags)
{
    return model_unmap_view(process_of(self, who), address, flags);
}

static uint32_t is_same_file(void *self, enum caller who, uint64_t first, uint64_t second)
{
    return model_is_same_file(process_of(self, who), first, second);
}

static uint32_t flush(void *self, enum caller who, uint64_t *base, uint64_t *size)
{
    return model_flush(process_of(self, who), base, size);
}

static void accounts(void *self, enum caller who, uint64_t *commit_pages, uint64_t *size_bytes)
{
    const struct model_process *process = process_of(self, who);

    *commit_pages = process->commit_pages;
    *size_bytes = 0;
    for (size_t i = 0; i < process->region_count; i++) {
        *size_bytes += process->regions[i].end - process->regions[i].base;
    }
}

const struct subject_sections subject_model_sections = {
    .create_file = create_file,
    .open_file = open_file,
    .close_file = close_file,
    .file_size = file_size,
    .set_file_size = set_file_size,
    .can_delete_file = can_delete_file,
    .read_file = read_file,
    .write_file = write_file,
    .flush_file = flush_file,
    .purge_file = purge_file,
    .create_section = create_section,
    .open_section = open_section,
    .duplicate_section = duplicate_section,
    .close_section = close_section,
    .query_section = query_section,
    .extend_section = extend_section,
    .map_view = map_view,
    .map_view_ex = map_view_ex,
    .unmap_view = unmap_view,
    .is_same_file = is_same_file,
    .flush = flush,
    .accounts = accounts,
};
