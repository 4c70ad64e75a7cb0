/*
 * A crowd on few pages that are mostly out: sim --crowd. Its members fault on the same pages at the
 * same time, so that faults collide, while pages are trimmed, written, taken and deleted.
 *
 *   members 0, 1, 2 are processors of one process, 3 is of another; both have
 *     private    memory of their own               page |0000|1111|2222|3333|...|
 *     memory     a view of a section of page files   a word of each page for each member,
 *     file       a view of a file                    whose stores may not be lost
 *   prey         a process that everybody faults in, frees pages of, and ends
 *
 * Members push everything out themselves, prefetch, and begin faults that they give up.
 */
#include "sim/sim.h"

#include <ntmm/fault.h>
#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/paging.h>
#include <ntmm/process.h>
#include <ntmm/section.h>
#include <ntmm/virtual.h>
#include <ntmm/working_set.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGES 5u
#define PAGE UINT64_C(0x1000)
#define SIZE (PAGES * PAGE)
#define PROCESSES 2u
#define TRIES 1000u
#define SLOW_YIELDS 2000u /* of a fault that comes back late */

enum part { PART_PRIVATE, PART_MEMORY, PART_FILE, PART_COUNT };

struct member {
    struct sim *sim;
    uint32_t index;
    struct prng prng;
    uint64_t values[PART_COUNT][PAGES];
    uint64_t last_value;
    uint64_t steps;
};

struct crowd {
    uint64_t device;
    ntmm_handle file;
    ntmm_handle section[PART_COUNT]; /* 0 of what is private */
    ntmm_handle process[PROCESSES];
    uint64_t base[PROCESSES][PART_COUNT];
    ntmm_handle prey; /* 0: none */
    uint64_t prey_base;
    struct member members[SIM_CROWD];
};

static struct crowd *crowd_of(const struct member *m) { return m->sim->crowd; }

static uint32_t place_of(const struct member *m) { return m->index / (SIM_CROWD - 1); }

static uint32_t cpu_of(const struct member *m) { return SIM_CPUS + m->index; }

static uint64_t address_of(const struct member *m, enum part part, uint32_t page)
{
    return crowd_of(m)->base[place_of(m)][part] + page * PAGE + m->index * 8;
}

/* Whether a call is to be made once more; anything but success and want is a failure. */
static bool is_to_repeat(struct member *m, ntmm_status status, uint32_t *tries)
{
    m->steps++;
    if (status == NTMM_STATUS_SUCCESS)
        return false;
    if (!compared_is_for_want(status) || ++*tries > TRIES) {
        printf("# member %u: status 0x%08" PRIX32 " in try %u\n", m->index, (uint32_t)status,
               *tries);
        sim_fail(m->sim, "a call of the crowd fails");
    }
    return true;
}

/* --- pages that are everybody's --- */

static void store(struct member *m, enum part part, uint32_t page)
{
    uint32_t tries = 0;
    le64 word;
    set64(&word, ++m->last_value);
    while (is_to_repeat(m,
                        ntmm_emulated_store(m->sim->emu, cpu_of(m), address_of(m, part, page),
                                            &word, sizeof word, NULL, NULL),
                        &tries)) {
    }
    m->values[part][page] = m->last_value;
}

static void load(struct member *m, enum part part, uint32_t page)
{
    uint32_t tries = 0;
    le64 word = {0};
    while (is_to_repeat(m,
                        ntmm_emulated_load(m->sim->emu, cpu_of(m), address_of(m, part, page), &word,
                                           sizeof word, NULL, NULL),
                        &tries)) {
    }
    if (get64(&word) != m->values[part][page])
        sim_fail(m->sim, "a store of the crowd is lost");
}

/* Out of working sets, and of memory as far as it is on a device. */
static void push_out(struct member *m)
{
    struct sim *sim = m->sim;
    ntmm_handle caller = crowd_of(m)->process[place_of(m)];
    static const uint32_t COMMANDS[] = {NTMM_MEMORY_EMPTY_WORKING_SETS,
                                        NTMM_MEMORY_FLUSH_MODIFIED_LIST,
                                        NTMM_MEMORY_PURGE_STANDBY_LIST};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t tries = 0;
        while (
            is_to_repeat(m, ntmm_memory_list_command(sim->system, caller, COMMANDS[i]), &tries)) {
        }
        if (i == 1)
            (void)ntmm_write_mapped_pages(sim->system, SIZE / PAGE);
    }
}

static void prefetch(struct member *m, enum part part, uint32_t page)
{
    const struct ntmm_memory_range_entry range = {
        .virtual_address = address_of(m, part, page),
        .number_of_bytes = (PAGES - page) * PAGE,
    };
    uint32_t flags = 0, tries = 0;
    while (is_to_repeat(m,
                        ntmm_set_information_virtual_memory(
                            m->sim->system, crowd_of(m)->process[place_of(m)],
                            NTMM_VM_PREFETCH_INFORMATION, 1, &range, &flags, sizeof flags),
                        &tries)) {
    }
}

/* A fault that is given up while it waits, or when it has waited longer than it had to. */
static ntmm_status dawdle(struct member *m, const struct ntmm_fault_request *request,
                          uint64_t yields)
{
    struct ntmm_fault_result result;
    struct ntmm_wait wait = {0};
    ntmm_status status = ntmm_fault_begin(m->sim->system, request, &wait, &result);
    if (status != NTMM_STATUS_PENDING)
        return status;
    for (uint64_t i = prng_below(&m->prng, yields); i > 0; i--)
        ntmm_emulated_yield(m->sim->emu);
    if (__atomic_load_n(&wait.is_woken, __ATOMIC_ACQUIRE))
        status = ntmm_fault_begin(m->sim->system, request, &wait, &result);
    if (status == NTMM_STATUS_PENDING)
        ntmm_fault_cancel(m->sim->system, &wait);
    return status == NTMM_STATUS_PENDING ? NTMM_STATUS_SUCCESS : status;
}

static void give_up(struct member *m, enum part part, uint32_t page)
{
    const struct ntmm_fault_request request = {.process = crowd_of(m)->process[place_of(m)],
                                               .address = address_of(m, part, page),
                                               .error_code = NTMM_FAULT_USER};
    ntmm_status status = dawdle(m, &request, 4);
    m->steps++;
    if (status != NTMM_STATUS_SUCCESS && !compared_is_for_want(status))
        sim_fail(m->sim, "a fault of the crowd fails");
}

static void flush(struct member *m, uint32_t page)
{
    struct ntmm_io_status io;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t base = address_of(m, PART_FILE, page), size = 1;
        status = ntmm_flush_virtual_memory(m->sim->system, crowd_of(m)->process[place_of(m)], &base,
                                           &size, &io);
    } while (is_to_repeat(m, status, &tries));
}

/* --- the prey: whatever becomes of it --- */

static void make_prey(struct member *m)
{
    const struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
    };
    struct crowd *crowd = crowd_of(m);
    ntmm_handle made;
    uint64_t base = 0, size = SIZE;
    if (ntmm_create_process(m->sim->system, &config, &made) != NTMM_STATUS_SUCCESS)
        return;
    ntmm_status status =
        ntmm_allocate_virtual_memory(m->sim->system, made, &base, 0, &size,
                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    if (status == NTMM_STATUS_SUCCESS && crowd->prey == 0) {
        crowd->prey = made;
        crowd->prey_base = base;
    } else if (ntmm_end_process(m->sim->system, made) != NTMM_STATUS_SUCCESS) {
        sim_fail(m->sim, "a process of the crowd does not end");
    }
}

static void end_prey(struct member *m)
{
    struct crowd *crowd = crowd_of(m);
    ntmm_handle prey = crowd->prey;
    crowd->prey = 0;
    if (prey != 0 && ntmm_end_process(m->sim->system, prey) != NTMM_STATUS_SUCCESS)
        sim_fail(m->sim, "a process of the crowd does not end");
}

/* Of a call to a prey that was there when it began. */
static ntmm_status hurt(struct member *m, uint64_t draw)
{
    const struct crowd *crowd = crowd_of(m);
    struct ntmm_system *system = m->sim->system;
    uint64_t base = crowd->prey_base + draw % PAGES * PAGE, size = PAGE;
    const struct ntmm_fault_request request = {
        .process = crowd->prey, .address = base, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    struct ntmm_fault_result result;
    uint64_t choice = draw >> 16 & 15;
    if (choice < 2)
        return ntmm_free_virtual_memory(system, crowd->prey, &base, &size, NTMM_MEM_DECOMMIT);
    if (choice < 4)
        return ntmm_allocate_virtual_memory(system, crowd->prey, &base, 0, &size, NTMM_MEM_COMMIT,
                                            NTMM_PAGE_READWRITE);
    return choice < 6 ? dawdle(m, &request, SLOW_YIELDS)
                      : ntmm_page_fault(system, &request, &result);
}

static void hunt(struct member *m, uint64_t draw)
{
    const struct crowd *crowd = crowd_of(m);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    m->steps++;
    if (crowd->prey == 0)
        make_prey(m);
    else if ((draw >> 20 & 31) == 0)
        end_prey(m);
    else
        status = hurt(m, draw);
    if (status != NTMM_STATUS_SUCCESS && status != NTMM_STATUS_ACCESS_VIOLATION &&
        status != NTMM_STATUS_INVALID_HANDLE && status != NTMM_STATUS_PROCESS_IS_TERMINATING &&
        !compared_is_for_want(status))
        sim_fail(m->sim, "a call to a process that may end fails otherwise");
}

/* --- members --- */

static void run_record(struct member *m)
{
    uint64_t draw = prng_next(&m->prng);
    enum part part = (enum part)((draw >> 8 & 0xFF) % PART_COUNT);
    uint32_t page = (uint32_t)(draw >> 16 & 0xFF) % PAGES;
    switch (draw >> 32 & 15) {
    case 0:
        push_out(m);
        break;
    case 1:
        prefetch(m, part, page);
        break;
    case 2:
        if (draw >> 60 & 1)
            give_up(m, part, page);
        else
            flush(m, page);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        hunt(m, draw >> 40);
        break;
    case 7:
    case 8:
    case 9:
        store(m, part, page);
        break;
    default:
        load(m, part, page);
        break;
    }
}

static void run_member(void *context)
{
    struct member *m = context;
    struct sim *sim = m->sim;
    for (uint32_t i = 0; i < sim->shape.round_records; i++)
        run_record(m);
    sim->unfinished--;
}

static void must(struct sim *sim, ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS)
        sim_fail(sim, "what a crowd shares cannot be made or ended");
}

static void attach(struct member *m)
{
    must(m->sim, ntmm_emulated_attach(m->sim->emu, cpu_of(m), crowd_of(m)->process[place_of(m)]));
}

static void begin_file(struct sim *sim)
{
    static const uint8_t contents[SIZE];
    const struct ntmm_emulated_file_config device = {
        .size = sizeof device,
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = contents,
        .size_bytes = SIZE,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    must(sim, ntmm_emulated_add_file(sim->emu, &device, &sim->crowd->device, NULL));
    const struct ntmm_file_config file = {
        .size = sizeof file,
        .version = NTMM_FILE_CONFIG_VERSION,
        .device = sim->crowd->device,
        .size_bytes = SIZE,
        .valid_bytes = SIZE,
    };
    must(sim, ntmm_create_file(sim->system, &file, NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA,
                               &sim->crowd->file));
}

static void begin_process(struct sim *sim, uint32_t place)
{
    const struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
    };
    struct crowd *crowd = sim->crowd;
    uint64_t size = SIZE, *base = crowd->base[place];
    must(sim, ntmm_create_process(sim->system, &config, &crowd->process[place]));
    must(sim, ntmm_allocate_virtual_memory(sim->system, crowd->process[place], &base[PART_PRIVATE],
                                           0, &size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                           NTMM_PAGE_READWRITE));
    for (uint32_t part = PART_MEMORY; part < PART_COUNT; part++) {
        size = 0;
        must(sim, ntmm_map_view_of_section(sim->system, crowd->section[part], crowd->process[place],
                                           &base[part], 0, 0, NULL, &size, NTMM_VIEW_SHARE, 0,
                                           NTMM_PAGE_READWRITE));
    }
}

void crowd_begin(struct sim *sim)
{
    uint64_t size = SIZE;
    if (!sim->shape.is_crowded)
        return;
    sim->crowd = calloc(1, sizeof *sim->crowd);
    if (sim->crowd == NULL)
        sim_fail(sim, "no memory");
    begin_file(sim);
    for (uint32_t part = PART_MEMORY; part < PART_COUNT; part++)
        must(sim, ntmm_create_section(sim->system, &sim->crowd->section[part],
                                      NTMM_SECTION_ALL_ACCESS, NULL, &size, NTMM_PAGE_READWRITE,
                                      NTMM_SEC_COMMIT, part == PART_FILE ? sim->crowd->file : 0));
    for (uint32_t place = 0; place < PROCESSES; place++)
        begin_process(sim, place);
    for (uint32_t i = 0; i < SIM_CROWD; i++) {
        struct member *m = &sim->crowd->members[i];
        m->sim = sim;
        m->index = i;
        prng_seed(&m->prng, sim->seed << 8 | i);
        attach(m);
    }
}

void crowd_spawn(struct sim *sim)
{
    for (uint32_t i = 0; sim->crowd != NULL && i < SIM_CROWD; i++) {
        struct member *m = &sim->crowd->members[i];
        sim->unfinished++;
        must(sim, ntmm_emulated_spawn(sim->emu, cpu_of(m), run_member, m, 0));
    }
}

void crowd_check(struct sim *sim)
{
    for (uint32_t i = 0; sim->crowd != NULL && i < SIM_CROWD; i++) {
        for (uint32_t page = 0; page < PAGES * PART_COUNT; page++)
            load(&sim->crowd->members[i], (enum part)(page / PAGES), page % PAGES);
    }
}

void crowd_end(struct sim *sim)
{
    struct crowd *crowd = sim->crowd;
    if (crowd == NULL)
        return;
    end_prey(&crowd->members[0]);
    for (uint32_t place = 0; place < PROCESSES; place++)
        must(sim, ntmm_end_process(sim->system, crowd->process[place]));
    for (uint32_t part = PART_MEMORY; part < PART_COUNT; part++)
        must(sim, ntmm_close_section(sim->system, crowd->section[part]));
    must(sim, ntmm_close_file(sim->system, crowd->file));
    free(crowd);
    sim->crowd = NULL;
}

uint64_t crowd_steps(const struct sim *sim)
{
    uint64_t steps = 0;
    for (uint32_t i = 0; sim->crowd != NULL && i < SIM_CROWD; i++)
        steps += sim->crowd->members[i].steps;
    return steps;
}

uint64_t crowd_device(const struct sim *sim) { return sim->crowd->device; }
