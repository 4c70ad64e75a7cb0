/*
 * Frames that are taken out of use (frames.h): where their pages go, what the counts say, what is
 * refused. Expectations: nt_semantics 8 (any state -> Bad), 6.6 (in-page errors), docs/fidelity.md.
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/frames.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/physical.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

#define RW NTMM_PAGE_READWRITE
#define PAGES 8u
#define READABLE NTMM_BAD_FRAME_READABLE
#define NOTHING 77u

static struct machine *open_with_file(void)
{
    const struct machine_setup setup = {.core = {.windows_build = 26100}};
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 4 * MIB, 4 * MIB, NULL);
    must_allocate(m, BASE, PAGES * PAGE, RW);
    must_fill(m, BASE, PAGES * PAGE);
    return m;
}

static ntmm_status try_mark(struct machine *m, uint64_t frame, uint32_t flags, uint32_t *outcome)
{
    *outcome = NOTHING;
    ntmm_status status = ntmm_mark_frame_bad(m->system, frame, flags, outcome);
    machine_assert_sound(m);
    return status;
}

/* It succeeds, and the frame is bad; the page did not go where it was. */
static void must_mark(struct machine *m, uint64_t frame, uint32_t flags, uint32_t expected)
{
    uint64_t bad = machine_memory(m).bad_pages;
    uint64_t limit = machine_memory(m).commit_limit_pages;
    uint32_t outcome;
    assert_int_equal(try_mark(m, frame, flags, &outcome), NTMM_STATUS_SUCCESS);
    assert_int_equal(outcome, expected);
    assert_int_equal(pfn_location(machine_row(m, frame)), NTMM_FRAME_BAD);
    assert_int_equal(machine_memory(m).bad_pages, bad + 1);
    assert_int_equal(machine_memory(m).commit_limit_pages, limit - 1);
}

static void must_refuse(struct machine *m, uint64_t frame, uint32_t flags, ntmm_status expected)
{
    struct ntmm_memory_information before = machine_memory(m);
    uint32_t outcome;
    assert_int_equal(try_mark(m, frame, flags, &outcome), expected);
    assert_int_equal(outcome, NOTHING);
    assert_int_equal(machine_memory(m).bad_pages, before.bad_pages);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages);
}

/* In the page file, and valid again. */
static void must_clean(struct machine *m, uint64_t va)
{
    must_trim(m, va, PAGE);
    while (must_write_modified(m, 64) != 0)
        must_finish_transfers(m);
    must_finish_transfers(m);
    assert_int_equal(must_read(m, va), va);
    assert_false(pfn_is_modified(machine_row(m, machine_frame(m, va))));
}

static void must_be_lost(struct machine *m, uint64_t va)
{
    uint64_t value;
    assert_int_equal(try_read(m, va, &value), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(m->fault.parameter_count, 3);
    assert_int_equal(m->fault.parameters[0], 0);
    assert_int_equal(m->fault.parameters[1], va);
    assert_int_equal(m->fault.parameters[2], NTMM_STATUS_HARDWARE_MEMORY_ERROR);
    assert_int_equal(try_write(m, va, 1), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(m->fault.parameters[0], 1);
    machine_assert_sound(m);
}

static void must_hold_but(struct machine *m, uint32_t lost)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        if (i != lost)
            assert_int_equal(must_read(m, BASE + i * PAGE), BASE + i * PAGE);
    }
}

static uint64_t lose(struct machine *m, uint32_t page)
{
    uint64_t va = BASE + page * PAGE;
    uint64_t frame = machine_frame(m, va);
    must_mark(m, frame, 0, NTMM_BAD_FRAME_LOST);
    return frame;
}

/* --- frames without a page --- */

static void an_unused_frame_is_bad_until_it_is_good(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_memory_information before = machine_memory(m);
    uint64_t frame = get64(&machine_partition(m)->node.zeroed.head);
    must_mark(m, frame, 0, NTMM_BAD_FRAME_UNUSED);
    assert_int_equal(machine_memory(m).zeroed_pages, before.zeroed_pages - 1);
    assert_int_equal(machine_memory(m).total_pages, before.total_pages);
    assert_int_equal(machine_memory(m).active_pages, before.active_pages);
    uint32_t outcome; /* once more changes nothing */
    assert_int_equal(try_mark(m, frame, READABLE, &outcome), NTMM_STATUS_SUCCESS);
    assert_int_equal(outcome, NTMM_BAD_FRAME_UNUSED);
    assert_int_equal(machine_memory(m).bad_pages, before.bad_pages + 1);
    assert_int_equal(ntmm_mark_frame_good(m->system, frame), NTMM_STATUS_SUCCESS);
    assert_int_equal(pfn_location(machine_row(m, frame)), NTMM_FRAME_FREE);
    assert_int_equal(machine_memory(m).bad_pages, before.bad_pages);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages);
    assert_int_equal(ntmm_mark_frame_good(m->system, frame), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_mark_frame_bad(m->system, frame, 0, NULL), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* A large page needs a run of good frames; all of memory can be used, but the bad frame. */
static void nothing_takes_a_bad_frame(void **state)
{
    (void)state;
    const struct machine_setup setup = {.core = {.extra_commit_pages = 4096}};
    struct machine *m = machine_open(&setup);
    uint64_t runs = machine_memory(m).free_large_runs;
    assert_true(runs > 0);
    must_mark(m, 700, 0, NTMM_BAD_FRAME_UNUSED); /* of the second run */
    assert_int_equal(machine_memory(m).free_large_runs, runs - 1);
    uint64_t value;
    must_allocate(m, BASE, 4 * MIB, RW);
    for (uint64_t va = BASE; try_read(m, va, &value) == NTMM_STATUS_SUCCESS; va += PAGE)
        assert_int_not_equal(machine_frame(m, va), 700);
    assert_int_equal(machine_memory(m).zeroed_pages + machine_memory(m).free_pages, 0);
    assert_int_equal(ntmm_mark_frame_good(m->system, 700), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_memory(m).free_pages, 1);
    machine_close(m);
}

/* What is charged stays charged; nothing more is until enough came back. */
static void the_limit_falls_below_the_charge(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t at = BASE + 16 * MIB;
    must_reserve(m, at, KIB64, RW);
    must_commit(m, at + PAGE, 4 * PAGE, RW); /* and the table of all of these */
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t size = (memory.commit_limit_pages - memory.commit_pages - 8) * PAGE;
    must_allocate(m, BASE, size, RW);
    memory = machine_memory(m);
    uint64_t left = memory.commit_limit_pages - memory.commit_pages;
    for (uint64_t i = 0; i < left + 2; i++)
        must_mark(m, get64(&machine_partition(m)->node.zeroed.head), 0, NTMM_BAD_FRAME_UNUSED);
    memory = machine_memory(m);
    assert_int_equal(memory.commit_pages, memory.commit_limit_pages + 2);
    assert_int_equal(try_allocate(m, at, PAGE, NTMM_MEM_COMMIT, RW), NTMM_STATUS_COMMITMENT_LIMIT);
    must_decommit(m, at + PAGE, 2 * PAGE);
    assert_int_equal(try_allocate(m, at, PAGE, NTMM_MEM_COMMIT, RW), NTMM_STATUS_COMMITMENT_LIMIT);
    must_decommit(m, at + 3 * PAGE, PAGE);
    assert_int_equal(try_allocate(m, at, PAGE, NTMM_MEM_COMMIT, RW), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* --- pages that something else has --- */

static void a_page_on_standby_is_read_again(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    must_clean(m, BASE);
    must_trim(m, BASE, PAGE);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    uint64_t frame = machine_frame(m, BASE);
    must_mark(m, frame, 0, NTMM_BAD_FRAME_DROPPED);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    must_hold(m, BASE, PAGES * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard + 1);
    assert_int_not_equal(machine_frame(m, BASE), frame);
    machine_close(m);
}

static void a_clean_page_in_use_is_read_again(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    must_clean(m, BASE);
    uint64_t frame = machine_frame(m, BASE);
    uint64_t set = machine_process(m).working_set_pages;
    must_mark(m, frame, 0, NTMM_BAD_FRAME_DROPPED);
    assert_int_equal(machine_process(m).working_set_pages, set - 1);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    must_hold(m, BASE, PAGES * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard + 1);
    assert_int_not_equal(machine_frame(m, BASE), frame);
    machine_close(m);
}

static void must_command(struct machine *m, enum ntmm_memory_list_command command)
{
    assert_int_equal(ntmm_memory_list_command(m->system, m->process, command), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
}

/* The leaf table of BASE, out of use, with its pages in the page file. */
static uint64_t trim_table(struct machine *m)
{
    uint64_t table = machine_table_frame(m, BASE, 1);
    must_command(m, NTMM_MEMORY_EMPTY_WORKING_SETS);
    must_command(m, NTMM_MEMORY_FLUSH_MODIFIED_LIST);
    must_command(m, NTMM_MEMORY_PURGE_STANDBY_LIST);
    must_command(m, NTMM_MEMORY_EMPTY_WORKING_SETS);
    assert_int_equal(pfn_use(machine_row(m, table)), NTMM_USE_TABLE);
    assert_int_equal(pfn_location(machine_row(m, table)), NTMM_FRAME_MODIFIED);
    return table;
}

/* A table on standby is in the page file too. */
static void a_table_on_standby_is_read_again(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t table = trim_table(m);
    must_command(m, NTMM_MEMORY_FLUSH_MODIFIED_LIST);
    assert_int_equal(pfn_location(machine_row(m, table)), NTMM_FRAME_STANDBY);
    must_mark(m, table, 0, NTMM_BAD_FRAME_DROPPED);
    must_hold(m, BASE, PAGES * PAGE);
    assert_int_not_equal(machine_table_frame(m, BASE, 1), table);
    machine_close(m);
}

/* Nobody could say what was in it. */
static void a_modified_table_moves_or_stays(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t table = trim_table(m);
    must_refuse(m, table, 0, NTMM_STATUS_NOT_SUPPORTED);
    must_mark(m, table, READABLE, NTMM_BAD_FRAME_MOVED);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

/* --- pages that only the frame has --- */

static void a_readable_page_in_use_moves(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    uint64_t frame = machine_frame(m, BASE + 3 * PAGE);
    must_mark(m, frame, READABLE, NTMM_BAD_FRAME_MOVED);
    assert_int_not_equal(machine_frame(m, BASE + 3 * PAGE), frame);
    must_hold(m, BASE, PAGES * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    machine_close(m);
}

static void a_readable_modified_page_moves(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    must_trim(m, BASE, PAGE);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_MODIFIED);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    must_mark(m, machine_frame(m, BASE), READABLE, NTMM_BAD_FRAME_MOVED);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_MODIFIED);
    must_hold(m, BASE, PAGES * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard);
    machine_close(m);
}

static void a_page_in_use_that_cannot_be_read_is_lost(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t commit = machine_memory(m).commit_pages;
    uint64_t errors = machine_counter(m, NTMM_COUNTER_IN_PAGE_ERRORS);
    (void)lose(m, 2);
    must_be_lost(m, BASE + 2 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_IN_PAGE_ERRORS), errors + 2);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), 0);
    assert_int_equal(machine_memory(m).commit_pages, commit);
    must_hold_but(m, 2);
    machine_close(m);
}

static void a_modified_page_that_cannot_be_read_is_lost(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    must_trim(m, BASE + PAGE, PAGE);
    (void)lose(m, 1);
    must_be_lost(m, BASE + PAGE);
    must_hold_but(m, 1);
    machine_close(m);
}

/* --- what a lost page is --- */

static struct ntmm_memory_page_information query_page(struct machine *m, uint64_t va)
{
    struct ntmm_memory_page_information page = {.virtual_address = va};
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, 0,
                                                     NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page,
                                                     sizeof page, NULL),
                     NTMM_STATUS_SUCCESS);
    return page;
}

static void a_lost_page_stays_committed(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t va = BASE + 2 * PAGE;
    char text[64];
    (void)lose(m, 2);
    (void)ntmm_format_entry(get64(machine_entry(m, va, 1)), 1, text, sizeof text);
    assert_string_equal(text, "damaged Protection=0x4");
    assert_int_equal(must_query(m, va).state, NTMM_MEM_COMMIT);
    assert_int_equal(must_query(m, BASE).region_size, PAGES * PAGE);
    assert_int_equal(query_page(m, va).attributes, NTMM_PAGE_STATE_BAD);
    must_protect(m, va, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(must_query(m, va).protect, NTMM_PAGE_READONLY);
    machine_assert_sound(m);
    uint64_t value;
    assert_int_equal(try_write(m, va, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_read(m, va, &value), NTMM_STATUS_IN_PAGE_ERROR);
    must_protect(m, va, PAGE, RW | NTMM_PAGE_GUARD);
    assert_int_equal(try_read(m, va, &value), NTMM_STATUS_GUARD_PAGE_VIOLATION);
    must_be_lost(m, va);
    machine_close(m);
}

static void contents_that_are_given_up_are_zeros(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t va = BASE + 2 * PAGE;
    (void)lose(m, 2);
    must_decommit(m, va, PAGE);
    must_commit(m, va, PAGE, RW);
    assert_int_equal(must_read(m, va), 0);
    must_write(m, va, 1);
    (void)lose(m, 2);
    must_allocate(m, BASE + MIB, PAGE, RW);
    assert_int_equal(try_allocate(m, va, PAGE, NTMM_MEM_RESET, RW), NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, va), 0);
    must_write(m, va, 1);
    (void)lose(m, 2);
    assert_int_equal(ntmm_discard_virtual_memory(m->system, m->process, va, PAGE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, va), 0);
    must_hold_but(m, 2);
    machine_close(m);
}

/* Its table may leave memory, and comes back with it. */
static void a_lost_page_is_lost_in_a_table_that_was_out(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    (void)lose(m, 2);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    must_be_lost(m, BASE + 2 * PAGE);
    must_hold_but(m, 2);
    machine_close(m);
}

static void services_meet_a_lost_page(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t done = 0, bytes[PAGES * PAGE / sizeof(uint64_t)];
    (void)lose(m, 2);
    page_out_everything(m->emu);
    assert_int_equal(
        ntmm_read_virtual_memory(m->system, m->process, BASE, bytes, sizeof bytes, &done),
        NTMM_STATUS_PARTIAL_COPY);
    assert_int_equal(done, 0); /* of a chunk all or nothing */
    page_out_everything(m->emu);
    const struct ntmm_memory_range_entry range = {.virtual_address = BASE,
                                                  .number_of_bytes = PAGES * PAGE};
    uint32_t flags = NTMM_PREFETCH_TO_WORKING_SET;
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process,
                                                         NTMM_VM_PREFETCH_INFORMATION, 1, &range,
                                                         &flags, sizeof flags),
                     NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    must_hold_but(m, 2);
    must_be_lost(m, BASE + 2 * PAGE);
    machine_close(m);
}

static void a_clone_has_the_lost_page(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    ntmm_handle child, parent = m->process;
    (void)lose(m, 2);
    assert_int_equal(ntmm_clone_process(m->system, parent, NULL, &child), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    m->process = child;
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, child), NTMM_STATUS_SUCCESS);
    must_be_lost(m, BASE + 2 * PAGE);
    must_hold_but(m, 2);
    m->process = parent;
    machine_close(m);
}

/* --- refusals --- */

static void what_does_not_leave_is_refused(void **state)
{
    (void)state;
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    struct machine *m = machine_open(&setup);
    must_allocate(m, BASE, PAGES * PAGE, RW);
    must_fill(m, BASE, PAGES * PAGE);
    must_refuse(m, 8 * MIB / PAGE, 0, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse(m, FRAME_NONE, READABLE, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse(m, machine_frame(m, BASE), 2, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse(m, 0, READABLE, NTMM_STATUS_NOT_SUPPORTED); /* the anchor */
    for (uint32_t level = 1; level <= 4; level++)
        must_refuse(m, machine_table_frame(m, BASE, level), READABLE, NTMM_STATUS_NOT_SUPPORTED);
    uint64_t slab = get64(&machine_anchor(m)->slabs[SLAB_VAD].partial) / PAGE;
    must_refuse(m, slab, READABLE, NTMM_STATUS_NOT_SUPPORTED);
    uint64_t count = 1, frame = 0, base = BASE, size = PAGE;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, &frame),
                     NTMM_STATUS_SUCCESS);
    must_refuse(m, frame, READABLE, NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    must_refuse(m, machine_frame(m, BASE), READABLE, NTMM_STATUS_NOT_SUPPORTED);
    must_refuse(m, machine_frame(m, BASE), 0, NTMM_STATUS_NOT_SUPPORTED);
    uint64_t large = BASE + 64 * MIB;
    assert_int_equal(try_allocate(m, large, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES, RW),
                     NTMM_STATUS_SUCCESS);
    uint64_t run = field_get(get64(machine_entry(m, large, 2)), HW_FRAME);
    must_refuse(m, run + 5, READABLE, NTMM_STATUS_NOT_SUPPORTED);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

static void a_frame_in_a_transfer_is_pending(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    must_trim(m, BASE, PAGE);
    uint64_t frame = machine_frame(m, BASE);
    assert_int_equal(must_write_modified(m, 1), 1);
    must_refuse(m, frame, 0, NTMM_STATUS_RETRY);
    must_finish_transfers(m);
    must_mark(m, frame, 0, NTMM_BAD_FRAME_DROPPED);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

static void a_page_without_a_frame_to_move_to_stays(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t value, frame = machine_frame(m, BASE);
    must_allocate(m, BASE + 16 * MIB, 4 * MIB, RW);
    m->system->failures.count = UINT64_MAX; /* no frame can be had */
    must_refuse(m, frame, READABLE, NTMM_STATUS_NO_MEMORY);
    must_trim(m, BASE + PAGE, PAGE);
    must_refuse(m, machine_frame(m, BASE + PAGE), READABLE, NTMM_STATUS_NO_MEMORY);
    m->system->failures.count = 0;
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_COPY, 0, 1, NTMM_STATUS_DEVICE_DATA_ERROR);
    must_refuse(m, frame, READABLE, NTMM_STATUS_NO_MEMORY);
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_SUCCESS);
    must_hold(m, BASE, PAGES * PAGE);
    must_mark(m, frame, READABLE, NTMM_BAD_FRAME_MOVED);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

/* On modified, as in the working set. */
static void a_modified_page_that_cannot_be_copied_stays(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    uint64_t frame = machine_frame(m, BASE);
    must_trim(m, BASE, PAGE);
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_COPY, 0, UINT64_MAX,
                                 NTMM_STATUS_DEVICE_DATA_ERROR);
    must_refuse(m, frame, READABLE, NTMM_STATUS_NO_MEMORY);
    ntmm_emulated_inject_content(m->emu, 0, 0, 0, 0);
    assert_int_equal(machine_frame(m, BASE), frame);
    must_mark(m, frame, READABLE, NTMM_BAD_FRAME_MOVED);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_frame_is_bad_until_it_is_good),
        cmocka_unit_test(nothing_takes_a_bad_frame),
        cmocka_unit_test(the_limit_falls_below_the_charge),
        cmocka_unit_test(a_page_on_standby_is_read_again),
        cmocka_unit_test(a_clean_page_in_use_is_read_again),
        cmocka_unit_test(a_table_on_standby_is_read_again),
        cmocka_unit_test(a_modified_table_moves_or_stays),
        cmocka_unit_test(a_readable_page_in_use_moves),
        cmocka_unit_test(a_readable_modified_page_moves),
        cmocka_unit_test(a_page_in_use_that_cannot_be_read_is_lost),
        cmocka_unit_test(a_modified_page_that_cannot_be_read_is_lost),
        cmocka_unit_test(a_lost_page_stays_committed),
        cmocka_unit_test(contents_that_are_given_up_are_zeros),
        cmocka_unit_test(a_lost_page_is_lost_in_a_table_that_was_out),
        cmocka_unit_test(services_meet_a_lost_page),
        cmocka_unit_test(a_clone_has_the_lost_page),
        cmocka_unit_test(what_does_not_leave_is_refused),
        cmocka_unit_test(a_frame_in_a_transfer_is_pending),
        cmocka_unit_test(a_page_without_a_frame_to_move_to_stays),
        cmocka_unit_test(a_modified_page_that_cannot_be_copied_stays),
    };
    return cmocka_run_group_tests_name("bad_frames", tests, NULL, NULL);
}
