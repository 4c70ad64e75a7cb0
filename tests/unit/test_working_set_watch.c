/*
 * ProcessWorkingSetWatch (nt_semantics 3.10): faults that bring pages in are logged with their
 * instruction, address and thread, given once, and counted when there is no room for them.
 */
#include "paging/page_out.h"
#include "space/fault_log.h"
#include "unit/storage.h"

#include <ntmm/memory.h>
#include <ntmm/statistics.h>

#define PC 0x401000ull
#define THREAD 0x1234ull
#define UNKNOWN UINT64_MAX

static struct ntmm_working_set_watch plain[FAULT_LOG_RECORDS + 1];
static struct ntmm_working_set_watch_ex extended[FAULT_LOG_RECORDS + 1];

static struct machine *open_watched(uint32_t class)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    struct machine *m = machine_open(&setup);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_set_information_process(m->system, m->process, class, NULL, 0),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    return m;
}

static ntmm_status try_query(struct machine *m, uint32_t class, void *buffer, uint64_t length,
                             uint64_t *returned)
{
    *returned = 77;
    return ntmm_query_information_process(m->system, m->process, class, buffer, length, returned);
}

/* The log as the plain form; how many records stand before the last. */
static uint64_t must_take(struct machine *m)
{
    uint64_t returned;
    assert_int_equal(try_query(m, NTMM_PROCESS_WORKING_SET_WATCH, plain, sizeof plain, &returned),
                     NTMM_STATUS_SUCCESS);
    uint64_t count = returned / sizeof *plain - 1;
    assert_int_equal(returned % sizeof *plain, 0);
    assert_int_equal(plain[count].faulting_pc, 0);
    return count;
}

static void must_fault(struct machine *m, uint64_t va, uint32_t error_code, uint64_t pc)
{
    const struct ntmm_fault_request request = {.process = m->process,
                                               .address = va,
                                               .error_code = error_code | NTMM_FAULT_USER,
                                               .instruction = pc,
                                               .thread = THREAD};
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_SUCCESS);
}

static void faults_are_given_once_in_their_order(void **state)
{
    (void)state;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    must_fault(m, BASE + 0x18, NTMM_FAULT_WRITE, PC);
    must_fault(m, BASE + 7 * PAGE, 0, PC + 4);
    assert_int_equal(must_take(m), 2);
    assert_int_equal(plain[0].faulting_pc, PC);
    assert_int_equal(plain[0].faulting_va, BASE + 0x18 + 1); /* soft */
    assert_int_equal(plain[1].faulting_pc, PC + 4);
    assert_int_equal(plain[1].faulting_va, BASE + 7 * PAGE + 1);
    assert_int_equal(plain[2].faulting_va, 0);
    assert_int_equal(must_take(m), 0);
    machine_close(m);
}

static void the_longer_form_names_threads(void **state)
{
    (void)state;
    uint64_t returned;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH_EX);
    memset(extended, 0xAA, sizeof extended);
    must_fault(m, BASE + 3, NTMM_FAULT_WRITE, PC);
    assert_int_equal(
        try_query(m, NTMM_PROCESS_WORKING_SET_WATCH_EX, extended, sizeof extended, &returned),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 64);
    assert_int_equal(extended[0].basic.faulting_pc, PC);
    assert_int_equal(extended[0].basic.faulting_va, BASE + 3);
    assert_int_equal(extended[0].faulting_thread_id, THREAD);
    assert_int_equal(extended[0].flags, 0);
    assert_int_equal(extended[1].basic.faulting_pc, 0);
    assert_int_equal(extended[1].basic.faulting_va, 0);
    assert_int_equal(extended[1].faulting_thread_id, 0);
    assert_int_equal(extended[2].flags, 0xAAAAAAAAAAAAAAAA);
    machine_close(m);
}

/* What adds nothing to the working set is not logged: first writes, spurious and refused faults. */
static void only_pages_that_come_are_logged(void **state)
{
    (void)state;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    must_fault(m, BASE, 0, PC);
    page_out_everything(m->emu);
    must_fault(m, BASE, 0, PC); /* read from the page file */
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_HARD);
    must_fault(m, BASE, NTMM_FAULT_WRITE, PC);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_MAKE_DIRTY);
    must_fault(m, BASE, 0, PC);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_SPURIOUS);
    uint64_t value;
    assert_int_equal(try_read(m, BASE - PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    must_trim(m, BASE, PAGE);
    must_fault(m, BASE, 0, PC);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_TRANSITION);
    assert_int_equal(must_take(m), 3);
    assert_int_equal(plain[0].faulting_va, BASE + 1);
    assert_int_equal(plain[1].faulting_va, BASE); /* hard */
    assert_int_equal(plain[2].faulting_va, BASE + 1);
    machine_close(m);
}

/* A service's access is a fault without an instruction that is known. */
static void system_accesses_are_logged(void **state)
{
    (void)state;
    uint64_t word, done;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    assert_int_equal(
        ntmm_read_virtual_memory(m->system, m->process, BASE + 16, &word, sizeof word, &done),
        NTMM_STATUS_SUCCESS);
    must_write(m, BASE + 9 * PAGE, 1);
    assert_int_equal(must_take(m), 2);
    assert_int_equal(plain[0].faulting_pc, UNKNOWN);
    assert_int_equal(plain[0].faulting_va, BASE + 17);
    assert_int_equal(plain[1].faulting_pc, UNKNOWN);
    machine_close(m);
}

static void a_full_log_counts_what_it_loses(void **state)
{
    (void)state;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    for (uint64_t i = 0; i < FAULT_LOG_RECORDS + 5; i++)
        must_fault(m, BASE + i * PAGE, 0, PC);
    machine_assert_sound(m);
    assert_int_equal(must_take(m), FAULT_LOG_RECORDS);
    assert_int_equal(plain[FAULT_LOG_RECORDS - 1].faulting_va,
                     BASE + (FAULT_LOG_RECORDS - 1) * PAGE + 1);
    assert_int_equal(plain[FAULT_LOG_RECORDS].faulting_va, 5);
    must_fault(m, BASE + 1000 * PAGE, 0, PC);
    assert_int_equal(must_take(m), 1);
    assert_int_equal(plain[0].faulting_va, BASE + 1000 * PAGE + 1);
    assert_int_equal(plain[1].faulting_va, 0);
    machine_close(m);
}

/* Nothing is given then, and nothing lost. */
static void a_buffer_that_is_too_small_says_how_much_is_needed(void **state)
{
    (void)state;
    uint64_t returned;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    const uint32_t both[] = {NTMM_PROCESS_WORKING_SET_WATCH, NTMM_PROCESS_WORKING_SET_WATCH_EX};
    must_fault(m, BASE, 0, PC);
    must_fault(m, BASE + PAGE, 0, PC);
    memset(plain, 0xAA, sizeof plain);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t needed = 3ull * 16 << i;
        assert_int_equal(try_query(m, both[i], plain, needed - 1, &returned),
                         NTMM_STATUS_BUFFER_TOO_SMALL);
        assert_int_equal(returned, needed);
        assert_int_equal(try_query(m, both[i], plain, 0, &returned), NTMM_STATUS_BUFFER_TOO_SMALL);
        assert_int_equal(plain[0].faulting_pc, 0xAAAAAAAAAAAAAAAA);
    }
    assert_int_equal(try_query(m, both[0], plain, 48, &returned), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 48);
    machine_close(m);
}

static void beginning_again_forgets(void **state)
{
    (void)state;
    struct machine *m = open_watched(NTMM_PROCESS_WORKING_SET_WATCH);
    must_fault(m, BASE, 0, PC);
    assert_int_equal(ntmm_set_information_process(m->system, m->process,
                                                  NTMM_PROCESS_WORKING_SET_WATCH_EX, NULL, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(must_take(m), 0);
    machine_assert_sound(m);
    machine_close(m);
}

static ntmm_handle without(struct machine *m, uint32_t right)
{
    return m->process | (uint64_t)right << HANDLE_LACKS_SHIFT;
}

static void checks_come_in_order(void **state)
{
    (void)state;
    uint64_t returned;
    const uint32_t watch = NTMM_PROCESS_WORKING_SET_WATCH;
    struct machine *m = machine_open(NULL);
    struct ntmm_system *s = m->system;
    ntmm_handle poor = without(m, NTMM_PROCESS_QUERY_INFORMATION);
    assert_int_equal(ntmm_set_information_process(s, 0, NTMM_PROCESS_VM_COUNTERS, NULL, 1),
                     NTMM_STATUS_INVALID_INFO_CLASS);
    assert_int_equal(ntmm_set_information_process(s, 0, watch, NULL, 1),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(ntmm_set_information_process(s, 0, watch, NULL, 0),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_set_information_process(s, 2ull << HANDLE_KIND_SHIFT, watch, NULL, 0),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_set_information_process(s, poor, watch, NULL, 0),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_query_information_process(s, 0, watch, NULL, 0, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_information_process(s, poor, watch, plain, 0, NULL),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(try_query(m, watch, plain, 0, &returned), NTMM_STATUS_UNSUCCESSFUL);
    assert_int_equal(returned, 77);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(ntmm_set_information_process(s, m->process, watch, NULL, 0),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    assert_int_equal(try_query(m, watch, plain, 0, &returned), NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    machine_close(m);
}

static void quota_limits_are_set_too(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_quota_limits limits = {.minimum_working_set_size = 30 * PAGE,
                                       .maximum_working_set_size = 60 * PAGE};
    assert_int_equal(ntmm_set_information_process(m->system, m->process, NTMM_PROCESS_QUOTA_LIMITS,
                                                  &limits, sizeof limits),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_maximum_pages, 60);
    machine_close(m);
}

/* All blocks or none. */
static void without_memory_nothing_is_watched(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t returned;
    for (uint64_t after = 0; after < FAULT_LOG_BLOCKS; after++) {
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        assert_int_equal(ntmm_set_information_process(m->system, m->process, 15, NULL, 0),
                         NTMM_STATUS_NO_MEMORY);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        assert_int_equal(get64(&machine_anchor(m)->slabs[SLAB_FAULT_LOG].frame_count), 0);
        assert_int_equal(try_query(m, 15, plain, 16, &returned), NTMM_STATUS_UNSUCCESSFUL);
    }
    le64 *limit = &machine_partition(m)->commit_limit;
    uint64_t enough = get64(limit);
    set64(limit, get64(&machine_partition(m)->commit) + 2);
    assert_int_equal(ntmm_set_information_process(m->system, m->process, 15, NULL, 0),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(limit, enough);
    machine_close(m);
}

static void the_log_ends_with_its_process(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle other = machine_add_process(m);
    assert_int_equal(ntmm_set_information_process(m->system, other, 15, NULL, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(get64(&machine_anchor(m)->slabs[SLAB_FAULT_LOG].used), FAULT_LOG_BLOCKS);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(get64(&machine_anchor(m)->slabs[SLAB_FAULT_LOG].frame_count), 0);
    other = machine_add_process(m); /* the same slot */
    assert_int_equal(ntmm_query_information_process(m->system, other, 15, plain, 16, NULL),
                     NTMM_STATUS_UNSUCCESSFUL);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_given_once_in_their_order),
        cmocka_unit_test(the_longer_form_names_threads),
        cmocka_unit_test(only_pages_that_come_are_logged),
        cmocka_unit_test(system_accesses_are_logged),
        cmocka_unit_test(a_full_log_counts_what_it_loses),
        cmocka_unit_test(a_buffer_that_is_too_small_says_how_much_is_needed),
        cmocka_unit_test(beginning_again_forgets),
        cmocka_unit_test(checks_come_in_order),
        cmocka_unit_test(quota_limits_are_set_too),
        cmocka_unit_test(without_memory_nothing_is_watched),
        cmocka_unit_test(the_log_ends_with_its_process),
    };
    return cmocka_run_group_tests_name("working_set_watch", tests, NULL, NULL);
}
