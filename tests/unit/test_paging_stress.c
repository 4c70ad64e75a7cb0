/*
 * Processors that together need far more than there is: pages and tables go out and come back, two
 * processors of one process meet at the same pages, and every byte is as it was last written.
 *
 *   process A  processors 0, 1   each its own half of every page   |0000|1111| collided faults
 *   process B  processor 2       one page in each 2 MiB            tables go out too
 *   process C  processor 3       allocates, frees, protects,       services meet tables that are
 *                                gives contents up                 out
 *
 * Once as coroutines, preempted everywhere, under several seeds; once as host threads.
 */
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"

#include <ntmm/offer.h>

#define WORKERS 4u
#define DENSE_PAGES 160u
#define SPARSE_PAGES 96u
#define SERVED_PAGES 64u
#define SPAN (2 * MIB)

struct stress;

struct worker {
    struct stress *stress;
    uint32_t index; /* also its processor */
    ntmm_handle process;
    struct prng prng;
    uint64_t *values;
    uint32_t rounds;
    ntmm_status status; /* the first that was not expected */
    uint32_t losses;    /* reads that found something else */
};

struct stress {
    struct machine *m;
    struct worker workers[WORKERS];
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static void store(struct worker *w, uint64_t va, uint64_t *value)
{
    uint64_t next = prng_next(&w->prng) | 1;
    ntmm_status status =
        ntmm_emulated_store(w->stress->m->emu, w->index, va, &next, sizeof next, NULL, NULL);
    expect(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        *value = next;
}

static void load(struct worker *w, uint64_t va, uint64_t expected)
{
    uint64_t value = 0;
    ntmm_status status =
        ntmm_emulated_load(w->stress->m->emu, w->index, va, &value, sizeof value, NULL, NULL);
    expect(w, status);
    w->losses += status == NTMM_STATUS_SUCCESS && value != expected;
}

static void touch(struct worker *w, uint64_t va, uint64_t *value)
{
    if (prng_next(&w->prng) & 1)
        store(w, va, value);
    else
        load(w, va, *value);
}

static void touch_dense(struct worker *w)
{
    uint64_t page = prng_next(&w->prng) % DENSE_PAGES;
    touch(w, BASE + page * PAGE + w->index * 8, &w->values[page]);
}

static void touch_sparse(struct worker *w)
{
    uint64_t page = prng_next(&w->prng) % SPARSE_PAGES;
    touch(w, BASE + page * SPAN, &w->values[page]);
}

static uint64_t served_va(uint64_t page) { return BASE + page / 4 * SPAN + page % 4 * PAGE; }

static void protect(struct worker *w, uint64_t page, uint32_t to)
{
    uint64_t va = served_va(page), size = PAGE;
    uint32_t old;
    expect(w, ntmm_protect_virtual_memory(w->stress->m->system, w->process, &va, &size, to, &old));
}

static void renew(struct worker *w, uint64_t page)
{
    uint64_t va = served_va(page), size = PAGE;
    struct ntmm_system *system = w->stress->m->system;
    expect(w, ntmm_free_virtual_memory(system, w->process, &va, &size, NTMM_MEM_DECOMMIT));
    w->values[page] = 0;
    size = PAGE;
    expect(w, ntmm_allocate_virtual_memory(system, w->process, &va, 0, &size, NTMM_MEM_COMMIT,
                                           NTMM_PAGE_READWRITE));
}

static void ask(struct worker *w, uint64_t page)
{
    struct ntmm_memory_basic_information information = {0};
    expect(w, ntmm_query_virtual_memory(w->stress->m->system, w->process, served_va(page),
                                        &information));
    w->losses += information.state != NTMM_MEM_COMMIT;
}

static ntmm_status reset(struct worker *w, uint64_t page, uint32_t type)
{
    uint64_t va = served_va(page), size = PAGE;
    return ntmm_allocate_virtual_memory(w->stress->m->system, w->process, &va, 0, &size, type,
                                        NTMM_PAGE_READWRITE);
}

/* Contents are given up and wanted back; a write between the two is there in any case. */
static void give_up(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->stress->m->system;
    uint64_t va = served_va(page);
    uint32_t priority = (uint32_t)(prng_next(&w->prng) % 5); /* 0: a reset */
    bool is_written = false;
    expect(w, priority == 0 ? reset(w, page, NTMM_MEM_RESET)
                            : ntmm_offer_virtual_memory(system, w->process, va, PAGE, priority));
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t other = (page + 1 + prng_next(&w->prng) % (SERVED_PAGES - 1)) % SERVED_PAGES;
        touch(w, served_va(other), &w->values[other]);
    }
    if (prng_next(&w->prng) % 4 == 0) {
        store(w, va, &w->values[page]);
        is_written = true;
    }
    ntmm_status status = priority == 0 ? reset(w, page, NTMM_MEM_RESET_UNDO)
                                       : ntmm_reclaim_virtual_memory(system, w->process, va, PAGE);
    if (status != NTMM_STATUS_UNSUCCESSFUL)
        expect(w, status);
    else if (!is_written)
        w->values[page] = 0;
    load(w, va, w->values[page]);
}

static void discard(struct worker *w, uint64_t page)
{
    expect(w, ntmm_discard_virtual_memory(w->stress->m->system, w->process, served_va(page), PAGE));
    w->values[page] = 0;
}

static void use_services(struct worker *w)
{
    uint64_t page = prng_next(&w->prng) % SERVED_PAGES;
    switch (prng_next(&w->prng) % 12) {
    case 0:
        protect(w, page, NTMM_PAGE_NOACCESS);
        protect(w, page, NTMM_PAGE_READWRITE);
        break;
    case 1:
        renew(w, page);
        break;
    case 2:
        ask(w, page);
        break;
    case 3:
        ntmm_balance_set_manager(w->stress->m->system);
        break;
    case 4:
        (void)ntmm_write_modified_pages(w->stress->m->system, 8);
        break;
    case 5:
    case 6:
    case 7:
        give_up(w, page);
        break;
    case 8:
        discard(w, page);
        break;
    default:
        touch(w, served_va(page), &w->values[page]);
        break;
    }
}

static void work(void *context)
{
    static void (*const kinds[WORKERS])(struct worker *) = {touch_dense, touch_dense, touch_sparse,
                                                            use_services};
    struct worker *w = context;
    for (uint32_t i = 0; i < w->rounds && w->status == NTMM_STATUS_SUCCESS; i++)
        kinds[w->index](w);
}

/* All of them at once. */
static void run(struct stress *s,
                void (*together)(struct machine *m, struct together *all, uint32_t count))
{
    struct together all[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++)
        all[i] = (struct together){.function = work, .context = &s->workers[i]};
    together(s->m, all, WORKERS);
}

static void allocate_all(struct stress *s, uint32_t index, ntmm_handle process)
{
    static const uint64_t sizes[WORKERS] = {DENSE_PAGES * PAGE, 0, SPARSE_PAGES * SPAN,
                                            SERVED_PAGES / 4 * SPAN};
    uint64_t base = BASE, size = sizes[index];
    struct worker *w = &s->workers[index];
    w->process = process;
    assert_int_equal(ntmm_emulated_attach(s->m->emu, index, process), NTMM_STATUS_SUCCESS);
    if (size == 0)
        return;
    assert_int_equal(ntmm_allocate_virtual_memory(s->m->system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    for (uint64_t span = 0; span < (size + SPAN - 1) / SPAN; span++) {
        base = BASE + span * SPAN;
        size = index == 0 ? DENSE_PAGES * PAGE : 4 * PAGE;
        assert_int_equal(ntmm_allocate_virtual_memory(s->m->system, process, &base, 0, &size,
                                                      NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
        size = index == 0 ? DENSE_PAGES * PAGE : sizes[index];
    }
}

static void open_stress(struct stress *s, uint64_t seed, uint32_t flags, uint32_t rounds)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 640 * 1024, .cpu_count = WORKERS, .flags = flags, .seed = seed},
        .core = {.paging_flags = seed & 1 ? NTMM_PAGING_ZEROS_NEED_NO_SLOT : 0}};
    s->m = machine_open(&setup);
    (void)must_add_file(s->m, MIB, 4 * MIB, NULL);
    (void)must_add_file(s->m, 2 * MIB, 2 * MIB, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        *w = (struct worker){.stress = s, .index = i, .rounds = rounds};
        prng_seed(&w->prng, seed * WORKERS + i);
        w->values = calloc(DENSE_PAGES, sizeof *w->values);
        assert_non_null(w->values);
        allocate_all(s, i, i < 2 ? s->m->process : machine_add_process(s->m));
    }
}

static void close_stress(struct stress *s)
{
    must_finish_transfers(s->m);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        if (w->status != NTMM_STATUS_SUCCESS || w->losses)
            fail_msg("worker %u: status %x, %u losses", i, w->status, w->losses);
        free(w->values);
    }
    assert_int_equal(machine_memory(s->m).transition_pages, 0);
    uint64_t hard = machine_counter(s->m, NTMM_COUNTER_HARD_FAULTS);
    uint64_t tables = machine_counter(s->m, NTMM_COUNTER_TABLE_READS);
    print_message("%u hard faults, %u collided, %u tables read\n", (unsigned)hard,
                  (unsigned)machine_counter(s->m, NTMM_COUNTER_COLLIDED_FAULTS), (unsigned)tables);
    assert_true(hard > 0 && tables > 0);
    machine_close(s->m);
}

static void coroutines_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct stress s;
        open_stress(&s, seed, NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL, 1500);
        run(&s, run_coroutines_together);
        close_stress(&s);
    }
}

static void threads_lose_nothing(void **state)
{
    struct stress s;
    (void)state;
    open_stress(&s, 7, NTMM_EMULATED_THREADS, 800);
    run(&s, run_threads_together);
    close_stress(&s);
}

/* Page tables of pages that were committed and never touched: nothing else is there to go. Each
 * commit needs several at once, and so must not give and take the same frames for ever. */
static void tables_alone_are_more_than_memory(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 384 * 1024}};
    (void)state;
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 4 * MIB, 4 * MIB, NULL);
    must_reserve(m, BASE, 300 * SPAN, NTMM_PAGE_READWRITE);
    for (uint64_t span = 0; span + 1 < 300; span += 2)
        must_commit(m, BASE + (span + 1) * SPAN - PAGE, 2 * PAGE, NTMM_PAGE_READWRITE);
    assert_true(machine_process(m).table_pages > 250);
    for (uint64_t span = 0; span + 1 < 300; span += 30)
        must_write(m, BASE + (span + 1) * SPAN, span);
    machine_assert_sound(m);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    assert_int_equal(machine_memory(m).commit_pages, machine_memory(m).slab_pages +
                                                         machine_memory(m).process_pages +
                                                         machine_memory(m).paging_pages);
    m->process = 0;
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coroutines_lose_nothing),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(tables_alone_are_more_than_memory),
    };
    return cmocka_run_group_tests_name("paging_stress", tests, NULL, NULL);
}
