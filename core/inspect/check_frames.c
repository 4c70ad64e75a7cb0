/*
 * The checker's view of frames: lists, runs, and the whole PFN database. It reads the lists first:
 * what follows a reference afterwards trusts the rows' locations.
 */
#include "inspect/checker.h"
#include "phys/cache.h"
#include "phys/hot.h"
#include "phys/poison.h"

/* P4: the owner entry of a standby or modified frame points back. */
static bool check_transition_owner(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    uint64_t address = get64(&pfn->entry_address);
    const uint32_t *table = check_mark(k, pfn_table_frame(pfn));
    bool is_entry =
        ref_frame(k->c, address) == pfn_table_frame(pfn) && is_multiple(address, sizeof(le64));
    if (!table || !is_entry)
        return check_fail(k, "P4", frame, pfn_table_frame(pfn), address);
    uint64_t raw = get64(core_at(k->c->bias, address));
    uint64_t value = entry_value(k->c, raw);
    if (entry_kind(k->c, raw) != PTE_TRANSITION || field_get(value, TR_FRAME) != frame)
        return check_fail(k, "P4", frame, frame, value);
    return true;
}

/* P6, read through the platform in small pieces: a kernel stack is short. */
static bool check_zeroed(struct checker *k, uint64_t frame)
{
    const struct ntmm_platform *platform = &k->c->sys->platform;
    uint64_t words[64];
    for (uint32_t offset = 0; offset < NTMM_PAGE_SIZE; offset += sizeof words) {
        struct ntmm_content_span span = {frame, offset, sizeof words};
        if (!NTMM_SUCCEEDED(platform->read(platform->context, &span, 1, words)))
            return check_fail(k, "P6", frame, 0, offset);
        /* all are as the first one: fast without optimization, too */
        if (words[0] == 0 && __builtin_memcmp(words, words + 1, sizeof words - sizeof *words) == 0)
            continue;
        uint64_t any = 0;
        for (uint32_t i = 0; i < 64; i++)
            any |= words[i];
        return check_fail(k, "P6", frame, 0, any);
    }
    return true;
}

/* P16: nobody wrote to a free frame. */
static bool check_poison(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    if (!is_said_guarded(k->c) || !poison_is_marked(pfn))
        return true;
    return check_equal(k, "P16", frame, 1, poison_is_whole(table_at(k->c, frame), NTMM_PAGE_SIZE));
}

/* P14: nobody has anything to do with a bad frame. */
static bool check_bad(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    return check_equal(k, "P14", frame, NTMM_USE_FREE, (uint64_t)pfn_use(pfn)) &&
           check_equal(k, "P14", frame, 0, get64(&pfn->entry_address)) &&
           check_equal(k, "P14", frame, 0, get64(&pfn->table_frame));
}

static bool check_listed(struct checker *k, uint64_t frame, const struct frame_list *list,
                         uint32_t priority)
{
    const struct pfn *pfn = pfn_at(k->c, frame);
    enum ntmm_frame_location location = pfn_location(pfn);
    if (!check_equal(k, "P1", frame, get32(&list->location), (uint64_t)location))
        return false;
    if (location == NTMM_FRAME_MODIFIED && list_of(k->c, pfn, location) != list)
        return check_fail(k, "P1", frame, 0, 1);
    if (!check_equal(k, "P2", frame, 0, get32(&pfn->share_count)) ||
        !check_equal(k, "P2", frame, 0, get16(&pfn->reference_count)))
        return false;
    if (location == NTMM_FRAME_STANDBY && pfn_priority(pfn) != priority)
        return check_fail(k, "P1", frame, priority, pfn_priority(pfn));
    if (location == NTMM_FRAME_STANDBY || location == NTMM_FRAME_MODIFIED)
        return check_equal(k, "P8", frame, location == NTMM_FRAME_MODIFIED, pfn_is_modified(pfn)) &&
               check_transition_owner(k, frame, pfn);
    if (location == NTMM_FRAME_BAD)
        return check_bad(k, frame, pfn);
    if (location <= NTMM_FRAME_FREE && !check_equal(k, "P9", frame, 0, get64(&pfn->entry_address)))
        return false;
    return location == NTMM_FRAME_ZEROED ? check_zeroed(k, frame) : check_poison(k, frame, pfn);
}

static bool check_list(struct checker *k, const struct frame_list *list, uint32_t priority)
{
    uint64_t previous = FRAME_NONE;
    uint64_t length = 0;
    for (uint64_t frame = get64(&list->head); frame != FRAME_NONE;) {
        uint32_t *mark = check_mark(k, frame);
        if (!mark)
            return check_fail(k, "P1", frame, 1, 0);
        if (!check_equal(k, "P1", frame, 0, *mark))
            return false;
        *mark |= MARK_LISTED;
        const struct pfn *pfn = pfn_at(k->c, frame);
        if (!check_equal(k, "P3", frame, previous, get64(&pfn->blink)) ||
            !check_listed(k, frame, list, priority))
            return false;
        previous = frame;
        length++;
        frame = get64(&pfn->flink);
    }
    return check_equal(k, "P3", get32(&list->location), previous, get64(&list->tail)) &&
           check_equal(k, "P3", get32(&list->location), length, get64(&list->count));
}

/* P15: a frame that a cache names. */
static bool check_cached(struct checker *k, const struct frame_cache *cache, uint64_t frame)
{
    uint32_t *mark = check_mark(k, frame);
    if (!mark)
        return check_fail(k, "P15", frame, 1, 0);
    const struct pfn *pfn = pfn_at(k->c, frame);
    if (!check_equal(k, "P15", frame, 0, *mark) ||
        !check_equal(k, "P15", frame, NTMM_FRAME_ACTIVE, (uint64_t)pfn_location(pfn)) ||
        !check_equal(k, "P15", frame, NTMM_USE_FREE, (uint64_t)pfn_use(pfn)) ||
        !check_equal(k, "P15", frame, 0, get64(&pfn->entry_address)))
        return false;
    *mark |= MARK_CACHED;
    return get32(&cache->is_zeroed) ? check_zeroed(k, frame) : check_poison(k, frame, pfn);
}

/* L1, P15. */
static bool check_cache(struct checker *k, uint32_t index)
{
    const struct frame_cache *cache = &anchor_of(k->c)->caches[index];
    uint32_t count = get32(&cache->count);
    if (!check_equal(k, "L1", index, 0, load32_relaxed(&cache->lock)) ||
        !check_between(k, "P15", index, 0, FRAME_CACHE_FRAMES, count) ||
        !check_between(k, "P15", index, 0, 1, get32(&cache->is_zeroed)))
        return false;
    uint64_t frame = get64(&cache->head);
    for (uint32_t i = 0; i < count; i++) {
        if (!check_cached(k, cache, frame))
            return false;
        frame = get64(&pfn_at(k->c, frame)->flink);
    }
    return true;
}

/* Frames of a run that are zeroed or free, by their rows. */
static uint64_t count_free(struct checker *k, uint64_t base)
{
    uint64_t count = 0;
    for (uint64_t frame = base; frame < base + RUN_FRAMES; frame++)
        count += pfn_location(pfn_at(k->c, frame)) <= NTMM_FRAME_FREE;
    return count;
}

static bool check_runs(struct checker *k, const struct frame_range *range, uint64_t *whole)
{
    const struct run *runs = core_at(k->c->bias, get64(&range->run_ref));
    for (uint32_t i = 0; i < get32(&range->run_count); i++) {
        uint64_t base = (get64(&range->first_run) + i) * RUN_FRAMES;
        uint64_t count = count_free(k, base);
        if (!check_equal(k, "P5", base, base, get64(&runs[i].base_frame)) ||
            !check_equal(k, "P5", base, count, get32(&runs[i].free_count)))
            return false;
        *whole += count == RUN_FRAMES;
    }
    return true;
}

/* Whether a reference names a row of a run table. */
static bool is_run(const struct checker *k, uint64_t ref)
{
    const struct anchor *anchor = anchor_of(k->c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t offset = ref - get64(&anchor->ranges[i].run_ref);
        uint64_t bytes = (uint64_t)get32(&anchor->ranges[i].run_count) * sizeof(struct run);
        if (offset < bytes && offset % sizeof(struct run) == 0)
            return true;
    }
    return false;
}

/* P5: the list of whole runs is sound, holds only whole runs, and as many as there are. */
static bool check_whole_runs(struct checker *k, const struct node *node, uint64_t whole)
{
    uint64_t previous = 0;
    uint64_t length = 0;
    for (uint64_t ref = get64(&node->whole_runs); ref && length <= whole; length++) {
        if (!is_run(k, ref))
            return check_fail(k, "P5", ref, previous, ref);
        const struct run *run = core_at(k->c->bias, ref);
        if (!check_equal(k, "P5", ref, previous, get64(&run->prev)) ||
            !check_equal(k, "P5", ref, RUN_FRAMES, get32(&run->free_count)))
            return false;
        previous = ref;
        ref = get64(&run->next);
    }
    return check_equal(k, "P5", 0, whole, length) &&
           check_equal(k, "P5", 0, whole, get64(&node->whole_run_count));
}

bool check_lists(struct checker *k)
{
    struct partition *partition = partition_of(k->c);
    struct anchor *anchor = anchor_of(k->c);
    uint64_t whole = 0;

    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++) {
        if (!check_list(k, &partition->standby[i], i))
            return false;
    }
    if (!check_list(k, &partition->modified, 0) || !check_list(k, &partition->modified_mapped, 0) ||
        !check_list(k, &partition->modified_no_write, 0) || !check_list(k, &partition->bad, 0) ||
        !check_list(k, &partition->node.zeroed, 0) || !check_list(k, &partition->node.free, 0))
        return false;
    for (uint32_t i = 0; i < FRAME_CACHES; i++) {
        if (!check_cache(k, i))
            return false;
    }
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        if (!check_runs(k, &anchor->ranges[i], &whole))
            return false;
    }
    return check_whole_runs(k, &partition->node, whole);
}

/* P7: references of a frame: one for its shares, one for each transfer, one for each block. */
static uint32_t expected_references(const struct pfn *pfn, uint32_t mark)
{
    uint32_t references = (mark & MARK_KEPT) >> MARK_KEPT_SHIFT;
    references += get32(&pfn->share_count) != 0;
    references += (mark & MARK_READ) != 0;
    references += (mark & MARK_WRITTEN) != 0;
    return references;
}

/* A frame that its entry gave up while a transfer used it: the completion frees it. */
static bool is_orphan(const struct pfn *pfn)
{
    return pfn_location(pfn) == NTMM_FRAME_TRANSITION && get64(&pfn->entry_address) == 0;
}

static bool is_owned(const struct pfn *pfn)
{
    return pfn_use(pfn) == NTMM_USE_PRIVATE || pfn_use(pfn) == NTMM_USE_TABLE;
}

/* P8, G1: what a frame that pages move through says of its backing. */
static bool check_backing(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_to_be_written = pfn_is_modified(pfn) && !pfn_is_being_written(pfn);
    if (is_to_be_written && !check_equal(k, "P8", frame, 0, slot_of(original)))
        return false;
    return check_name(k, original);
}

/* PT1: a page of a section has as many shares as entries name it, and one prototype. */
static bool check_section_frame(struct checker *k, uint64_t frame, const struct pfn *pfn,
                                uint32_t mark)
{
    uint32_t shares = get32(&pfn->share_count);
    k->section_shares += shares;
    k->section_active += shares != 0;
    return check_equal(k, "PT1", frame, mark & MARK_SHARES, shares & MARK_SHARES) &&
           check_equal(k, "PT1", frame, (mark & MARK_SECTION) != 0, !is_orphan(pfn));
}

/* OB2, PT2: no frame of the table of objects, or of prototypes, is left over, but for orphans. */
static bool check_is_met(struct checker *k, uint64_t frame, const struct pfn *pfn, uint32_t mark)
{
    enum ntmm_frame_use use = pfn_use(pfn);
    const char *number = use == NTMM_USE_OBJECT ? "OB2" : "PT2";
    bool is_to_be = use == NTMM_USE_OBJECT || (use == NTMM_USE_PROTOTYPE && !is_orphan(pfn));
    return !is_to_be || check_equal(k, number, frame, (mark & MARK_SECTION) != 0, 1);
}

/* P13: only a page that waits to be used is boosted. */
static bool check_boost(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    bool is_boosted = (load16_relaxed(&pfn->state) & PFN_BOOSTED) != 0;
    bool is_waiting = pfn_use(pfn) == NTMM_USE_SECTION && pfn_location(pfn) != NTMM_FRAME_ACTIVE &&
                      pfn_priority(pfn) >= PRIORITY_BOOST;
    return !is_boosted || check_equal(k, "P13", frame, 1, is_waiting);
}

/* P1, P7, P9: how a frame was met is what its row says. */
static bool check_state(struct checker *k, uint64_t frame, const struct pfn *pfn, uint32_t mark)
{
    enum ntmm_frame_location location = pfn_location(pfn);
    bool is_listed = location != NTMM_FRAME_ACTIVE && location != NTMM_FRAME_TRANSITION;
    bool is_shared = get32(&pfn->share_count) != 0;
    if (!check_equal(k, "P1", frame, is_listed, (mark & MARK_LISTED) != 0) ||
        !check_boost(k, frame, pfn) ||
        !check_equal(k, "P7", frame, location == NTMM_FRAME_ACTIVE, is_shared) ||
        !check_equal(k, "P7", frame, !is_listed, get16(&pfn->reference_count) != 0) ||
        !check_equal(k, "P7", frame, expected_references(pfn, mark), get16(&pfn->reference_count)))
        return false;
    bool is_mapped = is_owned(pfn) && !is_orphan(pfn);
    if (pfn_use(pfn) == NTMM_USE_SECTION)
        return check_section_frame(k, frame, pfn, mark);
    if (pfn_use(pfn) == NTMM_USE_USER_PHYSICAL)
        is_mapped = get64(&pfn->entry_address) != 0;
    return check_equal(k, "P9", frame, is_mapped, mark & MARK_SHARES);
}

/* P17: nothing has to do with a frame that is not there. One with a share is active (P7). */
static bool check_absent(struct checker *k, uint64_t frame, const struct pfn *pfn)
{
    return !pfn_is_absent(pfn) || (check_equal(k, "P17", frame, 1, get32(&pfn->share_count)) &&
                                   check_equal(k, "P17", frame, 0, get64(&pfn->entry_address)) &&
                                   check_equal(k, "P17", frame, 0, get64(&pfn->table_frame)));
}

/* P16: only a frame that nobody has is marked. */
static bool check_poison_mark(struct checker *k, uint64_t frame, const struct pfn *pfn,
                              uint32_t mark)
{
    bool is_free = pfn_location(pfn) == NTMM_FRAME_FREE || (mark & MARK_CACHED) != 0;
    return is_free || !is_said_guarded(k->c) ||
           check_equal(k, "P16", frame, 0, poison_is_marked(pfn));
}

static bool check_frame(struct checker *k, uint64_t frame, bool is_metadata)
{
    const struct pfn *pfn = pfn_at(k->c, frame);
    uint32_t mark = *check_mark(k, frame);
    enum ntmm_frame_use use = pfn_use(pfn);

    if (!check_equal(k, "A2", frame, is_metadata, use == NTMM_USE_METADATA) ||
        !check_equal(k, "I1", frame, (mark & MARK_READ) != 0, pfn_is_being_read(pfn)) ||
        !check_equal(k, "I3", frame, (mark & MARK_WRITTEN) != 0, pfn_is_being_written(pfn)) ||
        !check_equal(k, "G5", frame, (mark & MARK_PAGING) != 0, use == NTMM_USE_PAGING) ||
        !check_is_met(k, frame, pfn, mark) || !check_state(k, frame, pfn, mark) ||
        !check_poison_mark(k, frame, pfn, mark) || !check_absent(k, frame, pfn))
        return false;
    k->user_frames += use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION;
    k->physical_frames -= use == NTMM_USE_USER_PHYSICAL;
    k->transition_frames += pfn_location(pfn) == NTMM_FRAME_TRANSITION;
    bool has_backing = is_owned(pfn) || use == NTMM_USE_SECTION || use == NTMM_USE_PROTOTYPE;
    return !has_backing || check_backing(k, frame, pfn);
}

/* P10. */
static bool check_frame_sums(struct checker *k)
{
    const struct partition *partition = partition_of(k->c);
    uint64_t cached = caches_user_pages(k->c);
    uint64_t user = get64(&partition->node.user_pages) + cached;
    uint64_t standby = 0;
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        standby += get64(&partition->standby[i].count);
    return check_equal(k, "P10", 0, standby, load64_relaxed(&partition->standby_pages)) &&
           check_equal(k, "P10", 1, k->user_frames, user) &&
           (cached != 0 || /* the peak is brought up to date when somebody looks */
            check_between(k, "P10", 2, user, UINT64_MAX, get64(&partition->node.user_peak))) &&
           check_equal(k, "P10", 4, k->section_shares,
                       load64_relaxed(&partition->section_shares)) &&
           check_equal(k, "P10", 5, k->section_active,
                       load64_relaxed(&partition->section_active)) &&
           check_equal(k, "P10", 3, k->transition_frames,
                       load64_relaxed(&partition->transition_pages));
}

bool check_frames(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        uint64_t base = get64(&range->base_frame);
        for (uint64_t j = 0; j < get64(&range->frame_count); j++) {
            if (!check_frame(k, base + j, base + j < get64(&range->metadata_end)))
                return false;
        }
    }
    return check_frame_sums(k) && check_equal(k, "U1", 0, 0, k->physical_frames);
}
