/*
 * Views go though their page tables cannot all be in memory at once: in parts when one is unmapped,
 * table by table when its process ends. While they fit, nothing is emptied before all are there.
 *
 *   RAM 128 frames    a view of 200 x 2 MiB, a page of each written: 200 leaf tables
 */
#include "unit/prototype_world.h"

#include <ntmm/process.h>

#define SPANS 200u
#define SIZE (SPANS * SPAN)
#define INSIDE(i) ((i) % 512 * PAGE)

struct tables {
    struct machine *m;
    ntmm_handle section;
    ntmm_handle process; /* that has the view */
    uint64_t base;
};

static uint64_t address(const struct tables *t, uint64_t span)
{
    return t->base + span * SPAN + INSIDE(span * 5);
}

static void open_tables(struct tables *t, uint32_t protect)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 128 * PAGE},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 1 << 18},
    };
    t->m = machine_open(&setup);
    (void)must_add_file(t->m, 8 * MIB, 0, NULL);
    t->section = make_section(t->m, SIZE, NTMM_SEC_COMMIT, 0);
    t->process = machine_add_process(t->m);
    must(ntmm_emulated_attach(t->m->emu, 0, t->process));
    t->base = map_in(t->m, t->process, t->section, protect);
    for (uint64_t i = 0; i < SPANS; i++)
        must_write(t->m, address(t, i), i + 1);
    machine_assert_sound(t->m);
}

static struct ntmm_process_information process(const struct tables *t)
{
    struct ntmm_process_information information;
    must(ntmm_query_process(t->m->system, t->process, &information));
    return information;
}

static void close_tables(struct tables *t)
{
    must(ntmm_close_section(t->m->system, t->section));
    must_finish_transfers(t->m);
    machine_assert_sound(t->m);
    machine_close(t->m);
}

/* What was written is the section's, and there for whoever maps it next. */
static void assert_section_holds(struct tables *t, uint64_t first)
{
    t->process = t->m->process;
    must(ntmm_emulated_attach(t->m->emu, 0, t->process));
    t->base = map(t->m, t->section);
    for (uint64_t i = 0; i < SPANS; i += 20)
        assert_int_equal(must_read(t->m, address(t, i)), first == 0 ? 0 : i + first);
    unmap(t->m, t->base);
}

static void unmap_view(struct tables *t)
{
    must(ntmm_unmap_view_of_section(t->m->system, t->process, t->base, 0));
    assert_int_equal(process(t).region_count, 0);
    assert_int_equal(process(t).commit_pages, 0);
    assert_true(process(t).table_pages <= 4);
    machine_assert_sound(t->m);
}

static void a_view_is_unmapped(void **state)
{
    struct tables t;
    (void)state;
    open_tables(&t, RW);
    unmap_view(&t);
    assert_section_holds(&t, 1);
    close_tables(&t);
}

/* A view that lacks a frame for its first table is as it was. */
static void a_view_without_a_frame_stays(void **state)
{
    struct tables t;
    (void)state;
    open_tables(&t, NTMM_PAGE_WRITECOPY);
    t.m->system->failures = (struct allocation_failures){.count = UINT64_MAX};
    assert_int_equal(ntmm_unmap_view_of_section(t.m->system, t.process, t.base, 0),
                     NTMM_STATUS_NO_MEMORY);
    t.m->system->failures = (struct allocation_failures){0};
    machine_assert_sound(t.m);
    for (uint64_t i = 0; i < SPANS; i++)
        assert_int_equal(must_read(t.m, address(&t, i)), i + 1);
    unmap_view(&t);
    close_tables(&t);
}

/* Copies go, and their slots in the page file. */
static void a_copied_view_is_unmapped(void **state)
{
    struct tables t;
    (void)state;
    open_tables(&t, NTMM_PAGE_WRITECOPY);
    assert_true(must_query_file(t.m, 0).used_pages > SPANS);
    unmap_view(&t);
    must_finish_transfers(t.m);
    assert_section_holds(&t, 0);
    close_tables(&t);
}

static void end_process_with(uint32_t protect, uint64_t first)
{
    struct tables t;
    open_tables(&t, protect);
    must(ntmm_end_process(t.m->system, t.process));
    machine_assert_sound(t.m);
    assert_section_holds(&t, first);
    close_tables(&t);
}

static void a_process_ends_with_a_view(void **state)
{
    (void)state;
    end_process_with(RW, 1);
}

static void a_process_ends_with_copies(void **state)
{
    (void)state;
    end_process_with(NTMM_PAGE_WRITECOPY, 0);
}

static void fail_reads(struct tables *t, uint64_t after)
{
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .after = after,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    must(ntmm_emulated_inject_disk(t->m->emu, 0, &errors));
}

static void read_again(struct tables *t) { must_fail_disk(t->m, 0, NTMM_IO_READ, 0, 0, 0, 0); }

/* It fails on its way, and goes on. */
static void a_process_ends_at_the_second_try(void **state)
{
    struct tables t;
    (void)state;
    open_tables(&t, RW);
    fail_reads(&t, SPANS / 2);
    assert_int_equal(ntmm_end_process(t.m->system, t.process), NTMM_STATUS_DEVICE_DATA_ERROR);
    read_again(&t);
    machine_assert_sound(t.m);
    must(ntmm_end_process(t.m->system, t.process));
    machine_assert_sound(t.m);
    assert_section_holds(&t, 1);
    close_tables(&t);
}

static void a_system_ends_with_a_view(void **state)
{
    struct tables t;
    (void)state;
    open_tables(&t, NTMM_PAGE_WRITECOPY);
    machine_close(t.m);
}

/* Its unmapping fails with so many reads; then the view is there, and can go later. */
static ntmm_status fail_after(uint64_t reads, uint64_t *copies)
{
    struct tables t;
    open_tables(&t, NTMM_PAGE_WRITECOPY);
    fail_reads(&t, reads);
    ntmm_status status = ntmm_unmap_view_of_section(t.m->system, t.process, t.base, 0);
    read_again(&t);
    assert_int_equal(process(&t).region_count, status != NTMM_STATUS_SUCCESS);
    machine_assert_sound(t.m);
    *copies = 0;
    for (uint64_t i = 0; i < SPANS && status != NTMM_STATUS_SUCCESS; i++)
        *copies += must_read(t.m, address(&t, i)) == i + 1;
    if (status != NTMM_STATUS_SUCCESS)
        unmap_view(&t);
    close_tables(&t);
    return status;
}

/* At first nothing is changed; once it goes in parts what was dropped is gone. */
static void a_table_that_cannot_be_read_ends_it(void **state)
{
    uint32_t unchanged = 0, partial = 0;
    (void)state;
    for (uint64_t reads = 50;; reads += 100) {
        uint64_t copies;
        ntmm_status status = fail_after(reads, &copies);
        if (status == NTMM_STATUS_SUCCESS)
            break;
        assert_int_equal(status, NTMM_STATUS_DEVICE_DATA_ERROR);
        unchanged += copies == SPANS;
        partial += copies < SPANS;
    }
    assert_true(unchanged > 0 && partial > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_is_unmapped),
        cmocka_unit_test(a_view_without_a_frame_stays),
        cmocka_unit_test(a_copied_view_is_unmapped),
        cmocka_unit_test(a_process_ends_with_a_view),
        cmocka_unit_test(a_process_ends_with_copies),
        cmocka_unit_test(a_process_ends_at_the_second_try),
        cmocka_unit_test(a_system_ends_with_a_view),
        cmocka_unit_test(a_table_that_cannot_be_read_ends_it),
    };
    return cmocka_run_group_tests_name("unmap_parts", tests, NULL, NULL);
}
