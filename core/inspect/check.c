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

/* A1, A2: the anchor is the running instance's, and its sums are those of its ranges. */
static bool check_anchor(struct checker *k)
{
    const struct ntmm_system *sys = k->c->sys;
    const struct anchor *anchor = anchor_of(k->c);
    uint64_t total = 0;
    uint64_t metadata = 0;

    if (!check_equal(k, "A1", 0, ANCHOR_MAGIC, get64(&anchor->magic)) ||
        !check_equal(k, "A1", 1, sys->core_base, get64(&anchor->core_base)) ||
        !check_equal(k, "A1", 2, sys->invalid_mask, get64(&anchor->invalid_mask)))
        return false;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        total += get64(&range->frame_count);
        metadata += get64(&range->metadata_end) - get64(&range->base_frame);
    }
    const struct partition *partition = partition_of(k->c);
    return check_equal(k, "A2", 0, total, get64(&partition->total_pages)) &&
           check_equal(k, "A2", 1, metadata, get64(&partition->metadata_pages));
}

/* L1, but for the locks of processes: object is the lock's level. */
static bool check_locks(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    const struct partition *partition = partition_of(k->c);
    uint32_t lists = load32_relaxed(&partition->modified.lock) |
                     load32_relaxed(&partition->modified_no_write.lock) |
                     load32_relaxed(&partition->bad.lock);
    uint32_t slabs = 0;

    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        lists |= load32_relaxed(&partition->standby[i].lock);
    for (uint32_t i = 0; i < SLAB_KIND_COUNT; i++)
        slabs |= load32_relaxed(&anchor->slabs[i].lock);
    return check_equal(k, "L1", LOCK_DIRECTORY, 0, load32_relaxed(&anchor->directory_lock)) &&
           check_equal(k, "L1", LOCK_SLAB, 0, slabs) && check_equal(k, "L1", LOCK_LIST, 0, lists) &&
           check_equal(k, "L1", LOCK_NODE, 0, load32_relaxed(&partition->node.lock)) &&
           check_equal(k, "L1", LOCK_WAITERS, 0, load32_relaxed(&k->c->sys->waiters_lock));
}

static bool check_commit(struct checker *k)
{
    struct partition *partition = partition_of(k->c);
    uint64_t charged = get64(&partition->commit);
    uint64_t most = get64(&partition->commit_limit) + get64(&partition->commit_reserve);

    k->process = 0;
    k->commit += k->process_frames;
    k->commit += load64_relaxed(&partition->paging_pages);
    if (!check_equal(k, "C1", 0, k->commit, charged))
        return false;
    if (charged > most)
        return check_fail(k, "C2", 0, most, charged);
    if (get64(&partition->commit_peak) < charged)
        return check_fail(k, "C3", 0, charged, get64(&partition->commit_peak));
    return true;
}

static bool check_queue(struct checker *k, const struct wait_queue *queue)
{
    uint64_t length = 0;
    const struct ntmm_wait *wait = queue->first;
    while (wait && (length == 0 || wait != queue->first)) {
        length++;
        if (!wait->is_queued || wait->next->prev != wait)
            return check_fail(k, "I2", 0, 1, 0);
        wait = wait->next;
    }
    return check_equal(k, "I2", 0, length, load32_relaxed(&queue->count));
}

static bool check_waiters(struct checker *k)
{
    const struct ntmm_system *sys = k->c->sys;
    return check_queue(k, &sys->for_frame) && check_queue(k, &sys->transfers.for_block);
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
    bool is_sound = check_anchor(&k) && check_locks(&k) && check_lists(&k) && check_slabs(&k) &&
                    check_processes(&k) && check_slab_owners(&k) && check_commit(&k) &&
                    check_frames(&k) && check_waiters(&k);
    return is_sound ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INTERNAL_ERROR;
}
