/*
 * NtCreateSection and what is done with a section handle, but mapping.
 *
 *   attributes --> protection --> pointers --> size or file --> commit --> name --> control area
 *   --> object
 *
 * The order of the checks is that of docs/sections.md. A file that must grow grows before anything
 * else changes; a section that then cannot be made leaves it so.
 */
#include "base/bits.h"
#include "phys/rows.h"
#include "section/file_lock.h"
#include "section/image_record.h"
#include "section/large_area.h"
#include "services/relief.h"
#include "services/section_make.h"
#include "space/protection.h"

#include <ntmm/constants.h>
#include <ntmm/section.h>

#define KNOWN_ATTRIBUTES                                                                           \
    (NTMM_SEC_BASED | NTMM_SEC_NO_CHANGE | NTMM_SEC_IMAGE | NTMM_SEC_RESERVE | NTMM_SEC_COMMIT |   \
     NTMM_SEC_NOCACHE | NTMM_SEC_WRITECOMBINE | NTMM_SEC_LARGE_PAGES)
#define KINDS (NTMM_SEC_IMAGE | NTMM_SEC_RESERVE | NTMM_SEC_COMMIT)
#define CACHES (NTMM_SEC_NOCACHE | NTMM_SEC_WRITECOMBINE)
#define ALL_RIGHTS 0x3Fu
/* A SEC_RESERVE section of this size has more prototypes than NT's pool takes. */
#define RESERVE_BYTES_MAX 0x80000000000ull

struct section_request {
    const struct ntmm_section_config *config; /* or NULL */
    uint64_t size;                            /* 0: the file's */
    uint32_t access;
    uint32_t protect;
    uint32_t attributes;
    uint32_t protection; /* PROT_* code */
    ntmm_handle file;
    ntmm_handle handle; /* out */
};

/* --- checks --- */

static ntmm_status check_attributes(uint32_t attributes, bool has_file)
{
    uint32_t kind = attributes & KINDS;
    uint32_t cache = attributes & CACHES;
    bool is_image = kind == NTMM_SEC_IMAGE;
    if (attributes & ~KNOWN_ATTRIBUTES || kind == 0 || !is_power_of_two(kind) || cache == CACHES)
        return NTMM_STATUS_INVALID_PARAMETER_6;
    if (is_image && attributes & (NTMM_SEC_WRITECOMBINE | NTMM_SEC_LARGE_PAGES))
        return NTMM_STATUS_INVALID_PARAMETER_6;
    if (attributes & NTMM_SEC_LARGE_PAGES && (kind != NTMM_SEC_COMMIT || has_file))
        return NTMM_STATUS_INVALID_PARAMETER_6;
    if (attributes & NTMM_SEC_LARGE_PAGES && attributes & (CACHES | NTMM_SEC_BASED))
        return NTMM_STATUS_INVALID_PARAMETER_6;
    return NTMM_STATUS_SUCCESS;
}

static bool is_section_protection(uint32_t protect, uint32_t *code)
{
    return (protect & ~0xFFu) == 0 && protect != NTMM_PAGE_NOACCESS &&
           protection_of_view(protect, code);
}

static ntmm_status check_config(const struct ntmm_section_config *config)
{
    if (!config)
        return NTMM_STATUS_SUCCESS;
    if (config->size != sizeof *config || config->version != NTMM_SECTION_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    const struct ntmm_caller *caller = config->caller;
    if (caller && (caller->size != sizeof *caller || caller->version != NTMM_CALLER_VERSION))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (config->name_units > NTMM_SECTION_NAME_MAXIMUM || (config->name_units && !config->name))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    return NTMM_STATUS_SUCCESS;
}

/* nt_semantics 4.2, 5: what the file's handle must grant. */
static uint32_t file_rights(uint32_t protect)
{
    switch (protect) {
    case NTMM_PAGE_READWRITE:
        return NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA;
    case NTMM_PAGE_EXECUTE:
        return NTMM_FILE_EXECUTE;
    case NTMM_PAGE_EXECUTE_READ:
    case NTMM_PAGE_EXECUTE_WRITECOPY:
        return NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE;
    case NTMM_PAGE_EXECUTE_READWRITE:
        return NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE;
    default:
        return NTMM_FILE_READ_DATA;
    }
}

/* Who makes large pages holds the privilege to lock memory. */
static bool may_lock_memory(const struct ntmm_section_config *config)
{
    const struct ntmm_caller *caller = config ? config->caller : NULL;
    return !caller || caller->privileges & NTMM_PRIVILEGE_LOCK_MEMORY;
}

static ntmm_status check_size_without_file(const struct section_request *r)
{
    if (r->attributes & NTMM_SEC_IMAGE)
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    if (r->size == 0)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (r->attributes & NTMM_SEC_LARGE_PAGES && !is_multiple(r->size, NTMM_LARGE_PAGE_SIZE))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (r->size >= SECTION_BYTES_MAX)
        return NTMM_STATUS_SECTION_TOO_BIG;
    if (r->attributes & NTMM_SEC_RESERVE && r->size >= RESERVE_BYTES_MAX)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (r->attributes & NTMM_SEC_LARGE_PAGES && !may_lock_memory(r->config))
        return NTMM_STATUS_PRIVILEGE_NOT_HELD;
    return NTMM_STATUS_SUCCESS;
}

/* --- making --- */

/* A section of the name: opened, refused, or not there (SUCCESS). (O) is held. */
static ntmm_status look_for_name(struct call *c, struct section_request *r)
{
    if (!r->config || r->config->name_units == 0)
        return NTMM_STATUS_SUCCESS;
    uint64_t ref = object_by_name(c, HANDLE_KIND_SECTION, r->config->name, r->config->name_units);
    if (!ref)
        return NTMM_STATUS_SUCCESS;
    if (!r->config->open_if)
        return NTMM_STATUS_OBJECT_NAME_COLLISION;
    ntmm_handle handle;
    ntmm_status status = object_open(c, HANDLE_KIND_SECTION, ref, &handle);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    r->handle = handle_with(handle, r->access);
    return NTMM_STATUS_OBJECT_NAME_EXISTS;
}

/* The object of an area that has a section's reference already. (O) is held. */
static ntmm_status make_object(struct call *c, struct section_request *r,
                               const struct control_area *area, uint64_t size)
{
    const struct ntmm_section_config *config = r->config;
    ntmm_handle handle;
    ntmm_status status;
    uint64_t ref = object_create(c, HANDLE_KIND_SECTION, config ? config->name : NULL,
                                 config ? config->name_units : 0, &handle, &status);
    if (!ref)
        return status;
    struct section *section = section_at(c, ref);
    set64(&section->area, area_ref(c, area));
    set64(&section->size_bytes, size);
    set32(&section->protection, r->protect);
    set32(&section->attributes, r->attributes);
    if (r->attributes & NTMM_SEC_BASED)
        set64(&section->based_page, section_take_base(c, pages_of_bytes(size)));
    r->handle = handle_with(handle, r->access);
    return NTMM_STATUS_SUCCESS;
}

/* An area of page files, its commit charged, when no section has the name. (O) is held. */
static ntmm_status make_area(struct call *c, struct section_request *r, struct control_area **area)
{
    bool is_reserve = (r->attributes & NTMM_SEC_RESERVE) != 0;
    uint64_t pages = pages_of_bytes(r->size);
    struct area_config config = {
        .pages = pages,
        .flags = (is_reserve ? AREA_RESERVE : 0u) |
                 (r->attributes & NTMM_SEC_NOCACHE ? AREA_NOCACHE : 0u) |
                 (r->attributes & NTMM_SEC_WRITECOMBINE ? AREA_WRITECOMBINE : 0u) |
                 (r->attributes & NTMM_SEC_LARGE_PAGES ? AREA_LARGE_PAGES : 0u),
        .protection = PROT_READWRITE,
        .subsection_count = 1,
    };
    uint64_t commit = is_reserve ? 0 : pages;
    if (commit && !commit_charge(c, commit))
        return want_status(c);
    ntmm_status status = look_for_name(c, r);
    uint64_t ref = status == NTMM_STATUS_SUCCESS ? area_create(c, &config) : 0;
    if (!ref) {
        if (commit)
            commit_return(c, commit);
        return status == NTMM_STATUS_SUCCESS ? want_status(c) : status;
    }
    *area = area_at(c, ref);
    set64(&(*area)->commit_pages, commit);
    set64(&subsection_at(c, get64(&(*area)->subsections))->page_count, pages);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status make_of_page_files(struct call *c, struct section_request *r,
                                      struct control_area **area)
{
    objects_lock(c);
    ntmm_status status = make_area(c, r, area);
    if (status == NTMM_STATUS_SUCCESS)
        status = make_object(c, r, *area, get64(&(*area)->pages) << NTMM_PAGE_SHIFT);
    objects_unlock(c);
    return status;
}

/* Frames are taken and zeroed with no lock held: the name may be somebody else's by then. */
static ntmm_status make_of_large_pages(struct call *c, struct section_request *r,
                                       struct control_area **area)
{
    objects_lock(c);
    ntmm_status status = make_area(c, r, area);
    objects_unlock(c);
    if (status == NTMM_STATUS_SUCCESS)
        status = large_area_fill(c, *area);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    objects_lock(c);
    status = look_for_name(c, r);
    if (status == NTMM_STATUS_SUCCESS)
        status = make_object(c, r, *area, get64(&(*area)->pages) << NTMM_PAGE_SHIFT);
    objects_unlock(c);
    return status;
}

/* An area that no section came of; c->want says what was lacking. */
static void give_up(struct call *c, struct control_area *area)
{
    struct want want = c->want;
    area_give_up(c, area, AREA_SECTION);
    c->want = want;
}

static ntmm_status create_of_page_files(struct call *c, struct section_request *r)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        struct control_area *area = NULL;
        status = r->attributes & NTMM_SEC_LARGE_PAGES ? make_of_large_pages(c, r, &area)
                                                      : make_of_page_files(c, r, &area);
        if (area && status != NTMM_STATUS_SUCCESS)
            give_up(c, area);
    } while (relieve(c, &relief, NULL, &status));
    rows_give_back(c);
    return status;
}

/* The file of a handle, kept. */
static ntmm_status keep_file(struct call *c, const struct section_request *r, struct file **file)
{
    uint64_t ref;
    objects_lock(c);
    ntmm_status status = object_find(c, r->file, HANDLE_KIND_FILE, file_rights(r->protect), &ref);
    if (status == NTMM_STATUS_SUCCESS) {
        *file = file_at(c, ref);
        file_keep(*file);
    }
    objects_unlock(c);
    return status;
}

static ntmm_status check_file(const struct section_request *r, const struct file *file)
{
    uint64_t size = load64_relaxed(&file->size_bytes);
    bool is_image = (r->attributes & NTMM_SEC_IMAGE) != 0;
    bool can_grow = r->protect == NTMM_PAGE_READWRITE || r->protect == NTMM_PAGE_EXECUTE_READWRITE;
    if (get32(&file->flags) & NTMM_FILE_NO_SECTIONS)
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    if (is_image)
        return size ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    if (size == 0 && r->size == 0)
        return NTMM_STATUS_MAPPED_FILE_SIZE_ZERO;
    if (r->size > size && (!can_grow || r->size >= SECTION_BYTES_MAX))
        return NTMM_STATUS_SECTION_TOO_BIG;
    return NTMM_STATUS_SUCCESS;
}

/* (O) is held. */
static ntmm_status make_of_data(struct call *c, struct section_request *r, struct file *file,
                                struct control_area **area)
{
    ntmm_status status = look_for_name(c, r);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *area = file_data_area(c, file, AREA_SECTION);
    if (!*area)
        return want_status(c);
    return make_object(c, r, *area, r->size ? r->size : get64(&file->size_bytes));
}

static uint64_t image_bytes(const struct control_area *area)
{
    return get64(&area->pages) << NTMM_PAGE_SHIFT;
}

static ntmm_status make_of_image(struct call *c, struct section_request *r,
                                 struct control_area *area)
{
    ntmm_status status = look_for_name(c, r);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return make_object(c, r, area, r->size ? r->size : image_bytes(area));
}

/* A section shows all of its bytes at once: so a lock that would refuse to read them, or to write
 * them when views may, refuses the section. */
static ntmm_status check_locks(struct call *c, const struct section_request *r,
                               const struct file *file)
{
    bool is_image = (r->attributes & NTMM_SEC_IMAGE) != 0;
    bool is_written = !is_image && (file_rights(r->protect) & NTMM_FILE_WRITE_DATA) != 0;
    uint64_t size = is_image || r->size == 0 ? load64_relaxed(&file->size_bytes) : r->size;
    const struct file_lock_range range = {0, size, r->file, 0};
    objects_lock(c);
    bool is_allowed = file_locks_allow(c, file, &range, is_written ? FILE_WRITES : FILE_READS);
    objects_unlock(c);
    return is_allowed ? NTMM_STATUS_SUCCESS : NTMM_STATUS_FILE_LOCK_CONFLICT;
}

/* The image of a file, with a section's reference; its headers and its size are looked at before
 * locks are. */
static ntmm_status image_area_of(struct call *c, const struct section_request *r, struct file *file,
                                 struct control_area **area)
{
    const struct ntmm_caller *caller = r->config ? r->config->caller : NULL;
    const struct image_maker maker = {.file = r->file, .process = caller ? caller->process : 0};
    ntmm_status status = file_image_area(c, file, &maker, area);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return r->size > image_bytes(*area) ? NTMM_STATUS_SECTION_TOO_BIG : check_locks(c, r, file);
}

static ntmm_status create_of_file(struct call *c, struct section_request *r, struct file *file)
{
    struct relief relief = relief_begin();
    bool is_image = (r->attributes & NTMM_SEC_IMAGE) != 0;
    ntmm_status status = check_file(r, file);
    if (status == NTMM_STATUS_SUCCESS && !is_image)
        status = check_locks(c, r, file); /* first: no file grows for nothing */
    if (status == NTMM_STATUS_SUCCESS && !is_image && r->size > get64(&file->size_bytes))
        status = file_extend(c, file, r->size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    do {
        struct control_area *area = NULL;
        status = is_image ? image_area_of(c, r, file, &area) : NTMM_STATUS_SUCCESS;
        if (status == NTMM_STATUS_SUCCESS) {
            objects_lock(c);
            status = is_image ? make_of_image(c, r, area) : make_of_data(c, r, file, &area);
            objects_unlock(c);
        }
        if (area && status != NTMM_STATUS_SUCCESS)
            give_up(c, area);
    } while (relieve(c, &relief, NULL, &status));
    return status;
}

ntmm_status ntmm_create_section(struct ntmm_system *system, ntmm_handle *section, uint32_t access,
                                const struct ntmm_section_config *config,
                                const uint64_t *maximum_size, uint32_t protect, uint32_t attributes,
                                ntmm_handle file_handle)
{
    struct call c = call_begin_to_wait(system);
    struct section_request r = {.config = config,
                                .size = maximum_size ? *maximum_size : 0,
                                .access = access & ALL_RIGHTS,
                                .protect = protect,
                                .attributes = attributes,
                                .file = file_handle};
    struct file *file = NULL;
    ntmm_status status = check_attributes(attributes, file_handle != 0);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_section_protection(protect, &r.protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!section)
        return NTMM_STATUS_ACCESS_VIOLATION;
    status = check_config(config);
    if (status == NTMM_STATUS_SUCCESS)
        status = file_handle ? keep_file(&c, &r, &file) : check_size_without_file(&r);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    areas_finish(&c);
    if (file_handle) {
        status = create_of_file(&c, &r, file);
        (void)file_release(&c, file); /* what could not be written stays modified */
    } else {
        status = create_of_page_files(&c, &r);
    }
    if (NTMM_SUCCEEDED(status))
        *section = r.handle;
    return status;
}

/* --- handles --- */

/* One handle more of an object that is found. (O) is held. */
static ntmm_status open_found(struct call *c, uint64_t ref, uint32_t access, ntmm_handle *handle)
{
    ntmm_handle opened;
    ntmm_status status = object_open(c, HANDLE_KIND_SECTION, ref, &opened);
    if (status == NTMM_STATUS_SUCCESS)
        *handle = handle_with(opened, access & ALL_RIGHTS);
    return status;
}

ntmm_status ntmm_open_section(struct ntmm_system *system, ntmm_handle *section, uint32_t access,
                              const uint16_t *name, uint32_t name_units)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    ntmm_status status;
    if (!section || !name)
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        objects_lock(&c);
        uint64_t ref = object_by_name(&c, HANDLE_KIND_SECTION, name, name_units);
        status = ref ? open_found(&c, ref, access, section) : NTMM_STATUS_OBJECT_NAME_NOT_FOUND;
        objects_unlock(&c);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

ntmm_status ntmm_duplicate_section(struct ntmm_system *system, ntmm_handle handle, uint32_t access,
                                   ntmm_handle *duplicate)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    ntmm_status status;
    uint64_t ref;
    if (!duplicate)
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        objects_lock(&c);
        status = object_find(&c, handle, HANDLE_KIND_SECTION, access & ALL_RIGHTS, &ref);
        if (status == NTMM_STATUS_SUCCESS)
            status = open_found(&c, ref, access, duplicate);
        objects_unlock(&c);
    } while (relieve(&c, &relief, NULL, &status));
    return status;
}

/* One handle less; whether it was the last. (O) is held. */
static bool close_handle(struct call *c, ntmm_handle handle, struct object *object)
{
    uint32_t handles = get32(&object->handle_count) - 1;
    object_close_slot(c, handle);
    set32(&object->handle_count, handles);
    if (handles == 0)
        object_unlist(c, HANDLE_KIND_SECTION, object);
    return handles == 0;
}

ntmm_status ntmm_close_section(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin_to_wait(system);
    uint64_t ref;
    bool is_last = false;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, HANDLE_KIND_SECTION, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS)
        is_last = close_handle(&c, handle, &section_at(&c, ref)->object);
    objects_unlock(&c);
    if (!is_last)
        return status;
    area_give_up(&c, area_at(&c, get64(&section_at(&c, ref)->area)), AREA_SECTION);
    object_free(&c, ref);
    return status;
}

/* --- querying --- */

static uint32_t attributes_of(const struct call *c, const struct section *section)
{
    const struct control_area *area = area_at(c, get64(&section->area));
    uint32_t attributes = get32(&section->attributes);
    if (area_is(area, AREA_IMAGE))
        return (attributes & ~(uint32_t)NTMM_SEC_NOCACHE) | NTMM_SEC_FILE;
    if (!area_is(area, AREA_OF_FILE))
        return attributes;
    return (attributes & ~(uint32_t)(NTMM_SEC_COMMIT | NTMM_SEC_RESERVE)) | NTMM_SEC_FILE;
}

/* (O) is held. */
static ntmm_status describe(struct call *c, const struct section *section, uint32_t information,
                            void *buffer)
{
    const struct control_area *area = area_at(c, get64(&section->area));
    if (information == NTMM_SECTION_IMAGE_INFORMATION) {
        if (!area_is(area, AREA_IMAGE))
            return NTMM_STATUS_SECTION_NOT_IMAGE;
        image_record_describe(c, get64(&area->image), buffer);
        return NTMM_STATUS_SUCCESS;
    }
    const struct ntmm_section_basic_information found = {
        .base_address = get64(&section->based_page) << NTMM_PAGE_SHIFT,
        .allocation_attributes = attributes_of(c, section),
        .maximum_size = get64(&section->size_bytes),
    };
    __builtin_memcpy(buffer, &found, sizeof found);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_query_section(struct ntmm_system *system, ntmm_handle handle, uint32_t information,
                               void *buffer, uint64_t length, uint64_t *return_length)
{
    static const uint32_t sizes[] = {sizeof(struct ntmm_section_basic_information),
                                     IMAGE_INFORMATION_BYTES};
    struct call c = call_begin(system);
    uint64_t ref;
    if (information > NTMM_SECTION_IMAGE_INFORMATION)
        return NTMM_STATUS_INVALID_INFO_CLASS;
    if (length < sizes[information])
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, HANDLE_KIND_SECTION, NTMM_SECTION_QUERY, &ref);
    if (status == NTMM_STATUS_SUCCESS)
        status = describe(&c, section_at(&c, ref), information, buffer);
    objects_unlock(&c);
    if (status == NTMM_STATUS_SUCCESS && return_length)
        *return_length = sizes[information];
    return status;
}

/* --- extending --- */

/* The file that a section would have to extend, kept; NULL: the size is reached already. */
static ntmm_status keep_section_file(struct call *c, ntmm_handle handle, uint64_t *size,
                                     struct file **file)
{
    uint64_t ref;
    ntmm_status status =
        object_find(c, handle, HANDLE_KIND_SECTION, NTMM_SECTION_EXTEND_SIZE, &ref);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct section *section = section_at(c, ref);
    const struct control_area *area = area_at(c, get64(&section->area));
    uint32_t protect = get32(&section->protection);
    if (!area_is(area, AREA_OF_FILE) || area_is(area, AREA_IMAGE))
        return NTMM_STATUS_SECTION_NOT_EXTENDED;
    if (*size <= get64(&section->size_bytes)) {
        *size = get64(&section->size_bytes);
        return status;
    }
    if (*size >= SECTION_BYTES_MAX)
        return NTMM_STATUS_SECTION_TOO_BIG;
    bool can_write = protect == NTMM_PAGE_READWRITE || protect == NTMM_PAGE_EXECUTE_READWRITE;
    struct file *found = file_at(c, get64(&area->file));
    if (*size > get64(&found->size_bytes) && !can_write)
        return NTMM_STATUS_SECTION_NOT_EXTENDED;
    *file = found;
    file_keep(found);
    return status;
}

/* (O) is held. The section may have been closed meanwhile. */
static ntmm_status set_size(struct call *c, ntmm_handle handle, uint64_t size)
{
    uint64_t ref;
    ntmm_status status = object_find(c, handle, HANDLE_KIND_SECTION, 0, &ref);
    if (status == NTMM_STATUS_SUCCESS && size > get64(&section_at(c, ref)->size_bytes))
        set64(&section_at(c, ref)->size_bytes, size);
    return status;
}

ntmm_status ntmm_extend_section(struct ntmm_system *system, ntmm_handle handle, uint64_t *size)
{
    struct call c = call_begin_to_wait(system);
    struct file *file = NULL;
    if (!size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint64_t wanted = *size;
    objects_lock(&c);
    ntmm_status status = keep_section_file(&c, handle, &wanted, &file);
    objects_unlock(&c);
    if (file) {
        if (wanted > load64_relaxed(&file->size_bytes))
            status = file_extend(&c, file, wanted);
        objects_lock(&c);
        if (status == NTMM_STATUS_SUCCESS)
            status = set_size(&c, handle, wanted);
        objects_unlock(&c);
        (void)file_release(&c, file);
    }
    if (status == NTMM_STATUS_SUCCESS)
        *size = wanted;
    return status;
}
