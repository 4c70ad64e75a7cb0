/*
 * Guard pages (nt_semantics 6.3) and the stack that grows through them (13.3).
 *
 *   before   dealloc [ reserved ............ | guard | committed ] base
 *   after    dealloc [ reserved ...... | guard |       committed ] base      StackLimit follows
 */
#include "unit/machine.h"

#define GUARDED_RW (NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD)
#define STACK_PAGES 16u
#define STACK_BASE (BASE + STACK_PAGES * PAGE)

static void expect_guard(struct machine *m, ntmm_status status, uint64_t access, uint64_t address)
{
    assert_int_equal(status, NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(m->fault.parameter_count, 2);
    assert_int_equal(m->fault.parameters[0], access);
    assert_int_equal(m->fault.parameters[1], address);
}

static void each_page_guards_once(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    const uint32_t protect = NTMM_PAGE_EXECUTE_READWRITE;
    uint64_t value;
    must_allocate(m, BASE, 4 * PAGE, protect | NTMM_PAGE_GUARD);
    expect_guard(m, try_read(m, BASE + 8, &value), 0, BASE + 8);
    expect_guard(m, try_write(m, BASE + PAGE, 1), 1, BASE + PAGE);
    expect_guard(m, try_execute(m, BASE + 2 * PAGE), 8, BASE + 2 * PAGE);
    assert_int_equal(must_query(m, BASE).protect, protect);
    assert_int_equal(must_query(m, BASE).region_size, 3 * PAGE);
    assert_int_equal(must_query(m, BASE + 3 * PAGE).protect, protect | NTMM_PAGE_GUARD);
    assert_int_equal(must_read(m, BASE + 8), 0);
    must_write(m, BASE + PAGE, 1);
    assert_int_equal(try_execute(m, BASE + 2 * PAGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_GUARD_FAULTS), 3);
    machine_close(m);
}

/* F2 */
static void an_illegal_access_leaves_the_guard(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t value;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READONLY | NTMM_PAGE_GUARD);
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_execute(m, BASE), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_READONLY | NTMM_PAGE_GUARD);
    expect_guard(m, try_read(m, BASE, &value), 0, BASE);
    assert_int_equal(must_read(m, BASE), 0);
    machine_close(m);
}

static void a_guard_over_contents_keeps_them(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 0x77);
    must_protect(m, BASE, PAGE, GUARDED_RW);
    expect_guard(m, try_write(m, BASE, 1), 1, BASE);
    assert_int_equal(must_read(m, BASE), 0x77);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_TRANSITION);
    machine_close(m);
}

/* A reservation of 16 pages, the highest committed, `guards` guard pages below it. */
static struct machine *open_stack(struct ntmm_thread_stack *stack, uint64_t guards)
{
    struct machine *m = machine_open(NULL);
    *stack = (struct ntmm_thread_stack){.stack_base = STACK_BASE,
                                        .stack_limit = STACK_BASE - PAGE,
                                        .deallocation_stack = BASE,
                                        .guaranteed_bytes = (guards - 1) * PAGE};
    must_reserve(m, BASE, STACK_PAGES * PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, STACK_BASE - PAGE, PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, STACK_BASE - (1 + guards) * PAGE, guards * PAGE, GUARDED_RW);
    m->stack = stack;
    return m;
}

/* Pages of the stack from the bottom: '-' reserved, 'G' guard, 'C' committed without guard. */
static void expect_strip(struct machine *m, const char *expected)
{
    char strip[STACK_PAGES + 1] = {0};
    for (uint32_t i = 0; i < STACK_PAGES; i++) {
        struct ntmm_memory_basic_information q = must_query(m, BASE + i * PAGE);
        bool is_guard = (q.protect & NTMM_PAGE_GUARD) != 0;
        strip[i] = q.state != NTMM_MEM_COMMIT ? '-' : is_guard ? 'G' : 'C';
    }
    assert_string_equal(strip, expected);
}

static void a_stack_grows_to_its_end_and_overflows_once(void **state)
{
    struct ntmm_thread_stack stack;
    (void)state;
    struct machine *m = open_stack(&stack, 1);
    expect_strip(m, "--------------GC");
    must_write(m, STACK_BASE - PAGE, 1);
    assert_int_equal(stack.stack_limit, STACK_BASE - PAGE);
    must_write(m, STACK_BASE - 2 * PAGE + 8, 2);
    expect_strip(m, "-------------GCC");
    assert_int_equal(stack.stack_limit, STACK_BASE - 2 * PAGE);
    for (uint64_t page = 13; page >= 2; page--) {
        must_write(m, BASE + page * PAGE, page);
        assert_int_equal(stack.stack_limit, BASE + page * PAGE);
    }
    expect_strip(m, "-GCCCCCCCCCCCCCC");
    assert_int_equal(machine_counter(m, NTMM_COUNTER_STACK_GROWTHS), 13);

    assert_int_equal(try_write(m, BASE + PAGE + 16, 1), NTMM_STATUS_STACK_OVERFLOW);
    assert_int_equal(m->fault.parameter_count, 2);
    assert_int_equal(m->fault.parameters[0], 1);
    assert_int_equal(m->fault.parameters[1], BASE + PAGE + 16);
    expect_strip(m, "-CCCCCCCCCCCCCCC");
    assert_int_equal(stack.stack_limit, BASE + PAGE);
    must_write(m, BASE + PAGE + 16, 1); /* once: now it is ordinary memory */
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    machine_close(m);
}

static void a_guarantee_widens_the_guard(void **state)
{
    struct ntmm_thread_stack stack;
    (void)state;
    struct machine *m = open_stack(&stack, 3);
    expect_strip(m, "------------GGGC");
    must_write(m, STACK_BASE - 2 * PAGE, 1);
    expect_strip(m, "-----------GGGCC");
    assert_int_equal(stack.stack_limit, STACK_BASE - 2 * PAGE);
    must_write(m, STACK_BASE - 3 * PAGE, 1);
    expect_strip(m, "----------GGGCCC");
    /* Skipping a page of the guard: what lies between becomes ordinary. */
    must_write(m, BASE + 11 * PAGE, 1);
    expect_strip(m, "--------GGGCCCCC");
    assert_int_equal(stack.stack_limit, BASE + 11 * PAGE);
    assert_int_equal(try_write(m, BASE + 6 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    for (uint64_t page = 10; page >= 4; page--)
        must_write(m, BASE + page * PAGE, page);
    expect_strip(m, "-GGGCCCCCCCCCCCC");
    /* Three pages are guaranteed to whoever handles the overflow. */
    assert_int_equal(try_write(m, BASE + 3 * PAGE, 1), NTMM_STATUS_STACK_OVERFLOW);
    expect_strip(m, "-CCCCCCCCCCCCCCC");
    machine_close(m);
}

static void another_threads_guard_is_raised(void **state)
{
    struct ntmm_thread_stack stack;
    (void)state;
    struct machine *m = open_stack(&stack, 1);
    m->stack = NULL;
    expect_guard(m, try_write(m, STACK_BASE - 2 * PAGE, 1), 1, STACK_BASE - 2 * PAGE);
    expect_strip(m, "--------------CC");
    assert_int_equal(stack.stack_limit, STACK_BASE - PAGE);
    machine_close(m);
}

static void without_commit_the_stack_overflows(void **state)
{
    struct ntmm_thread_stack stack;
    (void)state;
    struct machine *m = open_stack(&stack, 1);
    le64 *limit = &machine_partition(m)->commit_limit;
    uint64_t was = get64(limit);
    set64(limit, get64(&machine_partition(m)->commit));
    assert_int_equal(try_write(m, STACK_BASE - 2 * PAGE, 1), NTMM_STATUS_STACK_OVERFLOW);
    expect_strip(m, "--------------CC"); /* the guard is gone: NT's own trace */
    assert_int_equal(stack.stack_limit, STACK_BASE - PAGE);
    set64(limit, was);
    machine_assert_sound(m);
    machine_close(m);
}

/* What the thread says of its stack is the thread's: it cannot make pages outside its region. */
static void a_stack_that_is_none_overflows(void **state)
{
    static const struct {
        uint64_t page, limit, deallocation;
        const char *after;
    } cases[] = {
        {0, STACK_BASE - PAGE, BASE - 8 * PAGE, "C-------------GC"}, /* a guard below it */
        {8, STACK_BASE + 4 * PAGE, BASE, "-------GC-----GC"},        /* pages above it */
        {8, STACK_BASE - PAGE, BASE + 8 * PAGE, "--------C-----GC"}, /* its lowest page */
        {8, STACK_BASE - PAGE, BASE + 7 * PAGE, "--------C-----GC"}, /* the last to be had */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ntmm_thread_stack stack;
        struct machine *m = open_stack(&stack, 1);
        must_commit(m, BASE + cases[i].page * PAGE, PAGE, GUARDED_RW);
        stack.stack_limit = cases[i].limit;
        stack.deallocation_stack = cases[i].deallocation;
        assert_int_equal(try_write(m, BASE + cases[i].page * PAGE, 1), NTMM_STATUS_STACK_OVERFLOW);
        expect_strip(m, cases[i].after);
        machine_assert_sound(m);
        machine_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_page_guards_once),
        cmocka_unit_test(an_illegal_access_leaves_the_guard),
        cmocka_unit_test(a_guard_over_contents_keeps_them),
        cmocka_unit_test(a_stack_grows_to_its_end_and_overflows_once),
        cmocka_unit_test(a_guarantee_widens_the_guard),
        cmocka_unit_test(another_threads_guard_is_raised),
        cmocka_unit_test(without_commit_the_stack_overflows),
        cmocka_unit_test(a_stack_that_is_none_overflows),
    };
    return cmocka_run_group_tests_name("door_guard", tests, NULL, NULL);
}
