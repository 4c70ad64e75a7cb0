/*
 * One leaf entry at a time, and the gathering of what an operation withdraws.
 */
#include "phys/slots.h"
#include "space/clone_page.h"
#include "space/protection.h"

static bool is_in_memory(const struct call *c, uint64_t entry)
{
    enum pte_kind kind = entry_kind(c, entry);
    return kind == PTE_VALID || kind == PTE_TRANSITION;
}

static void keep_counts(const struct call *c, struct pfn *table, uint64_t old, uint64_t new)
{
    int32_t used = (new != 0) - (old != 0);
    int32_t shares = is_in_memory(c, new) - is_in_memory(c, old);
    if (used)
        pfn_add_used(table, used);
    if (shares)
        pfn_add_share(table, shares);
}

uint64_t entry_lock_transition(struct call *c, const le64 *entry)
{
    for (;;) {
        uint64_t raw = load64_acquire(entry);
        if (raw == 0 || (raw & FIELD_MASK(HW_VALID)) || entry_kind(c, raw) != PTE_TRANSITION)
            return FRAME_NONE;
        uint64_t frame = field_get(entry_value(c, raw), TR_FRAME);
        frame_lock(c, frame);
        if (load64_relaxed(entry) == raw)
            return frame;
        frame_unlock(c, frame);
    }
}

uint64_t entry_write(struct call *c, struct pfn *table, le64 *entry, uint64_t value)
{
    uint64_t old = load64_relaxed(entry);
    uint64_t new = invalid_encode(value, c->sys->invalid_mask);
    NTMM_ASSERT(!(old & FIELD_MASK(HW_VALID)));
    store64_relaxed(entry, new);
    keep_counts(c, table, old, new);
    return old;
}

void entry_reprotect(struct call *c, struct pfn *table, le64 *entry, uint32_t protection)
{
    uint64_t frame = entry_lock_transition(c, entry);
    if (frame != FRAME_NONE) {
        struct pfn *pfn = pfn_at(c, frame);
        uint64_t original = load64_relaxed(&pfn->original_pte);
        entry_write(c, table, entry, entry_transition(protection, frame));
        store64_relaxed(&pfn->original_pte, field_set(original, SW_PROTECTION, protection));
        frame_unlock(c, frame);
        return;
    }
    const uint64_t names_page = FIELD_MASK(SW_PAGEFILE_HIGH) | FIELD_MASK(SW_PROTOTYPE);
    uint64_t value = entry_value(c, load64_relaxed(entry));
    if (!(value & names_page)) /* neither a slot, or damage, nor a page of clones */
        value &= ENTRY_LOST;
    entry_write(c, table, entry, field_set(value, SW_PROTECTION, protection));
}

void entry_make_valid(struct call *c, struct pfn *table, le64 *entry, uint64_t hardware)
{
    uint64_t old = load64_relaxed(entry);
    store64_release(entry, hardware);
    keep_counts(c, table, old, hardware);
}

uint64_t entry_exchange(const struct call *c, struct pfn *table, le64 *entry, uint64_t raw)
{
    uint64_t old = exchange64(entry, raw);
    keep_counts(c, table, old, raw);
    return old;
}

uint64_t entry_hardware(uint64_t frame, uint32_t protection, bool is_dirty)
{
    uint64_t bits = x64_protection_bits[protection] | FIELD_MASK(HW_VALID) | FIELD_MASK(HW_OWNER) |
                    FIELD_MASK(HW_ACCESSED) | frame << NTMM_PAGE_SHIFT;
    if (is_dirty && (bits & FIELD_MASK(HW_WRITE)))
        bits |= FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY);
    return bits;
}

uint64_t entry_with_protection(uint64_t frame, uint32_t protection, bool is_dirty, uint64_t kind)
{
    uint64_t entry = entry_hardware(frame, protection, is_dirty) | kind;
    return field_set(entry, HW_WS_PROTECTION, protection & PROT_ACCESS_MASK);
}

uint32_t entry_own_protection(uint64_t entry)
{
    uint32_t protection = (uint32_t)field_get(entry, HW_WS_PROTECTION);
    if (entry & FIELD_MASK(HW_CACHE_DISABLE))
        protection |= PROT_NOCACHE;
    else if (entry & FIELD_MASK(HW_WRITE_THROUGH))
        protection |= PROT_WRITECOMBINE;
    return __builtin_expect((entry & ENTRY_CLONED) != 0, 0) ? protection_after_copy(protection)
                                                            : protection;
}

uint64_t entry_when_trimmed(const struct call *c, uint64_t raw)
{
    uint32_t protection = entry_own_protection(raw);
    return raw & ENTRY_CLONED ? clone_page_value(clone_page_prototype(c, raw), protection)
                              : entry_prototype(protection);
}

void entry_replace_borrowed(const struct call *c, struct pfn *table, le64 *entry, uint64_t value)
{
    bool is_valid = (value & FIELD_MASK(HW_VALID)) != 0;
    uint64_t new = is_valid ? value : invalid_encode(value, c->sys->invalid_mask);
    uint64_t old = exchange64(entry, new);
    NTMM_ASSERT(old & ENTRY_BORROWED);
    keep_counts(c, table, old, new);
}

uint64_t entry_withdraw(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                        uint64_t page, uint64_t value, struct gather *g)
{
    uint64_t new = invalid_encode(value, c->sys->invalid_mask);
    uint64_t old = exchange64(entry, new);
    uint64_t frame = field_get(old, HW_FRAME);

    NTMM_ASSERT(old & FIELD_MASK(HW_VALID));
    /* whoever let a processor write marked the frame: a dirty entry has nothing to add */
    NTMM_ASSERT(!(old & FIELD_MASK(HW_DIRTY)) || pfn_is_modified(pfn_at(c, frame)));
    keep_counts(c, table, old, new);
    process_subtract(&process->working_set_pages, 1);
    if (__builtin_expect((old & ENTRY_LOCKED) != 0, 0))
        process_subtract(&process->locked_pages, 1);
    gather_range(g, page, page + 1);
    return frame;
}

/* `mark`: what goes with the share. */
static inline __attribute__((always_inline)) void withdraw_shared(struct call *c,
                                                                  struct process *process,
                                                                  struct pfn *table, le64 *entry,
                                                                  uint64_t page, uint64_t value,
                                                                  struct gather *g, uint64_t mark)
{
    uint64_t new = invalid_encode(value, c->sys->invalid_mask);
    uint64_t old = exchange64(entry, new);
    uint64_t frame = field_get(old, HW_FRAME);

    NTMM_ASSERT(old & ENTRY_SHARED);
    /* it may have been written to since a flush cleared the mark */
    if (old & FIELD_MASK(HW_DIRTY))
        frame_make_modified(c, frame);
    keep_counts(c, table, old, new);
    process_subtract(&process->working_set_pages, 1);
    if (__builtin_expect((old & ENTRY_LOCKED) != 0, 0))
        process_subtract(&process->locked_pages, 1);
    gather_range(g, page, page + 1);
    gather_share(c, process, g, frame | mark);
}

void entry_withdraw_shared(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                           uint64_t page, uint64_t value, struct gather *g)
{
    withdraw_shared(c, process, table, entry, page, value, g, 0);
}

void entry_withdraw_cloned(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                           uint64_t page, uint64_t value, struct gather *g)
{
    withdraw_shared(c, process, table, entry, page, value, g, GATHER_CLONED);
}

void gather_share(struct call *c, struct process *process, struct gather *g, uint64_t share)
{
    g->shares[g->share_count++] = share;
    if (g->share_count == GATHER_SHARES)
        gather_apply(c, process, g);
}

/* Ranges that touch or overlap the last one extend it; beyond the last slot, everything. */
void gather_range(struct gather *g, uint64_t page, uint64_t end)
{
    struct ntmm_shootdown *s = &g->shootdown;
    uint64_t base_va = page << NTMM_PAGE_SHIFT;
    uint64_t end_va = end << NTMM_PAGE_SHIFT;

    if (g->is_needed && s->range_count == 0)
        return; /* the whole address space already */
    g->is_needed = true;
    if (s->range_count > 0) {
        struct ntmm_address_range *last = &s->ranges[s->range_count - 1];
        if (base_va <= last->end && end_va >= last->base) {
            last->base = base_va < last->base ? base_va : last->base;
            last->end = end_va > last->end ? end_va : last->end;
            return;
        }
    }
    if (s->range_count == NTMM_SHOOTDOWN_RANGES) {
        s->range_count = 0;
        return;
    }
    s->ranges[s->range_count++] = (struct ntmm_address_range){.base = base_va, .end = end_va};
}

/* The embedder's own processors, after the platform's. */
static void tell_sink(const struct call *c, const struct ntmm_shootdown *s)
{
    ntmm_invalidation_sink sink = c->sys->invalidation_sink;
    void *context = c->sys->invalidation_context;
    if (s->range_count == 0)
        sink(context, s->process, 0, UINT64_MAX, s->reason);
    for (uint32_t i = 0; i < s->range_count; i++)
        sink(context, s->process, s->ranges[i].base, s->ranges[i].end, s->reason);
}

/* The share first: the last reference ends a page that nobody maps. */
static void end_cloned(struct call *c, struct gather *g, uint64_t frame)
{
    uint64_t prototype = get64(&pfn_at(c, frame)->entry_address);
    frame_end_share(c, frame);
    clone_page_give_up(c, prototype, &g->freed);
}

/* No processor can reach them any more. */
static void end_shares(struct call *c, struct gather *g)
{
    for (uint32_t i = 0; i < g->share_count; i++) {
        if (g->shares[i] & GATHER_CLONED)
            end_cloned(c, g, g->shares[i] & ~GATHER_CLONED);
        else if (g->is_boosting)
            frame_end_share_boosted(c, g->shares[i]);
        else
            frame_end_share(c, g->shares[i]);
    }
    g->share_count = 0;
}

static void list_trimmed(struct call *c, struct gather *g)
{
    for (uint64_t frame = g->trimmed.head, next; frame != FRAME_NONE; frame = next) {
        next = get64(&pfn_at(c, frame)->flink);
        frame_end_share(c, frame);
    }
    g->trimmed = chain_empty();
}

static void free_freed(struct call *c, struct gather *g)
{
    struct frame_chain unused = chain_empty();
    for (uint64_t frame = g->freed.head, next; frame != FRAME_NONE; frame = next) {
        next = get64(&pfn_at(c, frame)->flink);
        frame_delete(c, frame, &unused);
    }
    g->freed = chain_empty();
    chain_free(c, &unused);
}

void gather_apply(struct call *c, struct process *process, struct gather *g)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (g->is_needed) {
        process_count(process, NTMM_COUNTER_INVALIDATIONS, 1);
        event_note(c, NTMM_EVENT_SHOOTDOWN, g->shootdown.process, g->shootdown.ranges[0].base,
                   g->shootdown.ranges[0].end, g->shootdown.range_count);
        if (platform->invalidate)
            platform->invalidate(platform->context, &g->shootdown);
        if (c->sys->invalidation_sink)
            tell_sink(c, &g->shootdown);
    }
    g->is_needed = false;
    g->shootdown.range_count = 0;
    end_shares(c, g);
    list_trimmed(c, g);
    if (g->freed.count != 0)
        free_freed(c, g);
}
