/*
 * See section_operation.h. Byte 0 and byte 7 of a record say which verb, byte 3 which section, byte
 * 4 which file; where a slot holds nothing that lives, most operations first make something in it.
 */
#include "model/section_operation.h"
#include "model/words.h"

#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_open(const struct model_system *system, uint64_t handle)
{
    return handle && (system->handles[handle - 1].file || system->handles[handle - 1].section);
}

static const struct model_section *section_in(const struct model_system *system, uint32_t slot)
{
    uint64_t handle = system->section_slots[slot];

    return handle ? system->handles[handle - 1].section : NULL;
}

static uint32_t protect_of(const uint8_t *record)
{
    static const uint32_t PROTECTIONS[] = {
        PAGE_READWRITE,    PAGE_READWRITE,         PAGE_READWRITE, PAGE_WRITECOPY,
        PAGE_READONLY,     PAGE_WRITECOPY,         PAGE_READWRITE, PAGE_EXECUTE_READWRITE,
        PAGE_EXECUTE_READ, PAGE_EXECUTE_WRITECOPY, PAGE_NOACCESS,  PAGE_EXECUTE,
        PAGE_READWRITE,    PAGE_WRITECOPY,         PAGE_READWRITE, PAGE_READWRITE | PAGE_GUARD,
    };

    return PROTECTIONS[record[8] % COUNT_OF(PROTECTIONS)];
}

static void decode_create_section(const uint8_t *record, struct operation *operation)
{
    static const uint32_t PROTECTIONS[] = {
        PAGE_READWRITE, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_READWRITE, PAGE_READWRITE,
        PAGE_READONLY,  PAGE_WRITECOPY,         PAGE_EXECUTE_READ,      PAGE_EXECUTE_READWRITE};
    static const uint32_t ATTRIBUTES[] = {SEC_COMMIT, SEC_COMMIT, SEC_RESERVE, SEC_COMMIT};
    static const uint64_t HUGE[] = {UINT64_MAX, MODEL_LARGEST_SIZE, MODEL_LARGEST_RESERVE};

    operation->protect = PROTECTIONS[record[8] % COUNT_OF(PROTECTIONS)];
    operation->attributes = ATTRIBUTES[record[9] % COUNT_OF(ATTRIBUTES)];
    operation->rights = record[10] % 16 ? SECTION_ALL_ACCESS : record[11];
    operation->size = (record[5] % 40u) * 0x1000u + record[6];
    if (record[9] % 8 >= 4) {
        operation->file = MODEL_FILE_SLOTS;
        operation->size += operation->size == 0;
    } else if (record[6] % 4) {
        operation->size = 0;
    }
    if (record[9] >= 0xF8) { /* a device could not hold it */
        operation->file = MODEL_FILE_SLOTS;
        operation->size = HUGE[record[6] % COUNT_OF(HUGE)];
        operation->attributes = SEC_RESERVE;
    }
    if (record[9] == 0xF0) {
        operation->attributes = record[6] & 1 ? SEC_COMMIT | SEC_RESERVE : SEC_FILE;
    }
}

static void decode_create_file(const uint8_t *record, struct operation *operation)
{
    operation->rights = record[10] % 16 ? FILE_READ_DATA | FILE_WRITE_DATA | FILE_EXECUTE
                                        : record[11] & (FILE_READ_DATA | FILE_WRITE_DATA);
    operation->size = (record[5] % 20u) * 0x1000u + (record[6] & 1 ? record[6] * 16u : 0);
    operation->commit_size = record[8] % 4 ? operation->size : operation->size * record[8] / 256;
}

static void decode_map(const struct model_process *model, const uint8_t *record,
                       struct operation *operation)
{
    const struct model_section *section = section_in(model->system, operation->section);
    uint64_t size = section ? section->size_bytes : 0x1000;

    operation->protect = section && record[8] >= 0x60 ? section->protect : protect_of(record);
    operation->type = record[10] % 8 == 1 ? MEM_TOP_DOWN : 0;
    operation->base = record[2] % 4 == 0 ? 0x60000000 + record[2] * 0x20000ull : 0;
    operation->offset = record[5] % 4 == 0 && size > MODEL_GRANULARITY ? MODEL_GRANULARITY : 0;
    operation->size = record[6] % 4 ? 0 : record[6] * 0x100ull;
    operation->zero_bits = record[10] % 32 == 2 ? record[11] % 24 : 0;
    operation->commit_size = record[10] % 8 == 3 ? record[11] * 0x80ull : 0;
    if (record[10] % 16 == 4) {
        operation->type = MEM_RESERVE;
        operation->size = size + record[11] * 0x80ull;
    } else if (record[10] % 64 == 5) {
        operation->type = SEC_NO_CHANGE;
    } else if (record[10] % 64 == 6) {
        operation->base += record[11];
    }
}

/* Over a placeholder that a section is large enough for, if there is one. */
static void aim_at_hole(const struct model_process *model, struct operation *operation)
{
    const struct model_section *section = section_in(model->system, operation->section);

    for (size_t i = 0; section && i < model->region_count; i++) {
        const struct model_region *region = &model->regions[i];

        if (region->is_placeholder && region->end - region->base <= section->size_bytes) {
            operation->base = region->base;
            operation->size = region->end - region->base;
            operation->offset = 0;
            operation->zero_bits = 0;
            operation->commit_size = 0;
            operation->type = MEM_REPLACE_PLACEHOLDER;
        }
    }
}

/* An address in a view, if there is one. */
static void aim_at_view(const struct model_process *model, const uint8_t *record,
                        struct operation *operation)
{
    for (size_t i = 0; i < model->region_count; i++) {
        const struct model_region *region = &model->regions[(record[3] + i) % model->region_count];

        if (region->control) {
            operation->base = region->base + record[4] %
                                                 ((region->end - region->base) / MODEL_PAGE_SIZE) *
                                                 (uint64_t)MODEL_PAGE_SIZE;
            operation->size = operation->verb == VERB_FLUSH ? record[6] * 8u : 0;
            return;
        }
    }
}

static enum verb verb_of(const uint8_t *record)
{
    static const enum verb SELDOM[] = {VERB_CLOSE_SECTION, VERB_EXTEND_SECTION, VERB_CLOSE_FILE,
                                       VERB_CLOSE_SECTION};

    switch (record[0] - SECTION_OPERATION_FIRST) {
    case 3:
        return record[7] % 4 ? VERB_UNMAP : VERB_FLUSH;
    case 4:
        return record[7] % 4 ? VERB_CREATE_SECTION : VERB_CREATE_FILE;
    case 5:
        return VERB_READ_FILE;
    case 6:
        return SELDOM[record[7] % COUNT_OF(SELDOM)];
    case 7:
        return record[7] % 2 ? VERB_SET_FILE_SIZE : VERB_FLUSH_FILE;
    case 8:
        return VERB_WRITE_FILE;
    default:
        return VERB_MAP;
    }
}

/* The verb that does something where one that needs a live slot would not, and the other way. */
static enum verb settle(const struct model_system *system, const uint8_t *record,
                        const struct operation *operation)
{
    bool has_section = is_open(system, system->section_slots[operation->section]);
    bool has_file = is_open(system, system->file_slots[operation->file]);

    if (record[11] % 32 == 0) { /* stale handles, too; but what lives is not forgotten */
        return (operation->verb == VERB_CREATE_SECTION && has_section) ||
                       (operation->verb == VERB_CREATE_FILE && has_file)
                   ? VERB_CLOSE_SECTION
                   : operation->verb;
    }
    switch (operation->verb) {
    case VERB_MAP:
    case VERB_EXTEND_SECTION:
    case VERB_CLOSE_SECTION:
        return has_section ? operation->verb : VERB_CREATE_SECTION;
    case VERB_CREATE_SECTION:
        return has_section ? VERB_MAP : VERB_CREATE_SECTION;
    case VERB_CREATE_FILE:
        return has_file ? VERB_WRITE_FILE : VERB_CREATE_FILE;
    case VERB_UNMAP:
    case VERB_FLUSH:
        return operation->verb;
    default:
        return has_file ? operation->verb : VERB_CREATE_FILE;
    }
}

void section_operation_decode(const struct model_process *model,
                              const uint8_t record[OPERATION_RECORD_SIZE],
                              struct operation *operation)
{
    operation->section = record[3] % MODEL_SECTION_SLOTS;
    operation->file = record[4] % MODEL_FILE_SLOTS;
    operation->verb = verb_of(record);
    operation->verb = settle(model->system, record, operation);
    operation->is_base_null = operation->is_size_null = false;
    switch (operation->verb) {
    case VERB_MAP:
        decode_map(model, record, operation);
        if (record[9] % 8 == 0) {
            aim_at_hole(model, operation);
        }
        break;
    case VERB_UNMAP:
    case VERB_FLUSH:
        operation->type = record[8] % 8 == 0 ? MEM_PRESERVE_PLACEHOLDER : 0;
        aim_at_view(model, record, operation);
        break;
    case VERB_CREATE_SECTION:
        decode_create_section(record, operation);
        break;
    case VERB_CREATE_FILE:
        decode_create_file(record, operation);
        break;
    case VERB_READ_FILE:
    case VERB_WRITE_FILE:
        operation->offset = (record[5] % 20u) * 0x1000u + record[8] * 16u;
        operation->size = record[6] % OPERATION_ACCESS_LIMIT + 1;
        break;
    default:
        operation->size = (record[5] % 20u) * 0x1000u + record[6];
        break;
    }
}

static uint64_t file_handle(const struct model_system *system, const struct operation *operation)
{
    return operation->file < MODEL_FILE_SLOTS ? system->file_slots[operation->file] : 0;
}

static void run_map(struct model_process *model, const struct operation *operation,
                    struct outcome *outcome)
{
    uint64_t section = model->system->section_slots[operation->section];
    struct model_view_request request = {
        .zero_bits = operation->zero_bits,
        .commit_size = operation->commit_size,
        .inherit = VIEW_SHARE,
        .type = operation->type,
        .protect = operation->protect,
    };

    if (operation->type & MEM_REPLACE_PLACEHOLDER) {
        outcome->status =
            model_map_view_ex(model, section, &outcome->base, &outcome->offset, &outcome->size,
                              operation->type, operation->protect, NULL, 0);
    } else {
        outcome->status = model_map_view(model, section, &outcome->base, &outcome->offset,
                                         &outcome->size, &request);
    }
}

static void run_create(struct model_system *system, const struct operation *operation,
                       struct outcome *outcome)
{
    struct model_section_request request = {
        .access = operation->rights,
        .name = "",
        .size = &operation->size,
        .protect = operation->protect,
        .attributes = operation->attributes,
        .file = file_handle(system, operation),
    };
    uint64_t *slot = operation->verb == VERB_CREATE_FILE
                         ? &system->file_slots[operation->file]
                         : &system->section_slots[operation->section];

    if (operation->verb == VERB_CREATE_FILE) {
        outcome->status = model_create_file(system, operation->rights, operation->size,
                                            operation->commit_size, false, &outcome->handle);
    } else {
        outcome->status = model_create_section(system, &outcome->handle, &request);
    }
    *slot = outcome->status == NTMM_STATUS_SUCCESS ? outcome->handle : *slot;
    outcome->handle = 0;
}

static void run_file(struct model_system *system, const struct operation *operation,
                     struct outcome *outcome)
{
    uint64_t file = file_handle(system, operation);

    switch (operation->verb) {
    case VERB_READ_FILE:
        outcome->status = model_read_file(system, file, operation->offset, outcome->bytes,
                                          operation->size, &outcome->size);
        break;
    case VERB_WRITE_FILE:
        outcome->status = model_write_file(system, file, operation->offset, outcome->bytes,
                                           operation->size, &outcome->size);
        break;
    case VERB_SET_FILE_SIZE:
        outcome->status = model_set_file_size(system, file, operation->size);
        break;
    case VERB_FLUSH_FILE:
        outcome->status = model_flush_file(system, file);
        break;
    default:
        outcome->status = model_close_file(system, file);
        break;
    }
}

void section_operation_run(struct model_process *model, const struct operation *operation,
                           struct outcome *outcome)
{
    struct model_system *system = model->system;
    uint64_t section = system->section_slots[operation->section];

    switch (operation->verb) {
    case VERB_MAP:
        run_map(model, operation, outcome);
        break;
    case VERB_UNMAP:
        outcome->status = model_unmap_view(model, operation->base, operation->type);
        break;
    case VERB_FLUSH:
        outcome->status = model_flush(model, &outcome->base, &outcome->size);
        break;
    case VERB_CREATE_SECTION:
    case VERB_CREATE_FILE:
        run_create(system, operation, outcome);
        break;
    case VERB_EXTEND_SECTION:
        outcome->status = model_extend_section(system, section, &outcome->size);
        break;
    case VERB_CLOSE_SECTION:
        outcome->status = model_close_section(system, section);
        break;
    default:
        run_file(system, operation, outcome);
        break;
    }
}

/* As steps of a case */

static void print_map(const struct operation *operation)
{
    char text[2][WORD_SIZE];
    bool is_ex = (operation->type & MEM_REPLACE_PLACEHOLDER) != 0;

    words_of_protect(text[0], operation->protect);
    printf("  %s s%u 0x%llX 0x%llX 0x%llX", is_ex ? "map-view-ex" : "map-view", operation->section,
           (unsigned long long)operation->base, (unsigned long long)operation->offset,
           (unsigned long long)operation->size);
    if (is_ex) {
        printf(" REPLACE_PLACEHOLDER %s = ", text[0]);
        return;
    }
    printf(" %s", text[0]);
    if (operation->type) {
        printf(" type:0x%X", operation->type);
    }
    if (operation->zero_bits) {
        printf(" zero-bits:%llu", (unsigned long long)operation->zero_bits);
    }
    if (operation->commit_size) {
        printf(" commit:0x%llX", (unsigned long long)operation->commit_size);
    }
    printf(" = ");
}

static void print_create(const struct operation *operation)
{
    char text[3][WORD_SIZE];

    if (operation->verb == VERB_CREATE_FILE) {
        printf("  create-file f%u %s 0x%llX valid:0x%llX = ", operation->file,
               words_of_file_rights(text[0], operation->rights),
               (unsigned long long)operation->size, (unsigned long long)operation->commit_size);
        return;
    }
    printf("  create-section s%u 0x%X 0x%llX %s %s ", operation->section, operation->rights,
           (unsigned long long)operation->size, words_of_protect(text[1], operation->protect),
           words_of_attributes(text[2], operation->attributes));
    if (operation->file < MODEL_FILE_SLOTS) {
        printf("f%u = ", operation->file);
    } else {
        printf("none = ");
    }
}

static void print_write(const struct operation *operation)
{
    printf("  write-file f%u 0x%llX ", operation->file, (unsigned long long)operation->offset);
    for (uint64_t i = 0; i < operation->size; i++) {
        printf("%02X", operation->bytes[i]);
    }
    printf(" = ");
}

void section_operation_print(const struct operation *operation)
{
    unsigned long long base = operation->base;
    unsigned long long size = operation->size;

    switch (operation->verb) {
    case VERB_MAP:
        print_map(operation);
        break;
    case VERB_UNMAP:
        printf("  unmap-view 0x%llX %u = ", base, operation->type);
        break;
    case VERB_FLUSH:
        printf("  flush 0x%llX 0x%llX = ", base, size);
        break;
    case VERB_CREATE_SECTION:
    case VERB_CREATE_FILE:
        print_create(operation);
        break;
    case VERB_EXTEND_SECTION:
        printf("  extend-section s%u 0x%llX = ", operation->section, size);
        break;
    case VERB_CLOSE_SECTION:
        printf("  close-section s%u = ", operation->section);
        break;
    case VERB_READ_FILE:
        printf("  read-file f%u 0x%llX %llu = ", operation->file,
               (unsigned long long)operation->offset, size);
        break;
    case VERB_WRITE_FILE:
        print_write(operation);
        break;
    case VERB_SET_FILE_SIZE:
        printf("  set-file-size f%u 0x%llX = ", operation->file, size);
        break;
    case VERB_FLUSH_FILE:
        printf("  flush-file f%u 0 0 = ", operation->file);
        break;
    default:
        printf("  close-file f%u = ", operation->file);
        break;
    }
}

void section_operation_print_outcome(const struct operation *operation,
                                     const struct outcome *outcome)
{
    char text[WORD_SIZE];
    bool is_success = outcome->status < 0x80000000u;
    bool is_moved = operation->verb == VERB_READ_FILE || operation->verb == VERB_WRITE_FILE;
    uint64_t first = outcome->size > 8 ? outcome->size - 8 : 0;

    if (is_success && (operation->verb == VERB_MAP || operation->verb == VERB_FLUSH)) {
        printf(" %s", words_of_number(text, outcome->base));
    }
    if (is_success && operation->verb == VERB_MAP) {
        printf(" %s", words_of_number(text, outcome->offset));
    }
    if (is_moved || (is_success && (operation->verb == VERB_MAP || operation->verb == VERB_FLUSH ||
                                    operation->verb == VERB_EXTEND_SECTION))) {
        printf(" %s", words_of_number(text, outcome->size));
    }
    for (uint64_t i = first; operation->verb == VERB_READ_FILE && i < outcome->size; i++) {
        printf("%s%02X", i == first ? " " : "", outcome->bytes[i]);
    }
    printf("\n");
}
