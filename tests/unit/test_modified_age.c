/*
 * Modified pages of files are written when they are old, whoever maps them, and not before.
 * Expectations: nt_semantics 4.7 and 9.1 (300 s, gradually, without pressure), docs/sections.md.
 */
#include "mapped_file_fixture.h"

#include <ntmm/statistics.h>

#define SECOND UINT64_C(10000000) /* of 100 ns */
#define LIFE (300 * SECOND)

static void open_fixture(struct fixture *f, uint64_t pages, uint64_t life)
{
    begin_fixture(f, 64 * MIB, pages, (struct ntmm_config){.modified_page_life_100ns = life});
}

static void store8(struct fixture *f, uint64_t va, uint8_t value)
{
    check_ok(ntmm_emulated_store(f->w.emu, 0, va, &value, 1, NULL, NULL));
}

static uint8_t byte_of(struct fixture *f, uint64_t device, uint64_t offset)
{
    const uint8_t *bytes = ntmm_emulated_disk_image(f->w.emu, device, NULL);
    assert_non_null(bytes);
    return bytes[offset];
}

static uint8_t on_device(struct fixture *f, uint64_t offset)
{
    return byte_of(f, f->device, offset);
}

static const struct ntmm_platform *platform(struct fixture *f)
{
    return ntmm_emulated_platform(f->w.emu);
}

static void pass_time(struct fixture *f, uint64_t time_100ns)
{
    struct ntmm_wait nothing = {0};
    uint64_t end = platform(f)->now(f->w.emu) + time_100ns;
    (void)platform(f)->wait(f->w.emu, &nothing, end);
    while (platform(f)->now(f->w.emu) < end)
        platform(f)->pump(f->w.emu);
}

static void finish_writes(struct fixture *f)
{
    for (uint32_t i = 0; i < 64; i++)
        platform(f)->pump(f->w.emu);
}

static void tick(struct fixture *f)
{
    ntmm_balance_set_manager(f->w.system);
    check_world(&f->w);
    finish_writes(f);
    check_world(&f->w);
}

static uint64_t written(struct fixture *f)
{
    uint64_t values[NTMM_COUNTER_COUNT];
    ntmm_query_counters(f->w.system, values, NTMM_COUNTER_COUNT);
    return values[NTMM_COUNTER_MAPPED_PAGES_WRITTEN];
}

/* Under a live view: not before its time, then within a tick; again only after another life. */
static void mapped_pages_are_written_when_they_are_old(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16, 0);
    store8(&f, f.base + 3 * PAGE, 0xA1);
    pass_time(&f, LIFE - 2 * SECOND);
    tick(&f);
    assert_int_equal(ntmm_write_mapped_pages(f.w.system, 64), 0);
    assert_int_equal(written(&f), 0);
    assert_int_equal(on_device(&f, 3 * PAGE), pattern(3 * PAGE));
    pass_time(&f, 2 * SECOND);
    tick(&f);
    assert_int_equal(written(&f), 1);
    assert_int_equal(on_device(&f, 3 * PAGE), 0xA1);
    store8(&f, f.base + 3 * PAGE, 0xA2); /* unseen: the page stayed modified */
    pass_time(&f, LIFE - 2 * SECOND);
    tick(&f);
    assert_int_equal(on_device(&f, 3 * PAGE), 0xA1);
    pass_time(&f, 3 * SECOND);
    tick(&f);
    assert_int_equal(on_device(&f, 3 * PAGE), 0xA2);
    close_fixture(&f);
}

/* On the list: clean afterwards, and written once. */
static void listed_pages_are_written_when_they_are_old(void **state)
{
    (void)state;
    struct fixture f;
    struct ntmm_memory_information m;
    open_fixture(&f, 16, 0);
    for (uint64_t page = 2; page < 7; page++)
        store8(&f, f.base + page * PAGE, 0x50);
    check_ok(ntmm_empty_working_set(f.w.system, f.process));
    ntmm_query_memory(f.w.system, &m);
    assert_int_equal(m.modified_mapped_pages, 5);
    pass_time(&f, LIFE - 2 * SECOND);
    tick(&f);
    assert_int_equal(written(&f), 0);
    pass_time(&f, 2 * SECOND);
    tick(&f);
    assert_int_equal(written(&f), 5);
    ntmm_query_memory(f.w.system, &m);
    assert_int_equal(m.modified_mapped_pages, 0);
    pass_time(&f, 2 * LIFE);
    tick(&f);
    assert_int_equal(written(&f), 5);
    close_fixture(&f);
}

/* Each file has its own time, the configuration's. */
static void a_file_waits_for_its_own_time(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16, 20 * SECOND);
    uint64_t device = add_memory_file(&f.w, 4 * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&f.w, device, 4 * PAGE);
    uint8_t byte = 0x77;
    uint64_t moved;
    store8(&f, f.base, 0x66);
    pass_time(&f, 15 * SECOND);
    check_ok(ntmm_write_file(f.w.system, file, 5, &byte, 1, &moved));
    pass_time(&f, 6 * SECOND);
    tick(&f);
    assert_int_equal(on_device(&f, 0), 0x66);
    assert_int_equal(byte_of(&f, device, 5), pattern(5));
    pass_time(&f, 15 * SECOND);
    tick(&f);
    assert_int_equal(byte_of(&f, device, 5), 0x77);
    close_file(&f.w, file);
    close_fixture(&f);
}

/* A budget ends a run; the next one goes on where it ended, and none writes a page twice. */
static void a_pass_goes_on_where_its_budget_ended(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 1200, 20 * SECOND);
    for (uint64_t page = 0; page < 1200; page += page < 100 ? 1 : 7)
        store8(&f, f.base + page * PAGE, 0x31);
    const uint64_t dirty = 100 + (1200 - 100 + 6) / 7;
    pass_time(&f, 20 * SECOND);
    uint64_t begun = 0;
    for (uint32_t runs = 0; begun < dirty; runs++) {
        uint64_t pages = ntmm_write_mapped_pages(f.w.system, 30);
        assert_in_range(pages, 1, 30);
        assert_true(runs < 100);
        begun += pages;
        check_world(&f.w);
        finish_writes(&f);
    }
    assert_int_equal(begun, dirty);
    assert_int_equal(written(&f), dirty);
    assert_int_equal(ntmm_write_mapped_pages(f.w.system, 30), 0);
    for (uint64_t page = 0; page < 1200; page += page < 100 ? 1 : 7)
        assert_int_equal(on_device(&f, page * PAGE), 0x31);
    close_fixture(&f);
}

/* Far apart, so that between them no page was ever looked at: two writes, and nothing between. */
static void a_pass_steps_over_what_is_not_there(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 2600, 20 * SECOND);
    const uint64_t pages[] = {0, 1500, 2599};
    for (uint32_t i = 0; i < 3; i++)
        store8(&f, f.base + pages[i] * PAGE, 0x41);
    pass_time(&f, 20 * SECOND);
    assert_int_equal(ntmm_write_mapped_pages(f.w.system, 0), 0); /* without a budget nothing */
    assert_int_equal(written(&f), 0);
    assert_int_equal(ntmm_write_mapped_pages(f.w.system, 64), 3);
    finish_writes(&f);
    assert_int_equal(written(&f), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(on_device(&f, pages[i] * PAGE), 0x41);
    close_fixture(&f);
}

/* Two files are due and the budget is one page: the other file is still due afterwards. */
static void a_budget_is_for_all_files(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 4, 20 * SECOND);
    uint64_t device = add_memory_file(&f.w, 4 * PAGE, 16 * MIB, 0);
    ntmm_handle file = open_device(&f.w, device, 4 * PAGE);
    uint8_t byte = 0x51;
    uint64_t moved;
    store8(&f, f.base, 0x51);
    check_ok(ntmm_write_file(f.w.system, file, 0, &byte, 1, &moved));
    pass_time(&f, 20 * SECOND);
    for (uint32_t round = 1; round <= 2; round++) {
        assert_int_equal(ntmm_write_mapped_pages(f.w.system, 1), 1);
        check_world(&f.w);
        finish_writes(&f);
        assert_int_equal(written(&f), round);
    }
    assert_int_equal(on_device(&f, 0), 0x51);
    assert_int_equal(byte_of(&f, device, 0), 0x51);
    close_file(&f.w, file);
    close_fixture(&f);
}

/* A write that fails leaves the page modified, and it is tried again a life later. */
static void a_write_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16, 20 * SECOND);
    store8(&f, f.base, 0x42);
    check_ok(ntmm_empty_working_set(f.w.system, f.process));
    pass_time(&f, 20 * SECOND);
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_WRITE, .count = 1, .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    check_ok(ntmm_emulated_inject_disk(f.w.emu, f.device, &errors));
    tick(&f);
    assert_int_equal(on_device(&f, 0), pattern(0));
    pass_time(&f, 10 * SECOND);
    tick(&f);
    assert_int_equal(on_device(&f, 0), pattern(0));
    pass_time(&f, 11 * SECOND);
    tick(&f);
    assert_int_equal(on_device(&f, 0), 0x42);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_pages_are_written_when_they_are_old),
        cmocka_unit_test(listed_pages_are_written_when_they_are_old),
        cmocka_unit_test(a_file_waits_for_its_own_time),
        cmocka_unit_test(a_pass_goes_on_where_its_budget_ended),
        cmocka_unit_test(a_pass_steps_over_what_is_not_there),
        cmocka_unit_test(a_budget_is_for_all_files),
        cmocka_unit_test(a_write_that_fails_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
