/*
 * ntmm_check: the parts of the checker in order, and the charges.
 */
#include "inspect/checker.h"
#include "phys/cache.h"
#include "phys/hot.h"

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

/* --- scratch --- */

static size_t mark_bytes(const struct call *c)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++)
        rows += get64(&anchor->ranges[i].frame_count);
    return (size_t)round_up(rows * sizeof(uint32_t), 8);
}

static size_t name_bytes(const struct call *c, uint32_t file)
{
    return (size_t)round_up(check_file_slots(c, file), 64) / 8;
}

/* Slabs of control areas, as far as there can be, and objects of one. */
static uint64_t area_slabs(const struct call *c)
{
    uint64_t slabs = get64(&anchor_of(c)->slabs[SLAB_CONTROL_AREA].frame_count);
    return min_u64(slabs, get64(&partition_of(c)->total_pages));
}

static uint64_t areas_of_slab(const struct call *c)
{
    uint64_t areas = get32(&anchor_of(c)->slabs[SLAB_CONTROL_AREA].capacity);
    return min_u64(areas, NTMM_PAGE_SIZE / sizeof(struct control_area));
}

static size_t area_slab_bytes(const struct call *c)
{
    return (size_t)round_up(area_slabs(c) * sizeof(uint32_t), 8);
}

static size_t area_bytes(const struct call *c)
{
    size_t references = (size_t)(area_slabs(c) * areas_of_slab(c)) * sizeof(struct area_references);
    return area_slab_bytes(c) + references;
}

size_t ntmm_check_scratch_size(const struct ntmm_system *system)
{
    const struct call c = {.sys = (struct ntmm_system *)system, .bias = system->bias};
    size_t size = mark_bytes(&c) + (CHECK_LEVELS_MAX - 1) * NTMM_PAGE_SIZE + area_bytes(&c);
    for (uint32_t i = 0; i < check_file_count(&c); i++)
        size += name_bytes(&c, i);
    return size;
}

static void lay_out_scratch(struct checker *k, uint8_t *scratch)
{
    k->marks = (uint32_t *)(void *)scratch;
    scratch += mark_bytes(k->c);
    k->pages = (le64 *)(void *)scratch;
    scratch += (CHECK_LEVELS_MAX - 1) * NTMM_PAGE_SIZE;
    k->file_count = check_file_count(k->c);
    for (uint32_t i = 0; i < k->file_count; i++) {
        k->files[i].bits = scratch;
        k->files[i].slots = check_file_slots(k->c, i);
        scratch += name_bytes(k->c, i);
    }
    k->area_slab_most = area_slabs(k->c);
    k->area_slabs = (uint32_t *)(void *)scratch;
    k->area_references = (struct area_references *)(void *)(scratch + area_slab_bytes(k->c));
}

/* --- parts --- */

/* A3: what is counted twice agrees, and what is ordered is in order. */
static bool check_conditions(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    const struct partition *partition = partition_of(k->c);
    uint64_t repurposed = 0;

    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        repurposed += load64_relaxed(&partition->repurposed[i]);
    return check_equal(k, "A3", 0, load64_relaxed(&anchor->counters[NTMM_COUNTER_PAGES_REPURPOSED]),
                       repurposed) &&
           check_between(k, "A3", 1, get64(&anchor->low_memory_pages), UINT64_MAX,
                         get64(&anchor->high_memory_pages));
}

/* Rows of frames that are not absent. */
static uint64_t count_there(const struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    uint64_t there = 0;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t base = get64(&anchor->ranges[i].base_frame);
        for (uint64_t j = 0; j < get64(&anchor->ranges[i].frame_count); j++)
            there += !pfn_is_absent(pfn_at(k->c, base + j));
    }
    return there;
}

/* A1, A2, P17: the anchor is the running instance's, and its sums are those of its ranges. */
static bool check_anchor(struct checker *k)
{
    const struct ntmm_system *sys = k->c->sys;
    const struct anchor *anchor = anchor_of(k->c);
    uint64_t metadata = 0;

    if (!check_equal(k, "A1", 0, ANCHOR_MAGIC, get64(&anchor->magic)) ||
        !check_equal(k, "A1", 1, sys->core_base, get64(&anchor->core_base)) ||
        !check_equal(k, "A1", 2, sys->invalid_mask, get64(&anchor->invalid_mask)))
        return false;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        bool has_rows = get64(&range->frame_count) != 0;
        if (has_rows &&
            !check_equal(k, "A2", i, get64(&range->given_count), get64(&range->frame_count)))
            return false;
        metadata += get64(&range->metadata_end) - get64(&range->base_frame);
    }
    const struct partition *partition = partition_of(k->c);
    return check_equal(k, "P17", 0, count_there(k), get64(&partition->total_pages)) &&
           check_equal(k, "A2", 1, metadata, get64(&partition->metadata_pages)) &&
           check_conditions(k);
}

/* L1, but for the locks of page files and processes: object is the lock's level. */
static bool check_locks(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    const struct partition *partition = partition_of(k->c);
    uint32_t lists = load32_relaxed(&partition->modified.lock) |
                     load32_relaxed(&partition->modified_mapped.lock) |
                     load32_relaxed(&partition->modified_no_write.lock) |
                     load32_relaxed(&partition->bad.lock);
    uint32_t slabs = 0;
    uint32_t frames = 0;

    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        lists |= load32_relaxed(&partition->standby[i].lock);
    for (uint32_t i = 0; i < SLAB_KIND_COUNT; i++)
        slabs |= load32_relaxed(&anchor->slabs[i].lock);
    for (uint32_t i = 0; i < FRAME_LOCKS; i++)
        frames |= load32_relaxed(&anchor->frame_locks[i]);
    return check_equal(k, "L1", LOCK_DIRECTORY, 0, load32_relaxed(&anchor->directory_lock)) &&
           check_equal(k, "L1", LOCK_SLAB, 0, slabs) && check_equal(k, "L1", LOCK_LIST, 0, lists) &&
           check_equal(k, "L1", LOCK_FRAME, 0, frames) &&
           check_equal(k, "L1", LOCK_NODE, 0, load32_relaxed(&partition->node.lock)) &&
           check_equal(k, "L1", LOCK_WAITERS, 0, load32_relaxed(&k->c->sys->waiters_lock));
}

/* C4. */
static bool check_limit(struct checker *k, const struct partition *partition)
{
    uint64_t limit = get64(&partition->total_pages) - get64(&partition->metadata_pages) -
                     get64(&partition->bad.count) + get64(&partition->commit_extra);
    for (uint32_t i = 0; i < k->file_count; i++)
        limit += get64(&page_file_at(k->c, i)->size_pages) - 1;
    return check_equal(k, "C4", 0, limit, get64(&partition->commit_limit));
}

static bool check_kept(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    for (uint32_t i = 0; i < FRAME_CACHES; i++) {
        if (!check_between(k, "C5", i, 0, COMMIT_KEPT_MAX, get64(&anchor->caches[i].commit)))
            return false;
    }
    return true;
}

static bool check_commit(struct checker *k)
{
    struct partition *partition = partition_of(k->c);
    uint64_t charged = commit_charged(k->c);
    uint64_t most = get64(&partition->commit_limit) + get64(&partition->commit_reserve) +
                    get64(&partition->bad.count);

    k->process = 0;
    k->commit += k->process_frames + k->paging_frames;
    if (!check_equal(k, "C1", 0, k->commit, charged))
        return false;
    if (charged > most)
        return check_fail(k, "C2", 0, most, charged);
    if (get64(&partition->commit_peak) < charged)
        return check_fail(k, "C3", 0, charged, get64(&partition->commit_peak));
    return check_limit(k, partition) && check_kept(k);
}

ntmm_status ntmm_check_with_storage(struct ntmm_system *system, void *scratch, size_t size,
                                    ntmm_storage_reader *reader, void *context,
                                    struct ntmm_check_report *report)
{
    struct call c = call_begin(system);
    struct checker k = {.c = &c, .reader = reader, .reader_context = context, .report = report};
    if (size < ntmm_check_scratch_size(system))
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    __builtin_memset(scratch, 0, ntmm_check_scratch_size(system));
    __builtin_memset(report, 0, sizeof *report);
    lay_out_scratch(&k, scratch);
    bool is_sound = check_anchor(&k) && check_locks(&k) && check_lists(&k) && check_slabs(&k) &&
                    check_page_files(&k) && check_transfers(&k) && check_sections(&k) &&
                    check_clones(&k) && check_processes(&k) && check_clone_references(&k) &&
                    check_area_views(&k) && check_slab_owners(&k) && check_commit(&k) &&
                    check_frames(&k) && check_names(&k) && check_waits(&k);
    return is_sound ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INTERNAL_ERROR;
}

ntmm_status ntmm_check(struct ntmm_system *system, void *scratch, size_t size,
                       struct ntmm_check_report *report)
{
    return ntmm_check_with_storage(system, scratch, size, NULL, NULL, report);
}
