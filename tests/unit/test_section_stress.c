/*
 * Processors that share sections and files and together need four times the memory there is: each
 * owns some bytes of every page, so that all write to the same pages, and no store may be lost.
 *
 *   page     |0000|1111|2222|3333|copy|   owned by processor 0, 1, 2, 3
 *   processor 0, 1 of one process; 2 and 3 of others; each has its own views, which come and go
 *   shared   a file, through views and ntmm_write_file; a section of page files
 *   copied   the file again, copied on write by one processor
 *
 * Meanwhile pages are written, flushed and trimmed. At the end the file holds what was stored.
 */
#include "unit/storage.h"
#include "unit/together.h"

#include "base/prng.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/section.h>

#define WORKERS 4u
#define PAGES 160u
#define RAM_BYTES (640 * 1024)

enum part { PART_FILE, PART_MEMORY, PART_COUNT };

struct stress;

struct worker {
    struct stress *stress;
    uint32_t index; /* also its processor */
    uint32_t rounds;
    ntmm_handle process;
    struct prng prng;
    uint64_t base[PART_COUNT];
    uint64_t values[PART_COUNT][PAGES];
    ntmm_status status; /* the first that was not expected */
    uint32_t losses;
};

struct stress {
    struct machine *m;
    uint64_t device;
    ntmm_handle file;
    ntmm_handle section[PART_COUNT];
    struct worker workers[WORKERS];
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static uint64_t va_of(const struct worker *w, enum part part, uint64_t page)
{
    return w->base[part] + page * PAGE + w->index * 8;
}

static void store(struct worker *w, enum part part, uint64_t page)
{
    uint64_t next = prng_next(&w->prng) | 1;
    ntmm_status status = ntmm_emulated_store(w->stress->m->emu, w->index, va_of(w, part, page),
                                             &next, sizeof next, NULL, NULL);
    expect(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        w->values[part][page] = next;
}

static void load(struct worker *w, enum part part, uint64_t page)
{
    uint64_t value = 0;
    ntmm_status status = ntmm_emulated_load(w->stress->m->emu, w->index, va_of(w, part, page),
                                            &value, sizeof value, NULL, NULL);
    expect(w, status);
    w->losses += status == NTMM_STATUS_SUCCESS && value != w->values[part][page];
}

static void map(struct worker *w, enum part part)
{
    uint64_t base = 0, size = 0;
    expect(w, ntmm_map_view_of_section(w->stress->m->system, w->stress->section[part], w->process,
                                       &base, 0, 0, NULL, &size, NTMM_VIEW_UNMAP, 0,
                                       NTMM_PAGE_READWRITE));
    w->base[part] = base;
}

static void unmap(struct worker *w, enum part part)
{
    expect(w, ntmm_unmap_view_of_section(w->stress->m->system, w->process, w->base[part], 0));
}

static void write_beside(struct worker *w, uint64_t page)
{
    uint64_t next = prng_next(&w->prng) | 1, moved;
    ntmm_status status = ntmm_write_file(w->stress->m->system, w->stress->file,
                                         page * PAGE + w->index * 8, &next, sizeof next, &moved);
    expect(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        w->values[PART_FILE][page] = next;
}

static void read_beside(struct worker *w, uint64_t page)
{
    uint64_t value = 0, moved;
    ntmm_status status = ntmm_read_file(w->stress->m->system, w->stress->file,
                                        page * PAGE + w->index * 8, &value, sizeof value, &moved);
    expect(w, status);
    w->losses += status == NTMM_STATUS_SUCCESS && value != w->values[PART_FILE][page];
}

static void flush(struct worker *w, uint64_t page)
{
    uint64_t base = w->base[PART_FILE] + page / 2 * PAGE, size = 8 * PAGE;
    struct ntmm_io_status io;
    if (page & 1)
        expect(w, ntmm_flush_virtual_memory(w->stress->m->system, w->process, &base, &size, &io));
    else
        expect(w, ntmm_flush_file(w->stress->m->system, w->stress->file, page * PAGE, 8 * PAGE));
}

/* A view copied on write for a moment: what is stored there nobody else sees. */
static void copy(struct worker *w, uint64_t page)
{
    struct ntmm_system *system = w->stress->m->system;
    uint64_t base = 0, size = 0, byte = 0x77;
    expect(w, ntmm_map_view_of_section(system, w->stress->section[PART_FILE], w->process, &base, 0,
                                       0, NULL, &size, NTMM_VIEW_UNMAP, 0, NTMM_PAGE_WRITECOPY));
    for (uint64_t i = 0; i < 3; i++)
        expect(w, ntmm_emulated_store(w->stress->m->emu, w->index,
                                      base + (page + i * 7) % PAGES * PAGE + w->index * 8, &byte,
                                      sizeof byte, NULL, NULL));
    expect(w, ntmm_unmap_view_of_section(system, w->process, base, 0));
}

static void do_something(struct worker *w)
{
    uint64_t page = prng_next(&w->prng) % PAGES;
    enum part part = prng_next(&w->prng) % PART_COUNT;
    switch (prng_next(&w->prng) % 32) {
    case 0:
        unmap(w, part);
        map(w, part);
        break;
    case 1:
        flush(w, page);
        break;
    case 2:
        (void)ntmm_write_mapped_pages(w->stress->m->system, 16);
        break;
    case 3:
        (void)ntmm_write_modified_pages(w->stress->m->system, 16);
        break;
    case 4:
        ntmm_balance_set_manager(w->stress->m->system);
        break;
    case 5:
    case 6:
        write_beside(w, page);
        break;
    case 7:
        read_beside(w, page);
        break;
    case 8:
        copy(w, page);
        break;
    default:
        if (prng_next(&w->prng) & 1)
            store(w, part, page);
        else
            load(w, part, page);
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

static void make_sections(struct stress *s)
{
    const struct ntmm_emulated_file_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_FILE_VERSION, .size_bytes = PAGES * PAGE};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = PAGES * PAGE,
                                      .valid_bytes = 7 * PAGE};
    uint64_t size = PAGES * PAGE;
    assert_int_equal(ntmm_emulated_add_file(s->m->emu, &disk, &s->device, NULL), 0);
    config.device = s->device;
    assert_int_equal(ntmm_create_file(s->m->system, &config,
                                      NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA, &s->file),
                     0);
    for (enum part part = PART_FILE; part < PART_COUNT; part++)
        assert_int_equal(ntmm_create_section(
                             s->m->system, &s->section[part], NTMM_SECTION_ALL_ACCESS, NULL, &size,
                             NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, part == PART_FILE ? s->file : 0),
                         0);
}

static void open_stress(struct stress *s, uint64_t seed, uint32_t flags, uint32_t rounds)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = RAM_BYTES, .cpu_count = WORKERS, .flags = flags, .seed = seed},
        .core = {.paging_flags = seed & 1 ? NTMM_PAGING_ZEROS_NEED_NO_SLOT : 0}};
    memset(s, 0, sizeof *s);
    s->m = machine_open(&setup);
    (void)must_add_file(s->m, 4 * MIB, 4 * MIB, NULL);
    make_sections(s);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        w->stress = s;
        w->index = i;
        w->rounds = rounds;
        w->process = i < 2 ? s->m->process : machine_add_process(s->m);
        prng_seed(&w->prng, seed * WORKERS + i);
        assert_int_equal(ntmm_emulated_attach(s->m->emu, i, w->process), NTMM_STATUS_SUCCESS);
        for (enum part part = PART_FILE; part < PART_COUNT; part++)
            map(w, part);
    }
}

static void expect_in_file(struct stress *s)
{
    const uint8_t *bytes = ntmm_emulated_disk_image(s->m->emu, s->device, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            uint64_t value;
            memcpy(&value, bytes + page * PAGE + i * 8, sizeof value);
            assert_int_equal(value, s->workers[i].values[PART_FILE][page]);
        }
    }
}

static void close_stress(struct stress *s)
{
    must_finish_transfers(s->m);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        for (uint64_t page = 0; page < PAGES && w->status == NTMM_STATUS_SUCCESS; page++) {
            load(w, PART_FILE, page);
            load(w, PART_MEMORY, page);
        }
        if (w->status != NTMM_STATUS_SUCCESS || w->losses)
            fail_msg("worker %u: status %x, %u losses", i, w->status, w->losses);
    }
    must_finish_transfers(s->m);
    machine_assert_sound(s->m);
    assert_true(machine_counter(s->m, NTMM_COUNTER_HARD_FAULTS) > 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        unmap(&s->workers[i], PART_FILE);
        unmap(&s->workers[i], PART_MEMORY);
        assert_int_equal(s->workers[i].status, NTMM_STATUS_SUCCESS);
    }
    for (enum part part = PART_FILE; part < PART_COUNT; part++)
        assert_int_equal(ntmm_close_section(s->m->system, s->section[part]), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_close_file(s->m->system, s->file), NTMM_STATUS_SUCCESS);
    expect_in_file(s);
    machine_close(s->m);
}

static void coroutines_lose_nothing(void **state)
{
    static struct stress s;
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        open_stress(&s, seed, NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL, 800);
        run(&s, run_coroutines_together);
        close_stress(&s);
    }
}

static void threads_lose_nothing(void **state)
{
    static struct stress s;
    (void)state;
    open_stress(&s, 7, NTMM_EMULATED_THREADS, 800);
    run(&s, run_threads_together);
    close_stress(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coroutines_lose_nothing),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests_name("section_stress", tests, NULL, NULL);
}
