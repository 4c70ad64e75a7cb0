/*
 * Owners: what they have in common. See sim.h.
 */
#include "sim/sim.h"

#include <ntmm/process.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES 1000u

bool owner_repeats(struct owner *owner, ntmm_status status, uint32_t *tries)
{
    struct sim *sim = owner->sim;
    sim->owner_steps++;
    if (status == NTMM_STATUS_SUCCESS)
        return false;
    if (!compared_is_for_want(status) || ++*tries > TRIES) {
        printf("# owner, party %u: status 0x%08" PRIX32 " in try %u\n", owner->party,
               (uint32_t)status, *tries);
        sim_fail(sim, "an owner's call fails");
    }
    sim->owner_again++;
    return true;
}

uint64_t owner_load(struct owner *owner, uint64_t va)
{
    le64 word = {0};
    uint32_t tries = 0;
    while (owner_repeats(
        owner, ntmm_emulated_load(owner->sim->emu, owner->cpu, va, &word, sizeof word, NULL, NULL),
        &tries)) {
    }
    return get64(&word);
}

void owner_store(struct owner *owner, uint64_t va, uint64_t value)
{
    le64 word;
    uint32_t tries = 0;
    set64(&word, value);
    while (owner_repeats(
        owner, ntmm_emulated_store(owner->sim->emu, owner->cpu, va, &word, sizeof word, NULL, NULL),
        &tries)) {
    }
}

static void attach(struct owner *owner)
{
    if (ntmm_emulated_attach(owner->sim->emu, owner->cpu, owner->process) != NTMM_STATUS_SUCCESS)
        sim_fail(owner->sim, "an owner has no processor");
}

static void run(void *context)
{
    struct owner *owner = context;
    struct sim *sim = owner->sim;
    attach(owner);
    for (uint32_t i = 0; i < sim->shape.round_records; i++) {
        uint32_t number = owner->next_record++;
        uint64_t state = sim_record_state(sim, owner->party, number);
        if (sim_keeps(sim, owner->party, number))
            owner->run_record(owner, &state);
    }
    sim->unfinished--;
}

void owners_begin(struct sim *sim)
{
    static struct owner *(*const MAKE[SIM_OWNERS])(void) = {resident_make, images_make,
                                                            program_make};
    struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
    };
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        uint32_t next_record = sim->owner_records[i];
        struct owner *owner = sim->owners[i] = MAKE[i]();
        owner->sim = sim;
        owner->cpu = 2 * SIM_WORKERS + SIM_SHARERS + i;
        owner->party = SIM_WORKERS + SIM_SHARERS + i;
        owner->next_record = next_record;
        config.flags = owner->process_flags;
        if (ntmm_create_process(sim->system, &config, &owner->process) != NTMM_STATUS_SUCCESS)
            sim_fail(sim, "no process for an owner");
    }
}

void owners_spawn(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        sim->unfinished++;
        if (ntmm_emulated_spawn(sim->emu, sim->owners[i]->cpu, run, sim->owners[i], 0) !=
            NTMM_STATUS_SUCCESS)
            sim_fail(sim, "no memory for coroutines");
    }
}

void owners_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        attach(sim->owners[i]);
        sim->owners[i]->check(sim->owners[i]);
    }
}

void owners_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        if (ntmm_end_process(sim->system, sim->owners[i]->process) != NTMM_STATUS_SUCCESS)
            sim_fail(sim, "an owner's process does not end");
        sim->owners[i]->end(sim->owners[i]);
    }
    owners_forget(sim);
}

void owners_forget(struct sim *sim)
{
    sim->image_device = 0;
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        sim->owner_records[i] = sim->owners[i]->next_record;
        free(sim->owners[i]);
        sim->owners[i] = NULL;
    }
}
