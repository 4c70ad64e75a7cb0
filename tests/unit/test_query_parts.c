/*
 * A query goes through more page tables than memory can hold, and says the same.
 *
 *   RAM 96 frames    a region of 150 x 2 MiB, committed; two pages at each second border written
 */
#include "unit/storage.h"

#include <ntmm/query.h>

#define SPAN (2 * MIB)
#define SPANS 150u
#define SIZE (SPANS * SPAN)

static struct machine *open_tables(void)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 96 * PAGE},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 1 << 18},
    };
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    must_allocate(m, BASE, SIZE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i + 1 < SPANS; i += 2) {
        must_write(m, BASE + (i + 1) * SPAN - PAGE, i);
        must_write(m, BASE + (i + 1) * SPAN, i);
    }
    assert_true(get64(&machine_object(m)->tables_out) > 96);
    return m;
}

static void close_tables(struct machine *m)
{
    machine_assert_sound(m);
    must_release(m, BASE, 0);
    must_finish_transfers(m);
    machine_close(m);
}

static void a_run_is_as_long_as_it_is(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    struct ntmm_memory_basic_information found = must_query(m, BASE + PAGE);
    assert_int_equal(found.base_address, BASE + PAGE);
    assert_int_equal(found.allocation_base, BASE);
    assert_int_equal(found.region_size, SIZE - PAGE);
    assert_int_equal(found.protect, NTMM_PAGE_READWRITE);
    close_tables(m);
}

static void a_run_ends_where_it_ends(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    const uint64_t end = BASE + 139 * SPAN + 5 * PAGE;
    must_protect(m, end, PAGE, NTMM_PAGE_READONLY);
    must_decommit(m, BASE + 147 * SPAN, PAGE);
    assert_int_equal(must_query(m, BASE).region_size, end - BASE);
    assert_int_equal(must_query(m, end).protect, NTMM_PAGE_READONLY);
    assert_int_equal(must_query(m, end).region_size, PAGE);
    assert_int_equal(must_query(m, end + PAGE).region_size, BASE + 147 * SPAN - end - PAGE);
    close_tables(m);
}

static void a_scan_gives_all_runs(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    struct ntmm_memory_basic_information found[4];
    struct ntmm_region_iterator iterator;
    uint64_t next;
    uint32_t count;
    assert_int_equal(ntmm_scan_regions(m->system, m->process, BASE, BASE + SIZE,
                                       NTMM_REGIONS_COMMITTED, found, 4, &count, &next),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].region_size, SIZE);
    assert_int_equal(next, BASE + SIZE);
    /* none that is wanted, behind more tables than there is room for */
    assert_int_equal(ntmm_scan_regions(m->system, m->process, BASE, BASE + SIZE,
                                       NTMM_REGIONS_RESERVED, found, 4, &count, &next),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 0);
    assert_int_equal(next, BASE + SIZE);
    ntmm_begin_regions(&iterator, m->process, NTMM_REGIONS_COMMITTED);
    assert_int_equal(ntmm_next_region(m->system, &iterator, found), NTMM_STATUS_SUCCESS);
    assert_int_equal(found[0].base_address, BASE);
    assert_int_equal(found[0].region_size, SIZE);
    assert_int_equal(ntmm_next_region(m->system, &iterator, found), NTMM_STATUS_NO_MORE_ENTRIES);
    close_tables(m);
}

static ntmm_status query_with_reads(struct machine *m, uint64_t reads)
{
    struct ntmm_memory_basic_information found = {.region_size = 77};
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .after = reads,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    assert_int_equal(ntmm_emulated_inject_disk(m->emu, 0, &errors), NTMM_STATUS_SUCCESS);
    ntmm_status status = ntmm_query_virtual_memory(m->system, m->process, BASE, &found);
    must_fail_disk(m, 0, NTMM_IO_READ, 0, 0, 0, 0);
    assert_int_equal(found.region_size, status == NTMM_STATUS_SUCCESS ? SIZE : 77);
    return status;
}

/* Before parts are kept, and after. */
static void a_table_that_cannot_be_read_ends_it(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    uint64_t reads = 0;
    for (; query_with_reads(m, reads) == NTMM_STATUS_DEVICE_DATA_ERROR; reads += 40)
        machine_assert_sound(m);
    assert_true(reads > SPANS);
    assert_int_equal(query_with_reads(m, UINT64_MAX), NTMM_STATUS_SUCCESS);
    close_tables(m);
}

/* What changes gives all or nothing, and so needs its tables together. */
static void changes_that_need_more_than_memory_change_nothing(void **state)
{
    (void)state;
    struct machine *m = open_tables();
    assert_int_equal(try_protect(m, BASE, SIZE, NTMM_PAGE_READONLY), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(try_allocate(m, BASE, SIZE, NTMM_MEM_COMMIT, NTMM_PAGE_READONLY),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(must_query(m, BASE).region_size, SIZE);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_READWRITE);
    close_tables(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_as_long_as_it_is),
        cmocka_unit_test(a_run_ends_where_it_ends),
        cmocka_unit_test(a_scan_gives_all_runs),
        cmocka_unit_test(a_table_that_cannot_be_read_ends_it),
        cmocka_unit_test(changes_that_need_more_than_memory_change_nothing),
    };
    return cmocka_run_group_tests_name("query_parts", tests, NULL, NULL);
}
