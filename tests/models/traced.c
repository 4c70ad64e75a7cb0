/*
 * A unit test over the simulation's build of the core: what becomes of frames and reads goes to the
 * file that NTMM_FRAMES names, for trace.py and reads.py. Nothing is switched or refused; threads
 * give way now and then, where the simulation would switch.
 */
#include "sim/sim.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define POINTS_OF_YIELD 64u

void ntmm_schedule_point(enum schedule_point point)
{
    static _Thread_local uint32_t points;
    (void)point;
    if (++points % POINTS_OF_YIELD == 0)
        (void)sched_yield();
}

bool ntmm_schedule_refuses_commit(void) { return false; }

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("NTMM_FRAMES");
    if (path != NULL && !frames_open(path)) {
        perror(path);
        exit(2);
    }
    frames_have_threads();
}

ntmm_status __real_ntmm_create_system(void *storage, size_t size, const struct ntmm_config *config,
                                      const struct ntmm_platform *platform,
                                      struct ntmm_system **system);
ntmm_status __wrap_ntmm_create_system(void *storage, size_t size, const struct ntmm_config *config,
                                      const struct ntmm_platform *platform,
                                      struct ntmm_system **system);

ntmm_status __wrap_ntmm_create_system(void *storage, size_t size, const struct ntmm_config *config,
                                      const struct ntmm_platform *platform,
                                      struct ntmm_system **system)
{
    static uint64_t number;
    frames_note_machine(++number);
    return __real_ntmm_create_system(storage, size, config, platform, system);
}
