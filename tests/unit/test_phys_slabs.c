/*
 * Slabs (tags, owners, trimming) and commit, exact under two threads.
 */
#define _GNU_SOURCE 1
#include "unit/machine.h"

#include <pthread.h>

#define PER_SLAB 59u /* VADs of 64 bytes, their owners and the header in 4,096 bytes */

static uint64_t take(struct machine *m, uint32_t owner)
{
    struct call c = machine_call(m);
    uint64_t ref = slab_allocate(&c, SLAB_VAD, owner);
    assert_true(ref != 0);
    assert_int_equal(ref % 64, 0);
    return ref;
}

static void give(struct machine *m, uint64_t ref)
{
    struct call c = machine_call(m);
    slab_release(&c, ref);
}

static void objects_are_apart_owned_and_zero(void **state)
{
    uint64_t refs[PER_SLAB];
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    for (uint32_t i = 0; i < PER_SLAB; i++) {
        const uint8_t *object;
        refs[i] = take(m, 100 + i);
        object = core_at(c.bias, refs[i]);
        for (uint32_t b = 0; b < 64; b++)
            assert_int_equal(object[b], 0);
        memset(core_at(c.bias, refs[i]), 0xCC, 64);
        assert_int_equal(refs[i] / PAGE, refs[0] / PAGE);
    }
    const struct slab *slab = core_at(c.bias, refs[0] & ~(PAGE - 1));
    for (uint32_t i = 0; i < PER_SLAB; i++) {
        for (uint32_t j = 0; j < i; j++)
            assert_true(refs[i] >= refs[j] + 64 || refs[j] >= refs[i] + 64);
        uint32_t index = (uint32_t)(refs[i] % PAGE - get32(&slab->first)) / 64;
        assert_int_equal(get32(&slab->owners[index]), 100 + i);
    }
    struct ntmm_frame_information row;
    assert_int_equal(ntmm_query_frame(m->system, refs[0] / PAGE, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.use, NTMM_USE_SLAB);
    assert_int_equal(row.tag, SLAB_TAG('V', 'a', 'd', 'S'));
    assert_int_equal(row.used, PER_SLAB);
    assert_int_equal(machine_memory(m).commit_pages, 1);
    for (uint32_t i = 0; i < PER_SLAB; i++)
        give(m, refs[i]);
    machine_close(m);
}

static void empty_slabs_go_but_one(void **state)
{
    uint64_t refs[3 * PER_SLAB];
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    for (uint32_t i = 0; i < 3 * PER_SLAB; i++)
        refs[i] = take(m, 1);
    assert_int_equal(machine_memory(m).slab_pages, 3);
    assert_int_equal(machine_memory(m).commit_pages, 3);
    for (uint32_t i = 0; i < PER_SLAB; i++) {
        give(m, refs[i]);
        give(m, refs[2 * PER_SLAB + i]);
    }
    assert_int_equal(machine_memory(m).slab_pages, 2); /* one full, one empty kept */
    slab_trim(&c);
    assert_int_equal(machine_memory(m).slab_pages, 1);
    for (uint32_t i = PER_SLAB; i < 2 * PER_SLAB; i++)
        give(m, refs[i]);
    assert_int_equal(machine_memory(m).slab_pages, 1);
    slab_trim(&c);
    assert_int_equal(machine_memory(m).slab_pages, 0);
    assert_int_equal(machine_memory(m).commit_pages, 0);
    assert_int_equal(machine_memory(m).active_pages, 0);
    machine_close(m);
}

static void commit_is_charged_to_the_page(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    uint64_t overdrawn = 77;
    assert_false(commit_charge(&c, limit + 1));
    assert_int_equal(c.want.kind, WANT_COMMIT);
    assert_int_equal(c.want.pages, limit + 1);
    assert_false(commit_charge(&c, UINT64_MAX));
    assert_true(commit_charge(&c, limit));
    assert_false(commit_charge(&c, 1));
    assert_true(commit_charge(&c, 0));
    assert_int_equal(machine_memory(m).commit_pages, limit);
    assert_true(commit_charge_fault(&c, 64, &overdrawn)); /* the default reserve */
    assert_int_equal(overdrawn, 64);
    assert_false(commit_charge_fault(&c, 1, &overdrawn));
    assert_int_equal(overdrawn, 0);
    commit_return(&c, 70);
    assert_true(commit_charge_fault(&c, 10, &overdrawn));
    assert_int_equal(overdrawn, 4);
    assert_int_equal(machine_memory(m).commit_peak_pages, limit + 64);
    commit_return(&c, limit + 4);
    machine_close(m);
}

#define ROUNDS 100000u
#define MOST_ROUNDS 30000000u
#define MEETINGS 2000u /* refusals: the other thread held pages at that moment */

struct charger {
    struct machine *m;
    pthread_barrier_t *start; /* lest one is done before the other begins */
    uint64_t refused;
};

/* Charge and return in turn, with a limit that both cannot have at once. */
static void *charge_and_return(void *context)
{
    struct charger *charger = context;
    struct call c = machine_call(charger->m);
    (void)pthread_barrier_wait(charger->start);
    for (uint32_t i = 0; i < ROUNDS || (charger->refused < MEETINGS && i < MOST_ROUNDS); i++) {
        uint64_t pages = 1 + i % 3;
        if (commit_charge(&c, pages))
            commit_return(&c, pages);
        else
            charger->refused++;
    }
    return NULL;
}

static void two_threads_charge_exactly(void **state)
{
    const struct machine_setup setup = {.hardware = {.flags = NTMM_EMULATED_THREADS}};
    struct charger chargers[2];
    pthread_t threads[2];
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    struct call c = machine_call(m);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    assert_true(commit_charge(&c, limit - 4));
    for (uint32_t i = 0; i < 2; i++) {
        chargers[i] = (struct charger){.m = m, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, charge_and_return, &chargers[i]), 0);
    }
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&start);
    assert_int_equal(machine_memory(m).commit_pages, limit - 4);
    assert_in_range(machine_memory(m).commit_peak_pages, limit - 1, limit);
    commit_return(&c, limit - 4);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_apart_owned_and_zero),
        cmocka_unit_test(empty_slabs_go_but_one),
        cmocka_unit_test(commit_is_charged_to_the_page),
        cmocka_unit_test(two_threads_charge_exactly),
    };
    return cmocka_run_group_tests_name("phys_slabs", tests, NULL, NULL);
}
