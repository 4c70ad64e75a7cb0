/*
 * Clones of a process that goes on meanwhile, with too little memory: each page of a child is as it
 * was at one moment of the call.
 *
 *   writer, processor 0   OWN: round n into each page   SCRATCH: made, written, cut, freed
 *   cloner                clone, look at every page of OWN, write to it, end      RAM 256 frames
 */
#include "unit/storage.h"

#include <ntmm/memory.h>

#include <pthread.h>

#define PAGES 150u
#define CLONES 60u
#define OWN BASE
#define SCRATCH (2 * BASE)

struct world {
    struct machine *m;
    uint32_t clones;
    _Atomic(uint64_t) begun;    /* round that is being written */
    _Atomic(uint64_t) finished; /* last round that was */
    _Atomic(uint32_t) is_over;
    ntmm_status status; /* the cloner's first failure */
    uint64_t wrong;     /* pages with a value of another time */
    ntmm_status writing;
};

static void note(ntmm_status *first, ntmm_status status)
{
    if (*first == NTMM_STATUS_SUCCESS)
        *first = status;
}

/* --- the writer --- */

static void change_scratch(struct world *w)
{
    struct ntmm_system *system = w->m->system;
    uint64_t base = SCRATCH, size = 12 * PAGE, value = 1;
    note(&w->writing,
         ntmm_allocate_virtual_memory(system, w->m->process, &base, 0, &size,
                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    for (uint64_t i = 0; i < 12; i++)
        note(&w->writing, ntmm_write_virtual_memory(system, w->m->process, base + i * PAGE, &value,
                                                    sizeof value, NULL));
    base += 4 * PAGE;
    size = 2 * PAGE;
    note(&w->writing,
         ntmm_free_virtual_memory(system, w->m->process, &base, &size, NTMM_MEM_RELEASE));
    for (uint32_t i = 0; i < 2; i++) {
        base = SCRATCH + i * 6 * PAGE;
        size = 0;
        note(&w->writing,
             ntmm_free_virtual_memory(system, w->m->process, &base, &size, NTMM_MEM_RELEASE));
    }
}

static void write_rounds(void *context)
{
    struct world *w = context;
    for (uint64_t round = 1; !w->is_over; round++) {
        w->begun = round;
        for (uint64_t i = 0; i < PAGES; i++)
            note(&w->writing, ntmm_emulated_store(w->m->emu, 0, OWN + i * PAGE, &round,
                                                  sizeof round, NULL, NULL));
        w->finished = round;
        change_scratch(w);
        ntmm_emulated_yield(w->m->emu);
    }
}

/* --- the cloner --- */

static void look_at_child(struct world *w, ntmm_handle child, uint64_t low)
{
    struct ntmm_system *system = w->m->system;
    uint64_t value = 0;
    for (uint64_t i = 0; i < PAGES; i++) {
        note(&w->status,
             ntmm_read_virtual_memory(system, child, OWN + i * PAGE, &value, sizeof value, NULL));
        w->wrong += value < low || value > w->begun;
    }
    value = UINT64_MAX;
    for (uint64_t i = 0; i < PAGES; i += 7)
        note(&w->status,
             ntmm_write_virtual_memory(system, child, OWN + i * PAGE, &value, sizeof value, NULL));
}

static void clone_often(void *context)
{
    struct world *w = context;
    for (uint32_t i = 0; i < w->clones; i++) {
        ntmm_handle child = 0;
        uint64_t low = w->finished;
        ntmm_status status = ntmm_clone_process(w->m->system, w->m->process, NULL, &child);
        note(&w->status, status);
        if (status != NTMM_STATUS_SUCCESS)
            break;
        look_at_child(w, child, low);
        note(&w->status, ntmm_end_process(w->m->system, child));
    }
    w->is_over = 1;
}

/* --- both --- */

static void open_world(struct world *w, const struct machine_setup *setup)
{
    w->m = machine_open(setup);
    (void)must_add_file(w->m, 8 * MIB, 8 * MIB, NULL);
    must_allocate(w->m, OWN, PAGES * PAGE, NTMM_PAGE_READWRITE);
}

static void close_world(struct world *w)
{
    must_finish_transfers(w->m);
    assert_int_equal(w->status, NTMM_STATUS_SUCCESS);
    assert_int_equal(w->writing, NTMM_STATUS_SUCCESS);
    assert_int_equal(w->wrong, 0);
    machine_assert_sound(w->m);
    machine_close(w->m);
}

static void *run_writer(void *context)
{
    struct world *w = context;
    ntmm_emulated_bind_thread(w->m->emu, 0);
    write_rounds(w);
    return NULL;
}

static void *run_cloner(void *context)
{
    struct world *w = context;
    ntmm_emulated_bind_thread(w->m->emu, 1);
    clone_often(w);
    return NULL;
}

static void threads_at_once(void **state)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB, .flags = NTMM_EMULATED_THREADS, .cpu_count = 2, .seed = 7}};
    struct world w = {.clones = CLONES};
    const struct ntmm_platform *platform;
    pthread_t writer, cloner;
    (void)state;
    open_world(&w, &setup);
    platform = ntmm_emulated_platform(w.m->emu);
    assert_int_equal(pthread_create(&writer, NULL, run_writer, &w), 0);
    assert_int_equal(pthread_create(&cloner, NULL, run_cloner, &w), 0);
    for (uint32_t i = 0; !w.is_over; i++) {
        platform->pump(platform->context);
        if (i % 64 == 0)
            ntmm_balance_set_manager(w.m->system);
        ntmm_emulated_yield(w.m->emu);
    }
    pthread_join(cloner, NULL);
    pthread_join(writer, NULL);
    close_world(&w);
}

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = MIB,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = 2,
                         .seed = seed}};
        struct world w = {.clones = CLONES / 10};
        struct ntmm_emulated_statistics statistics;
        open_world(&w, &setup);
        assert_int_equal(ntmm_emulated_spawn(w.m->emu, 0, write_rounds, &w, 0),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_spawn(w.m->emu, 1, clone_often, &w, 0), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_run(w.m->emu), NTMM_STATUS_SUCCESS);
        ntmm_emulated_query(w.m->emu, &statistics);
        assert_int_equal(statistics.violations, 0);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_at_once),
        cmocka_unit_test(coroutines_in_any_order),
    };
    return cmocka_run_group_tests_name("clone_threads", tests, NULL, NULL);
}
