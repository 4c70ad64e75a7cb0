/*
 * Interrupt levels: what docs/levels.md says of public calls and of completions, on an emulated
 * machine that keeps a level.
 *
 *   level      a call of level APC    of DISPATCH    a completion
 *   PASSIVE    may wait               works          -
 *   DISPATCH   traps (debug builds)   works          runs, and does not wait
 */
#include "machine.h"
#include "paging/page_out.h"
#include "unit/traps.h"

#include <ntmm/file.h>
#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/paging.h>
#include <ntmm/physical.h>
#include <ntmm/query.h>
#include <ntmm/section.h>
#include <ntmm/stack.h>
#include <ntmm/statistics.h>
#include <ntmm/working_set.h>

static struct machine *open_machine(void)
{
    struct machine_setup setup = {.hardware = {.flags = NTMM_EMULATED_CHECK_LEVEL}};
    return machine_open(&setup);
}

static uint64_t violations(struct machine *m)
{
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(m->emu, &statistics);
    return statistics.violations;
}

static uint32_t raise_level(struct machine *m)
{
    const struct ntmm_platform *p = &m->system->platform;
    assert_int_equal(p->level(p->context), NTMM_PASSIVE_LEVEL);
    uint32_t old_level = p->raise_level(p->context);
    assert_int_equal(p->level(p->context), NTMM_DISPATCH_LEVEL);
    return old_level;
}

static void lower_level(struct machine *m, uint32_t old_level)
{
    const struct ntmm_platform *p = &m->system->platform;
    p->lower_level(p->context, old_level);
    assert_int_equal(p->level(p->context), NTMM_PASSIVE_LEVEL);
}

/* --- calls that may wait --- */

typedef ntmm_status (*made)(struct machine *m);

static ntmm_status fault(struct machine *m)
{
    struct ntmm_fault_request request = {.process = m->process, .address = BASE};
    return ntmm_page_fault(m->system, &request, &m->fault);
}

static ntmm_status begin_fault(struct machine *m)
{
    struct ntmm_fault_request request = {.process = m->process, .address = BASE};
    struct ntmm_wait wait = {0};
    return ntmm_fault_begin(m->system, &request, &wait, &m->fault);
}

static ntmm_status allocate(struct machine *m)
{
    return try_allocate(m, BASE, PAGE, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

static ntmm_status release(struct machine *m) { return try_free(m, BASE, 0, NTMM_MEM_RELEASE); }

static ntmm_status protect(struct machine *m)
{
    return try_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
}

static ntmm_status offer(struct machine *m)
{
    return ntmm_offer_virtual_memory(m->system, m->process, BASE, PAGE, 1);
}

static ntmm_status map_physical(struct machine *m)
{
    return ntmm_map_user_physical_pages(m->system, m->process, BASE, 0, NULL);
}

static ntmm_status scan(struct machine *m)
{
    struct ntmm_memory_basic_information record;
    uint32_t count;
    uint64_t next;
    return ntmm_scan_regions(m->system, m->process, 0, BASE, NTMM_REGIONS_ALL, &record, 1, &count,
                             &next);
}

static ntmm_status query_class(struct machine *m)
{
    return ntmm_query_virtual_memory_class(m->system, m->process, BASE, 0, NULL, 0, NULL);
}

static ntmm_status set_information(struct machine *m)
{
    return ntmm_set_information_process(m->system, m->process, 0, NULL, 0);
}

static ntmm_status free_stack(struct machine *m)
{
    struct ntmm_thread_stack stack = {0};
    return ntmm_free_user_stack(m->system, m->process, &stack);
}

static ntmm_status close_section(struct machine *m) { return ntmm_close_section(m->system, 0); }
static ntmm_status close_file(struct machine *m) { return ntmm_close_file(m->system, 0); }
static ntmm_status end_process(struct machine *m) { return ntmm_end_process(m->system, 0); }
static ntmm_status destroy(struct machine *m)
{
    ntmm_destroy_system(m->system, NULL);
    return NTMM_STATUS_SUCCESS;
}
static ntmm_status write_modified(struct machine *m)
{
    return ntmm_write_modified_pages(m->system, 0) != 0;
}
static ntmm_status write_mapped(struct machine *m)
{
    return ntmm_write_mapped_pages(m->system, 0) != 0;
}
static ntmm_status balance(struct machine *m)
{
    ntmm_balance_set_manager(m->system);
    return NTMM_STATUS_SUCCESS;
}

static const made may_wait[] = {
    fault,         begin_fault,    allocate,     release,     protect,    offer,
    map_physical,  scan,           query_class,  free_stack,  close_file, set_information,
    close_section, write_modified, write_mapped, end_process, balance,    destroy,
};

struct attempt {
    struct machine *machine;
    made call;
    bool is_raised;
};

static void attempt(void *context)
{
    const struct attempt *a = context;
    if (a->is_raised)
        (void)a->machine->system->platform.raise_level(a->machine->emu);
    ntmm_status status_of_call = a->call(a->machine);
    (void)status_of_call;
}

/* Whether the call traps; it may also end the system. */
static bool call_traps(struct machine *m, made call, bool is_raised)
{
    struct attempt a = {m, call, is_raised};
    return traps(attempt, &a);
}

static void call_that_may_wait_traps_at_dispatch_in_debug_builds(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    for (size_t i = 0; i < sizeof may_wait / sizeof may_wait[0]; i++) {
        assert_false(call_traps(m, may_wait[i], false));
        if (IS_CHECKED && !call_traps(m, may_wait[i], true))
            fail_msg("call %zu of may_wait is not checked", i);
    }
    machine_close(m);
}

static void port_without_levels_is_not_checked(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    m->system->platform.level = NULL;
    for (size_t i = 0; i < sizeof may_wait / sizeof may_wait[0]; i++) {
        if (may_wait[i] != destroy) /* it pumps, which counts as a violation and nothing else */
            assert_false(call_traps(m, may_wait[i], true));
    }
    machine_close(m);
}

/* --- calls that do not wait --- */

static void look_at_system(struct machine *m)
{
    struct ntmm_memory_information memory;
    struct ntmm_process_information process;
    struct ntmm_job_information job;
    uint64_t counters[NTMM_COUNTER_COUNT];
    uint8_t bytes[256];
    ntmm_query_memory(m->system, &memory);
    ntmm_query_counters(m->system, counters, NTMM_COUNTER_COUNT);
    assert_int_equal(ntmm_query_process(m->system, m->process, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_query_job(m->system, 0, &job), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_query_quota_limits(m->system, m->process, bytes, 0),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_true(ntmm_zero_free_pages(m->system, 1) <= 1);
}

static void calls_of_level_dispatch_work_at_dispatch(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    uint32_t old_level = raise_level(m);
    look_at_system(m);
    assert_int_equal(ntmm_set_working_set_limits(m->system, m->process, 20 * PAGE, 50 * PAGE, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_empty_working_set(m->system, m->process), NTMM_STATUS_SUCCESS);
    lower_level(m, old_level);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(violations(m), 0);
    must_hold(m, BASE, 8 * PAGE);
    machine_close(m);
}

/* --- completions --- */

struct completion {
    struct ntmm_io io;
    struct machine *m;
    uint32_t level;
    uint32_t runs;
    bool is_waiting; /* it does what it must not */
};

static void complete(struct ntmm_io *io)
{
    struct completion *done = io->context;
    const struct ntmm_platform *p = &done->m->system->platform;
    done->level = p->level(p->context);
    done->runs++;
    if (done->is_waiting)
        p->pump(p->context);
}

static void flush(struct machine *m, struct completion *done)
{
    const struct ntmm_platform *p = &m->system->platform;
    done->m = m;
    done->io = (struct ntmm_io){.operation = NTMM_IO_FLUSH, .complete = complete, .context = done};
    assert_int_equal(p->submit(p->context, &done->io), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; done->runs == 0 && i < 1000; i++)
        p->pump(p->context);
    assert_int_equal(p->level(p->context), NTMM_PASSIVE_LEVEL);
    assert_int_equal(done->runs, 1);
}

static void completions_run_at_dispatch(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = MIB};
    uint64_t device = 0;
    assert_int_equal(ntmm_emulated_add_disk(m->emu, &disk, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(device, 0);
    struct completion good = {0}, bad = {.is_waiting = true};
    flush(m, &good);
    assert_int_equal(good.level, NTMM_DISPATCH_LEVEL);
    assert_int_equal(violations(m), 0);
    flush(m, &bad);
    assert_int_equal(violations(m), 1);
    machine_close(m);
}

static void paging_never_waits_in_a_completion(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 64 * PAGE);
    page_out_everything(m->emu);
    must_hold(m, BASE, 64 * PAGE);
    assert_true(machine_counter(m, NTMM_COUNTER_PAGE_READS) > 0);
    assert_int_equal(violations(m), 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_that_may_wait_traps_at_dispatch_in_debug_builds),
        cmocka_unit_test(port_without_levels_is_not_checked),
        cmocka_unit_test(calls_of_level_dispatch_work_at_dispatch),
        cmocka_unit_test(completions_run_at_dispatch),
        cmocka_unit_test(paging_never_waits_in_a_completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
