/*
 * Large pages when each run of frames holds pages: one is emptied, and the pages that were in it
 * are what and as they were (space/move.h, docs/paging.md "Rows for large pages").
 *
 *   |p . p . . p|  free frames enough: the pages go there, the run becomes a large page
 *   |p . L . . p|  a page cannot move: the run stays
 */
#include "unit/fragments.h"

#include "paging/page_out.h"
#include "phys/rows.h"
#include "workingset/rows.h"

#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/section.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#define RAM (12 * MIB)
#define REFUSED NTMM_STATUS_INSUFFICIENT_RESOURCES

static struct fragments f;

static struct machine *open_fragments(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM},
                                        .core = {.extra_commit_pages = 20000}};
    struct machine *m = machine_open(&setup);
    fragments_make(m, &f);
    return m;
}

/* With a page file: half of the pages are clean, and have a slot. */
static struct machine *open_with_clean_pages(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM},
                                        .core = {.extra_commit_pages = 20000}};
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 4 * RAM, 4 * RAM, NULL);
    fragments_make(m, &f);
    for (uint32_t i = 0; i < f.count; i += 2)
        must_trim(m, f.pages[i].va, PAGE);
    while (must_write_modified(m, 4096) != 0)
        must_finish_transfers(m);
    must_finish_transfers(m);
    for (uint32_t i = 0; i < f.count; i += 2)
        assert_int_equal(must_read(m, f.pages[i].va), f.pages[i].va);
    fragments_look(m, &f);
    assert_int_not_equal(machine_slot(m, f.pages[0].va, NULL), 0);
    return m;
}

static ntmm_status try_large(struct machine *m, uint64_t leaves)
{
    ntmm_status status = try_allocate(m, AT, leaves * LEAF, LARGE, RW);
    machine_assert_sound(m);
    return status;
}

static void must_make(struct machine *m, uint64_t leaves)
{
    assert_int_equal(try_large(m, leaves), NTMM_STATUS_SUCCESS);
    for (uint64_t at = AT; at < AT + leaves * LEAF; at += PAGE)
        assert_int_equal(must_read(m, at), 0);
    must_fill(m, AT, leaves * LEAF);
}

static void close_large(struct machine *m, uint64_t leaves)
{
    must_hold(m, AT, leaves * LEAF);
    machine_assert_sound(m);
    machine_close(m);
}

/* Pages that were in a run of frames. */
static uint32_t fragments_in(uint64_t run)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f.count; i++)
        count += f.pages[i].frame / LEAF_FRAMES == run;
    return count;
}

static void valid_pages_move(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    uint64_t pages = machine_process(m).working_set_pages;
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    uint64_t commit = machine_process(m).commit_pages;
    must_make(m, 1);
    assert_int_equal(machine_process(m).working_set_pages, pages);
    assert_int_equal(machine_process(m).commit_pages, commit + LEAF_FRAMES);
    assert_int_equal(fragments_expect_same(m, &f), fragments_in(fragments_large_run(m)));
    for (uint64_t run = 1; run < RAM / LEAF - 1; run++) /* the cheapest was taken */
        assert_true(fragments_in(run) >= fragments_in(fragments_large_run(m)));
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), 0);
    close_large(m, 1);
}

static void several_leaves_are_made_at_once(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    must_make(m, 2);
    assert_in_range(fragments_expect_same(m, &f), 300, 400);
    must_release(m, AT, 0);
    must_make(m, 2);
    close_large(m, 2);
}

/* What the entry and the row say moves along: protection, dirty, age, slot, mark. */
static void pages_keep_their_slots_and_bits(void **state)
{
    (void)state;
    struct machine *m = open_with_clean_pages();
    for (uint32_t i = 0; i < f.count; i += 5)
        (void)must_protect(m, f.pages[i].va, PAGE, i % 2 ? NTMM_PAGE_EXECUTE_READ : RW);
    ntmm_balance_set_manager(m->system);
    for (uint32_t i = 0; i < f.count; i += 7)
        assert_int_equal(must_read(m, f.pages[i].va), f.pages[i].va);
    fragments_look(m, &f);
    must_make(m, 1);
    assert_true(fragments_expect_same(m, &f) > 100);
    for (uint32_t i = 0; i < f.count; i++) { /* a clean one that is written gives up its slot */
        if (i % 5 == 0 && i % 2)
            assert_int_equal(try_write(m, f.pages[i].va, 0), NTMM_STATUS_ACCESS_VIOLATION);
        else
            must_write(m, f.pages[i].va + 8, i);
    }
    machine_assert_sound(m);
    page_out_everything(m->emu);
    for (uint32_t i = 0; i < f.count; i++)
        assert_int_equal(must_read(m, f.pages[i].va), f.pages[i].va);
    close_large(m, 1);
}

static void modified_pages_move(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    for (uint32_t i = 0; i < f.count; i += 2)
        must_trim(m, f.pages[i].va, PAGE);
    fragments_look(m, &f);
    uint64_t modified = machine_memory(m).modified_pages;
    assert_true(modified > 100);
    must_make(m, 1);
    assert_int_equal(machine_memory(m).modified_pages, modified);
    assert_true(fragments_expect_same(m, &f) > 100);
    close_large(m, 1);
}

/* They are not lost while frames are free: no page must be read. */
static void pages_on_standby_move(void **state)
{
    (void)state;
    struct machine *m = open_with_clean_pages();
    for (uint32_t i = 0; i < f.count; i += 4)
        must_trim(m, f.pages[i].va, PAGE);
    fragments_look(m, &f);
    uint64_t standby = load64_relaxed(&machine_partition(m)->standby_pages);
    uint64_t repurposed = machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED);
    assert_true(standby > 100);
    must_make(m, 1);
    assert_int_equal(load64_relaxed(&machine_partition(m)->standby_pages), standby);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED), repurposed);
    assert_true(fragments_expect_same(m, &f) > 100);
    close_large(m, 1);
}

#define FAR (64 * GIB)
#define FAR_TABLES 64u

/* The frame of a table that is out, in transition. */
static uint64_t frame_of_table(struct machine *m, uint64_t va)
{
    uint64_t raw = get64(machine_entry(m, va, 2));
    assert_false(raw & FIELD_MASK(HW_VALID));
    return field_get(invalid_decode(raw, m->system->invalid_mask), TR_FRAME);
}

/* A table whose pages are all out, on modified itself, moves like any page. */
static void tables_on_modified_move(void **state)
{
    uint64_t before[FAR_TABLES];
    uint32_t moved = 0;
    (void)state;
    struct machine *m = open_fragments();
    (void)must_add_file(m, 4 * RAM, 4 * RAM, NULL);
    must_reserve(m, FAR, (FAR_TABLES + 1) * LEAF, RW); /* tables above these stay */
    must_commit(m, FAR + FAR_TABLES * LEAF, PAGE, RW);
    must_write(m, FAR + FAR_TABLES * LEAF, 1);
    fragments_make_cheap(m, &f, CHEAP_RUN);
    for (uint64_t va = FAR; va < FAR + FAR_TABLES * LEAF; va += LEAF) {
        must_commit(m, va, PAGE, RW);
        must_write(m, va, va);
        must_trim(m, va, PAGE);
    }
    while (must_write_modified(m, 4096) != 0)
        must_finish_transfers(m);
    must_finish_transfers(m);
    struct call c = machine_call(m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    assert_int_equal(ntmm_empty_working_set(m->system, m->process), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < FAR_TABLES; i++) {
        before[i] = frame_of_table(m, FAR + i * LEAF);
        assert_int_equal(pfn_location(machine_row(m, before[i])), NTMM_FRAME_MODIFIED);
    }
    must_make(m, 1);
    for (uint32_t i = 0; i < FAR_TABLES; i++)
        moved += frame_of_table(m, FAR + i * LEAF) != before[i];
    assert_true(moved > FAR_TABLES / 2);
    for (uint64_t va = FAR; va < FAR + FAR_TABLES * LEAF; va += LEAF)
        assert_int_equal(must_read(m, va), va);
    for (uint32_t i = 0; i < f.count; i++)
        assert_int_equal(must_read(m, f.pages[i].va), f.pages[i].va);
    close_large(m, 1);
}

#define WATCHED (BASE + 256 * MIB)

static void marks_of_written_pages_stay(void **state)
{
    const uint64_t size = 64 * PAGE;
    uint64_t before[64], after[64], count = 64, again = 64;
    uint32_t granularity;
    (void)state;
    struct machine *m = open_fragments();
    assert_int_equal(try_allocate(m, WATCHED, size,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH, RW),
                     NTMM_STATUS_SUCCESS);
    must_write(m, WATCHED, WATCHED); /* its tables stay */
    fragments_make_cheap(m, &f, CHEAP_RUN);
    must_fill(m, WATCHED, size);
    assert_int_equal(ntmm_reset_write_watch(m->system, m->process, WATCHED, size),
                     NTMM_STATUS_SUCCESS);
    for (uint64_t va = WATCHED; va < WATCHED + size; va += 3 * PAGE)
        must_write(m, va, va);
    uint64_t frame = machine_frame(m, WATCHED + size - PAGE);
    assert_int_equal(
        ntmm_get_write_watch(m->system, m->process, 0, WATCHED, size, before, &count, &granularity),
        NTMM_STATUS_SUCCESS);
    must_make(m, 1);
    assert_int_not_equal(machine_frame(m, WATCHED + size - PAGE), frame);
    assert_int_equal(
        ntmm_get_write_watch(m->system, m->process, 0, WATCHED, size, after, &again, &granularity),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(again, count);
    assert_memory_equal(before, after, count * sizeof before[0]);
    must_write(m, WATCHED + PAGE, WATCHED + PAGE);
    again = 64;
    assert_int_equal(
        ntmm_get_write_watch(m->system, m->process, 0, WATCHED, size, after, &again, &granularity),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(again, count + 1);
    must_hold(m, WATCHED, size);
    close_large(m, 1);
}

/* Rows of several runs, as leaves of 1 GiB need, which lie next to each other. */
static void rows_of_several_runs_are_emptied(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    struct call c = machine_call(m);
    uint64_t base = 0;
    assert_true(rows_make(&c, 2 * RUN_FRAMES, 1));
    assert_true(runs_allocate(&c, NTMM_USE_PRIVATE, 2, &base));
    assert_int_equal(base % (2 * RUN_FRAMES), 0);
    assert_int_equal(c.rows, 0);
    for (uint64_t frame = base; frame < base + 2 * RUN_FRAMES; frame++)
        frame_free(&c, frame);
    machine_assert_sound(m);
    assert_in_range(fragments_expect_same(m, &f), 300, 350);
    machine_close(m);
}

/* What a call holds, and does not take, is free again; it holds none when not all can be had. */
static void rows_come_back(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    struct call c = machine_call(m);
    uint64_t left = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    assert_true(rows_make(&c, RUN_FRAMES, 3));
    assert_int_equal(machine_memory(m).free_pages, left - 3 * RUN_FRAMES);
    rows_give_back(&c);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).free_large_runs, 3);
    assert_int_equal(machine_memory(m).free_pages, left);
    assert_false(rows_make(&c, RUN_FRAMES, 4));
    assert_int_equal(c.rows, 0);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).free_pages, left);
    fragments_expect_same(m, &f);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_pages_move),
        cmocka_unit_test(several_leaves_are_made_at_once),
        cmocka_unit_test(pages_keep_their_slots_and_bits),
        cmocka_unit_test(modified_pages_move),
        cmocka_unit_test(pages_on_standby_move),
        cmocka_unit_test(tables_on_modified_move),
        cmocka_unit_test(marks_of_written_pages_stay),
        cmocka_unit_test(rows_of_several_runs_are_emptied),
        cmocka_unit_test(rows_come_back),
    };
    return cmocka_run_group_tests_name("large_moves", tests, NULL, NULL);
}
