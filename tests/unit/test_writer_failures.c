/*
 * Writes that fail: page by page, bad slots, bad ranges, disks that are away, and what is lost by
 * it, which is nothing.
 */
#include "unit/storage.h"

#include <ntmm/working_set.h>

#define PLENTY 100000u
#define ERROR NTMM_STATUS_DEVICE_DATA_ERROR
#define SECOND_100NS 10000000u
/* Frames beside the modified ones: few, since the checker reads every zeroed frame each time. */
#define SPARE_FRAMES 64u

struct world {
    struct machine *m;
    uint64_t device;
};

/* `modified` pages of a region on the modified list, and a page file of `slots`. */
static struct world open_world(uint64_t slots, uint64_t modified, uint32_t cluster)
{
    struct world w;
    const struct machine_setup setup = {.hardware = {.ram_bytes = (modified + SPARE_FRAMES) * PAGE},
                                        .core = {.write_cluster_pages = cluster}};
    w.m = machine_open(&setup);
    must_add_file(w.m, slots * PAGE, 0, &w.device);
    must_allocate(w.m, BASE, modified * PAGE, NTMM_PAGE_READWRITE);
    must_fill(w.m, BASE, modified * PAGE);
    must_trim(w.m, BASE, modified * PAGE);
    return w;
}

static void fail_writes(struct world *w, uint64_t count, ntmm_status status, uint64_t first_slot,
                        uint64_t end_slot)
{
    must_fail_disk(w->m, w->device, NTMM_IO_WRITE, count, status, first_slot * PAGE,
                   end_slot * PAGE);
}

static uint64_t write_once(struct world *w)
{
    uint64_t started = must_write_modified(w->m, PLENTY);
    must_finish_transfers(w->m);
    machine_assert_sound(w->m);
    return started;
}

/* Until the modified list is empty, or for so many rounds. */
static void write_rounds(struct world *w, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds && machine_memory(w->m).modified_pages != 0; i++)
        (void)write_once(w);
}

static void check_written(struct world *w, uint64_t pages, uint64_t bad_base, uint64_t bad_end)
{
    const uint8_t *image = ntmm_emulated_disk_image(w->m->emu, w->device, NULL);
    assert_int_equal(machine_memory(w->m).modified_pages, 0);
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t va = BASE + i * PAGE, slot = machine_slot(w->m, va, NULL), value;
        assert_int_equal(machine_location(w->m, va), NTMM_FRAME_STANDBY);
        assert_true(slot != 0 && (slot < bad_base || slot >= bad_end));
        memcpy(&value, image + slot * PAGE, sizeof value);
        assert_int_equal(value, va);
    }
}

static void a_failed_cluster_is_written_page_by_page(void **state)
{
    (void)state;
    struct world w = open_world(256, 16, 16);
    fail_writes(&w, 1, ERROR, 0, 0);
    assert_int_equal(write_once(&w), 16);
    struct ntmm_paging_file_information file = must_query_file(w.m, 0);
    assert_int_equal(machine_memory(w.m).modified_pages, 16);
    assert_int_equal(file.used_pages, 0);
    assert_int_equal(file.bad_pages, 0);
    assert_int_equal(file.failed_writes, 1);
    assert_int_equal(machine_counter(w.m, NTMM_COUNTER_PAGE_WRITES), 0);
    write_rounds(&w, 10);
    check_written(&w, 16, 0, 0);
    file = must_query_file(w.m, 0);
    assert_int_equal(file.writes, 16);
    assert_int_equal(file.pages_written, 16);
    assert_int_equal(file.bad_pages, 0);
    for (uint64_t i = 0; i < 16; i++) /* the slots of the cluster are tried again */
        assert_in_range(machine_slot(w.m, BASE + i * PAGE, NULL), 1, 16);
    machine_close(w.m);
}

static void after_the_single_pages_clusters_come_again(void **state)
{
    (void)state;
    struct world w = open_world(256, 48, 16);
    fail_writes(&w, 1, ERROR, 0, 0);
    assert_int_equal(must_write_modified(w.m, 16), 16);
    must_finish_transfers(w.m);
    write_rounds(&w, 20);
    check_written(&w, 48, 0, 0);
    assert_int_equal(must_query_file(w.m, 0).writes, 16 + 2);
    machine_close(w.m);
}

/* Slot 5 is bad: it is found, and nothing else is lost. */
static void one_bad_slot_is_found(void **state)
{
    (void)state;
    struct world w = open_world(256, 254, 16);
    struct call c = machine_call(w.m);
    fail_writes(&w, UINT64_MAX, ERROR, 5, 6);
    write_rounds(&w, 100);
    check_written(&w, 254, 5, 6);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 1);
    assert_int_equal(must_query_file(w.m, 0).used_pages, 254);
    assert_true(slot_is_used(&c, page_file_at(&c, 0), 5));
    fail_writes(&w, 0, 0, 0, 0);
    must_release(w.m, BASE, 0);
    assert_int_equal(must_query_file(w.m, 0).used_pages, 0);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 1); /* for good */
    machine_close(w.m);
}

/* A tenth of the file is bad: all pages find a place, and few of its 400 slots were tried. */
static void a_bad_range_is_routed_around(void **state)
{
    (void)state;
    struct world w = open_world(4096, 400, 64);
    fail_writes(&w, UINT64_MAX, ERROR, 100, 500);
    write_rounds(&w, 200);
    check_written(&w, 400, 100, 500);
    struct ntmm_paging_file_information file = must_query_file(w.m, 0);
    assert_in_range(file.bad_pages, 1, 24);
    assert_in_range(file.failed_writes, 2, 40);
    assert_int_equal(file.is_paused, 0);
    machine_close(w.m);
}

/* Only the last quarter is good, and the pages fill most of it. */
static void a_file_that_is_mostly_bad_still_serves(void **state)
{
    (void)state;
    struct world w = open_world(1024, 200, 16);
    fail_writes(&w, UINT64_MAX, ERROR, 0, 768);
    for (uint32_t i = 0; i < 200 && machine_memory(w.m).modified_pages != 0; i++) {
        write_rounds(&w, 50);
        must_wait(w.m, SECOND_100NS + 1);
    }
    check_written(&w, 200, 0, 768);
    machine_close(w.m);
}

/* Nothing works: after 64 single pages in a row the file is left alone, with all its slots. */
static void a_disk_that_is_away_is_left_alone_and_loses_no_slot(void **state)
{
    (void)state;
    struct world w = open_world(1024, 100, 16);
    fail_writes(&w, UINT64_MAX, ERROR, 0, 0);
    for (uint32_t i = 0; i < 1000 && !must_query_file(w.m, 0).is_paused; i++)
        (void)write_once(&w);
    struct ntmm_paging_file_information file = must_query_file(w.m, 0);
    assert_int_equal(file.is_paused, 1);
    assert_in_range(file.failed_writes, 64, 90);
    assert_int_equal(file.bad_pages, 0);
    assert_int_equal(file.used_pages, 0);
    assert_int_equal(write_once(&w), 0);
    assert_int_equal(must_query_file(w.m, 0).failed_writes, file.failed_writes);
    assert_int_equal(machine_memory(w.m).modified_pages, 100);
    must_wait(w.m, SECOND_100NS);
    assert_int_equal(must_query_file(w.m, 0).is_paused, 0);
    assert_int_equal(write_once(&w), 1);
    assert_int_equal(must_query_file(w.m, 0).is_paused, 1);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 0);
    fail_writes(&w, 0, 0, 0, 0);
    assert_int_equal(write_once(&w), 0);
    must_wait(w.m, SECOND_100NS);
    write_rounds(&w, 100);
    check_written(&w, 100, 0, 0);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 0);
    machine_close(w.m);
}

/* What a row made bad that a success ended is bad for good, whatever a later row shows. */
static void a_pause_forgives_its_own_row_only(void **state)
{
    (void)state;
    struct world w = open_world(1024, 100, 1);
    fail_writes(&w, UINT64_MAX, ERROR, 1, 3);
    write_rounds(&w, 4); /* in whatever order the first ones complete, one that succeeds is last */
    uint64_t bad = must_query_file(w.m, 0).bad_pages;
    assert_in_range(bad, 1, 2);
    fail_writes(&w, UINT64_MAX, ERROR, 0, 0);
    for (uint32_t i = 0; i < 1000 && !must_query_file(w.m, 0).is_paused; i++)
        (void)write_once(&w);
    assert_int_equal(must_query_file(w.m, 0).is_paused, 1);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, bad);
    machine_close(w.m);
}

static void a_paused_file_is_passed_over(void **state)
{
    (void)state;
    struct world w = open_world(1024, 100, 16);
    fail_writes(&w, UINT64_MAX, ERROR, 0, 0);
    for (uint32_t i = 0; i < 1000 && !must_query_file(w.m, 0).is_paused; i++)
        (void)write_once(&w);
    must_add_file(w.m, MIB, 0, NULL);
    assert_int_equal(write_once(&w), 100);
    assert_int_equal(must_query_file(w.m, 1).used_pages, 100);
    machine_close(w.m);
}

/* A platform without a clock: no pause, and one call tries each page once. */
static void without_a_clock_writing_still_ends(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t device = must_add_disk(m, MIB, 0, NTMM_EMULATED_DISK_INLINE);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, 200 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 200 * PAGE);
    must_trim(m, BASE, 200 * PAGE);
    m->system->platform.now = NULL;
    must_fail_disk(m, device, NTMM_IO_WRITE, UINT64_MAX, ERROR, 0, 0);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(must_write_modified(m, UINT64_MAX), 200);
    assert_int_equal(must_query_file(m, 0).is_paused, 0);
    assert_int_equal(must_query_file(m, 0).bad_pages, 0);
    must_fail_disk(m, device, NTMM_IO_WRITE, 0, 0, 0, 0);
    while (must_write_modified(m, UINT64_MAX) != 0) {
    }
    assert_int_equal(must_query_file(m, 0).used_pages, 200);
    machine_assert_sound(m);
    machine_close(m);
}

/* A fault that waits for a frame is woken when a write fails: it can write again. */
static void a_failed_write_wakes_who_waits_for_a_frame(void **state)
{
    (void)state;
    struct world w = open_world(256, 16, 16);
    struct call c = machine_call(w.m);
    struct ntmm_wait wait = {0};
    fail_writes(&w, 1, ERROR, 0, 0);
    assert_int_equal(must_write_modified(w.m, PLENTY), 16);
    waiters_add(&c, &w.m->system->for_frame, &wait);
    must_finish_transfers(w.m);
    assert_int_equal(wait.is_woken, 1);
    machine_close(w.m);
}

/* --- what says nothing about the slot --- */

static void a_slot_is_not_bad_for_the_disks_sake(ntmm_status status)
{
    struct world w = open_world(256, 8, 1);
    fail_writes(&w, 8, status, 0, 0);
    assert_int_equal(write_once(&w), 8);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 0);
    assert_int_equal(must_query_file(w.m, 0).used_pages, 0);
    write_rounds(&w, 20);
    check_written(&w, 8, 0, 0);
    machine_close(w.m);
}

static void statuses_that_do_not_blame_the_slot(void **state)
{
    (void)state;
    a_slot_is_not_bad_for_the_disks_sake(NTMM_STATUS_VOLUME_DISMOUNTED);
    a_slot_is_not_bad_for_the_disks_sake(NTMM_STATUS_DISK_FULL);
    a_slot_is_not_bad_for_the_disks_sake(NTMM_STATUS_INSUFFICIENT_RESOURCES);
    a_slot_is_not_bad_for_the_disks_sake(NTMM_STATUS_NO_MEMORY);
}

/* Submit refuses: no completion will come, and the pages are modified again at once. */
static void a_refused_write_changes_nothing(void **state)
{
    (void)state;
    struct world w = open_world(256, 16, 16);
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_WRITE,
        .is_refused = 1,
        .count = 1,
        .status = NTMM_STATUS_INSUFFICIENT_RESOURCES,
    };
    assert_int_equal(ntmm_emulated_inject_disk(w.m->emu, w.device, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(must_write_modified(w.m, PLENTY), 16);
    assert_int_equal(machine_memory(w.m).modified_pages, 16);
    assert_int_equal(must_query_file(w.m, 0).failed_writes, 1);
    assert_int_equal(must_query_file(w.m, 0).used_pages, 0);
    machine_assert_sound(w.m);
    write_rounds(&w, 20);
    check_written(&w, 16, 0, 0);
    machine_close(w.m);
}

/* A transfer that says success and moved less than a page short of all is not believed. */
static ntmm_status submit_short(void *context, struct ntmm_io *io)
{
    (void)context;
    io->status = NTMM_STATUS_SUCCESS;
    io->transferred_bytes = ((uint64_t)io->span_count << NTMM_PAGE_SHIFT) - 1;
    io->complete(io);
    return NTMM_STATUS_SUCCESS;
}

static void a_short_write_is_a_failed_one(void **state)
{
    (void)state;
    struct world w = open_world(256, 4, 16);
    ntmm_status (*submit)(void *, struct ntmm_io *) = w.m->system->platform.submit;
    w.m->system->platform.submit = submit_short;
    assert_int_equal(must_write_modified(w.m, PLENTY), 4);
    assert_int_equal(machine_memory(w.m).modified_pages, 4);
    assert_int_equal(must_query_file(w.m, 0).failed_writes, 1);
    assert_int_equal(must_query_file(w.m, 0).used_pages, 0);
    w.m->system->platform.submit = submit;
    write_rounds(&w, 20);
    check_written(&w, 4, 0, 0);
    machine_close(w.m);
}

/* Nor a read: the page does not come, and is where it was. */
static void a_short_read_is_a_failed_one(void **state)
{
    (void)state;
    struct world w = open_world(256, 4, 16);
    ntmm_status (*submit)(void *, struct ntmm_io *) = w.m->system->platform.submit;
    uint64_t value;
    write_rounds(&w, 20);
    assert_int_equal(
        ntmm_memory_list_command(w.m->system, w.m->process, NTMM_MEMORY_PURGE_STANDBY_LIST),
        NTMM_STATUS_SUCCESS);
    w.m->system->platform.submit = submit_short;
    assert_int_equal(try_read(w.m, BASE, &value), NTMM_STATUS_IN_PAGE_ERROR);
    machine_assert_sound(w.m);
    w.m->system->platform.submit = submit;
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(must_read(w.m, BASE + i * PAGE), BASE + i * PAGE);
    machine_close(w.m);
}

/* --- failures and changes together --- */

static void pages_deleted_during_a_write_that_fails_leave_nothing(void **state)
{
    (void)state;
    for (uint32_t cluster = 1; cluster <= 16; cluster += 15) {
        struct world w = open_world(256, 8, cluster);
        fail_writes(&w, 8, ERROR, 0, 0);
        assert_int_equal(must_write_modified(w.m, PLENTY), 8);
        must_release(w.m, BASE, 0);
        must_finish_transfers(w.m);
        struct ntmm_paging_file_information file = must_query_file(w.m, 0);
        assert_int_equal(file.used_pages, 0);
        assert_int_equal(file.bad_pages, cluster == 1 ? 8 : 0);
        machine_close(w.m);
    }
}

static void pages_changed_during_a_write_that_fails_are_written_again(void **state)
{
    (void)state;
    struct world w = open_world(256, 8, 1);
    fail_writes(&w, 8, ERROR, 0, 0);
    assert_int_equal(must_write_modified(w.m, PLENTY), 8);
    must_fill(w.m, BASE, 8 * PAGE);
    must_finish_transfers(w.m);
    must_trim(w.m, BASE, 8 * PAGE);
    write_rounds(&w, 20);
    check_written(&w, 8, 0, 0);
    assert_int_equal(must_query_file(w.m, 0).bad_pages, 8);
    machine_close(w.m);
}

/* --- the command that flushes the modified list --- */

static struct world open_long_list(uint64_t fault_wait_100ns)
{
    struct world w;
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 640 * PAGE},
        .core = {.write_cluster_pages = 2, .fault_wait_100ns = fault_wait_100ns}};
    w.m = machine_open(&setup);
    must_add_file(w.m, 1024 * PAGE, 0, &w.device);
    must_allocate(w.m, BASE, 500 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(w.m, BASE, 500 * PAGE);
    must_trim(w.m, BASE, 500 * PAGE);
    return w;
}

/* Returns how long it took. */
static uint64_t must_flush(struct world *w)
{
    const struct ntmm_platform *platform = &w->m->system->platform;
    uint64_t begin = platform->now(platform->context);
    assert_true(machine_memory(w->m).modified_pages >= 500);
    assert_int_equal(
        ntmm_memory_list_command(w->m->system, w->m->process, NTMM_MEMORY_FLUSH_MODIFIED_LIST),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_memory(w->m).modified_pages, 0);
    return platform->now(platform->context) - begin;
}

static void close_long_list(struct world *w)
{
    must_finish_transfers(w->m);
    check_written(w, 500, 0, 0);
    machine_assert_sound(w->m);
    machine_close(w->m);
}

/* Also when writes failed before, or fail meanwhile. */
static void a_flush_goes_on_after_writes_that_failed(void **state)
{
    (void)state;
    struct world w = open_long_list(0);
    fail_writes(&w, 1, ERROR, 0, 0);
    assert_int_equal(must_write_modified(w.m, 2), 2);
    must_finish_transfers(w.m);
    fail_writes(&w, 3, ERROR, 0, 0);
    (void)must_flush(&w);
    close_long_list(&w);
}

/* The longest wait is one for a write, not for all of them. */
static void a_flush_may_take_longer_than_one_wait(void **state)
{
    (void)state;
    struct world w = open_long_list(0);
    uint64_t taken = must_flush(&w);
    close_long_list(&w);
    w = open_long_list(taken / 4);
    assert_true(must_flush(&w) > taken / 2);
    close_long_list(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_cluster_is_written_page_by_page),
        cmocka_unit_test(after_the_single_pages_clusters_come_again),
        cmocka_unit_test(one_bad_slot_is_found),
        cmocka_unit_test(a_bad_range_is_routed_around),
        cmocka_unit_test(a_file_that_is_mostly_bad_still_serves),
        cmocka_unit_test(a_disk_that_is_away_is_left_alone_and_loses_no_slot),
        cmocka_unit_test(a_pause_forgives_its_own_row_only),
        cmocka_unit_test(a_paused_file_is_passed_over),
        cmocka_unit_test(without_a_clock_writing_still_ends),
        cmocka_unit_test(a_failed_write_wakes_who_waits_for_a_frame),
        cmocka_unit_test(statuses_that_do_not_blame_the_slot),
        cmocka_unit_test(a_refused_write_changes_nothing),
        cmocka_unit_test(a_short_write_is_a_failed_one),
        cmocka_unit_test(a_short_read_is_a_failed_one),
        cmocka_unit_test(pages_deleted_during_a_write_that_fails_leave_nothing),
        cmocka_unit_test(pages_changed_during_a_write_that_fails_are_written_again),
        cmocka_unit_test(a_flush_goes_on_after_writes_that_failed),
        cmocka_unit_test(a_flush_may_take_longer_than_one_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
