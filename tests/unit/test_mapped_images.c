/*
 * Views of images: what of a file becomes which pages, where, with which protection, and who shares
 * them. Expectations: nt_semantics 5.
 */
#include "section_world.h"

#include "pe_file.h"
#include "pe_flat.h"

#include <ntmm/fault.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

struct fixture {
    struct world w;
    ntmm_handle first, second;
    struct pe_file pe;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_pair_world(&f->w, &f->first, &f->second);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end_pair_world(&f->w, f->first, f->second);
    free(f);
    return 0;
}

static ntmm_handle open_pe(struct fixture *f)
{
    return open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
}

static ntmm_handle make_image(struct fixture *f, ntmm_handle file)
{
    return make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
}

static ntmm_status map_image(struct fixture *f, ntmm_handle section, ntmm_handle process,
                             uint64_t *base)
{
    uint64_t size = 0;
    return ntmm_map_view_of_section(f->w.system, section, process, base, 0, 0, NULL, &size,
                                    NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY);
}

static void compare_with_flat(struct fixture *f, uint32_t cpu, uint64_t view, uint64_t base)
{
    struct image image;
    struct image_source source = pe_source(&f->pe);
    check_ok(pe_parse(&f->pe, &image));
    uint8_t directory[64];
    if (image.has_relocations)
        check_ok(image_read_rva(&source, &image, image.relocation_rva, directory,
                                image.relocation_bytes));
    uint8_t *flat = calloc(image.image_pages, PAGE);
    assert_non_null(flat);
    check_ok(pe_flat_image(&source, &image, directory, base, flat));
    for (uint32_t page = 0; page < image.image_pages; page++) {
        uint8_t bytes[4096];
        check_ok(ntmm_emulated_load(f->w.emu, cpu, view + page * PAGE, bytes, PAGE, NULL, NULL));
        assert_memory_equal(bytes, flat + page * PAGE, PAGE);
    }
    free(flat);
}

/* Two processes have it at the same base, relocated, in the same frames. */
static void test_relocated_and_shared(void **state)
{
    struct fixture *f = *state;
    pe_make(&f->pe, true);
    pe_add_relocations(&f->pe, 0x160);
    ntmm_handle file = open_pe(f);
    ntmm_handle section = make_image(f, file);
    uint64_t a = 0, b = 0;
    check_ok(map_image(f, section, f->first, &a));
    check_ok(map_image(f, section, f->second, &b));
    assert_int_equal(a, b);
    assert_true(a >= UINT64_C(0x7FF600000000));
    compare_with_flat(f, 0, a, a);
    compare_with_flat(f, 1, b, b);
    check_world(&f->w);
    for (uint64_t page = 0; page < 3; page++) {
        struct ntmm_explanation one, other;
        check_ok(ntmm_explain(f->w.system, f->first, a + page * PAGE, &one));
        check_ok(ntmm_explain(f->w.system, f->second, b + page * PAGE, &other));
        assert_int_equal(one.frame.frame, other.frame.frame);
    }
    /* a second view in the same process is elsewhere, its pages as for the first */
    uint64_t c = 0;
    assert_int_equal(map_image(f, section, f->first, &c), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    compare_with_flat(f, 0, c, a);
    unmap(&f->w, f->first, c);
    /* pages that were given up come back relocated */
    check_ok(ntmm_memory_list_command(f->w.system, f->first, NTMM_MEMORY_EMPTY_WORKING_SETS));
    check_ok(ntmm_memory_list_command(f->w.system, f->first, NTMM_MEMORY_PURGE_STANDBY_LIST));
    unmap(&f->w, f->second, b);
    close_section(&f->w, section);
    close_file(&f->w, file);
    compare_with_flat(f, 0, a, a);
}

/* 5.3: protections, and what a write does. */
static void test_protections(void **state)
{
    struct fixture *f = *state;
    pe_make(&f->pe, true);
    pe_add_section(&f->pe, 0x2000, 0x2000, PE_READ | PE_WRITE | PE_SHARED);
    ntmm_handle file = open_pe(f);
    ntmm_handle section = make_image(f, file);
    struct image image;
    check_ok(pe_parse(&f->pe, &image));
    uint64_t before = about(&f->w, f->first).commit_pages;
    uint64_t a = 0, b = 0;
    check_ok(map_image(f, section, f->first, &a));
    check_ok(map_image(f, section, f->second, &b));
    assert_int_equal(a, image.preferred_base);
    struct ntmm_io_status io;
    uint64_t flushed = a, flushed_bytes = 0;
    assert_int_equal(
        ntmm_flush_virtual_memory(f->w.system, f->first, &flushed, &flushed_bytes, &io),
        NTMM_STATUS_NOT_MAPPED_DATA);
    struct ntmm_memory_basic_information m = query(&f->w, f->first, a);
    assert_int_equal(m.type, NTMM_MEM_IMAGE);
    assert_int_equal(m.allocation_protect, NTMM_PAGE_EXECUTE_WRITECOPY);
    assert_int_equal(m.protect, NTMM_PAGE_READONLY);
    assert_int_equal(m.region_size, PAGE);
    uint64_t data = a + 0x3000, shared = a + 0x6000;
    m = query(&f->w, f->first, data);
    assert_int_equal(m.protect, NTMM_PAGE_WRITECOPY);
    assert_int_equal(m.region_size, 3 * PAGE);
    assert_int_equal(about(&f->w, f->first).commit_pages - before, 3);
    assert_int_equal(query(&f->w, f->first, shared).protect, NTMM_PAGE_READWRITE);
    check_ok(store64(&f->w, 0, data, 0x1234));
    check_ok(store64(&f->w, 0, data + 2 * PAGE, 0x5678)); /* of zeros */
    check_ok(store64(&f->w, 0, shared, 0x9ABC));
    m = query(&f->w, f->first, data);
    assert_int_equal(m.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(m.region_size, PAGE);
    uint64_t value;
    check_ok(load64(&f->w, 1, b + 0x3000, &value));
    assert_int_not_equal(value, 0x1234);
    check_ok(load64(&f->w, 1, b + 0x5000, &value));
    assert_int_equal(value, 0);
    check_ok(load64(&f->w, 1, b + 0x6000, &value));
    assert_int_equal(value, 0x9ABC);
    assert_int_equal(store64(&f->w, 0, a + 0x1000, 1), NTMM_STATUS_ACCESS_VIOLATION);
    check_world(&f->w);
    /* what would write is stored as copy on write */
    protect_page(&f->w, f->first, a + 0x1000, NTMM_PAGE_READWRITE);
    assert_int_equal(query(&f->w, f->first, a + 0x1000).protect, NTMM_PAGE_WRITECOPY);
    check_ok(store64(&f->w, 0, a + 0x1000, 1));
    assert_int_equal(query(&f->w, f->first, a + 0x1000).protect, NTMM_PAGE_READWRITE);
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    assert_int_equal(about(&f->w, f->first).commit_pages, before);
    unmap(&f->w, f->second, b);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

static ntmm_status ask_image(struct fixture *f, uint64_t address,
                             struct ntmm_memory_image_information *found)
{
    uint64_t written = 0;
    memset(found, 0xA5, sizeof *found);
    ntmm_status status = ntmm_query_virtual_memory_class(f->w.system, f->first, address,
                                                         NTMM_MEMORY_IMAGE_INFORMATION, found,
                                                         sizeof *found, &written);
    assert_int_equal(written, status == NTMM_STATUS_SUCCESS ? sizeof *found : 0);
    return status;
}

/* 3.3: base and size of the whole image, whichever part of it is mapped. */
static void test_image_information(void **state)
{
    struct fixture *f = *state;
    struct ntmm_memory_image_information found;
    struct image image;
    pe_make(&f->pe, true);
    pe_add_section(&f->pe, 0x20000, 0, PE_READ);
    check_ok(pe_parse(&f->pe, &image));
    ntmm_handle file = open_pe(f);
    ntmm_handle section = make_image(f, file);
    uint64_t a = 0, b = 0, c = 0, offset = 0x10000, size = 0;
    check_ok(map_image(f, section, f->first, &a));
    check_ok(ask_image(f, a + 0x5000, &found));
    assert_int_equal(found.image_base, a);
    assert_int_equal(found.size_of_image, image.image_pages * PAGE);
    assert_int_equal(found.flags, 0);
    assert_true(
        NTMM_SUCCEEDED(ntmm_map_view_of_section(f->w.system, section, f->first, &b, 0, 0, &offset,
                                                &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY)));
    check_ok(ask_image(f, b, &found)); /* without its first 64 KiB */
    assert_int_equal(found.image_base, b - 0x10000);
    assert_int_equal(found.size_of_image, image.image_pages * PAGE);
    assert_int_equal(found.flags, 1);
    size = 0x2000;
    assert_true(
        NTMM_SUCCEEDED(ntmm_map_view_of_section(f->w.system, section, f->first, &c, 0, 0, NULL,
                                                &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY)));
    check_ok(ask_image(f, c, &found)); /* without its end */
    assert_int_equal(found.image_base, c);
    assert_int_equal(found.flags, 1);
    ntmm_handle data = make_section(&f->w, 0, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE_NO_EXECUTE, file);
    uint64_t d = 0;
    assert_true(NTMM_SUCCEEDED(map_image(f, data, f->first, &d)));
    check_ok(ask_image(f, d, &found)); /* not executable */
    assert_int_equal(found.flags, 2);
    unmap(&f->w, f->first, d);
    close_section(&f->w, data);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->first, b);
    unmap(&f->w, f->first, c);
    close_section(&f->w, section);
    section = make_section(&f->w, 0, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    a = map(&f->w, section, f->first, NTMM_PAGE_READONLY);
    assert_int_equal(ask_image(f, a, &found), NTMM_STATUS_INVALID_ADDRESS); /* data */
    unmap(&f->w, f->first, a);
    assert_int_equal(ask_image(f, a, &found), NTMM_STATUS_INVALID_ADDRESS);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

static void test_statuses(void **state)
{
    struct fixture *f = *state;
    pe_make(&f->pe, true);
    ntmm_handle file = open_pe(f);
    ntmm_handle section = make_image(f, file);
    ntmm_handle other;
    uint64_t size = 0x100000;
    assert_int_equal(ntmm_create_section(f->w.system, &other, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_SECTION_TOO_BIG);
    assert_int_equal(ntmm_open_file(f->w.system, file, NTMM_FILE_WRITE_DATA, &other),
                     NTMM_STATUS_SHARING_VIOLATION);
    assert_int_equal(ntmm_can_delete_file(f->w.system, file), NTMM_STATUS_CANNOT_DELETE);
    uint8_t information[64];
    uint64_t length;
    check_ok(ntmm_query_section(f->w.system, section, NTMM_SECTION_IMAGE_INFORMATION, information,
                                64, &length));
    assert_int_equal(length, 64);
    assert_int_equal(information[48] | information[49] << 8, 0x8664);
    struct ntmm_section_basic_information basic;
    check_ok(ntmm_query_section(f->w.system, section, NTMM_SECTION_BASIC_INFORMATION, &basic,
                                sizeof basic, NULL));
    assert_int_equal(basic.allocation_attributes, NTMM_SEC_FILE | NTMM_SEC_IMAGE);
    close_section(&f->w, section);
    check_ok(ntmm_can_delete_file(f->w.system, file));
    close_file(&f->w, file);
    pe_make(&f->pe, false);
    file = open_pe(f);
    section = make_image(f, file);
    uint64_t base = 0;
    assert_int_equal(map_image(f, section, f->first, &base),
                     NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH);
    unmap(&f->w, f->first, base);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* 4.2: what is wrong with an image, its size too, comes before a name that is taken. */
/* Checks 9 and 10 of 4.2: the headers and the size, then the locks of bytes. */
static void test_size_before_locks(void **state)
{
    struct fixture *f = *state;
    ntmm_handle other, section = 7;
    uint64_t too_large = 0x100000;
    pe_make(&f->pe, true);
    ntmm_handle file = open_pe(f);
    check_ok(ntmm_open_file(f->w.system, file, ALL_FILE, &other));
    check_ok(ntmm_lock_file(f->w.system, other, 0, 1, 0,
                            NTMM_LOCK_EXCLUSIVE | NTMM_LOCK_FAIL_IMMEDIATELY));
    assert_int_equal(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                         &too_large, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_SECTION_TOO_BIG);
    assert_int_equal(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL, NULL,
                                         NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_FILE_LOCK_CONFLICT);
    assert_int_equal(section, 7);
    check_ok(ntmm_unlock_file(f->w.system, other, 0, 1, 0));
    close_file(&f->w, other);
    close_file(&f->w, file);
}

static void test_size_before_name(void **state)
{
    struct fixture *f = *state;
    static const uint16_t name[] = {'n'};
    struct ntmm_section_config config = {.size = sizeof config,
                                         .version = NTMM_SECTION_CONFIG_VERSION,
                                         .name = name,
                                         .name_units = 1};
    ntmm_handle taken, other;
    uint64_t size = PAGE, too_large = 0x100000;
    check_ok(ntmm_create_section(f->w.system, &taken, NTMM_SECTION_ALL_ACCESS, &config, &size,
                                 NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0));
    pe_make(&f->pe, true);
    ntmm_handle file = open_pe(f);
    for (config.open_if = 0; config.open_if < 2; config.open_if++)
        assert_int_equal(ntmm_create_section(f->w.system, &other, NTMM_SECTION_ALL_ACCESS, &config,
                                             &too_large, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                         NTMM_STATUS_SECTION_TOO_BIG);
    config.open_if = 0;
    assert_int_equal(ntmm_create_section(f->w.system, &other, NTMM_SECTION_ALL_ACCESS, &config,
                                         &size, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_OBJECT_NAME_COLLISION);
    close_section(&f->w, taken);
    close_file(&f->w, file);
}

/* A page of a file's data is being read, nobody waits for it, and the file goes. */
static void leave_a_read(struct fixture *f)
{
    struct ntmm_emulated_file_config config = {.size = sizeof config,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .size_bytes = 4 * PAGE,
                                               .minimum_latency_pumps = 1,
                                               .maximum_latency_pumps = 500};
    struct ntmm_wait wait = {0};
    struct ntmm_fault_result result;
    struct ntmm_fault_request request = {.process = f->first, .error_code = NTMM_FAULT_USER};
    uint64_t device;
    check_ok(ntmm_emulated_add_file(f->w.emu, &config, &device, NULL));
    ntmm_handle file = open_device(&f->w, device, 4 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    request.address = map(&f->w, section, f->first, NTMM_PAGE_READONLY);
    assert_int_equal(ntmm_fault_begin(f->w.system, &request, &wait, &result), NTMM_STATUS_PENDING);
    ntmm_fault_cancel(f->w.system, &wait);
    unmap(&f->w, f->first, request.address);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* What ends after the control area that it was for takes no other for that one. */
static void test_reads_outlive_areas(void **state)
{
    struct fixture *f = *state;
    uint64_t moved;
    uint8_t byte;
    pe_make(&f->pe, true);
    for (uint32_t i = 0; i < 40; i++) {
        ntmm_handle file = open_pe(f);
        /* its data area is there before the other file's goes */
        check_ok(ntmm_read_file(f->w.system, file, 0, &byte, 1, &moved));
        leave_a_read(f);
        ntmm_handle section = make_image(f, file);
        const struct ntmm_platform *platform = ntmm_emulated_platform(f->w.emu);
        for (uint32_t j = 0; j < 600; j++)
            platform->pump(platform->context);
        check_world(&f->w);
        close_section(&f->w, section);
        close_file(&f->w, file);
    }
}

/* Nothing is left of an image that is none. */
static void test_what_is_no_image(void **state)
{
    static const struct {
        uint32_t offset;
        uint16_t value;
        uint8_t system; /* of an NE header */
        ntmm_status status;
    } SPOILED[] = {
        {0, 0x5A5A, 0, NTMM_STATUS_INVALID_IMAGE_NOT_MZ},
        {PE_OFFSET, 0x4551, 0, NTMM_STATUS_INVALID_IMAGE_PROTECT},
        {PE_OFFSET, 0x454C, 0, NTMM_STATUS_INVALID_IMAGE_LE_FORMAT},
        {PE_OFFSET, 0x454E, 1, NTMM_STATUS_INVALID_IMAGE_NE_FORMAT},
        {PE_OFFSET, 0x454E, 2, NTMM_STATUS_INVALID_IMAGE_WIN_16},
        {PE_OFFSET + 4, 0x1234, 0, NTMM_STATUS_INVALID_IMAGE_FORMAT}, /* machine */
    };
    struct fixture *f = *state;
    for (uint32_t i = 0; i < sizeof SPOILED / sizeof SPOILED[0]; i++) {
        ntmm_handle section = 0;
        pe_make(&f->pe, true);
        pe_set16(&f->pe, SPOILED[i].offset, SPOILED[i].value);
        if (SPOILED[i].system)
            f->pe.bytes[PE_OFFSET + 0x36] = SPOILED[i].system;
        ntmm_handle file = open_pe(f);
        assert_int_equal(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                             NULL, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                         SPOILED[i].status);
        assert_int_equal(section, 0);
        close_file(&f->w, file);
    }
}

/* Behind an image there is nothing that could come: it does not grow. */
static void test_reserved_views_end_with_the_image(void **state)
{
    struct fixture *f = *state;
    struct image image;
    pe_make(&f->pe, true);
    check_ok(pe_parse(&f->pe, &image));
    ntmm_handle file = open_pe(f);
    ntmm_handle section = make_image(f, file);
    uint64_t base = 0, size = image.image_pages * PAGE + 1;
    assert_int_equal(ntmm_map_view_of_section(f->w.system, section, f->first, &base, 0, 0, NULL,
                                              &size, NTMM_VIEW_SHARE, NTMM_MEM_RESERVE,
                                              NTMM_PAGE_READONLY),
                     NTMM_STATUS_INVALID_VIEW_SIZE);
    size--;
    assert_true(NTMM_SUCCEEDED(ntmm_map_view_of_section(f->w.system, section, f->first, &base, 0, 0,
                                                        NULL, &size, NTMM_VIEW_SHARE,
                                                        NTMM_MEM_RESERVE, NTMM_PAGE_READONLY)));
    unmap(&f->w, f->first, base);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_relocated_and_shared),
        TEST(test_protections),
        TEST(test_image_information),
        TEST(test_statuses),
        TEST(test_size_before_locks),
        TEST(test_size_before_name),
        TEST(test_reads_outlive_areas),
        TEST(test_what_is_no_image),
        TEST(test_reserved_views_end_with_the_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
