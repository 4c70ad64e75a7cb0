/*
 * Memory is freed though its page tables cannot all be in memory at once: in parts then, table by
 * table. While they fit, nothing is freed before all are there.
 *
 *   RAM 96 frames    a region of 300 x 2 MiB, two pages at each second border: 300 leaf tables
 */
#include "unit/storage.h"

#define SPAN (2 * MIB)
#define SPANS 300u
#define SIZE (SPANS * SPAN)
#define COMMITTED (BASE + SIZE) /* a region that is committed by default */
#define COMMITTED_SPANS 150u

static struct machine *open_tables(void)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 96 * PAGE},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 1 << 18},
    };
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    return m;
}

static void write_pages(struct machine *m, uint64_t base, uint64_t spans)
{
    for (uint64_t i = 0; i + 1 < spans; i += 2) {
        must_write(m, base + (i + 1) * SPAN - PAGE, i);
        must_write(m, base + (i + 1) * SPAN, i);
    }
}

static void make_reserved(struct machine *m)
{
    must_reserve(m, BASE, SIZE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i + 1 < SPANS; i += 2)
        must_commit(m, BASE + (i + 1) * SPAN - PAGE, 2 * PAGE, NTMM_PAGE_READWRITE);
    write_pages(m, BASE, SPANS);
    assert_true(get64(&machine_object(m)->tables_out) > 200);
}

static void make_committed(struct machine *m)
{
    must_allocate(m, COMMITTED, COMMITTED_SPANS * SPAN, NTMM_PAGE_READWRITE);
    write_pages(m, COMMITTED, COMMITTED_SPANS);
    assert_true(get64(&machine_object(m)->tables_out) > 50);
}

/* Everything came back. A root and what leads to nowhere may be left, and in the page file. */
static void close_empty(struct machine *m)
{
    must_finish_transfers(m);
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_true(machine_process(m).table_pages <= 4);
    assert_true(must_query_file(m, 0).used_pages <= 4);
    machine_close(m);
}

static void a_region_is_released(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    make_reserved(m);
    must_release(m, BASE, 0);
    assert_int_equal(machine_process(m).region_count, 0);
    close_empty(m);
}

static void both_ends_are_released(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    make_reserved(m);
    must_release(m, BASE, SIZE / 2 - SPAN);
    machine_assert_sound(m);
    must_release(m, BASE + SIZE / 2 + SPAN, SIZE / 2 - SPAN);
    machine_assert_sound(m);
    assert_int_equal(must_read(m, BASE + SIZE / 2 + SPAN - PAGE), SPANS / 2);
    must_release(m, BASE + SIZE / 2 - SPAN, 0);
    close_empty(m);
}

static void a_region_is_decommitted(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    make_reserved(m);
    must_decommit(m, BASE, SIZE);
    machine_assert_sound(m);
    close_empty(m);
}

static void a_committed_region_is_decommitted_and_another_released(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    make_committed(m);
    must_decommit(m, COMMITTED, 0);
    assert_int_equal(machine_process(m).commit_pages, 0);
    machine_assert_sound(m);
    must_release(m, COMMITTED, 0);
    make_committed(m);
    must_release(m, COMMITTED, 0);
    close_empty(m);
}

/* What must stay needs its tables together, as does what is marked: nothing is dropped in vain. */
static void what_needs_more_than_memory_changes_nothing(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    make_reserved(m);
    uint64_t commit = machine_process(m).commit_pages;
    assert_int_equal(try_free(m, BASE + SPAN, SPAN, NTMM_MEM_RELEASE), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(machine_process(m).commit_pages, commit);
    for (uint64_t i = 0; i + 1 < SPANS; i += 2)
        assert_int_equal(must_read(m, BASE + (i + 1) * SPAN), i);
    must_release(m, BASE, 0);
    make_committed(m);
    assert_int_equal(try_free(m, COMMITTED, COMMITTED_SPANS * SPAN - PAGE, NTMM_MEM_DECOMMIT),
                     NTMM_STATUS_NO_MEMORY);
    for (uint64_t i = 0; i + 1 < COMMITTED_SPANS; i += 2)
        assert_int_equal(must_read(m, COMMITTED + (i + 1) * SPAN), i);
    must_release(m, COMMITTED, 0);
    close_empty(m);
}

/* The release of a region fails with so many reads; returns the pages that it dropped. */
static uint64_t fail_after(uint64_t reads, ntmm_status *status)
{
    struct machine *m = open_tables();
    make_reserved(m);
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .after = reads,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    assert_int_equal(ntmm_emulated_inject_disk(m->emu, 0, &errors), NTMM_STATUS_SUCCESS);
    uint64_t before = machine_process(m).commit_pages;
    *status = try_free(m, BASE, 0, NTMM_MEM_RELEASE);
    must_fail_disk(m, 0, NTMM_IO_READ, 0, 0, 0, 0);
    uint64_t dropped = before - machine_process(m).commit_pages;
    assert_int_equal(machine_process(m).region_count, *status != NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    if (*status != NTMM_STATUS_SUCCESS)
        must_release(m, BASE, 0);
    close_empty(m);
    return dropped;
}

/* At first nothing is changed; once it goes in parts what was dropped is gone, and the rest can go
 * later. */
static void a_table_that_cannot_be_read_ends_it(void **state)
{
    uint32_t unchanged = 0, partial = 0;
    (void)state;
    for (uint64_t reads = 50;; reads += 50) {
        ntmm_status status;
        uint64_t dropped = fail_after(reads, &status);
        if (status == NTMM_STATUS_SUCCESS)
            break;
        assert_int_equal(status, NTMM_STATUS_DEVICE_DATA_ERROR);
        unchanged += dropped == 0;
        partial += dropped != 0;
    }
    assert_true(unchanged > 0 && partial > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_released),
        cmocka_unit_test(both_ends_are_released),
        cmocka_unit_test(a_region_is_decommitted),
        cmocka_unit_test(a_committed_region_is_decommitted_and_another_released),
        cmocka_unit_test(what_needs_more_than_memory_changes_nothing),
        cmocka_unit_test(a_table_that_cannot_be_read_ends_it),
    };
    return cmocka_run_group_tests_name("free_parts", tests, NULL, NULL);
}
