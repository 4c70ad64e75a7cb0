/*
 * Pages that a process and its clones share: blocks, references, the way in and the way back. See
 * clone_page.h.
 */
#include "space/clone_page.h"
#include "phys/slots.h"
#include "space/protection.h"

uint64_t clone_page_prototype(const struct call *c, uint64_t raw)
{
    if (raw & FIELD_MASK(HW_VALID))
        return get64(&pfn_at(c, field_get(raw, HW_FRAME))->entry_address);
    return field_get_address(entry_value(c, raw), PROTO_ADDRESS);
}

static uint32_t protection_of(const struct call *c, uint64_t raw)
{
    if (raw & FIELD_MASK(HW_VALID))
        return entry_own_protection(raw);
    return (uint32_t)field_get(entry_value(c, raw), PROTO_PROTECTION);
}

static uint32_t index_of(uint64_t prototype)
{
    return (uint32_t)(prototype / sizeof(le64)) & (PAGES_PER_TABLE - 1);
}

/* --- blocks --- */

static void link_block(struct call *c, uint64_t ref)
{
    struct anchor *anchor = anchor_of(c);
    lock_acquire(c, &anchor->objects_lock, LOCK_OBJECTS);
    uint64_t head = get64(&anchor->clone_blocks);
    set64(&clone_block_at(c, ref)->next, head);
    if (head)
        set64(&clone_block_at(c, head)->prev, ref);
    set64(&anchor->clone_blocks, ref);
    lock_release(c, &anchor->objects_lock, LOCK_OBJECTS);
}

static void unlink_block(struct call *c, const struct clone_block *block)
{
    struct anchor *anchor = anchor_of(c);
    lock_acquire(c, &anchor->objects_lock, LOCK_OBJECTS);
    uint64_t next = get64(&block->next);
    uint64_t prev = get64(&block->prev);
    set64(prev ? &clone_block_at(c, prev)->next : &anchor->clone_blocks, next);
    if (next)
        set64(&clone_block_at(c, next)->prev, prev);
    lock_release(c, &anchor->objects_lock, LOCK_OBJECTS);
}

/* Both frames, or none with c->want set. */
static bool take_frames(struct call *c, uint64_t frames[2])
{
    if (!frames_are_available(c, 2) || !frame_allocate_zeroed(c, NTMM_USE_PROTOTYPE, &frames[0]))
        return false;
    if (frame_allocate_zeroed(c, NTMM_USE_PROTOTYPE, &frames[1]))
        return true;
    struct want want = c->want;
    frame_free(c, frames[0]);
    c->want = want;
    return false;
}

uint64_t clone_block_make(struct call *c, uint64_t child)
{
    uint64_t frames[2];
    if (!commit_charge(c, CLONE_BLOCK_COMMIT))
        return 0;
    if (!take_frames(c, frames)) {
        struct want want = c->want;
        commit_return(c, CLONE_BLOCK_COMMIT);
        c->want = want;
        return 0;
    }
    uint64_t ref = frame_ref(c, frames[0]);
    struct clone_block *block = clone_block_at(c, ref);
    struct pfn *table = pfn_at(c, frames[1]);
    set64(&table->entry_address, ref);
    set64(&table->table_frame, frames[1]);
    set64(&block->table_frame, frames[1]);
    set64(&block->child, child);
    set32(&block->live, 1);
    link_block(c, ref);
    return ref;
}

bool clone_block_has_room(const struct call *c, uint64_t ref)
{
    return ref && get32(&clone_block_at(c, ref)->used) < PAGES_PER_TABLE;
}

/* Nobody refers to anything of it. */
static void end_block(struct call *c, struct clone_block *block)
{
    uint64_t table = get64(&block->table_frame);
    unlink_block(c, block);
    pfn_wait_for_last_share(c, pfn_at(c, table));
    frame_free(c, table);
    frame_free(c, ref_frame(c, core_ref(c, block)));
    commit_return(c, CLONE_BLOCK_COMMIT);
}

/* Of what keeps a block one goes. Whether it was the last. (X) is held. */
static bool end_live(struct clone_block *block)
{
    uint32_t live = get32(&block->live) - 1;
    NTMM_ASSERT(live != UINT32_MAX);
    set32(&block->live, live);
    return live == 0;
}

void clone_block_close(struct call *c, uint64_t ref)
{
    if (!ref)
        return;
    struct clone_block *block = clone_block_at(c, ref);
    clone_block_lock(c, block);
    bool is_over = end_live(block);
    clone_block_unlock(c, block);
    if (is_over)
        end_block(c, block);
}

void clone_blocks_end_with_system(struct call *c)
{
    for (uint64_t ref; (ref = get64(&anchor_of(c)->clone_blocks)) != 0;) {
        struct clone_block *block = clone_block_at(c, ref);
        uint64_t table = frame_ref(c, get64(&block->table_frame));
        set32(&block->live, get32(&block->live) + 1);
        for (uint32_t i = 0; i < PAGES_PER_TABLE; i++) {
            if (get32(&block->references[i]) == 0)
                continue;
            set32(&block->references[i], 1);
            clone_page_release(c, table + i * sizeof(le64));
        }
        clone_block_close(c, ref);
    }
}

/* --- sharing --- */

/* The row of a page's frame names another entry; its original entry has that one's protection. (F)
 * is held. */
static void give_to(struct call *c, uint64_t frame, const le64 *entry, enum ntmm_frame_use use,
                    uint32_t protection)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t address = core_ref(c, entry);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    set64(&pfn->entry_address, address);
    set64(&pfn->table_frame, ref_frame(c, address));
    store64_relaxed(&pfn->original_pte, field_set(original, SW_PROTECTION, protection));
    pfn_change_state(pfn, PFN_USE, (uint32_t)use << PFN_USE_SHIFT);
}

bool clone_page_may_share(const struct call *c, uint64_t raw)
{
    enum pte_kind kind = entry_kind(c, raw);
    if (kind == PTE_VALID)
        return (raw & (ENTRY_SHARED | ENTRY_BORROWED | ENTRY_NOT_IN_SET | ENTRY_LOCKED)) == 0;
    return kind == PTE_TRANSITION || kind == PTE_PAGEFILE;
}

static bool is_plain(uint64_t original)
{
    return (original & (ENTRY_DISPOSABLE | ENTRY_LOST)) == 0;
}

/* A page on its way to a prototype. (X) is held. */
struct sharing {
    le64 *prototype;
    struct pfn *prototype_table;
    const struct table_span *span;
    uint64_t page;
    struct gather *gather;
    uint32_t protection; /* out: of the page */
};

static void set_protection(struct sharing *s, uint64_t original)
{
    s->protection = (uint32_t)field_get(original, SW_PROTECTION);
}

/* An entry that maps the page of a prototype, of a protection that may be valid. */
static uint64_t valid_entry(uint64_t frame, uint32_t protection)
{
    return entry_with_protection(frame, protection_before_copy(protection), false,
                                 ENTRY_SHARED | ENTRY_CLONED);
}

/* From here on a store faults, once the round of the gather is over; what was stored until then
 * marked the frame. */
static bool share_valid(struct call *c, struct sharing *s)
{
    const uint64_t kept = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_AGE);
    le64 *entry = s->span->entry;
    uint64_t raw = load64_relaxed(entry);
    uint64_t frame = field_get(raw, HW_FRAME);
    uint64_t new;
    frame_lock(c, frame);
    uint64_t original = load64_relaxed(&pfn_at(c, frame)->original_pte);
    bool is_shared = is_plain(original);
    if (is_shared) {
        set_protection(s, original);
        give_to(c, frame, s->prototype, NTMM_USE_SECTION, PROT_READWRITE);
        frame_note_first_share(c);
        entry_make_valid(c, s->prototype_table, s->prototype,
                         entry_of_prototype(frame, PROT_READWRITE));
        do {
            new = (valid_entry(frame, s->protection) & ~kept) | (raw & kept);
        } while (!cas64(entry, &raw, new));
        gather_range(s->gather, s->page, s->page + 1);
    }
    frame_unlock(c, frame);
    return is_shared;
}

/* (F) is held, and released. */
static bool share_trimmed(struct call *c, struct sharing *s, uint64_t frame)
{
    uint64_t original = load64_relaxed(&pfn_at(c, frame)->original_pte);
    bool is_shared = is_plain(original);
    if (is_shared) {
        set_protection(s, original);
        give_to(c, frame, s->prototype, NTMM_USE_SECTION, PROT_READWRITE);
        entry_write(c, s->prototype_table, s->prototype, entry_transition(PROT_READWRITE, frame));
        entry_write(c, s->span->table, s->span->entry,
                    clone_page_value(core_ref(c, s->prototype), s->protection));
    }
    frame_unlock(c, frame);
    return is_shared;
}

static bool share_slot(struct call *c, struct sharing *s)
{
    uint64_t raw = load64_relaxed(s->span->entry);
    uint64_t value = entry_value(c, raw);
    if (entry_kind(c, raw) != PTE_PAGEFILE || !is_plain(value) || entry_is_damaged(value))
        return false;
    set_protection(s, value);
    entry_write(c, s->prototype_table, s->prototype,
                field_set(value, SW_PROTECTION, PROT_READWRITE));
    entry_write(c, s->span->table, s->span->entry,
                clone_page_value(core_ref(c, s->prototype), s->protection));
    return true;
}

static bool share(struct call *c, struct sharing *s)
{
    if (load64_relaxed(s->span->entry) & FIELD_MASK(HW_VALID))
        return share_valid(c, s);
    uint64_t frame = entry_lock_transition(c, s->span->entry);
    return frame != FRAME_NONE ? share_trimmed(c, s, frame) : share_slot(c, s);
}

bool clone_page_share(struct call *c, uint64_t ref, const struct table_span *span, uint64_t page,
                      struct gather *g, uint64_t *value)
{
    struct clone_block *block = clone_block_at(c, ref);
    uint64_t table = get64(&block->table_frame);
    struct sharing s = {
        .span = span, .page = page, .gather = g, .prototype_table = pfn_at(c, table)};
    clone_block_lock(c, block);
    uint32_t index = get32(&block->used);
    s.prototype = (le64 *)table_at(c, table) + index;
    bool is_shared = share(c, &s);
    if (is_shared) {
        set32(&block->references[index], 2);
        set32(&block->used, index + 1);
        set32(&block->live, get32(&block->live) + 1);
    }
    clone_block_unlock(c, block);
    *value = clone_page_value(core_ref(c, s.prototype), s.protection);
    return is_shared;
}

uint64_t clone_page_refer(struct call *c, uint64_t raw)
{
    uint64_t prototype = clone_page_prototype(c, raw);
    struct clone_block *block = clone_block_of(c, prototype);
    le32 *references = &block->references[index_of(prototype)];
    clone_block_lock(c, block);
    set32(references, get32(references) + 1);
    clone_block_unlock(c, block);
    return clone_page_value(prototype, protection_of(c, raw));
}

/* --- ending --- */

/* Nobody refers to the page of a prototype. (X) is held. */
static void end_page(struct call *c, struct pfn *table, le64 *prototype, struct frame_chain *chain)
{
    uint64_t frame = entry_lock_transition(c, prototype);
    if (frame == FRAME_NONE) {
        slot_release(c, entry_value(c, load64_relaxed(prototype)));
        entry_write(c, table, prototype, 0);
        return;
    }
    entry_write(c, table, prototype, 0);
    bool is_ours = frame_detach(c, frame);
    frame_unlock(c, frame);
    if (is_ours)
        chain_add(c, chain, frame);
}

void clone_page_give_up(struct call *c, uint64_t prototype, struct frame_chain *chain)
{
    struct clone_block *block = clone_block_of(c, prototype);
    le32 *references = &block->references[index_of(prototype)];
    bool is_over = false;
    clone_block_lock(c, block);
    uint32_t left = get32(references) - 1;
    NTMM_ASSERT(left != UINT32_MAX);
    set32(references, left);
    if (left == 0) {
        end_page(c, pfn_at(c, get64(&block->table_frame)), core_at(c->bias, prototype), chain);
        is_over = end_live(block);
    }
    clone_block_unlock(c, block);
    if (is_over)
        end_block(c, block);
}

void clone_page_release(struct call *c, uint64_t prototype)
{
    struct frame_chain given = chain_empty(), unused = chain_empty();
    clone_page_give_up(c, prototype, &given);
    if (given.count)
        frame_delete(c, given.head, &unused);
    chain_free(c, &unused);
}

/* --- the way back --- */

/* The frame's one share is the entry's. */
static void take_back_valid(struct call *c, struct pfn *prototypes, le64 *prototype, le64 *entry)
{
    const uint64_t kept = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint64_t raw = load64_relaxed(entry);
    uint64_t frame = field_get(raw, HW_FRAME);
    uint32_t protection = entry_own_protection(raw);
    uint64_t new;
    frame_lock(c, frame);
    frame_end_only_share(c, frame);
    give_to(c, frame, entry, NTMM_USE_PRIVATE, protection);
    (void)entry_exchange(c, prototypes, prototype, 0);
    do {
        new = (entry_hardware(frame, protection, false) & ~kept) | (raw & kept);
    } while (!cas64(entry, &raw, new));
    frame_unlock(c, frame);
}

static void take_back_absent(struct call *c, struct pfn *prototypes, le64 *prototype,
                             struct pfn *table, le64 *entry)
{
    uint32_t protection = protection_of(c, load64_relaxed(entry));
    uint64_t frame = entry_lock_transition(c, prototype);
    if (frame == FRAME_NONE) {
        uint64_t value = entry_value(c, load64_relaxed(prototype));
        entry_write(c, table, entry, field_set(value, SW_PROTECTION, protection));
        entry_write(c, prototypes, prototype, 0);
        return;
    }
    give_to(c, frame, entry, NTMM_USE_PRIVATE, protection);
    entry_write(c, table, entry, entry_transition(protection, frame));
    entry_write(c, prototypes, prototype, 0);
    frame_unlock(c, frame);
}

bool clone_page_take_back(struct call *c, struct pfn *table, le64 *entry)
{
    uint64_t raw = load64_relaxed(entry);
    uint64_t address = clone_page_prototype(c, raw);
    struct clone_block *block = clone_block_of(c, address);
    struct pfn *prototypes = pfn_at(c, get64(&block->table_frame));
    le64 *prototype = core_at(c->bias, address);
    bool is_over = false;
    clone_block_lock(c, block);
    bool is_alone = get32(&block->references[index_of(address)]) == 1;
    if (is_alone && (raw & FIELD_MASK(HW_VALID)))
        take_back_valid(c, prototypes, prototype, entry);
    else if (is_alone)
        take_back_absent(c, prototypes, prototype, table, entry);
    if (is_alone) {
        set32(&block->references[index_of(address)], 0);
        is_over = end_live(block);
    }
    clone_block_unlock(c, block);
    if (is_over)
        end_block(c, block);
    return is_alone;
}

/* --- operations on entries --- */

void clone_page_drop(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                     uint64_t page, uint64_t value, struct gather *g)
{
    uint64_t raw = load64_relaxed(entry);
    uint64_t prototype = clone_page_prototype(c, raw);
    if (raw & FIELD_MASK(HW_VALID)) {
        process_count(process, NTMM_COUNTER_PAGES_FREED, 1);
        entry_withdraw_cloned(c, process, table, entry, page, value, g);
        return;
    }
    entry_write(c, table, entry, value);
    clone_page_give_up(c, prototype, &g->freed);
}

void clone_page_protect(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                        uint64_t page, uint32_t protection, struct gather *g)
{
    const uint64_t kept = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint64_t old = load64_relaxed(entry);
    uint64_t new;
    if (!protection_is_mappable(protection)) {
        entry_withdraw_shared(c, process, table, entry, page,
                              clone_page_value(clone_page_prototype(c, old), protection), g);
        return;
    }
    do {
        new = (valid_entry(field_get(old, HW_FRAME), protection) & ~kept) | (old & kept);
    } while (!cas64(entry, &old, new));
    bool is_narrower = (old & ~new) != 0 || (new & ~old &FIELD_MASK(HW_NO_EXECUTE)) != 0;
    if (is_narrower)
        gather_range(g, page, page + 1);
}
