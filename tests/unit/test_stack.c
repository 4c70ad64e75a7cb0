/*
 * Stacks as NT's user mode makes them. Expectations: nt_semantics 13.1 to 13.4; sizes as
 * RtlCreateUserStack was observed to round them.
 */
#include "emulated_world.h"

#include <ntmm/access.h>
#include <ntmm/stack.h>

struct thread {
    struct world w;
    ntmm_handle process;
    struct ntmm_thread_stack stack;
};

static void begin(struct thread *t)
{
    make_world(&t->w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    t->process = make_process(&t->w);
    t->stack = (struct ntmm_thread_stack){0};
}

static ntmm_status make_stack(struct thread *t, uint64_t commit, uint64_t reserve,
                              uint64_t commit_alignment, uint64_t reserve_alignment)
{
    const struct ntmm_stack_request request = {.commit = commit,
                                               .reserve = reserve,
                                               .commit_alignment = commit_alignment,
                                               .reserve_alignment = reserve_alignment};
    return ntmm_create_user_stack(t->w.system, t->process, &request, &t->stack);
}

static struct ntmm_memory_basic_information look(struct thread *t, uint64_t address)
{
    struct ntmm_memory_basic_information found;
    assert_int_equal(ntmm_query_virtual_memory(t->w.system, t->process, address, &found),
                     NTMM_STATUS_SUCCESS);
    return found;
}

static void sizes_are_rounded_as_observed(void **state)
{
    static const struct {
        uint64_t commit, reserve, commit_alignment, reserve_alignment;
        uint64_t committed, reserved;
    } rows[] = {
        {0, 0, 1, 1, 0x2000, 0x100000},
        {0x1000, 0x100000, 1, 1, 0x2000, 0x100000},
        {0x3F00, 0x100000, 1, 1, 0x4000, 0x100000},
        {0x4000, 0x100000, 1, 1, 0x4000, 0x100000},
        {0x20000, 0x20000, 1, 1, 0x20000, 0x100000},
        {0x120000, 0x20000, 1, 1, 0x120000, 0x200000},
        {0x2000, 0x110000, 1, 1, 0x2000, 0x110000},
        {0x2000, 0x110000, 1, 0x100000, 0x2000, 0x200000},
        {0x2000, 0x3FF000, 1, 1, 0x2000, 0x400000},
        {0x3000, 0x100000, 0x10000, 1, 0x10000, 0x100000},
    };
    struct thread t;
    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(make_stack(&t, rows[i].commit, rows[i].reserve, rows[i].commit_alignment,
                                    rows[i].reserve_alignment),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(t.stack.stack_base - t.stack.stack_limit, rows[i].committed);
        assert_int_equal(t.stack.stack_base - t.stack.deallocation_stack, rows[i].reserved);
        assert_int_equal(ntmm_free_user_stack(t.w.system, t.process, &t.stack),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(look(&t, t.stack.stack_limit).state, NTMM_MEM_FREE);
    }
    end_world(&t.w);
}

static void its_parts_are_as_queries_show_them(void **state)
{
    struct thread t;
    (void)state;
    begin(&t);
    assert_int_equal(make_stack(&t, 0x4000, 0x100000, 1, 1), NTMM_STATUS_SUCCESS);
    struct ntmm_memory_basic_information lowest = look(&t, t.stack.deallocation_stack);
    struct ntmm_memory_basic_information guard = look(&t, t.stack.stack_limit - PAGE);
    struct ntmm_memory_basic_information top = look(&t, t.stack.stack_limit);
    assert_int_equal(lowest.state, NTMM_MEM_RESERVE);
    assert_int_equal(lowest.protect, 0);
    assert_int_equal(lowest.allocation_protect, NTMM_PAGE_READWRITE);
    assert_int_equal(lowest.region_size, 0x100000 - 0x5000);
    assert_int_equal(guard.protect, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(guard.region_size, PAGE);
    assert_int_equal(top.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(top.region_size, 0x4000);
    end_world(&t.w);
}

static ntmm_status touch(struct thread *t, uint64_t address)
{
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {.process = t->process,
                                               .address = address,
                                               .error_code = NTMM_FAULT_WRITE | NTMM_FAULT_USER,
                                               .stack = &t->stack};
    return ntmm_page_fault(t->w.system, &request, &result);
}

static void it_grows_page_by_page_and_overflows_once(void **state)
{
    struct thread t;
    unsigned grown = 0;
    ntmm_status status;
    (void)state;
    begin(&t);
    assert_int_equal(make_stack(&t, 0x2000, 0x10000, 1, 1), NTMM_STATUS_SUCCESS);
    uint64_t lowest = t.stack.deallocation_stack;
    while ((status = touch(&t, t.stack.stack_limit - PAGE)) == NTMM_STATUS_SUCCESS)
        grown++;
    /* 16 pages: 2 committed, the lowest never, the guard comes to rest on the one above it */
    assert_int_equal(status, NTMM_STATUS_STACK_OVERFLOW);
    assert_int_equal(grown, 12);
    assert_int_equal(touch(&t, lowest), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(touch(&t, lowest + PAGE), NTMM_STATUS_SUCCESS);
    end_world(&t.w);
}

static void guaranteed_bytes_widen_the_guard(void **state)
{
    struct thread t;
    const struct ntmm_stack_request request = {
        .commit_alignment = 1, .reserve_alignment = 1, .guaranteed_bytes = PAGE + 1};
    (void)state;
    begin(&t);
    assert_int_equal(ntmm_create_user_stack(t.w.system, t.process, &request, &t.stack),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(look(&t, t.stack.stack_limit - 3 * PAGE).protect,
                     NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(look(&t, t.stack.stack_limit - 4 * PAGE).state, NTMM_MEM_RESERVE);
    end_world(&t.w);
}

static void the_limit_follows_a_guard_that_is_set(void **state)
{
    struct thread t;
    (void)state;
    begin(&t);
    assert_int_equal(make_stack(&t, 0x8000, 0x100000, 1, 1), NTMM_STATUS_SUCCESS);
    uint64_t limit = t.stack.stack_limit, page = limit + 3 * PAGE, size = PAGE;
    uint32_t old;
    assert_int_equal(ntmm_protect_virtual_memory(t.w.system, t.process, &page, &size,
                                                 NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD, &old),
                     NTMM_STATUS_SUCCESS);
    ntmm_follow_stack_guard(&t.stack, page, size, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(t.stack.stack_limit, limit + 4 * PAGE);
    /* growing back: the committed page below is guarded again */
    assert_int_equal(touch(&t, page), NTMM_STATUS_SUCCESS);
    assert_int_equal(t.stack.stack_limit, page);
    assert_int_equal(look(&t, page - PAGE).protect, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    ntmm_follow_stack_guard(&t.stack, page - PAGE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(t.stack.stack_limit, page);
    ntmm_follow_stack_guard(&t.stack, t.stack.stack_base, PAGE, NTMM_PAGE_GUARD);
    assert_int_equal(t.stack.stack_limit, page);
    end_world(&t.w);
}

/* covers 2.5#6 */
static void the_limit_follows_a_guard_that_is_committed(void **state)
{
    struct thread t;
    (void)state;
    begin(&t);
    assert_int_equal(make_stack(&t, 0x8000, 0x100000, 1, 1), NTMM_STATUS_SUCCESS);
    uint64_t page = t.stack.stack_limit - 5 * PAGE, size = PAGE;
    assert_int_equal(ntmm_allocate_virtual_memory(t.w.system, t.process, &page, 0, &size,
                                                  NTMM_MEM_COMMIT,
                                                  NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD),
                     NTMM_STATUS_SUCCESS);
    ntmm_follow_stack_guard(&t.stack, page, size, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(t.stack.stack_limit, page + PAGE);
    assert_int_equal(touch(&t, page), NTMM_STATUS_SUCCESS);
    assert_int_equal(t.stack.stack_limit, page);
    end_world(&t.w);
}

static void a_region_alone_is_reserved(void **state)
{
    struct thread t;
    uint64_t base = 0x55;
    (void)state;
    begin(&t);
    assert_int_equal(ntmm_allocate_thread_stack(t.w.system, t.process, 0x100000, 13, &base),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(ntmm_allocate_thread_stack(t.w.system, t.process, 0x100000, 12, &base),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(ntmm_allocate_thread_stack(t.w.system, t.process, 0x100000, 0, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(base, 0x55);
    assert_int_equal(ntmm_allocate_thread_stack(t.w.system, t.process, 0x100000, 11, &base),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(look(&t, base).state, NTMM_MEM_RESERVE);
    assert_int_equal(look(&t, base).region_size, 0x100000);
    end_world(&t.w);
}

static void bad_requests_leave_nothing(void **state)
{
    static const uint64_t bad[] = {0, 3, 1ull << 50};
    struct thread t;
    struct ntmm_stack_request request = {.commit_alignment = 1, .reserve_alignment = 1};
    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(make_stack(&t, 0, 0, bad[i], 1), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(make_stack(&t, 0, 0, 1, bad[i]), NTMM_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(make_stack(&t, UINT64_MAX, 0, 1, 1), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(make_stack(&t, 0, UINT64_MAX, 1, 1), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(make_stack(&t, 1ull << 40, 1ull << 41, 1, 1), NTMM_STATUS_COMMITMENT_LIMIT);
    request.zero_bits = 25;
    assert_int_equal(ntmm_create_user_stack(t.w.system, t.process, &request, &t.stack),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_create_user_stack(t.w.system, t.process, NULL, &t.stack),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_create_user_stack(t.w.system, t.process, &request, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_free_user_stack(t.w.system, t.process, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(t.stack.stack_base, 0);
    assert_int_equal(look(&t, 0x10000).region_size, 0x7FFFFFFE0000 - 0x10000);
    end_world(&t.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_as_observed),
        cmocka_unit_test(its_parts_are_as_queries_show_them),
        cmocka_unit_test(it_grows_page_by_page_and_overflows_once),
        cmocka_unit_test(guaranteed_bytes_widen_the_guard),
        cmocka_unit_test(the_limit_follows_a_guard_that_is_set),
        cmocka_unit_test(the_limit_follows_a_guard_that_is_committed),
        cmocka_unit_test(a_region_alone_is_reserved),
        cmocka_unit_test(bad_requests_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
