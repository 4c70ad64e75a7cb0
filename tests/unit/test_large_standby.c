/*
 * Large pages when no run of frames is wholly free: runs whose other frames are on standby are
 * taken, and nothing is lost (nt_semantics 2.10, 9.2; docs/fidelity.md).
 *
 *   |F S S F S ... |  free and standby: becomes a large page
 *   |F S A S F ... |  a page is in use: moves; or it is locked, then the run stays
 */
#include "unit/fragments.h"

#include <ntmm/memory.h>
#include <ntmm/section.h>
#include <ntmm/snapshot.h>

#define SMALL (BASE + 64 * MIB)

static struct machine *open_with_file(uint64_t ram_bytes)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_bytes},
                                        .core = {.extra_commit_pages = 20000}};
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 4 * ram_bytes, 4 * ram_bytes, NULL);
    return m;
}

/* All of a range to standby. */
static void put_on_standby(struct machine *m, uint64_t base, uint64_t size)
{
    must_trim(m, base, size);
    while (must_write_modified(m, 4096) != 0)
        must_finish_transfers(m);
    must_finish_transfers(m);
}

static void pages_on_standby_make_room(void **state)
{
    (void)state;
    struct machine *m = open_with_file(12 * MIB);
    uint64_t size = fragments_fill_memory(m);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, RW), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    put_on_standby(m, BASE, size);
    uint64_t repurposed = machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED);
    assert_int_equal(machine_memory(m).free_large_runs, 0);
    assert_int_equal(try_allocate(m, AT, 2 * LEAF, LARGE, RW), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_in_range(machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED) - repurposed, 900, 1024);
    for (uint64_t at = AT; at < AT + 2 * LEAF; at += PAGE)
        assert_int_equal(must_read(m, at), 0);
    must_fill(m, AT, 2 * LEAF);
    must_hold(m, BASE, size); /* those that were taken come from the page file */
    must_hold(m, AT, 2 * LEAF);
    machine_assert_sound(m);
    machine_close(m);
}

static void sections_take_them_too(void **state)
{
    (void)state;
    struct machine *m = open_with_file(12 * MIB);
    ntmm_handle section;
    uint64_t bytes = LEAF, base = AT, view = 0;
    uint64_t size = fragments_fill_memory(m);
    put_on_standby(m, BASE, size);
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                         RW, NTMM_SEC_COMMIT | NTMM_SEC_LARGE_PAGES, 0),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                              &view, NTMM_VIEW_SHARE, 0, RW),
                     NTMM_STATUS_SUCCESS);
    must_fill(m, AT, LEAF);
    must_hold(m, BASE, size);
    must_hold(m, AT, LEAF);
    machine_assert_sound(m);
    machine_close(m);
}

static void lock_page(struct machine *m, uint64_t va)
{
    uint64_t base = va, size = PAGE;
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
}

static void unlock_page(struct machine *m, uint64_t va)
{
    uint64_t base = va, size = PAGE;
    assert_int_equal(
        ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
}

/* Memory is full of pages on standby, but for one of each run, which is valid. */
static struct machine *open_with_one_in_use(uint64_t *size, bool is_locked)
{
    struct machine *m = open_with_file(12 * MIB);
    uint8_t has_seen[16] = {0};
    *size = fragments_fill_memory(m);
    put_on_standby(m, BASE, *size);
    for (uint64_t va = BASE; va < BASE + *size; va += PAGE) {
        uint64_t run = machine_frame(m, va) / LEAF_FRAMES;
        assert_true(run < sizeof has_seen);
        if (!has_seen[run])
            assert_int_equal(must_read(m, va), va);
        if (!has_seen[run] && is_locked)
            lock_page(m, va);
        has_seen[run] = 1;
    }
    return m;
}

/* A page of each run is locked: no run can be had, and all pages stay where they are. */
static void one_locked_page_keeps_a_run(void **state)
{
    uint64_t size;
    (void)state;
    struct machine *m = open_with_one_in_use(&size, true);
    uint64_t before = load64_relaxed(&machine_partition(m)->standby_pages);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, RW), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    machine_assert_sound(m);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    assert_in_range(load64_relaxed(&machine_partition(m)->standby_pages), before - 4, before);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), 0);
    must_hold(m, BASE, size);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), 0);
    machine_close(m);
}

/* The page in use moves; for those on standby there are not frames enough, and they are taken. */
static void one_page_in_use_moves(void **state)
{
    uint64_t size;
    (void)state;
    struct machine *m = open_with_one_in_use(&size, false);
    uint64_t pages = machine_process(m).working_set_pages;
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, RW), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).working_set_pages, pages);
    assert_in_range(machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED), 400, LEAF_FRAMES);
    must_hold(m, BASE, size);
    machine_assert_sound(m);
    machine_close(m);
}

/* The run with the fewest pages to lose is taken. */
static void the_run_with_the_most_free_frames_is_taken(void **state)
{
    (void)state;
    struct machine *m = open_with_file(12 * MIB);
    uint64_t size = fragments_fill_memory(m);
    put_on_standby(m, BASE, size);
    uint64_t wanted = machine_frame(m, BASE + size / 2) / LEAF_FRAMES;
    uint64_t kept = 0;
    for (uint64_t va = BASE; va < BASE + size; va += PAGE) {
        if (machine_frame(m, va) / LEAF_FRAMES != wanted)
            continue;
        if (kept++ % 4 == 0) /* a quarter stays */
            continue;
        must_decommit(m, va, PAGE);
    }
    assert_true(kept > 100);
    assert_int_equal(machine_memory(m).free_large_runs, 0);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, RW), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(field_get(get64(machine_entry(m, AT, 2)), HW_FRAME) / LEAF_FRAMES, wanted);
    machine_close(m);
}

/* One page in the only row of 1 GiB: locked, then on standby. */
static void a_huge_page_is_made_of_them(void **state)
{
    const struct ntmm_mem_extended_parameter attributes = {
        .type = NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS,
        .value = NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE,
    };
    (void)state;
    struct machine *m = open_with_file(2 * GIB + 64 * MIB);
    uint64_t base = 4 * GIB, size = GIB, va = 8 * GIB;
    const uint64_t most = GIB + 512 * MIB;
    must_allocate(m, va, most, RW);
    for (; va < 8 * GIB + most; va += PAGE) {
        must_write(m, va, va);
        if (machine_frame(m, va) / (GIB / PAGE) == 1)
            break;
    }
    assert_true(va < 8 * GIB + most);
    must_decommit(m, 8 * GIB, va - 8 * GIB);
    lock_page(m, va);
    assert_int_equal(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size, LARGE, RW,
                                                     &attributes, 1),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    unlock_page(m, va);
    put_on_standby(m, va, PAGE);
    assert_int_equal(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size, LARGE, RW,
                                                     &attributes, 1),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(must_read(m, va), va);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_on_standby_make_room),
        cmocka_unit_test(sections_take_them_too),
        cmocka_unit_test(one_locked_page_keeps_a_run),
        cmocka_unit_test(one_page_in_use_moves),
        cmocka_unit_test(the_run_with_the_most_free_frames_is_taken),
        cmocka_unit_test(a_huge_page_is_made_of_them),
    };
    return cmocka_run_group_tests_name("large_standby", tests, NULL, NULL);
}
