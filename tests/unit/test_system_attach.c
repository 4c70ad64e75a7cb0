/*
 * A system is its arena: saved, loaded elsewhere, attached, it goes on to the same hash (I0:
 * nothing in a frame names the host). Two systems in one program share nothing.
 */
#define _GNU_SOURCE 1
#include "unit/machine.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"

#define ROUNDS 400u

/* A program of calls and accesses drawn from a seed, in steps. */
struct program {
    struct machine *m;
    struct prng prng;
};

static void step(struct program *p)
{
    uint64_t base = BASE + prng_below(&p->prng, 16) * MIB;
    uint64_t offset = prng_below(&p->prng, 64) * PAGE;
    uint64_t pages = 1 + prng_below(&p->prng, 16);
    ntmm_status unused;
    switch (prng_below(&p->prng, 8)) {
    case 0:
        unused = try_allocate(p->m, base, MIB / 2, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
        break;
    case 1:
        unused = try_allocate(p->m, base, 64 * PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                              NTMM_PAGE_READWRITE);
        break;
    case 2:
        unused =
            try_allocate(p->m, base + offset, pages * PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
        break;
    case 3:
        unused = try_free(p->m, base + offset, pages * PAGE, NTMM_MEM_DECOMMIT);
        break;
    case 4:
        unused = try_free(p->m, base, 0, NTMM_MEM_RELEASE);
        break;
    case 5:
        unused = try_protect(p->m, base + offset, pages * PAGE, NTMM_PAGE_NOACCESS);
        break;
    default:
        unused = try_write(p->m, base + offset, base ^ offset);
        break;
    }
    (void)unused;
}

static struct program begin(struct machine *m, uint64_t seed)
{
    struct program p = {.m = m};
    prng_seed(&p.prng, seed);
    return p;
}

static void run(struct program *p, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        step(p);
}

static uint64_t hash_of_run_alone(uint64_t seed)
{
    struct machine *m = machine_open(NULL);
    struct program p = begin(m, seed);
    run(&p, ROUNDS);
    uint64_t hash = ntmm_emulated_hash(m->emu);
    machine_close(m);
    return hash;
}

static void a_saved_arena_goes_on_elsewhere(void **state)
{
    char path[] = "ntmm-arena-XXXXXX";
    struct ntmm_emulated_config hardware = {.size = sizeof hardware,
                                            .version = NTMM_EMULATED_CONFIG_VERSION};
    (void)state;
    uint64_t expected = hash_of_run_alone(5);
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);

    struct machine *m = machine_open(NULL);
    struct program p = begin(m, 5);
    run(&p, ROUNDS / 2);
    uint64_t half = ntmm_emulated_hash(m->emu);
    void *old_place = ntmm_emulated_arena(m->emu, NULL);
    assert_int_equal(ntmm_emulated_save(m->emu, path), NTMM_STATUS_SUCCESS);

    struct ntmm_emulated *copy;
    assert_int_equal(ntmm_emulated_restore(&hardware, path, &copy), NTMM_STATUS_SUCCESS);
    unlink(path);
    assert_ptr_not_equal(ntmm_emulated_arena(copy, NULL), old_place);
    assert_int_equal(ntmm_emulated_hash(copy), half);
    struct machine other = *m;
    other.emu = copy;
    assert_int_equal(ntmm_emulated_attach_system(copy, &other.system), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_hash(copy), half);
    assert_int_equal(ntmm_emulated_attach(copy, 0, other.process), NTMM_STATUS_SUCCESS);
    machine_assert_sound(&other);
    struct program rest = {.m = &other, .prng = p.prng};
    run(&rest, ROUNDS / 2);
    assert_int_equal(ntmm_emulated_hash(copy), expected);
    machine_assert_sound(&other);
    struct ntmm_teardown left;
    ntmm_emulated_destroy(copy, &left);
    assert_int_equal(left.lost_pages | left.outstanding_commit | left.live_objects, 0);
    assert_int_equal(ntmm_emulated_hash(m->emu), half);
    machine_close(m);
}

static void two_systems_interleaved_are_each_alone(void **state)
{
    const uint64_t expected[] = {hash_of_run_alone(1), hash_of_run_alone(2)};
    (void)state;
    struct machine *machines[] = {machine_open(NULL), machine_open(NULL)};
    struct program programs[] = {begin(machines[0], 1), begin(machines[1], 2)};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        step(&programs[0]);
        step(&programs[1]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ntmm_emulated_hash(machines[i]->emu), expected[i]);
        machine_close(machines[i]);
    }
}

static void *run_all(void *program)
{
    run(program, ROUNDS);
    return NULL;
}

static void two_systems_from_two_threads_are_each_alone(void **state)
{
    const uint64_t expected[] = {hash_of_run_alone(3), hash_of_run_alone(4)};
    (void)state;
    struct machine *machines[] = {machine_open(NULL), machine_open(NULL)};
    struct program programs[] = {begin(machines[0], 3), begin(machines[1], 4)};
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_all, &programs[i]), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(ntmm_emulated_hash(machines[i]->emu), expected[i]);
        machine_close(machines[i]);
    }
}

/* Tear-down reports what is left, and ends what still lives. */
static void tear_down_tells_what_is_left(void **state)
{
    struct ntmm_teardown left;
    struct ntmm_wait wait = {0};
    uint64_t frame;
    (void)state;
    struct machine *m = machine_open(NULL);
    machine_add_process(m);
    must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 16 * PAGE);
    struct call c = machine_call(m);
    assert_true(frame_allocate_zeroed(&c, NTMM_USE_FREE, &frame));
    assert_true(commit_charge(&c, 3));
    assert_true(slab_allocate(&c, SLAB_VAD, 0) != 0);
    waiters_add(&c, &m->system->for_frame, &wait);
    ntmm_emulated_destroy(m->emu, &left);
    assert_int_equal(left.processes_ended, 2);
    assert_int_equal(left.lost_pages, 1 + 1);         /* the frame, and the object's slab */
    assert_int_equal(left.outstanding_commit, 3 + 1); /* the charge, and the slab's */
    assert_int_equal(left.live_objects, 1);
    assert_int_equal(left.waiters, 1);
    assert_int_equal(left.transfers, 0);
    free(m->scratch);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_arena_goes_on_elsewhere),
        cmocka_unit_test(two_systems_interleaved_are_each_alone),
        cmocka_unit_test(two_systems_from_two_threads_are_each_alone),
        cmocka_unit_test(tear_down_tells_what_is_left),
    };
    return cmocka_run_group_tests_name("system_attach", tests, NULL, NULL);
}
