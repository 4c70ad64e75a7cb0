/*
 * Files: views of their data, reading and writing beside them, flushing, size, the end of a file,
 * and what is on the device afterwards. Expectations: nt_semantics 4.
 */
#include "section_world.h"

#include "base/instance.h"

#include <ntmm/borrow.h>
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
    struct ntmm_file_information information;
    check_ok(ntmm_query_file(f->w.system, file, &information));
    assert_int_equal(information.data_views + information.image_views, 0);
    assert_int_equal(information.data_sections + information.image_sections, 0);
    ntmm_handle section =
        make_section(&f->w, 600 * PAGE + 5, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    assert_int_equal(load8(f, 0, a + 99), pattern(99));
    assert_int_equal(load8(f, 0, a + 100), 0);
    assert_int_equal(load8(f, 0, a + 300 * PAGE), 0);
    store8(f, 0, a + 500 * PAGE, 7);
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

/* A file that is mapped grows beyond what one table of prototypes holds: its pages stay. */
static void test_extend_past_a_table(void **state)
{
    struct fixture *f = *state;
    uint64_t device = add_memory_file(&f->w, 8 * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&f->w, device, 8 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    assert_int_equal(load8(f, 0, a + 3 * PAGE), pattern(3 * PAGE));
    store8(f, 0, a + 4 * PAGE, 7);
    uint64_t size = 600 * PAGE;
    f->w.system->failures = (struct allocation_failures){.count = UINT64_MAX};
    assert_int_equal(ntmm_extend_section(f->w.system, section, &size), NTMM_STATUS_NO_MEMORY);
    f->w.system->failures = (struct allocation_failures){0};
    struct ntmm_file_information information;
    check_ok(ntmm_query_file(f->w.system, file, &information));
    assert_int_equal(information.size_bytes, 8 * PAGE);
    check_world(&f->w);
    check_ok(ntmm_extend_section(f->w.system, section, &size));
    check_world(&f->w);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_READWRITE);
    assert_int_equal(load8(f, 1, b + 3 * PAGE), pattern(3 * PAGE));
    assert_int_equal(load8(f, 1, b + 4 * PAGE), 7);
    assert_int_equal(load8(f, 1, b + 599 * PAGE), 0);
    store8(f, 1, b + 512 * PAGE, 8);
    store8(f, 0, a + 5 * PAGE, 9);
    assert_int_equal(load8(f, 1, b + 5 * PAGE), 9);
    check_world(&f->w);
    check_ok(ntmm_flush_file(f->w.system, file, 0, 0));
    const uint8_t *on_disk = image(f, device);
    assert_int_equal(on_disk[4 * PAGE], 7);
    assert_int_equal(on_disk[5 * PAGE], 9);
    assert_int_equal(on_disk[512 * PAGE], 8);
    close_section(&f->w, section);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
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
/* Transfers of the platform, as they are asked for. */
static struct {
    ntmm_status (*submit)(void *context, struct ntmm_io *io);
    struct {
        uint64_t page;
        uint32_t pages;
    } writes[16];
    uint32_t count;
} seen;

static ntmm_status note_writes(void *context, struct ntmm_io *io)
{
    if (io->operation == NTMM_IO_WRITE) {
        assert_true(seen.count < 16);
        seen.writes[seen.count].page = io->offset_bytes / PAGE;
        seen.writes[seen.count++].pages = io->span_count;
    }
    return seen.submit(context, io);
}

static void watch_writes(struct fixture *f)
{
    struct ntmm_platform *platform = &f->w.system->platform;
    seen.count = 0;
    seen.submit = platform->submit;
    platform->submit = note_writes;
}

static void expect_write(uint32_t index, uint64_t page, uint32_t pages)
{
    assert_true(index < seen.count);
    assert_int_equal(seen.writes[index].page, page);
    assert_int_equal(seen.writes[index].pages, pages);
}

static void write_page(struct fixture *f, ntmm_handle file, uint64_t page)
{
    uint64_t moved;
    uint8_t byte = (uint8_t)page;
    check_ok(ntmm_write_file(f->w.system, file, page * PAGE, &byte, 1, &moved));
}

/* The oldest modified page, with what is modified beside it in the file, in one transfer; then the
 * next oldest. */
static void test_the_writer_goes_by_file_offset(void **state)
{
    static const uint8_t order[] = {20, 5, 3, 21, 4, 19, 30, 6};
    struct fixture *f = *state;
    uint64_t device = add_memory_file(&f->w, 40 * PAGE, 40 * PAGE, 0);
    ntmm_handle file = open_device(&f->w, device, 40 * PAGE);
    for (size_t i = 0; i < sizeof order; i++)
        write_page(f, file, order[i]);
    watch_writes(f);
    assert_int_equal(ntmm_write_mapped_pages(f->w.system, 100), 8);
    assert_int_equal(seen.count, 3);
    expect_write(0, 19, 3);
    expect_write(1, 3, 4);
    expect_write(2, 30, 1);
    f->w.system->platform.submit = seen.submit;
    close_file(&f->w, file);
    for (size_t i = 0; i < sizeof order; i++)
        assert_int_equal(image(f, device)[order[i] * PAGE], order[i]);
}

/* Pages of the range that are modified, and no other; how it went is said twice. */
static void test_a_flush_is_of_its_range(void **state)
{
    struct fixture *f = *state;
    struct ntmm_io_status io = {.status = 77, .information = 77};
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_WRITE, .count = 1, .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    uint64_t device = add_memory_file(&f->w, 40 * PAGE, 40 * PAGE, 0);
    ntmm_handle file = open_device(&f->w, device, 40 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    for (uint64_t page = 2; page < 12; page++)
        store8(f, 0, a + page * PAGE, 0xA0);
    uint64_t base = a + 4 * PAGE + 5, size = 3 * PAGE;
    watch_writes(f);
    check_ok(ntmm_flush_virtual_memory(f->w.system, f->first, &base, &size, &io));
    assert_int_equal(base, a + 4 * PAGE);
    assert_int_equal(size, 4 * PAGE);
    assert_int_equal(io.status, NTMM_STATUS_SUCCESS);
    assert_int_equal(io.information, 0);
    assert_int_equal(seen.count, 1);
    expect_write(0, 4, 4);
    check_ok(ntmm_emulated_inject_disk(f->w.emu, device, &errors));
    base = a + 9 * PAGE;
    size = PAGE;
    assert_int_equal(ntmm_flush_virtual_memory(f->w.system, f->first, &base, &size, &io),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(io.status, NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(io.information, 0);
    f->w.system->platform.submit = seen.submit;
    assert_int_equal(image(f, device)[3 * PAGE], pattern(3 * PAGE));
    assert_int_equal(image(f, device)[7 * PAGE], 0xA0);
    assert_int_equal(image(f, device)[8 * PAGE], pattern(8 * PAGE));
    assert_int_equal(image(f, device)[9 * PAGE], pattern(9 * PAGE));
    unmap(&f->w, f->first, a);
    close_section(&f->w, section);
    close_file(&f->w, file);
    assert_int_equal(image(f, device)[9 * PAGE], 0xA0);
}

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
    assert_int_equal(*(uint8_t *)&value, pattern(0));
    check_ok(ntmm_end_process(w.system, first));
    check_ok(ntmm_end_process(w.system, second));
    close_section(&w, section);
    close_file(&w, file);
    end_world(&w);
}

/* More frames are needed than there are, and the only page that could be written is not: the device
 * fails a thousand times, at once or later. Who needs them gives up before that. */
static void use_device_that_fails(uint32_t is_refused)
{
    struct world w;
    struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_WRITE,
                                               .is_refused = is_refused,
                                               .count = is_refused ? UINT64_MAX : 1000,
                                               .status = NTMM_STATUS_INSUFFICIENT_RESOURCES};
    uint64_t base = 1ull << 40, size = 1ull << 30, value = 9;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 1 * MIB}, 4096);
    (void)add_page_file(&w, 1 * MIB);
    ntmm_handle process = make_process(&w);
    attach(&w, 0, process);
    uint64_t device = add_memory_file(&w, 8 * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&w, device, 8 * PAGE);
    ntmm_handle section = make_section(&w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t view = map(&w, section, process, NTMM_PAGE_READWRITE);
    check_ok(ntmm_emulated_store(w.emu, 0, view, &value, 8, NULL, NULL));
    check_ok(ntmm_emulated_inject_disk(w.emu, device, &errors));
    assert_int_equal(
        ntmm_map_borrowed(w.system, process, &base, &size, NTMM_PAGE_READWRITE, UINT64_C(1) << 30),
        NTMM_STATUS_NO_MEMORY);
    check_world(&w);
    assert_int_not_equal(*(uint8_t *)ntmm_emulated_disk_image(w.emu, device, NULL), 9);
    check_ok(ntmm_emulated_inject_disk(w.emu, device, NULL));
    unmap(&w, process, view);
    close_section(&w, section);
    close_file(&w, file);
    value = 0;
    memcpy(&value, ntmm_emulated_disk_image(w.emu, device, NULL), 8);
    assert_int_equal(value, 9);
    check_ok(ntmm_end_process(w.system, process));
    end_world(&w);
}

static void test_device_takes_nothing(void **state)
{
    (void)state;
    use_device_that_fails(1);
}

static void test_device_writes_nothing(void **state)
{
    (void)state;
    use_device_that_fails(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_read),
        TEST(test_coherence),
        TEST(test_extend),
        TEST(test_extend_past_a_table),
        TEST(test_larger_than_memory),
        TEST(test_failing_device),
        TEST(test_page_is_no_table),
        TEST(test_device_takes_nothing),
        TEST(test_device_writes_nothing),
        TEST(test_the_writer_goes_by_file_offset),
        TEST(test_a_flush_is_of_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
