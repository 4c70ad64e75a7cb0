/*
 * Statuses of files and sections that the steps of cases do not reach. Expectations: the contracts
 * of ntmm/file.h and ntmm/section.h.
 */
#include "section_world.h"

#include "base/instance.h"

#include <ntmm/query.h>

#define FILE_BYTES 0x1000u
#define DEVICE_BYTES 0x3000u

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    make_section_world(w, 8 * MIB);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    check_world(w);
    end_world(w);
    free(w);
    return 0;
}

static void test_a_device_is_one_file(void **state)
{
    struct world *w = *state;
    uint64_t device = add_memory_file(w, FILE_BYTES, DEVICE_BYTES, NTMM_EMULATED_FILE_INLINE);
    ntmm_handle file = open_device(w, device, FILE_BYTES);
    ntmm_handle other = 7;
    struct ntmm_file_config config = {
        .size = sizeof config,
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = device,
        .size_bytes = FILE_BYTES,
    };
    assert_int_equal(ntmm_create_file(w->system, &config, NTMM_FILE_READ_DATA, &other),
                     NTMM_STATUS_SHARING_VIOLATION);
    config.version++;
    assert_int_equal(ntmm_create_file(w->system, &config, NTMM_FILE_READ_DATA, &other),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(other, 7);
    check_ok(ntmm_close_file(w->system, file));
}

/* The core has nothing of it yet: a purge needs nothing, a flush does. */
static void test_a_file_that_nobody_used(void **state)
{
    struct world *w = *state;
    ntmm_handle file = open_device(
        w, add_memory_file(w, FILE_BYTES, DEVICE_BYTES, NTMM_EMULATED_FILE_INLINE), FILE_BYTES);
    ntmm_handle process = make_process(w);
    struct ntmm_memory_information memory;
    w->system->failures = (struct allocation_failures){.count = UINT64_MAX};
    check_ok(ntmm_purge_file(w->system, file));
    assert_int_equal(ntmm_flush_file(w->system, file, 0, 0), NTMM_STATUS_NO_MEMORY);
    w->system->failures = (struct allocation_failures){.count = 0};
    (void)allocate(w, process, PAGE, NTMM_PAGE_READWRITE); /* what a process costs at first */
    ntmm_query_memory(w->system, &memory);
    (void)allocate(w, process, (memory.commit_limit_pages - memory.commit_pages) * PAGE,
                   NTMM_PAGE_READWRITE);
    check_ok(ntmm_purge_file(w->system, file));
    assert_int_equal(ntmm_flush_file(w->system, file, 0, 0), NTMM_STATUS_COMMITMENT_LIMIT);
    check_ok(ntmm_end_process(w->system, process));
    check_ok(ntmm_flush_file(w->system, file, 0, 0));
    close_file(w, file);
}

static void test_a_device_is_full(void **state)
{
    struct world *w = *state;
    ntmm_handle file = open_device(
        w, add_memory_file(w, FILE_BYTES, DEVICE_BYTES, NTMM_EMULATED_FILE_INLINE), FILE_BYTES);
    ntmm_handle section = 7;
    const uint64_t size = DEVICE_BYTES + 1;
    const uint8_t byte = 1;
    uint64_t moved;
    struct ntmm_file_information found;
    assert_int_equal(ntmm_set_file_size(w->system, file, size), NTMM_STATUS_DISK_FULL);
    assert_int_equal(ntmm_write_file(w->system, file, DEVICE_BYTES, &byte, 1, &moved),
                     NTMM_STATUS_DISK_FULL);
    assert_int_equal(moved, 0);
    assert_int_equal(ntmm_create_section(w->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file),
                     NTMM_STATUS_DISK_FULL);
    assert_int_equal(section, 7);
    check_ok(ntmm_query_file(w->system, file, &found));
    assert_int_equal(found.size_bytes, FILE_BYTES);
    check_ok(ntmm_close_file(w->system, file));
}

/* The page that has the end is in memory, so that the file grows; the first one cannot be read. */
static void test_a_write_that_fails_leaves_its_length(void **state)
{
    struct world *w = *state;
    const uint64_t bytes = 0x1800, at = 0x10;
    uint64_t device = add_memory_file(w, bytes, DEVICE_BYTES, 0), moved = 7;
    ntmm_handle file = open_device(w, device, bytes);
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    struct ntmm_file_information found;
    uint8_t written[0x2000];
    uint8_t read[0x1000];
    memset(written, 9, sizeof written);
    check_ok(ntmm_read_file(w->system, file, bytes - 1, read, 1, &moved));
    check_ok(ntmm_emulated_inject_disk(w->emu, device, &errors));
    assert_int_equal(ntmm_write_file(w->system, file, at, written, sizeof written, &moved),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(moved, 0);
    check_ok(ntmm_emulated_inject_disk(w->emu, device, NULL));
    check_ok(ntmm_query_file(w->system, file, &found));
    assert_int_equal(found.size_bytes, at + sizeof written);
    check_ok(ntmm_read_file(w->system, file, bytes - 1, read, sizeof read, &moved));
    assert_int_equal(moved, at + sizeof written - (bytes - 1));
    assert_int_equal(read[0], pattern(bytes - 1));
    for (uint64_t i = 1; i < moved; i++)
        assert_int_equal(read[i], 0);
    check_ok(ntmm_close_file(w->system, file));
}

static void test_names_have_a_size(void **state)
{
    struct world *w = *state;
    static const uint16_t name[NTMM_SECTION_NAME_MAXIMUM + 1] = {'n'};
    struct ntmm_section_config config = {
        .size = sizeof config,
        .version = NTMM_SECTION_CONFIG_VERSION,
        .name = name,
        .name_units = NTMM_SECTION_NAME_MAXIMUM + 1,
    };
    const uint64_t size = FILE_BYTES;
    ntmm_handle section = 7;
    assert_int_equal(ntmm_create_section(w->system, &section, NTMM_SECTION_ALL_ACCESS, &config,
                                         &size, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    config.size--;
    assert_int_equal(ntmm_create_section(w->system, &section, NTMM_SECTION_ALL_ACCESS, &config,
                                         &size, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(ntmm_open_section(w->system, &section, NTMM_SECTION_QUERY, NULL, 1),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(section, 7);
}

/* Before anything else, as of all services; nothing is opened or moved. */
static void test_pointers_are_needed(void **state)
{
    struct world *w = *state;
    ntmm_handle file = make_file(w, FILE_BYTES), opened = 7;
    ntmm_handle section = make_section(w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    struct ntmm_file_config config = {.size = sizeof config, .version = NTMM_FILE_CONFIG_VERSION};
    uint8_t byte = 1;
    uint64_t moved = 7;
    assert_int_equal(ntmm_create_file(w->system, NULL, NTMM_FILE_READ_DATA, &opened),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_create_file(w->system, &config, NTMM_FILE_READ_DATA, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_open_file(w->system, file, NTMM_FILE_READ_DATA, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_file(w->system, file, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_read_file(w->system, file, 0, &byte, 1, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_write_file(w->system, file, FILE_BYTES, &byte, 1, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_duplicate_section(w->system, section, NTMM_SECTION_QUERY, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(opened, 7);
    check_ok(ntmm_read_file(w->system, file, 0, &byte, 1, &moved));
    assert_int_equal(byte, pattern(0));
    struct ntmm_file_information found;
    check_ok(ntmm_query_file(w->system, file, &found));
    assert_int_equal(found.size_bytes, FILE_BYTES);
    assert_int_equal(found.handle_count, 1);
    close_section(w, section);
    check_ok(ntmm_close_file(w->system, file));
}

static ntmm_status allocate_ex(struct world *w, ntmm_handle process, uint64_t base, uint32_t type,
                               uint32_t protect)
{
    uint64_t size = NTMM_PAGE_SIZE;
    return ntmm_allocate_virtual_memory_ex(w->system, process, &base, &size, type, protect, NULL,
                                           0);
}

/* The extended form refuses of a view what the plain form refuses. */
static void test_extended_allocations_of_a_view(void **state)
{
    struct world *w = *state;
    ntmm_handle process = make_process(w);
    ntmm_handle file = make_file(w, FILE_BYTES);
    ntmm_handle mapped = make_section(w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    ntmm_handle reserved = make_section(w, FILE_BYTES, NTMM_PAGE_READONLY, NTMM_SEC_RESERVE, 0);
    uint64_t view = map(w, mapped, process, NTMM_PAGE_READWRITE);
    uint64_t other = map(w, reserved, process, NTMM_PAGE_READONLY);
    assert_int_equal(allocate_ex(w, process, view, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_ALREADY_COMMITTED);
    assert_int_equal(allocate_ex(w, process, view, NTMM_MEM_RESET, NTMM_PAGE_NOACCESS),
                     NTMM_STATUS_USER_MAPPED_FILE);
    assert_int_equal(allocate_ex(w, process, other, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SECTION_PROTECTION);
    check_ok(ntmm_unmap_view_of_section(w->system, process, view, 0));
    check_ok(ntmm_unmap_view_of_section(w->system, process, other, 0));
    check_ok(ntmm_end_process(w->system, process));
    close_section(w, mapped);
    close_section(w, reserved);
    check_ok(ntmm_close_file(w->system, file));
}

/* --- extended parameters of a view (nt_semantics 1.4: eight bits of type, 0 and 7 are none) --- */

static ntmm_status map_with(struct world *w, ntmm_handle section, ntmm_handle process,
                            const struct ntmm_mem_extended_parameter *given, uint32_t count)
{
    uint64_t base = 0, size = 0;
    ntmm_status status = ntmm_map_view_of_section_ex(w->system, section, process, &base, NULL,
                                                     &size, 0, NTMM_PAGE_READONLY, given, count);
    if (status == NTMM_STATUS_SUCCESS) {
        unmap(w, process, base);
    } else {
        assert_int_equal(base | size, 0);
    }
    return status;
}

static void test_parameters_of_a_view(void **state)
{
    static const struct {
        uint64_t type, value;
        ntmm_status expected;
    } cases[] = {
        {0, 0, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_NUMA_NODE, 0, NTMM_STATUS_SUCCESS},
        {NTMM_MEM_PARAMETER_NUMA_NODE, 1, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_NUMA_NODE, NTMM_NUMA_NODE_NONE, NTMM_STATUS_SUCCESS},
        {NTMM_MEM_PARAMETER_NUMA_NODE, NTMM_NUMA_NODE_MANDATORY, NTMM_STATUS_SUCCESS},
        {NTMM_MEM_PARAMETER_NUMA_NODE, NTMM_NUMA_NODE_MANDATORY | 1, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_USER_PHYSICAL_HANDLE, 0, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS, 0, NTMM_STATUS_SUCCESS},
        {NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS, 1, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_IMAGE_MACHINE, 0x10000, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_MAX, 0, NTMM_STATUS_INVALID_PARAMETER},
        {NTMM_MEM_PARAMETER_NUMA_NODE | 0x100, 0, NTMM_STATUS_INVALID_PARAMETER},
    };
    struct world *w = *state;
    ntmm_handle process = make_process(w);
    ntmm_handle section = make_section(w, FILE_BYTES, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ntmm_mem_extended_parameter twice[] = {
            {.type = cases[i].type, .value = cases[i].value},
            {.type = cases[i].type, .value = cases[i].value},
        };
        assert_int_equal(map_with(w, section, process, twice, 1), cases[i].expected);
        assert_int_equal(map_with(w, section, process, twice, 2), NTMM_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(map_with(w, section, process, NULL, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(map_with(w, section, process, NULL, 1), NTMM_STATUS_INVALID_PARAMETER);
    close_section(w, section);
    check_ok(ntmm_end_process(w->system, process));
}

static void test_bounds_of_a_view(void **state)
{
    static const struct {
        struct ntmm_mem_address_requirements bounds;
        ntmm_status expected;
    } cases[] = {
        {{0, 0, 0}, NTMM_STATUS_SUCCESS},
        {{0x100000, 0x1FFFFF, 0}, NTMM_STATUS_SUCCESS},
        {{0x100000, 0x1FFFFF, 0x10000}, NTMM_STATUS_INVALID_PARAMETER},
        {{0x101000, 0x1FFFFF, 0}, NTMM_STATUS_INVALID_PARAMETER},
        {{0x100000, 0x200000, 0}, NTMM_STATUS_INVALID_PARAMETER},
        {{0x200000, 0x1FFFFF, 0}, NTMM_STATUS_INVALID_PARAMETER},
        {{0, NTMM_HIGHEST_USER_ADDRESS + NTMM_PAGE_SIZE, 0}, NTMM_STATUS_INVALID_PARAMETER},
    };
    struct world *w = *state;
    ntmm_handle process = make_process(w);
    ntmm_handle section = make_section(w, FILE_BYTES, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ntmm_mem_extended_parameter given = {
            .type = NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS, .requirements = &cases[i].bounds};
        assert_int_equal(map_with(w, section, process, &given, 1), cases[i].expected);
    }
    const struct ntmm_mem_extended_parameter none = {
        .type = NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS, .requirements = NULL};
    assert_int_equal(map_with(w, section, process, &none, 1), NTMM_STATUS_ACCESS_VIOLATION);
    close_section(w, section);
    check_ok(ntmm_end_process(w->system, process));
}

/* Pointers that are none, and structures of another version: nothing happens. */
static void test_arguments_of_sections(void **state)
{
    struct world *w = *state;
    static const uint16_t name[] = {'n'};
    ntmm_handle section = make_section(w, PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    ntmm_handle other = 7;
    uint64_t size = PAGE;
    const struct ntmm_caller callers[] = {
        {.size = sizeof callers[0] - 1, .version = NTMM_CALLER_VERSION},
        {.size = sizeof callers[0], .version = NTMM_CALLER_VERSION + 1},
    };
    struct ntmm_section_config config = {.size = sizeof config,
                                         .version = NTMM_SECTION_CONFIG_VERSION};
    for (uint32_t i = 0; i < 2; i++) {
        config.caller = &callers[i];
        assert_int_equal(ntmm_create_section(w->system, &other, NTMM_SECTION_ALL_ACCESS, &config,
                                             &size, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
    }
    config.caller = NULL;
    config.name_units = 1; /* of no name */
    assert_int_equal(ntmm_create_section(w->system, &other, NTMM_SECTION_ALL_ACCESS, &config, &size,
                                         NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_open_section(w->system, NULL, NTMM_SECTION_MAP_READ, name, 1),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_open_section(w->system, &other, NTMM_SECTION_MAP_READ, NULL, 1),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_duplicate_section(w->system, section, NTMM_SECTION_MAP_READ, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(other, 7);
    close_section(w, section);
}

static void test_arguments_of_files(void **state)
{
    struct world *w = *state;
    static const uint16_t name[NTMM_FILE_NAME_MAXIMUM + 1] = {'f'};
    const struct ntmm_file_config plain = {.size = sizeof plain,
                                           .version = NTMM_FILE_CONFIG_VERSION,
                                           .device = add_memory_file(w, PAGE, MIB, 0),
                                           .size_bytes = PAGE};
    struct ntmm_file_config wrong[5] = {plain, plain, plain, plain, plain};
    ntmm_handle file = 7;
    wrong[0].valid_bytes = PAGE + 1;
    wrong[1].size_bytes = UINT64_C(1) << 62;
    wrong[2].flags = 1u << 31;
    wrong[3].name = name;
    wrong[3].name_units = NTMM_FILE_NAME_MAXIMUM + 1;
    wrong[4].name_units = 1; /* of no name */
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(ntmm_create_file(w->system, &wrong[i], ALL_FILE, &file),
                         NTMM_STATUS_INVALID_PARAMETER_2);
    wrong[0] = plain;
    wrong[0].device = add_page_file(w, MIB); /* it holds pages already */
    assert_int_equal(ntmm_create_file(w->system, &wrong[0], ALL_FILE, &file),
                     NTMM_STATUS_SHARING_VIOLATION);
    assert_int_equal(file, 7);
    check_ok(ntmm_create_file(w->system, &plain, ALL_FILE, &file));
    close_file(w, file);
}

/* 4.2: one address in all processes; whoever asks for it may say so, and for no other. */
static void test_based_sections(void **state)
{
    struct world *w = *state;
    ntmm_handle process = make_process(w), other = make_process(w);
    ntmm_handle section =
        make_section(w, PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT | NTMM_SEC_BASED, 0);
    uint64_t base = map(w, section, process, NTMM_PAGE_READWRITE), asked = base, size = 0;
    check_ok(ntmm_map_view_of_section(w->system, section, other, &asked, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE));
    assert_int_equal(asked, base);
    unmap(w, other, base);
    asked = base - 0x100000;
    size = 0;
    assert_int_equal(ntmm_map_view_of_section(w->system, section, other, &asked, 0, 0, NULL, &size,
                                              NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    asked = 0;
    assert_int_equal(ntmm_map_view_of_section(w->system, section, process, &asked, 0, 0, NULL,
                                              &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES); /* it is there already */
    unmap(w, process, base);
    close_section(w, section);
    check_ok(ntmm_end_process(w->system, process));
    check_ok(ntmm_end_process(w->system, other));
}

/* What does not fit below 2 GiB has no address: each process has its own. */
static void test_based_section_without_room(void **state)
{
    struct world *w = *state;
    struct ntmm_section_basic_information about;
    ntmm_handle process = make_process(w);
    ntmm_handle section =
        make_section(w, 3072 * MIB, NTMM_PAGE_READWRITE, NTMM_SEC_RESERVE | NTMM_SEC_BASED, 0);
    check_ok(ntmm_query_section(w->system, section, NTMM_SECTION_BASIC_INFORMATION, &about,
                                sizeof about, NULL));
    assert_int_equal(about.base_address, 0);
    uint64_t base = 0, size = 64 * PAGE;
    check_ok(ntmm_map_view_of_section(w->system, section, process, &base, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE));
    unmap(w, process, base);
    close_section(w, section);
    check_ok(ntmm_end_process(w->system, process));
}

static void test_arguments_of_flushes(void **state)
{
    struct world *w = *state;
    ntmm_handle process = make_process(w);
    struct ntmm_io_status io;
    uint64_t base = 0x10000, size = PAGE;
    assert_int_equal(ntmm_flush_virtual_memory(w->system, process, NULL, &size, &io),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_flush_virtual_memory(w->system, process, &base, NULL, &io),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_flush_virtual_memory(w->system, process, &base, &size, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(base, 0x10000);
    assert_int_equal(size, PAGE);
    check_ok(ntmm_end_process(w->system, process));
}

/* Bytes that would go around the end of the caller's memory. */
static void test_buffers_have_an_end(void **state)
{
    struct world *w = *state;
    ntmm_handle file = make_file(w, 4 * PAGE);
    void *last = (void *)(UINTPTR_MAX - 3);
    uint64_t moved = 9;
    assert_int_equal(ntmm_read_file(w->system, file, 0, last, 5, &moved),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_write_file(w->system, file, 0, last, 5, &moved),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(moved, 0);
    assert_int_equal(ntmm_read_file(w->system, file, 0, NULL, 5, &moved),
                     NTMM_STATUS_ACCESS_VIOLATION);
    check_ok(ntmm_read_file(w->system, file, 0, NULL, 0, &moved));
    close_file(w, file);
}

/* UNICODE_STRING: length, length with the NUL, pointer; the name follows, and its NUL. */
static void test_the_name_of_a_view_ends(void **state)
{
    struct world *w = *state;
    static const uint16_t name[] = {'\\', 'n'};
    /* Fields in the host's byte order; the length, its maximum, four bytes of padding. */
    static const uint16_t lengths[4] = {4, 6}, units[] = {'\\', 'n', 0, 0xFFFF};
    const struct ntmm_file_config config = {
        .size = sizeof config,
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = add_memory_file(w, FILE_BYTES, FILE_BYTES, 0),
        .name = name,
        .size_bytes = FILE_BYTES,
        .valid_bytes = FILE_BYTES,
        .name_units = 2,
    };
    ntmm_handle file, process = make_process(w);
    uint8_t found[24];
    uint64_t length;
    check_ok(ntmm_create_file(w->system, &config, ALL_FILE, &file));
    ntmm_handle section = make_section(w, FILE_BYTES, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    uint64_t base = map(w, section, process, NTMM_PAGE_READONLY);
    memset(found, 0xFF, sizeof found);
    check_ok(ntmm_query_virtual_memory_class(w->system, process, base,
                                             NTMM_MEMORY_MAPPED_FILENAME_INFORMATION, found,
                                             sizeof found, &length));
    assert_int_equal(length, 22);
    assert_memory_equal(found, lengths, sizeof lengths);
    assert_memory_equal(found + 16, units, sizeof units);
    close_section(w, section);
    check_ok(ntmm_end_process(w->system, process));
    close_file(w, file);
}

/* What of a new process is the parent's cannot be asked for. */
static void test_arguments_of_clones(void **state)
{
    struct world *w = *state;
    ntmm_handle process = make_process(w), child = 7;
    const struct ntmm_process_config plain = {.size = sizeof plain,
                                              .version = NTMM_PROCESS_CONFIG_VERSION};
    struct ntmm_process_config configs[4] = {plain, plain, plain, plain};
    configs[0].highest_address = 0x7FFFFFFF;
    configs[1].bottom_up_start = 0x100000;
    configs[2].flags = NTMM_PROCESS_CONTROL_FLOW_GUARD;
    configs[3].protection = 0x31;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(ntmm_clone_process(w->system, process, &configs[i], &child),
                         NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_clone_process(w->system, process, &plain, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(child, 7);
    check_ok(ntmm_clone_process(w->system, process, &plain, &child));
    check_ok(ntmm_end_process(w->system, child));
    check_ok(ntmm_end_process(w->system, process));
}

/* A page on its way to the device stays; when it is there all of them go. */
static void test_a_purge_waits_for_nobody(void **state)
{
    struct world *w = *state;
    const struct ntmm_platform *platform = ntmm_emulated_platform(w->emu);
    ntmm_handle file = make_file(w, 6 * PAGE);
    uint8_t bytes[16] = {1};
    uint64_t moved;
    check_ok(ntmm_read_file(w->system, file, 4 * PAGE, bytes, sizeof bytes, &moved));
    check_ok(ntmm_write_file(w->system, file, 2 * PAGE, "first", 5, &moved));
    assert_int_equal(ntmm_write_mapped_pages(w->system, 8), 1);
    assert_int_equal(ntmm_purge_file(w->system, file), NTMM_STATUS_PURGE_FAILED);
    check_world(w);
    check_ok(ntmm_read_file(w->system, file, 2 * PAGE, bytes, 5, &moved));
    assert_memory_equal(bytes, "first", 5);
    for (uint32_t i = 0; i < 64; i++)
        platform->pump(platform->context);
    check_ok(ntmm_purge_file(w->system, file));
    check_world(w);
    check_ok(ntmm_read_file(w->system, file, 2 * PAGE, bytes, 5, &moved));
    assert_memory_equal(bytes, "first", 5); /* from the device */
    close_file(w, file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_device_is_one_file, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_nobody_used, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_a_device_is_full, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_a_write_that_fails_leaves_its_length, setup,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_names_have_a_size, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_pointers_are_needed, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_extended_allocations_of_a_view, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_parameters_of_a_view, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds_of_a_view, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_arguments_of_sections, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_arguments_of_files, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_based_sections, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_based_section_without_room, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_arguments_of_flushes, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_buffers_have_an_end, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_the_name_of_a_view_ends, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_arguments_of_clones, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_a_purge_waits_for_nobody, setup, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
