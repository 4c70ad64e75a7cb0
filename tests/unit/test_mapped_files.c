/*
 * Files: views of their data, reading and writing beside them, flushing, size, the end of a file,
 * and what is on the device afterwards. Expectations: nt_semantics 4.
 */
#include "section_world.h"

#include <ntmm/fault.h>
#include <ntmm/statistics.h>

struct fixture {
    struct world w;
    ntmm_handle first, second;
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

static uint8_t load8(struct fixture *f, uint32_t cpu, uint64_t va)
{
    uint8_t value = 0;
    check_ok(ntmm_emulated_load(f->w.emu, cpu, va, &value, 1, NULL, NULL));
    return value;
}

static void store8(struct fixture *f, uint32_t cpu, uint64_t va, uint8_t value)
{
    check_ok(ntmm_emulated_store(f->w.emu, cpu, va, &value, 1, NULL, NULL));
}

static const uint8_t *image(struct fixture *f, uint64_t device)
{
    const uint8_t *bytes = ntmm_emulated_disk_image(f->w.emu, device, NULL);
    assert_non_null(bytes);
    return bytes;
}

/* What a file holds is what a view shows; behind its end zeros. */
static void test_read(void **state)
{
    struct fixture *f = *state;
    const uint64_t bytes = 40 * PAGE + 123;
    ntmm_handle file = make_file(&f->w, bytes);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READONLY);
    for (uint64_t i = 0; i < bytes; i += 61)
        assert_int_equal(load8(f, 0, a + i), pattern(i));
    for (uint64_t i = bytes; i < 41 * PAGE; i += 17)
        assert_int_equal(load8(f, 0, a + i), 0);
    struct ntmm_memory_basic_information m = query(&f->w, f->first, a);
    assert_int_equal(m.region_size, 41 * PAGE);
    assert_int_equal(m.state, NTMM_MEM_COMMIT);
    check_world(&f->w);
    close_file(&f->w, file);
    assert_int_equal(load8(f, 0, a + 5), pattern(5)); /* the view keeps it */
    close_section(&f->w, section);
    unmap(&f->w, f->first, a);
    check_world(&f->w);
}

/* One writes, one reads, one copies: each sees what it should, and the file what was written. */
static void test_coherence(void **state)
{
    struct fixture *f = *state;
    const uint64_t bytes = 20 * PAGE + 9;
    uint64_t device = add_memory_file(&f->w, bytes, 16 * MIB, 0);
    ntmm_handle file = open_device(&f->w, device, bytes);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_READONLY);
    uint64_t c = map(&f->w, section, f->second, NTMM_PAGE_WRITECOPY);
    store8(f, 0, a + 100, 0xAA);
    assert_int_equal(load8(f, 1, b + 100), 0xAA);
    store8(f, 1, c + 101, 0xBB);
    assert_int_equal(load8(f, 1, c + 100), 0xAA);
    assert_int_equal(load8(f, 1, b + 101), pattern(101));
    uint8_t byte = 0;
    uint64_t moved;
    check_ok(ntmm_read_file(f->w.system, file, 100, &byte, 1, &moved));
    assert_int_equal(byte, 0xAA);
    byte = 0xCC;
    check_ok(ntmm_write_file(f->w.system, file, 5 * PAGE, &byte, 1, &moved));
    assert_int_equal(load8(f, 0, a + 5 * PAGE), 0xCC);
    store8(f, 0, a + 20 * PAGE + 8, 0xDD); /* the last byte */
    store8(f, 0, a + 20 * PAGE + 9, 0xEE); /* behind it */
    check_world(&f->w);
    struct ntmm_io_status io;
    uint64_t base = a, size = 0;
    check_ok(ntmm_flush_virtual_memory(f->w.system, f->first, &base, &size, &io));
    const uint8_t *on_disk = image(f, device);
    assert_int_equal(on_disk[100], 0xAA);
    assert_int_equal(on_disk[101], pattern(101));
    assert_int_equal(on_disk[5 * PAGE], 0xCC);
    assert_int_equal(on_disk[20 * PAGE + 8], 0xDD);
    assert_int_equal(on_disk[20 * PAGE + 9], 0);
    check_world(&f->w);
    store8(f, 0, a + 100, 0xAB); /* dirty anew after the flush */
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
    unmap(&f->w, f->second, c);
    close_section(&f->w, section);
    close_file(&f->w, file);
    assert_int_equal(image(f, device)[100], 0xAB);
}

/* A section larger than the file makes it larger; what is new is zero, whatever the device has. */
static void test_extend(void **state)
{
    struct fixture *f = *state;
    uint64_t device = add_memory_file(&f->w, 100, 16 * MIB, NTMM_EMULATED_FILE_STALE);
    ntmm_handle file = open_device(&f->w, device, 100);
    ntmm_handle section =
        make_section(&f->w, 600 * PAGE + 5, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    assert_int_equal(load8(f, 0, a + 99), pattern(99));
    assert_int_equal(load8(f, 0, a + 100), 0);
    assert_int_equal(load8(f, 0, a + 300 * PAGE), 0);
    store8(f, 0, a + 500 * PAGE, 7);
    struct ntmm_file_information information;
    check_ok(ntmm_query_file(f->w.system, file, &information));
    assert_int_equal(information.size_bytes, 600 * PAGE + 5);
    assert_int_equal(information.data_views, 1);
    check_ok(ntmm_flush_file(f->w.system, file, 0, 0));
    check_ok(ntmm_query_file(f->w.system, file, &information));
    assert_in_range(information.valid_bytes, 500 * PAGE + 1, 600 * PAGE + 5);
    const uint8_t *on_disk = image(f, device);
    for (uint64_t i = 100; i < information.valid_bytes; i++)
        assert_int_equal(on_disk[i], i == 500 * PAGE ? 7 : 0);
    check_world(&f->w);
    uint64_t size = 900 * PAGE;
    check_ok(ntmm_extend_section(f->w.system, section, &size));
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_READONLY);
    assert_int_equal(load8(f, 1, b + 500 * PAGE), 7);
    assert_int_equal(load8(f, 1, b + 899 * PAGE), 0);
    close_section(&f->w, section);
    assert_int_equal(ntmm_set_file_size(f->w.system, file, 899 * PAGE),
                     NTMM_STATUS_USER_MAPPED_FILE);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
    check_ok(ntmm_set_file_size(f->w.system, file, 500 * PAGE + 1));
    check_ok(ntmm_set_file_size(f->w.system, file, 500 * PAGE + 100));
    uint8_t byte[2] = {1, 1};
    uint64_t moved;
    check_ok(ntmm_read_file(f->w.system, file, 500 * PAGE, byte, 2, &moved));
    assert_int_equal(byte[0], 7);
    assert_int_equal(byte[1], 0);
    close_file(&f->w, file);
}

/* A file larger than memory, written through a view while another copies. */
static void test_larger_than_memory(void **state)
{
    struct fixture *f = *state;
    const uint64_t pages = 3500;
    uint64_t device = add_memory_file(&f->w, pages * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&f->w, device, pages * PAGE);
    add_page_file(&f->w, 8 * MIB);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_WRITECOPY);
    for (uint64_t i = 0; i < pages; i++) {
        store8(f, 0, a + i * PAGE + 1, (uint8_t)i);
        if (i % 5 == 0)
            store8(f, 1, b + i * PAGE + 2, (uint8_t)(i + 1));
    }
    check_world(&f->w);
    for (uint64_t i = 0; i < pages; i++) {
        assert_int_equal(load8(f, 0, a + i * PAGE + 1), (uint8_t)i);
        assert_int_equal(load8(f, 1, b + i * PAGE + 1), (uint8_t)i);
        uint8_t own = i % 5 ? pattern(i * PAGE + 2) : (uint8_t)(i + 1);
        assert_int_equal(load8(f, 1, b + i * PAGE + 2), own);
    }
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
    close_section(&f->w, section);
    close_file(&f->w, file);
    const uint8_t *on_disk = image(f, device);
    for (uint64_t i = 0; i < pages * PAGE; i++)
        assert_int_equal(on_disk[i], i % PAGE == 1 ? (uint8_t)(i / PAGE) : pattern(i));
}

/* Reading fails: the exception says so; writing fails: the page stays modified. */
static void test_failing_device(void **state)
{
    struct fixture *f = *state;
    uint64_t device = add_memory_file(&f->w, 8 * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&f->w, device, 8 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                               .count = UINT64_MAX,
                                               .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    check_ok(ntmm_emulated_inject_disk(f->w.emu, device, &errors));
    uint64_t value;
    struct ntmm_fault_result result;
    assert_int_equal(ntmm_emulated_load(f->w.emu, 0, a + 2 * PAGE, &value, 8, NULL, &result),
                     NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(result.parameters[2], NTMM_STATUS_DEVICE_DATA_ERROR);
    check_world(&f->w);
    check_ok(ntmm_emulated_inject_disk(f->w.emu, device, NULL));
    store8(f, 0, a + 2 * PAGE, 9);
    errors.operations = 1u << NTMM_IO_WRITE;
    check_ok(ntmm_emulated_inject_disk(f->w.emu, device, &errors));
    assert_int_equal(ntmm_flush_file(f->w.system, file, 0, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    close_section(&f->w, section);
    assert_int_equal(ntmm_close_file(f->w.system, file), NTMM_STATUS_DEVICE_DATA_ERROR);
    check_world(&f->w);
    check_ok(ntmm_emulated_inject_disk(f->w.emu, device, NULL));
    file = open_device(&f->w, device, 8 * PAGE);
    close_file(&f->w, file);
    assert_int_equal(image(f, device)[2 * PAGE], 9);
}

static uint64_t count_available(struct world *w)
{
    struct ntmm_memory_information memory;
    ntmm_query_memory(w->system, &memory);
    uint64_t pages = memory.free_pages + memory.zeroed_pages;
    for (uint32_t i = 0; i < 8; i++)
        pages += memory.standby_pages[i];
    return pages;
}

/* A page on standby is available, but not for the tables that it is to be mapped through: a fault
 * that lacks the last frame for them gives up instead of trying for ever. */
static void test_page_is_no_table(void **state)
{
    struct world w;
    uint64_t value = 0;
    (void)state;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 2 * MIB, .cpu_count = 2}, 4096);
    ntmm_handle first = make_process(&w), second = make_process(&w);
    attach(&w, 0, first);
    attach(&w, 1, second);
    ntmm_handle file = make_file(&w, PAGE);
    ntmm_handle section = make_section(&w, 0, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&w, section, first, NTMM_PAGE_READONLY);
    uint64_t b = map(&w, section, second, NTMM_PAGE_READONLY);
    uint64_t filler = allocate(&w, first, 2 * MIB, NTMM_PAGE_READWRITE);
    uint64_t page = 0;
    while (count_available(&w) > 40)
        check_ok(store64(&w, 0, filler + page++ * PAGE, 1));
    check_ok(load64(&w, 0, a, &value));
    unmap(&w, first, a);
    while (count_available(&w) > 3) /* the page, and two for three tables */
        check_ok(store64(&w, 0, filler + page++ * PAGE, 1));
    assert_int_equal(load64(&w, 1, b, &value), NTMM_STATUS_NO_MEMORY);
    release(&w, first, filler);
    check_ok(load64(&w, 1, b, &value));
    assert_int_equal(value & 0xFF, pattern(0));
    check_ok(ntmm_end_process(w.system, first));
    check_ok(ntmm_end_process(w.system, second));
    close_section(&w, section);
    close_file(&w, file);
    end_world(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_read),           TEST(test_coherence),
        TEST(test_extend),         TEST(test_larger_than_memory),
        TEST(test_failing_device), TEST(test_page_is_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
