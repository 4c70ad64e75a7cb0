/*
 * Frames marked as bad while others store to the pages in them. Whatever the order, a page holds
 * what was last written to it or says that it is lost, and nothing is left behind.
 *
 *   2 workers, 200 pages each: loads, stores, trims; a page that is lost is decommitted
 *   a marker: any frame, readable or not, and good again; modified pages are written
 */
#include "paging/page_out.h"
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"

#include <ntmm/frames.h>

#define WORKERS 2u
#define PAGES 200u
#define MARKS 500u
#define RAM (4 * MIB)
#define RW NTMM_PAGE_READWRITE
#define OUTCOMES (NTMM_BAD_FRAME_LOST + 1u)

struct world;

struct worker {
    struct world *world;
    ntmm_handle process;
    uint32_t index; /* its processor */
    uint64_t base;
    uint64_t values[PAGES];
    uint32_t lost; /* pages that said so */
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    struct prng prng;
    uint32_t marks; /* to be made */
    _Atomic(uint32_t) is_over;
    uint32_t outcomes[OUTCOMES];
    ntmm_status status; /* of the marker: one that was not expected */
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static void renew(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->world->m->system;
    uint64_t base = w->base + page * PAGE, size = PAGE;
    expect(w, ntmm_free_virtual_memory(system, w->process, &base, &size, NTMM_MEM_DECOMMIT));
    expect(w,
           ntmm_allocate_virtual_memory(system, w->process, &base, 0, &size, NTMM_MEM_COMMIT, RW));
    w->values[page] = 0;
}

/* Out of the working set. */
static void trim(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->world->m->system;
    uint64_t base = w->base + page * PAGE, size = PAGE;
    uint32_t old;
    expect(w,
           ntmm_protect_virtual_memory(system, w->process, &base, &size, NTMM_PAGE_NOACCESS, &old));
    expect(w, ntmm_protect_virtual_memory(system, w->process, &base, &size, old, &old));
}

/* An access: its page may be lost. */
static bool is_lost(struct worker *w, uint64_t page, ntmm_status status)
{
    if (status != NTMM_STATUS_IN_PAGE_ERROR)
        expect(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        return false;
    w->lost++;
    renew(w, page);
    return true;
}

static void step(struct worker *w)
{
    struct ntmm_emulated *emu = w->world->m->emu;
    uint64_t page = prng_below(&w->prng, PAGES);
    uint64_t va = w->base + page * PAGE;
    uint64_t value = prng_next(&w->prng);
    uint64_t choice = prng_below(&w->prng, 16);
    if (choice < 2) {
        trim(w, page);
    } else if (choice < 8) {
        if (!is_lost(w, page,
                     ntmm_emulated_store(emu, w->index, va, &value, sizeof value, NULL, NULL)))
            w->values[page] = value;
    } else {
        bool is_gone = is_lost(
            w, page, ntmm_emulated_load(emu, w->index, va, &value, sizeof value, NULL, NULL));
        if (!is_gone && value != w->values[page])
            expect(w, NTMM_STATUS_DEVICE_DATA_ERROR);
    }
}

static void work(void *context)
{
    struct worker *w = context;
    while (!w->world->is_over)
        step(w);
}

static void mark_one(struct world *world)
{
    struct ntmm_system *system = world->m->system;
    uint64_t frame = prng_below(&world->prng, RAM / PAGE);
    uint32_t flags = prng_below(&world->prng, 4) ? NTMM_BAD_FRAME_READABLE : 0;
    uint32_t outcome = 0;
    ntmm_status status = ntmm_mark_frame_bad(system, frame, flags, &outcome);
    if (status == NTMM_STATUS_SUCCESS) {
        world->outcomes[outcome]++;
        status = ntmm_mark_frame_good(system, frame);
    } else if (status == NTMM_STATUS_RETRY || status == NTMM_STATUS_NOT_SUPPORTED ||
               status == NTMM_STATUS_NO_MEMORY) {
        status = NTMM_STATUS_SUCCESS;
    }
    if (status != NTMM_STATUS_SUCCESS)
        world->status = status;
}

static bool has_seen_all(const struct world *world)
{
    for (uint32_t i = 0; i < OUTCOMES; i++) {
        if (world->outcomes[i] == 0)
            return false;
    }
    return true;
}

/* On until every outcome was seen: the host may let the workers begin late. */
static void mark(void *context)
{
    struct world *world = context;
    uint32_t most = 1000 * world->marks;
    for (uint32_t i = 0; i < world->marks || (i < most && !has_seen_all(world)); i++) {
        mark_one(world);
        (void)ntmm_write_modified_pages(world->m->system, 4);
        ntmm_emulated_yield(world->m->emu);
    }
    world->is_over = 1;
}

static void open_world(struct world *world, const struct machine_setup *setup)
{
    struct machine *m = machine_open(setup);
    world->m = m;
    prng_seed(&world->prng, setup->hardware.seed);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        uint64_t size = PAGES * PAGE;
        ntmm_handle process = i ? machine_add_process(m) : m->process;
        *w = (struct worker){.world = world, .process = process, .index = i, .base = BASE};
        prng_seed(&w->prng, setup->hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, process), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &w->base, 0, &size,
                                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, RW),
                         NTMM_STATUS_SUCCESS);
    }
}

static void close_world(struct world *world)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(world->workers[i].status, NTMM_STATUS_SUCCESS);
        lost += world->workers[i].lost;
    }
    assert_int_equal(world->status, NTMM_STATUS_SUCCESS);
    print_message("dropped %u, moved %u, lost %u, of these met %u\n",
                  world->outcomes[NTMM_BAD_FRAME_DROPPED], world->outcomes[NTMM_BAD_FRAME_MOVED],
                  world->outcomes[NTMM_BAD_FRAME_LOST], lost);
    assert_true(lost <= world->outcomes[NTMM_BAD_FRAME_LOST]);
    assert_true(has_seen_all(world));
    must_finish_transfers(world->m);
    assert_int_equal(machine_memory(world->m).bad_pages, 0);
    machine_close(world->m);
}

/* --- host threads --- */

/* The workers and one more, all at once. */
static void begin(struct world *world, struct together all[WORKERS + 1])
{
    for (uint32_t i = 0; i < WORKERS; i++)
        all[i] = (struct together){.function = work, .context = &world->workers[i]};
    all[WORKERS] = (struct together){.function = mark, .context = world};
}

static void threads(void **state)
{
    (void)state;
    const struct machine_setup setup = {
        .hardware = {
            .ram_bytes = RAM, .flags = NTMM_EMULATED_THREADS, .cpu_count = WORKERS, .seed = 7}};
    struct world world = {.marks = MARKS};
    struct together all[WORKERS + 1];
    open_world(&world, &setup);
    begin(&world, all);
    run_threads_together(world.m, all, WORKERS + 1);
    close_world(&world);
}

/* --- coroutines, switched wherever the machine can --- */

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = RAM,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed}};
        struct world world = {.marks = MARKS / 2};
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
    return cmocka_run_group_tests_name("bad_frames_threads", tests, NULL, NULL);
}
