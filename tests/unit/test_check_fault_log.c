/*
 * The checker finds a log of faults that is not whole, or not its process's: W4, S4.
 */
#include "space/fault_log.h"
#include "unit/corruption.h"

#include <ntmm/statistics.h>

static struct machine *open_scene(void)
{
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_set_information_process(m->system, m->process,
                                                  NTMM_PROCESS_WORKING_SET_WATCH, NULL, 0),
                     NTMM_STATUS_SUCCESS);
    must_fill(m, BASE, 4 * PAGE);
    return m;
}

static uint64_t lose_block(struct machine *m)
{
    set64(&machine_object(m)->fault_log[1], 0);
    return 0;
}

static uint64_t mistake_block(struct machine *m)
{
    le64 *block = &machine_object(m)->fault_log[2];
    set64(block, get64(block) + 64);
    return get64(block);
}

static uint64_t lose_log(struct machine *m)
{
    for (uint32_t i = 0; i < FAULT_LOG_BLOCKS; i++)
        set64(&machine_object(m)->fault_log[i], 0);
    return 1; /* its records */
}

static uint64_t lose_empty_log(struct machine *m)
{
    (void)lose_log(m);
    set32(&machine_object(m)->fault_log_count, 0);
    return SLAB_FAULT_LOG;
}

static uint64_t miscount(struct machine *m)
{
    set32(&machine_object(m)->fault_log_count, FAULT_LOG_RECORDS + 1);
    return 1;
}

static uint64_t lose_too_early(struct machine *m)
{
    set32(&machine_object(m)->fault_log_lost, 1);
    return 2;
}

static uint64_t mistake_owner(struct machine *m)
{
    uint64_t ref = get64(&machine_object(m)->fault_log[0]);
    struct call c = machine_call(m);
    struct slab *slab = core_at(c.bias, ref & ~(PAGE - 1));
    set32(&slab->owners[0], get32(&slab->owners[0]) + 1);
    return ref;
}

static const struct corruption corruptions[] = {
    {"W4", "a block is missing", lose_block},
    {"W4", "a block is no object", mistake_block},
    {"W4", "records without blocks", lose_log},
    {"S4", "blocks that nobody has", lose_empty_log},
    {"W4", "more records than there is room for", miscount},
    {"W4", "something was lost while there was room", lose_too_early},
    {"S4", "a block belongs to another process", mistake_owner},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_fault_log", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
