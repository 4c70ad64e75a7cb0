/*
 * Limits of working sets, emptying, and the commands of the page lists, from nt_semantics 3.10, 8.
 *
 *   hard maximum 20:   one page more --> some of the process's own go, nobody else's
 */
#include "unit/storage.h"

#include <ntmm/memory.h>
#include <ntmm/working_set.h>

#define HARD_MAXIMUM NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE
#define HARD_MINIMUM NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE

static ntmm_handle without(ntmm_handle handle, uint32_t right)
{
    return handle | (ntmm_handle)right << HANDLE_LACKS_SHIFT;
}

static ntmm_status try_set(struct machine *m, ntmm_handle handle, uint64_t minimum,
                           uint64_t maximum, uint32_t flags)
{
    ntmm_status status =
        ntmm_set_working_set_limits(m->system, handle, minimum * PAGE, maximum * PAGE, flags);
    machine_assert_sound(m);
    return status;
}

static void expect_limits(struct machine *m, uint64_t minimum, uint64_t maximum)
{
    assert_int_equal(machine_process(m).working_set_minimum_pages, minimum);
    assert_int_equal(machine_process(m).working_set_maximum_pages, maximum);
}

static struct machine *open_paging(uint64_t ram_pages)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_pages * PAGE}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, 2 * MIB, 0, NULL);
    return m;
}

static void limits_are_set_and_shown(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    expect_limits(m, 50, 345);
    assert_int_equal(try_set(m, m->process, 30, 40, 0), NTMM_STATUS_SUCCESS);
    expect_limits(m, 30, 40);
    assert_int_equal(
        ntmm_set_working_set_limits(m->system, m->process, 31 * PAGE + 4095, 41 * PAGE + 1, 0),
        NTMM_STATUS_SUCCESS);
    expect_limits(m, 31, 41);
    assert_int_equal(try_set(m, m->process, 0, 0, NTMM_QUOTA_LIMITS_USE_DEFAULT_LIMITS),
                     NTMM_STATUS_SUCCESS);
    expect_limits(m, 50, 345);
    machine_close(m);
}

/* covers 3.10#minimum 3.10#maximum */
static void limits_are_brought_into_range(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    (void)state;
    struct machine *m = machine_open(&setup);
    assert_int_equal(try_set(m, m->process, 19, 40, 0), NTMM_STATUS_WORKING_SET_LIMIT_RANGE);
    expect_limits(m, 20, 40);
    assert_int_equal(try_set(m, m->process, 20, 40, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, m->process, 13, 13, 0), NTMM_STATUS_WORKING_SET_LIMIT_RANGE);
    expect_limits(m, 20, 20);
    assert_int_equal(try_set(m, m->process, 12, 12, 0), NTMM_STATUS_BAD_WORKING_SET_LIMIT);
    assert_int_equal(try_set(m, m->process, 41, 40, 0), NTMM_STATUS_BAD_WORKING_SET_LIMIT);
    expect_limits(m, 20, 20);
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t most = memory.total_pages - memory.metadata_pages - 512;
    assert_int_equal(try_set(m, m->process, 20, most + 1, 0), NTMM_STATUS_WORKING_SET_LIMIT_RANGE);
    expect_limits(m, 20, most);
    assert_int_equal(try_set(m, m->process, 20, most, 0), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void checks_have_an_order(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    const uint32_t both_minimum = HARD_MINIMUM | NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE;
    const uint32_t both_maximum = HARD_MAXIMUM | NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE;
    assert_int_equal(try_set(m, 0, 30, 40, 0x20), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_set(m, 0, 30, 40, both_minimum), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_set(m, 0, 30, 40, both_maximum), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_set(m, 0, 0, 40, 0), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_set(m, 0, 30, 0, 0), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_set(m, 0, 41, 40, 0), NTMM_STATUS_INVALID_HANDLE);
    ntmm_handle handle = without(m->process, NTMM_PROCESS_SET_QUOTA);
    assert_int_equal(try_set(m, handle, 41, 40, 0), NTMM_STATUS_ACCESS_DENIED);
    handle = without(m->process, HELD_INCREASE_WORKING_SET);
    assert_int_equal(try_set(m, handle, 401, 400, 0), NTMM_STATUS_BAD_WORKING_SET_LIMIT);
    assert_int_equal(try_set(m, handle, 50, 400, 0), NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(try_set(m, handle, 51, 345, 0), NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(try_set(m, handle, 20, 30, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, handle, 50, 345, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, m->process, 60, 400, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, handle, 59, 400, 0), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void minima_are_promised_out_of_memory(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    (void)state;
    struct machine *m = machine_open(&setup);
    uint64_t usable = machine_memory(m).total_pages - machine_memory(m).metadata_pages;
    uint64_t most = usable - 512;
    ntmm_handle second = machine_add_process(m);
    ntmm_handle third = machine_add_process(m);
    assert_int_equal(try_set(m, m->process, most, most, 0), NTMM_STATUS_SUCCESS);
    uint64_t left = usable - most - 50; /* the third has its 50 */
    assert_int_equal(try_set(m, second, left + 1, most, 0), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(try_set(m, second, left, most, 0), NTMM_STATUS_SUCCESS);
    /* lowering is always possible, and what ends gives its promise back */
    assert_int_equal(ntmm_end_process(m->system, third), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_set(m, second, left + 50, most, 0), NTMM_STATUS_SUCCESS);
    ntmm_handle fourth = machine_add_process(m);
    assert_int_equal(try_set(m, fourth, 51, 345, 0), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(try_set(m, fourth, 40, 345, 0), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void a_hard_maximum_is_never_passed(void **state)
{
    (void)state;
    struct machine *m = open_paging(1024);
    must_allocate(m, BASE, 200 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 100 * PAGE);
    assert_int_equal(machine_process(m).working_set_pages, 100);
    assert_int_equal(try_set(m, m->process, 20, 32, 0), NTMM_STATUS_SUCCESS); /* soft */
    assert_int_equal(machine_process(m).working_set_pages, 100);
    assert_int_equal(try_set(m, m->process, 20, 32, HARD_MAXIMUM), NTMM_STATUS_SUCCESS);
    assert_true(machine_process(m).working_set_pages <= 32);
    for (uint64_t page = 0; page < 200; page++) {
        must_write(m, BASE + page * PAGE, BASE + page * PAGE);
        assert_true(machine_process(m).working_set_pages <= 32);
    }
    assert_true(machine_process(m).working_set_pages >= 28);
    for (uint32_t i = 0; i < 3; i++)
        must_hold(m, BASE, 200 * PAGE);
    machine_assert_sound(m);
    /* soft again: it grows */
    assert_int_equal(try_set(m, m->process, 20, 32, NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE),
                     NTMM_STATUS_SUCCESS);
    must_hold(m, BASE, 200 * PAGE);
    assert_int_equal(machine_process(m).working_set_pages, 200);
    must_finish_transfers(m);
    machine_close(m);
}

/* Nothing in the leaf table of the page that is asked for is in memory when room is made. */
static void room_is_made_though_tables_go(void **state)
{
    (void)state;
    struct machine *m = open_paging(1024);
    assert_int_equal(try_set(m, m->process, 20, 20, HARD_MAXIMUM), NTMM_STATUS_SUCCESS);
    must_reserve(m, BASE + GIB, 64 * 2 * MIB, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < 64; i++)
        must_commit(m, BASE + GIB + i * 2 * MIB, PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t turn = 0; turn < 3; turn++) {
        for (uint64_t i = 0; i < 64; i++) {
            must_write(m, BASE + GIB + i * 2 * MIB, i + 1);
            assert_true(machine_process(m).working_set_pages <= 20);
            while (must_write_modified(m, 1024) != 0)
                must_finish_transfers(m);
        }
        machine_assert_sound(m);
        assert_int_equal(
            ntmm_memory_list_command(m->system, m->process, NTMM_MEMORY_PURGE_STANDBY_LIST),
            NTMM_STATUS_SUCCESS);
        machine_assert_sound(m);
    }
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(must_read(m, BASE + GIB + i * 2 * MIB), i + 1);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

static void locked_pages_stay_at_a_hard_maximum(void **state)
{
    uint64_t base = BASE;
    uint64_t size = 12 * PAGE;
    (void)state;
    struct machine *m = open_paging(1024);
    must_allocate(m, BASE, 100 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_set(m, m->process, 20, 20, HARD_MAXIMUM), NTMM_STATUS_SUCCESS);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    must_fill(m, BASE, 100 * PAGE);
    assert_true(machine_process(m).working_set_pages <= 20);
    for (uint64_t i = 0; i < 12; i++)
        assert_true(get64(machine_entry(m, BASE + i * PAGE, 1)) & FIELD_MASK(HW_VALID));
    must_hold(m, BASE, 100 * PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

/* Two processes and too little memory: the one with the hard minimum keeps its pages. */
static void a_hard_minimum_is_kept(void **state)
{
    (void)state;
    struct machine *m = open_paging(120);
    ntmm_handle greedy = machine_add_process(m);
    must_allocate(m, BASE, 40 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 40 * PAGE);
    assert_int_equal(try_set(m, m->process, 30, 345, HARD_MINIMUM),
                     NTMM_STATUS_WORKING_SET_LIMIT_RANGE);
    ntmm_handle first = m->process;
    m->process = greedy;
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, greedy), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, 200 * PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 3; i++)
        must_fill(m, BASE, 200 * PAGE);
    m->process = first;
    assert_true(machine_process(m).working_set_pages >= 30);
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, first), NTMM_STATUS_SUCCESS);
    must_hold(m, BASE, 40 * PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

static void emptying_leaves_what_is_locked(void **state)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    (void)state;
    struct machine *m = open_paging(1024);
    must_allocate(m, BASE, 600 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 600 * PAGE);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_empty_working_set(m->system, m->process), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    assert_int_equal(machine_location(m, BASE + PAGE), NTMM_FRAME_MODIFIED);
    machine_assert_sound(m);
    uint64_t before = machine_counter(m, NTMM_COUNTER_TRANSITION_FAULTS);
    must_hold(m, BASE, 600 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TRANSITION_FAULTS), before + 599);
    assert_int_equal(ntmm_set_working_set_limits(m->system, m->process, NTMM_WORKING_SET_EMPTY,
                                                 NTMM_WORKING_SET_EMPTY, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    expect_limits(m, 50, 345);
    ntmm_handle handle = without(m->process, NTMM_PROCESS_QUERY_INFORMATION);
    assert_int_equal(ntmm_empty_working_set(m->system, handle), NTMM_STATUS_ACCESS_DENIED);
    handle = without(m->process, NTMM_PROCESS_SET_QUOTA);
    assert_int_equal(ntmm_empty_working_set(m->system, handle), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_empty_working_set(m->system, 0), NTMM_STATUS_INVALID_HANDLE);
    machine_assert_sound(m);
    machine_close(m);
}

/* covers 3.10#defaults 3.10#length 3.10#alignment 3.10#length<alignment */
static void quota_limits_have_nts_layout(void **state)
{
    struct ntmm_quota_limits_ex ex = {.flags = 77};
    struct ntmm_quota_limits plain;
    uint32_t words[32] = {0};
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(sizeof plain, 48);
    assert_int_equal(sizeof ex, 88);
    assert_int_equal(ntmm_query_quota_limits(m->system, m->process, &plain, 48),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(plain.minimum_working_set_size, 204800);
    assert_int_equal(plain.maximum_working_set_size, 1413120);
    assert_true(plain.pagefile_limit == UINT64_MAX && plain.time_limit == UINT64_MAX);
    for (uint32_t length = 0; length < 128; length++) {
        if (length == 48 || length == 88)
            continue;
        assert_int_equal(ntmm_query_quota_limits(m->system, m->process, words, length),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(ntmm_set_quota_limits(m->system, m->process, (char *)words + 1, length),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
    }
    assert_int_equal(ntmm_set_quota_limits(m->system, 0, (char *)words + 1, 48),
                     NTMM_STATUS_DATATYPE_MISALIGNMENT);
    assert_int_equal(ntmm_set_quota_limits(m->system, 0, NULL, 48), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_quota_limits(m->system, 0, NULL, 48), NTMM_STATUS_ACCESS_VIOLATION);
    plain.minimum_working_set_size = 30 * PAGE;
    plain.maximum_working_set_size = 60 * PAGE;
    assert_int_equal(ntmm_set_quota_limits(m->system, m->process, &plain, 48), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_query_quota_limits(m->system, m->process, &ex, 88), NTMM_STATUS_SUCCESS);
    assert_int_equal(ex.limits.minimum_working_set_size, 30 * PAGE);
    assert_int_equal(ex.flags,
                     NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE | NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE);
    ex.flags = HARD_MINIMUM | HARD_MAXIMUM;
    assert_int_equal(ntmm_set_quota_limits(m->system, m->process, &ex, 88), NTMM_STATUS_SUCCESS);
    ex.flags = 0;
    assert_int_equal(ntmm_query_quota_limits(m->system, m->process, &ex, 88), NTMM_STATUS_SUCCESS);
    assert_int_equal(ex.flags, HARD_MINIMUM | HARD_MAXIMUM);
    machine_close(m);
}

/* --- the page lists --- */

static void must_command(struct machine *m, uint32_t command)
{
    assert_int_equal(ntmm_memory_list_command(m->system, m->process, command), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static uint64_t standby(struct machine *m)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        pages += machine_memory(m).standby_pages[i];
    return pages;
}

static void commands_move_pages_from_list_to_list(void **state)
{
    (void)state;
    struct machine *m = open_paging(1024);
    must_allocate(m, BASE, 300 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 300 * PAGE);
    must_command(m, NTMM_MEMORY_CAPTURE_ACCESSED_BITS);
    assert_true(get64(machine_entry(m, BASE, 1)) & FIELD_MASK(HW_ACCESSED));
    must_command(m, NTMM_MEMORY_CAPTURE_AND_RESET_ACCESSED_BITS);
    assert_false(get64(machine_entry(m, BASE, 1)) & FIELD_MASK(HW_ACCESSED));
    must_command(m, NTMM_MEMORY_EMPTY_WORKING_SETS);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_true(machine_memory(m).modified_pages >= 300);
    must_command(m, NTMM_MEMORY_FLUSH_MODIFIED_LIST);
    assert_int_equal(machine_memory(m).modified_pages, 0);
    must_finish_transfers(m);
    assert_true(standby(m) >= 300);
    must_command(m, NTMM_MEMORY_PURGE_LOW_PRIORITY_STANDBY_LIST);
    assert_true(standby(m) >= 300); /* they have priority 5 */
    uint64_t repurposed = machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED);
    must_command(m, NTMM_MEMORY_PURGE_STANDBY_LIST);
    assert_int_equal(standby(m), 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED), repurposed);
    must_hold(m, BASE, 300 * PAGE);
    must_finish_transfers(m);
    machine_close(m);
}

static void a_flush_that_cannot_write_ends(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 30 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 30 * PAGE);
    must_command(m, NTMM_MEMORY_EMPTY_WORKING_SETS);
    must_command(m, NTMM_MEMORY_FLUSH_MODIFIED_LIST);
    assert_true(machine_memory(m).modified_pages >= 30);
    machine_close(m);
}

static void commands_need_a_privilege(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle handle = without(m->process, HELD_PROFILE);
    assert_int_equal(ntmm_memory_list_command(m->system, 0, 6), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_memory_list_command(m->system, handle, 6),
                     NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(ntmm_memory_list_command(m->system, m->process, 6),
                     NTMM_STATUS_INVALID_PARAMETER);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_set_and_shown),
        cmocka_unit_test(limits_are_brought_into_range),
        cmocka_unit_test(checks_have_an_order),
        cmocka_unit_test(minima_are_promised_out_of_memory),
        cmocka_unit_test(a_hard_maximum_is_never_passed),
        cmocka_unit_test(room_is_made_though_tables_go),
        cmocka_unit_test(locked_pages_stay_at_a_hard_maximum),
        cmocka_unit_test(a_hard_minimum_is_kept),
        cmocka_unit_test(emptying_leaves_what_is_locked),
        cmocka_unit_test(quota_limits_have_nts_layout),
        cmocka_unit_test(commands_move_pages_from_list_to_list),
        cmocka_unit_test(a_flush_that_cannot_write_ends),
        cmocka_unit_test(commands_need_a_privilege),
    };
    return cmocka_run_group_tests_name("working_set", tests, NULL, NULL);
}
