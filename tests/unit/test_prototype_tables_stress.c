/*
 * Processors that share a section of many tables of prototypes, and together need more memory than
 * there is: tables go out and come back all the time, and no store may be lost.
 *
 *   page i of the section    in table i, somewhere; |0000|1111|2222| a word for each worker
 *   worker 0, 1 of one process, 2 of another; 3 makes sections of its own, whose tables go out, and
 *   ends them; all write, trim and balance now and then, and look at pages
 *
 * A file is there too: its tables are freed and made again.
 */
#include "unit/prototype_world.h"
#include "unit/together.h"

#include "base/prng.h"

#include <ntmm/memory.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

#define WORKERS 4u
#define TABLES 40u
#define RAM_BYTES (768 * 1024)

struct stress;

struct worker {
    struct stress *stress;
    uint32_t index; /* also its processor */
    uint32_t rounds;
    ntmm_handle process;
    struct prng prng;
    uint64_t base[2]; /* of its views: of the section, of the file */
    uint64_t values[2][TABLES];
    ntmm_status status; /* the first that was not expected */
    uint32_t losses;
};

struct stress {
    struct machine *m;
    ntmm_handle section[2];
    ntmm_handle file;
    struct worker workers[WORKERS];
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static uint64_t va_of(const struct worker *w, uint32_t part, uint64_t table)
{
    return w->base[part] + table * SPAN + table * 5 % 512 * PAGE + w->index * 8;
}

static void store(struct worker *w, uint32_t part, uint64_t table)
{
    uint64_t next = prng_next(&w->prng) | 1;
    expect(w, ntmm_emulated_store(w->stress->m->emu, w->index, va_of(w, part, table), &next,
                                  sizeof next, NULL, NULL));
    w->values[part][table] = next;
}

static void load(struct worker *w, uint32_t part, uint64_t table)
{
    uint64_t value = 0;
    ntmm_status status = ntmm_emulated_load(w->stress->m->emu, w->index, va_of(w, part, table),
                                            &value, sizeof value, NULL, NULL);
    expect(w, status);
    w->losses += status == NTMM_STATUS_SUCCESS && value != w->values[part][table];
}

static void look(struct worker *w, uint64_t table)
{
    struct ntmm_memory_page_information page = {.virtual_address = va_of(w, 0, table)};
    uint64_t length;
    expect(w, ntmm_query_virtual_memory_class(w->stress->m->system, w->process, 0,
                                              NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page,
                                              sizeof page, &length));
}

/* A section that ends with what it has, wherever that is. */
static void live_and_end(struct worker *w)
{
    struct ntmm_system *system = w->stress->m->system;
    uint64_t size = 3 * SPAN, base = 0, all = 0, word = 9;
    ntmm_handle section = 0;
    expect(w, ntmm_create_section(system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size, RW,
                                  NTMM_SEC_COMMIT, 0));
    expect(w, ntmm_map_view_of_section(system, section, w->process, &base, 0, 0, NULL, &all,
                                       NTMM_VIEW_UNMAP, 0, RW));
    for (uint64_t i = 0; i < 3 && w->status == NTMM_STATUS_SUCCESS; i++)
        expect(w, ntmm_emulated_store(w->stress->m->emu, w->index, base + i * SPAN, &word,
                                      sizeof word, NULL, NULL));
    expect(w, ntmm_unmap_view_of_section(system, w->process, base, 0));
    for (uint32_t i = 0; i < 3; i++) {
        (void)ntmm_write_modified_pages(system, 64);
        ntmm_balance_set_manager(system);
    }
    expect(w, ntmm_close_section(system, section));
}

static void do_something(struct worker *w)
{
    uint64_t table = prng_next(&w->prng) % TABLES;
    uint32_t part = prng_next(&w->prng) % 4 == 0;
    switch (prng_next(&w->prng) % 24) {
    case 0:
        expect(w, ntmm_empty_working_set(w->stress->m->system, w->process));
        break;
    case 1:
        (void)ntmm_write_modified_pages(w->stress->m->system, 64);
        break;
    case 2:
        (void)ntmm_write_mapped_pages(w->stress->m->system, 64);
        break;
    case 3:
        ntmm_balance_set_manager(w->stress->m->system);
        break;
    case 4:
        look(w, table);
        break;
    case 5:
        if (w->index == 3)
            live_and_end(w);
        break;
    case 6:
        if (w->index == 2)
            expect(w, ntmm_flush_file(w->stress->m->system, w->stress->file, table * SPAN, SPAN));
        break;
    default:
        if (prng_next(&w->prng) & 1)
            store(w, part, table);
        else
            load(w, part, table);
        break;
    }
}

static void work(void *context)
{
    struct worker *w = context;
    for (uint32_t i = 0; i < w->rounds && w->status == NTMM_STATUS_SUCCESS; i++)
        do_something(w);
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

static void open_stress(struct stress *s, uint64_t seed, uint32_t flags, uint32_t rounds)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = RAM_BYTES, .cpu_count = WORKERS, .flags = flags, .seed = seed},
        .core = {.extra_commit_pages = 1u << 20,
                 .paging_flags = seed & 1 ? NTMM_PAGING_ZEROS_NEED_NO_SLOT : 0}};
    memset(s, 0, sizeof *s);
    s->m = machine_open(&setup);
    (void)must_add_file(s->m, 8 * MIB, 8 * MIB, NULL);
    s->file = open_file(s->m, TABLES * SPAN, PAGE);
    s->section[0] = make_section(s->m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    s->section[1] = make_section(s->m, TABLES * SPAN, NTMM_SEC_COMMIT, s->file);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        w->stress = s;
        w->index = i;
        w->rounds = rounds;
        w->process = i < 2 ? s->m->process : machine_add_process(s->m);
        prng_seed(&w->prng, seed * WORKERS + i);
        must(ntmm_emulated_attach(s->m->emu, i, w->process));
        for (uint32_t part = 0; part < 2; part++)
            w->base[part] = map_in(s->m, w->process, s->section[part], RW);
    }
}

static void close_stress(struct stress *s)
{
    must_finish_transfers(s->m);
    machine_assert_sound(s->m);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        for (uint64_t table = 0; table < TABLES && w->status == NTMM_STATUS_SUCCESS; table++) {
            load(w, 0, table);
            load(w, 1, table);
        }
        if (w->status != NTMM_STATUS_SUCCESS || w->losses)
            fail_msg("worker %u: status %x, %u losses", i, w->status, w->losses);
    }
    must_finish_transfers(s->m);
    machine_assert_sound(s->m);
    assert_true(machine_counter(s->m, NTMM_COUNTER_PROTOTYPE_TABLES_TRIMMED) > TABLES);
    assert_true(machine_counter(s->m, NTMM_COUNTER_PROTOTYPE_TABLES_FREED) > 0);
    machine_close(s->m);
}

static void coroutines_lose_nothing(void **state)
{
    static struct stress s;
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        open_stress(&s, seed, NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL, 120);
        run(&s, run_coroutines_together);
        close_stress(&s);
    }
}

static void threads_lose_nothing(void **state)
{
    static struct stress s;
    (void)state;
    open_stress(&s, 7, NTMM_EMULATED_THREADS, 150);
    run(&s, run_threads_together);
    close_stress(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coroutines_lose_nothing),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests_name("prototype_tables_stress", tests, NULL, NULL);
}
