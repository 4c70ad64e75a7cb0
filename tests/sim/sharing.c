/*
 * Processors that share memory: each owns eight bytes of every page, so that all write to the same
 * pages, and no store may be lost.
 *
 *   page     |0000|1111|2222|....|   owned by sharer 0, 1, 2
 *   sharers 0 and 1 are processors of one process, 2 is of another; all have views of their own
 *   a file     through views and by ntmm_write_file, flushed; its device fails now and then
 *   a section  of the page files
 *
 * The values are known to their owner alone: what it wrote last must be there whenever it looks,
 * and at the end in the file, as ntmm_read_file gives it after a flush and as the device has it.
 */
#include "sim/sim.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/process.h>
#include <ntmm/section.h>
#include <ntmm/virtual.h>
#include <ntmm/working_set.h>

#include <stdlib.h>

#define PAGES 96u
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
    uint64_t steps;
    uint64_t again;
};

struct sharing {
    uint64_t device;
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

/* Whether a call is to be made once more; anything but success and want is a failure. */
static bool is_to_repeat(struct sharer *s, ntmm_status status, uint32_t *tries)
{
    s->steps++;
    if (status == NTMM_STATUS_SUCCESS)
        return false;
    if (!compared_is_for_want(status) || ++*tries > TRIES)
        sim_fail(s->sim, "a sharer's call fails");
    s->again++;
    return true;
}

static void store(struct sharer *s, enum part part, uint32_t page)
{
    uint64_t value = s->values[part][page] * 5 + s->index + 1;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_emulated_store(s->sim->emu, cpu_of(s), s->base[part] + offset_of(s, page),
                                     &value, sizeof value, NULL, NULL);
    } while (is_to_repeat(s, status, &tries));
    s->values[part][page] = value;
}

static void load(struct sharer *s, enum part part, uint32_t page)
{
    uint64_t value = 0;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_emulated_load(s->sim->emu, cpu_of(s), s->base[part] + offset_of(s, page),
                                    &value, sizeof value, NULL, NULL);
    } while (is_to_repeat(s, status, &tries));
    if (value != s->values[part][page])
        sim_fail(s->sim, "a store to shared memory is lost");
}

static void write_file(struct sharer *s, uint32_t page)
{
    uint64_t value = s->values[PART_FILE][page] * 7 + s->index + 1, written;
    uint32_t tries = 0;
    while (is_to_repeat(s,
                        ntmm_write_file(s->sim->system, s->sim->sharing->file, offset_of(s, page),
                                        &value, sizeof value, &written),
                        &tries)) {
    }
    s->values[PART_FILE][page] = value;
}

static void read_file(struct sharer *s, uint32_t page)
{
    uint64_t value = 0, moved;
    uint32_t tries = 0;
    while (is_to_repeat(s,
                        ntmm_read_file(s->sim->system, s->sim->sharing->file, offset_of(s, page),
                                       &value, sizeof value, &moved),
                        &tries)) {
    }
    if (value != s->values[PART_FILE][page])
        sim_fail(s->sim, "a write to a shared file is lost");
}

static void flush(struct sharer *s, uint32_t page)
{
    struct ntmm_io_status io;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t base = s->base[PART_FILE] + page * PAGE, size = 4 * PAGE;
        if (page + 4 > PAGES)
            size = PAGE;
        status = ntmm_flush_virtual_memory(s->sim->system, process_of(s), &base, &size, &io);
    } while (is_to_repeat(s, status, &tries));
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
        uint64_t base = s->base[part] + page * PAGE, size = PAGE;
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
        unmap(s, part);
        map(s, part);
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

static void begin_file(struct sim *sim)
{
    struct sharing *sharing = sim->sharing;
    const struct ntmm_emulated_file_config device = {
        .size = sizeof device,
        .version = NTMM_EMULATED_FILE_VERSION,
        .size_bytes = FILE_BYTES,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    must(sim, ntmm_emulated_add_file(sim->emu, &device, &sharing->device, NULL));
    const struct ntmm_file_config file = {
        .size = sizeof file,
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = sharing->device,
        .size_bytes = FILE_BYTES,
        .valid_bytes = FILE_BYTES,
    };
    must(sim, ntmm_create_file(sim->system, &file, NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA,
                               &sharing->file));
}

static void begin_sections(struct sim *sim)
{
    struct sharing *sharing = sim->sharing;
    uint64_t size = FILE_BYTES;
    for (uint32_t part = 0; part < PART_COUNT; part++)
        must(sim, ntmm_create_section(sim->system, &sharing->section[part], NTMM_SECTION_ALL_ACCESS,
                                      NULL, &size, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT,
                                      part == PART_FILE ? sharing->file : 0));
}

void sharing_begin(struct sim *sim)
{
    const struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
    };
    if (sim->shape.sharer_count == 0)
        return;
    sim->sharing = calloc(1, sizeof *sim->sharing);
    if (sim->sharing == NULL)
        sim_fail(sim, "no memory");
    begin_file(sim);
    begin_sections(sim);
    for (uint32_t i = 0; i < PROCESSES; i++)
        must(sim, ntmm_create_process(sim->system, &config, &sim->sharing->process[i]));
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        s->sim = sim;
        s->index = i;
        map(s, PART_FILE);
        map(s, PART_MEMORY);
    }
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
    const uint8_t *device = ntmm_emulated_disk_image(sim->emu, sim->sharing->device, NULL);
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        struct sharer *s = &sim->sharing->sharers[i];
        for (uint32_t page = 0; page < PAGES; page++) {
            le64 word;
            __builtin_memcpy(&word, device + offset_of(s, page), sizeof word);
            /* the sharers' values are words of the host */
            if (word.raw != s->values[PART_FILE][page])
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
