/*
 * Windows and user physical pages. See awe.h.
 */
#include "space/awe.h"
#include "base/bits.h"
#include "space/call_targets.h"
#include "space/job.h"

uint64_t awe_entry(uint64_t frame, uint32_t protection)
{
    if ((protection & PROT_ACCESS_MASK) == 0)
        return FIELD_MASK(HW_VALID) | FIELD_MASK(HW_NO_EXECUTE) | FIELD_MASK(HW_ACCESSED) |
               ENTRY_NOT_IN_SET | frame << NTMM_PAGE_SHIFT;
    return entry_hardware(frame, protection, true) | ENTRY_NOT_IN_SET;
}

static void set_row(struct pfn *pfn, uint32_t owner, uint32_t protection)
{
    store64_relaxed(&pfn->original_pte, (uint64_t)owner << 32 | entry_software(protection));
}

/* --- frames --- */

/* The list is the process's alone, so its links need no lock but (W). */
static void list_add(struct call *c, struct process *process, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t pages = get64(&process->physical_pages);
    uint64_t head = pages ? get64(&process->physical_head) : FRAME_NONE;
    set64(&pfn->flink, head);
    set64(&pfn->blink, FRAME_NONE);
    if (head != FRAME_NONE)
        set64(&pfn_at(c, head)->blink, frame);
    set64(&process->physical_head, frame);
    set64(&process->physical_pages, pages + 1);
}

static void list_take(struct call *c, struct process *process, uint64_t frame)
{
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t next = get64(&pfn->flink);
    uint64_t previous = get64(&pfn->blink);
    if (previous != FRAME_NONE)
        set64(&pfn_at(c, previous)->flink, next);
    else
        set64(&process->physical_head, next);
    if (next != FRAME_NONE)
        set64(&pfn_at(c, next)->blink, previous);
    process_subtract(&process->physical_pages, 1);
}

/* The page of an entry, by the tables above it. */
static uint64_t page_of_entry(struct call *c, uint64_t address)
{
    uint64_t page = 0;
    for (uint32_t level = 1; level <= c->sys->levels; level++) {
        page |= (address & (NTMM_PAGE_SIZE - 1)) / sizeof(le64) << 9 * (level - 1);
        address = get64(&pfn_at(c, ref_frame(c, address))->entry_address);
    }
    return page;
}

/* Whether a frame is mapped where services may not change it. */
static bool is_of_system(struct call *c, struct process *process, const struct pfn *pfn)
{
    uint64_t address = get64(&pfn->entry_address);
    return address && targets_are_kept(process) &&
           !vad_may_change(vad_find(c, process, page_of_entry(c, address)));
}

static struct pfn *find_own(struct call *c, struct process *process, uint64_t frame)
{
    struct pfn *pfn = pfn_find(c, frame);
    bool is_own =
        pfn && pfn_use(pfn) == NTMM_USE_USER_PHYSICAL && awe_owner(pfn) == process_index(process);
    return is_own && !is_of_system(c, process, pfn) ? pfn : NULL;
}

ntmm_status awe_allocate(struct call *c, struct process *process, uint64_t *frames, uint64_t count,
                         uint64_t *got)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    uint64_t i = 0;
    for (; i < count; i++) {
        status = charge_private(c, process, 1);
        if (status != NTMM_STATUS_SUCCESS)
            break;
        if (!frame_allocate_zeroed(c, NTMM_USE_USER_PHYSICAL, &frames[i])) {
            return_private(c, process, 1);
            status = want_status(c);
            break;
        }
        set_row(pfn_at(c, frames[i]), process_index(process), PROT_NOACCESS);
        list_add(c, process, frames[i]);
    }
    *got = i;
    if (i == 0)
        return status;
    c->want = (struct want){.kind = WANT_NOTHING};
    return NTMM_STATUS_SUCCESS;
}

/* --- windows --- */

ntmm_status awe_reserve(struct call *c, struct process *process, const struct vad_place *place,
                        uint32_t protection, uint32_t win32)
{
    ntmm_status status = private_reserve(c, process, place, protection, win32, false);
    if (status == NTMM_STATUS_SUCCESS)
        set32(&vad_find(c, process, place->start)->type, VAD_AWE);
    return status;
}

/* The frame that an entry of a window maps is mapped no more. */
static void unmap(struct call *c, struct process *process, struct table_span *span, uint64_t page,
                  struct gather *g)
{
    uint64_t old = entry_exchange(c, span->table, span->entry, 0);
    struct pfn *pfn = pfn_at(c, field_get(old, HW_FRAME));
    set64(&pfn->entry_address, 0);
    set64(&pfn->table_frame, 0);
    gather_range(g, page, page + 1);
    if (pfn_used(span->table) == 0)
        table_prune(c, process, page, g);
}

static bool is_mapped(const struct table_span *span)
{
    return span->entry && (load64_relaxed(span->entry) & FIELD_MASK(HW_VALID));
}

void awe_release(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t end = vad_end(vad);
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    for (uint64_t page = vad_start(vad); page < end;) {
        struct table_span span = table_find(c, process, page);
        bool is_there = is_mapped(&span);
        if (is_there)
            unmap(c, process, &span, page, &g);
        page = span.entry ? page + 1 : span.end;
    }
    gather_finish(c, process, &g);
    process_subtract(&process->virtual_pages, end - vad_start(vad));
    vad_delete(c, process, vad);
}

ntmm_status awe_protect(struct call *c, struct process *process, const struct vad *vad,
                        uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    uint64_t run_end;
    if (protection != PROT_NOACCESS && protection != PROT_READONLY && protection != PROT_READWRITE)
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    for (uint64_t page = start; page < end; page++) {
        struct table_span span = table_find(c, process, page);
        if (!is_mapped(&span))
            return NTMM_STATUS_NOT_COMMITTED;
    }
    *old = private_query(c, process, vad, start, start + 1, &run_end).protection;
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    for (uint64_t page = start; page < end; page++) {
        struct table_span span = table_find(c, process, page);
        uint64_t frame = field_get(load64_relaxed(span.entry), HW_FRAME);
        entry_exchange(c, span.table, span.entry, awe_entry(frame, protection));
        set_row(pfn_at(c, frame), process_index(process), protection);
        gather_range(&g, page, page + 1);
    }
    gather_finish(c, process, &g);
    return NTMM_STATUS_SUCCESS;
}

/* --- mapping --- */

static uint64_t page_of(const struct awe_mapping *m, uint64_t i)
{
    return m->addresses ? m->addresses[i] >> NTMM_PAGE_SHIFT : m->page + i;
}

static ntmm_status check_pages(struct call *c, struct process *process, const struct awe_mapping *m)
{
    uint64_t looked_at = m->addresses ? m->count : 1;
    for (uint64_t i = 0; i < looked_at; i++) {
        const struct vad *vad = vad_find(c, process, page_of(m, i));
        if (!vad || vad_type(vad) != VAD_AWE || !vad_may_change(vad))
            return NTMM_STATUS_INVALID_PARAMETER_1;
        if (!m->addresses && m->count > vad_end(vad) - m->page)
            return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    return NTMM_STATUS_SUCCESS;
}

/* A frame that may be mapped at a page; it is chosen then. */
static bool choose(struct call *c, struct process *process, uint64_t page, uint64_t frame)
{
    struct pfn *pfn = find_own(c, process, frame);
    if (!pfn || (load16_relaxed(&pfn->state) & PFN_CHOSEN))
        return false;
    uint64_t mapped_at = get64(&pfn->entry_address);
    struct table_span span = table_find(c, process, page);
    if (mapped_at && !(span.entry && mapped_at == core_ref(c, span.entry)))
        return false;
    pfn_change_state(pfn, 0, PFN_CHOSEN);
    return true;
}

/* Each frame is the process's, named once, and mapped nowhere but where it is to be. */
static bool check_frames(struct call *c, struct process *process, const struct awe_mapping *m)
{
    uint64_t chosen = 0;
    while (chosen < m->count && choose(c, process, page_of(m, chosen), m->frames[chosen]))
        chosen++;
    for (uint64_t i = 0; i < chosen; i++)
        pfn_change_state(pfn_at(c, m->frames[i]), PFN_CHOSEN, 0);
    return chosen == m->count;
}

static bool make_tables(struct call *c, struct process *process, const struct awe_mapping *m)
{
    for (uint64_t i = 0; i < m->count; i++) {
        if (table_make(c, process, page_of(m, i), TABLE_FOR_SERVICE).entry)
            continue;
        struct want want = c->want;
        struct gather g;
        gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
        for (uint64_t j = 0; j <= i; j++)
            table_prune(c, process, page_of(m, j), &g);
        gather_finish(c, process, &g);
        c->want = want;
        return false;
    }
    return true;
}

static void map(struct call *c, struct process *process, uint64_t page, uint64_t frame,
                uint32_t protection, struct gather *g)
{
    struct table_span span = table_find(c, process, page);
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t old = entry_exchange(c, span.table, span.entry, awe_entry(frame, protection));
    if (old & FIELD_MASK(HW_VALID)) {
        set64(&pfn_at(c, field_get(old, HW_FRAME))->entry_address, 0);
        set64(&pfn_at(c, field_get(old, HW_FRAME))->table_frame, 0);
        gather_range(g, page, page + 1);
    }
    set64(&pfn->entry_address, core_ref(c, span.entry));
    set64(&pfn->table_frame, ref_frame(c, core_ref(c, span.entry)));
    set_row(pfn, process_index(process), protection);
}

ntmm_status awe_map(struct call *c, struct process *process, const struct awe_mapping *m)
{
    ntmm_status status = check_pages(c, process, m);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (m->frames && !check_frames(c, process, m))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (m->frames && !make_tables(c, process, m))
        return want_status(c);
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    for (uint64_t i = 0; i < m->count; i++) {
        uint64_t page = page_of(m, i);
        struct table_span span = table_find(c, process, page);
        if (m->frames)
            map(c, process, page, m->frames[i], PROT_READWRITE, &g);
        else if (is_mapped(&span))
            unmap(c, process, &span, page, &g);
    }
    gather_finish(c, process, &g);
    return NTMM_STATUS_SUCCESS;
}

/* --- freeing --- */

/* Off the list, and onto a chain that is freed after the shootdown. */
static void give_up(struct call *c, struct process *process, uint64_t frame,
                    struct frame_chain *chain, struct gather *g)
{
    uint64_t address = get64(&pfn_at(c, frame)->entry_address);
    if (address) {
        uint64_t page = page_of_entry(c, address);
        struct table_span span = table_find(c, process, page);
        unmap(c, process, &span, page, g);
    }
    list_take(c, process, frame);
    chain_add(c, chain, frame);
}

ntmm_status awe_free(struct call *c, struct process *process, const uint64_t *frames,
                     uint64_t count, uint64_t *freed)
{
    struct frame_chain chain = chain_empty();
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    uint64_t i = 0;
    while (i < count && find_own(c, process, frames[i])) {
        pfn_change_state(pfn_at(c, frames[i]), PFN_USE, 0); /* if it is named twice */
        give_up(c, process, frames[i++], &chain, &g);
    }
    gather_finish(c, process, &g);
    return_private(c, process, chain.count);
    chain_free(c, &chain);
    *freed = i;
    return i == count ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_3;
}

void awe_free_all(struct call *c, struct process *process)
{
    struct frame_chain chain = chain_empty();
    while (get64(&process->physical_pages)) {
        uint64_t frame = get64(&process->physical_head);
        list_take(c, process, frame);
        chain_add(c, &chain, frame);
    }
    return_private(c, process, chain.count);
    chain_free(c, &chain);
}

/* --- windows of the system --- */

uint64_t awe_find_mapped(struct call *c, struct process *process, uint64_t page, uint64_t end)
{
    while (page < end) {
        struct table_span span = table_find(c, process, page);
        if (is_mapped(&span))
            return page;
        page = span.entry ? page + 1 : span.end;
    }
    return end;
}

ntmm_status awe_add_page(struct call *c, struct process *process, uint64_t page,
                         uint32_t protection)
{
    const struct awe_mapping mapping = {.page = page, .count = 1};
    uint64_t frame, got;
    if (!make_tables(c, process, &mapping))
        return want_status(c);
    ntmm_status status = awe_allocate(c, process, &frame, 1, &got);
    struct want want = c->want;
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    if (status == NTMM_STATUS_SUCCESS)
        map(c, process, page, frame, protection, &g);
    else
        table_prune(c, process, page, &g);
    gather_finish(c, process, &g);
    c->want = want;
    return status;
}

uint64_t awe_frame(struct call *c, struct process *process, uint64_t page)
{
    return field_get(load64_relaxed(table_find(c, process, page).entry), HW_FRAME);
}

void awe_drop_page(struct call *c, struct process *process, uint64_t page)
{
    struct frame_chain chain = chain_empty();
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    give_up(c, process, awe_frame(c, process, page), &chain, &g);
    gather_finish(c, process, &g);
    return_private(c, process, chain.count);
    chain_free(c, &chain);
}
