/*
 * The checker's view of processes: their slots, their VADs and sums.
 *
 *   pages in order   entry entry entry ...
 *   VADs in order    [  current  ) ...            commit is counted while the entries of a VAD pass
 *
 * Pages in tables that cannot be looked at may be committed or not: they widen what V4 allows.
 */
#include "inspect/checker.h"
#include "space/readers.h"

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
    if (!vad_may_change(vad)) /* the system's own may lie above */
        highest = NTMM_USER_PROBE_ADDRESS >> NTMM_PAGE_SHIFT;
    if (vad_start(vad) < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT || vad_end(vad) > highest)
        return check_fail(w->k, "V1", w->at.ref, highest, vad_end(vad));
    return true;
}

static bool check_commit_of(struct walk *w, const struct vad *vad)
{
    bool is_default = vad_is_committed_by_default(vad);
    uint64_t pages = w->at.end - w->at.start;
    uint64_t known = (is_default ? pages : 0) + (uint64_t)w->counted;
    uint64_t least = is_default ? known - w->unknown_pages : known;
    if (vad_is_view(vad))
        return check_view(w, vad) && check_view_commit(w, vad);
    return check_between(w->k, "V4", w->at.ref, least, least + w->unknown_pages,
                         get64(&vad->commit_pages));
}

/* V4, and the VAD's own range: it is behind us. */
static bool finish_vad(struct walk *w)
{
    const struct vad *vad = vad_at(w->k->c, w->at.ref);
    uint64_t pages = w->at.end - w->at.start;
    uint64_t commit = get64(&vad->commit_pages);
    if (!check_range(w, vad) || !check_secures(w, vad) || !check_commit_of(w, vad))
        return false;
    bool is_view = vad_type(vad) == VAD_LARGE_PAGE_SECTION; /* the frames are its section's */
    bool is_large = is_view || vad_type(vad) == VAD_LARGE_PAGES;
    w->k->large_pages += is_view ? 0 : w->large_pages;
    if (!check_equal(w->k, "V11", w->at.ref, is_large ? pages : 0, w->large_pages))
        return false;
    w->large_pages = 0;
    w->commit += commit;
    w->virtual += pages;
    w->k->vads++;
    w->counted = 0;
    w->unknown_pages = 0;
    go_to(w, w->at.end);
    return true;
}

static bool finish_vads_before(struct walk *w, uint64_t page)
{
    while (w->at.ref && w->at.end <= page) {
        if (!finish_vad(w))
            return false;
    }
    return true;
}

bool walk_reach(struct walk *w, uint64_t page, const struct vad **vad)
{
    if (!finish_vads_before(w, page))
        return false;
    if (!w->at.ref || w->at.start > page)
        return check_fail(w->k, "V2", page << NTMM_PAGE_SHIFT, 0, 1);
    *vad = vad_at(w->k->c, w->at.ref);
    return true;
}

bool walk_pass_unknown(struct walk *w, uint64_t start, uint64_t end)
{
    if (!finish_vads_before(w, start))
        return false;
    if (!w->at.ref || w->at.start >= end)
        return check_fail(w->k, "V2", start << NTMM_PAGE_SHIFT, 0, 1);
    while (w->at.ref && w->at.start < end) {
        w->unknown_pages += min_u64(w->at.end, end) - max_u64(w->at.start, start);
        if (w->at.end > end)
            break;
        if (!finish_vad(w))
            return false;
    }
    return true;
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
    check_meet(mark);
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

/* V8, RD3: a hint is a VAD of this process, or none. */
static bool check_vad_hint(struct checker *k, const char *invariant, const struct process *process,
                           uint64_t hint)
{
    uint32_t owner = process_index(process);
    if (hint && !check_is_object(k, SLAB_VAD, hint, &owner))
        return check_fail(k, invariant, hint, 1, 0);
    return check_equal(k, invariant, hint, process_index(process), owner);
}

static bool check_hints(struct checker *k, const struct process *process)
{
    for (uint32_t i = 0; i < READERS; i++) {
        if (!check_vad_hint(k, "RD3", process, get64(&process->readers[i].vad_hint)))
            return false;
    }
    return check_vad_hint(k, "V8", process, get64(&process->vad_hint));
}

/* S4: the VAD that the process keeps for the next region is its own. */
static bool check_spare(struct checker *k, const struct process *process)
{
    uint64_t spare = get64(&process->vad_spare);
    uint32_t owner = process_index(process);
    if (spare && !check_is_object(k, SLAB_VAD, spare, &owner))
        return check_fail(k, "S4", spare, 1, 0);
    k->vads += spare != 0;
    return check_equal(k, "S4", spare, process_index(process), owner);
}

/* PR3: with a table above the leaves unknown, there may be more. */
static bool check_table_sums(const struct walk *w)
{
    uint64_t pages = get64(&w->process->table_pages);
    uint64_t out = get64(&w->process->tables_out);
    if (w->is_above_unknown)
        return check_between(w->k, "PR3", 0, w->tables, UINT64_MAX, pages) &&
               check_between(w->k, "PR3", 1, w->tables_out, pages - 1, out);
    return check_equal(w->k, "PR3", 0, w->tables, pages) &&
           check_equal(w->k, "PR3", 1, w->tables_out, out);
}

static bool check_process(struct checker *k, const struct process *process)
{
    struct walk w = {.k = k, .process = process};
    uint64_t root = get64(&process->root_frame);

    k->process = get64(&process->handle);
    if (!check_tree(k, process) || !check_hints(k, process) || !check_spare(k, process) ||
        !check_root(k, root) || !check_watch(k, process) || !check_physical(k, process) ||
        !check_fault_log(k, process) || !check_call_targets(k, process))
        return false;
    go_to(&w, 0);
    if (!check_tables(&w, root))
        return false;
    while (w.at.ref) {
        if (!finish_vad(&w))
            return false;
    }
    w.commit += get64(&process->physical_pages);
    k->commit += w.commit + get64(&process->table_pages);
    return check_equal(k, "PR2", 0, w.commit, get64(&process->commit_pages)) &&
           check_equal(k, "PR2", 1, w.virtual, get64(&process->virtual_pages)) &&
           check_table_sums(&w) &&
           check_equal(k, "W1", 0, w.working_set,
                       get64(&process->working_set_pages) + readers_pages(process)) &&
           check_equal(k, "W2", 0, w.locked, get64(&process->locked_pages));
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
bool check_directory_frame(struct checker *k, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    const struct pfn *pfn = pfn_find(k->c, frame);
    if (!pfn || frame_ref(k->c, frame) != ref)
        return check_fail(k, "PR4", ref, 1, 0);
    k->process_frames++;
    return check_equal(k, "PR4", ref, NTMM_USE_PROCESS, (uint64_t)pfn_use(pfn));
}

/* PR4: frames of processes and jobs together. */
static bool check_directory_total(struct checker *k)
{
    return check_equal(k, "PR4", 0, k->process_frames, get64(&partition_of(k->c)->process_pages));
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
    if (!check_job_frames(k))
        return false;
    if (!directory)
        return check_equal(k, "PR1", 0, 0, slots) && check_directory_total(k);
    if (!check_directory_frame(k, directory))
        return false;
    const le64 *refs = core_at(k->c->bias, directory);
    for (uint32_t i = 0; i < slots / PROCESSES_PER_FRAME; i++) {
        if (!check_directory_frame(k, get64(&refs[i])))
            return false;
    }
    return check_directory_total(k);
}

/* PR1: the slot of a process that lives, or whose end failed; and all that it has. */
static bool check_slot(struct checker *k, uint32_t slot, const struct process *process)
{
    uint32_t state = get32(&process->state);
    uint32_t sound = state == PROCESS_END_FAILED ? PROCESS_END_FAILED : PROCESS_LIVE;
    return check_equal(k, "PR1", slot, slot, process_index(process)) &&
           check_equal(k, "PR1", slot, sound, state) && check_process(k, process);
}

/* Everything of readers but who is inside. */
static bool have_nothing(const struct readers *readers)
{
    return (get32(&readers->calls) | get32(&readers->demand_zero) | get32(&readers->transition) |
            get32(&readers->zeroed) | get32(&readers->used) | get32(&readers->shares)) == 0 &&
           (get64(&readers->made_dirty) | get64(&readers->vad_hint) | get64(&readers->leaf_span) |
            get64(&readers->leaf_frame)) == 0;
}

/* L1, RD2: nobody is inside, and there is something to add only while (W) is shared. */
static bool check_readers(struct checker *k, uint32_t slot, const struct process *process)
{
    uint32_t lock = load32_relaxed(&process->working_set_lock);
    for (uint32_t i = 0; i < READERS; i++) {
        const struct readers *readers = &process->readers[i];
        uint32_t inside = load32_relaxed(&readers->is_owned) + load32_relaxed(&readers->guests);
        if (!check_equal(k, "L1", slot, 0, inside) ||
            (lock != LOCK_SHARED && !check_equal(k, "RD2", slot, 1, have_nothing(readers))))
            return false;
    }
    return true;
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
        if (!check_equal(k, "L1", slot, 0, load32_relaxed(&process->address_lock)) ||
            !check_equal(k, "L1", slot, 0, load32_relaxed(&process->working_set_lock) & 1u) ||
            !check_readers(k, slot, process))
            return false;
        if (get64(&process->handle) == 0)
            continue;
        live++;
        k->minimum_pages += get64(&process->working_set_minimum);
        if (!check_slot(k, slot, process))
            return false;
    }
    k->process = 0;
    return check_slots(k, live) &&
           check_equal(k, "W3", 0, k->minimum_pages,
                       load64_relaxed(&partition_of(k->c)->minimum_pages)) &&
           check_equal(k, "P12", 0, k->large_pages,
                       load64_relaxed(&partition_of(k->c)->large_pages)) &&
           check_jobs(k);
}
