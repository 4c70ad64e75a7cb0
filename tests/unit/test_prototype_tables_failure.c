/*
 * Tables of prototypes where something fails: no frame, no commit, a disk that does not read or
 * write, a frame that is bad. Expectations: docs/sections.md, "Tables of prototypes"; DESIGN,
 * principles 8, 9 and 16; F1.
 */
#include "fault/door.h"
#include "unit/prototype_world.h"

#include <ntmm/frames.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

#define TABLES 4u
#define HIGH (BASE + 700 * GIB) /* all page tables but the root are its own */

static ntmm_status read_page(struct machine *m, uint64_t va)
{
    uint64_t value;
    return try_read(m, va, &value);
}

static uint64_t map_high(struct machine *m, ntmm_handle section)
{
    uint64_t base = HIGH, size = 0;
    must(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL, &size,
                                  NTMM_VIEW_SHARE, 0, RW));
    return base;
}

/* --- no frame --- */

/* Three tables of the process, two of prototypes below the root, and the page: all must be in
 * memory together. Fewer frames end in NO_MEMORY, not in bringing in and trimming for ever. */
static void a_touch_of_what_is_out_ends(void **state)
{
    const uint64_t needed = 3 + 2 + 1;
    (void)state;
    for (uint64_t left = 0; left <= needed; left++) {
        struct machine *m = open_with_page_file(12 * MIB);
        ntmm_handle section = make_section(m, 2 * GIB, NTMM_SEC_COMMIT, 0);
        uint64_t base = map_high(m, section);
        must_write(m, base, 5);
        page_out_everything(m->emu);
        assert_int_equal(get32(&newest_area(m)->tables_out), 2);
        assert_int_equal(use_with(m, left, read_page, base),
                         left == needed ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY);
        machine_assert_sound(m);
        assert_int_equal(must_read(m, base), 5);
        machine_close(m);
    }
}

/* The same of a page that nobody ever touched: the page and its three tables of prototypes, root
 * included, come first. Without frames for these none is made. */
static void a_first_touch_ends(void **state)
{
    const uint64_t first = 3 + 1, needed = first + 3;
    (void)state;
    for (uint64_t left = 0; left <= needed; left++) {
        struct machine *m = open_with_page_file(12 * MIB);
        ntmm_handle section = make_section(m, 2 * GIB, NTMM_SEC_COMMIT, 0);
        struct control_area *area = newest_area(m);
        uint64_t base = map_high(m, section);
        page_out_everything(m->emu);
        uint64_t commit = commit_of(m),
                 freed = machine_counter(m, NTMM_COUNTER_PROTOTYPE_TABLES_FREED);
        assert_int_equal(use_with(m, left, read_page, base),
                         left == needed ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY);
        machine_assert_sound(m);
        if (left < first) {
            assert_int_equal(get64(&area->table_pages), 0);
            assert_int_equal(commit_of(m), commit);
            assert_int_equal(machine_counter(m, NTMM_COUNTER_PROTOTYPE_TABLES_FREED), freed);
        }
        assert_int_equal(must_read(m, base), 0);
        machine_close(m);
    }
}

/* Frames that were there when they were counted go elsewhere: what was made goes again (F1). */
static void tables_that_were_made_in_vain_go(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 4; after++) {
        struct machine *m = open_with_page_file(4 * MIB);
        ntmm_handle section = make_section(m, 2 * GIB, NTMM_SEC_COMMIT, 0);
        struct control_area *area = newest_area(m);
        uint64_t base = map(m, section), commit = commit_of(m);
        struct call c = machine_call(m);
        struct ntmm_wait wait = {0};
        uint64_t frame;
        enum ntmm_fault_kind kind;
        m->system->failures = (struct allocation_failures){.after = after, .count = 1};
        assert_int_equal(prototype_acquire(&c, area, 5, &wait, &frame, &kind), NTMM_STATUS_PENDING);
        assert_int_equal(c.want.kind, WANT_FRAME);
        assert_int_equal(c.want.pages, 4);
        m->system->failures = (struct allocation_failures){0};
        assert_int_equal(get64(&area->table_pages), 0);
        assert_int_equal(commit_of(m), commit);
        machine_assert_sound(m);
        assert_int_equal(must_read(m, base), 0);
        machine_close(m);
    }
}

/* So do those of a commit that cannot be charged. */
static void a_commit_that_cannot_be_charged(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle section = make_section(m, TABLES * SPAN, NTMM_SEC_RESERVE, 0);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section), size = TABLES * SPAN;
    assert_int_equal(try_allocate(m, base, size, NTMM_MEM_COMMIT, RW),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(get64(&area->commit_pages), 0);
    assert_int_equal(get64(&area->table_pages), 0);
    machine_close(m);
}

/* What one of the tables on a page's way may free is no gain to its fault. */
static void frames_of_a_page_are_wanted_beside_its_tables(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle section = make_section(m, 2 * GIB, NTMM_SEC_COMMIT, 0);
    struct control_area *area = newest_area(m);
    struct call c = machine_call(m);
    uint64_t base = map(m, section);
    area_lock(&c, area);
    assert_int_equal(prototype_frames_needed(&c, area, 0), 3); /* missing */
    area_unlock(&c, area);
    must_write(m, base, 1);
    area_lock(&c, area);
    assert_int_equal(prototype_frames_needed(&c, area, 0), 0);   /* held by the page */
    assert_int_equal(prototype_frames_needed(&c, area, 600), 1); /* another table below */
    area_unlock(&c, area);
    must(ntmm_empty_working_set(m->system, m->process));
    (void)must_write_modified(m, UINT64_MAX);
    must_finish_transfers(m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    area_lock(&c, area);
    assert_int_equal(prototype_frames_needed(&c, area, 0), 1); /* idle */
    area_unlock(&c, area);
    page_out_everything(m->emu);
    area_lock(&c, area);
    assert_int_equal(prototype_frames_needed(&c, area, 0), 2); /* out; the root stays */
    area_unlock(&c, area);
    machine_close(m);
}

/* --- disks --- */

struct out {
    struct machine *m;
    uint64_t device;
    ntmm_handle section;
    struct control_area *area;
    uint64_t base;
};

static struct out open_out(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 4 * MIB},
                                        .core = {.extra_commit_pages = 1u << 20}};
    struct out o = {.m = machine_open(&setup)};
    (void)must_add_file(o.m, 16 * MIB, 16 * MIB, &o.device);
    o.section = make_section(o.m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    o.area = newest_area(o.m);
    o.base = map(o.m, o.section);
    fill_tables(o.m, o.base, TABLES, 0);
    page_out_everything(o.m->emu);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    return o;
}

static void set_reads(struct out *o, uint64_t failures)
{
    must_fail_disk(o->m, o->device, NTMM_IO_READ, failures, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
}

static void a_table_that_cannot_be_read(void **state)
{
    (void)state;
    struct out o = open_out();
    struct ntmm_memory_page_information page = {.virtual_address = o.base + SPAN};
    uint64_t value, length;
    must_read(o.m, o.base + 3 * SPAN); /* the view's own tables are there */
    (void)try_read(o.m, o.base, &value);
    page_out_everything(o.m->emu);
    must_allocate(o.m, BASE, PAGE, RW);
    set_reads(&o, UINT64_MAX);
    assert_int_equal(try_read(o.m, o.base + SPAN, &value), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(o.m->fault.parameter_count, 3);
    assert_int_equal(o.m->fault.parameters[2], NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(ntmm_query_virtual_memory_class(o.m->system, o.m->process, 0,
                                                     NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page,
                                                     sizeof page, &length),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    machine_assert_sound(o.m);
    set_reads(&o, 0);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

static void a_prototype_table_that_cannot_be_read(void **state)
{
    struct ntmm_wait wait = {0};
    (void)state;
    struct out o = open_out();
    struct call c = machine_call(o.m);
    set_reads(&o, UINT64_MAX);
    assert_int_equal(prototype_bring(&c, o.area, 512, &wait), NTMM_STATUS_PENDING);
    assert_int_equal(c.want.kind, WANT_READ);
    struct transfer_block *block = c.want.block;
    wait.block = block;
    block_submit(&c, block);
    while (!block->is_done)
        o.m->system->platform.pump(o.m->system->platform.context);
    assert_int_equal(prototype_bring(&c, o.area, 512, &wait), NTMM_STATUS_DEVICE_DATA_ERROR);
    block_leave(&c, block);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    set_reads(&o, 0);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

/* The end of an area needs its tables, for the slots that they name. */
static void an_area_ends_with_its_slots(void **state)
{
    (void)state;
    struct out o = open_out();
    uint64_t commit = commit_of(o.m), pages = get64(&o.area->commit_pages);
    assert_int_equal(must_query_file(o.m, 0).used_pages,
                     2 * TABLES + (TABLES + 2)); /* and the view's */
    unmap(o.m, o.base);
    must(ntmm_close_section(o.m->system, o.section));
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 0);
    assert_int_equal(get64(&machine_anchor(o.m)->areas_head), 0);
    assert_int_equal(must_query_file(o.m, 0).used_pages, 0);
    assert_true(commit_of(o.m) <= commit - pages);
    machine_close(o.m);
}

/* When one cannot be read it stays, ending, with its charge, until it can be. */
static void an_area_whose_table_cannot_be_read(void **state)
{
    (void)state;
    struct out o = open_out();
    uint64_t pages = get64(&o.area->commit_pages);
    hold_tables(o.m, o.base, 2, 0);
    unmap(o.m, o.base);
    set_reads(&o, UINT64_MAX);
    uint64_t commit = commit_of(o.m);
    must(ntmm_close_section(o.m->system, o.section));
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 1);
    assert_int_equal(get32(&o.area->tables_out), 2);
    assert_int_equal(commit_of(o.m), commit - 2); /* the tables that were there */
    machine_assert_sound(o.m);
    ntmm_handle other = make_section(o.m, PAGE, NTMM_SEC_COMMIT, 0); /* tries again, in vain */
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 1);
    page_out_everything(o.m->emu); /* nobody trims it */
    machine_assert_sound(o.m);
    set_reads(&o, 0);
    must(ntmm_close_section(o.m->system, other));
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 0);
    assert_true(commit_of(o.m) <= commit - pages);
    assert_int_equal(must_query_file(o.m, 0).used_pages, 0);
    machine_close(o.m);
}

/* Two that cannot end do not keep a third from it. */
static void areas_that_cannot_end_hold_nobody_up(void **state)
{
    (void)state;
    struct out o = open_out();
    ntmm_handle second = make_section(o.m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    uint64_t base = map(o.m, second);
    fill_tables(o.m, base, TABLES, 0);
    page_out_everything(o.m->emu);
    ntmm_handle third = make_section(o.m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    unmap(o.m, base);
    unmap(o.m, o.base);
    set_reads(&o, UINT64_MAX);
    must(ntmm_close_section(o.m->system, second));
    must(ntmm_close_section(o.m->system, o.section));
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 2);
    must(ntmm_close_section(o.m->system, third));
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 2);
    machine_assert_sound(o.m);
    must_fail_disk(o.m, o.device, NTMM_IO_READ, 1, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    third = make_section(o.m, PAGE, NTMM_SEC_COMMIT, 0); /* one fails once more */
    assert_int_equal(get32(&machine_anchor(o.m)->areas_kept), 1);
    machine_close(o.m); /* which abandons the other's tables */
}

static void a_write_of_a_table_that_fails(void **state)
{
    (void)state;
    struct out o = open_out();
    struct call c = machine_call(o.m);
    hold_tables(o.m, o.base, TABLES, 0);
    must(ntmm_empty_working_set(o.m->system, o.m->process));
    (void)must_write_modified(o.m, UINT64_MAX);
    must_finish_transfers(o.m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    assert_int_equal(area_tables_sweep(&c, UINT64_MAX, 2), 2);
    must_fail_disk(o.m, o.device, NTMM_IO_WRITE, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    (void)must_write_modified(o.m, UINT64_MAX);
    machine_assert_sound(o.m); /* in flight */
    must_finish_transfers(o.m);
    machine_assert_sound(o.m);
    must_fail_disk(o.m, o.device, NTMM_IO_WRITE, 0, 0, 0, 0);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

/* --- frames that move or fail --- */

static uint64_t trimmed_frame(struct out *o)
{
    struct call c = machine_call(o->m);
    hold_tables(o->m, o->base, TABLES, 0);
    must(ntmm_empty_working_set(o->m->system, o->m->process));
    (void)must_write_modified(o->m, UINT64_MAX);
    must_finish_transfers(o->m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    area_lock(&c, o->area);
    uint64_t frame = prototype_walk(&c, o->area, 512).frames[1];
    area_unlock(&c, o->area);
    assert_int_equal(area_tables_sweep(&c, UINT64_MAX, UINT64_MAX), TABLES);
    return frame;
}

static void a_trimmed_table_moves(void **state)
{
    (void)state;
    struct out o = open_out();
    uint32_t outcome;
    uint64_t frame = trimmed_frame(&o);
    assert_int_equal(ntmm_mark_frame_bad(o.m->system, frame, 0, &outcome),
                     NTMM_STATUS_NOT_SUPPORTED); /* what it says is nowhere else */
    must(ntmm_mark_frame_bad(o.m->system, frame, NTMM_BAD_FRAME_READABLE, &outcome));
    assert_int_equal(outcome, NTMM_BAD_FRAME_MOVED);
    machine_assert_sound(o.m);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

/* --- a process and its clone --- */

static void a_clone_has_views_whose_tables_are_out(void **state)
{
    (void)state;
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB, .cpu_count = 2},
                                        .core = {.extra_commit_pages = 1u << 20}};
    struct machine *m = machine_open(&setup);
    ntmm_handle child = 0;
    uint64_t value = 0;
    must(page_out_add_file(m->emu));
    ntmm_handle section = make_section(m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    uint64_t copies = map_in(m, m->process, section, NTMM_PAGE_WRITECOPY);
    fill_tables(m, base, TABLES, 0);
    must_write(m, copies + SPAN, 99);
    page_out_everything(m->emu);
    assert_int_equal(get32(&area->tables_out), TABLES);
    must(ntmm_clone_process(m->system, m->process, NULL, &child));
    machine_assert_sound(m);
    page_out_everything(m->emu);
    must(ntmm_emulated_attach(m->emu, 1, child));
    must(ntmm_emulated_load(m->emu, 1, base + SPAN, &value, 8, NULL, NULL));
    assert_int_equal(value, 4);
    must(ntmm_emulated_load(m->emu, 1, copies + SPAN, &value, 8, NULL, NULL));
    assert_int_equal(value, 99);
    must(ntmm_emulated_load(m->emu, 1, copies + 2 * SPAN, &value, 8, NULL, NULL));
    assert_int_equal(value, 7);
    hold_tables(m, base, TABLES, 0);
    machine_assert_sound(m);
    must(ntmm_end_process(m->system, child));
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_touch_of_what_is_out_ends),
        cmocka_unit_test(a_first_touch_ends),
        cmocka_unit_test(tables_that_were_made_in_vain_go),
        cmocka_unit_test(a_commit_that_cannot_be_charged),
        cmocka_unit_test(frames_of_a_page_are_wanted_beside_its_tables),
        cmocka_unit_test(a_table_that_cannot_be_read),
        cmocka_unit_test(a_prototype_table_that_cannot_be_read),
        cmocka_unit_test(an_area_ends_with_its_slots),
        cmocka_unit_test(an_area_whose_table_cannot_be_read),
        cmocka_unit_test(areas_that_cannot_end_hold_nobody_up),
        cmocka_unit_test(a_write_of_a_table_that_fails),
        cmocka_unit_test(a_trimmed_table_moves),
        cmocka_unit_test(a_clone_has_views_whose_tables_are_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
