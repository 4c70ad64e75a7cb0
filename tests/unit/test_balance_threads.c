/*
 * Trimming by several at once: faults that find no frame, and a balance set manager beside them.
 * Whatever the order, every page holds what was last written to it, and nothing is left behind.
 *
 *   RAM 256 frames    2 workers with 300 pages each, in one process or two; one more ticks
 */
#include "unit/storage.h"

#include "base/prng.h"

#include <pthread.h>

#define WORKERS 2u
#define PAGES 300u
#define ROUNDS 3000u
#define TICKS 300u

struct world;

struct worker {
    struct world *world;
    pthread_t thread;
    uint32_t index; /* its processor */
    uint64_t base;
    uint64_t values[PAGES];
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    uint32_t rounds;
    _Atomic(uint32_t) is_over;
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

/* Half of the accesses go to a tenth of the pages. */
static uint64_t choose_page(struct worker *w)
{
    return prng_below(&w->prng, prng_below(&w->prng, 2) ? PAGES : PAGES / 10);
}

static void step(struct worker *w)
{
    uint64_t page = choose_page(w);
    uint64_t va = w->base + page * PAGE;
    uint64_t value = 0;
    if (prng_below(&w->prng, 3) == 0) {
        value = prng_next(&w->prng);
        w->values[page] = value;
        expect(w, ntmm_emulated_store(w->world->m->emu, w->index, va, &value, sizeof value, NULL,
                                      NULL));
        return;
    }
    expect(w, ntmm_emulated_load(w->world->m->emu, w->index, va, &value, sizeof value, NULL, NULL));
    if (value != w->values[page])
        expect(w, NTMM_STATUS_DEVICE_DATA_ERROR);
}

static void work(void *context)
{
    struct worker *w = context;
    for (uint32_t i = 0; i < w->world->rounds; i++)
        step(w);
}

/* The second worker runs in a process of its own when there are two. */
static void open_world(struct world *world, const struct machine_setup *setup, bool has_two)
{
    struct machine *m = machine_open(setup);
    world->m = m;
    world->is_over = 0;
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        uint64_t size = PAGES * PAGE;
        ntmm_handle process = i && has_two ? machine_add_process(m) : m->process;
        *w = (struct worker){.world = world, .index = i, .base = BASE + 2 * i * MIB};
        prng_seed(&w->prng, setup->hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, process), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &w->base, 0, &size,
                                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                      NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
    }
}

static void close_world(struct world *world)
{
    must_finish_transfers(world->m);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(world->workers[i].status, NTMM_STATUS_SUCCESS);
    print_message("aged %llu, trimmed %llu, waits %llu\n",
                  (unsigned long long)machine_counter(world->m, NTMM_COUNTER_PAGES_AGED),
                  (unsigned long long)machine_counter(world->m, NTMM_COUNTER_PAGES_TRIMMED),
                  (unsigned long long)machine_counter(world->m, NTMM_COUNTER_FAULT_WAITS));
    assert_true(machine_counter(world->m, NTMM_COUNTER_HARD_FAULTS) > 0);
    assert_true(machine_counter(world->m, NTMM_COUNTER_PAGES_TRIMMED) > 0);
    machine_close(world->m);
}

/* --- host threads --- */

static void *run_worker(void *context)
{
    struct worker *w = context;
    ntmm_emulated_bind_thread(w->world->m->emu, w->index);
    work(w);
    return NULL;
}

static void *run_background(void *context)
{
    struct world *world = context;
    const struct ntmm_platform *platform = ntmm_emulated_platform(world->m->emu);
    for (uint32_t i = 0; !world->is_over; i++) {
        platform->pump(platform->context);
        if (i % 64 == 0)
            ntmm_balance_set_manager(world->m->system);
        ntmm_emulated_yield(world->m->emu);
    }
    return NULL;
}

static void run_threads(bool has_two)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB,
                     .flags = NTMM_EMULATED_THREADS,
                     .cpu_count = WORKERS,
                     .seed = 7},
    };
    struct world world = {.rounds = ROUNDS};
    pthread_t background;
    open_world(&world, &setup, has_two);
    assert_int_equal(pthread_create(&background, NULL, run_background, &world), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(
            pthread_create(&world.workers[i].thread, NULL, run_worker, &world.workers[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(world.workers[i].thread, NULL);
    world.is_over = 1;
    pthread_join(background, NULL);
    close_world(&world);
}

static void threads_of_one_process(void **state)
{
    (void)state;
    run_threads(false);
}

static void threads_of_two_processes(void **state)
{
    (void)state;
    run_threads(true);
}

/* --- coroutines, switched wherever the machine can --- */

static void tick(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; i < TICKS; i++) {
        ntmm_balance_set_manager(world->m->system);
        ntmm_emulated_yield(world->m->emu);
    }
}

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = MIB,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed},
            .core = {.read_cluster_pages = 1 + (uint32_t)seed % 8},
        };
        struct world world = {.rounds = ROUNDS / 3};
        struct ntmm_emulated_statistics statistics;
        open_world(&world, &setup, seed % 2);
        for (uint32_t i = 0; i < WORKERS; i++)
            assert_int_equal(ntmm_emulated_spawn(world.m->emu, i, work, &world.workers[i], 0),
                             NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_spawn(world.m->emu, WORKERS, tick, &world, 0),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_run(world.m->emu), NTMM_STATUS_SUCCESS);
        ntmm_emulated_query(world.m->emu, &statistics);
        assert_int_equal(statistics.violations, 0);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_of_one_process),
        cmocka_unit_test(threads_of_two_processes),
        cmocka_unit_test(coroutines_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
