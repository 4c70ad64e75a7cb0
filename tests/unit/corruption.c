/*
 * See corruption.h.
 */
#include "unit/corruption.h"

#include <ntmm/job.h>

#include <stdio.h>

#define RAM_BYTES (8 * MIB)
#define FREED (BASE + 256 * MIB)
#define MOST_CORRUPTIONS 96u
#define MOST_DISKS 4u

/* Bytes that a corruption may change, and what they were. */
struct saved {
    void *bytes;
    void *copy;
    size_t size;
};

static const struct corruption_scene *current_scene;
static struct machine *machine;
static ntmm_handle other_process;
static struct saved saved[2 + MOST_DISKS];

ntmm_handle corruption_other_process(void) { return other_process; }

static void must_reserve_in_other(struct machine *m, uint64_t base, uint64_t size)
{
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, other_process, &base, 0, &size,
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
    uint64_t before = frame_begin_write(&c, &partition_of(&c)->modified);
    frame_unlock(&c, before);
    uint64_t frame = frame_begin_write(&c, &partition_of(&c)->modified);
    frame_unlock(&c, frame);
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
    frame_make_bad(&c, frame);
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

static struct machine *open_default(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES}};
    struct machine *m = machine_open(&setup);
    make_regions(m);
    ntmm_handle job;
    other_process = machine_add_process(m);
    assert_int_equal(ntmm_create_job(m->system, &job), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_assign_process_to_job(m->system, job, other_process),
                     NTMM_STATUS_SUCCESS);
    must_reserve_in_other(m, BASE, KIB64);
    ntmm_handle third = machine_add_process(m);
    assert_int_equal(ntmm_end_process(m->system, third), NTMM_STATUS_SUCCESS);
    make_bad(m);
    make_free_and_zeroed(m);
    return m;
}

static void save(struct saved *s, void *bytes, size_t size)
{
    *s = (struct saved){.bytes = bytes, .copy = malloc(size), .size = size};
    assert_non_null(s->copy);
    memcpy(s->copy, bytes, size);
}

static void save_all(void)
{
    uint64_t size = 0;
    void *ram = ntmm_emulated_arena(machine->emu, &size);
    save(&saved[0], ram, (size_t)size);
    save(&saved[1], machine->system, sizeof *machine->system);
    for (uint32_t i = 0; i < MOST_DISKS; i++) {
        void *image = ntmm_emulated_disk_image(machine->emu, i, &size);
        if (image)
            save(&saved[2 + i], image, (size_t)size);
    }
}

static int set_up(void **state)
{
    (void)state;
    machine = current_scene->open();
    machine_assert_sound(machine);
    save_all();
    return 0;
}

static void restore_all(void)
{
    for (uint32_t i = 0; i < 2 + MOST_DISKS; i++) {
        if (saved[i].copy)
            memcpy(saved[i].bytes, saved[i].copy, saved[i].size);
    }
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 + MOST_DISKS; i++) {
        free(saved[i].copy);
        saved[i] = (struct saved){0};
    }
    current_scene->close(machine);
    return 0;
}

static void run_one(void **state)
{
    const struct corruption *corruption = *state;
    uint64_t object = corruption->corrupt(machine);
    if (current_scene->is_blind)
        machine_assert_broken_blind(machine, corruption->invariant, object);
    else
        machine_assert_broken(machine, corruption->invariant, object);
    restore_all();
    machine_assert_sound(machine);
}

/* A test that failed left its corruption behind. */
static int put_back(void **state)
{
    (void)state;
    restore_all();
    return 0;
}

int corruption_run(const char *group, const struct corruption *corruptions, size_t count)
{
    static const struct corruption_scene scene = {.open = open_default, .close = machine_close};
    return corruption_run_in(&scene, group, corruptions, count);
}

int corruption_run_in(const struct corruption_scene *scene, const char *group,
                      const struct corruption *corruptions, size_t count)
{
    struct CMUnitTest tests[MOST_CORRUPTIONS];
    char names[MOST_CORRUPTIONS][96];
    if (count > MOST_CORRUPTIONS)
        return 1;
    current_scene = scene;
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
