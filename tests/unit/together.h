/*
 * Functions run at once: as host threads, or as coroutines that are switched wherever the machine
 * can. Each is on the processor of its place among them.
 */
#ifndef NTMM_TEST_TOGETHER_H
#define NTMM_TEST_TOGETHER_H

#include "unit/machine.h"

#include <pthread.h>

struct together {
    void (*function)(void *context);
    void *context;
    struct ntmm_emulated *emu; /* filled in */
    uint32_t index;            /* filled in */
    pthread_t thread;          /* filled in */
};

static inline void *together_begin(void *context)
{
    struct together *one = context;
    ntmm_emulated_bind_thread(one->emu, one->index);
    one->function(one->context);
    return NULL;
}

static inline void run_threads_together(struct machine *m, struct together *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        all[i].emu = m->emu;
        all[i].index = i;
        assert_int_equal(pthread_create(&all[i].thread, NULL, together_begin, &all[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        pthread_join(all[i].thread, NULL);
}

static inline void run_coroutines_together(struct machine *m, struct together *all, uint32_t count)
{
    struct ntmm_emulated_statistics statistics;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(ntmm_emulated_spawn(m->emu, i, all[i].function, all[i].context, 0),
                         NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(m->emu), NTMM_STATUS_SUCCESS);
    ntmm_emulated_query(m->emu, &statistics);
    assert_int_equal(statistics.violations, 0);
}

#endif
