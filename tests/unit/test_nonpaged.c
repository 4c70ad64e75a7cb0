/*
 * Small pages that stay in memory: the attribute NONPAGED (nt_semantics 2.10, 2.11, 9.3).
 */
#include "paging/page_out.h"
#include "space/large.h"
#include "unit/storage.h"

#include <ntmm/memory.h>
#include <ntmm/query.h>
#include <ntmm/statistics.h>
#include <ntmm/working_set.h>

#define BOTH (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT)
#define AT (64 * MIB)

static struct machine *open_of(uint64_t ram_bytes)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_bytes},
                                        .core = {.extra_commit_pages = 10000}};
    return machine_open(&setup);
}

static ntmm_status try_of(struct machine *m, ntmm_handle process, uint64_t base, uint64_t pages)
{
    const struct ntmm_mem_extended_parameter attributes = {
        .type = NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS,
        .value = NTMM_MEM_ATTRIBUTE_NONPAGED,
    };
    uint64_t size = pages * PAGE;
    return ntmm_allocate_virtual_memory_ex(m->system, process, &base, &size, BOTH,
                                           NTMM_PAGE_READWRITE, &attributes, 1);
}

static void must_make(struct machine *m, uint64_t base, uint64_t pages)
{
    assert_int_equal(try_of(m, m->process, base, pages), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static uint64_t resident_available(struct machine *m)
{
    struct ntmm_system_performance_information p;
    assert_int_equal(ntmm_query_system_information(m->system, NTMM_SYSTEM_PERFORMANCE_INFORMATION,
                                                   &p, sizeof p, NULL),
                     NTMM_STATUS_SUCCESS);
    return p.resident_available_pages;
}

/* All frames are there at once, zeroed, charged, promised, and in no working set. */
static void a_region_is_made_whole(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    must_allocate(m, BASE, 1500 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 1500 * PAGE); /* frames that were used are zeroed again */
    must_release(m, BASE, 1500 * PAGE);
    struct ntmm_process_information before = machine_process(m);
    uint64_t resident = resident_available(m);
    must_make(m, AT, 700);
    struct ntmm_process_information after = machine_process(m);
    assert_int_equal(after.commit_pages - before.commit_pages, 700);
    assert_int_equal(after.virtual_size_bytes - before.virtual_size_bytes, 700 * PAGE);
    assert_int_equal(after.working_set_pages, before.working_set_pages);
    assert_true(resident - resident_available(m) >= 700); /* and slabs */
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    for (uint64_t i = 0; i < 700; i++)
        assert_int_equal(must_read(m, AT + i * PAGE), 0);
    must_fill(m, AT, 700 * PAGE);
    must_hold(m, AT, 700 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    must_release(m, AT, 0);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).table_pages, before.table_pages);
    assert_int_equal(machine_process(m).commit_pages, before.commit_pages);
    assert_int_equal(get64(&machine_partition(m)->large_pages), 0);
    machine_close(m);
}

/* Neither pressure nor an empty working set takes a page. */
static void it_never_leaves_memory(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_make(m, AT, 20);
    must_allocate(m, AT + 32 * PAGE, 4 * PAGE, NTMM_PAGE_READWRITE); /* in the same tables */
    must_fill(m, AT, 20 * PAGE);
    must_fill(m, AT + 32 * PAGE, 4 * PAGE);
    page_out_everything(m->emu);
    assert_int_equal(ntmm_empty_working_set(m->system, m->process), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_hold(m, AT, 20 * PAGE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    must_hold(m, AT + 32 * PAGE, 4 * PAGE);
    machine_close(m);
}

static void its_pages_count_as_locked(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    uint64_t base = AT + PAGE;
    uint64_t size = 2 * PAGE;
    uint64_t page[2] = {AT + PAGE, 0};
    must_make(m, AT, 4);
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, AT,
                                                     NTMM_MEMORY_WORKING_SET_EX_INFORMATION, page,
                                                     sizeof page, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_true(page[1] & NTMM_PAGE_STATE_VALID);
    assert_true(page[1] & NTMM_PAGE_STATE_LOCKED);
    assert_false(page[1] & NTMM_PAGE_STATE_LARGE);
    assert_int_equal(ntmm_lock_virtual_memory(m->system, m->process, &base, &size, 1),
                     NTMM_STATUS_WAS_LOCKED);
    assert_int_equal(ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, 1),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    machine_assert_sound(m);
    machine_close(m);
}

static void services_reach_its_contents(void **state)
{
    (void)state;
    uint64_t done = 0;
    uint64_t value = 0x1234;
    uint64_t word = 0;
    struct machine *m = open_of(4 * MIB);
    must_make(m, AT, 4);
    assert_int_equal(
        ntmm_write_virtual_memory(m->system, m->process, AT + PAGE, &value, sizeof value, &done),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, AT + PAGE), 0x1234);
    assert_int_equal(ntmm_copy_virtual_memory(m->system, m->process, AT, m->process, AT + 2 * PAGE,
                                              2 * PAGE, &done),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(
        ntmm_read_virtual_memory(m->system, m->process, AT + 3 * PAGE, &word, sizeof word, &done),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(word, 0x1234);
    machine_assert_sound(m);
    machine_close(m);
}

static void the_holder_needs_the_privilege(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    ntmm_handle poor = m->process | (uint64_t)HELD_LOCK_MEMORY << HANDLE_LACKS_SHIFT;
    ntmm_handle poorer = poor | (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(try_of(m, poor, AT, 4), NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(try_of(m, poorer, AT, 4), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    machine_close(m);
}

/* What others were promised is not given away, and a refusal changes nothing. */
static void more_than_can_be_resident_is_refused(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    const struct partition *p = machine_partition(m);
    uint64_t usable = get64(&p->total_pages) - get64(&p->metadata_pages);
    uint64_t most = usable - get64(&p->minimum_pages);
    uint64_t commit = machine_process(m).commit_pages;
    assert_int_equal(try_of(m, m->process, AT, most + 1), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    assert_int_equal(machine_process(m).commit_pages, commit);
    must_make(m, AT, most / 2);
    assert_int_equal(try_of(m, m->process, AT + GIB, most - most / 2 + 1),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    must_make(m, AT + GIB, most / 4);
    machine_close(m);
}

static ntmm_status try_minimum(struct machine *m, uint64_t pages)
{
    return ntmm_set_working_set_limits(m->system, m->process, pages * PAGE, pages * PAGE, 0);
}

/*
 * nt_semantics 3.10, 9.3: a minimum is reserved of what is left to be resident, and pages that stay
 * are charged on their own: so of U frames and K such pages a minimum may have U - K, no more, and
 * K such pages are not also the process's minimum.
 */
static void minima_and_pages_that_stay_share_memory(void **state)
{
    (void)state;
    const uint64_t kept = 700;
    struct machine *m = open_of(8 * MIB);
    const struct partition *p = machine_partition(m);
    uint64_t usable = get64(&p->total_pages) - get64(&p->metadata_pages);
    assert_true(NTMM_SUCCEEDED(try_minimum(m, 100)));
    uint64_t resident = resident_available(m);
    must_make(m, AT, kept);
    assert_true(resident - resident_available(m) >= kept);
    uint64_t before = get64(&p->minimum_pages);
    assert_int_equal(before, 100); /* those that stay are none of it */
    assert_int_equal(try_minimum(m, usable - kept + 1), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(get64(&p->minimum_pages), before);
    machine_assert_sound(m);
    assert_int_equal(try_minimum(m, usable - kept), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_of(m, m->process, AT + GIB, 1), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(get64(&p->large_pages), kept);
    assert_int_equal(try_minimum(m, 100), NTMM_STATUS_SUCCESS);
    must_make(m, AT + GIB, 1);
    must_release(m, AT, kept * PAGE);
    assert_int_equal(try_minimum(m, usable - kept), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* Without a page file nothing that is in memory can make room; with one it does. */
static void others_make_room_if_they_can(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    must_allocate(m, BASE, 700 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 700 * PAGE);
    uint64_t tables = machine_process(m).table_pages;
    assert_int_equal(try_of(m, m->process, AT, 500), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(machine_process(m).table_pages, tables);
    machine_assert_sound(m);
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    must_make(m, AT, 500);
    must_fill(m, AT, 500 * PAGE);
    must_hold(m, BASE, 700 * PAGE);
    must_hold(m, AT, 500 * PAGE);
    must_finish_transfers(m);
    machine_close(m);
}

/* A neighbour's table that is out is brought in, and shared. */
static void a_table_may_be_out(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, AT, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, AT, 16 * PAGE);
    page_out_everything(m->emu);
    assert_true(get64(&machine_object(m)->tables_out) > 0);
    must_make(m, AT + 16 * PAGE, 600);
    page_out_everything(m->emu);
    must_release(m, AT + 16 * PAGE, 0);
    machine_assert_sound(m);
    must_hold(m, AT, 16 * PAGE);
    machine_close(m);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    uint64_t tables = machine_process(m).table_pages;
    ntmm_status status = NTMM_STATUS_NO_MEMORY;
    uint64_t after = 0;
    for (; status != NTMM_STATUS_SUCCESS; after++) {
        m->system->failures.after = after;
        m->system->failures.count = 1;
        status = try_of(m, m->process, AT, 5);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        if (status == NTMM_STATUS_SUCCESS)
            break;
        assert_true(status == NTMM_STATUS_NO_MEMORY ||
                    status == NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(machine_process(m).table_pages, tables);
        assert_int_equal(machine_process(m).commit_pages, 0);
        assert_int_equal(get64(&machine_partition(m)->large_pages), 0);
    }
    assert_true(after >= 5);
    machine_close(m);
}

static void the_end_of_a_process_frees_it(void **state)
{
    (void)state;
    struct machine *m = open_of(4 * MIB);
    ntmm_handle other = machine_add_process(m);
    assert_int_equal(try_of(m, other, AT, 100), NTMM_STATUS_SUCCESS);
    assert_int_equal(get64(&machine_partition(m)->large_pages), 100);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(get64(&machine_partition(m)->large_pages), 0);
    must_make(m, AT, 100); /* ends with the system */
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_made_whole),
        cmocka_unit_test(it_never_leaves_memory),
        cmocka_unit_test(its_pages_count_as_locked),
        cmocka_unit_test(services_reach_its_contents),
        cmocka_unit_test(the_holder_needs_the_privilege),
        cmocka_unit_test(more_than_can_be_resident_is_refused),
        cmocka_unit_test(minima_and_pages_that_stay_share_memory),
        cmocka_unit_test(others_make_room_if_they_can),
        cmocka_unit_test(a_table_may_be_out),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(the_end_of_a_process_frees_it),
    };
    return cmocka_run_group_tests_name("nonpaged", tests, NULL, NULL);
}
