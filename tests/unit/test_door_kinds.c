/*
 * The kinds of fault and what each leaves: demand zero, make dirty, transition, spurious, access
 * violation; the tables made on the way and gone again.
 */
#include "unit/machine.h"

#include "x64/formats.h"

static void expect_kind(struct machine *m, enum ntmm_fault_kind kind)
{
    assert_int_equal(m->fault.kind, kind);
    assert_int_equal(m->fault.parameter_count, 0);
}

static void expect_raised(struct machine *m, ntmm_status status, ntmm_status expected,
                          uint64_t access, uint64_t address)
{
    assert_int_equal(status, expected);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_NONE);
    assert_int_equal(m->fault.parameter_count, 2);
    assert_int_equal(m->fault.parameters[0], access);
    assert_int_equal(m->fault.parameters[1], address);
}

static uint64_t entry_bits(struct machine *m, uint64_t va)
{
    return get64(machine_entry(m, va, 1)) & (FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1) |
                                             FIELD_MASK(HW_WRITE) | FIELD_MASK(HW_ACCESSED));
}

#define CLEAN (FIELD_MASK(HW_WRITE) | FIELD_MASK(HW_ACCESSED))
#define DIRTY (CLEAN | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1))

static void a_page_is_made_dirty_once(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(must_read(m, BASE), 0);
    expect_kind(m, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(entry_bits(m, BASE), CLEAN);
    must_write(m, BASE, 5);
    expect_kind(m, NTMM_FAULT_KIND_MAKE_DIRTY);
    assert_int_equal(entry_bits(m, BASE), DIRTY);
    must_write(m, BASE + 8, 6);
    expect_kind(m, NTMM_FAULT_KIND_NONE);
    assert_int_equal(must_read(m, BASE), 5);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS), 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_MAKE_DIRTY_FAULTS), 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), 2);
    machine_close(m);
}

/* The entry is dirty when the fault returns, not only once the processor writes. */
static void make_dirty_sets_both_bits_by_itself(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_fault_request request = {.process = m->process,
                                         .address = BASE,
                                         .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE |
                                                       NTMM_FAULT_PRESENT};
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(must_read(m, BASE), 0);
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_SUCCESS);
    expect_kind(m, NTMM_FAULT_KIND_MAKE_DIRTY);
    assert_int_equal(entry_bits(m, BASE), DIRTY);
    machine_close(m);
}

static void a_first_write_enters_dirty_at_once(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 5);
    expect_kind(m, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(entry_bits(m, BASE), DIRTY);
    must_write(m, BASE, 6);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_MAKE_DIRTY_FAULTS), 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), 1);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    machine_close(m);
}

/* A used frame comes zeroed again, whichever list it was on. */
static void a_new_page_is_zero(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    for (unsigned round = 0; round < 2; round++) {
        must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
        for (uint64_t va = BASE; va < BASE + 16 * PAGE; va += 8) {
            assert_int_equal(must_read(m, va), 0);
            must_write(m, va, ~0ull);
        }
        must_release(m, BASE, 0);
        /* Use up what was zero from the start. */
        uint64_t pages = machine_memory(m).zeroed_pages;
        if (round == 0 && pages > 8) {
            must_allocate(m, BASE + GIB, (pages - 8) * PAGE, NTMM_PAGE_READWRITE);
            must_fill(m, BASE + GIB, (pages - 8) * PAGE);
        }
    }
    assert_true(machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_INLINE) > 0);
    machine_close(m);
}

static void a_page_comes_back_with_its_contents(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 0x1234);
    uint64_t frame = machine_frame(m, BASE);
    assert_int_equal(must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS), NTMM_PAGE_READWRITE);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(machine_memory(m).modified_pages, 1);
    uint64_t value;
    expect_raised(m, try_read(m, BASE, &value), NTMM_STATUS_ACCESS_VIOLATION, 0, BASE);
    assert_int_equal(must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE), NTMM_PAGE_NOACCESS);
    assert_int_equal(must_read(m, BASE), 0x1234);
    expect_kind(m, NTMM_FAULT_KIND_TRANSITION);
    assert_int_equal(machine_frame(m, BASE), frame);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TRANSITION_FAULTS), 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS), 1);
    assert_int_equal(machine_memory(m).modified_pages, 0);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    machine_close(m);
}

static void what_is_granted_already_is_spurious(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_fault_request request = {.process = m->process, .address = BASE};
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    request.error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT;
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_SUCCESS);
    expect_kind(m, NTMM_FAULT_KIND_SPURIOUS);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_SPURIOUS_FAULTS), 1);
    machine_close(m);
}

static void violations_name_access_and_address(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    const uint64_t non_canonical = 0x800000000000ull;
    uint64_t value;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READONLY);
    must_reserve(m, BASE + KIB64, PAGE, NTMM_PAGE_READWRITE);
    must_allocate(m, BASE + 2 * KIB64, PAGE, NTMM_PAGE_EXECUTE_READ);
    const ntmm_status av = NTMM_STATUS_ACCESS_VIOLATION;
    expect_raised(m, try_read(m, BASE - 8, &value), av, 0, BASE - 8);
    expect_raised(m, try_write(m, 0, 1), av, 1, 0);
    expect_raised(m, try_execute(m, BASE + PAGE), av, 8, BASE + PAGE);
    expect_raised(m, try_read(m, BASE + KIB64 + 24, &value), av, 0, BASE + KIB64 + 24);
    expect_raised(m, try_write(m, BASE + 16, 1), av, 1, BASE + 16);
    expect_raised(m, try_execute(m, BASE), av, 8, BASE);
    must_read(m, BASE);
    expect_raised(m, try_write(m, BASE + 16, 1), av, 1, BASE + 16);
    expect_raised(m, try_execute(m, BASE + 1), av, 8, BASE + 1);
    assert_int_equal(try_execute(m, BASE + 2 * KIB64), NTMM_STATUS_SUCCESS);
    expect_raised(m, try_write(m, BASE + 2 * KIB64, 1), av, 1, BASE + 2 * KIB64);
    expect_raised(m, try_read(m, NTMM_SYSTEM_RANGE_START, &value), av, 0, NTMM_SYSTEM_RANGE_START);
    expect_raised(m, try_read(m, NTMM_USER_PROBE_ADDRESS, &value), av, 0, NTMM_USER_PROBE_ADDRESS);
    expect_raised(m, try_read(m, non_canonical, &value), av, 0, UINT64_MAX);
    expect_raised(m, try_write(m, non_canonical + 8, 1), av, 1, UINT64_MAX);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_ACCESS_VIOLATIONS), 13);
    machine_close(m);
}

static void a_crossing_access_faults_where_it_must(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    expect_raised(m, try_write(m, BASE + PAGE - 4, ~0ull), NTMM_STATUS_ACCESS_VIOLATION, 1,
                  BASE + PAGE);
    assert_int_equal(must_read(m, BASE + PAGE - 8), 0);
    machine_close(m);
}

/* T1: what the processor has cached is withdrawn with the right, not at the next fault. */
static void rights_that_are_taken_are_gone(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t value;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    expect_raised(m, try_write(m, BASE, 2), NTMM_STATUS_ACCESS_VIOLATION, 1, BASE);
    assert_int_equal(must_read(m, BASE), 1);
    must_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(try_execute(m, BASE), NTMM_STATUS_SUCCESS);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    expect_raised(m, try_execute(m, BASE), NTMM_STATUS_ACCESS_VIOLATION, 8, BASE);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 3);
    must_decommit(m, BASE, PAGE);
    expect_raised(m, try_read(m, BASE, &value), NTMM_STATUS_ACCESS_VIOLATION, 0, BASE);
    must_commit(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(must_read(m, BASE), 0);
    must_release(m, BASE, 0);
    expect_raised(m, try_write(m, BASE, 4), NTMM_STATUS_ACCESS_VIOLATION, 1, BASE);
    machine_close(m);
}

static void tables_come_and_go(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    (void)state;
    struct machine *m = machine_open(&setup);
    assert_int_equal(machine_process(m).table_pages, 1);
    uint64_t commit = machine_memory(m).commit_pages;
    must_allocate(m, BASE, 4 * MIB, NTMM_PAGE_READWRITE); /* a slab of VADs, one of nodes */
    assert_int_equal(machine_process(m).table_pages, 1);
    must_write(m, BASE, 1);
    assert_int_equal(machine_process(m).table_pages, 4);
    must_write(m, BASE + 2 * MIB, 1);
    assert_int_equal(machine_process(m).table_pages, 5);
    must_allocate(m, BASE + GIB, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE + GIB, 1);
    assert_int_equal(machine_process(m).table_pages, 7);
    assert_int_equal(machine_memory(m).commit_pages, commit + 2 + 1024 + 1 + 6);
    must_release(m, BASE + GIB, 0);
    assert_int_equal(machine_process(m).table_pages, 5);
    must_release(m, BASE, 2 * MIB);
    assert_int_equal(machine_process(m).table_pages, 4);
    must_release(m, BASE + 2 * MIB, 0);
    assert_int_equal(machine_process(m).table_pages, 1);
    assert_int_equal(machine_memory(m).commit_pages, commit + 2);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_CREATED), 6);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_CREATED), 9);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_FREED), 9);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_made_dirty_once),
        cmocka_unit_test(make_dirty_sets_both_bits_by_itself),
        cmocka_unit_test(a_first_write_enters_dirty_at_once),
        cmocka_unit_test(a_new_page_is_zero),
        cmocka_unit_test(a_page_comes_back_with_its_contents),
        cmocka_unit_test(what_is_granted_already_is_spurious),
        cmocka_unit_test(violations_name_access_and_address),
        cmocka_unit_test(a_crossing_access_faults_where_it_must),
        cmocka_unit_test(rights_that_are_taken_are_gone),
        cmocka_unit_test(tables_come_and_go),
    };
    return cmocka_run_group_tests_name("door_kinds", tests, NULL, NULL);
}
