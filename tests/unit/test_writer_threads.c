/*
 * Host threads that write, trim, change and free pages while others write them to page files and
 * run completions. Whatever the order, every page holds what was last written to it, and no slot
 * and no frame is left behind.
 */
#include "unit/storage.h"

#include "base/prng.h"

#include <pthread.h>

#define WORKERS 2u
#define REGION_PAGES 64u
#define ROUNDS 150u

struct worker {
    struct machine *m;
    pthread_t thread;
    uint32_t index; /* its processor */
    uint64_t base;
    uint64_t values[REGION_PAGES]; /* 0: not committed */
    struct prng prng;
    ntmm_status status; /* the first that was not expected */
};

struct pump_thread {
    struct machine *m;
    pthread_t thread;
    _Atomic(uint32_t) is_over;
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static void store(struct worker *w, uint64_t page)
{
    uint64_t va = w->base + page * PAGE, size = PAGE;
    uint64_t value = prng_next(&w->prng) | 1;
    if (w->values[page] == 0)
        expect(w, ntmm_allocate_virtual_memory(w->m->system, w->m->process, &va, 0, &size,
                                               NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    expect(w, ntmm_emulated_store(w->m->emu, w->index, va, &value, sizeof value, NULL, NULL));
    w->values[page] = value;
}

static void load(struct worker *w, uint64_t page)
{
    uint64_t value = 0;
    if (w->values[page] == 0)
        return;
    expect(w, ntmm_emulated_load(w->m->emu, w->index, w->base + page * PAGE, &value, sizeof value,
                                 NULL, NULL));
    if (value != w->values[page])
        expect(w, NTMM_STATUS_DEVICE_DATA_ERROR);
}

static void trim(struct worker *w, uint64_t page)
{
    uint32_t old;
    for (uint32_t i = 0; i < 2 && w->values[page] != 0; i++) {
        uint64_t va = w->base + page * PAGE, size = PAGE;
        expect(w, ntmm_protect_virtual_memory(w->m->system, w->m->process, &va, &size,
                                              i ? NTMM_PAGE_READWRITE : NTMM_PAGE_NOACCESS, &old));
    }
}

static void decommit(struct worker *w, uint64_t page)
{
    uint64_t va = w->base + page * PAGE, size = PAGE;
    if (w->values[page] != 0)
        expect(w, ntmm_free_virtual_memory(w->m->system, w->m->process, &va, &size,
                                           NTMM_MEM_DECOMMIT));
    w->values[page] = 0;
}

static void *work(void *context)
{
    struct worker *w = context;
    ntmm_emulated_bind_thread(w->m->emu, w->index);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint64_t page = 0; page < REGION_PAGES; page++) {
            switch (prng_below(&w->prng, 8)) {
            case 0:
                decommit(w, page);
                break;
            case 1:
            case 2:
            case 3:
                store(w, page);
                break;
            case 4:
                load(w, page);
                break;
            default:
                trim(w, page);
            }
        }
        (void)ntmm_write_modified_pages(w->m->system, 1 + prng_below(&w->prng, 100));
    }
    for (uint64_t page = 0; page < REGION_PAGES; page++)
        load(w, page);
    return NULL;
}

static void *pump(void *context)
{
    struct pump_thread *p = context;
    const struct ntmm_platform *platform = ntmm_emulated_platform(p->m->emu);
    while (!p->is_over)
        platform->pump(platform->context);
    return NULL;
}

static struct machine *open_threads(void)
{
    const struct machine_setup setup = {
        .hardware = {.flags = NTMM_EMULATED_THREADS, .cpu_count = WORKERS},
        .core = {.write_cluster_pages = 16, .paging_flags = NTMM_PAGING_ZEROS_NEED_NO_SLOT}};
    struct machine *m = machine_open(&setup);
    for (uint32_t i = 1; i < WORKERS; i++)
        assert_int_equal(ntmm_emulated_attach(m->emu, i, m->process), NTMM_STATUS_SUCCESS);
    must_add_file(m, MIB, 0, NULL);
    must_add_file(m, MIB, 0, NULL);
    return m;
}

static void pages_survive_threads(void **state)
{
    (void)state;
    static struct worker workers[WORKERS];
    struct machine *m = open_threads();
    struct pump_thread pumper = {.m = m};
    assert_int_equal(pthread_create(&pumper.thread, NULL, pump, &pumper), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.m = m, .index = i, .base = BASE + i * 16 * MIB};
        prng_seed(&workers[i].prng, i);
        must_reserve(m, workers[i].base, REGION_PAGES * PAGE, NTMM_PAGE_READWRITE);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].status, NTMM_STATUS_SUCCESS);
    }
    pumper.is_over = 1;
    assert_int_equal(pthread_join(pumper.thread, NULL), 0);
    must_finish_transfers(m);
    machine_assert_sound(m);
    for (uint32_t i = 0; i < WORKERS; i++)
        must_release(m, workers[i].base, 0);
    assert_int_equal(must_query_file(m, 0).used_pages + must_query_file(m, 1).used_pages, 0);
    assert_true(machine_counter(m, NTMM_COUNTER_PAGES_WRITTEN) != 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_survive_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
