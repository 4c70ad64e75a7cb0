/*
 * Turns of the whole machine between rounds, which nobody in it may notice.
 *
 *   restore   snapshot, a detour that spoils what it can reach, back to the snapshot
 *   fork      the run goes on in a fork, and its parent is destroyed
 *   load      the machine is saved to a file, and the run goes on in what the file gives
 *
 * RAM must be equal to the last bit; the disks, and all that the models know, the rounds after it
 * compare.
 */
#define _GNU_SOURCE 1
#include "sim/sim.h"

#include "platform/emulated/machine.h"

#include <ntmm/inspect.h>
#include <ntmm/paging.h>
#include <ntmm/process.h>
#include <ntmm/snapshot.h>
#include <ntmm/virtual.h>
#include <ntmm/working_set.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DETOUR_STEPS 64u

static void must(struct sim *sim, ntmm_status status, const char *why)
{
    if (status != NTMM_STATUS_SUCCESS)
        sim_fail(sim, why);
}

/* No transfer in flight. */
static void settle(struct sim *sim)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(sim->emu);
    while (atomic_load(&sim->emu->in_flight) != 0)
        platform->pump(platform->context);
}

/* What comes back is nobody's business. */
static ntmm_status spoil(struct sim *sim, uint64_t draw)
{
    struct compared *world = &sim->workers[draw % sim->shape.worker_count].world;
    enum who who = (enum who)(draw >> 8 & 1);
    const struct model_process *model = &world->models[who];
    ntmm_handle process = world->handles[who];
    uint32_t cpu = world->first_cpu;
    if (model->region_count == 0)
        return NTMM_STATUS_SUCCESS;
    const struct model_region *region = &model->regions[(draw >> 16) % model->region_count];
    uint64_t base = region->base, size = 0, word = draw;
    switch (draw >> 12 & 7) {
    case 0:
        return ntmm_free_virtual_memory(sim->system, process, &base, &size, NTMM_MEM_RELEASE);
    case 1:
        return ntmm_empty_working_set(sim->system, process);
    case 2:
        (void)ntmm_write_modified_pages(sim->system, 64);
        return NTMM_STATUS_SUCCESS;
    case 3:
        (void)ntmm_zero_free_pages(sim->system, 64);
        return NTMM_STATUS_SUCCESS;
    default:
        break;
    }
    if (region->page_count != 0)
        base = region->pages[(draw >> 32) % region->page_count].number * MODEL_PAGE_SIZE;
    ntmm_status status = ntmm_emulated_attach(sim->emu, cpu, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return ntmm_emulated_store(sim->emu, cpu, base, &word, sizeof word, NULL, NULL);
}

static void go_and_come_back(struct sim *sim)
{
    must(sim, ntmm_emulated_snapshot(sim->emu), "no snapshot");
    struct prng prng = sim->errors;
    uint64_t done = 0;
    for (uint32_t i = 0; i < DETOUR_STEPS; i++)
        done += spoil(sim, prng_next(&prng)) == NTMM_STATUS_SUCCESS;
    sim->spoils += done;
    settle(sim);
    must(sim, ntmm_emulated_restore_snapshot(sim->emu), "a snapshot cannot be restored");
}

/* The run goes on in another machine. */
static void move_to(struct sim *sim, struct ntmm_emulated *emu)
{
    struct ntmm_teardown left;
    ntmm_emulated_destroy(sim->emu, &left);
    sim->emu = emu;
    sim->system = ntmm_emulated_system(emu);
    if (sim->system == NULL)
        sim_fail(sim, "a copy of the machine has no system");
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        sim->workers[i].world.emu = emu;
        sim->workers[i].world.system = sim->system;
    }
}

static void go_on_in_a_fork(struct sim *sim)
{
    struct ntmm_emulated *fork;
    must(sim, ntmm_emulated_fork(sim->emu, &fork), "no fork");
    move_to(sim, fork);
}

static void go_on_in_what_a_file_gives(struct sim *sim)
{
    char path[] = P_tmpdir "/ntmm-sim-XXXXXX";
    int file = mkstemp(path);
    struct ntmm_emulated *loaded;
    const struct ntmm_emulated_config machine = {
        .size = sizeof machine,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .flags = sim->emu->config.flags,
        .step_limit = sim->emu->config.step_limit,
    };
    if (file < 0)
        sim_fail(sim, "no temporary file");
    (void)close(file);
    must(sim, ntmm_emulated_save_snapshot(sim->emu, path), "a machine cannot be saved");
    must(sim, ntmm_emulated_load_snapshot(&machine, path, &loaded), "a machine cannot be loaded");
    (void)unlink(path);
    move_to(sim, loaded);
}

void turns_take(struct sim *sim)
{
    uint64_t draw = prng_next(&sim->errors);
    if (sim->shape.turn_mask == 0 || (draw >> 32 & sim->shape.turn_mask))
        return;
    settle(sim);
    uint64_t hash = ntmm_emulated_hash(sim->emu);
    enum turn turn = (enum turn)(draw % TURN_COUNT);
    switch (turn) {
    case TURN_RESTORE:
        go_and_come_back(sim);
        break;
    case TURN_FORK:
        go_on_in_a_fork(sim);
        break;
    case TURN_LOAD:
    case TURN_COUNT:
        go_on_in_what_a_file_gives(sim);
        break;
    }
    if (ntmm_emulated_hash(sim->emu) != hash)
        sim_fail(sim, "RAM is not what it was when the snapshot was taken");
    sim->turns[turn]++;
    frames_note_machine(sim->seed);
}
