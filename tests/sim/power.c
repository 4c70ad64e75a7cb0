/*
 * Power cuts: all at once, in the middle of a round, and a new system over the same disks.
 *
 *   round       coroutines run; one of them cuts the power of every device, and nothing goes on
 *   what stays  of each device what was durable, of writes in flight and cached ones a drawn part
 *   after it    another machine: page files hold what the old ones held, and none of it may be
 *               shown; the sharers' file has every byte that was flushed (sharing.c); workers begin
 *               with empty worlds
 *
 * RAM is gone. The old system is not ended, since its locks may be held by who will not go on, and
 * nobody looks at it again.
 */
#include "sim/sim.h"

#include "platform/emulated/machine.h"

#include <stdlib.h>
#include <string.h>

/* Of an old page file, so much is laid under the new one. */
#define KEPT_BYTES (256u << 10)

struct left {
    void *file;
    uint8_t *page_files[SIM_PAGE_FILES];
};

static void cut(struct sim *sim)
{
    static const uint32_t FLAGS[] = {0, NTMM_EMULATED_CUT_TEARS, NTMM_EMULATED_CUT_KEEPS_SOME,
                                     NTMM_EMULATED_CUT_TEARS | NTMM_EMULATED_CUT_KEEPS_SOME};
    uint32_t flags = FLAGS[prng_next(&sim->errors) >> 32 & 3];
    for (uint64_t device = 0; device < sim->emu->disk_count; device++) {
        if (ntmm_emulated_cut_power(sim->emu, device, flags) != NTMM_STATUS_SUCCESS)
            sim_fail(sim, "a device of the simulation is unknown");
    }
    sim->is_cut = true;
    sim->emu->config.step_limit = 1; /* the run ends with the next switch */
}

static void wait_and_cut(void *context)
{
    struct sim *sim = context;
    uint64_t yields = prng_below(&sim->errors, 40u * sim->shape.round_records);
    for (uint64_t i = 0; i < yields && sim->unfinished != 0; i++)
        ntmm_emulated_yield(sim->emu);
    if (sim->unfinished == 0)
        return;
    cut(sim);
    for (;;)
        ntmm_emulated_yield(sim->emu);
}

void power_spawn(struct sim *sim)
{
    if (sim->shape.cut_mask == 0 || (prng_next(&sim->errors) >> 32 & sim->shape.cut_mask))
        return;
    if (ntmm_emulated_spawn(sim->emu, SIM_CPUS + 2, wait_and_cut, sim, 0) != NTMM_STATUS_SUCCESS)
        sim_fail(sim, "no memory for coroutines");
}

static void take(struct sim *sim, struct left *left)
{
    left->file = sharing_take_contents(sim);
    for (uint32_t i = 0; i < sim->shape.page_file_count; i++) {
        const void *image = ntmm_emulated_disk_image(sim->emu, sim->page_files[i], NULL);
        left->page_files[i] = malloc(KEPT_BYTES);
        if (image == NULL || left->page_files[i] == NULL)
            sim_fail(sim, "no memory");
        memcpy(left->page_files[i], image, KEPT_BYTES);
    }
}

/* Without an end of the system, and without the completions that it waits for. */
static void drop_machine(struct ntmm_emulated *emu)
{
    while (emu->transfers != NULL) {
        void *transfer = emu->transfers;
        emu->transfers = *(struct transfer **)transfer; /* the first member links them */
        free(transfer);
    }
    emu->system = NULL;
    ntmm_emulated_destroy(emu, NULL);
}

static void give(struct sim *sim, const struct left *left)
{
    for (uint32_t i = 0; i < sim->shape.page_file_count; i++) {
        memcpy(ntmm_emulated_disk_image(sim->emu, sim->page_files[i], NULL), left->page_files[i],
               KEPT_BYTES);
        free(left->page_files[i]);
    }
}

void power_come_back(struct sim *sim)
{
    struct left left;
    sim->is_running = false;
    sim->is_cut = false;
    sim->unfinished = 0;
    take(sim, &left);
    sim_forget_worlds(sim);
    drop_machine(sim->emu);
    sim_boot(sim);
    give(sim, &left);
    sharing_join_again(sim, left.file);
    sim->boots++;
}
