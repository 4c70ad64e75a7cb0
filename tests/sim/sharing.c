/*
 * Processors that share memory: each owns eight bytes of every page, so that all write to the same
 * pages, and no store may be lost.
 *
 *   page     |0000|1111|2222|....|   owned by sharer 0, 1, 2
 *   sharers 0 and 1 are processors of one process, 2 is of another; all have views of their own
 *   a file     through views and by ntmm_write_file, flushed; its device fails now and then
 *   a section  of the page files, its pages in a row, or so far apart that it has many tables of
 *              prototypes, which go out
 *
 * The values are known to their owner alone: what it wrote last must be there whenever it looks,
 * and at the end in the file, as ntmm_read_file gives it after a flush and as the device has it.
 *
 * They rise, so that after a power cut (power.c) each can be judged. The file's device has a write
 * cache, and behind the valid data of the file it holds garbage.
 *
 *     values    1 5 9 13 17     of a word, rising
 *     flushed     5             when the last flush that succeeded began
 *     disk        5, 9, 13, 17  or, when nothing of it was flushed, 0; all other bytes are 0
 */
#include "sim/sim.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/process.h>
#include <ntmm/section.h>
#include <ntmm/virtual.h>
#include <ntmm/working_set.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GARBAGE 0xEE
#define PAGES SIM_SHARED_PAGES
#define PAGE UINT64_C(0x1000)
#define FILE_BYTES (PAGES * PAGE)
#define PROCESSES 2u
#define TRIES 1000u

enum part { PART_FILE, PART_MEMORY, PART_COUNT };

struct sharer {
    struct sim *sim;
    uint32_t index;
    uint32_t next_record;
    uint64_t base[PART_COUNT]; /* of its views */
    uint64_t values[PART_COUNT][PAGES];
    uint64_t begun[PAGES];   /* of the file: the last value that a store or write began with */
    uint64_t flushed[PAGES]; /* of the file: what no power cut can take */
    uint64_t last_value;
    uint64_t steps;
    uint64_t again;
};

struct sharing {
    uint64_t device;
    uint64_t valid_bytes; /* as told after a flush */
    ntmm_handle file;
    ntmm_handle section[PART_COUNT];
    ntmm_handle process[PROCESSES];
    struct sharer sharers[SIM_SHARERS];
};

static ntmm_handle process_of(const struct sharer *s)
{
    return s->sim->sharing->process[s->index / 2];
}

static uint32_t cpu_of(const struct sharer *s) { return 2 * SIM_WORKERS + s->index; }

static uint64_t offset_of(const struct sharer *s, uint32_t page)
{
    return page * PAGE + s->index * 8;
}

/* Where a page lies in a view. */
static uint64_t page_in(const struct sharer *s, enum part part, uint32_t page)
{
    return s->base[part] + page * PAGE * (part == PART_MEMORY ? s->sim->shape.stride : 1);
}

static uint64_t word_in(const struct sharer *s, enum part part, uint32_t page)
{
    return page_in(s, part, page) + s->index * 8;
}

/* Whether a call is to be made once more; anything but success and want is a failure. */
static bool is_to_repeat(struct sharer *s, ntmm_status status, uint32_t *tries)
{
    s->steps++;
    if (status == NTMM_STATUS_SUCCESS)
        return false;
    if (!compared_is_for_want(status) || ++*tries > TRIES) {
        printf("# sharer %u: status 0x%08" PRIX32 " in try %u\n", s->index, (uint32_t)status,
               *tries);
        sim_fail(s->sim, "a sharer's call fails");
    }
    s->again++;
    return true;
}

/* Above all others of this sharer. */
static uint64_t new_value(struct sharer *s, enum part part, uint32_t page)
{
    s->last_value += SIM_SHARERS + 1;
    if (part == PART_FILE)
        s->begun[page] = s->last_value + s->index;
    return s->last_value + s->index;
}

static void store(struct sharer *s, enum part part, uint32_t page)
{
    uint64_t value = new_value(s, part, page);
    le64 word;
    uint32_t tries = 0;
    ntmm_status status;
    set64(&word, value);
    do {
        status = ntmm_emulated_store(s->sim->emu, cpu_of(s), word_in(s, part, page), &word,
                                     sizeof word, NULL, NULL);
    } while (is_to_repeat(s, status, &tries));
    s->values[part][page] = value;
}

static void load(struct sharer *s, enum part part, uint32_t page)
{
    le64 word = {0};
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_emulated_load(s->sim->emu, cpu_of(s), word_in(s, part, page), &word,
                                    sizeof word, NULL, NULL);
    } while (is_to_repeat(s, status, &tries));
    if (get64(&word) != s->values[part][page])
        sim_fail(s->sim, "a store to shared memory is lost");
}

static void write_file(struct sharer *s, uint32_t page)
{
    uint64_t value = new_value(s, PART_FILE, page), written;
    le64 word;
    uint32_t tries = 0;
    set64(&word, value);
    while (is_to_repeat(s,
                        ntmm_write_file(s->sim->system, s->sim->sharing->file, offset_of(s, page),
                                        &word, sizeof word, &written),
                        &tries)) {
    }
    s->values[PART_FILE][page] = value;
}

static void read_file(struct sharer *s, uint32_t page)
{
    le64 word = {0};
    uint64_t moved;
    uint32_t tries = 0;
    while (is_to_repeat(s,
                        ntmm_read_file(s->sim->system, s->sim->sharing->file, offset_of(s, page),
                                       &word, sizeof word, &moved),
                        &tries)) {
    }
    if (get64(&word) != s->values[PART_FILE][page])
        sim_fail(s->sim, "a write to a shared file is lost");
}

/* The values that all sharers have in the file now. */
static void note_values(const struct sharing *sharing, uint64_t values[SIM_SHARERS][PAGES])
{
    for (uint32_t i = 0; i < SIM_SHARERS; i++)
        memcpy(values[i], sharing->sharers[i].values[PART_FILE], sizeof values[i]);
}

/* A flush of pages [first, end) succeeded, which began when the values were these. */
static void note_flush(struct sim *sim, uint32_t first, uint32_t end,
                       uint64_t values[SIM_SHARERS][PAGES])
{
    struct sharing *sharing = sim->sharing;
    struct ntmm_file_information information;
    if (ntmm_query_file(sim->system, sharing->file, &information) != NTMM_STATUS_SUCCESS)
        sim_fail(sim, "a shared file is unknown");
    if (information.valid_bytes > sharing->valid_bytes)
        sharing->valid_bytes = information.valid_bytes;
    for (uint32_t i = 0; i < SIM_SHARERS; i++) {
        uint64_t *flushed = sharing->sharers[i].flushed;
        for (uint32_t page = first; page < end; page++)
            flushed[page] = flushed[page] > values[i][page] ? flushed[page] : values[i][page];
    }
}

static void flush(struct sharer *s, uint32_t page)
{
    uint64_t values[SIM_SHARERS][PAGES];
    uint32_t pages = page + 4 > PAGES ? 1 : 4, tries = 0;
    struct ntmm_io_status io;
    ntmm_status status;
    do {
        uint64_t base = s->base[PART_FILE] + page * PAGE, size = pages * PAGE;
        note_values(s->sim->sharing, values);
        status = ntmm_flush_virtual_memory(s->sim->system, process_of(s), &base, &size, &io);
    } while (is_to_repeat(s, status, &tries));
    note_flush(s->sim, page, page + pages, values);
}

static void flush_file(struct sharer *s)
{
    uint64_t values[SIM_SHARERS][PAGES];
    uint32_t tries = 0;
    do {
        note_values(s->sim->sharing, values);
    } while (is_to_repeat(s, ntmm_flush_file(s->sim->system, s->sim->sharing->file, 0, 0), &tries));
    note_flush(s->sim, 0, PAGES, values);
}

static void map(struct sharer *s, enum part part)
{
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t size = 0;
        s->base[part] = 0;
        status = ntmm_map_view_of_section(s->sim->system, s->sim->sharing->section[part],
                                          process_of(s), &s->base[part], 0, 0, NULL, &size,
                                          NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE);
    } while (is_to_repeat(s, status, &tries));
}

static void unmap(struct sharer *s, enum part part)
{
    uint32_t tries = 0;
    while (is_to_repeat(
        s, ntmm_unmap_view_of_section(s->sim->system, process_of(s), s->base[part], 0), &tries)) {
    }
}

static void protect(struct sharer *s, enum part part, uint32_t page, uint32_t protection)
{
    uint32_t tries = 0, old;
    ntmm_status status;
    do {
        uint64_t base = page_in(s, part, page), size = PAGE;
        status = ntmm_protect_virtual_memory(s->sim->system, process_of(s), &base, &size,
                                             protection, &old);
    } while (is_to_repeat(s, status, &tries));
}

static void empty(struct sharer *s)
{
    uint32_t tries = 0;
    while (is_to_repeat(s, ntmm_empty_working_set(s->sim->system, process_of(s)), &tries)) {
    }
}

static void attach(struct sharer *s)
{
    if (ntmm_emulated_attach(s->sim->emu, cpu_of(s), process_of(s)) != NTMM_STATUS_SUCCESS)
        sim_fail(s->sim, "a sharer has no processor");
}

static void run_record(struct sharer *s, uint64_t state)
{
    uint64_t draw = splitmix64(&state);
    enum part part = (enum part)(draw & 1);
    uint32_t page = (uint32_t)(draw >> 8) % PAGES;
    switch (draw >> 32 & 15) {
    case 0:
        if (draw >> 40 & 3) {
            unmap(s, part);
            map(s, part);
        } else {
            flush_file(s);
        }
        break;
    case 1:
        flush(s, page);
        break;
    case 2:
        write_file(s, page);
        break;
    case 3:
        read_file(s, page);
        break;
    case 4:
        protect(s, part, page, NTMM_PAGE_READONLY);
        load(s, part, page);
        protect(s, part, page, NTMM_PAGE_READWRITE);
        break;
    case 5:
        empty(s);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        load(s, part, page);
        break;
    default:
        store(s, part, page);
        break;
    }
}

static void run_sharer(void *context)
{
    struct sharer *s = context;
    struct sim *sim = s->sim;
    attach(s);
    for (uint32_t i = 0; i < sim->shape.round_records; i++) {
        uint32_t party = SIM_WORKERS + s->index, number = s->next_record++;
        if (sim_keeps(sim, party, number))
            run_record(s, sim_record_state(sim, party, number));
    }
    sim->unfinished--;
}

/* --- beginning and end --- */

static void must(struct sim *sim, ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS)
        sim_fail(sim, "what sharers share cannot be made or ended");
}

/* contents: of the device, FILE_BYTES */
static void begin_file(struct sim *sim, const uint8_t *contents)
{
    struct sharing *sharing = sim->sharing;
    const struct ntmm_emulated_file_config device = {
        .size = sizeof device,
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = contents,
        .size_bytes = FILE_BYTES,
        .flags = NTMM_EMULATED_FILE_WRITE_CACHE,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    must(sim, ntmm_emulated_add_file(sim->emu, &device, &sharing->device, NULL));
    const struct ntmm_file_config file = {
        .size = sizeof file,
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = sharing->device,
        .size_bytes = FILE_BYTES,
        .valid_bytes = sharing->valid_bytes,
    };
    must(sim, ntmm_create_file(sim->system, &file, NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA,
                               &sharing->file));
}

static void begin_sections(struct sim *sim)
{
    struct sharing *sharing = sim->sharing;
    for (uint32_t part = 0; part < PART_COUNT; part++) {
        uint64_t size = FILE_BYTES * (part == PART_MEMORY ? sim->shape.stride : 1);
        must(sim, ntmm_create_section(sim->system, &sharing->section[part], NTMM_SECTION_ALL_ACCESS,
                                      NULL, &size, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT,
                                      part == PART_FILE ? sharing->file : 0));
    }
}

/* All that lives in the system; what is on the device stays. */
static void join_system(struct sim *sim, const uint8_t *contents)
{
    const struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
    };
    begin_file(sim, contents);
    begin_sections(sim);
    for (uint32_t i = 0; i < PROCESSES; i++)
        must(sim, ntmm_create_process(sim->system, &config, &sim->sharing->process[i]));
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        map(s, PART_FILE);
        map(s, PART_MEMORY);
    }
}

void sharing_begin(struct sim *sim)
{
    static uint8_t contents[FILE_BYTES];
    if (sim->shape.sharer_count == 0)
        return;
    sim->sharing = calloc(1, sizeof *sim->sharing);
    if (sim->sharing == NULL)
        sim_fail(sim, "no memory");
    for (uint32_t i = 0; i < SIM_SHARERS; i++)
        sim->sharing->sharers[i] = (struct sharer){.sim = sim, .index = i};
    sim->sharing->valid_bytes = sim->shape.valid_pages * PAGE;
    memset(contents, 0, sizeof contents);
    memset(contents + sim->sharing->valid_bytes, GARBAGE,
           sizeof contents - sim->sharing->valid_bytes);
    join_system(sim, contents);
}

/* --- after a power cut --- */

/* A page as the new system shows it: each word is one that was stored and not older than what was
 * flushed, and nothing else was ever written. */
static void adopt_page(struct sim *sim, uint32_t page)
{
    le64 words[PAGE / 8];
    uint64_t moved;
    if (ntmm_read_file(sim->system, sim->sharing->file, page * PAGE, words, sizeof words, &moved) !=
        NTMM_STATUS_SUCCESS)
        sim_fail(sim, "a shared file cannot be read after a power cut");
    for (uint32_t i = 0; i < SIM_SHARERS; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        uint64_t value = get64(&words[i]);
        if (value < s->flushed[page])
            sim_fail(sim, "a power cut took what had been flushed");
        if (value > s->begun[page] || (value != 0 && value % (SIM_SHARERS + 1) != i))
            sim_fail(sim, "after a power cut a file has what nobody wrote");
        s->values[PART_FILE][page] = s->begun[page] = s->flushed[page] = value;
        s->values[PART_MEMORY][page] = 0;
        set64(&words[i], 0);
    }
    for (uint32_t i = 0; i < PAGE / 8; i++) {
        if (get64(&words[i]) != 0)
            sim_fail(sim, "after a power cut a file has garbage where nobody wrote");
    }
}

void *sharing_take_contents(struct sim *sim)
{
    if (sim->sharing == NULL)
        return NULL;
    void *contents = malloc(FILE_BYTES);
    const void *image = ntmm_emulated_disk_image(sim->emu, sim->sharing->device, NULL);
    if (contents == NULL || image == NULL)
        sim_fail(sim, "no memory");
    return memcpy(contents, image, FILE_BYTES);
}

void sharing_join_again(struct sim *sim, void *contents)
{
    if (sim->sharing == NULL)
        return;
    join_system(sim, contents);
    free(contents);
    for (uint32_t page = 0; page < PAGES; page++)
        adopt_page(sim, page);
}

void sharing_spawn(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        sim->unfinished++;
        must(sim, ntmm_emulated_spawn(sim->emu, cpu_of(s), run_sharer, s, 0));
    }
}

void sharing_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        attach(s);
        for (uint32_t page = 0; page < PAGES; page++) {
            load(s, PART_FILE, page);
            load(s, PART_MEMORY, page);
            read_file(s, page);
        }
    }
}

/* On the device, as somebody else would read it. */
static void compare_device(struct sim *sim)
{
    struct ntmm_file_information information;
    const uint8_t *device = ntmm_emulated_disk_image(sim->emu, sim->sharing->device, NULL);
    must(sim, ntmm_query_file(sim->system, sim->sharing->file, &information));
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        for (uint32_t page = 0; page < PAGES; page++) {
            le64 word = {0};
            if (page * PAGE < information.valid_bytes)
                memcpy(&word, device + offset_of(s, page), sizeof word);
            if (get64(&word) != s->values[PART_FILE][page])
                sim_fail(sim, "a shared file is not on its device after a flush");
        }
    }
}

void sharing_end(struct sim *sim)
{
    struct sharing *sharing = sim->sharing;
    if (sharing == NULL)
        return;
    must(sim, ntmm_flush_file(sim->system, sharing->file, 0, 0));
    compare_device(sim);
    for (uint32_t i = 0; i < PROCESSES; i++)
        must(sim, ntmm_end_process(sim->system, sharing->process[i]));
    for (uint32_t part = 0; part < PART_COUNT; part++)
        must(sim, ntmm_close_section(sim->system, sharing->section[part]));
    must(sim, ntmm_close_file(sim->system, sharing->file));
    free(sharing);
    sim->sharing = NULL;
}

uint64_t sharing_steps(const struct sim *sim)
{
    uint64_t steps = 0;
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++)
        steps += sim->sharing->sharers[i].steps;
    return steps;
}

uint64_t sharing_again(const struct sim *sim)
{
    uint64_t again = 0;
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++)
        again += sim->sharing->sharers[i].again;
    return again;
}

uint64_t sharing_device(const struct sim *sim) { return sim->sharing->device; }
