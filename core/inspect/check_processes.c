/*
 * The checker's view of processes: VADs and page tables, walked together in address order.
 *
 *   pages in order   entry entry entry ...
 *   VADs in order    [  current  ) ...            commit is counted while the entries of a VAD pass
 */
#include "inspect/checker.h"
#include "space/protection.h"

/* One process being walked. */
struct walk {
    struct checker *k;
    const struct process *process;
    struct gap_range at; /* the VAD that contains or follows the page reached; ref 0 if none does */
    int64_t counted;     /* commit of that VAD so far, relative to its default */
    uint64_t commit;     /* of VADs passed */
    uint64_t virtual;    /* pages of VADs passed */
    uint64_t tables;     /* met */
    uint64_t working_set; /* valid leaf entries met */
};

/* Go to the VAD that contains or follows a page. */
static void go_to(struct walk *w, uint64_t page)
{
    if (!gap_tree_find_at_or_after(w->k->c->bias, &w->process->vads, page, &w->at))
        w->at.ref = 0;
}

/* V1: the VAD says the range that the tree says, and that lies inside the process's bounds. */
static bool check_range(struct walk *w, const struct vad *vad)
{
    uint64_t highest = get64(&w->process->highest_page);
    if (!check_equal(w->k, "V1", w->at.ref, w->at.start, vad_start(vad)) ||
        !check_equal(w->k, "V1", w->at.ref, w->at.end, vad_end(vad)))
        return false;
    if (vad_start(vad) < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT || vad_end(vad) > highest)
        return check_fail(w->k, "V1", w->at.ref, highest, vad_end(vad));
    return true;
}

/* V4, and the VAD's own range: it is behind us. */
static bool finish_vad(struct walk *w)
{
    const struct vad *vad = vad_at(w->k->c, w->at.ref);
    uint64_t pages = w->at.end - w->at.start;
    uint64_t commit = (vad_is_committed_by_default(vad) ? pages : 0) + (uint64_t)w->counted;
    if (!check_range(w, vad) ||
        !check_equal(w->k, "V4", w->at.ref, commit, get64(&vad->commit_pages)))
        return false;
    w->commit += commit;
    w->virtual += pages;
    w->k->vads++;
    w->counted = 0;
    go_to(w, w->at.end);
    return true;
}

/* Move to the VAD that contains a page; V2 when there is none. */
static bool reach(struct walk *w, uint64_t page, const struct vad **vad)
{
    while (w->at.ref && w->at.end <= page) {
        if (!finish_vad(w))
            return false;
    }
    if (!w->at.ref || w->at.start > page)
        return check_fail(w->k, "V2", page << NTMM_PAGE_SHIFT, 0, 1);
    *vad = vad_at(w->k->c, w->at.ref);
    return true;
}

/* The row of a frame that an entry at `address` of `table` maps. */
static bool check_owner(struct walk *w, uint64_t frame, uint64_t address, uint64_t table,
                        enum ntmm_frame_use use)
{
    uint32_t *mark = check_mark(w->k, frame);
    if (!mark)
        return check_fail(w->k, "P9", frame, 0, address);
    ++*mark;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    return check_equal(w->k, "P9", frame, address, get64(&pfn->entry_address)) &&
           check_equal(w->k, "P9", frame, table, pfn_table_frame(pfn)) &&
           check_equal(w->k, "P9", frame, use, (uint64_t)pfn_use(pfn));
}

/* V7: a valid entry grants what its page's protection says, and the write bit only with dirty. */
static bool check_valid(struct walk *w, uint64_t raw, uint64_t page, uint64_t address,
                        uint64_t table)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1) |
                            FIELD_MASK(HW_AGE) | FIELD_MASK(HW_SOFTWARE);
    if (!check_owner(w, frame, address, table, NTMM_USE_PRIVATE))
        return false;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    uint32_t protection = (uint32_t)field_get(get64(&pfn->original_pte), SW_PROTECTION);
    uint64_t expected = entry_hardware(frame, protection, false);
    if (((raw ^ expected) & ~varies) != 0 || !protection_is_mappable(protection))
        return check_fail(w->k, "V7", page << NTMM_PAGE_SHIFT, expected, raw);
    bool is_writable = (raw & FIELD_MASK(HW_DIRTY1)) != 0;
    bool may_be = (raw & FIELD_MASK(HW_WRITE)) && (raw & FIELD_MASK(HW_DIRTY));
    if (is_writable && !may_be)
        return check_fail(w->k, "V7", page << NTMM_PAGE_SHIFT, expected, raw);
    w->working_set++;
    return check_equal(w->k, "P7", frame, 1, get32(&pfn->share_count));
}

/* P4: an entry in transition names a listed frame, and they agree on the page's protection. */
static bool check_transition(struct walk *w, uint64_t value, uint64_t address, uint64_t table)
{
    uint64_t frame = field_get(value, TR_FRAME);
    const uint32_t *mark = check_mark(w->k, frame);
    if (!mark || !(*mark & MARK_LISTED))
        return check_fail(w->k, "P4", frame, 1, 0);
    uint64_t original = get64(&pfn_at(w->k->c, frame)->original_pte);
    return check_owner(w, frame, address, table, NTMM_USE_PRIVATE) &&
           check_equal(w->k, "P4", frame, field_get(original, SW_PROTECTION),
                       field_get(value, TR_PROTECTION));
}

/* V9: a software entry holds a protection that a private page can have, and nothing else. */
static bool check_software(struct walk *w, uint64_t value, uint64_t page)
{
    uint32_t protection = (uint32_t)field_get(value, SW_PROTECTION);
    bool is_code = protection == PROT_DECOMMITTED || protection == PROT_NOACCESS ||
                   (protection & PROT_ACCESS_MASK) != 0;
    uint64_t expected = is_code ? entry_software(protection) : 0;
    return check_equal(w->k, "V9", page << NTMM_PAGE_SHIFT, expected, value);
}

/* An entry by its kind, before anything it names is trusted; *is_shared: valid or in transition. */
static bool check_entry(struct walk *w, uint64_t raw, uint64_t page, uint64_t address,
                        uint64_t table, bool *is_shared)
{
    uint64_t value = entry_value(w->k->c, raw);
    switch (entry_kind(w->k->c, raw)) {
    case PTE_VALID:
        *is_shared = true;
        return check_valid(w, raw, page, address, table);
    case PTE_TRANSITION:
        *is_shared = true;
        return check_transition(w, value, address, table);
    case PTE_ZERO:
    case PTE_DEMAND_ZERO:
    case PTE_DECOMMITTED:
    case PTE_NO_ACCESS:
    case PTE_PAGEFILE:
    case PTE_PROTOTYPE:
    case PTE_LARGE:
        break;
    }
    return check_software(w, value, page);
}

/* A non-empty leaf entry; *is_shared: it is valid or in transition. */
static bool check_leaf(struct walk *w, uint64_t raw, uint64_t page, uint64_t address,
                       uint64_t table, bool *is_shared)
{
    const struct vad *vad = NULL;
    if (!reach(w, page, &vad) || !check_entry(w, raw, page, address, table, is_shared))
        return false;
    bool is_committed = page_state_of(w->k->c, vad, raw).is_committed;
    w->counted += is_committed - (int64_t)vad_is_committed_by_default(vad);
    return true;
}

static bool check_table(struct walk *w, uint64_t frame, uint32_t level, uint64_t page);

/* V6: an entry above the leaves is a valid table, all rights in it; *is_shared as for check_leaf.
 * */
static bool check_branch(struct walk *w, uint64_t raw, uint32_t level, uint64_t page,
                         uint64_t address, uint64_t table, bool *is_shared)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_AGE) |
                            FIELD_MASK(HW_SOFTWARE);
    const uint64_t expected = FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_OWNER) |
                              FIELD_MASK(HW_WRITE) | frame << NTMM_PAGE_SHIFT;
    if (((raw ^ expected) & ~varies) != 0)
        return check_fail(w->k, "V6", page << NTMM_PAGE_SHIFT, expected, raw);
    *is_shared = true;
    return check_owner(w, frame, address, table, NTMM_USE_TABLE) &&
           check_table(w, frame, level - 1, page);
}

/* A table whose entries are of `level`, and everything below; the depth is that of the tables. */
static bool check_table(struct walk *w, uint64_t frame, uint32_t level, uint64_t page)
{
    struct call *c = w->k->c;
    const le64 *table = table_at(c, frame);
    uint32_t entries = level == c->sys->levels ? 256 : NTMM_ENTRIES_PER_TABLE;
    uint32_t used = 0;
    uint32_t shares = 1;

    w->tables++;
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t raw = get64(&table[i]);
        uint64_t address = frame_ref(c, frame) + i * sizeof(le64);
        uint64_t at = page + ((uint64_t)i << 9 * (level - 1));
        bool is_shared = false;
        if (raw == 0)
            continue;
        used++;
        bool is_sound = level == 1 ? check_leaf(w, raw, at, address, frame, &is_shared)
                                   : check_branch(w, raw, level, at, address, frame, &is_shared);
        if (!is_sound)
            return false;
        shares += is_shared;
    }
    const struct pfn *pfn = pfn_at(c, frame);
    if (used == 0 && level != c->sys->levels)
        return check_fail(w->k, "V3", frame, 1, 0);
    return check_equal(w->k, "V3", frame, used, pfn_used(pfn)) &&
           check_equal(w->k, "V5", frame, shares, get32(&pfn->share_count));
}

/* V1, and S4 for the root: below it, each node and VAD has the owner of the node above. */
static bool check_tree(struct checker *k, const struct process *process)
{
    uint64_t root = get64(&process->vads.root);
    uint64_t bad, nodes;
    uint32_t owner = process_index(process);
    if (root && !check_is_object(k, SLAB_VAD_NODE, root, &owner))
        return check_fail(k, "V1", 0, 0, root);
    if (!check_equal(k, "S4", root, process_index(process), owner))
        return false;
    enum gap_tree_defect defect = gap_tree_check(k->c->bias, &process->vads, &nodes, &bad);
    if (defect != GAP_TREE_SOUND)
        return check_fail(k, "V1", bad, GAP_TREE_SOUND, (uint64_t)defect);
    k->vad_nodes += nodes;
    return true;
}

/* V6: the root is a table that belongs to itself, and maps itself where the system says. */
static bool check_root(struct checker *k, uint64_t root)
{
    uint32_t *mark = check_mark(k, root);
    if (!mark || pfn_use(pfn_at(k->c, root)) != NTMM_USE_TABLE)
        return check_fail(k, "V6", root, NTMM_USE_TABLE, 0);
    ++*mark;
    uint32_t slot = get32(&anchor_of(k->c)->self_map_slot);
    uint64_t address = slot ? frame_ref(k->c, root) + slot * sizeof(le64) : 0;
    const struct pfn *pfn = pfn_at(k->c, root);
    if (!check_equal(k, "V6", root, root, pfn_table_frame(pfn)) ||
        !check_equal(k, "V6", root, address, get64(&pfn->entry_address)))
        return false;
    if (!slot)
        return true;
    const le64 *table = table_at(k->c, root);
    return check_equal(k, "V6", root, root, field_get(get64(&table[slot]), HW_FRAME));
}

/* V8: the hint is a VAD of this process, or none. */
static bool check_hint(struct checker *k, const struct process *process)
{
    uint64_t hint = get64(&process->vad_hint);
    uint32_t owner = process_index(process);
    if (hint && !check_is_object(k, SLAB_VAD, hint, &owner))
        return check_fail(k, "V8", hint, 1, 0);
    return check_equal(k, "V8", hint, process_index(process), owner);
}

static bool check_process(struct checker *k, const struct process *process)
{
    struct walk w = {.k = k, .process = process};
    uint64_t root = get64(&process->root_frame);

    k->process = get64(&process->handle);
    if (!check_tree(k, process) || !check_hint(k, process) || !check_root(k, root))
        return false;
    go_to(&w, 0);
    if (!check_table(&w, root, k->c->sys->levels, 0))
        return false;
    while (w.at.ref) {
        if (!finish_vad(&w))
            return false;
    }
    k->commit += w.commit + w.tables;
    return check_equal(k, "PR2", 0, w.commit, get64(&process->commit_pages)) &&
           check_equal(k, "PR2", 1, w.virtual, get64(&process->virtual_pages)) &&
           check_equal(k, "PR3", 0, w.tables, get64(&process->table_pages)) &&
           check_equal(k, "W1", 0, w.working_set, get64(&process->working_set_pages));
}

/* PR1: slots are live or on the free chain. */
static bool check_slots(struct checker *k, uint32_t live)
{
    struct anchor *anchor = anchor_of(k->c);
    uint32_t slots = get32(&anchor->slot_count);
    uint32_t chained = 0;
    k->process = 0;
    for (uint32_t next = get32(&anchor->free_slot); next && chained <= slots; chained++) {
        const struct process *process = process_in_slot(k->c, next - 1);
        if (!process || get64(&process->handle) != 0)
            return check_fail(k, "PR1", next - 1, 0, 1);
        if (!check_equal(k, "PR1", next - 1, PROCESS_FREE, get32(&process->state)))
            return false;
        next = get32(&process->next_free);
    }
    return check_equal(k, "PR1", 0, slots - live, chained) &&
           check_equal(k, "PR1", 1, live, get32(&anchor->live_count));
}

/* PR4: a reference names a frame of process objects. */
static bool check_directory_frame(struct checker *k, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    const struct pfn *pfn = pfn_find(k->c, frame);
    if (!pfn || frame_ref(k->c, frame) != ref)
        return check_fail(k, "PR4", ref, 1, 0);
    k->process_frames++;
    return check_equal(k, "PR4", ref, NTMM_USE_PROCESS, (uint64_t)pfn_use(pfn));
}

/* PR1, PR4: the directory and the frames it names, before a slot is looked at. */
static bool check_directory(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    uint32_t slots = get32(&anchor->slot_count);
    uint64_t directory = get64(&anchor->directory_ref);

    k->process = 0;
    if (slots > PROCESSES_MAX || slots % PROCESSES_PER_FRAME)
        return check_fail(k, "PR1", 0, PROCESSES_MAX, slots);
    if (!directory)
        return check_equal(k, "PR1", 0, 0, slots);
    if (!check_directory_frame(k, directory))
        return false;
    const le64 *refs = core_at(k->c->bias, directory);
    for (uint32_t i = 0; i < slots / PROCESSES_PER_FRAME; i++) {
        if (!check_directory_frame(k, get64(&refs[i])))
            return false;
    }
    return check_equal(k, "PR4", 0, k->process_frames, get64(&partition_of(k->c)->process_pages));
}

bool check_processes(struct checker *k)
{
    struct anchor *anchor = anchor_of(k->c);
    uint32_t slots = get32(&anchor->slot_count);
    uint32_t live = 0;

    if (!check_directory(k))
        return false;
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct process *process = process_in_slot(k->c, slot);
        uint64_t handle = get64(&process->handle);
        if (!check_equal(k, "L1", slot, 0, load32_relaxed(&process->address_lock)) ||
            !check_equal(k, "L1", slot, 0, load32_relaxed(&process->working_set_lock)))
            return false;
        if (handle == 0)
            continue;
        live++;
        if (!check_equal(k, "PR1", slot, slot, (uint32_t)handle) ||
            !check_equal(k, "PR1", slot, PROCESS_LIVE, get32(&process->state)) ||
            !check_process(k, process))
            return false;
    }
    return check_slots(k, live);
}
