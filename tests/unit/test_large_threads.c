/*
 * Large pages made and given back while others store to the pages that stand in the way. Whatever
 * the order, every page holds what was last written to it, and nothing is left behind.
 *
 *   RAM 8 MiB    2 workers with 400 pages each, in one process or two: loads, stores, decommits
 *                a maker: one or two large pages, given back; two move most of what there is
 */
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"
#include "workingset/rows.h"

#define WORKERS 2u
#define PAGES 400u
#define KEPT                                                                                       \
    200u /* of these, the last ones, that are never decommitted: not in the run of tables */
#define ROUNDS 30000u
#define LEAF (2 * MIB)
#define LARGE (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES)

struct world;

struct worker {
    struct world *world;
    ntmm_handle process;
    uint32_t index; /* its processor */
    uint64_t base;
    uint64_t values[PAGES];
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    uint64_t frames[KEPT]; /* of the first worker's, in the beginning */
    uint32_t rounds;
    _Atomic(uint32_t) is_over;
    _Atomic(uint32_t) made;
    ntmm_status status; /* of the maker: one that was not expected */
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

/* A page goes and comes again, so that frames of runs that were given back are used. */
static void renew(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->world->m->system;
    uint64_t base = w->base + page * PAGE, size = PAGE;
    expect(w, ntmm_free_virtual_memory(system, w->process, &base, &size, NTMM_MEM_DECOMMIT));
    expect(w, ntmm_allocate_virtual_memory(system, w->process, &base, 0, &size, NTMM_MEM_COMMIT,
                                           NTMM_PAGE_READWRITE));
    w->values[page] = 0;
}

static void step(struct worker *w)
{
    struct ntmm_emulated *emu = w->world->m->emu;
    uint64_t page = prng_below(&w->prng, PAGES);
    uint64_t va = w->base + page * PAGE;
    uint64_t value = 0;
    uint64_t choice = prng_below(&w->prng, 16);
    if (choice == 0 && page < PAGES - KEPT) {
        renew(w, page);
    } else if (choice < 8) {
        value = prng_next(&w->prng);
        w->values[page] = value;
        expect(w, ntmm_emulated_store(emu, w->index, va, &value, sizeof value, NULL, NULL));
    } else {
        expect(w, ntmm_emulated_load(emu, w->index, va, &value, sizeof value, NULL, NULL));
        if (value != w->values[page])
            expect(w, NTMM_STATUS_DEVICE_DATA_ERROR);
    }
}

/* Longer while the maker had no luck or no processor. */
static void work(void *context)
{
    struct worker *w = context;
    struct world *world = w->world;
    for (uint32_t i = 0; i < world->rounds || (!world->made && i < 16 * world->rounds); i++)
        step(w);
    world->is_over++;
}

/* One that is refused is no error: others hold what it needs. */
static void make_leaves(struct world *world, uint64_t leaves)
{
    struct machine *m = world->m;
    uint64_t base = 64 * MIB, size = leaves * LEAF, none = 0;
    ntmm_status status = ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size, LARGE,
                                                      NTMM_PAGE_READWRITE);
    if (status != NTMM_STATUS_SUCCESS) {
        if (status != NTMM_STATUS_INSUFFICIENT_RESOURCES)
            world->status = status;
        return;
    }
    world->made++;
    status = ntmm_free_virtual_memory(m->system, m->process, &base, &none, NTMM_MEM_RELEASE);
    if (status != NTMM_STATUS_SUCCESS)
        world->status = status;
}

static void make(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; world->is_over < WORKERS; i++) {
        make_leaves(world, 1 + i % 2);
        ntmm_emulated_yield(world->m->emu);
    }
    make_leaves(world, 2); /* nobody is in the way: this one is made */
}

static uint64_t kept_frame(struct world *world, uint32_t i)
{
    return machine_frame(world->m, world->workers[0].base + (PAGES - KEPT + i) * PAGE);
}

/* Pages of both are mixed in memory, with free frames between them: no run is free. */
static void fill(struct world *world)
{
    struct machine *m = world->m;
    const uint64_t filler = BASE + 8 * MIB;
    must_allocate(m, filler, WORKERS * PAGES * PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < PAGES * WORKERS; i++) {
        struct worker *w = &world->workers[i % WORKERS];
        uint64_t zero = 0;
        assert_int_equal(ntmm_emulated_store(m->emu, w->index, w->base + i / WORKERS * PAGE, &zero,
                                             sizeof zero, NULL, NULL),
                         NTMM_STATUS_SUCCESS);
        must_write(m, filler + i * PAGE, 1);
    }
    must_release(m, filler, 0);
    for (uint32_t i = 0; i < KEPT; i++)
        world->frames[i] = kept_frame(world, i);
}

static void open_world(struct world *world, const struct machine_setup *setup, bool has_two)
{
    struct machine *m = machine_open(setup);
    world->m = m;
    world->is_over = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        uint64_t size = PAGES * PAGE;
        ntmm_handle process = i && has_two ? machine_add_process(m) : m->process;
        *w = (struct worker){
            .world = world, .process = process, .index = i, .base = BASE + 4 * i * MIB};
        prng_seed(&w->prng, setup->hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, process), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &w->base, 0, &size,
                                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                      NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
    }
    fill(world);
}

/* Pages that are somewhere else than in the beginning. */
static uint32_t count_moved(struct world *world)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < KEPT; i++)
        moved += kept_frame(world, i) != world->frames[i];
    return moved;
}

static void close_world(struct world *world)
{
    uint32_t moved = count_moved(world);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(world->workers[i].status, NTMM_STATUS_SUCCESS);
    assert_int_equal(world->status, NTMM_STATUS_SUCCESS);
    print_message("made %u, moved %u\n", world->made, moved);
    assert_true(world->made > 0 && moved > 0);
    machine_close(world->m);
}

/* --- host threads --- */

/* The workers and one more, all at once. */
static void begin(struct world *world, struct together all[WORKERS + 1])
{
    for (uint32_t i = 0; i < WORKERS; i++)
        all[i] = (struct together){.function = work, .context = &world->workers[i]};
    all[WORKERS] = (struct together){.function = make, .context = world};
}

static void run_threads(bool has_two)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 8 * MIB,
                     .flags = NTMM_EMULATED_THREADS,
                     .cpu_count = WORKERS,
                     .seed = 7},
        .core = {.extra_commit_pages = 4000},
    };
    struct world world = {.rounds = ROUNDS};
    struct together all[WORKERS + 1];
    open_world(&world, &setup, has_two);
    begin(&world, all);
    run_threads_together(world.m, all, WORKERS + 1);
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

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = 8 * MIB,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed},
            .core = {.extra_commit_pages = 4000},
        };
        struct world world = {.rounds = ROUNDS / 20};
        struct together all[WORKERS + 1];
        open_world(&world, &setup, seed % 2);
        begin(&world, all);
        run_coroutines_together(world.m, all, WORKERS + 1);
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
    return cmocka_run_group_tests_name("large_threads", tests, NULL, NULL);
}
