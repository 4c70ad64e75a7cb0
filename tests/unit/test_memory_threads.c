/*
 * Everything that touches memory from outside at once, with too little of it: reads, writes, copies
 * between processes, locks, prefetches, limits, commands. Whatever the order, every page holds what
 * was last written to it, and a locked page is not trimmed.
 *
 *   worker 0, process 0   OWN 200 pages    INBOX of the other
 *   worker 1, process 1   OWN              INBOX of the first          RAM 256 frames
 */
#include "unit/storage.h"

#include "base/prng.h"

#include <ntmm/memory.h>
#include <ntmm/working_set.h>

#include <pthread.h>

#define WORKERS 2u
#define PAGES 200u
#define ROUNDS 4000u
#define OWN BASE
#define INBOX (2 * BASE)

struct world;

struct worker {
    struct world *world;
    pthread_t thread;
    uint32_t index; /* its processor */
    ntmm_handle process;
    ntmm_handle other;
    uint64_t values[PAGES]; /* first word of each page of OWN */
    uint64_t sent[PAGES];   /* of each page of the other's INBOX */
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
    uint32_t line;      /* where */
};

struct world {
    struct machine *m;
    struct worker workers[WORKERS];
    uint32_t rounds;
    _Atomic(uint32_t) is_over;
};

#define EXPECT(w, status) expect(w, status, __LINE__)

static void expect(struct worker *w, ntmm_status status, uint32_t line)
{
    if (w->status != NTMM_STATUS_SUCCESS || status == NTMM_STATUS_SUCCESS)
        return;
    w->status = status;
    w->line = line;
}

static struct ntmm_system *system_of(struct worker *w) { return w->world->m->system; }

static uint64_t choose_page(struct worker *w)
{
    return prng_below(&w->prng, prng_below(&w->prng, 2) ? PAGES : PAGES / 10);
}

/* Pages from `page` on, at most 12. */
static uint64_t choose_count(struct worker *w, uint64_t page)
{
    uint64_t count = 1 + prng_below(&w->prng, 12);
    return count < PAGES - page ? count : PAGES - page;
}

static void write_page(struct worker *w, uint64_t page)
{
    uint64_t va = OWN + page * PAGE;
    uint64_t value = prng_next(&w->prng);
    w->values[page] = value;
    if (prng_below(&w->prng, 2))
        EXPECT(w, ntmm_emulated_store(w->world->m->emu, w->index, va, &value, 8, NULL, NULL));
    else
        EXPECT(w, ntmm_write_virtual_memory(system_of(w), w->process, va, &value, 8, NULL));
}

static void read_pages(struct worker *w, uint64_t page, uint64_t count)
{
    uint8_t buffer[12 * 4096];
    uint64_t copied = 0;
    EXPECT(w, ntmm_read_virtual_memory(system_of(w), w->process, OWN + page * PAGE, buffer,
                                       count * PAGE, &copied));
    for (uint64_t i = 0; i < count && copied; i++) {
        if (memcmp(buffer + i * PAGE, &w->values[page + i], 8) != 0)
            EXPECT(w, NTMM_STATUS_DEVICE_DATA_ERROR);
    }
}

/* To the other's inbox, whole pages or all but a byte of the last. */
static void send_pages(struct worker *w, uint64_t page, uint64_t count)
{
    uint64_t shorter = prng_below(&w->prng, 2);
    EXPECT(w, ntmm_copy_virtual_memory(system_of(w), w->process, OWN + page * PAGE, w->other,
                                       INBOX + page * PAGE, count * PAGE - shorter, NULL));
    for (uint64_t i = 0; i < count; i++)
        w->sent[page + i] = w->values[page + i];
}

static void check_sent(struct worker *w, uint64_t page)
{
    uint64_t value = 0;
    EXPECT(w,
           ntmm_read_virtual_memory(system_of(w), w->other, INBOX + page * PAGE, &value, 8, NULL));
    if (value != w->sent[page])
        EXPECT(w, NTMM_STATUS_DEVICE_DATA_ERROR);
}

static void lock_pages(struct worker *w, uint64_t page, uint64_t count)
{
    uint64_t base = OWN + page * PAGE;
    uint64_t size = count * PAGE;
    uint32_t kind = 1 + (uint32_t)prng_below(&w->prng, 3);
    ntmm_status status = ntmm_lock_virtual_memory(system_of(w), w->process, &base, &size, kind);
    if (status != NTMM_STATUS_WAS_LOCKED && status != NTMM_STATUS_WORKING_SET_QUOTA)
        EXPECT(w, status);
}

static void unlock_pages(struct worker *w, uint64_t page, uint64_t count)
{
    uint64_t base = OWN + page * PAGE;
    uint64_t size = count * PAGE;
    uint32_t kind = 1 + (uint32_t)prng_below(&w->prng, 3);
    ntmm_status status = ntmm_unlock_virtual_memory(system_of(w), w->process, &base, &size, kind);
    if (status != NTMM_STATUS_NOT_LOCKED)
        EXPECT(w, status);
}

static void inform(struct worker *w, uint64_t page, uint64_t count)
{
    static const uint32_t classes[] = {NTMM_VM_PREFETCH_INFORMATION,
                                       NTMM_VM_PAGE_PRIORITY_INFORMATION,
                                       NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION};
    const struct ntmm_memory_range_entry range = {OWN + page * PAGE, count * PAGE};
    uint32_t class = classes[prng_below(&w->prng, 3)];
    uint32_t value = class == NTMM_VM_PAGE_PRIORITY_INFORMATION
                         ? (uint32_t)prng_below(&w->prng, 6)
                         : class == NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION;
    EXPECT(w, ntmm_set_information_virtual_memory(system_of(w), w->process, class, 1, &range,
                                                  &value, sizeof value));
}

static void set_limits(struct worker *w)
{
    static const uint32_t flags[] = {
        0, NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE, NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE,
        NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE, NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE};
    uint64_t minimum = 20 + prng_below(&w->prng, 30);
    uint64_t maximum = 60 + prng_below(&w->prng, 40);
    EXPECT(w, ntmm_set_working_set_limits(system_of(w), w->process, minimum * PAGE, maximum * PAGE,
                                          flags[prng_below(&w->prng, 5)]));
}

static void command(struct worker *w)
{
    EXPECT(w,
           ntmm_memory_list_command(system_of(w), w->process, (uint32_t)prng_below(&w->prng, 6)));
    EXPECT(w, ntmm_empty_working_set(system_of(w), w->process));
}

static void step(struct worker *w)
{
    uint64_t page = choose_page(w);
    uint64_t count = choose_count(w, page);
    switch (prng_below(&w->prng, 64)) {
    case 0:
        set_limits(w);
        return;
    case 1:
        command(w);
        return;
    case 2:
    case 3:
        lock_pages(w, page, count);
        return;
    case 4:
    case 5:
        unlock_pages(w, page, count);
        return;
    case 6:
    case 7:
        inform(w, page, count);
        return;
    default:
        break;
    }
    if (prng_below(&w->prng, 2))
        write_page(w, page);
    else
        read_pages(w, page, count);
    if (prng_below(&w->prng, 4) == 0)
        send_pages(w, page, count);
    check_sent(w, choose_page(w));
}

static void work(void *context)
{
    struct worker *w = context;
    for (uint32_t i = 0; i < w->world->rounds; i++)
        step(w);
}

static void open_world(struct world *world, const struct machine_setup *setup)
{
    struct machine *m = machine_open(setup);
    ntmm_handle processes[WORKERS] = {m->process, machine_add_process(m)};
    world->m = m;
    world->is_over = 0;
    (void)must_add_file(m, 8 * MIB, 0, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        *w = (struct worker){
            .world = world, .index = i, .process = processes[i], .other = processes[1 - i]};
        prng_seed(&w->prng, setup->hardware.seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, w->process), NTMM_STATUS_SUCCESS);
        for (uint64_t base = OWN; base <= INBOX; base += INBOX - OWN) {
            uint64_t start = base;
            uint64_t size = PAGES * PAGE;
            assert_int_equal(ntmm_allocate_virtual_memory(m->system, w->process, &start, 0, &size,
                                                          NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                          NTMM_PAGE_READWRITE),
                             NTMM_STATUS_SUCCESS);
        }
    }
}

static void close_world(struct world *world)
{
    must_finish_transfers(world->m);
    for (uint32_t i = 0; i < WORKERS; i++) {
        const struct worker *w = &world->workers[i];
        if (w->status != NTMM_STATUS_SUCCESS)
            fail_msg("worker %u, line %u: %x", i, w->line, w->status);
    }
    assert_true(machine_counter(world->m, NTMM_COUNTER_HARD_FAULTS) > 0);
    machine_assert_sound(world->m);
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

static void threads_at_once(void **state)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB,
                     .flags = NTMM_EMULATED_THREADS,
                     .cpu_count = WORKERS,
                     .seed = 7},
    };
    struct world world = {.rounds = ROUNDS};
    pthread_t background;
    (void)state;
    open_world(&world, &setup);
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

/* --- coroutines, switched wherever the machine can --- */

static void coroutines_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        const struct machine_setup setup = {
            .hardware = {.ram_bytes = MIB,
                         .flags = NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL,
                         .cpu_count = WORKERS,
                         .seed = seed},
            .core = {.read_cluster_pages = 1 + (uint32_t)seed % 8},
        };
        struct world world = {.rounds = ROUNDS / 10};
        struct ntmm_emulated_statistics statistics;
        open_world(&world, &setup);
        for (uint32_t i = 0; i < WORKERS; i++)
            assert_int_equal(ntmm_emulated_spawn(world.m->emu, i, work, &world.workers[i], 0),
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
        cmocka_unit_test(threads_at_once),
        cmocka_unit_test(coroutines_in_any_order),
    };
    return cmocka_run_group_tests_name("memory_threads", tests, NULL, NULL);
}
