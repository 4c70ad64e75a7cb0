/*
 * See corruption.h.
 */
#include "unit/corruption.h"

#include <stdio.h>

#define RAM_BYTES (8 * MIB)
#define FREED (BASE + 256 * MIB)
#define MOST_CORRUPTIONS 64u

static struct machine *machine;
static ntmm_handle other_process;
static void *saved_ram;

ntmm_handle corruption_other_process(void) { return other_process; }

static void must_reserve_in_other(uint64_t base, uint64_t size)
{
    assert_int_equal(ntmm_allocate_virtual_memory(machine->system, other_process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
}

/*
 * Page 3 of COMMITTED goes from the modified to its standby list, as a page of zeros does that the
 * writer looked at; page 2, which stands before it, comes back.
 */
static void make_standby(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t before = frame_begin_write(&c);
    uint64_t frame = frame_begin_write(&c);
    assert_int_equal(before, machine_frame(m, COMMITTED + 2 * PAGE));
    assert_int_equal(frame, machine_frame(m, COMMITTED + 3 * PAGE));
    frame_end_write(&c, frame, WRITE_DONE);
    frame_end_write(&c, before, WRITE_FAILED);
}

static void make_bad(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame;
    assert_true(frame_allocate_zeroed(&c, NTMM_USE_FREE, &frame));
    frame_enlist(&c, frame, NTMM_FRAME_BAD);
}

static void make_regions(struct machine *m)
{
    uint64_t value;
    must_allocate(m, COMMITTED, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, COMMITTED, 4 * PAGE);
    must_protect(m, COMMITTED + 2 * PAGE, 2 * PAGE, NTMM_PAGE_NOACCESS);
    make_standby(m);
    assert_int_equal(try_read(m, COMMITTED + 4 * PAGE, &value), NTMM_STATUS_SUCCESS);
    must_protect(m, COMMITTED + 8 * PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    must_decommit(m, COMMITTED + 10 * PAGE, PAGE);
    must_protect(m, COMMITTED + 12 * PAGE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(try_read(m, COMMITTED + 12 * PAGE, &value), NTMM_STATUS_SUCCESS);
    must_reserve(m, SPARSE, 4 * MIB, NTMM_PAGE_READWRITE);
    must_commit(m, SPARSE_PAGES, 3 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, SPARSE_PAGES, 3 * PAGE);
    for (uint64_t i = 0; i < MANY_COUNT; i++)
        must_reserve(m, MANY + i * MANY_STEP, KIB64, NTMM_PAGE_READWRITE);
}

/* RAM is zero at first, so the free list fills with what was used. */
static void make_free_and_zeroed(struct machine *m)
{
    must_allocate(m, FREED, 80 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, FREED, 80 * PAGE);
    must_release(m, FREED, 80 * PAGE);
    assert_int_equal(ntmm_zero_free_pages(m->system, 40), 40);
}

static int set_up(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES}};
    (void)state;
    machine = machine_open(&setup);
    make_regions(machine);
    other_process = machine_add_process(machine);
    must_reserve_in_other(BASE, KIB64);
    ntmm_handle third = machine_add_process(machine);
    assert_int_equal(ntmm_end_process(machine->system, third), NTMM_STATUS_SUCCESS);
    make_bad(machine);
    make_free_and_zeroed(machine);
    machine_assert_sound(machine);
    saved_ram = malloc(RAM_BYTES);
    assert_non_null(saved_ram);
    memcpy(saved_ram, ntmm_emulated_arena(machine->emu, NULL), RAM_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(saved_ram);
    machine_close(machine);
    return 0;
}

static void run_one(void **state)
{
    const struct corruption *corruption = *state;
    uint64_t object = corruption->corrupt(machine);
    machine_assert_broken(machine, corruption->invariant, object);
    memcpy(ntmm_emulated_arena(machine->emu, NULL), saved_ram, RAM_BYTES);
    machine_assert_sound(machine);
}

/* A test that failed left its corruption behind. */
static int put_back(void **state)
{
    (void)state;
    memcpy(ntmm_emulated_arena(machine->emu, NULL), saved_ram, RAM_BYTES);
    return 0;
}

int corruption_run(const char *group, const struct corruption *corruptions, size_t count)
{
    struct CMUnitTest tests[MOST_CORRUPTIONS];
    char names[MOST_CORRUPTIONS][96];
    if (count > MOST_CORRUPTIONS)
        return 1;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s: %s", corruptions[i].invariant,
                 corruptions[i].what);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = run_one,
                                       .teardown_func = put_back,
                                       .initial_state = (void *)(uintptr_t)&corruptions[i]};
    }
    return _cmocka_run_group_tests(group, tests, count, set_up, tear_down);
}
