/*
 * The calls about sections: made, named, opened, queried, extended, and mapped. What the views show
 * is touched, protected, committed and freed by the calls of other files, through the ranges.
 */
#include "calls/world.h"

#include <ntmm/inspect.h>
#include <ntmm/section.h>

#include <string.h>

#define NAME_COUNT 4u
#define ORDINARY_BYTES 0x80000u

static const uint16_t NAMES[NAME_COUNT] = {'a', 'b', 'c', 'd'};

ntmm_handle take_section(struct world *w)
{
    return take_of(w, w->sections, w->next_section, SECTION_COUNT);
}

void add_section(struct world *w, ntmm_handle handle)
{
    w->sections[w->next_section++ % SECTION_COUNT] = handle;
    add_handle(w, handle);
}

static uint32_t take_view_protect(struct world *w)
{
    static const uint32_t PROTECTS[] = {
        NTMM_PAGE_READWRITE, NTMM_PAGE_READWRITE,         NTMM_PAGE_WRITECOPY,
        NTMM_PAGE_READONLY,  NTMM_PAGE_EXECUTE_READWRITE, NTMM_PAGE_EXECUTE_WRITECOPY,
        NTMM_PAGE_READWRITE, NTMM_PAGE_EXECUTE_READ,
    };
    uint8_t kind = take8(w);

    return kind < 240 ? PROTECTS[kind % 8] : take_protect(w);
}

static uint32_t take_attributes(struct world *w)
{
    static const uint32_t ATTRIBUTES[] = {
        NTMM_SEC_COMMIT,
        NTMM_SEC_COMMIT,
        NTMM_SEC_RESERVE,
        NTMM_SEC_COMMIT | NTMM_SEC_NOCACHE,
        NTMM_SEC_COMMIT | NTMM_SEC_BASED,
        NTMM_SEC_COMMIT | NTMM_SEC_NO_CHANGE,
        NTMM_SEC_RESERVE | NTMM_SEC_WRITECOMBINE,
        NTMM_SEC_IMAGE,
    };
    uint8_t kind = take8(w);

    return kind < 248 ? ATTRIBUTES[kind % 8] : take32(w);
}

static uint64_t take_section_size(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 192) {
        return (kind % 64u + 1) * 0x1000ull;
    }
    return kind < 248 ? take32(w) % ORDINARY_BYTES : take_any(w);
}

static ntmm_status make(struct world *w, uint8_t kind, ntmm_handle file, uint32_t attributes)
{
    struct ntmm_section_config config = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(config),
        .version = one_in(w, 32) ? take32(w) : NTMM_SECTION_CONFIG_VERSION,
        .name = kind & 4 ? &NAMES[take8(w) % NAME_COUNT] : NULL,
        .name_units = one_in(w, 64) ? 256
                      : kind & 4    ? 1
                                    : 0,
        .open_if = kind >> 3 & 1,
    };
    const struct ntmm_caller caller = {.size = sizeof(caller), .version = NTMM_CALLER_VERSION};
    uint64_t size = take_section_size(w);
    ntmm_handle handle = 77;
    uint32_t access = one_in(w, 4) ? take32(w) : NTMM_SECTION_ALL_ACCESS;

    if ((attributes & NTMM_SEC_LARGE_PAGES) && one_in(w, 8)) {
        config.caller = &caller; /* without a privilege */
    }
    ntmm_status status = CALL(w, create_section, w->system, kind == 255 ? NULL : &handle, access,
                              kind & 0x10 ? &config : NULL, kind & 0x20 ? NULL : &size,
                              take_view_protect(w), attributes, file);

    if (is_failure(status)) {
        must(w, handle == 77, "a failed creation wrote the handle");
    } else {
        add_section(w, handle);
    }
    return status;
}

static void create_section(struct world *w)
{
    uint8_t kind = take8(w);
    ntmm_handle file = kind & 1 ? take_of(w, w->files, w->next_file, FILE_COUNT) : 0;

    (void)make(w, kind, file, take_attributes(w));
}

static void open_section(struct world *w)
{
    ntmm_handle handle = 77;
    uint8_t null = take8(w);
    uint32_t access = one_in(w, 4) ? take32(w) : NTMM_SECTION_ALL_ACCESS;

    if (CALL(w, open_section, w->system, null == 255 ? NULL : &handle, access,
             null == 254 ? NULL : &NAMES[null % NAME_COUNT], one_in(w, 16) ? 0 : 1)) {
        must(w, handle == 77, "a failed opening wrote the handle");
        return;
    }
    add_section(w, handle);
}

static void duplicate_section(struct world *w)
{
    ntmm_handle section = take_section(w);
    ntmm_handle handle = 77;

    if (CALL(w, duplicate_section, w->system, section,
             one_in(w, 2) ? take32(w) : NTMM_SECTION_ALL_ACCESS, &handle)) {
        must(w, handle == 77, "a failed duplication wrote the handle");
        return;
    }
    add_section(w, handle);
}

static void close_section(struct world *w)
{
    (void)CALL(w, close_section, w->system, take_section(w));
}

static void query_section(struct world *w)
{
    static const uint32_t LENGTHS[] = {24, 64, 24, 64, 0, 23, 63, 96};
    ntmm_handle section = take_section(w);
    uint32_t information = take_below(w, 3);
    uint32_t length = LENGTHS[take8(w) % 8];
    uint64_t written = 77;
    uint8_t null = take8(w);
    uint8_t *buffer = take_buffer(w, length);

    if (CALL(w, query_section, w->system, section, information, null == 255 ? NULL : buffer, length,
             null == 254 ? NULL : &written)) {
        must(w, is_poison(buffer, length) && written == 77, "a failed query wrote");
    }
    release_buffer(w);
}

static void query_subsections(struct world *w)
{
    struct ntmm_subsection_information records[8];
    const uint8_t *bytes = (const uint8_t *)records;
    ntmm_handle section = take_section(w);
    uint32_t capacity = take_below(w, 9);
    uint32_t count = 77;
    uint8_t null = take8(w);

    memset(records, POISON, sizeof(records));
    if (CALL(w, query_subsections, w->system, section, null == 255 ? NULL : records, capacity,
             null == 254 ? NULL : &count)) {
        must(w, is_poison(bytes, sizeof(records)) && count == 77, "a failed query wrote");
    }
}

static void extend_section(struct world *w)
{
    ntmm_handle section = take_section(w);
    uint64_t size = take_section_size(w);
    uint64_t before = size;

    if (CALL(w, extend_section, w->system, section, one_in(w, 64) ? NULL : &size)) {
        must(w, size == before, "a failed extension wrote the size");
    } else {
        must(w, size >= before, "a section that is shorter than asked for");
    }
}

/* Views */

struct view {
    uint64_t base;
    uint64_t offset;
    uint64_t size;
};

static struct view take_view(struct world *w)
{
    struct view view = {.base = 0, .offset = 0, .size = 0};
    uint8_t kind = take8(w);

    if (kind & 1) {
        view.base = kind & 2 ? take_address(w) : take_address(w) & ~0xFFFFull;
    }
    if (kind & 4) {
        view.offset = kind & 8 ? take_file_offset(w) : (uint64_t)(take8(w) % 8) << 16;
    }
    if (kind & 0x10) {
        view.size = take_section_size(w);
    }
    return view;
}

static void judge_view(struct world *w, ntmm_handle process, ntmm_status status,
                       const struct view *before, const struct view *after)
{
    if (is_failure(status)) {
        must(w, !memcmp(before, after, sizeof(*before)), "a failed mapping wrote its view");
        return;
    }
    must(w, after->size != 0 && after->size % NTMM_PAGE_SIZE == 0, "a view of half a page");
    must(w, after->base % NTMM_PAGE_SIZE == 0, "a view at half a page");
    add_range(w, after->base, after->size);
    w->view_process = process;
    w->view_base = after->base;
}

static uint32_t take_map_type(struct world *w)
{
    static const uint32_t TYPES[] = {
        0,
        0,
        0,
        NTMM_MEM_RESERVE,
        NTMM_MEM_TOP_DOWN,
        NTMM_SEC_NO_CHANGE,
        NTMM_MEM_DIFFERENT_IMAGE_BASE_OK,
        NTMM_MEM_RESERVE | NTMM_MEM_TOP_DOWN,
    };
    uint8_t kind = take8(w);

    return kind < 248 ? TYPES[kind % 8] : take32(w);
}

static void map_with(struct world *w, ntmm_handle section, ntmm_handle process, struct view view)
{
    struct view before = view;
    uint64_t zero_bits = take_zero_bits(w);
    uint64_t commit = one_in(w, 2) ? 0 : take_size(w);
    uint32_t inherit = one_in(w, 32) ? take32(w) : 1 + take8(w) % 2u;
    uint32_t type = take_map_type(w);
    uint8_t null = take8(w);

    judge_view(w, process,
               CALL(w, map_view_of_section, w->system, section, process,
                    null == 253 ? NULL : &view.base, zero_bits, commit,
                    null == 254 ? NULL : &view.offset, null == 255 ? NULL : &view.size, inherit,
                    type, take_view_protect(w)),
               &before, &view);
}

void map_view_in(struct world *w, ntmm_handle section, ntmm_handle process)
{
    const struct view anywhere = {.base = 0};

    map_with(w, section, process, anywhere);
}

static void map_view(struct world *w)
{
    ntmm_handle section = take_section(w);
    ntmm_handle process = take_handle(w);

    map_with(w, section, process, take_view(w));
}

static void map_view_ex(struct world *w)
{
    ntmm_handle section = take_section(w);
    ntmm_handle process = take_handle(w);
    struct view view = take_view(w);
    struct view before = view;
    struct ntmm_mem_address_requirements requirements = {
        .lowest_starting_address = one_in(w, 2) ? 0 : take_address(w),
        .highest_ending_address = one_in(w, 2) ? 0 : take_address(w) | 0xFFFF,
        .alignment = one_in(w, 8) ? take_any(w) : 0,
    };
    struct ntmm_mem_extended_parameter parameter = {
        .type = one_in(w, 16) ? take_any(w) : NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS,
        .requirements = &requirements,
    };
    uint32_t type = take_map_type(w) | (one_in(w, 2) ? NTMM_MEM_REPLACE_PLACEHOLDER : 0);
    uint8_t null = take8(w);

    if (null & 4) { /* most likely good */
        view = before = (struct view){.base = 0};
        type = 0;
        null = 0;
    }
    judge_view(w, process,
               CALL(w, map_view_of_section_ex, w->system, section, process,
                    null == 253 ? NULL : &view.base, null == 254 ? NULL : &view.offset,
                    null == 255 ? NULL : &view.size, type, take_view_protect(w),
                    null & 2 ? &parameter : NULL, null & 2 ? 1 : null == 252),
               &before, &view);
}

static void unmap_view(struct world *w)
{
    static const uint32_t FLAGS[] = {
        0,
        0,
        0,
        0,
        0,
        NTMM_MEM_PRESERVE_PLACEHOLDER,
        NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST,
        NTMM_MEM_PRESERVE_PLACEHOLDER,
    };
    bool is_last = one_in(w, 2);
    ntmm_handle process = is_last ? w->view_process : take_handle(w);
    uint64_t base = is_last ? w->view_base : take_address(w);

    (void)CALL(w, unmap_view_of_section, w->system, process, base,
               one_in(w, 32) ? take32(w) : FLAGS[take8(w) % 8]);
}

static void compare_views(struct world *w)
{
    ntmm_handle process = take_handle(w);
    bool is_last = one_in(w, 2);
    uint64_t image = is_last ? w->view_base : take_address(w);

    process = is_last ? w->view_process : process;
    (void)CALL(w, are_mapped_files_the_same, w->system, process, image,
               one_in(w, 2) ? image : take_address(w));
}

/* A section, most likely good, and views of it in all processes: so that there is something. */
static void make_and_map(struct world *w)
{
    uint8_t kind = take8(w) & 0x6F; /* no name, the file's or a given size */
    bool is_of_file = (kind & 1) != 0;

    if (kind & 2) {
        create_file_object(w);
    }
    if (make(w, kind, is_of_file ? w->files[(w->next_file - 1) % FILE_COUNT] : 0,
             NTMM_SEC_COMMIT)) {
        return;
    }
    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        map_view_in(w, w->sections[(w->next_section - 1) % SECTION_COUNT], w->processes[i]);
    }
}

const struct verb SECTION_VERBS[] = {
    {"create-section", create_section},
    {"open-section", open_section},
    {"duplicate-section", duplicate_section},
    {"close-section", close_section},
    {"query-section", query_section},
    {"extend-section", extend_section},
    {"map-view", map_view},
    {"map-view", map_view},
    {"map-view-ex", map_view_ex},
    {"unmap-view", unmap_view},
    {"unmap-view", unmap_view},
    {"compare-views", compare_views},
    {"make-and-map", make_and_map},
    {"make-and-map", make_and_map},
    {"make-and-map", make_and_map},
    {"make-and-map", make_and_map},
    {"query-subsections", query_subsections},
    {"lock-file", lock_file},
    {"unlock-file", unlock_file},
};
const unsigned SECTION_VERB_COUNT = sizeof(SECTION_VERBS) / sizeof(SECTION_VERBS[0]);
