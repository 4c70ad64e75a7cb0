/*
 * Sections, views and files of a system beside the model's: see compared.h.
 */
#include "services/compared.h"

#include "model/section_operation.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/section.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALE_BYTE 0xEE

/* A device whose valid bytes are those of a new file of the model; the rest no read may show. */
static uint64_t make_device(struct compared *world, const struct operation *operation)
{
    uint8_t *contents = malloc((size_t)operation->size + 1);
    uint64_t device = 0;
    struct ntmm_emulated_file_config config = {
        .size = sizeof(config),
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = contents,
        .size_bytes = operation->size,
        .maximum_bytes = SECTION_OPERATION_FILE_BYTES,
        .flags = NTMM_EMULATED_FILE_STALE |
                 (world->header & HEADER_ZEROED_RAM ? NTMM_EMULATED_FILE_INLINE : 0),
    };

    compared_must(world, contents != NULL, "no memory");
    for (uint64_t i = 0; i < operation->size; i++) {
        contents[i] = i < operation->commit_size ? (uint8_t)(i / MODEL_PAGE_SIZE + 1) : STALE_BYTE;
    }
    compared_must(world, !ntmm_emulated_add_file(world->emu, &config, &device, NULL),
                  "create a device");
    free(contents);
    return device;
}

static void create_file(struct compared *world, const struct operation *operation,
                        struct outcome *outcome)
{
    struct ntmm_file_config config = {
        .size = sizeof(config),
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = make_device(world, operation),
        .size_bytes = operation->size,
        .valid_bytes = operation->commit_size,
    };

    outcome->status =
        ntmm_create_file(world->system, &config, operation->rights, &world->files[operation->file]);
}

static ntmm_handle file_handle(const struct compared *world, const struct operation *operation)
{
    return operation->file < MODEL_FILE_SLOTS ? world->files[operation->file] : 0;
}

static void map(struct compared *world, const struct operation *operation, struct outcome *outcome)
{
    ntmm_handle section = world->sections[operation->section];
    ntmm_handle process = world->handles[operation->who];

    if (operation->type & NTMM_MEM_REPLACE_PLACEHOLDER) {
        outcome->status = ntmm_map_view_of_section_ex(
            world->system, section, process, &outcome->base, &outcome->offset, &outcome->size,
            operation->type, operation->protect, NULL, 0);
    } else {
        outcome->status = ntmm_map_view_of_section(
            world->system, section, process, &outcome->base, operation->zero_bits,
            operation->commit_size, &outcome->offset, &outcome->size, NTMM_VIEW_SHARE,
            operation->type, operation->protect);
    }
}

static void run_file(struct compared *world, const struct operation *operation,
                     struct outcome *outcome)
{
    struct ntmm_system *system = world->system;
    ntmm_handle file = file_handle(world, operation);

    switch (operation->verb) {
    case VERB_READ_FILE:
        outcome->status = ntmm_read_file(system, file, operation->offset, outcome->bytes,
                                         operation->size, &outcome->size);
        break;
    case VERB_WRITE_FILE:
        outcome->status = ntmm_write_file(system, file, operation->offset, outcome->bytes,
                                          operation->size, &outcome->size);
        break;
    case VERB_SET_FILE_SIZE:
        outcome->status = ntmm_set_file_size(system, file, operation->size);
        break;
    case VERB_FLUSH_FILE:
        outcome->status = ntmm_flush_file(system, file, 0, 0);
        break;
    default:
        outcome->status = ntmm_close_file(system, file);
        break;
    }
}

void compared_run_section(struct compared *world, const struct operation *operation,
                          struct outcome *outcome)
{
    struct ntmm_system *system = world->system;
    ntmm_handle *section = &world->sections[operation->section];
    ntmm_handle process = world->handles[operation->who];
    struct ntmm_io_status io;

    switch (operation->verb) {
    case VERB_MAP:
        map(world, operation, outcome);
        break;
    case VERB_UNMAP:
        outcome->status =
            ntmm_unmap_view_of_section(system, process, operation->base, operation->type);
        break;
    case VERB_FLUSH:
        outcome->status =
            ntmm_flush_virtual_memory(system, process, &outcome->base, &outcome->size, &io);
        break;
    case VERB_CREATE_SECTION:
        outcome->status = ntmm_create_section(system, section, operation->rights, NULL,
                                              &operation->size, operation->protect,
                                              operation->attributes, file_handle(world, operation));
        break;
    case VERB_CREATE_FILE:
        create_file(world, operation, outcome);
        break;
    case VERB_EXTEND_SECTION:
        outcome->status = ntmm_extend_section(system, *section, &outcome->size);
        break;
    case VERB_CLOSE_SECTION:
        outcome->status = ntmm_close_section(system, *section);
        break;
    default:
        run_file(world, operation, outcome);
        break;
    }
}

/* The model's bytes of an open file, its size too. NULL: it is closed. */
static uint8_t *bytes_of_model(struct compared *world, unsigned slot, uint64_t *size)
{
    struct model_system *system = &world->model_system;
    struct model_object reader = {.access = NTMM_FILE_READ_DATA};
    uint64_t handle = system->file_slots[slot];
    uint64_t moved;
    uint8_t *bytes;

    if (!handle || !system->handles[handle - 1].file) {
        return NULL;
    }
    reader.file = system->handles[handle - 1].file;
    *size = reader.file->size_bytes;
    bytes = malloc((size_t)*size + 1);
    compared_must(world, bytes != NULL, "no memory");
    system->handles[handle - 1].access |= reader.access;
    (void)model_read_file(system, handle, 0, bytes, *size, &moved);
    return bytes;
}

void compared_check_files(struct compared *world)
{
    for (unsigned slot = 0; slot < MODEL_FILE_SLOTS; slot++) {
        struct ntmm_file_information found;
        uint64_t size = 0;
        uint64_t device_size = 0;
        uint8_t *expected = bytes_of_model(world, slot, &size);
        const uint8_t *device;

        if (!expected) {
            continue;
        }
        compared_must(world, !ntmm_flush_file(world->system, world->files[slot], 0, 0),
                      "a file cannot be flushed");
        compared_must(world, !ntmm_query_file(world->system, world->files[slot], &found),
                      "an open file is unknown");
        compared_must(world, found.size_bytes == size, "the size of a file differs");
        device = ntmm_emulated_disk_image(world->emu, found.device, &device_size);
        compared_must(world, device_size >= found.valid_bytes, "the device is too short");
        for (uint64_t i = 0; i < size; i++) {
            uint8_t byte = i < found.valid_bytes ? device[i] : 0;

            if (byte != expected[i]) {
                printf("# f%u at 0x%llX expected %02X found %02X, valid 0x%llX\n", slot,
                       (unsigned long long)i, expected[i], byte,
                       (unsigned long long)found.valid_bytes);
                compared_must(world, false, "what is on a device differs");
            }
        }
        free(expected);
    }
}
