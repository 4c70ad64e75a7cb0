/* Files, sections and views of the library as a subject. A file's device is one in memory. */
#include "conformance/extended.h"
#include "conformance/subject_core.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/section.h>

#include <stdlib.h>
#include <string.h>

#define PATH "\\Device\\HarddiskVolume1\\"
#define UNITS_LIMIT 128u
#define STALE_BYTE 0xEE

/* Text as UTF-16; how many units. */
static uint32_t units_of(uint16_t units[UNITS_LIMIT], const char *before, const char *text)
{
    uint32_t count = 0;

    for (; *before; before++) {
        units[count++] = (uint8_t)*before;
    }
    for (; *text && count < UNITS_LIMIT; text++) {
        units[count++] = (uint8_t)*text;
    }
    return count;
}

static ntmm_handle handle_of(const struct core_self *self, uint64_t handle)
{
    return handle == SUBJECT_PROCESS_HANDLE ? self->handles[CALLER_LIVE] : handle;
}

static uint32_t after(struct core_self *self, uint32_t status)
{
    subject_core_after_call(self);
    return status;
}

/* What the file holds, and behind the valid data what no read may show. */
static uint64_t make_device(struct core_self *self, const struct subject_file *file)
{
    uint8_t *contents = malloc((size_t)file->size_bytes + 1);
    uint64_t device = UINT64_MAX;
    struct ntmm_emulated_file_config config = {
        .size = sizeof(config),
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = contents,
        .size_bytes = file->size_bytes,
        .maximum_bytes = SUBJECT_DEVICE_BYTES,
        .flags = NTMM_EMULATED_FILE_STALE,
    };

    for (uint64_t i = 0; contents && i < file->size_bytes; i++) {
        contents[i] = file->contents          ? file->contents[i]
                      : i < file->valid_bytes ? (uint8_t)(i / MODEL_PAGE_SIZE + 1)
                                              : STALE_BYTE;
    }
    if (!contents || ntmm_emulated_add_file(self->emu, &config, &device, NULL)) {
        abort();
    }
    free(contents);
    return device;
}

static uint32_t create_file(void *context, const struct subject_file *file, uint64_t *handle)
{
    struct core_self *self = context;
    uint16_t units[UNITS_LIMIT];
    struct ntmm_file_config config = {
        .size = sizeof(config),
        .version = NTMM_FILE_CONFIG_VERSION,
        .size_bytes = file->size_bytes,
        .valid_bytes = file->valid_bytes,
        .flags = file->flags & SUBJECT_NO_SECTIONS ? NTMM_FILE_NO_SECTIONS : 0,
        .name_units = units_of(units, PATH, file->name),
        .name = units,
    };

    if (file->size_bytes <= SUBJECT_DEVICE_BYTES) {
        config.device = make_device(self, file);
    }
    return after(self, ntmm_create_file(self->system, &config, file->access, handle));
}

static uint32_t open_file(void *context, uint64_t file, uint32_t access, uint64_t *handle)
{
    struct core_self *self = context;

    return after(self, ntmm_open_file(self->system, handle_of(self, file), access, handle));
}

static uint32_t close_file(void *context, uint64_t file)
{
    struct core_self *self = context;

    return after(self, ntmm_close_file(self->system, handle_of(self, file)));
}

static uint32_t file_size(void *context, uint64_t file, uint64_t *size_bytes)
{
    struct core_self *self = context;
    struct ntmm_file_information found;
    uint32_t status = ntmm_query_file(self->system, handle_of(self, file), &found);

    if (status == NTMM_STATUS_SUCCESS) {
        *size_bytes = found.size_bytes;
    }
    return after(self, status);
}

static uint32_t set_file_size(void *context, uint64_t file, uint64_t size_bytes)
{
    struct core_self *self = context;

    return after(self, ntmm_set_file_size(self->system, handle_of(self, file), size_bytes));
}

static uint32_t can_delete_file(void *context, uint64_t file)
{
    struct core_self *self = context;

    return after(self, ntmm_can_delete_file(self->system, handle_of(self, file)));
}

static uint32_t read_file(void *context, uint64_t file, uint64_t offset, uint8_t *data,
                          uint64_t size, uint64_t *moved)
{
    struct core_self *self = context;

    return after(self,
                 ntmm_read_file(self->system, handle_of(self, file), offset, data, size, moved));
}

static uint32_t write_file(void *context, uint64_t file, uint64_t offset, const uint8_t *data,
                           uint64_t size, uint64_t *moved)
{
    struct core_self *self = context;

    return after(self,
                 ntmm_write_file(self->system, handle_of(self, file), offset, data, size, moved));
}

static uint32_t flush_file(void *context, uint64_t file, uint64_t offset, uint64_t size)
{
    struct core_self *self = context;

    return after(self, ntmm_flush_file(self->system, handle_of(self, file), offset, size));
}

static uint32_t purge_file(void *context, uint64_t file)
{
    struct core_self *self = context;

    return after(self, ntmm_purge_file(self->system, handle_of(self, file)));
}

static uint32_t lock_file(void *context, uint64_t file, uint64_t offset, uint64_t length,
                          bool is_exclusive)
{
    struct core_self *self = context;
    uint32_t flags = NTMM_LOCK_FAIL_IMMEDIATELY | (is_exclusive ? NTMM_LOCK_EXCLUSIVE : 0u);

    return after(self,
                 ntmm_lock_file(self->system, handle_of(self, file), offset, length, 0, flags));
}

static uint32_t unlock_file(void *context, uint64_t file, uint64_t offset, uint64_t length)
{
    struct core_self *self = context;

    return after(self, ntmm_unlock_file(self->system, handle_of(self, file), offset, length, 0));
}

static uint32_t fail_reads(void *context, uint64_t file, uint32_t error)
{
    struct core_self *self = context;
    struct ntmm_file_information found;
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_READ,
        .count = UINT64_MAX,
        .status = error,
    };
    uint32_t status = ntmm_query_file(self->system, handle_of(self, file), &found);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    return ntmm_emulated_inject_disk(self->emu, found.device, error ? &errors : NULL);
}

static uint32_t read_device(void *context, uint64_t file, uint64_t offset, uint8_t *data,
                            size_t size)
{
    struct core_self *self = context;
    struct ntmm_file_information found;
    uint64_t size_bytes = 0;
    const uint8_t *bytes;
    uint32_t status = ntmm_query_file(self->system, handle_of(self, file), &found);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    bytes = ntmm_emulated_disk_image(self->emu, found.device, &size_bytes);
    if (!bytes || offset > size_bytes || size > size_bytes - offset) {
        return NTMM_STATUS_END_OF_FILE;
    }
    memcpy(data, bytes + offset, size);
    return NTMM_STATUS_SUCCESS;
}

static uint32_t create_section(void *context, uint64_t *handle,
                               const struct model_section_request *request)
{
    struct core_self *self = context;
    uint16_t units[UNITS_LIMIT];
    struct ntmm_section_config config = {
        .size = sizeof(config),
        .version = NTMM_SECTION_CONFIG_VERSION,
        .name = request->name[0] ? units : NULL,
        .name_units = units_of(units, "", request->name),
        .open_if = request->opens_existing,
    };

    return after(self, ntmm_create_section(self->system, handle, request->access, &config,
                                           request->size, request->protect, request->attributes,
                                           handle_of(self, request->file)));
}

static uint32_t open_section(void *context, uint64_t *handle, uint32_t access, const char *name)
{
    struct core_self *self = context;
    uint16_t units[UNITS_LIMIT];
    uint32_t count = units_of(units, "", name);

    return after(self, ntmm_open_section(self->system, handle, access, units, count));
}

static uint32_t duplicate_section(void *context, uint64_t section, uint32_t access,
                                  uint64_t *handle)
{
    struct core_self *self = context;

    return after(self,
                 ntmm_duplicate_section(self->system, handle_of(self, section), access, handle));
}

static uint32_t close_section(void *context, uint64_t section)
{
    struct core_self *self = context;

    return after(self, ntmm_close_section(self->system, handle_of(self, section)));
}

static uint32_t query_section(void *context, uint64_t section, uint32_t information_class,
                              void *buffer, uint64_t length, uint64_t *return_length)
{
    struct core_self *self = context;

    return after(self, ntmm_query_section(self->system, handle_of(self, section), information_class,
                                          buffer, length, return_length));
}

static uint32_t extend_section(void *context, uint64_t section, uint64_t *size)
{
    struct core_self *self = context;

    return after(self, ntmm_extend_section(self->system, handle_of(self, section), size));
}

static uint32_t map_view(void *context, enum caller who, uint64_t section, uint64_t *base,
                         uint64_t *offset, uint64_t *size, const struct model_view_request *request)
{
    struct core_self *self = context;

    return after(self, ntmm_map_view_of_section(self->system, handle_of(self, section),
                                                self->handles[who], base, request->zero_bits,
                                                request->commit_size, offset, size,
                                                request->inherit, request->type, request->protect));
}

static uint32_t map_view_ex(void *context, enum caller who, uint64_t section, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count)
{
    struct core_self *self = context;
    struct extended_parameters storage;

    return after(
        self, ntmm_map_view_of_section_ex(self->system, handle_of(self, section),
                                          self->handles[who], base, offset, size, type, protect,
                                          extended_parameters(parameters, count, &storage), count));
}

static uint32_t unmap_view(void *context, enum caller who, uint64_t address, uint32_t flags)
{
    struct core_self *self = context;

    return after(self,
                 ntmm_unmap_view_of_section(self->system, self->handles[who], address, flags));
}

static uint32_t is_same_file(void *context, enum caller who, uint64_t first, uint64_t second)
{
    struct core_self *self = context;

    return after(self,
                 ntmm_are_mapped_files_the_same(self->system, self->handles[who], first, second));
}

static uint32_t flush(void *context, enum caller who, uint64_t *base, uint64_t *size)
{
    struct core_self *self = context;
    struct ntmm_io_status io;

    return after(self,
                 ntmm_flush_virtual_memory(self->system, self->handles[who], base, size, &io));
}

static void accounts(void *context, enum caller who, uint64_t *commit_pages, uint64_t *size_bytes)
{
    struct core_self *self = context;
    struct ntmm_process_information found;

    if (ntmm_query_process(self->system, self->handles[who], &found)) {
        abort();
    }
    *commit_pages = found.commit_pages;
    *size_bytes = found.virtual_size_bytes;
}

const struct subject_sections subject_core_sections = {
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
    .lock_file = lock_file,
    .unlock_file = unlock_file,
    .fail_reads = fail_reads,
    .read_device = read_device,
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
