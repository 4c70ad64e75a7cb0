/*
 * Frames that come and go while others store to the pages in them. Whatever the order, a page holds
 * what was last written to it, and no store reaches a frame that is not there.
 *
 *   2 workers, 300 pages each: loads, stores, trims
 *   one that removes some frames, fills them with rubbish, and adds them again
 *   another that does the same at the same time: one of the two is told to wait
 */
#include "paging/page_out.h"
#include "unit/hot_world.h"
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"

#define WORKERS 2u
#define CHANGERS 2u
#define PAGES 300u
#define CHANGES 200u
#define MOST_CHANGES 40000u
#define FRAMES 24u
#define RW NTMM_PAGE_READWRITE
#define RUBBISH 0xEEu

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

struct changer {
    struct world *world;
    struct prng prng;
    uint32_t removed;
    uint32_t refused;
    uint32_t written; /* frames that somebody stored to while they were not there */
    ntmm_status status;
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    struct changer changers[CHANGERS];
    uint32_t changes; /* to be made by each */
    _Atomic(uint32_t) changing;
};

static void expect(ntmm_status *first, ntmm_status status)
{
    if (*first == NTMM_STATUS_SUCCESS)
        *first = status;
}

/* Out of the working set. */
static void trim(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->world->m->system;
    uint64_t base = w->base + page * PAGE, size = PAGE;
    uint32_t old;
    expect(&w->status,
           ntmm_protect_virtual_memory(system, w->process, &base, &size, NTMM_PAGE_NOACCESS, &old));
    expect(&w->status, ntmm_protect_virtual_memory(system, w->process, &base, &size, old, &old));
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
        expect(&w->status,
               ntmm_emulated_store(emu, w->index, va, &value, sizeof value, NULL, NULL));
        w->values[page] = value;
    } else {
        expect(&w->status, ntmm_emulated_load(emu, w->index, va, &value, sizeof value, NULL, NULL));
        if (value != w->values[page])
            expect(&w->status, NTMM_STATUS_DEVICE_DATA_ERROR);
    }
}

static void work(void *context)
{
    struct worker *w = context;
    while (w->world->changing != 0)
        step(w);
}

static bool is_refusal(ntmm_status status)
{
    return status == NTMM_STATUS_RETRY || status == NTMM_STATUS_NOT_SUPPORTED ||
           status == NTMM_STATUS_NO_MEMORY || status == NTMM_STATUS_INVALID_PARAMETER_2;
}

static bool is_rubbish(const uint8_t *bytes, size_t size)
{
    return bytes[0] == RUBBISH && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void put_back(struct changer *c, uint64_t first, uint64_t count)
{
    ntmm_status status;
    do {
        ntmm_emulated_yield(c->world->m->emu);
        status = ntmm_add_frames(c->world->m->system, first, count, 0);
    } while (status == NTMM_STATUS_RETRY);
    expect(&c->status, status);
}

static void change_once(struct changer *c)
{
    struct machine *m = c->world->m;
    uint64_t first = UPPER + UPPER_ROWS + prng_below(&c->prng, UPPER_FRAMES - UPPER_ROWS - FRAMES);
    uint64_t count = 1 + prng_below(&c->prng, FRAMES);
    uint8_t *bytes = (uint8_t *)ntmm_emulated_arena(m->emu, NULL) + first * PAGE;
    ntmm_status status = ntmm_remove_frames(m->system, first, count);
    if (status != NTMM_STATUS_SUCCESS) {
        if (!is_refusal(status))
            expect(&c->status, status);
        c->refused++;
        return;
    }
    memset(bytes, RUBBISH, count * PAGE);
    for (uint32_t i = 0; i < 3; i++)
        ntmm_emulated_yield(m->emu);
    c->written += !is_rubbish(bytes, count * PAGE);
    put_back(c, first, count);
    c->removed++;
}

static void change(void *context)
{
    struct changer *c = context;
    uint32_t made = 0;
    while (made < MOST_CHANGES && (made < c->world->changes || c->removed < 20)) {
        change_once(c);
        (void)ntmm_write_modified_pages(c->world->m->system, 4);
        ntmm_emulated_yield(c->world->m->emu);
        made++;
    }
    c->world->changing--;
}

static void open_world(struct world *world, struct machine_setup setup)
{
    struct machine *m = hot_open(setup);
    world->m = m;
    world->changing = CHANGERS;
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_remove_frames(m, 400, LOWER_FRAMES - 400); /* so that the others are used */
    must_add_frames(m, UPPER, UPPER_FRAMES);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        uint64_t size = PAGES * PAGE;
        ntmm_handle process = i ? machine_add_process(m) : m->process;
        *w = (struct worker){.world = world, .process = process, .index = i, .base = BASE};
        prng_seed(&w->prng, setup.hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, process), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &w->base, 0, &size,
                                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, RW),
                         NTMM_STATUS_SUCCESS);
    }
    for (uint32_t i = 0; i < CHANGERS; i++) {
        world->changers[i] = (struct changer){.world = world};
        prng_seed(&world->changers[i].prng, setup.hardware.seed * CHANGERS + i + 100);
    }
}

static void close_world(struct world *world)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(world->workers[i].status, NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < CHANGERS; i++) {
        const struct changer *c = &world->changers[i];
        print_message("removed %u, refused %u\n", c->removed, c->refused);
        assert_int_equal(c->status, NTMM_STATUS_SUCCESS);
        assert_int_equal(c->written, 0);
        assert_true(c->removed >= 20);
    }
    must_finish_transfers(world->m);
    assert_int_equal(machine_memory(world->m).total_pages, 400 + UPPER_FRAMES);
    machine_close(world->m);
}

static void begin(struct world *world, struct together all[WORKERS + CHANGERS])
{
    for (uint32_t i = 0; i < WORKERS; i++)
        all[i] = (struct together){.function = work, .context = &world->workers[i]};
    for (uint32_t i = 0; i < CHANGERS; i++)
        all[WORKERS + i] = (struct together){.function = change, .context = &world->changers[i]};
}

static void threads(void **state)
{
    (void)state;
    const struct machine_setup setup = {
        .hardware = {.flags = NTMM_EMULATED_THREADS, .cpu_count = WORKERS, .seed = 7}};
    struct world world = {.changes = CHANGES};
    struct together all[WORKERS + CHANGERS];
    open_world(&world, setup);
    begin(&world, all);
    run_threads_together(world.m, all, WORKERS + CHANGERS);
    close_world(&world);
}

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        const struct machine_setup setup = {
            .hardware = {.flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed}};
        struct world world = {.changes = CHANGES / 2};
        struct together all[WORKERS + CHANGERS];
        open_world(&world, setup);
        begin(&world, all);
        run_coroutines_together(world.m, all, WORKERS + CHANGERS);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads),
        cmocka_unit_test(coroutines_in_any_order),
    };
    return cmocka_run_group_tests_name("hot_frames_threads", tests, NULL, NULL);
}
