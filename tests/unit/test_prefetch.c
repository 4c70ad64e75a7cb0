/*
 * Prefetch, page priority, removal from the working set and call targets, from nt_semantics 3.7.
 *
 *   out out out out  --prefetch-->  standby standby standby standby     no page is valid
 */
#include "paging/page_out.h"
#include "space/wsl.h"
#include "unit/storage.h"

#include <ntmm/memory.h>

static ntmm_status try_set(struct machine *m, uint32_t class, uint64_t base, uint64_t size,
                           uint32_t value)
{
    const struct ntmm_memory_range_entry range = {base, size};
    ntmm_status status = ntmm_set_information_virtual_memory(m->system, m->process, class, 1,
                                                             &range, &value, sizeof value);
    machine_assert_sound(m);
    return status;
}

static struct machine *open_out(uint32_t build, uint64_t pages)
{
    const struct machine_setup setup = {.core = {.windows_build = build}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, 2 * MIB, 0, NULL);
    must_allocate(m, BASE, pages * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, pages * PAGE);
    page_out_everything(m->emu);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_true(load64_relaxed(&machine_partition(m)->standby_pages) == 0);
    return m;
}

static void prefetch_brings_pages_to_standby(void **state)
{
    (void)state;
    struct machine *m = open_out(0, 100);
    uint64_t reads = machine_counter(m, NTMM_COUNTER_PAGE_READS);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE + 10 * PAGE + 1, 63 * PAGE, 0),
                     NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    for (uint64_t page = 10; page < 74; page++)
        assert_int_equal(machine_location(m, BASE + page * PAGE), NTMM_FRAME_STANDBY);
    /* its neighbours stayed where they were: 64 pages in transfers of 16, and some tables */
    assert_int_equal(machine_memory(m).standby_pages[5], 64);
    assert_true(machine_counter(m, NTMM_COUNTER_PAGE_READS) - reads <= 64 / 16 + 3);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    must_hold(m, BASE + 10 * PAGE, 64 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard);
    machine_close(m);
}

/* covers 3.7#free */
static void prefetch_accepts_any_range(void **state)
{
    (void)state;
    struct machine *m = open_out(0, 8);
    must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, 0, UINT64_MAX, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, UINT64_MAX, 1, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, 0, 1, 0), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(machine_location(m, BASE + PAGE), NTMM_FRAME_STANDBY);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    must_hold(m, BASE + 2 * PAGE, 6 * PAGE);
    machine_close(m);
}

static void prefetch_ends_where_frames_do(void **state)
{
    (void)state;
    struct machine *m = open_out(0, 64);
    assert_int_equal(must_read(m, BASE), BASE); /* its table is in memory */
    for (uint64_t after = 0; after < 8; after++) {
        m->system->failures = (struct allocation_failures){.after = after, .count = UINT64_MAX};
        assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, 64 * PAGE, 0),
                         NTMM_STATUS_SUCCESS);
        m->system->failures = (struct allocation_failures){0};
        must_finish_transfers(m);
        machine_assert_sound(m);
    }
    must_hold(m, BASE, 64 * PAGE);
    machine_close(m);
}

/* More transfers than there are blocks: every second page is in memory. */
static void prefetch_waits_for_blocks(void **state)
{
    (void)state;
    struct machine *m = open_out(0, 200);
    for (uint64_t page = 0; page < 200; page += 2)
        (void)must_read(m, BASE + page * PAGE);
    must_finish_transfers(m);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, 200 * PAGE, 0),
                     NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    must_hold(m, BASE, 200 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard);
    machine_close(m);
}

static void prefetch_may_go_into_the_working_set(void **state)
{
    (void)state;
    struct machine *m = open_out(26100, 16);
    must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(
        try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, 16 * PAGE, NTMM_PREFETCH_TO_WORKING_SET),
        NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    assert_int_equal(machine_process(m).working_set_pages, 14);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, PAGE, 2),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    machine_close(m);
    m = open_out(22621, 16);
    assert_int_equal(
        try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, PAGE, NTMM_PREFETCH_TO_WORKING_SET),
        NTMM_STATUS_INVALID_PARAMETER_5);
    machine_close(m);
}

static void priority_moves_pages_between_lists(void **state)
{
    (void)state;
    struct machine *m = open_out(0, 8);
    assert_int_equal(try_set(m, NTMM_VM_PREFETCH_INFORMATION, BASE, 6 * PAGE, 0),
                     NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    assert_int_equal(must_read(m, BASE), BASE);
    must_write(m, BASE + PAGE, 1);
    must_trim(m, BASE + PAGE, PAGE); /* modified */
    uint64_t at_5 = machine_memory(m).standby_pages[5];
    assert_int_equal(try_set(m, NTMM_VM_PAGE_PRIORITY_INFORMATION, BASE, 8 * PAGE, 1),
                     NTMM_STATUS_SUCCESS);
    struct ntmm_memory_information memory = machine_memory(m);
    assert_int_equal(memory.standby_pages[1], 4);
    assert_int_equal(memory.standby_pages[5], at_5 - 4);
    assert_int_equal(pfn_priority(machine_row(m, machine_frame(m, BASE))), 1);
    assert_int_equal(pfn_priority(machine_row(m, machine_frame(m, BASE + PAGE))), 1);
    assert_int_equal(machine_location(m, BASE + PAGE), NTMM_FRAME_MODIFIED);
    assert_int_equal(try_set(m, NTMM_VM_PAGE_PRIORITY_INFORMATION, BASE, PAGE, 6),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    assert_int_equal(try_set(m, NTMM_VM_PAGE_PRIORITY_INFORMATION, 0, UINT64_MAX, 5),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_memory(m).standby_pages[1], 0);
    must_hold(m, BASE + 2 * PAGE, 6 * PAGE);
    machine_close(m);
}

static void removal_trims_a_range(void **state)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    (void)state;
    struct machine *m = open_out(0, 8);
    must_hold(m, BASE, 8 * PAGE);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION, BASE, 4 * PAGE, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 8); /* none is idle */
    assert_int_equal(try_set(m, NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION, BASE, 4 * PAGE,
                             NTMM_REMOVE_FORCE_TRIM),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 5); /* the locked one, and four */
    assert_int_equal(try_set(m, NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION, BASE, 4 * PAGE, 2),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    must_hold(m, BASE, 8 * PAGE);
    machine_close(m);
}

/* covers 3.7#1<2 3.7#2<3 3.7#3<4 3.7#4<5 3.7#5<6 3.7#1 3.7#2 3.7#3 3.7#4 3.7#5 3.7#6 */
static void arguments_are_checked_in_order(void **state)
{
    struct ntmm_memory_range_entry ranges[2] = {{BASE, PAGE}, {BASE, 0}};
    uint32_t value = 99;
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_system *s = m->system;
    ntmm_handle lacks = m->process | (uint64_t)NTMM_PROCESS_SET_INFORMATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 99, 0, NULL, NULL, 5),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 0, NULL, NULL, 5),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 0, NULL, &value, 5),
                     NTMM_STATUS_INVALID_PARAMETER_6);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 0, NULL, &value, 4),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 2, NULL, &value, 4),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 2, ranges, &value, 4),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 1, ranges, &value, 4),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    value = 0;
    assert_int_equal(ntmm_set_information_virtual_memory(s, 0, 0, 1, ranges, &value, 4),
                     NTMM_STATUS_INVALID_HANDLE);
    for (uint32_t class = 0; class < 10; class ++) {
        bool has_word = class == 0 || class == 1 || class == 7;
        assert_int_equal(ntmm_set_information_virtual_memory(s, lacks, class, 1, ranges, &value, 4),
                         has_word     ? NTMM_STATUS_ACCESS_DENIED
                         : class == 2 ? NTMM_STATUS_INVALID_PARAMETER_6
                                      : NTMM_STATUS_INVALID_PARAMETER_2);
    }
    machine_close(m);
}

static void call_targets_are_checked_and_marked(void **state)
{
    struct ntmm_cfg_call_target targets[2] = {{16, NTMM_CFG_CALL_TARGET_VALID}, {32, 0}};
    uint32_t processed = 77;
    struct ntmm_cfg_call_target_list list = {
        .count = 2, .processed = &processed, .targets = targets};
    struct ntmm_memory_range_entry range = {BASE, PAGE};
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_EXECUTE_READ);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READONLY);
    const uint32_t class = NTMM_VM_CFG_CALL_TARGET_INFORMATION;
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, class, 1, &range,
                                                         &list, sizeof list),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(processed, 2);
    assert_int_equal(targets[0].flags, NTMM_CFG_CALL_TARGET_VALID | NTMM_CFG_CALL_TARGET_PROCESSED);
    assert_int_equal(targets[1].flags, NTMM_CFG_CALL_TARGET_PROCESSED);
    const struct ntmm_cfg_call_target bad[] = {{24, 0}, {4096, 0}, {16, 4}};
    for (uint32_t i = 0; i < 3; i++) {
        targets[0].flags = 0;
        targets[1] = bad[i];
        processed = 77;
        assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, class, 1,
                                                             &range, &list, sizeof list),
                         NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(processed, 77);
        assert_int_equal(targets[0].flags, 0);
    }
    targets[1].offset = 32;
    targets[1].flags = 0;
    range.number_of_bytes = PAGE + 1;
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, class, 1, &range,
                                                         &list, sizeof list),
                     NTMM_STATUS_INVALID_PARAMETER);
    range.virtual_address = UINT64_MAX;
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, class, 1, &range,
                                                         &list, sizeof list),
                     NTMM_STATUS_INVALID_PARAMETER);
    list.processed = NULL;
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, class, 1, &range,
                                                         &list, sizeof list),
                     NTMM_STATUS_ACCESS_VIOLATION);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefetch_brings_pages_to_standby),
        cmocka_unit_test(prefetch_accepts_any_range),
        cmocka_unit_test(prefetch_ends_where_frames_do),
        cmocka_unit_test(prefetch_waits_for_blocks),
        cmocka_unit_test(prefetch_may_go_into_the_working_set),
        cmocka_unit_test(priority_moves_pages_between_lists),
        cmocka_unit_test(removal_trims_a_range),
        cmocka_unit_test(arguments_are_checked_in_order),
        cmocka_unit_test(call_targets_are_checked_and_marked),
    };
    return cmocka_run_group_tests_name("prefetch", tests, NULL, NULL);
}
