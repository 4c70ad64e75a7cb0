/*
 * The points of core/base/schedule.h, decided by the seed.
 */
#include "sim/sim.h"

static struct sim *current;

void schedule_begin(struct sim *sim) { current = sim; }

void schedule_end(void) { current = NULL; }

void ntmm_schedule_point(enum schedule_point point)
{
    struct sim *sim = current;
    if (sim == NULL || !sim->is_running)
        return;
    sim->points[point]++;
    if (point != POINT_COMPLETION && (prng_next(&sim->schedule) >> 32 & sim->shape.switch_mask))
        return;
    sim->switches[point]++;
    ntmm_emulated_yield(sim->emu);
}

bool ntmm_schedule_refuses_commit(void)
{
    struct sim *sim = current;
    if (sim == NULL || !sim->is_running || sim->shape.refusal_mask == 0 ||
        (prng_next(&sim->errors) >> 32 & sim->shape.refusal_mask))
        return false;
    sim->refused_charges++;
    return true;
}
