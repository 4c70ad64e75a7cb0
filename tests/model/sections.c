/*
 * Section objects, handles and control areas of the model.
 *
 * Creation checks, in this order: attributes; protection; the pointer to the handle; then without
 * a file the size, with one the handle, what it grants, whether it can be mapped, an end at 0 when
 * no size was asked for, and a size above its end; the commit; at last the name. Source:
 * NtCreateSection as public conformance tests observe it.
 *
 * Ours: bytes of the name are compared, whatever they are; a size from 2^47 on is too big.
 */
#include "model/pages.h"
#include "model/section.h"

#include <stdlib.h>
#include <string.h>

#define KINDS (SEC_IMAGE | SEC_RESERVE | SEC_COMMIT)
#define CACHES (SEC_NOCACHE | SEC_WRITECOMBINE)
#define KNOWN (KINDS | CACHES | SEC_BASED | SEC_NO_CHANGE | SEC_LARGE_PAGES)
#define WRITABLE (PAGE_READWRITE | PAGE_EXECUTE_READWRITE)
#define EXECUTABLE                                                                                 \
    (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)

static void *must_have(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static bool is_one_bit(uint32_t value) { return value && !(value & (value - 1)); }

/* Handles */

uint64_t model_section_make_handle(struct model_system *system, const struct model_object *object)
{
    size_t count = system->handle_count + 1;

    system->handles = must_have(realloc(system->handles, count * sizeof(*system->handles)));
    system->handles[count - 1] = *object;
    system->handle_count = count;
    return count;
}

static const struct model_object *object_of(const struct model_system *system, uint64_t handle,
                                            uint32_t *status)
{
    const struct model_object *object = NULL;

    *status = NTMM_STATUS_INVALID_HANDLE;
    if (handle == MODEL_PROCESS_HANDLE) {
        *status = NTMM_STATUS_OBJECT_TYPE_MISMATCH;
    } else if (handle && handle <= system->handle_count) {
        object = &system->handles[handle - 1];
    }
    return object && (object->file || object->section) ? object : NULL;
}

/* Whether the object, which is of the kind asked for or not, grants the access. */
static uint32_t check_object(const struct model_object *object, bool is_kind, uint32_t access)
{
    if (!is_kind) {
        return NTMM_STATUS_OBJECT_TYPE_MISMATCH;
    }
    return (object->access & access) == access ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_DENIED;
}

struct model_file *model_section_file_of(struct model_system *system, uint64_t handle,
                                         uint32_t access, uint32_t *status)
{
    const struct model_object *object = object_of(system, handle, status);

    if (object) {
        *status = check_object(object, object->file != NULL, access);
    }
    return *status == NTMM_STATUS_SUCCESS ? object->file : NULL;
}

struct model_section *model_section_of(struct model_system *system, uint64_t handle,
                                       uint32_t access, uint32_t *status)
{
    const struct model_object *object = object_of(system, handle, status);

    if (object) {
        *status = check_object(object, object->section != NULL, access);
    }
    return *status == NTMM_STATUS_SUCCESS ? object->section : NULL;
}

static uint64_t hand_out(struct model_system *system, struct model_section *section,
                         uint32_t access)
{
    struct model_object object = {.section = section, .access = access & SECTION_ALL_ACCESS};

    section->handles++;
    return model_section_make_handle(system, &object);
}

/* Control areas */

struct model_control *model_control_make(struct model_file *file)
{
    struct model_control *control = must_have(calloc(1, sizeof(*control)));

    control->file = file;
    return control;
}

void model_control_free(struct model_control *control)
{
    for (size_t i = 0; i < control->shared.page_count; i++) {
        free(control->shared.pages[i].bytes);
        free(control->shared.pages[i].loose);
    }
    free(control->shared.pages);
    free(control->reaches);
    free(control);
}

void model_control_hold(struct model_control *control, uint64_t reach)
{
    size_t count = control->reach_count + 1;

    control->reaches = must_have(realloc(control->reaches, count * sizeof(*control->reaches)));
    control->reaches[count - 1] = reach;
    control->reach_count = count;
    if (control->file) {
        control->file->references++;
    }
}

void model_control_release(struct model_system *system, struct model_control *control,
                           uint64_t reach)
{
    size_t at = 0;

    while (control->reaches[at] != reach) {
        at++;
    }
    control->reaches[at] = control->reaches[--control->reach_count];
    if (control->file) {
        model_file_release(control->file);
    } else if (control->reach_count == 0) {
        system->commit_pages -= control->charge_pages;
        model_control_free(control);
    }
}

/* Bytes of a new file. */
static void fill(const struct model_file *file, struct model_page *page)
{
    uint64_t first = page->number * MODEL_PAGE_SIZE;

    for (uint32_t i = 0; i < MODEL_PAGE_SIZE && first + i < file->valid_bytes; i++) {
        pages_bytes(page)[i] = (uint8_t)(page->number + 1);
    }
}

struct model_page *model_control_page(struct model_control *control, uint64_t number)
{
    struct model_region *shared = &control->shared;
    size_t at = model_page_index(shared, number);
    bool is_there = at < shared->page_count && shared->pages[at].number == number;

    if (!is_there) {
        pages_fill(shared, number * MODEL_PAGE_SIZE, (number + 1) * MODEL_PAGE_SIZE, 0);
        if (control->file) {
            fill(control->file, &shared->pages[at]);
        }
    }
    return &shared->pages[at];
}

static uint32_t charge(struct model_system *system, struct model_control *control, uint64_t pages)
{
    if (pages > system->commit_limit_pages - system->commit_pages) {
        return NTMM_STATUS_COMMITMENT_LIMIT;
    }
    system->commit_pages += pages;
    control->charge_pages += pages;
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_control_commit(struct model_system *system, struct model_control *control,
                              uint64_t from, uint64_t to)
{
    uint64_t base = from * MODEL_PAGE_SIZE;
    uint64_t end = to * MODEL_PAGE_SIZE;
    uint64_t fresh = to - from - pages_committed(&control->shared, base, end);
    uint32_t status = NTMM_STATUS_SUCCESS;

    if (control->is_reserve && fresh) {
        status = charge(system, control, fresh);
    }
    if (control->is_reserve && fresh && status == NTMM_STATUS_SUCCESS) {
        pages_fill(&control->shared, base, end, 0);
        control->generation++;
    }
    return status;
}

/* Section objects */

static bool is_legal_attributes(uint32_t attributes, bool has_file)
{
    uint32_t kind = attributes & KINDS;

    if ((attributes & ~KNOWN) || !is_one_bit(kind) || (attributes & CACHES) == CACHES) {
        return false;
    }
    if (kind == SEC_IMAGE) {
        return !(attributes & (SEC_LARGE_PAGES | SEC_WRITECOMBINE));
    }
    return !(attributes & SEC_LARGE_PAGES) ||
           (kind == SEC_COMMIT && !has_file && !(attributes & (CACHES | SEC_BASED)));
}

static uint32_t check_size(const struct model_section_request *request)
{
    uint64_t size = request->size ? *request->size : 0;

    if (request->attributes & SEC_IMAGE) {
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    }
    if (size == 0) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    if ((request->attributes & SEC_LARGE_PAGES) && size % MODEL_LARGE_PAGE_SIZE) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    if (size >= MODEL_LARGEST_SIZE) {
        return NTMM_STATUS_SECTION_TOO_BIG;
    }
    return size >= MODEL_LARGEST_RESERVE && (request->attributes & SEC_RESERVE)
               ? NTMM_STATUS_INSUFFICIENT_RESOURCES
               : NTMM_STATUS_SUCCESS;
}

/* What a file must grant for the most that views may have. */
static uint32_t file_access_for(uint32_t protect)
{
    return (protect != PAGE_EXECUTE ? FILE_READ_DATA : 0) |
           (protect & WRITABLE ? FILE_WRITE_DATA : 0) | (protect & EXECUTABLE ? FILE_EXECUTE : 0);
}

static uint32_t check_file(struct model_system *system, const struct model_section_request *request)
{
    uint64_t size = request->size ? *request->size : 0;
    uint32_t status;
    const struct model_file *file =
        model_section_file_of(system, request->file, file_access_for(request->protect), &status);

    if (!file) {
        return status;
    }
    if (file->has_no_sections) {
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    }
    if (request->attributes & SEC_IMAGE) {
        return file->size_bytes ? NTMM_STATUS_INVALID_IMAGE_NOT_MZ
                                : NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    }
    if (file->size_bytes == 0 && size == 0) {
        return NTMM_STATUS_MAPPED_FILE_SIZE_ZERO;
    }
    if (size > MODEL_LARGEST_SIZE) {
        return NTMM_STATUS_SECTION_TOO_BIG;
    }
    return size > file->size_bytes && !(request->protect & WRITABLE) ? NTMM_STATUS_SECTION_TOO_BIG
                                                                     : NTMM_STATUS_SUCCESS;
}

static struct model_section *find_name(const struct model_system *system, const char *name)
{
    for (size_t i = 0; *name && i < system->handle_count; i++) {
        struct model_section *section = system->handles[i].section;

        if (section && !strcmp(section->name, name)) {
            return section;
        }
    }
    return NULL;
}

static struct model_section *make_section(const struct model_section_request *request)
{
    struct model_section *section = must_have(calloc(1, sizeof(*section)));

    section->protect = request->protect;
    section->attributes = request->attributes;
    strncpy(section->name, request->name, sizeof(section->name) - 1);
    return section;
}

static uint64_t pages_of(uint64_t size_bytes)
{
    return size_bytes / MODEL_PAGE_SIZE + (size_bytes % MODEL_PAGE_SIZE != 0);
}

/* What happens before the name is looked at, and stays when it is taken: the file grows. */
static uint32_t prepare(struct model_system *system, const struct model_section_request *request)
{
    uint64_t size = request->size ? *request->size : 0;
    uint32_t status;
    struct model_file *file = model_section_file_of(system, request->file, 0, &status);

    if (file && size > file->size_bytes) {
        model_file_resize(file, size);
    }
    return !file && (request->attributes & SEC_COMMIT) &&
                   pages_of(size) > system->commit_limit_pages - system->commit_pages
               ? NTMM_STATUS_COMMITMENT_LIMIT
               : NTMM_STATUS_SUCCESS;
}

static uint32_t make_of_file(struct model_system *system, uint64_t *handle,
                             const struct model_section_request *request)
{
    uint64_t size = request->size ? *request->size : 0;
    uint32_t status;
    struct model_file *file = model_section_file_of(system, request->file, 0, &status);
    struct model_section *section = make_section(request);

    section->control = file->data;
    section->size_bytes = size ? size : file->size_bytes;
    section->attributes = SEC_FILE | (request->attributes & ~KINDS);
    model_control_hold(section->control, section->size_bytes);
    *handle = hand_out(system, section, request->access);
    return NTMM_STATUS_SUCCESS;
}

static uint32_t make_of_page_file(struct model_system *system, uint64_t *handle,
                                  const struct model_section_request *request)
{
    uint64_t pages = pages_of(*request->size);
    struct model_control *control = model_control_make(NULL);
    struct model_section *section = make_section(request);

    control->is_reserve = (request->attributes & SEC_RESERVE) != 0;
    if (!control->is_reserve) {
        (void)charge(system, control, pages);
    }
    section->control = control;
    section->size_bytes = pages * MODEL_PAGE_SIZE;
    model_control_hold(control, section->size_bytes);
    *handle = hand_out(system, section, request->access);
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_create_section(struct model_system *system, uint64_t *handle,
                              const struct model_section_request *request)
{
    struct model_section *existing;
    uint32_t status;

    if (!is_legal_attributes(request->attributes, request->file != 0)) {
        return NTMM_STATUS_INVALID_PARAMETER_6;
    }
    if (!is_one_bit(request->protect) || !(request->protect & 0xFEu)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!handle) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    status = request->file ? check_file(system, request) : check_size(request);
    if (status == NTMM_STATUS_SUCCESS) {
        status = prepare(system, request);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    existing = find_name(system, request->name);
    if (existing && request->opens_existing) {
        *handle = hand_out(system, existing, request->access);
        return NTMM_STATUS_OBJECT_NAME_EXISTS;
    }
    if (existing) {
        return NTMM_STATUS_OBJECT_NAME_COLLISION;
    }
    return request->file ? make_of_file(system, handle, request)
                         : make_of_page_file(system, handle, request);
}

uint32_t model_open_section(struct model_system *system, uint64_t *handle, uint32_t access,
                            const char *name)
{
    struct model_section *section = find_name(system, name);

    if (!section) {
        return NTMM_STATUS_OBJECT_NAME_NOT_FOUND;
    }
    *handle = hand_out(system, section, access);
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_duplicate_section(struct model_system *system, uint64_t section, uint32_t access,
                                 uint64_t *handle)
{
    uint32_t status;
    struct model_section *found = model_section_of(system, section, access, &status);

    if (found) {
        *handle = hand_out(system, found, access);
    }
    return status;
}

uint32_t model_close_section(struct model_system *system, uint64_t section)
{
    uint32_t status;
    struct model_section *found = model_section_of(system, section, 0, &status);

    if (!found) {
        return status;
    }
    memset(&system->handles[section - 1], 0, sizeof(*system->handles));
    found->handles--;
    if (found->handles == 0) {
        model_control_release(system, found->control, found->size_bytes);
        free(found);
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_query_section(struct model_system *system, uint64_t section,
                             struct model_section_information *information)
{
    uint32_t status;
    const struct model_section *found = model_section_of(system, section, SECTION_QUERY, &status);

    if (found) {
        information->base = 0;
        information->attributes = found->attributes;
        information->size_bytes = found->size_bytes;
    }
    return status;
}

uint32_t model_extend_section(struct model_system *system, uint64_t section, uint64_t *size)
{
    uint32_t status;
    struct model_section *found;
    struct model_file *file;

    if (!size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    found = model_section_of(system, section, SECTION_EXTEND_SIZE, &status);
    if (!found) {
        return status;
    }
    file = found->control->file;
    if (!file) {
        return NTMM_STATUS_SECTION_NOT_EXTENDED;
    }
    if (*size <= found->size_bytes) {
        *size = found->size_bytes;
        return NTMM_STATUS_SUCCESS;
    }
    if (*size > MODEL_LARGEST_SIZE) {
        return NTMM_STATUS_SECTION_TOO_BIG;
    }
    if (*size > file->size_bytes && !(found->protect & WRITABLE)) {
        return NTMM_STATUS_SECTION_NOT_EXTENDED;
    }
    if (*size > file->size_bytes) {
        model_file_resize(file, *size);
    }
    model_control_hold(found->control, *size);
    model_control_release(system, found->control, found->size_bytes);
    found->size_bytes = *size;
    return NTMM_STATUS_SUCCESS;
}

void model_system_end(struct model_system *system)
{
    for (size_t i = 0; i < system->handle_count; i++) {
        if (system->handles[i].section) {
            (void)model_close_section(system, i + 1);
        } else if (system->handles[i].file) {
            (void)model_close_file(system, i + 1);
        }
    }
    free(system->handles);
    system->handles = NULL;
    system->handle_count = 0;
}
