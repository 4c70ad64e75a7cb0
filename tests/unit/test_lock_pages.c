/*
 * Locking and unlocking pages, from nt_semantics 3.5.
 *
 *   minimum 50, 8 of them fluid: 42 pages can be locked
 *
 *   unlock of | L L . L |   NOT_LOCKED: every lock stays, and the third page leaves the working set
 */
#include "paging/page_out.h"
#include "space/wsl.h"
#include "unit/storage.h"

#include <ntmm/memory.h>

#define LOCKABLE 42u

static ntmm_status try_lock(struct machine *m, uint64_t base, uint64_t size, uint32_t type)
{
    uint64_t given_base = base;
    uint64_t given_size = size;
    ntmm_status status =
        ntmm_lock_virtual_memory(m->system, m->process, &given_base, &given_size, type);
    if (!NTMM_SUCCEEDED(status)) {
        assert_int_equal(given_base, base);
        assert_int_equal(given_size, size);
    }
    machine_assert_sound(m);
    return status;
}

static ntmm_status try_unlock(struct machine *m, uint64_t base, uint64_t size, uint32_t type)
{
    ntmm_status status = ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, type);
    machine_assert_sound(m);
    return status;
}

static uint64_t locked_pages(struct machine *m) { return get64(&machine_object(m)->locked_pages); }

static bool is_valid(struct machine *m, uint64_t va)
{
    return (get64(machine_entry(m, va, 1)) & FIELD_MASK(HW_VALID)) != 0;
}

static struct machine *open_pages(uint64_t pages)
{
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, pages * PAGE, NTMM_PAGE_READWRITE);
    return m;
}

static void a_locked_page_stays(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    uint64_t base = BASE + PAGE + 5;
    uint64_t size = PAGE;
    must_fill(m, BASE, 4 * PAGE);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(base, BASE + PAGE);
    assert_int_equal(size, 2 * PAGE);
    assert_int_equal(locked_pages(m), 2);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).working_set_pages, 2);
    assert_true(is_valid(m, BASE + PAGE) && is_valid(m, BASE + 2 * PAGE));
    assert_false(is_valid(m, BASE) || is_valid(m, BASE + 3 * PAGE));
    assert_int_equal(try_unlock(m, BASE + PAGE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(locked_pages(m), 0);
    page_out_everything(m->emu);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    must_hold(m, BASE, 4 * PAGE);
    machine_close(m);
}

static void locking_brings_pages_in(void **state)
{
    (void)state;
    struct machine *m = open_pages(8);
    must_fill(m, BASE, 4 * PAGE);
    page_out_everything(m->emu);
    assert_int_equal(try_lock(m, BASE, 8 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 8);
    assert_int_equal(locked_pages(m), 8);
    must_hold(m, BASE, 4 * PAGE);
    machine_close(m);
}

static void locks_do_not_nest(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    assert_int_equal(try_lock(m, BASE, PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_lock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_WAS_LOCKED);
    assert_int_equal(locked_pages(m), 2);
    assert_int_equal(try_unlock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_unlock(m, BASE, PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_NOT_LOCKED);
    machine_close(m);
}

static void the_two_kinds_are_apart(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    const uint32_t both = NTMM_MAP_PROCESS | NTMM_MAP_SYSTEM;
    assert_int_equal(try_lock(m, BASE, PAGE, NTMM_MAP_SYSTEM), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_lock(m, BASE, PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(locked_pages(m), 1);
    assert_int_equal(try_lock(m, BASE + PAGE, PAGE, both), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_unlock(m, BASE, PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(locked_pages(m), 2);
    assert_int_equal(try_unlock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_NOT_LOCKED);
    assert_int_equal(locked_pages(m), 2);
    assert_int_equal(try_unlock(m, BASE, PAGE, both), NTMM_STATUS_NOT_LOCKED);
    assert_int_equal(try_unlock(m, BASE, PAGE, NTMM_MAP_SYSTEM), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_unlock(m, BASE + PAGE, PAGE, both), NTMM_STATUS_SUCCESS);
    assert_int_equal(locked_pages(m), 0);
    machine_close(m);
}

static void the_minimum_is_the_quota(void **state)
{
    (void)state;
    struct machine *m = open_pages(64);
    assert_int_equal(try_lock(m, BASE, (LOCKABLE + 1) * PAGE, NTMM_MAP_PROCESS),
                     NTMM_STATUS_WORKING_SET_QUOTA);
    assert_int_equal(machine_process(m).working_set_pages, 0); /* nothing was touched */
    assert_int_equal(try_lock(m, BASE, 40 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_lock(m, BASE + 40 * PAGE, 3 * PAGE, NTMM_MAP_PROCESS),
                     NTMM_STATUS_WORKING_SET_QUOTA);
    assert_int_equal(locked_pages(m), 40);
    assert_int_equal(try_lock(m, BASE + 39 * PAGE, 3 * PAGE, NTMM_MAP_PROCESS),
                     NTMM_STATUS_WAS_LOCKED);
    assert_int_equal(locked_pages(m), LOCKABLE);
    assert_int_equal(try_lock(m, BASE, LOCKABLE * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_WAS_LOCKED);
    machine_close(m);
}

static void unlocking_what_is_not_locked_trims_it(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    must_fill(m, BASE, 4 * PAGE);
    assert_int_equal(try_lock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_unlock(m, BASE, 3 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_NOT_LOCKED);
    assert_int_equal(locked_pages(m), 2);
    assert_true(is_valid(m, BASE) && is_valid(m, BASE + PAGE) && is_valid(m, BASE + 3 * PAGE));
    assert_false(is_valid(m, BASE + 2 * PAGE));
    must_hold(m, BASE, 4 * PAGE);
    assert_int_equal(try_unlock(m, BASE - 64 * GIB / 1024, 64 * GIB, NTMM_MAP_PROCESS),
                     NTMM_STATUS_NOT_LOCKED);
    assert_false(is_valid(m, BASE + 3 * PAGE));
    assert_int_equal(try_unlock(m, NTMM_HIGHEST_USER_ADDRESS, 1, NTMM_MAP_PROCESS),
                     NTMM_STATUS_NOT_LOCKED);
    machine_close(m);
}

static void every_page_must_be_accessible(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    must_protect(m, BASE + 2 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
    assert_int_equal(try_lock(m, BASE, 4 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(locked_pages(m), 0);
    must_protect(m, BASE + 2 * PAGE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(try_lock(m, BASE, 5 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_ACCESS_VIOLATION);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(try_lock(m, BASE, 4 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_ACCESS_VIOLATION);
    must_protect(m, BASE + 3 * PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(try_lock(m, BASE + PAGE, 3 * PAGE, NTMM_MAP_PROCESS),
                     NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(locked_pages(m), 0);
    assert_int_equal(try_lock(m, BASE + PAGE, 3 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void arguments_are_checked_in_order(void **state)
{
    uint64_t base = NTMM_USER_PROBE_ADDRESS;
    uint64_t size = 0;
    (void)state;
    struct machine *m = open_pages(4);
    ntmm_handle process = m->process;
    for (uint32_t i = 0; i < 2; i++) {
        ntmm_status (*call)(struct ntmm_system *, ntmm_handle, uint64_t *, uint64_t *, uint32_t) =
            i == 0 ? ntmm_lock_virtual_memory : ntmm_unlock_virtual_memory;
        assert_int_equal(call(m->system, process, NULL, &size, 0), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(call(m->system, process, NULL, &size, 4), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(call(m->system, process, NULL, &size, 1), NTMM_STATUS_ACCESS_VIOLATION);
        assert_int_equal(call(m->system, process, &base, NULL, 1), NTMM_STATUS_ACCESS_VIOLATION);
        assert_int_equal(call(m->system, process, &base, &size, 1),
                         NTMM_STATUS_INVALID_PARAMETER_2);
        base = BASE;
        assert_int_equal(call(m->system, 0, &base, &size, 1), NTMM_STATUS_INVALID_PARAMETER_3);
        size = UINT64_MAX;
        assert_int_equal(call(m->system, 0, &base, &size, 1), NTMM_STATUS_INVALID_PARAMETER_3);
        size = 100 * GIB;
        assert_int_equal(call(m->system, 0, &base, &size, 1), NTMM_STATUS_INVALID_HANDLE);
        uint64_t lacks_right = (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
        uint64_t lacks_privilege = (uint64_t)HELD_LOCK_MEMORY << HANDLE_LACKS_SHIFT;
        assert_int_equal(call(m->system, process | lacks_right | lacks_privilege, &base, &size, 2),
                         NTMM_STATUS_ACCESS_DENIED);
        assert_int_equal(call(m->system, process | lacks_privilege, &base, &size, 2),
                         NTMM_STATUS_PRIVILEGE_NOT_HELD);
        assert_int_equal(call(m->system, process | lacks_privilege, &base, &size, 1),
                         i == 0 ? NTMM_STATUS_WORKING_SET_QUOTA : NTMM_STATUS_NOT_LOCKED);
        base = NTMM_USER_PROBE_ADDRESS;
        size = 0;
    }
    machine_close(m);
}

static void a_lock_ends_with_its_page(void **state)
{
    (void)state;
    struct machine *m = open_pages(16);
    uint64_t base = BASE;
    uint64_t size = 2 * PAGE;
    uint32_t old = 0;
    assert_int_equal(try_lock(m, BASE, 8 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    /* a protection that lets the page be valid changes nothing */
    must_protect(m, BASE, 8 * PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(locked_pages(m), 8);
    assert_int_equal(
        ntmm_protect_virtual_memory(m->system, m->process, &base, &size, NTMM_PAGE_NOACCESS, &old),
        NTMM_STATUS_WAS_UNLOCKED);
    assert_int_equal(old, NTMM_PAGE_READONLY);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_NOACCESS);
    assert_int_equal(locked_pages(m), 6);
    machine_assert_sound(m);
    must_decommit(m, BASE + 2 * PAGE, 2 * PAGE);
    assert_int_equal(locked_pages(m), 4);
    machine_assert_sound(m);
    must_release(m, BASE + 4 * PAGE, 2 * PAGE);
    assert_int_equal(locked_pages(m), 2);
    machine_assert_sound(m);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    m->process = 0;
    machine_close(m);
}

/* Two processes want more than there is; what one has locked stays through it all. */
static void locks_hold_under_pressure(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 96 * PAGE}};
    (void)state;
    struct machine *m = machine_open(&setup);
    must_add_file(m, MIB, 0, NULL);
    ntmm_handle other = machine_add_process(m);
    must_allocate(m, BASE, 128 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_lock(m, BASE, 20 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    must_fill(m, BASE, 128 * PAGE);
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, other), NTMM_STATUS_SUCCESS);
    ntmm_handle first = m->process;
    m->process = other;
    must_allocate(m, BASE, 80 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 80 * PAGE);
    m->process = first;
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, first), NTMM_STATUS_SUCCESS);
    for (uint64_t page = 0; page < 20; page++)
        assert_true(is_valid(m, BASE + page * PAGE));
    assert_int_equal(locked_pages(m), 20);
    must_hold(m, BASE, 128 * PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

/* More than memory holds: the first pages go again while the last ones come. */
static void what_cannot_be_held_together_is_not_locked(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 40 * PAGE}};
    (void)state;
    struct machine *m = machine_open(&setup);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, LOCKABLE * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_lock_virtual_memory(m->system, m->process, &(uint64_t){BASE},
                                              &(uint64_t){LOCKABLE * PAGE}, NTMM_MAP_PROCESS),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(locked_pages(m), 0);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

/* Two pages in a new span: three tables, two frames. */
static void frames_that_are_lacking_lock_nothing(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t after = 0; after < 5; after++) {
        m->system->failures = (struct allocation_failures){.after = after, .count = UINT64_MAX};
        assert_int_equal(try_lock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_NO_MEMORY);
        m->system->failures = (struct allocation_failures){0};
        assert_int_equal(locked_pages(m), 0);
        must_decommit(m, BASE, 4 * PAGE);
        must_commit(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    }
    assert_int_equal(try_lock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* A page that cannot be read from its page file: what was brought in before it is not locked. */
static void a_page_that_cannot_be_read_is_not_locked(void **state)
{
    const struct machine_setup setup = {.core = {.read_cluster_pages = 1}};
    uint64_t device;
    (void)state;
    struct machine *m = machine_open(&setup);
    must_add_file(m, MIB, 0, &device);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 2 * PAGE);
    page_out_everything(m->emu);
    assert_int_equal(must_read(m, BASE), BASE);
    must_finish_transfers(m);
    must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    assert_int_equal(try_lock(m, BASE, 2 * PAGE, NTMM_MAP_PROCESS), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(locked_pages(m), 0);
    must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_sweep_passes_over_locks(void **state)
{
    (void)state;
    struct machine *m = open_pages(4);
    struct call c = machine_call(m);
    struct process *process = machine_object(m);
    must_fill(m, BASE, 4 * PAGE);
    assert_int_equal(try_lock(m, BASE, PAGE, NTMM_MAP_SYSTEM), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < 9; i++) {
        struct wsl_pass pass = {.examine = 64, .trim_age = WSL_AGE_NONE};
        working_set_acquire(&c, process);
        set64(&process->hand, 0);
        wsl_sweep(&c, process, &pass);
        process_unlock_working_set(&c, process);
        assert_int_equal(pass.examined, 4);
        uint64_t counted = 0;
        for (uint32_t age = 0; age <= WSL_AGE_MAX; age++)
            counted += pass.ages[age];
        assert_int_equal(counted, 3); /* nobody may hope for the locked one */
    }
    machine_assert_sound(m);
    assert_int_equal(locked_pages(m), 1);
    machine_close(m);
}

static void private_memory_is_no_view(void **state)
{
    struct ntmm_io_status io = {.status = 77};
    uint64_t base = BASE;
    uint64_t size = 0;
    (void)state;
    struct machine *m = open_pages(4);
    ntmm_handle lacks = m->process | (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(ntmm_flush_virtual_memory(m->system, m->process, &base, &size, &io),
                     NTMM_STATUS_NOT_MAPPED_VIEW);
    assert_int_equal(io.status, 77);
    assert_int_equal(ntmm_flush_virtual_memory(m->system, lacks, &base, &size, &io),
                     NTMM_STATUS_ACCESS_DENIED);
    base = 16 * BASE;
    assert_int_equal(ntmm_flush_virtual_memory(m->system, m->process, &base, &size, &io),
                     NTMM_STATUS_NOT_MAPPED_VIEW);
    size = UINT64_MAX;
    assert_int_equal(ntmm_flush_virtual_memory(m->system, 0, &base, &size, &io),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    base = NTMM_USER_PROBE_ADDRESS;
    assert_int_equal(ntmm_flush_virtual_memory(m->system, 0, &base, &size, &io),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_flush_virtual_memory(m->system, 0, &base, &size, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    base = BASE;
    size = PAGE;
    assert_int_equal(ntmm_flush_virtual_memory(m->system, 0, &base, &size, &io),
                     NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_locked_page_stays),
        cmocka_unit_test(locking_brings_pages_in),
        cmocka_unit_test(locks_do_not_nest),
        cmocka_unit_test(the_two_kinds_are_apart),
        cmocka_unit_test(the_minimum_is_the_quota),
        cmocka_unit_test(unlocking_what_is_not_locked_trims_it),
        cmocka_unit_test(every_page_must_be_accessible),
        cmocka_unit_test(arguments_are_checked_in_order),
        cmocka_unit_test(a_lock_ends_with_its_page),
        cmocka_unit_test(locks_hold_under_pressure),
        cmocka_unit_test(what_cannot_be_held_together_is_not_locked),
        cmocka_unit_test(frames_that_are_lacking_lock_nothing),
        cmocka_unit_test(a_page_that_cannot_be_read_is_not_locked),
        cmocka_unit_test(a_sweep_passes_over_locks),
        cmocka_unit_test(private_memory_is_no_view),
    };
    return cmocka_run_group_tests_name("lock_pages", tests, NULL, NULL);
}
