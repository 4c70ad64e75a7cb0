/*
 * ntmm_check: the parts of the checker in order, and the charges at the end.
 */
#include "inspect/checker.h"

bool check_fail(struct checker *k, const char *invariant, uint64_t object, uint64_t expected,
                uint64_t found)
{
    struct ntmm_check_report *r = k->report;
    for (size_t i = 0; i + 1 < sizeof r->invariant && invariant[i]; i++)
        r->invariant[i] = invariant[i];
    r->process = k->process;
    r->object = object;
    r->expected = expected;
    r->found = found;
    return false;
}

uint32_t *check_mark(struct checker *k, uint64_t frame)
{
    const struct anchor *anchor = anchor_of(k->c);
    uint64_t before = 0;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t index = frame - get64(&anchor->ranges[i].base_frame);
        if (index < get64(&anchor->ranges[i].frame_count))
            return &k->marks[before + index];
        before += get64(&anchor->ranges[i].frame_count);
    }
    return NULL;
}

size_t ntmm_check_scratch_size(const struct ntmm_system *system)
{
    const struct anchor *anchor = core_at(system->bias, system->anchor_ref);
    return (size_t)get64(&anchor->partition.total_pages) * sizeof(uint32_t);
}

static bool check_commit(struct checker *k)
{
    struct partition *partition = partition_of(k->c);
    uint64_t charged = get64(&partition->commit);
    uint64_t most = get64(&partition->commit_limit) + get64(&partition->commit_reserve);

    k->process = 0;
    k->commit += k->process_frames;
    if (!check_equal(k, "PR4", 0, k->process_frames, get64(&partition->process_pages)))
        return false;
    if (!check_equal(k, "C1", 0, k->commit, charged))
        return false;
    if (charged > most)
        return check_fail(k, "C2", 0, most, charged);
    if (get64(&partition->commit_peak) < charged)
        return check_fail(k, "C3", 0, charged, get64(&partition->commit_peak));
    return true;
}

static bool check_waiters(struct checker *k)
{
    struct ntmm_system *sys = k->c->sys;
    uint64_t length = 0;
    struct ntmm_wait *wait = sys->waiters;
    while (wait && (length == 0 || wait != sys->waiters)) {
        length++;
        if (!wait->is_queued || wait->next->prev != wait)
            return check_fail(k, "I2", 0, 1, 0);
        wait = wait->next;
    }
    return check_equal(k, "I2", 0, length, load32_relaxed(&sys->waiter_count));
}

ntmm_status ntmm_check(struct ntmm_system *system, void *scratch, size_t size,
                       struct ntmm_check_report *report)
{
    struct call c = call_begin(system);
    struct checker k = {.c = &c, .marks = scratch, .report = report};
    if (size < ntmm_check_scratch_size(system))
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    __builtin_memset(scratch, 0, ntmm_check_scratch_size(system));
    __builtin_memset(report, 0, sizeof *report);
    bool is_sound = check_lists(&k) && check_processes(&k) && check_slabs(&k) &&
                    check_commit(&k) && check_frames(&k) && check_waiters(&k);
    return is_sound ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INTERNAL_ERROR;
}
