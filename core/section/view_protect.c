/*
 * Protecting and committing pages of views. See view.h.
 *
 *   view of data      the protection must not grant more than the view was mapped with
 *   view of an image  anything; what would write is stored as copy on write
 *   a copied page     is private: copy on write is stored as write
 */
#include "base/bits.h"
#include "section/view.h"
#include "space/job.h"
#include "space/protection.h"

#include <ntmm/constants.h>

/* --- rules --- */

enum { CAN_READ = 1, CAN_WRITE = 2, CAN_EXECUTE = 4 };

/* What a protection allows of memory that others see, by its access code. */
static const uint8_t allowed[8] = {
    [0] = 0,
    [PROT_READONLY] = CAN_READ,
    [PROT_EXECUTE] = CAN_READ | CAN_EXECUTE,
    [PROT_EXECUTE_READ] = CAN_READ | CAN_EXECUTE,
    [PROT_READWRITE] = CAN_READ | CAN_WRITE,
    [PROT_WRITECOPY] = CAN_READ,
    [PROT_EXECUTE_READWRITE] = CAN_READ | CAN_WRITE | CAN_EXECUTE,
    [PROT_EXECUTE_WRITECOPY] = CAN_READ | CAN_EXECUTE,
};

bool view_may_protect(uint32_t mapped, uint32_t wanted)
{
    return (allowed[wanted & PROT_ACCESS_MASK] & ~allowed[mapped & PROT_ACCESS_MASK]) == 0;
}

/* nt_semantics 4.5, a row a section, a bit a view. */
bool view_is_allowed(uint32_t section, uint32_t view)
{
    const uint32_t readers = NTMM_PAGE_NOACCESS | NTMM_PAGE_READONLY | NTMM_PAGE_WRITECOPY;
    const uint32_t runners =
        NTMM_PAGE_EXECUTE | NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_EXECUTE_WRITECOPY;
    uint32_t views = 0;
    switch (section & 0xFFu) {
    case NTMM_PAGE_READONLY:
    case NTMM_PAGE_WRITECOPY:
        views = readers;
        break;
    case NTMM_PAGE_READWRITE:
        views = readers | NTMM_PAGE_READWRITE;
        break;
    case NTMM_PAGE_EXECUTE:
        views = NTMM_PAGE_NOACCESS | NTMM_PAGE_EXECUTE;
        break;
    case NTMM_PAGE_EXECUTE_READ:
    case NTMM_PAGE_EXECUTE_WRITECOPY:
        views = readers | runners;
        break;
    case NTMM_PAGE_EXECUTE_READWRITE:
        views = 0xFF;
        break;
    }
    return (view & 0xFFu & ~views) == 0;
}

/* --- applying --- */

/* The code that a page takes when one is asked for. Pages of an image that are written in place are
 * not copied. */
static uint32_t wanted_code(const struct call *c, const struct vad *vad, uint64_t page,
                            uint64_t raw, uint32_t code)
{
    if (view_entry_is_private(c, raw))
        return protection_after_copy(code);
    if (vad_type(vad) != VAD_IMAGE_MAP)
        return code;
    const struct control_area *area = view_area(c, vad);
    const struct subsection *s = area_subsection(c, area, view_prototype(vad, page));
    return get32(&s->is_shared) ? code : protection_before_copy(code);
}

/* A valid page of the section takes a protection under which it may stay valid. */
static void protect_valid(le64 *entry, uint64_t page, uint32_t code, struct gather *g)
{
    const uint64_t kept = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_AGE) |
                          FIELD_MASK(HW_SOFTWARE);
    uint64_t old = load64_relaxed(entry);
    uint64_t new;
    do {
        bool is_dirty = (old & FIELD_MASK(HW_DIRTY)) != 0;
        new = entry_with_protection(field_get(old, HW_FRAME), code, is_dirty, ENTRY_SHARED);
        new = (new & ~kept) | (old & kept);
    } while (!cas64(entry, &old, new));
    bool is_narrower = (old & ~new) != 0 || (new & ~old &FIELD_MASK(HW_NO_EXECUTE)) != 0;
    if (is_narrower)
        gather_range(g, page, page + 1);
}

static void protect_page(struct call *c, struct process *process, const struct vad *vad,
                         struct table_span *span, uint64_t index, uint64_t page, uint32_t code,
                         struct gather *g)
{
    le64 *entry = &span->entry[index];
    uint64_t raw = load64_relaxed(entry);
    if (code & VIEW_REVERT && view_entry_is_private(c, raw)) {
        code = wanted_code(c, vad, page, 0, code & ~VIEW_REVERT);
        (void)private_delete_page(c, process, vad, span, index, page, entry_prototype(code), g);
        return;
    }
    code = wanted_code(c, vad, page, raw, code & ~VIEW_REVERT);
    if (view_entry_is_private(c, raw))
        private_protect_page(c, process, span, index, page, code, g);
    else if ((raw & FIELD_MASK(HW_VALID)) && protection_is_mappable(code))
        protect_valid(entry, page, code, g);
    else if (raw & FIELD_MASK(HW_VALID))
        entry_withdraw_shared(c, process, span->table, entry, page, entry_prototype(code), g);
    else if (raw != 0 || code != view_default_protection(c, vad, page))
        entry_write(c, span->table, entry, entry_prototype(code));
}

/* Pages of [start, end) whose tables are in memory and made. */
static void protect_range(struct call *c, struct process *process, const struct vad *vad,
                          uint64_t start, uint64_t end, uint32_t code)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (uint64_t i = 0; span.entry && i < stop - page; i++)
            protect_page(c, process, vad, &span, i, page + i, code, &g);
        page = stop;
    }
    gather_finish(c, process, &g);
}

/* What a change means for the charge of a page: copies that may be made. */
struct charge_change {
    uint64_t more;
    uint64_t less;
    bool is_committed; /* all pages */
};

/* Whether the page is charged to the process, now and with another code. */
static void weigh_page(struct call *c, const struct vad *vad, uint64_t page, uint64_t raw,
                       uint32_t code, struct charge_change *change)
{
    struct page_state state = view_state_of(c, vad, page, raw);
    bool is_private = view_entry_is_private(c, raw);
    bool is_charged = is_private || protection_is_copy(state.protection);
    if (code & VIEW_REVERT && is_private) {
        is_private = false;
        raw = 0;
    }
    code &= ~VIEW_REVERT;
    bool will_be = is_private || protection_is_copy(wanted_code(c, vad, page, raw, code));
    change->is_committed &= state.is_committed;
    change->more += will_be && !is_charged;
    change->less += is_charged && !will_be;
}

static struct charge_change weigh(struct call *c, struct process *process, const struct vad *vad,
                                  uint64_t start, uint64_t end, uint32_t code)
{
    struct charge_change change = {.is_committed = true};
    for (uint64_t page = start; page < end; page++) {
        struct table_span span = table_find(c, process, page);
        weigh_page(c, vad, page, span.entry ? load64_relaxed(span.entry) : 0, code, &change);
    }
    return change;
}

/* All pages are as the view was mapped, and shall be. */
static bool is_nothing_to_do(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t start, uint64_t end, uint32_t code)
{
    return vad_type(vad) == VAD_DATA_MAP && code == get32(&vad->protection) &&
           table_is_void(c, process, start, end);
}

/* The charge, and tables. Nothing is obtained on failure. */
static ntmm_status reserve(struct call *c, struct process *process, uint64_t start, uint64_t end,
                           const struct charge_change *change)
{
    ntmm_status status = charge_private(c, process, change->more);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (table_make_range(c, process, start, end))
        return NTMM_STATUS_SUCCESS;
    return_private(c, process, change->more);
    return want_status(c);
}

static void apply(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                  uint64_t end, uint32_t code, const struct charge_change *change)
{
    protect_range(c, process, vad, start, end, code);
    table_prune_range(c, process, start, end);
    set64(&vad->commit_pages, get64(&vad->commit_pages) + change->more - change->less);
    return_private(c, process, change->less);
}

static ntmm_status check_protect(const struct vad *vad, uint32_t code)
{
    if (vad_type(vad) == VAD_DATA_MAP && !view_may_protect(get32(&vad->protection), code))
        return NTMM_STATUS_SECTION_PROTECTION;
    return NTMM_STATUS_SUCCESS;
}

ntmm_status view_protect(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                         uint64_t end, uint32_t protection, uint32_t *old)
{
    uint32_t code = protection_in_region(protection & ~VIEW_REVERT, get32(&vad->protection)) |
                    (protection & VIEW_REVERT);
    if (get32(&vad->flags) & VAD_SECTION_NO_CHANGE)
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    struct table_span span = table_find(c, process, start);
    struct page_state first =
        view_state_of(c, vad, start, span.entry ? load64_relaxed(span.entry) : 0);
    struct charge_change change = weigh(c, process, vad, start, end, code);
    if (!change.is_committed)
        return NTMM_STATUS_NOT_COMMITTED;
    ntmm_status status = check_protect(vad, code);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_nothing_to_do(c, process, vad, start, end, code)) {
        status = reserve(c, process, start, end, &change);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        apply(c, process, vad, start, end, code, &change);
    }
    *old = first.protection;
    return NTMM_STATUS_SUCCESS;
}

/* --- committing --- */

/* Commit the pages of [start, end) that are not, or count them only. Of a table that is out, all
 * are. (X) is held. */
static uint64_t commit_missing(struct call *c, struct control_area *area, uint64_t start,
                               uint64_t end, bool is_counting)
{
    uint64_t missing = 0;
    for (uint64_t page = start; page < end;) {
        struct prototype_span span = prototype_find(c, area, page);
        uint64_t stop = min_u64(span.end, end);
        for (le64 *entry = span.entry; entry && page < stop; page++, entry++) {
            if (load64_relaxed(entry) != 0)
                continue;
            missing++;
            if (!is_counting)
                entry_write(c, span.table, entry, entry_software(get32(&area->protection)));
        }
        page = stop;
    }
    return missing;
}

ntmm_status area_commit(struct call *c, struct control_area *area, uint64_t start, uint64_t end)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (!area_is(area, AREA_RESERVE) || start >= end)
        return status;
    area_lock(c, area);
    if (!prototype_make_range(c, area, start, end)) {
        status = want_status(c);
        area_unlock(c, area);
        return status;
    }
    uint64_t missing = commit_missing(c, area, start, end, true);
    if (missing && !commit_charge(c, missing)) {
        status = want_status(c);
        prototype_prune_range(c, area, start, end); /* tables made for this */
    } else {
        (void)commit_missing(c, area, start, end, false);
        set64(&area->commit_pages, get64(&area->commit_pages) + missing);
    }
    area_unlock(c, area);
    return status;
}

ntmm_status view_commit(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                        uint64_t end, uint32_t protection)
{
    struct control_area *area = view_area(c, vad);
    uint32_t code = protection_in_region(protection, get32(&vad->protection));
    if (area_is(area, AREA_OF_FILE))
        return NTMM_STATUS_ALREADY_COMMITTED;
    if (get32(&vad->flags) & VAD_SECTION_NO_CHANGE)
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!view_may_protect(get32(&vad->protection), code))
        return NTMM_STATUS_SECTION_PROTECTION;
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    struct charge_change change = weigh(c, process, vad, start, end, code);
    ntmm_status status = reserve(c, process, start, end, &change);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = area_commit(c, area, view_prototype(vad, start), view_prototype(vad, end));
    if (status == NTMM_STATUS_SUCCESS) {
        apply(c, process, vad, start, end, code, &change);
        return status;
    }
    return_private(c, process, change.more);
    table_prune_range(c, process, start, end);
    return status;
}
