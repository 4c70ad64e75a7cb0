/*
 * The checker finds each broken invariant of charges and locks, and names it: C1 to C5, L1.
 */
#include "unit/corruption.h"

#include "phys/cache.h"

static uint64_t overcharge(struct machine *m)
{
    set64(&machine_partition(m)->commit, get64(&machine_partition(m)->commit) + 1);
    return 0;
}

static uint64_t pass_the_limit(struct machine *m)
{
    uint64_t charge = get64(&machine_partition(m)->commit);
    set64(&machine_partition(m)->commit_limit, 0);
    set64(&machine_partition(m)->commit_reserve,
          charge - 1 - get64(&machine_partition(m)->bad.count));
    return 0;
}

static uint64_t forget_peak(struct machine *m)
{
    set64(&machine_partition(m)->commit_peak, 0);
    return 0;
}

static uint64_t forget_a_bad_frame(struct machine *m)
{
    set64(&machine_partition(m)->commit_limit, get64(&machine_partition(m)->commit_limit) + 1);
    return 0;
}

static uint64_t keep_too_much(struct machine *m)
{
    struct call c = machine_call(m);
    caches_begin(&c);
    set64(&machine_anchor(m)->caches[6].commit, COMMIT_KEPT_MAX + 1);
    set64(&machine_partition(m)->commit,
          get64(&machine_partition(m)->commit) + COMMIT_KEPT_MAX + 1);
    set64(&machine_partition(m)->commit_peak, get64(&machine_partition(m)->commit));
    return 6;
}

static uint64_t leave_node_locked(struct machine *m)
{
    set32(&machine_partition(m)->node.lock, 1);
    return LOCK_NODE;
}

static uint64_t leave_list_locked(struct machine *m)
{
    set32(&machine_partition(m)->standby[7].lock, 1);
    return LOCK_LIST;
}

static uint64_t leave_slab_locked(struct machine *m)
{
    set32(&machine_anchor(m)->slabs[SLAB_VAD].lock, 1);
    return LOCK_SLAB;
}

static uint64_t leave_directory_locked(struct machine *m)
{
    set32(&machine_anchor(m)->directory_lock, 1);
    return LOCK_DIRECTORY;
}

static uint64_t leave_process_locked(struct machine *m)
{
    set32(&machine_object(m)->working_set_lock, 1);
    return (uint32_t)m->process;
}

static const struct corruption corruptions[] = {
    {"C1", "a page more is charged than is promised", overcharge},
    {"C2", "the charge passes limit and reserve", pass_the_limit},
    {"C3", "the peak is below the charge", forget_peak},
    {"C4", "a bad frame does not lower the limit", forget_a_bad_frame},
    {"C5", "a processor keeps more than it may", keep_too_much},
    {"L1", "the node stays locked", leave_node_locked},
    {"L1", "a list stays locked", leave_list_locked},
    {"L1", "a slab class stays locked", leave_slab_locked},
    {"L1", "the directory stays locked", leave_directory_locked},
    {"L1", "a process stays locked", leave_process_locked},
};

int main(void)
{
    return corruption_run("check_charges", corruptions, sizeof corruptions / sizeof *corruptions);
}
