/*
 * NtQueryVirtualMemory, the classes of pages: a whole working set, and single pages.
 *
 * A table that is out of memory holds nothing valid (V5), so a working set is counted and listed
 * under one hold of (W) and waits for nothing. A single page may need its table; what was answered
 * before that was brought in stays answered, because a range of tables need not fit into memory.
 * Source: nt_semantics 3.3; PSAPI_WORKING_SET_EX_BLOCK, public SDK headers.
 */
#include "base/bits.h"
#include "phys/slots.h"
#include "section/view.h"
#include "services/query.h"
#include "services/relief.h"
#include "space/borrowed.h"
#include "space/clone_page.h"
#include "space/private.h"
#include "space/protection.h"

#define WORD_BYTES 8u
#define PAGE_INFORMATION_BYTES 16u

static uint32_t protection_of_frame(struct call *c, uint64_t frame)
{
    uint64_t original = load64_relaxed(&pfn_at(c, frame)->original_pte);
    return (uint32_t)field_get(original, SW_PROTECTION);
}

/* Of a section's page; as far as three bits tell. */
static uint64_t share_count(struct call *c, uint64_t frame)
{
    return min_u64(load32_relaxed(&pfn_at(c, frame)->share_count), 7);
}

/* A list of words behind their count, in the caller's buffer. */
struct word_list {
    char *buffer;
    uint64_t count;
    uint64_t capacity;
};

static void put_word(char *buffer, uint64_t index, uint64_t word)
{
    __builtin_memcpy(buffer + index * WORD_BYTES, &word, WORD_BYTES);
}

static void list_page(struct call *c, struct word_list *list, uint64_t page, uint64_t raw)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    bool is_shared = (raw & ENTRY_SHARED) != 0;
    uint64_t code = is_shared ? entry_own_protection(raw) : protection_of_frame(c, frame);
    if (is_shared)
        code |= NTMM_WORKING_SET_SHARED | share_count(c, frame)
                                              << NTMM_WORKING_SET_SHARE_COUNT_SHIFT;
    if (list->count < list->capacity)
        put_word(list->buffer, 1 + list->count, page << NTMM_WORKING_SET_PAGE_SHIFT | code);
    list->count++;
}

static void list_region(struct call *c, struct process *process, uint64_t start, uint64_t end,
                        struct word_list *list)
{
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (uint64_t i = 0; span.entry && i < stop - page; i++) {
            uint64_t raw = load64_relaxed(&span.entry[i]);
            if ((raw & FIELD_MASK(HW_VALID)) && !(raw & ENTRY_NOT_IN_SET))
                list_page(c, list, page + i, raw);
        }
        page = stop;
    }
}

static void list_working_set(struct call *c, struct process *process, struct word_list *list)
{
    struct gap_range range;
    for (uint64_t page = 0; gap_tree_find_at_or_after(c->bias, &process->vads, page, &range);
         page = range.end) {
        const struct vad *vad = vad_at(c, range.ref);
        if (vad_is_private(vad) || vad_is_view(vad))
            list_region(c, process, range.start, range.end, list);
    }
}

ntmm_status query_working_set(struct question *q)
{
    struct call c = call_begin(q->system);
    struct process *process;
    if (q->length < WORD_BYTES)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!q->buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status =
        process_lock_working_set(&c, q->process, NTMM_PROCESS_QUERY_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct word_list list = {.buffer = q->buffer};
    uint64_t pages = get64(&process->working_set_pages);
    if (pages <= q->length / WORD_BYTES - 1) {
        list.capacity = pages;
        list_working_set(&c, process, &list);
        NTMM_ASSERT(list.count == pages);
    } else {
        status = NTMM_STATUS_INFO_LENGTH_MISMATCH;
    }
    process_unlock_working_set(&c, process);
    put_word(q->buffer, 0, pages);
    q->written = (pages + 1) * WORD_BYTES;
    return status;
}

static uint64_t attributes_of_valid(struct call *c, uint64_t raw)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    if (raw & ENTRY_BORROWED)
        return NTMM_PAGE_STATE_VALID | (uint64_t)protection_to_win32(entry_own_protection(raw))
                                           << NTMM_PAGE_STATE_PROTECTION_SHIFT;
    bool is_shared = (raw & ENTRY_SHARED) != 0;
    uint64_t protection =
        protection_to_win32(is_shared ? entry_own_protection(raw) : protection_of_frame(c, frame));
    uint64_t sharing = is_shared ? NTMM_PAGE_STATE_SHARED | share_count(c, frame)
                                                                << NTMM_PAGE_STATE_SHARE_COUNT_SHIFT
                                 : 0;
    uint64_t priority = pfn_priority(pfn_at(c, frame));
    bool is_locked = (raw & (ENTRY_LOCKED | ENTRY_NOT_IN_SET)) != 0;
    return NTMM_PAGE_STATE_VALID | protection << NTMM_PAGE_STATE_PROTECTION_SHIFT | sharing |
           (is_locked ? NTMM_PAGE_STATE_LOCKED : 0) | priority << NTMM_PAGE_STATE_PRIORITY_SHIFT;
}

/* (F) of the frame is held. */
static uint64_t attributes_of_transition(struct call *c, uint64_t frame)
{
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t location =
        pfn_is_being_read(pfn) ? NTMM_PAGE_LOCATION_PAGE_FILE : NTMM_PAGE_LOCATION_RESIDENT;
    bool is_to_be_written = pfn_location(pfn) == NTMM_FRAME_MODIFIED;
    uint64_t priority = pfn_priority(pfn);
    return location << NTMM_PAGE_STATE_LOCATION_SHIFT | priority << NTMM_PAGE_STATE_PRIORITY_SHIFT |
           (is_to_be_written ? NTMM_PAGE_STATE_MODIFIED_LIST : 0);
}

/* A page of a large leaf. That of a view is shared by all views of its section. */
static uint64_t attributes_of_large(struct call *c, const struct vad *vad, uint64_t raw)
{
    uint64_t attributes =
        attributes_of_valid(c, raw) | NTMM_PAGE_STATE_LARGE | NTMM_PAGE_STATE_LOCKED;
    if (!(raw & ENTRY_SHARED))
        return attributes;
    objects_lock(c);
    uint64_t views = min_u64(get32(&view_area(c, vad)->view_count), 7);
    objects_unlock(c);
    attributes &= ~(7ull << NTMM_PAGE_STATE_SHARE_COUNT_SHIFT);
    return attributes | views << NTMM_PAGE_STATE_SHARE_COUNT_SHIFT;
}

/* No frame has the page. */
static uint64_t attributes_of_absent(const struct call *c, uint64_t raw)
{
    if (entry_kind(c, raw) != PTE_PAGEFILE)
        return 0;
    if (entry_is_damaged(entry_value(c, raw)))
        return NTMM_PAGE_STATE_BAD;
    return (uint64_t)NTMM_PAGE_LOCATION_PAGE_FILE << NTMM_PAGE_STATE_LOCATION_SHIFT;
}

/* By its prototype entry. */
static uint64_t attributes_of_shared(const struct call *c, uint64_t raw)
{
    enum pte_kind kind = entry_kind(c, raw);
    uint64_t resident = (uint64_t)NTMM_PAGE_LOCATION_RESIDENT << NTMM_PAGE_STATE_LOCATION_SHIFT;
    bool is_resident = kind == PTE_VALID || kind == PTE_TRANSITION;
    return NTMM_PAGE_STATE_SHARED | (is_resident ? resident : attributes_of_absent(c, raw));
}

/* A page that clones share, and that is not valid here. */
static uint64_t attributes_of_cloned(struct call *c, uint64_t raw)
{
    uint64_t prototype = clone_page_prototype(c, raw);
    struct clone_block *block = clone_block_of(c, prototype);
    clone_block_lock(c, block);
    uint64_t found = load64_acquire((const le64 *)core_at(c->bias, prototype));
    clone_block_unlock(c, block);
    return attributes_of_shared(c, found);
}

static uint64_t attributes_of_entry(struct call *c, const le64 *entry)
{
    uint64_t frame = entry_lock_transition(c, entry);
    if (frame != FRAME_NONE) {
        uint64_t attributes = attributes_of_transition(c, frame);
        frame_unlock(c, frame);
        return attributes;
    }
    uint64_t raw = load64_acquire(entry);
    if (raw & FIELD_MASK(HW_VALID))
        return attributes_of_valid(c, raw);
    return clone_page_is(c, raw) ? attributes_of_cloned(c, raw) : attributes_of_absent(c, raw);
}

/* A page of a view that is not valid here: where its section has it. */
static uint64_t attributes_of_prototype(struct call *c, const struct vad *vad, uint64_t page)
{
    struct control_area *area = view_area(c, vad);
    area_lock(c, area);
    struct prototype_span span = prototype_find(c, area, view_prototype(vad, page));
    uint64_t raw = span.entry ? load64_acquire(span.entry) : 0;
    if (prototype_is_out(&span))
        c->want = (struct want){.kind = WANT_TABLE, .page = page, .is_prototype = true};
    area_unlock(c, area);
    return attributes_of_shared(c, raw);
}

/* WANT_TABLE is set when the answer lies in a table that is out. (W) is held. */
static uint64_t attributes_of(struct call *c, struct process *process, uint64_t page)
{
    const struct vad *vad = vad_find(c, process, page);
    if (!vad)
        return 0;
    struct table_span span = table_find(c, process, page);
    if (span.is_out)
        c->want = (struct want){.kind = WANT_TABLE, .page = page};
    if (span.is_large)
        return attributes_of_large(c, vad, load64_acquire(span.upper));
    if (vad_is_view(vad)) {
        uint64_t raw = span.entry ? load64_acquire(span.entry) : 0;
        if (!(raw & FIELD_MASK(HW_VALID)) && !view_entry_is_private(c, raw))
            return attributes_of_prototype(c, vad, page);
    }
    return span.entry ? attributes_of_entry(c, span.entry) : 0;
}

static uint64_t address_at(const struct question *q, uint64_t index)
{
    uint64_t address;
    __builtin_memcpy(&address, q->buffer + index * PAGE_INFORMATION_BYTES, WORD_BYTES);
    return address;
}

static bool has_system_address(const struct question *q)
{
    for (uint64_t i = 0; i < q->length / PAGE_INFORMATION_BYTES; i++) {
        if (address_at(q, i) > NTMM_HIGHEST_USER_ADDRESS)
            return true;
    }
    return false;
}

/* Answer from *index on, as far as tables are in memory. (W) is held. */
static void answer_pages(struct call *c, struct process *process, const struct question *q,
                         uint64_t *index)
{
    for (; *index < q->length / PAGE_INFORMATION_BYTES; (*index)++) {
        uint64_t address = address_at(q, *index);
        uint64_t attributes = 0;
        if (address <= NTMM_HIGHEST_USER_ADDRESS)
            attributes = attributes_of(c, process, address >> NTMM_PAGE_SHIFT);
        if (c->want.kind != WANT_NOTHING)
            return;
        put_word(q->buffer, *index * 2 + 1, attributes);
    }
}

ntmm_status query_single_pages(struct question *q)
{
    struct call c = call_begin(q->system);
    struct process *process;
    uint64_t index = 0;
    uint32_t rights = NTMM_PROCESS_QUERY_INFORMATION;
    ntmm_status status;

    if (q->length == 0 || !is_multiple(q->length, PAGE_INFORMATION_BYTES))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!q->buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    bool needs_privilege = has_system_address(q);
    struct relief relief = relief_begin();
    do {
        uint64_t before = index;
        status = process_lock_working_set(&c, q->process, rights, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (needs_privilege && !handle_holds(q->process, HELD_PROFILE))
            status = NTMM_STATUS_PRIVILEGE_NOT_HELD;
        else
            answer_pages(&c, process, q, &index);
        process_unlock_working_set(&c, process);
        if (index != before)
            relief = relief_begin(); /* the bound on tables is one for a page */
    } while (relieve(&c, &relief, process, &status));
    q->written = q->length;
    return status;
}
