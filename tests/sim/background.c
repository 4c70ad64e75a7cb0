/*
 * What goes on beside those who use memory: the system's own work, and a saboteur.
 */
#include "sim/sim.h"

#include <ntmm/paging.h>
#include <ntmm/working_set.h>

/* A write that fails makes its slot bad: so many may fail, or page files run out. */
#define WRITE_ERRORS 200u

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

static void work(void *context)
{
    struct sim *sim = context;
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
        default:
            trim_somebody(sim);
            break;
        }
        sim->background_calls++;
        rest(sim, prng_below(&sim->errors, 64));
    }
}

/* Of one device, for a while: its reads or writes fail when they are submitted or when they end. */
static void fail_transfers(struct sim *sim)
{
    uint64_t draw = prng_next(&sim->errors);
    uint64_t device = sim->page_files[draw % sim->shape.page_file_count];
    bool is_write = (draw >> 8 & 1) != 0;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << (is_write ? NTMM_IO_WRITE : NTMM_IO_READ),
        .is_refused = draw >> 9 & 1,
        .after = draw >> 16 & 7,
        .count = 1 + (draw >> 24 & 1),
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
    };
    if (sim->sharing != NULL && (draw >> 32 & 3) == 0)
        device = sharing_device(sim);
    else if (is_write && sim->write_errors >= WRITE_ERRORS)
        return;
    sim->write_errors += is_write;
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
    while (sim->unfinished != 0) {
        rest(sim, 1 + prng_below(&sim->errors, sim->shape.error_period));
        if (prng_next(&sim->errors) >> 63)
            fail_transfers(sim);
        else
            fail_allocations(sim);
    }
}

void background_spawn(struct sim *sim)
{
    uint32_t processor = 2 * SIM_WORKERS + SIM_SHARERS;
    if (ntmm_emulated_spawn(sim->emu, processor, work, sim, 0) != NTMM_STATUS_SUCCESS ||
        (sim->shape.error_period != 0 &&
         ntmm_emulated_spawn(sim->emu, processor + 1, sabotage, sim, 0) != NTMM_STATUS_SUCCESS))
        sim_fail(sim, "no memory for coroutines");
}
