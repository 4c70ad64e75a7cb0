/*
 * Large pages: regions of 2 MiB and 1 GiB leaves (nt_semantics 2.10, 2.5, 3.1, 3.2).
 */
#include "paging/page_out.h"
#include "space/large.h"
#include "unit/machine.h"

#include <ntmm/memory.h>
#include <ntmm/query.h>

#define LARGE (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES)
#define LEAF (2 * MIB)
#define AT (64 * MIB)
#define LEAF_FRAMES 512u

static struct machine *open_of(uint64_t ram_bytes)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_bytes},
                                        .core = {.extra_commit_pages = 10000}};
    return machine_open(&setup);
}

static void must_make(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    assert_int_equal(try_allocate(m, base, size, LARGE, protect), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static ntmm_status try_huge(struct machine *m, uint64_t base, uint64_t size)
{
    const struct ntmm_mem_extended_parameter attributes = {
        .type = NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS,
        .value = NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE,
    };
    return ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size, LARGE,
                                           NTMM_PAGE_READWRITE, &attributes, 1);
}

/* All frames are there at once, zeroed, charged, and in no working set. */
static void a_region_is_made_whole(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    struct ntmm_process_information before = machine_process(m);
    uint64_t free_before = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    must_allocate(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 1024 * PAGE); /* frames that were used are zeroed again */
    must_release(m, BASE, 1024 * PAGE);
    must_make(m, AT, 2 * LEAF, NTMM_PAGE_READWRITE);
    struct ntmm_process_information after = machine_process(m);
    uint64_t tables = after.table_pages - before.table_pages;
    assert_int_equal(after.commit_pages - before.commit_pages, 2 * LEAF_FRAMES);
    assert_int_equal(after.virtual_size_bytes - before.virtual_size_bytes, 2 * LEAF);
    assert_int_equal(after.working_set_pages, before.working_set_pages);
    assert_int_equal(tables, 2); /* no table of leaves */
    assert_true(free_before - machine_memory(m).free_pages - machine_memory(m).zeroed_pages >=
                2 * LEAF_FRAMES + tables);
    for (uint64_t at = AT; at < AT + 2 * LEAF; at += 64 * PAGE)
        assert_int_equal(must_read(m, at), 0);
    struct ntmm_memory_basic_information query = must_query(m, AT + PAGE);
    assert_int_equal(query.allocation_base, AT);
    assert_int_equal(query.state, NTMM_MEM_COMMIT);
    assert_int_equal(query.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(query.type, NTMM_MEM_PRIVATE);
    assert_int_equal(query.region_size, 2 * LEAF - PAGE);
    must_release(m, AT, 0);
    assert_int_equal(machine_process(m).table_pages, before.table_pages);
    assert_int_equal(machine_process(m).commit_pages, before.commit_pages);
    machine_close(m);
}

static void no_access_faults(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    must_make(m, AT, LEAF, NTMM_PAGE_READWRITE);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_fill(m, AT, LEAF);
    must_hold(m, AT, LEAF);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    struct ntmm_fault_request request = {
        .process = m->process, .address = AT + 5, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_SUCCESS);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_SPURIOUS);
    assert_int_equal(try_execute(m, AT), NTMM_STATUS_ACCESS_VIOLATION);
    machine_close(m);
}

static void contents_stay_when_everything_goes_out(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_make(m, AT, LEAF, NTMM_PAGE_READWRITE);
    must_allocate(m, AT + LEAF, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, AT, LEAF + 4 * PAGE);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_hold(m, AT, LEAF);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    must_hold(m, AT + LEAF, 4 * PAGE);
    page_out_everything(m->emu);
    must_release(m, AT, 0);
    machine_assert_sound(m);
    must_hold(m, AT + LEAF, 4 * PAGE);
    machine_close(m);
}

static void sizes_and_places_are_whole_leaves(void **state)
{
    (void)state;
    uint64_t base = 0;
    uint64_t size = LEAF;
    struct machine *m = open_of(8 * MIB);
    const uint32_t rw = NTMM_PAGE_READWRITE;
    assert_int_equal(try_allocate(m, AT + KIB64, LEAF, LARGE, rw), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_allocate(m, AT, LEAF + PAGE, LARGE, rw), NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(try_allocate(m, AT, PAGE, LARGE, rw), NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, rw | NTMM_PAGE_GUARD),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, rw | NTMM_PAGE_NOCACHE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, NTMM_PAGE_NOACCESS),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_reserve(m, NTMM_LOWEST_USER_ADDRESS, PAGE, rw);
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size, LARGE, rw),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(base, LEAF);
    assert_int_equal(size, LEAF);
    assert_int_equal(try_allocate(m, LEAF, LEAF, LARGE, rw), NTMM_STATUS_CONFLICTING_ADDRESSES);
    machine_close(m);
}

/* covers 2.1#12 2.1#11<12 2.1#12<13 */
static void the_holder_needs_the_privilege(void **state)
{
    (void)state;
    uint64_t base = AT;
    uint64_t size = LEAF;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle poor = m->process | (uint64_t)HELD_LOCK_MEMORY << HANDLE_LACKS_SHIFT;
    ntmm_handle poorer = poor | (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, poor, &base, 0, &size, LARGE, NTMM_PAGE_READWRITE),
        NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, poorer, &base, 0, &size, LARGE,
                                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_ACCESS_DENIED);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, poor, &base, 0, &size, LARGE, NTMM_PAGE_READWRITE),
        NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, poor, &base, 0, &size,
                                                  NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* A run goes when one of its frames does; what was taken for the first leaf comes back. */
/* The VAD that the process keeps, and empty slabs. */
static void give_slabs_back(struct machine *m)
{
    struct call c = {.sys = m->system, .bias = m->system->bias};
    vad_drop_spare(&c, machine_object(m));
    slab_trim(&c);
}

static void without_runs_nothing_is_made(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    uint64_t runs = machine_memory(m).free_large_runs;
    uint64_t commit = get64(&machine_partition(m)->commit);
    uint64_t tables = machine_process(m).table_pages;
    assert_true(runs >= 2);
    assert_int_equal(try_allocate(m, AT, (runs + 1) * LEAF, LARGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).free_large_runs, runs);
    assert_int_equal(machine_process(m).table_pages, tables);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    give_slabs_back(m);
    assert_true(get64(&machine_partition(m)->commit) <= commit);
    machine_close(m);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    for (uint64_t after = 0; after < 4; after++) { /* two slabs of the VAD, two tables */
        uint64_t commit = get64(&machine_partition(m)->commit);
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        assert_int_equal(try_allocate(m, AT, LEAF, LARGE, NTMM_PAGE_READWRITE),
                         NTMM_STATUS_NO_MEMORY);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
        assert_in_range(get64(&machine_partition(m)->commit), commit, commit + 2);
        give_slabs_back(m);
    }
    le64 *limit = &machine_partition(m)->commit_limit;
    uint64_t enough = get64(limit);
    set64(limit, get64(&machine_partition(m)->commit) + LEAF_FRAMES - 1);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(limit, enough);
    must_make(m, AT, LEAF, NTMM_PAGE_READWRITE);
    machine_close(m);
}

static void a_region_goes_as_a_whole(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    must_make(m, AT, 2 * LEAF, NTMM_PAGE_READWRITE);
    must_fill(m, AT, 2 * LEAF);
    assert_int_equal(try_free(m, AT, LEAF, NTMM_MEM_RELEASE), NTMM_STATUS_UNABLE_TO_FREE_VM);
    assert_int_equal(try_free(m, AT + LEAF, LEAF, NTMM_MEM_RELEASE),
                     NTMM_STATUS_FREE_VM_NOT_AT_BASE);
    assert_int_equal(try_free(m, AT + LEAF, 0, NTMM_MEM_RELEASE), NTMM_STATUS_FREE_VM_NOT_AT_BASE);
    assert_int_equal(try_free(m, AT, 2 * LEAF, NTMM_MEM_DECOMMIT),
                     NTMM_STATUS_UNABLE_TO_DECOMMIT_VM);
    assert_int_equal(try_free(m, AT, 0, NTMM_MEM_DECOMMIT), NTMM_STATUS_UNABLE_TO_DECOMMIT_VM);
    assert_int_equal(try_free(m, AT, 3 * LEAF, NTMM_MEM_RELEASE), NTMM_STATUS_UNABLE_TO_FREE_VM);
    must_hold(m, AT, 2 * LEAF);
    must_release(m, AT, 2 * LEAF);
    uint64_t value;
    assert_int_equal(try_read(m, AT, &value), NTMM_STATUS_ACCESS_VIOLATION);
    machine_assert_sound(m);
    machine_close(m);
}

static void protection_is_by_whole_leaves(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    must_make(m, AT, 2 * LEAF, NTMM_PAGE_READWRITE);
    must_fill(m, AT, 2 * LEAF);
    assert_int_equal(try_protect(m, AT, PAGE, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_protect(m, AT + PAGE, LEAF, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_protect(m, AT, LEAF, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, AT, LEAF, NTMM_PAGE_NOACCESS),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(must_protect(m, AT, LEAF, NTMM_PAGE_READONLY), NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    assert_int_equal(try_write(m, AT + LEAF - 8, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_write(m, AT + LEAF, 1);
    assert_int_equal(must_query(m, AT + PAGE).region_size, LEAF - PAGE);
    assert_int_equal(must_query(m, AT + PAGE).protect, NTMM_PAGE_READONLY);
    assert_int_equal(must_query(m, AT + LEAF).protect, NTMM_PAGE_READWRITE);
    assert_int_equal(must_protect(m, AT, 2 * LEAF, NTMM_PAGE_EXECUTE_READWRITE),
                     NTMM_PAGE_READONLY);
    must_write(m, AT + 16, 1);
    assert_int_equal(try_execute(m, AT), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

/* Spec 2.5. */
static void it_is_committed_already(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    must_make(m, AT, 2 * LEAF, NTMM_PAGE_READWRITE);
    must_write(m, AT, 7);
    must_commit(m, AT + PAGE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_allocate(m, AT, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READONLY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_protect(m, AT + LEAF, LEAF, NTMM_PAGE_READONLY);
    assert_int_equal(try_allocate(m, AT, 2 * LEAF, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_commit(m, AT + LEAF + PAGE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(must_read(m, AT), 7);
    assert_int_equal(machine_process(m).commit_pages, 2 * LEAF_FRAMES);
    machine_close(m);
}

static void services_reach_its_contents(void **state)
{
    (void)state;
    uint64_t done = 0;
    uint64_t word = 0;
    uint64_t value = 0x1234;
    uint64_t base = AT + 3 * PAGE;
    uint64_t size = 2 * PAGE;
    struct machine *m = open_of(8 * MIB);
    must_make(m, AT, LEAF, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_write_virtual_memory(m->system, m->process, AT + 300 * PAGE, &value,
                                               sizeof value, &done),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, AT + 300 * PAGE), 0x1234);
    must_write(m, AT + 301 * PAGE, 0x77);
    assert_int_equal(
        ntmm_read_virtual_memory(m->system, m->process, AT + 301 * PAGE, &word, sizeof word, &done),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(word, 0x77);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_WAS_LOCKED);
    assert_int_equal(
        ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

static void an_explanation_stops_at_the_leaf(void **state)
{
    struct ntmm_explanation x;
    (void)state;
    struct machine *m = open_of(8 * MIB);
    must_make(m, AT, LEAF, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_explain(m->system, m->process, AT + 7 * PAGE, &x), NTMM_STATUS_SUCCESS);
    assert_int_equal(x.stopped_level, 2);
    assert_int_equal(x.missing_level, 0);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.frame.frame % LEAF_FRAMES, 7);
    assert_int_equal(x.frame.entry_address, x.entry_address[1]);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    assert_int_equal(x.frame.owner, (uint32_t)m->process & HANDLE_SLOT);
    machine_close(m);
}

static void the_end_of_a_process_frees_it(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    uint64_t runs = machine_memory(m).free_large_runs;
    ntmm_handle other = machine_add_process(m);
    uint64_t base = AT;
    uint64_t size = LEAF;
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, other, &base, 0, &size, LARGE, NTMM_PAGE_READWRITE),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_memory(m).free_large_runs, runs - 1);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).free_large_runs, runs);
    must_make(m, AT, LEAF, NTMM_PAGE_READONLY); /* ends with the system */
    machine_close(m);
}

static void a_huge_page_is_one_leaf(void **state)
{
    struct ntmm_explanation x;
    (void)state;
    struct machine *m = open_of(2 * GIB + 64 * MIB);
    const uint64_t at = 4 * GIB;
    assert_int_equal(try_huge(m, at + LEAF, GIB), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_huge(m, at, LEAF), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(try_huge(m, at, 2 * GIB), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    machine_assert_sound(m);
    assert_int_equal(try_huge(m, at, GIB), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).commit_pages, GIB / PAGE);
    must_write(m, at + GIB - 8, 5);
    assert_int_equal(must_read(m, at + GIB - 8), 5);
    assert_int_equal(ntmm_explain(m->system, m->process, at + GIB - 8, &x), NTMM_STATUS_SUCCESS);
    assert_int_equal(x.stopped_level, 3);
    assert_int_equal(x.frame.frame % (GIB / PAGE), GIB / PAGE - 1);
    assert_int_equal(try_protect(m, at, LEAF, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(must_protect(m, at, GIB, NTMM_PAGE_READONLY), NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    must_release(m, at, 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_made_whole),
        cmocka_unit_test(no_access_faults),
        cmocka_unit_test(contents_stay_when_everything_goes_out),
        cmocka_unit_test(sizes_and_places_are_whole_leaves),
        cmocka_unit_test(the_holder_needs_the_privilege),
        cmocka_unit_test(without_runs_nothing_is_made),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(a_region_goes_as_a_whole),
        cmocka_unit_test(protection_is_by_whole_leaves),
        cmocka_unit_test(it_is_committed_already),
        cmocka_unit_test(services_reach_its_contents),
        cmocka_unit_test(an_explanation_stops_at_the_leaf),
        cmocka_unit_test(the_end_of_a_process_frees_it),
        cmocka_unit_test(a_huge_page_is_one_leaf),
    };
    return cmocka_run_group_tests_name("large_pages", tests, NULL, NULL);
}
