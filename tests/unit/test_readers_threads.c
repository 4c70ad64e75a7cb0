/*
 * Faults and queries of one process at once, with (W) shared, while others want it for themselves.
 * Whatever the order, each page holds what was last written to it, and every count is exact.
 *
 *   workers   loads and stores on pages of their own, that lie between those of the others; queries
 *   changer   empties the working set, protects pages there and back, makes regions and ends them
 */
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"
#include "phys/cache.h"
#include "space/readers.h"

#include <ntmm/working_set.h>

#define WORKERS 3u
#define PAGES 512u
#define ROUNDS 12000u

struct world;

struct worker {
    struct world *world;
    uint32_t index;
    uint64_t values[PAGES];
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    uint32_t rounds;
    _Atomic(uint32_t) over;
    ntmm_status status;       /* of the changer: the first that was not expected */
    _Atomic(uint32_t) shared; /* times that (W) was seen shared */
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static void step(struct worker *w)
{
    struct machine *m = w->world->m;
    struct ntmm_memory_basic_information information;
    uint64_t page = prng_below(&w->prng, PAGES);
    uint64_t va = BASE + (page * WORKERS + w->index) * PAGE;
    uint64_t value = prng_next(&w->prng);
    uint64_t choice = prng_below(&w->prng, 8);
    if (choice == 0) {
        expect(w, ntmm_query_virtual_memory(m->system, m->process, va, &information));
    } else if (choice < 4) {
        w->values[page] = value;
        expect(w, ntmm_emulated_store(m->emu, w->index, va, &value, sizeof value, NULL, NULL));
    } else {
        expect(w, ntmm_emulated_load(m->emu, w->index, va, &value, sizeof value, NULL, NULL));
        if (value != w->values[page])
            expect(w, NTMM_STATUS_DEVICE_DATA_ERROR);
    }
    if (load32_relaxed(&machine_object(m)->working_set_lock) == LOCK_SHARED)
        w->world->shared++;
}

static void work(void *context)
{
    struct worker *w = context;
    for (uint32_t i = 0; i < w->world->rounds; i++)
        step(w);
    w->world->over++;
}

static void note(struct world *world, ntmm_status status)
{
    if (world->status == NTMM_STATUS_SUCCESS)
        world->status = status;
}

static void change_once(struct world *world, uint32_t i)
{
    struct machine *m = world->m;
    uint64_t base = 512 * MIB, size = 3 * PAGE, none = 0;
    uint32_t old;
    if (i % 16 == 0)
        note(world, ntmm_empty_working_set(m->system, m->process));
    note(world,
         ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size,
                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    note(world, ntmm_protect_virtual_memory(m->system, m->process, &base, &size, NTMM_PAGE_READONLY,
                                            &old));
    note(world, ntmm_free_virtual_memory(m->system, m->process, &base, &none, NTMM_MEM_RELEASE));
}

static void change(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; world->over < WORKERS; i++) {
        if (i % 64 == 0)
            change_once(world, i / 64);
        ntmm_emulated_yield(world->m->emu);
    }
}

static void open_world(struct world *world, const struct machine_setup *setup)
{
    struct machine *m = machine_open(setup);
    struct call c = machine_call(m);
    world->m = m;
    caches_begin(&c);
    set32(&machine_object(m)->calls_until_shared, 1);
    must_allocate(m, BASE, WORKERS * PAGES * PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        *w = (struct worker){.world = world, .index = i};
        prng_seed(&w->prng, setup->hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, m->process), NTMM_STATUS_SUCCESS);
    }
}

static void close_world(struct world *world)
{
    print_message("seen shared %u times\n", world->shared);
    assert_true(world->shared > 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(world->workers[i].status, NTMM_STATUS_SUCCESS);
    assert_int_equal(world->status, NTMM_STATUS_SUCCESS);
    machine_close(world->m);
}

/* The workers and one more, all at once. */
static void begin(struct world *world, struct together all[WORKERS + 1])
{
    for (uint32_t i = 0; i < WORKERS; i++)
        all[i] = (struct together){.function = work, .context = &world->workers[i]};
    all[WORKERS] = (struct together){.function = change, .context = world};
}

static void threads(void **state)
{
    (void)state;
    const struct machine_setup setup = {.hardware = {.ram_bytes = 16 * MIB,
                                                     .flags = NTMM_EMULATED_THREADS,
                                                     .cpu_count = WORKERS,
                                                     .seed = 7}};
    struct world world = {.rounds = ROUNDS};
    struct together all[WORKERS + 1];
    open_world(&world, &setup);
    begin(&world, all);
    run_threads_together(world.m, all, WORKERS + 1);
    close_world(&world);
}

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = 16 * MIB,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed}};
        struct world world = {.rounds = ROUNDS / 8};
        struct together all[WORKERS + 1];
        open_world(&world, &setup);
        begin(&world, all);
        run_coroutines_together(world.m, all, WORKERS + 1);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads),
        cmocka_unit_test(coroutines_in_any_order),
    };
    return cmocka_run_group_tests_name("readers_threads", tests, NULL, NULL);
}
