/*
 * Resolving a prototype entry: the page of a section, whoever asks for it.
 *
 *   valid                 one share more           page file     read it in (PENDING)
 *   transition, listed    back from its list       of the file   read it in, or zeros where the
 *   being read            join the read                          file has nothing
 *   software, or empty    demand zero
 *
 * The entry and its table belong to (X), an entry that names a frame to the frame's (F): so what is
 * valid or in transition is looked at again under (F). A table that is out comes back first. Tables
 * are made when there are frames for them and the page, and freed again when it finds none, or none
 * to read into (F1).
 */
#include "section/prototype.h"
#include "fault/door.h"
#include "paging/transfers.h"
#include "space/clone_page.h"

struct acquisition {
    struct control_area *area; /* NULL: the page is one that clones share */
    struct prototype_span span;
    struct ntmm_wait *wait;
    uint64_t page;
    uint64_t frame; /* out */
    enum ntmm_fault_kind kind;
    bool has_tables; /* new ones */
};

static void enter_valid(struct call *c, struct acquisition *a, uint64_t original)
{
    entry_make_valid(c, a->span.table, a->span.entry,
                     entry_of_prototype(a->frame, (uint32_t)field_get(original, SW_PROTECTION)));
}

/* One share more of a valid page. False: it is not valid any more. */
static bool add_share(struct call *c, struct acquisition *a, uint64_t raw)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    frame_lock(c, frame);
    bool is_same = load64_relaxed(a->span.entry) == raw;
    if (is_same)
        frame_add_share(c, frame);
    frame_unlock(c, frame);
    a->frame = frame;
    a->kind = NTMM_FAULT_KIND_TRANSITION;
    return is_same;
}

/* (F) of the frame is held, and released. */
static ntmm_status bring_back(struct call *c, struct acquisition *a, uint64_t frame)
{
    if (pfn_is_being_read(pfn_at(c, frame)))
        return door_join(c, frame);
    frame_reactivate(c, frame);
    a->frame = frame;
    enter_valid(c, a, load64_relaxed(&pfn_at(c, frame)->original_pte));
    frame_unlock(c, frame);
    a->kind = a->wait->flags & WAIT_IS_HARD ? NTMM_FAULT_KIND_HARD : NTMM_FAULT_KIND_TRANSITION;
    return NTMM_STATUS_SUCCESS;
}

/* A page of zeros; `value`: what its frame's original entry is. */
static ntmm_status enter_zeros(struct call *c, struct acquisition *a, uint64_t value)
{
    if (!frame_allocate_zeroed(c, NTMM_USE_SECTION, &a->frame))
        return NTMM_STATUS_PENDING;
    struct pfn *pfn = pfn_at(c, a->frame);
    uint64_t address = core_ref(c, a->span.entry);
    set64(&pfn->entry_address, address);
    store64_relaxed(&pfn->original_pte, value);
    set64(&pfn->table_frame, ref_frame(c, address));
    if (!entry_is_of_file(value))
        pfn_set_modified(pfn); /* it has no backing yet */
    frame_step(c, pfn, entry_is_of_file(value) ? "own_zeros" : "own_dirty");
    frame_note_first_share(c);
    enter_valid(c, a, value);
    a->kind = NTMM_FAULT_KIND_DEMAND_ZERO;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status read_page_file(struct call *c, struct acquisition *a)
{
    struct inpage_request request = {.table = a->span.table,
                                     .entry = a->span.entry,
                                     .use = NTMM_USE_SECTION,
                                     .cluster = c->sys->read_cluster};
    uint32_t pages = 0;
    return door_begin_read(c, a->wait, &request, &pages);
}

static ntmm_status read_file(struct call *c, struct acquisition *a)
{
    uint32_t span_count = 0;
    uint32_t pages = 0;
    struct mapped_request request = {.area = a->area,
                                     .table = a->span.table,
                                     .entry = a->span.entry,
                                     .page = a->page,
                                     .cluster = c->sys->read_cluster};
    ntmm_status earlier = door_earlier_read(c, a->wait, a->span.entry, &span_count);
    if (!NTMM_SUCCEEDED(earlier) && span_count == 1)
        return earlier;
    if (!NTMM_SUCCEEDED(earlier))
        request.cluster = 1;
    struct transfer_block *block = mapped_read_begin(c, &request, &pages);
    if (block)
        c->want = (struct want){.kind = WANT_READ, .block = block, .is_new = true};
    return NTMM_STATUS_PENDING;
}

/* No frame has it. */
static ntmm_status bring_in(struct call *c, struct acquisition *a, uint64_t raw)
{
    uint64_t value = entry_value(c, raw);
    uint64_t offset;
    if (value == 0)
        value = prototype_default(c, a->area, a->page);
    if (value == 0)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (entry_is_of_file(value)) {
        bool is_in_file = area_backing(c, a->area, a->page, value, &offset) != 0;
        return is_in_file ? read_file(c, a) : enter_zeros(c, a, value);
    }
    if (entry_is_damaged(value))
        return NTMM_STATUS_HARDWARE_MEMORY_ERROR;
    if (slot_of(value) != 0)
        return read_page_file(c, a);
    return enter_zeros(c, a, value);
}

/* (X) is held. SUCCESS: no table that leads to the page is out, as a->span says. */
static ntmm_status bring_tables(struct call *c, struct acquisition *a)
{
    for (;;) {
        a->span = prototype_find(c, a->area, a->page);
        if (!prototype_is_out(&a->span))
            return NTMM_STATUS_SUCCESS;
        if (prototype_return(c, a->area, &a->span))
            continue;
        ntmm_status status = door_read_table(c, a->wait, a->span.upper, NTMM_USE_PROTOTYPE);
        c->want.is_prototype = c->want.kind == WANT_READ;
        if (c->want.is_new)
            system_count(c, NTMM_COUNTER_TABLE_READS, 1);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
}

/* The entry, which has no table in memory. (X) is held. */
static __attribute__((noinline)) ntmm_status make_entry(struct call *c, struct acquisition *a)
{
    ntmm_status status = bring_tables(c, a);
    if (status != NTMM_STATUS_SUCCESS || a->span.entry)
        return status;
    if (prototype_default(c, a->area, a->page) == 0)
        return NTMM_STATUS_ACCESS_VIOLATION;
    a->span = prototype_make(c, a->area, a->page, TABLE_FOR_FAULT, 1);
    a->has_tables = a->span.entry != NULL;
    if (a->has_tables)
        return NTMM_STATUS_SUCCESS;
    return c->want.kind == WANT_COMMIT ? NTMM_STATUS_COMMITMENT_LIMIT : NTMM_STATUS_PENDING;
}

/* (X) is held. */
static ntmm_status find_entry(struct call *c, struct acquisition *a)
{
    if (a->page >= get64(&a->area->pages))
        return NTMM_STATUS_ACCESS_VIOLATION;
    a->span = prototype_find(c, a->area, a->page);
    return __builtin_expect(a->span.entry != NULL, 1) ? NTMM_STATUS_SUCCESS : make_entry(c, a);
}

/* The page did not come. Tables that were made for it in vain go; what is wanted is wanted beside
 * those that it will need again. (X) is held. */
static __attribute__((noinline)) void give_up(struct call *c, const struct acquisition *a)
{
    struct want want = c->want;
    if (a->has_tables)
        prototype_prune(c, a->area, a->page);
    c->want = want;
    if (want.kind == WANT_FRAME)
        c->want.pages = 1 + prototype_frames_needed(c, a->area, a->page);
}

/* (X) is held. */
static ntmm_status resolve(struct call *c, struct acquisition *a)
{
    ntmm_status status = a->area ? find_entry(c, a) : NTMM_STATUS_SUCCESS;
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (;;) {
        uint64_t raw = load64_acquire(a->span.entry);
        if (raw & FIELD_MASK(HW_VALID)) {
            if (add_share(c, a, raw))
                return NTMM_STATUS_SUCCESS;
            continue;
        }
        uint64_t frame = entry_lock_transition(c, a->span.entry);
        if (frame != FRAME_NONE)
            return bring_back(c, a, frame);
        raw = load64_acquire(a->span.entry);
        if (!(raw & FIELD_MASK(HW_VALID)))
            return bring_in(c, a, raw);
    }
}

/* (X) is held. */
static ntmm_status acquire(struct call *c, struct acquisition *a)
{
    ntmm_status status = resolve(c, a);
    if (__builtin_expect(status != NTMM_STATUS_SUCCESS, 0) && a->area)
        give_up(c, a);
    return status;
}

ntmm_status prototype_bring(struct call *c, struct control_area *area, uint64_t page,
                            struct ntmm_wait *wait)
{
    struct acquisition a = {.area = area, .wait = wait, .page = page};
    c->want = (struct want){.kind = WANT_NOTHING};
    area_lock(c, area);
    ntmm_status status = bring_tables(c, &a);
    if (c->want.kind == WANT_FRAME)
        c->want.pages = prototype_frames_needed(c, area, page);
    area_unlock(c, area);
    return status;
}

/* The lock (X) of an area, or of a block of clones. */
static ntmm_status acquire_locked(struct call *c, struct acquisition *a, le32 *lock,
                                  uint64_t *frame, enum ntmm_fault_kind *kind)
{
    c->want = (struct want){.kind = WANT_NOTHING};
    lock_acquire(c, lock, LOCK_SECTION);
    ntmm_status status = acquire(c, a);
    lock_release(c, lock, LOCK_SECTION);
    if (c->want.is_new && !c->want.is_prototype)
        a->wait->flags |= WAIT_IS_HARD;
    *frame = a->frame;
    *kind = a->kind;
    return status;
}

ntmm_status prototype_acquire(struct call *c, struct control_area *area, uint64_t page,
                              struct ntmm_wait *wait, uint64_t *frame, enum ntmm_fault_kind *kind)
{
    struct acquisition a = {.area = area, .wait = wait, .page = page};
    le32 *lock;
    if (area) {
        lock = &area->lock;
    } else {
        a.span.entry = core_at(c->bias, page);
        a.span.table = pfn_at(c, ref_frame(c, page));
        lock = &clone_block_of(c, page)->lock;
    }
    return acquire_locked(c, &a, lock, frame, kind);
}
