/*
 * Every service that takes a process, with every handle that it must refuse: its status, and
 * nothing written. The order is the same everywhere: the handle, its kind, its rights, then whether
 * the process is ending.
 */
#include "space/process.h"
#include "unit/machine.h"

#include <ntmm/access.h>
#include <ntmm/borrow.h>
#include <ntmm/call_target.h>
#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/physical.h>
#include <ntmm/query.h>
#include <ntmm/secure.h>
#include <ntmm/stack.h>
#include <ntmm/statistics.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#define WORDS 8
#define FOREIGN_FRAME 0x40000000u /* behind all RAM */

typedef ntmm_status (*service)(struct machine *m, ntmm_handle process);

static ntmm_status call_allocate(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    return ntmm_allocate_virtual_memory(m->system, process, &base, 0, &size, NTMM_MEM_COMMIT,
                                        NTMM_PAGE_READWRITE);
}

static ntmm_status call_allocate_ex(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    return ntmm_allocate_virtual_memory_ex(m->system, process, &base, &size, NTMM_MEM_COMMIT,
                                           NTMM_PAGE_READWRITE, NULL, 0);
}

static ntmm_status call_free(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    return ntmm_free_virtual_memory(m->system, process, &base, &size, NTMM_MEM_DECOMMIT);
}

static ntmm_status call_protect(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    uint32_t old = 0;
    return ntmm_protect_virtual_memory(m->system, process, &base, &size, NTMM_PAGE_READONLY, &old);
}

static ntmm_status call_query(struct machine *m, ntmm_handle process)
{
    struct ntmm_memory_basic_information found;
    return ntmm_query_virtual_memory(m->system, process, BASE, &found);
}

static ntmm_status call_query_class(struct machine *m, ntmm_handle process)
{
    struct ntmm_memory_basic_information found;
    return ntmm_query_virtual_memory_class(m->system, process, BASE, NTMM_MEMORY_BASIC_INFORMATION,
                                           &found, sizeof found, NULL);
}

static ntmm_status call_scan(struct machine *m, ntmm_handle process)
{
    struct ntmm_memory_basic_information found;
    uint32_t count = 0;
    uint64_t next = 0;
    return ntmm_scan_regions(m->system, process, BASE, BASE + PAGE, NTMM_REGIONS_COMMITTED, &found,
                             1, &count, &next);
}

static ntmm_status call_next(struct machine *m, ntmm_handle process)
{
    struct ntmm_memory_basic_information found;
    struct ntmm_region_iterator iterator;
    ntmm_begin_regions(&iterator, process, NTMM_REGIONS_COMMITTED);
    return ntmm_next_region(m->system, &iterator, &found);
}

static ntmm_status call_read(struct machine *m, ntmm_handle process)
{
    uint8_t byte = 0;
    uint64_t copied = 0;
    return ntmm_read_virtual_memory(m->system, process, BASE, &byte, 1, &copied);
}

static ntmm_status call_write(struct machine *m, ntmm_handle process)
{
    uint8_t byte = 0;
    uint64_t copied = 0;
    return ntmm_write_virtual_memory(m->system, process, BASE, &byte, 1, &copied);
}

static ntmm_status call_probe(struct machine *m, ntmm_handle process)
{
    return ntmm_probe_virtual_memory(m->system, process, BASE, 1, NTMM_PROBE_WRITE);
}

static ntmm_status call_copy(struct machine *m, ntmm_handle process)
{
    uint64_t copied = 0;
    return ntmm_copy_virtual_memory(m->system, process, BASE, process, BASE + PAGE, 1, &copied);
}

static ntmm_status call_lock(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    return ntmm_lock_virtual_memory(m->system, process, &base, &size, NTMM_MAP_PROCESS);
}

static ntmm_status call_unlock(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    return ntmm_unlock_virtual_memory(m->system, process, &base, &size, NTMM_MAP_PROCESS);
}

static ntmm_status call_flush(struct machine *m, ntmm_handle process)
{
    uint64_t base = BASE;
    uint64_t size = PAGE;
    struct ntmm_io_status io = {0};
    return ntmm_flush_virtual_memory(m->system, process, &base, &size, &io);
}

static ntmm_status call_get_watch(struct machine *m, ntmm_handle process)
{
    uint64_t addresses[WORDS];
    uint64_t count = WORDS;
    uint32_t granularity = 0;
    return ntmm_get_write_watch(m->system, process, 0, BASE, PAGE, addresses, &count, &granularity);
}

static ntmm_status call_watch_bitmap(struct machine *m, ntmm_handle process)
{
    uint64_t bitmap[WORDS];
    uint64_t count = 0;
    return ntmm_get_write_watch_bitmap(m->system, process, 0, BASE, PAGE, bitmap, WORDS, &count);
}

static ntmm_status call_reset_watch(struct machine *m, ntmm_handle process)
{
    return ntmm_reset_write_watch(m->system, process, BASE, PAGE);
}

static ntmm_status call_prefetch(struct machine *m, ntmm_handle process)
{
    struct ntmm_memory_range_entry range = {.virtual_address = BASE, .number_of_bytes = PAGE};
    uint32_t flags = 0;
    return ntmm_set_information_virtual_memory(m->system, process, NTMM_VM_PREFETCH_INFORMATION, 1,
                                               &range, &flags, sizeof flags);
}

static ntmm_status call_offer(struct machine *m, ntmm_handle process)
{
    return ntmm_offer_virtual_memory(m->system, process, BASE, PAGE, 1);
}

static ntmm_status call_reclaim(struct machine *m, ntmm_handle process)
{
    return ntmm_reclaim_virtual_memory(m->system, process, BASE, PAGE);
}

static ntmm_status call_discard(struct machine *m, ntmm_handle process)
{
    return ntmm_discard_virtual_memory(m->system, process, BASE, PAGE);
}

static ntmm_status call_call_target(struct machine *m, ntmm_handle process)
{
    struct ntmm_call_target found;
    return ntmm_query_call_target(m->system, process, BASE, &found);
}

static ntmm_status call_secure(struct machine *m, ntmm_handle process)
{
    uint64_t secured = 0;
    return ntmm_secure_virtual_memory(m->system, process, BASE, PAGE, NTMM_PAGE_READONLY, &secured);
}

static ntmm_status call_unsecure(struct machine *m, ntmm_handle process)
{
    return ntmm_unsecure_virtual_memory(m->system, process, 1);
}

static ntmm_status call_set_limits(struct machine *m, ntmm_handle process)
{
    return ntmm_set_working_set_limits(m->system, process, 30 * PAGE, 60 * PAGE, 0);
}

static ntmm_status call_query_limits(struct machine *m, ntmm_handle process)
{
    struct ntmm_quota_limits limits;
    return ntmm_query_quota_limits(m->system, process, &limits, sizeof limits);
}

static ntmm_status call_set_quota(struct machine *m, ntmm_handle process)
{
    struct ntmm_quota_limits limits = {.minimum_working_set_size = 30 * PAGE,
                                       .maximum_working_set_size = 60 * PAGE};
    return ntmm_set_quota_limits(m->system, process, &limits, sizeof limits);
}

static ntmm_status call_empty(struct machine *m, ntmm_handle process)
{
    return ntmm_empty_working_set(m->system, process);
}

static ntmm_status call_assign(struct machine *m, ntmm_handle process)
{
    ntmm_handle job = 0;
    assert_int_equal(ntmm_create_job(m->system, &job), NTMM_STATUS_SUCCESS);
    ntmm_status status = ntmm_assign_process_to_job(m->system, job, process);
    assert_int_equal(ntmm_close_job(m->system, job), NTMM_STATUS_SUCCESS);
    return status;
}

static ntmm_status call_create_stack(struct machine *m, ntmm_handle process)
{
    struct ntmm_stack_request request = {.commit_alignment = PAGE, .reserve_alignment = KIB64};
    struct ntmm_thread_stack stack;
    return ntmm_create_user_stack(m->system, process, &request, &stack);
}

static ntmm_status call_free_stack(struct machine *m, ntmm_handle process)
{
    struct ntmm_thread_stack stack = {.deallocation_stack = BASE};
    return ntmm_free_user_stack(m->system, process, &stack);
}

static ntmm_status call_thread_stack(struct machine *m, ntmm_handle process)
{
    uint64_t base = 0;
    return ntmm_allocate_thread_stack(m->system, process, MIB, 0, &base);
}

static ntmm_status call_allocate_frames(struct machine *m, ntmm_handle process)
{
    uint64_t frames[WORDS];
    uint64_t count = 1;
    return ntmm_allocate_user_physical_pages(m->system, process, &count, frames);
}

static ntmm_status call_free_frames(struct machine *m, ntmm_handle process)
{
    uint64_t frames[WORDS] = {0};
    uint64_t count = 1;
    return ntmm_free_user_physical_pages(m->system, process, &count, frames);
}

static ntmm_status call_map_frames(struct machine *m, ntmm_handle process)
{
    return ntmm_map_user_physical_pages(m->system, process, BASE, 1, NULL);
}

static ntmm_status call_scatter_frames(struct machine *m, ntmm_handle process)
{
    uint64_t address = BASE;
    return ntmm_map_user_physical_pages_scatter(m->system, process, &address, 1, NULL);
}

static ntmm_status call_shared_user_data(struct machine *m, ntmm_handle process)
{
    return ntmm_map_shared_user_data(m->system, process, FOREIGN_FRAME);
}

static ntmm_status call_query_process(struct machine *m, ntmm_handle process)
{
    struct ntmm_process_information found;
    return ntmm_query_process(m->system, process, &found);
}

static ntmm_status call_process_information(struct machine *m, ntmm_handle process)
{
    struct ntmm_vm_counters counters;
    return ntmm_query_information_process(m->system, process, NTMM_PROCESS_VM_COUNTERS, &counters,
                                          sizeof counters, NULL);
}

static ntmm_status call_open(struct machine *m, ntmm_handle process)
{
    ntmm_handle handle = 0;
    return ntmm_open_process(m->system, NULL, process, NTMM_PROCESS_VM_READ, &handle);
}

static ntmm_status call_clone(struct machine *m, ntmm_handle process)
{
    ntmm_handle handle = 0;
    return ntmm_clone_process(m->system, process, NULL, &handle);
}

/* Services that need a right of the handle, and those that need none. */
static const service RIGHTFUL[] = {
    call_allocate,       call_allocate_ex,
    call_free,           call_protect,
    call_query,          call_read,
    call_query_class,    call_scan,
    call_next,           call_write,
    call_copy,           call_lock,
    call_unlock,         call_flush,
    call_get_watch,      call_reset_watch,
    call_watch_bitmap,   call_process_information,
    call_prefetch,       call_offer,
    call_reclaim,        call_discard,
    call_set_limits,     call_query_limits,
    call_set_quota,      call_empty,
    call_assign,         call_create_stack,
    call_free_stack,     call_thread_stack,
    call_query_process,  call_allocate_frames,
    call_free_frames,    call_map_frames,
    call_scatter_frames, call_shared_user_data,
    call_clone,          call_secure,
    call_unsecure,       call_call_target,
    call_probe,
};
static const service OPEN_TO_ALL[] = {call_open};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void expect_everywhere(struct machine *m, ntmm_handle process, ntmm_status expected)
{
    for (size_t i = 0; i < COUNT_OF(RIGHTFUL); i++)
        assert_int_equal(RIGHTFUL[i](m, process), expected);
    if (expected == NTMM_STATUS_ACCESS_DENIED)
        return;
    for (size_t i = 0; i < COUNT_OF(OPEN_TO_ALL); i++)
        assert_int_equal(OPEN_TO_ALL[i](m, process), expected);
}

static void nobody_s_handle_is_invalid(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    expect_everywhere(m, 0, NTMM_STATUS_INVALID_HANDLE);
    expect_everywhere(m, m->process + (1ull << 32), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_end_process(m->system, 0), NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

static void a_handle_of_another_kind_is_a_mismatch(void **state)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle other = m->process ^ 3ull << 56;
    (void)state;
    expect_everywhere(m, other, NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    machine_close(m);
}

static void a_command_to_all_memory_looks_at_its_caller(void **state)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle poor = 0;
    (void)state;
    assert_int_equal(ntmm_open_process(m->system, NULL, m->process, 0, &poor), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_memory_list_command(m->system, 0, NTMM_MEMORY_PURGE_STANDBY_LIST),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_memory_list_command(m->system, m->process ^ 3ull << 56,
                                              NTMM_MEMORY_PURGE_STANDBY_LIST),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(
        ntmm_memory_list_command(m->system, m->process, NTMM_MEMORY_PURGE_STANDBY_LIST),
        NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    machine_close(m);
}

static void jobs_have_handles_of_their_own(void **state)
{
    struct machine *m = machine_open(NULL);
    struct ntmm_job_limits limits = {.size = sizeof limits, .version = NTMM_JOB_LIMITS_VERSION};
    struct ntmm_job_information found;
    ntmm_handle job = 0;
    (void)state;
    assert_int_equal(ntmm_create_job(m->system, &job), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_close_job(m->system, m->process), NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_set_job_limits(m->system, m->process, &limits),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_query_job(m->system, m->process, &found),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_assign_process_to_job(m->system, m->process, m->process),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_close_job(m->system, job), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_close_job(m->system, job), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_set_job_limits(m->system, job, &limits), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_query_job(m->system, job, &found), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_assign_process_to_job(m->system, job, m->process),
                     NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

static void a_handle_without_rights_is_denied(void **state)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle poor = 0;
    (void)state;
    assert_int_equal(ntmm_open_process(m->system, NULL, m->process, 0, &poor), NTMM_STATUS_SUCCESS);
    expect_everywhere(m, poor, NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_end_process(m->system, poor), NTMM_STATUS_ACCESS_DENIED);
    machine_close(m);
}

/* covers 2.1#13 */
static void a_process_that_is_ending_serves_nobody(void **state)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle poor = 0;
    (void)state;
    assert_int_equal(ntmm_open_process(m->system, NULL, m->process, 0, &poor), NTMM_STATUS_SUCCESS);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    expect_everywhere(m, m->process, NTMM_STATUS_PROCESS_IS_TERMINATING);
    expect_everywhere(m, poor, NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    machine_close(m);
}

/* covers 2.1#12 2.1#12<13 */
static void large_pages_need_a_privilege_before_a_process(void **state)
{
    struct machine *m = machine_open(NULL);
    struct ntmm_caller nobody = {.size = sizeof nobody, .version = NTMM_CALLER_VERSION};
    uint64_t base = 0;
    uint64_t size = 2 * MIB;
    uint32_t type = NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES;
    ntmm_handle handle = 0;
    (void)state;
    assert_int_equal(
        ntmm_open_process(m->system, &nobody, m->process, NTMM_PROCESS_VM_OPERATION, &handle),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, handle, &base, 0, &size, type, NTMM_PAGE_READWRITE),
        NTMM_STATUS_PRIVILEGE_NOT_HELD);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, handle, &base, 0, &size, type, NTMM_PAGE_READWRITE),
        NTMM_STATUS_PRIVILEGE_NOT_HELD);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    machine_close(m);
}

/* covers 2.1#13 2.1#13<15 */
static void a_process_that_is_ending_before_dynamic_code(void **state)
{
    const struct machine_setup setup = {.process = {.flags = NTMM_PROCESS_NO_DYNAMIC_CODE}};
    struct machine *m = machine_open(&setup);
    (void)state;
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                  NTMM_PAGE_EXECUTE_READWRITE),
                     NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                  NTMM_PAGE_EXECUTE_READWRITE),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_s_handle_is_invalid),
        cmocka_unit_test(a_handle_of_another_kind_is_a_mismatch),
        cmocka_unit_test(a_command_to_all_memory_looks_at_its_caller),
        cmocka_unit_test(jobs_have_handles_of_their_own),
        cmocka_unit_test(a_handle_without_rights_is_denied),
        cmocka_unit_test(a_process_that_is_ending_serves_nobody),
        cmocka_unit_test(large_pages_need_a_privilege_before_a_process),
        cmocka_unit_test(a_process_that_is_ending_before_dynamic_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
