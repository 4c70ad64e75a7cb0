/*
 * Files that are cut short while their pages are on the way: what lay behind the new end is zero
 * when the file grows again, whatever transfer was in flight.
 */
#include "section_world.h"

#include <ntmm/fault.h>

#define BYTES (10 * PAGE)
#define SEEDS 16u /* so that some transfers are slower than the flush that comes first */
#define LEFT (5 * PAGE)

static uint64_t add_slow_file(struct world *w)
{
    static uint8_t contents[BYTES];
    uint64_t device;
    memset(contents, 0x11, sizeof contents);
    const struct ntmm_emulated_file_config config = {.size = sizeof config,
                                                     .version = NTMM_EMULATED_FILE_VERSION,
                                                     .contents = contents,
                                                     .size_bytes = BYTES,
                                                     .maximum_bytes = MIB,
                                                     .minimum_latency_pumps = 1,
                                                     .maximum_latency_pumps = 64};
    check_ok(ntmm_emulated_add_file(w->emu, &config, &device, NULL));
    return device;
}

static void make_slow_world(struct world *w, uint64_t seed)
{
    make_world(w, (struct ntmm_emulated_config){.ram_bytes = 2 * MIB, .cpu_count = 1, .seed = seed},
               0);
}

static void write_byte(struct world *w, ntmm_handle file, uint64_t at, uint8_t byte)
{
    uint64_t moved;
    check_ok(ntmm_write_file(w->system, file, at, &byte, 1, &moved));
}

static void expect_byte(struct world *w, ntmm_handle file, uint64_t at, uint8_t expected)
{
    uint8_t byte = 0xEE;
    uint64_t moved;
    check_ok(ntmm_read_file(w->system, file, at, &byte, 1, &moved));
    assert_int_equal(byte, expected);
}

/* The mapped page writer's transfer is in flight when the page is cut off. */
static void truncate_while_written(uint64_t seed)
{
    struct world w;
    make_slow_world(&w, seed);
    ntmm_handle file = open_device(&w, add_slow_file(&w), BYTES);
    write_byte(&w, file, 9 * PAGE, 0x22);
    assert_int_equal(ntmm_write_mapped_pages(w.system, 8), 1);
    check_ok(ntmm_set_file_size(w.system, file, LEFT));
    check_ok(ntmm_set_file_size(w.system, file, BYTES));
    for (uint64_t page = 5; page < 10; page++)
        expect_byte(&w, file, page * PAGE, 0);
    expect_byte(&w, file, 4 * PAGE, 0x11);
    check_world(&w);
    close_file(&w, file);
    end_world(&w);
}

/* Pages read ahead are on their way in. */
static void truncate_while_read(uint64_t seed)
{
    struct world w;
    make_slow_world(&w, seed);
    ntmm_handle process = make_process(&w);
    ntmm_handle file = open_device(&w, add_slow_file(&w), BYTES);
    ntmm_handle section = make_section(&w, 0, NTMM_PAGE_READONLY, NTMM_SEC_COMMIT, file);
    uint64_t base = map(&w, section, process, NTMM_PAGE_READONLY);
    struct ntmm_fault_request request = {
        .process = process, .address = base + 7 * PAGE, .error_code = NTMM_FAULT_USER};
    struct ntmm_fault_result result;
    struct ntmm_wait wait = {0};
    assert_int_equal(ntmm_fault_begin(w.system, &request, &wait, &result), NTMM_STATUS_PENDING);
    ntmm_fault_cancel(w.system, &wait);
    unmap(&w, process, base);
    close_section(&w, section);
    check_ok(ntmm_set_file_size(w.system, file, LEFT));
    check_ok(ntmm_set_file_size(w.system, file, BYTES));
    for (uint64_t page = 5; page < 10; page++)
        expect_byte(&w, file, page * PAGE, 0);
    check_world(&w);
    close_file(&w, file);
    check_ok(ntmm_end_process(w.system, process));
    end_world(&w);
}

static void test_truncate_while_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        truncate_while_written(seed);
}

static void test_truncate_while_read(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        truncate_while_read(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncate_while_written),
        cmocka_unit_test(test_truncate_while_read),
    };
    return cmocka_run_group_tests_name("file_truncation", tests, NULL, NULL);
}
