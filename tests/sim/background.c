/*
 * What goes on beside those who use memory: the system's own work, and a saboteur.
 */
#include "sim/sim.h"

#include <ntmm/file.h>
#include <ntmm/frames.h>
#include <ntmm/paging.h>
#include <ntmm/working_set.h>

/* A write that fails makes its slot bad: so many may fail, or page files run out. */
#define WRITE_ERRORS 200u
/* So often errors are asked for in a round. A long call meets one each time it is made again, and
 * must get through before its tries are used up. */
#define ERRORS_OF_ROUND 200u

static void rest(struct sim *sim, uint64_t yields)
{
    for (uint64_t i = 0; i < yields && sim->unfinished != 0; i++)
        ntmm_emulated_yield(sim->emu);
}

static void trim_somebody(struct sim *sim)
{
    uint64_t draw = prng_next(&sim->errors);
    const struct compared *world = &sim->workers[draw % sim->shape.worker_count].world;
    ntmm_status status = ntmm_empty_working_set(sim->system, world->handles[draw >> 32 & 1]);
    /* A process may end meanwhile: its handle then names nobody. */
    if (status != NTMM_STATUS_SUCCESS && status != NTMM_STATUS_INVALID_HANDLE &&
        status != NTMM_STATUS_PROCESS_IS_TERMINATING)
        sim_fail(sim, "a working set cannot be emptied");
}

/* Frames that are away for a while. */
struct away {
    uint64_t first;
    uint64_t count; /* 0: none is */
};

static void bring_back(struct sim *sim, struct away *away)
{
    if (away->count != 0 && ntmm_add_frames(sim->system, away->first, away->count, 0) != 0)
        sim_fail(sim, "frames that were removed cannot be added");
    away->count = 0;
}

/* A few frames, whatever is in them; what a frame holds may refuse. */
static void take_away(struct sim *sim, struct away *away)
{
    uint64_t draw = prng_next(&sim->errors);
    away->count = 1 + (draw >> 32 & 3);
    away->first = draw % (sim->shape.ram_bytes / NTMM_PAGE_SIZE - 4);
    ntmm_status status = ntmm_remove_frames(sim->system, away->first, away->count);
    if (status == NTMM_STATUS_SUCCESS) {
        sim->services[SERVICE_REMOVE_FRAMES]++;
        return;
    }
    away->count = 0;
    if (status != NTMM_STATUS_NOT_SUPPORTED && status != NTMM_STATUS_RETRY &&
        status != NTMM_STATUS_NO_MEMORY && status != NTMM_STATUS_COMMITMENT_LIMIT)
        sim_fail(sim, "frames cannot be removed");
}

static void work(void *context)
{
    struct sim *sim = context;
    struct away away = {0};
    while (sim->unfinished != 0) {
        switch (prng_next(&sim->errors) >> 32 & 7) {
        case 0:
        case 1:
            ntmm_balance_set_manager(sim->system);
            break;
        case 2:
        case 3:
        case 4:
            (void)ntmm_write_modified_pages(sim->system, 16);
            break;
        case 5:
            (void)ntmm_zero_free_pages(sim->system, 8);
            break;
        case 6:
            trim_somebody(sim);
            break;
        default:
            if (away.count != 0)
                bring_back(sim, &away);
            else
                take_away(sim, &away);
            break;
        }
        sim->background_calls++;
        rest(sim, prng_below(&sim->errors, 64));
    }
    bring_back(sim, &away);
}

/* A file of some worker that is open; UINT64_MAX: none was drawn. */
static uint64_t worker_device(struct sim *sim, uint64_t draw)
{
    const struct compared *world = &sim->workers[draw % sim->shape.worker_count].world;
    ntmm_handle file = world->files[draw >> 8 & (MODEL_FILE_SLOTS - 1)];
    struct ntmm_file_information information;
    if (file == 0 || ntmm_query_file(sim->system, file, &information) != NTMM_STATUS_SUCCESS)
        return UINT64_MAX;
    return information.device;
}

/* A device to fail, and whether bad slots are of no account there. */
static uint64_t draw_device(struct sim *sim, bool *is_file)
{
    uint64_t draw = prng_next(&sim->errors);
    uint64_t device = UINT64_MAX;
    if (sim->image_device != 0 && (draw >> 34 & 3) == 0)
        device = sim->image_device;
    else if (sim->crowd != NULL && (draw >> 32 & 3) == 3)
        device = crowd_device(sim);
    else if (draw >> 32 & 1)
        device = worker_device(sim, draw >> 40);
    else if (sim->sharing != NULL && (draw >> 33 & 1))
        device = sharing_device(sim);
    *is_file = device != UINT64_MAX;
    return *is_file ? device : sim->page_files[draw % sim->shape.page_file_count];
}

/* Of one device, for a while: its reads or writes are refused, or fail at the end, or are torn, by
 * a status or by their length alone. */
static void fail_transfers(struct sim *sim)
{
    bool is_file;
    uint64_t device = draw_device(sim, &is_file);
    uint64_t draw = prng_next(&sim->errors);
    bool is_write = (draw >> 8 & 1) != 0;
    bool is_torn = (draw >> 9 & 1) != 0;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << (is_write ? NTMM_IO_WRITE : NTMM_IO_READ),
        .is_torn = is_torn,
        .is_refused = !is_torn && (draw >> 10 & 1),
        .after = draw >> 16 & 7,
        .count = 1 + (draw >> 24 & 1),
        .status = is_torn && (draw >> 11 & 1) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_DEVICE_DATA_ERROR,
    };
    if (!is_file && is_write && sim->write_errors >= WRITE_ERRORS)
        return;
    sim->write_errors += is_write && !is_file;
    if (ntmm_emulated_inject_disk(sim->emu, device, &errors) != NTMM_STATUS_SUCCESS)
        sim_fail(sim, "a device of the simulation is unknown");
}

static void fail_allocations(struct sim *sim)
{
    uint64_t draw = prng_next(&sim->errors);
    sim->system->failures.after = draw & 31;
    sim->system->failures.count = 1 + (draw >> 8 & 3);
}

static void sabotage(void *context)
{
    struct sim *sim = context;
    for (uint32_t asked = 0; sim->unfinished != 0 && asked < ERRORS_OF_ROUND; asked++) {
        rest(sim, 1 + prng_below(&sim->errors, sim->shape.error_period));
        if (prng_next(&sim->errors) >> 63)
            fail_transfers(sim);
        else
            fail_allocations(sim);
    }
}

void background_spawn(struct sim *sim)
{
    uint32_t processor = SIM_CPUS;
    if (ntmm_emulated_spawn(sim->emu, processor, work, sim, 0) != NTMM_STATUS_SUCCESS ||
        (sim->shape.error_period != 0 &&
         ntmm_emulated_spawn(sim->emu, processor + 1, sabotage, sim, 0) != NTMM_STATUS_SUCCESS))
        sim_fail(sim, "no memory for coroutines");
}
