/*
 * User physical pages and their windows (nt_semantics 2.9).
 */
#include "paging/page_out.h"
#include "space/awe.h"
#include "unit/machine.h"

#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

#define WINDOW (NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL)
#define OTHER_WINDOW (BASE + GIB)
#define MOST 2048u

static uint64_t frames[MOST];

static struct machine *open_window(uint64_t pages)
{
    const struct machine_setup setup = {.core = {.extra_commit_pages = 10000}};
    struct machine *m = machine_open(&setup);
    assert_int_equal(try_allocate(m, BASE, pages * PAGE, WINDOW, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    return m;
}

static void must_get(struct machine *m, uint64_t count)
{
    uint64_t got = count;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &got, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(got, count);
    machine_assert_sound(m);
}

static ntmm_status try_map(struct machine *m, uint64_t base, uint64_t count, const uint64_t *which)
{
    ntmm_status status = ntmm_map_user_physical_pages(m->system, m->process, base, count, which);
    machine_assert_sound(m);
    return status;
}

static void must_map(struct machine *m, uint64_t base, uint64_t count, const uint64_t *which)
{
    assert_int_equal(try_map(m, base, count, which), NTMM_STATUS_SUCCESS);
}

static ntmm_status try_give(struct machine *m, uint64_t *count, const uint64_t *which)
{
    ntmm_status status = ntmm_free_user_physical_pages(m->system, m->process, count, which);
    machine_assert_sound(m);
    return status;
}

static void frames_are_charged_zero_and_nobodys_working_set(void **state)
{
    (void)state;
    struct machine *m = open_window(16);
    struct ntmm_process_information before = machine_process(m);
    uint64_t commit = get64(&machine_partition(m)->commit);
    must_allocate(m, OTHER_WINDOW, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, OTHER_WINDOW, 64 * PAGE);
    must_release(m, OTHER_WINDOW, 0); /* frames that were used are zeroed again */
    must_get(m, 16);
    assert_int_equal(machine_process(m).commit_pages, before.commit_pages + 16);
    assert_int_equal(get64(&machine_partition(m)->commit), commit + 16);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    must_map(m, BASE, 16, frames);
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(must_read(m, BASE + i * PAGE), 0);
    must_fill(m, BASE, 16 * PAGE);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS), 64);
    uint64_t count = 16;
    assert_int_equal(try_give(m, &count, frames), NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 16);
    assert_int_equal(machine_process(m).commit_pages, before.commit_pages);
    assert_int_equal(machine_process(m).table_pages, before.table_pages);
    machine_close(m);
}

static void a_window_shows_what_is_mapped(void **state)
{
    uint64_t value;
    (void)state;
    struct machine *m = open_window(8);
    must_get(m, 4);
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    must_map(m, BASE + PAGE, 2, frames);
    must_write(m, BASE + PAGE, 0x10);
    must_write(m, BASE + 2 * PAGE, 0x11);
    assert_int_equal(try_write(m, BASE + 3 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_execute(m, BASE + PAGE), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_query(m, BASE).state, NTMM_MEM_RESERVE);
    assert_int_equal(must_query(m, BASE).region_size, PAGE);
    assert_int_equal(must_query(m, BASE + PAGE).state, NTMM_MEM_COMMIT);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_READWRITE);
    assert_int_equal(must_query(m, BASE + PAGE).region_size, 2 * PAGE);
    must_map(m, BASE + PAGE, 2, frames + 2); /* others in their place */
    assert_int_equal(must_read(m, BASE + PAGE), 0);
    must_map(m, BASE + 4 * PAGE, 2, frames); /* and these elsewhere */
    assert_int_equal(must_read(m, BASE + 4 * PAGE), 0x10);
    assert_int_equal(must_read(m, BASE + 5 * PAGE), 0x11);
    must_map(m, BASE, 8, NULL);
    assert_int_equal(try_read(m, BASE + 4 * PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    must_map(m, BASE, 8, NULL);
    must_map(m, BASE + 7 * PAGE + 5, 1, frames + 1);
    assert_int_equal(must_read(m, BASE + 7 * PAGE), 0x11);
    machine_close(m);
}

static void a_frame_is_mapped_once(void **state)
{
    (void)state;
    const uint64_t twice[2] = {0, 0};
    struct machine *m = open_window(8);
    must_get(m, 4);
    must_map(m, BASE, 2, frames);
    assert_int_equal(try_map(m, BASE + 4 * PAGE, 1, frames), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_map(m, BASE + PAGE, 2, frames), NTMM_STATUS_INVALID_PARAMETER_3);
    must_map(m, BASE, 3, frames); /* where it is already */
    uint64_t same[2] = {frames[3], frames[3]};
    assert_int_equal(try_map(m, BASE + 4 * PAGE, 2, same), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_map(m, BASE + 4 * PAGE, 2, twice), NTMM_STATUS_INVALID_PARAMETER_3);
    same[1] = UINT64_MAX;
    assert_int_equal(try_map(m, BASE + 4 * PAGE, 2, same), NTMM_STATUS_INVALID_PARAMETER_3);
    same[1] = machine_table_frame(m, BASE, 1);
    assert_int_equal(try_map(m, BASE + 4 * PAGE, 2, same), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(must_query(m, BASE + 3 * PAGE).state, NTMM_MEM_RESERVE);
    machine_close(m);
}

static void another_process_has_no_part_in_it(void **state)
{
    (void)state;
    struct machine *m = open_window(8);
    ntmm_handle first = m->process;
    uint64_t count = 2;
    must_get(m, 2);
    ntmm_handle other = machine_add_process(m);
    m->process = other;
    assert_int_equal(try_allocate(m, BASE, 8 * PAGE, WINDOW, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(try_map(m, BASE, 2, frames), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_give(m, &count, frames), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(count, 0);
    uint64_t own[2];
    count = 2;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, other, &count, own),
                     NTMM_STATUS_SUCCESS);
    must_map(m, BASE, 2, own);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    m->process = first;
    machine_assert_sound(m);
    must_map(m, BASE, 2, frames);
    must_fill(m, BASE, 2 * PAGE);
    machine_close(m); /* mapped as they are */
}

static void scattered_pages(void **state)
{
    (void)state;
    struct machine *m = open_window(600);
    must_get(m, 4);
    assert_int_equal(try_allocate(m, OTHER_WINDOW, PAGE, WINDOW, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    must_reserve(m, OTHER_WINDOW + MIB, PAGE, NTMM_PAGE_READWRITE);
    const uint64_t at[4] = {OTHER_WINDOW, BASE + 599 * PAGE + 7, BASE, BASE + 3 * PAGE};
    const uint64_t wrong[2] = {BASE + PAGE, OTHER_WINDOW + MIB};
    assert_int_equal(ntmm_map_user_physical_pages_scatter(m->system, m->process, at, 4, frames),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    must_write(m, OTHER_WINDOW, 1);
    must_write(m, BASE + 599 * PAGE, 2);
    assert_int_equal(ntmm_map_user_physical_pages_scatter(m->system, m->process, wrong, 2, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_map_user_physical_pages_scatter(m->system, m->process, NULL, 1, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_map_user_physical_pages_scatter(m->system, m->process, at, 2, NULL),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(try_write(m, OTHER_WINDOW, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_map(m, BASE + PAGE, 1, frames + 1);
    assert_int_equal(must_read(m, BASE + PAGE), 2);
    machine_close(m);
}

static void freeing_unmaps_and_stops_at_a_stranger(void **state)
{
    uint64_t value;
    uint64_t count = 4;
    (void)state;
    struct machine *m = open_window(8);
    must_get(m, 4);
    must_map(m, BASE, 4, frames);
    const uint64_t some[4] = {frames[2], frames[0], frames[2], frames[1]};
    assert_int_equal(try_give(m, &count, some), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(count, 2);
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_read(m, BASE + PAGE), 0);
    assert_int_equal(try_read(m, BASE + 2 * PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_read(m, BASE + 3 * PAGE), 0);
    assert_int_equal(machine_process(m).commit_pages, 2);
    machine_close(m);
}

static void a_window_goes_as_a_whole_and_frees_no_frame(void **state)
{
    (void)state;
    struct machine *m = open_window(600);
    must_get(m, 2);
    must_map(m, BASE + 511 * PAGE, 2, frames);
    must_write(m, BASE + 511 * PAGE, 5);
    assert_int_equal(try_free(m, BASE, PAGE, NTMM_MEM_RELEASE), NTMM_STATUS_UNABLE_TO_FREE_VM);
    assert_int_equal(try_free(m, BASE + PAGE, PAGE, NTMM_MEM_RELEASE),
                     NTMM_STATUS_FREE_VM_NOT_AT_BASE);
    assert_int_equal(try_free(m, BASE, 0, NTMM_MEM_DECOMMIT), NTMM_STATUS_MEMORY_NOT_ALLOCATED);
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_RESET, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    must_release(m, BASE, 0);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).commit_pages, 2);
    assert_int_equal(try_allocate(m, OTHER_WINDOW, PAGE, WINDOW, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    must_map(m, OTHER_WINDOW, 1, frames);
    assert_int_equal(must_read(m, OTHER_WINDOW), 5);
    machine_close(m);
}

static void protection_of_what_is_mapped(void **state)
{
    uint64_t value;
    (void)state;
    struct machine *m = open_window(8);
    must_get(m, 4);
    must_map(m, BASE, 4, frames);
    must_fill(m, BASE, 4 * PAGE);
    assert_int_equal(try_protect(m, BASE + 3 * PAGE, 2 * PAGE, NTMM_PAGE_READONLY),
                     NTMM_STATUS_NOT_COMMITTED);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY), NTMM_PAGE_READWRITE);
    assert_int_equal(must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_NOACCESS), NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    assert_int_equal(must_read(m, BASE), BASE);
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_read(m, BASE + PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_NOACCESS);
    assert_int_equal(must_protect(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE), NTMM_PAGE_READONLY);
    must_write(m, BASE, BASE);
    must_hold(m, BASE, 4 * PAGE);
    machine_close(m);
}

static void nothing_of_it_leaves_memory(void **state)
{
    uint64_t done;
    uint64_t word = 0;
    uint64_t value = 0x55;
    (void)state;
    struct machine *m = open_window(4);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE + KIB64, 4 * PAGE, NTMM_PAGE_READWRITE); /* of the same table */
    must_get(m, 6);
    must_map(m, BASE, 4, frames);
    must_fill(m, BASE, 4 * PAGE);
    must_fill(m, BASE + KIB64, 4 * PAGE);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_hold(m, BASE, 4 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    assert_int_equal(
        ntmm_write_virtual_memory(m->system, m->process, BASE + PAGE, &value, 8, &done),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_read_virtual_memory(m->system, m->process, BASE + PAGE, &word, 8, &done),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(word, 0x55);
    must_map(m, BASE, 4, NULL);
    page_out_everything(m->emu); /* the table goes now */
    must_map(m, BASE + PAGE, 1, frames + 1);
    assert_int_equal(must_read(m, BASE + PAGE), 0x55);
    must_hold(m, BASE + KIB64, 4 * PAGE);
    page_out_everything(m->emu);
    must_release(m, BASE, 0);
    machine_close(m);
}

static void fewer_frames_than_asked_for(void **state)
{
    (void)state;
    struct machine *m = open_window(8);
    uint64_t got = MOST;
    uint64_t left = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &got, frames),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(got, left);
    uint64_t none = 1;
    uint64_t frame = 7;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &none, &frame),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(none, 1);
    assert_int_equal(try_map(m, BASE, 1, frames), NTMM_STATUS_NO_MEMORY); /* no table */
    uint64_t count = 3;
    assert_int_equal(try_give(m, &count, frames), NTMM_STATUS_SUCCESS);
    must_map(m, BASE, 1, frames + 3);
    machine_close(m);
}

static void without_commit_or_quota_there_is_none(void **state)
{
    const struct machine_setup setup = {.process = {.commit_limit_pages = 3}};
    uint64_t count = 8;
    (void)state;
    struct machine *m = machine_open(&setup);
    le64 *limit = &machine_partition(m)->commit_limit;
    uint64_t enough = get64(limit);
    set64(limit, get64(&machine_partition(m)->commit) + 1);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(limit, enough);
    count = 8;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    assert_int_equal(count, 2);
    machine_assert_sound(m);
    machine_close(m);
}

static void handles_rights_and_privileges(void **state)
{
    (void)state;
    uint64_t count = 1;
    uint64_t none = 0;
    struct machine *m = open_window(8);
    ntmm_handle poor = m->process | (uint64_t)HELD_LOCK_MEMORY << HANDLE_LACKS_SHIFT;
    ntmm_handle poorer = poor | (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, poor, &count, frames),
                     NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, poorer, &count, frames),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, 0, &count, frames),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, NULL, frames),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &none, frames),
                     NTMM_STATUS_SUCCESS);
    must_get(m, 1);
    assert_int_equal(ntmm_map_user_physical_pages(m->system, poorer, BASE, 1, frames),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_map_user_physical_pages(m->system, poor, BASE, 1, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_free_user_physical_pages(m->system, poorer, &count, frames),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_free_user_physical_pages(m->system, m->process, NULL, frames),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_free_user_physical_pages(m->system, m->process, &count, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_map(m, BASE + GIB, 1, frames), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_map(m, BASE, 9, frames), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_map(m, BASE, UINT64_MAX, NULL), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_map(m, BASE + GIB, 0, frames), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_user_physical_pages_scatter(m->system, 0, NULL, 0, NULL),
                     NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_charged_zero_and_nobodys_working_set),
        cmocka_unit_test(a_window_shows_what_is_mapped),
        cmocka_unit_test(a_frame_is_mapped_once),
        cmocka_unit_test(another_process_has_no_part_in_it),
        cmocka_unit_test(scattered_pages),
        cmocka_unit_test(freeing_unmaps_and_stops_at_a_stranger),
        cmocka_unit_test(a_window_goes_as_a_whole_and_frees_no_frame),
        cmocka_unit_test(protection_of_what_is_mapped),
        cmocka_unit_test(nothing_of_it_leaves_memory),
        cmocka_unit_test(fewer_frames_than_asked_for),
        cmocka_unit_test(without_commit_or_quota_there_is_none),
        cmocka_unit_test(handles_rights_and_privileges),
    };
    return cmocka_run_group_tests_name("physical_pages", tests, NULL, NULL);
}
