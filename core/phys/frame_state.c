/*
 * Frames that an entry names: shares, references, transfers, and the way back to a list.
 *
 *   share > 0                     Active
 *   share = 0, reference > 0      Transition, on no list
 *   share = 0, reference = 0      Modified or Standby; free when nothing names it any more
 *
 * Only a frame of a section has more than one share; its entry is a prototype, which no processor
 * sees, and becomes transition with the last share, under (F).
 *
 * Whatever may meet a transfer's completion happens under (F). A frame that is deleted while a
 * transfer uses it loses its entry's address; the completion then frees it and its slot.
 */
#include "phys/rows.h"
#include "phys/slots.h"

/* The frame is in transition, or no more. (F) is held, or nobody knows the frame. */
static void set_location(struct call *c, struct pfn *pfn, enum ntmm_frame_location location)
{
    bool was = pfn_location(pfn) == NTMM_FRAME_TRANSITION;
    bool is = location == NTMM_FRAME_TRANSITION;
    if (was != is)
        (void)add64(&partition_of(c)->transition_pages, is ? 1 : ~0ull);
    pfn_change_state(pfn, PFN_LOCATION, (uint32_t)location);
}

static bool is_orphan(const struct pfn *pfn) { return get64(&pfn->entry_address) == 0; }

static bool is_on_list(const struct pfn *pfn)
{
    return pfn_location(pfn) == NTMM_FRAME_STANDBY || pfn_location(pfn) == NTMM_FRAME_MODIFIED;
}

/* Off its standby or modified list, if it is on one. (F) is held. */
static void take_off(struct call *c, uint64_t frame, struct pfn *pfn)
{
    struct frame_list *list = list_of(c, pfn, pfn_location(pfn));
    if (!is_on_list(pfn))
        return;
    lock_acquire(c, &list->lock, LOCK_LIST);
    list_remove(c, list, frame);
    lock_release(c, &list->lock, LOCK_LIST);
    if (pfn_location(pfn) == NTMM_FRAME_STANDBY) {
        (void)add64(&partition_of(c)->standby_pages, ~0ull);
        condition_note(c);
    }
    set16(&pfn->reference_count, 0);
    frame_step(c, pfn, "unlist");
}

void mapped_since_lower(struct call *c, uint64_t since)
{
    le64 *oldest = &partition_of(c)->mapped_since;
    uint64_t seen = load64_relaxed(oldest);
    while ((seen == 0 || seen > since) && !cas64(oldest, &seen, since)) {
    }
}

void modified_age_note(struct call *c, struct modified_age *age)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t none = 0;
    atomic_thread_fence(memory_order_seq_cst); /* the mark of the page, then the time */
    if (load64_relaxed(&age->since) != 0 || !platform->now)
        return;
    uint64_t since = platform->now(platform->context);
    since += since == 0;
    if (cas64(&age->since, &none, since))
        mapped_since_lower(c, since);
}

/* A page that was marked modified, if it is a file's. */
static void note_age(struct call *c, const struct pfn *pfn)
{
    uint64_t original = load64_relaxed(&pfn->original_pte);
    if (!entry_is_of_file(original))
        return;
    const le64 *owner = core_at(c->bias, field_get_address(original, SUBSECTION_ADDRESS));
    modified_age_note(c, core_at(c->bias, get64(owner)));
}

static void note_state(struct call *c, uint64_t frame, const struct pfn *pfn)
{
    event_note(c, NTMM_EVENT_FRAME_STATE, 0, frame, get64(&pfn->entry_address),
               (uint32_t)pfn_location(pfn));
}

/* Free the slot of the original entry, which then names none. (F) is held; nothing writes to it. */
static void drop_slot(struct call *c, struct pfn *pfn)
{
    uint64_t original = load64_relaxed(&pfn->original_pte);
    if (slot_of(original) == 0)
        return;
    store64_relaxed(&pfn->original_pte, slot_set(original, 0, 0));
    frame_step(c, pfn, is_on_list(pfn) ? "drop_slot_listed" : "drop_slot");
    slot_release(c, original);
}

static bool is_disposable(const struct pfn *pfn)
{
    return entry_is_disposable(load64_relaxed(&pfn->original_pte));
}

static bool is_of_file(const struct pfn *pfn)
{
    return entry_is_of_file(load64_relaxed(&pfn->original_pte));
}

static bool is_of_section(const struct pfn *pfn) { return pfn_use(pfn) == NTMM_USE_SECTION; }

static void set_flags(struct pfn *pfn, uint64_t clear, uint64_t set)
{
    store64_relaxed(&pfn->original_pte, (load64_relaxed(&pfn->original_pte) & ~clear) | set);
}

/* A frame without share and reference: to its list, or free. (F) is held and released. */
static void settle(struct call *c, uint64_t frame, struct pfn *pfn)
{
    bool is_free = is_orphan(pfn);
    set_location(c, pfn, NTMM_FRAME_ACTIVE); /* for a moment, and under the lock */
    frame_step(c, pfn, "settle");
    if (is_free || pfn_is_modified(pfn))
        drop_slot(c, pfn);
    if (!is_free)
        frame_enlist(c, frame, pfn_is_modified(pfn) ? NTMM_FRAME_MODIFIED : NTMM_FRAME_STANDBY);
    frame_unlock(c, frame);
    if (is_free)
        frame_free(c, frame);
}

/* One reference less; (F) is held and released. */
static void end_reference(struct call *c, uint64_t frame, struct pfn *pfn)
{
    uint16_t references = (uint16_t)(get16(&pfn->reference_count) - 1);
    NTMM_ASSERT(references != UINT16_MAX);
    set16(&pfn->reference_count, references);
    frame_step(c, pfn, "drop_reference");
    if (references == 0)
        settle(c, frame, pfn);
    else
        frame_unlock(c, frame);
}

/* Somebody asks for a page that was read ahead: that pays for two more. (F) is held. */
static void note_hit(struct call *c, struct pfn *pfn)
{
    pfn_change_state(pfn, PFN_READ_AHEAD, 0);
    system_count(c, NTMM_COUNTER_READ_AHEAD_HITS, 1);
    (void)add64(&partition_of(c)->read_ahead_credit, 2);
}

/* On no list. (F) is held. */
static void set_boost(struct pfn *pfn, bool is_boosted)
{
    uint32_t priority = pfn_priority(pfn);
    priority = is_boosted ? priority + PRIORITY_BOOST : priority - PRIORITY_BOOST;
    NTMM_ASSERT(priority < STANDBY_PRIORITIES);
    pfn_change_state(pfn, PFN_BOOSTED | PFN_PRIORITY,
                     (is_boosted ? PFN_BOOSTED : 0) | priority << PFN_PRIORITY_SHIFT);
}

void frame_note_first_share(struct call *c)
{
    (void)add64(&partition_of(c)->section_shares, 1);
    (void)add64(&partition_of(c)->section_active, 1);
}

void frame_end_only_share(struct call *c, uint64_t frame)
{
    NTMM_ASSERT(is_of_section(pfn_at(c, frame)) && get32(&pfn_at(c, frame)->share_count) == 1);
    (void)add64(&partition_of(c)->section_shares, ~0ull);
    (void)add64(&partition_of(c)->section_active, ~0ull);
}

void frame_add_share(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    NTMM_ASSERT(is_of_section(pfn) && get32(&pfn->share_count) != 0);
    set32(&pfn->share_count, get32(&pfn->share_count) + 1);
    frame_step(c, pfn, "add_share");
    (void)add64(&partition_of(c)->section_shares, 1);
}

void frame_reactivate(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    NTMM_ASSERT(get32(&pfn->share_count) == 0 && !pfn_is_being_read(pfn));
    if (load16_relaxed(&pfn->state) & PFN_READ_AHEAD)
        note_hit(c, pfn);
    take_off(c, frame, pfn);
    if (load16_relaxed(&pfn->state) & PFN_BOOSTED)
        set_boost(pfn, false);
    set32(&pfn->share_count, 1);
    set16(&pfn->reference_count, (uint16_t)(get16(&pfn->reference_count) + 1));
    set_location(c, pfn, NTMM_FRAME_ACTIVE);
    frame_step(c, pfn, "reactivate");
    if (is_of_section(pfn))
        frame_note_first_share(c);
    note_state(c, frame, pfn);
}

/* The prototype entry of a frame that nobody maps any more is in transition. (F) is held. */
static void end_prototype(struct call *c, uint64_t frame, const struct pfn *pfn)
{
    uint64_t protection = field_get(load64_relaxed(&pfn->original_pte), SW_PROTECTION);
    uint64_t value = protection << (TR_PROTECTION & 0xFF) | FIELD_MASK(TR_TRANSITION);
    value = field_set(value, TR_FRAME, frame);
    store64_release(core_at(c->bias, get64(&pfn->entry_address)),
                    invalid_encode(value, c->sys->invalid_mask));
    (void)add64(&partition_of(c)->section_active, ~0ull);
}

/* One share less of a frame of a section. Whether it was the last. (F) is held. */
static bool end_section_share(struct call *c, uint64_t frame, struct pfn *pfn)
{
    uint32_t shares = get32(&pfn->share_count) - 1;
    NTMM_ASSERT(shares != UINT32_MAX);
    set32(&pfn->share_count, shares);
    (void)add64(&partition_of(c)->section_shares, ~0ull);
    if (shares == 0)
        end_prototype(c, frame, pfn);
    return shares == 0;
}

/* With the last share the page is settled. (F) is held, and released. */
static inline __attribute__((always_inline)) void end_share(struct call *c, uint64_t frame,
                                                            struct pfn *pfn, bool is_boosted)
{
    if (is_of_section(pfn) && !end_section_share(c, frame, pfn)) {
        frame_step(c, pfn, "drop_share");
        frame_unlock(c, frame);
        return;
    }
    set32(&pfn->share_count, 0);
    if (is_boosted && pfn_priority(pfn) + PRIORITY_BOOST < STANDBY_PRIORITIES)
        set_boost(pfn, true);
    if (get16(&pfn->reference_count) > 1)
        set_location(c, pfn, NTMM_FRAME_TRANSITION);
    frame_step(c, pfn, get16(&pfn->reference_count) > 1 ? "last_share_held" : "last_share");
    end_reference(c, frame, pfn);
}

void frame_end_share(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    end_share(c, frame, pfn_at(c, frame), false);
}

void frame_end_share_boosted(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    end_share(c, frame, pfn_at(c, frame), true);
}

/* Nothing names the frame any more. Whether no transfer uses it. (F) is held. */
static bool forget_entry(struct call *c, struct pfn *pfn)
{
    bool is_unused = get16(&pfn->reference_count) == 0;
    set32(&pfn->share_count, 0);
    set64(&pfn->entry_address, 0);
    set64(&pfn->table_frame, 0);
    set_location(c, pfn, is_unused ? NTMM_FRAME_ACTIVE : NTMM_FRAME_TRANSITION);
    return is_unused;
}

bool frame_detach(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    take_off(c, frame, pfn);
    bool is_unused = forget_entry(c, pfn);
    frame_step(c, pfn, is_unused ? "detach" : "detach_held");
    return is_unused;
}

void frame_delete(struct call *c, uint64_t frame, struct frame_chain *chain)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    if (!is_orphan(pfn))
        set16(&pfn->reference_count, (uint16_t)(get16(&pfn->reference_count) - 1));
    bool is_unused = forget_entry(c, pfn);
    frame_step(c, pfn, is_unused ? "delete" : "delete_held");
    if (is_unused)
        drop_slot(c, pfn);
    frame_unlock(c, frame);
    if (is_unused)
        chain_add(c, chain, frame);
}

void frame_delete_of_section(struct call *c, uint64_t frame, struct frame_chain *chain)
{
    NTMM_ASSERT(get32(&pfn_at(c, frame)->share_count) == 1);
    (void)add64(&partition_of(c)->section_shares, ~0ull);
    (void)add64(&partition_of(c)->section_active, ~0ull);
    frame_delete(c, frame, chain);
}

void frame_mark_modified(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    pfn_set_modified(pfn);
    if (original & ENTRY_OF_IMAGE && entry_is_of_file(original)) {
        uint64_t protection = field_get(original, SW_PROTECTION);
        store64_relaxed(&pfn->original_pte, protection << (SW_PROTECTION & 0xFF));
        frame_step(c, pfn, "make_dirty");
        return;
    }
    if (entry_is_of_file(original)) {
        frame_step(c, pfn, "make_dirty");
        note_age(c, pfn);
        return;
    }
    set_flags(pfn, ENTRY_DISPOSABLE, 0);
    frame_step(c, pfn, "make_dirty");
    if (!pfn_is_being_written(pfn))
        drop_slot(c, pfn);
}

/* Change what decides on which list a frame stands, and to which end. (F) is held. */
static void move(struct call *c, uint64_t frame, struct pfn *pfn, bool is_modified,
                 uint32_t priority)
{
    const uint32_t mask = PFN_MODIFIED | PFN_PRIORITY | PFN_BOOSTED;
    uint32_t wanted = (is_modified ? PFN_MODIFIED : 0) | priority << PFN_PRIORITY_SHIFT;
    bool is_listed = is_on_list(pfn);
    if ((load16_relaxed(&pfn->state) & mask) == wanted)
        return;
    take_off(c, frame, pfn);
    bool was_modified = pfn_is_modified(pfn);
    pfn_change_state(pfn, mask, wanted);
    if (is_modified != was_modified)
        frame_step(c, pfn, is_modified ? "soil" : "clean");
    if (is_listed)
        frame_enlist(c, frame, is_modified ? NTMM_FRAME_MODIFIED : NTMM_FRAME_STANDBY);
}

void frame_set_priority(struct call *c, uint64_t frame, uint32_t priority)
{
    struct pfn *pfn = pfn_at(c, frame);
    move(c, frame, pfn, pfn_is_modified(pfn), priority);
}

void frame_reset(struct call *c, uint64_t frame, uint32_t priority)
{
    struct pfn *pfn = pfn_at(c, frame);
    set_flags(pfn, ENTRY_LOST, ENTRY_DISPOSABLE);
    frame_step(c, pfn, "give_up");
    if (!pfn_is_being_written(pfn) && !pfn_is_being_read(pfn))
        drop_slot(c, pfn);
    move(c, frame, pfn, false, priority);
}

/* What a read brings is on its slot; anything else is in the frame alone. */
bool frame_undo_reset(struct call *c, uint64_t frame, uint32_t priority)
{
    struct pfn *pfn = pfn_at(c, frame);
    bool was_lost = (load64_relaxed(&pfn->original_pte) & ENTRY_LOST) != 0;
    bool is_alone = is_disposable(pfn) && !pfn_is_being_read(pfn);
    set_flags(pfn, ENTRY_DISPOSABLE | ENTRY_LOST, 0);
    frame_step(c, pfn, "keep_again");
    move(c, frame, pfn, is_alone || pfn_is_modified(pfn), priority);
    return !was_lost;
}

/* Only taking a frame off its list for a write clears the mark, and whoever sets it sees to the
 * slot; so an active frame that has it needs nothing, whatever is in flight. */
void frame_make_modified(struct call *c, uint64_t frame)
{
    if (pfn_is_modified(pfn_at(c, frame)))
        return;
    frame_lock(c, frame);
    frame_mark_modified(c, frame);
    frame_unlock(c, frame);
}

void frame_set_protection(struct call *c, uint64_t frame, uint32_t protection)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    store64_relaxed(&pfn->original_pte,
                    field_set(load64_relaxed(&pfn->original_pte), SW_PROTECTION, protection));
    frame_unlock(c, frame);
}

uint64_t frame_begin_write(struct call *c, struct frame_list *list)
{
    uint64_t frame = frame_take_oldest(c, list);
    if (frame == FRAME_NONE)
        return FRAME_NONE;
    struct pfn *pfn = pfn_at(c, frame);
    set16(&pfn->reference_count, 1);
    set_location(c, pfn, NTMM_FRAME_TRANSITION);
    pfn_change_state(pfn, PFN_MODIFIED, PFN_WRITE_IN_PROGRESS);
    frame_step(c, pfn, "begin_write");
    note_state(c, frame, pfn);
    return frame;
}

bool frame_begin_flush(struct call *c, uint64_t frame, uint32_t own_shares)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint32_t shares = get32(&pfn->share_count);
    if (pfn_is_being_written(pfn))
        return false;
    take_off(c, frame, pfn);
    set16(&pfn->reference_count, (uint16_t)(get16(&pfn->reference_count) + 1));
    if (shares == 0)
        set_location(c, pfn, NTMM_FRAME_TRANSITION);
    pfn_change_state(pfn, shares > own_shares ? 0 : PFN_MODIFIED, PFN_WRITE_IN_PROGRESS);
    frame_step(c, pfn,
               shares == 0           ? "begin_flush_listed"
               : shares > own_shares ? "begin_flush_shared"
                                     : "begin_flush");
    note_state(c, frame, pfn);
    return true;
}

void frame_set_slot(struct call *c, uint64_t frame, uint32_t file, uint64_t slot)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    store64_relaxed(&pfn->original_pte, slot_set(load64_relaxed(&pfn->original_pte), file, slot));
    frame_step(c, pfn, "set_slot");
    frame_unlock(c, frame);
}

void frame_end_write(struct call *c, uint64_t frame, enum write_outcome outcome)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    pfn_change_state(pfn, PFN_WRITE_IN_PROGRESS, 0);
    if (outcome != WRITE_DONE && !is_disposable(pfn)) {
        pfn_set_modified(pfn);
        frame_step(c, pfn, "fail_write");
        note_age(c, pfn);
    } else {
        frame_step(c, pfn, "end_write");
    }
    if (outcome == WRITE_DONE && is_of_file(pfn))
        set_flags(pfn, 0, ENTRY_WRITTEN);
    if (outcome == WRITE_BAD_SLOT) {
        store64_relaxed(&pfn->original_pte, slot_set(load64_relaxed(&pfn->original_pte), 0, 0));
        frame_step(c, pfn, "lose_slot");
    }
    if (pfn_is_modified(pfn) || is_disposable(pfn))
        drop_slot(c, pfn);
    end_reference(c, frame, pfn);
}

void frame_begin_read(struct call *c, uint64_t frame, uint64_t entry_address, uint64_t original,
                      uint32_t block)
{
    struct pfn *pfn = pfn_at(c, frame);
    set64(&pfn->flink, block);
    set64(&pfn->entry_address, entry_address);
    store64_relaxed(&pfn->original_pte, original);
    set64(&pfn->table_frame, ref_frame(c, entry_address));
    set32(&pfn->share_count, 0);
    set16(&pfn->reference_count, 1);
    set_location(c, pfn, NTMM_FRAME_TRANSITION);
    pfn_change_state(pfn, 0, PFN_READ_IN_PROGRESS);
    frame_step(c, pfn, slot_of(original) != 0 ? "begin_read" : "begin_read_file");
    note_state(c, frame, pfn);
}

/* Under (F): the entry, in transition, becomes what its frame was read for or taken from. */
void frame_restore_entry(struct call *c, const struct pfn *pfn)
{
    uint64_t value = load64_relaxed(&pfn->original_pte);
    struct pfn *table = pfn_at(c, pfn_table_frame(pfn));
    if (entry_is_disposable(value))
        value = (value & ~ENTRY_DISPOSABLE) | ENTRY_LOST;
    if (use_is_of_table(pfn_use(pfn)))
        value = field_set(value, SW_USED, pfn_used(pfn));
    store64_release(core_at(c->bias, get64(&pfn->entry_address)),
                    invalid_encode(value, c->sys->invalid_mask));
    frame_step(c, pfn, "restore");
    pfn_add_share(table, -1);
}

void pfn_wait_for_last_share(struct call *c, const struct pfn *pfn)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    while (load32_acquire(&pfn->share_count) != 1) {
        if (platform->relax)
            platform->relax(platform->context);
    }
}

void frame_end_read(struct call *c, uint64_t frame, bool is_read, bool is_kept)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    pfn_change_state(pfn, PFN_READ_IN_PROGRESS, 0);
    set64(&pfn->flink, FRAME_NONE);
    frame_step(c, pfn, "end_read");
    if (is_disposable(pfn))
        drop_slot(c, pfn);
    if (!is_read && !is_orphan(pfn)) {
        frame_restore_entry(c, pfn);
        store64_relaxed(&pfn->original_pte, 0); /* the entry names the slot again */
        set64(&pfn->entry_address, 0);
        frame_step(c, pfn, "undo_read");
    }
    if (is_read && is_kept)
        frame_unlock(c, frame);
    else
        end_reference(c, frame, pfn);
}

void frame_hold(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    set16(&pfn->reference_count, (uint16_t)(get16(&pfn->reference_count) + 1));
    frame_step(c, pfn, "hold");
    frame_unlock(c, frame);
}

void frame_hold_trimmed(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    take_off(c, frame, pfn);
    set16(&pfn->reference_count, (uint16_t)(get16(&pfn->reference_count) + 1));
    set_location(c, pfn, NTMM_FRAME_TRANSITION);
    frame_step(c, pfn, "hold_trimmed");
}

void frame_end_reference(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    end_reference(c, frame, pfn_at(c, frame));
}

bool frame_may_move(struct call *c, uint64_t frame, uint32_t *protection)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    bool is_alone = get16(&pfn->reference_count) == 1;
    *protection = (uint32_t)field_get(load64_relaxed(&pfn->original_pte), SW_PROTECTION);
    frame_unlock(c, frame);
    return is_alone;
}

/* What a row says of its page, but for shares and references; nobody may find it on a list. */
static void copy_row(struct pfn *to, const struct pfn *from)
{
    set64(&to->entry_address, get64(&from->entry_address));
    store64_relaxed(&to->original_pte, load64_relaxed(&from->original_pte));
    set64(&to->table_frame, get64(&from->table_frame));
    uint32_t state = load16_relaxed(&from->state) & ~(uint32_t)PFN_LOCATION;
    store16_relaxed(&to->state, (uint16_t)(state | NTMM_FRAME_ACTIVE));
}

void frame_move_active(struct call *c, uint64_t from, uint64_t to)
{
    copy_row(pfn_at(c, to), pfn_at(c, from));
    frame_step(c, pfn_at(c, to), "moved");
    frame_capture(c, from);
}

/* A table's bytes are the core's own. */
static bool copy_contents(struct call *c, uint64_t from, uint64_t to)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (!use_is_of_table(pfn_use(pfn_at(c, from))))
        return NTMM_SUCCEEDED(platform->copy(platform->context, &to, &from, 1));
    const le64 *source = table_at(c, from);
    le64 *copy = table_at(c, to);
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++)
        set64(&copy[i], get64(&source[i]));
    return true;
}

/* The entry of a row, in transition, names another frame. (F) of the old one is held. */
static void relink_entry(struct call *c, const struct pfn *pfn, uint64_t to)
{
    le64 *entry = core_at(c->bias, get64(&pfn->entry_address));
    uint64_t value = invalid_decode(load64_relaxed(entry), c->sys->invalid_mask);
    value = field_set(value, TR_FRAME, to);
    store64_release(entry, invalid_encode(value, c->sys->invalid_mask));
}

bool frame_move_listed(struct call *c, uint64_t from, uint64_t to, bool *is_failed)
{
    struct pfn *old = pfn_at(c, from);
    struct pfn *new = pfn_at(c, to);
    frame_lock(c, from);
    bool is_there = is_on_list(old) && pfn_use(old) == pfn_use(new);
    if (!is_there || !copy_contents(c, from, to)) {
        *is_failed |= is_there;
        frame_unlock(c, from);
        return false;
    }
    take_off(c, from, old);
    copy_row(new, old);
    set32(&new->share_count, 0);
    set16(&new->reference_count, 1); /* until it is on its list nobody takes it */
    set_location(c, new, NTMM_FRAME_TRANSITION);
    frame_step(c, new, "moved");
    relink_entry(c, old, to);
    frame_capture(c, from);
    frame_unlock(c, from);
    frame_end_reference(c, to);
    return true;
}
