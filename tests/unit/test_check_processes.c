/*
 * The checker finds each broken invariant of VADs, tables and processes, and names it: V1 to V9,
 * W1, PR1 to PR4, JB1.
 */
#include "unit/corruption.h"

#include "phys/slots.h"
#include "space/job.h"
#include "x64/formats.h"

static uint64_t reference_of(struct machine *m, uint64_t va)
{
    struct call c = machine_call(m);
    return vad_ref(&c, machine_vad(m, va));
}

static uint64_t add(le64 *word, int64_t by)
{
    set64(word, get64(word) + (uint64_t)by);
    return 0;
}

/* The tree of regions has a root above two leaves. */
static struct gap_node *tree_root(struct machine *m)
{
    struct call c = machine_call(m);
    struct gap_node *root = core_at(c.bias, get64(&machine_object(m)->vads.root));
    assert_int_equal(get32(&root->level), 1);
    return root;
}

static uint64_t leaf_reference(struct machine *m) { return get64(&tree_root(m)->ref[0]); }

static struct gap_node *tree_leaf(struct machine *m)
{
    struct call c = machine_call(m);
    return core_at(c.bias, leaf_reference(m));
}

static uint64_t overlap(struct machine *m)
{
    le64 *ends = tree_leaf(m)->end;
    add(&ends[5], MANY_STEP >> NTMM_PAGE_SHIFT);
    return leaf_reference(m);
}

static uint64_t mistake_start(struct machine *m)
{
    add(&machine_vad(m, MANY)->start, -1);
    return reference_of(m, MANY);
}

static uint64_t mistake_end(struct machine *m)
{
    add(&machine_vad(m, MANY)->end, 1);
    return reference_of(m, MANY);
}

static uint64_t mistake_gap(struct machine *m)
{
    add(&tree_root(m)->gap[0], 1);
    return leaf_reference(m);
}

static uint64_t lead_branch_astray(struct machine *m)
{
    set64(&tree_root(m)->ref[0], 0xDEAD000000ull);
    return get64(&machine_object(m)->vads.root);
}

static uint64_t lead_branch_to_vad(struct machine *m)
{
    set64(&tree_root(m)->ref[0], reference_of(m, COMMITTED));
    return get64(&machine_object(m)->vads.root);
}

static uint64_t lead_leaf_astray(struct machine *m)
{
    set64(&tree_leaf(m)->ref[0], reference_of(m, COMMITTED) + 64 * 1000);
    return leaf_reference(m);
}

static uint64_t lead_leaf_to_a_vad_twice(struct machine *m)
{
    set64(&tree_leaf(m)->ref[0], get64(&tree_leaf(m)->ref[1]));
    return get64(&tree_leaf(m)->ref[1]);
}

static uint64_t overfill_leaf(struct machine *m)
{
    set32(&tree_leaf(m)->count, 56);
    return leaf_reference(m);
}

static uint64_t miscount_regions(struct machine *m)
{
    return add(&machine_object(m)->vads.count, 1);
}

static uint64_t lead_root_astray(struct machine *m)
{
    set64(&machine_object(m)->vads.root, 0xDEAD000000ull);
    return 0;
}

static uint64_t leave_bounds(struct machine *m)
{
    uint64_t last = MANY + (MANY_COUNT - 1) * MANY_STEP;
    set64(&machine_object(m)->highest_page, last >> NTMM_PAGE_SHIFT);
    return reference_of(m, last);
}

static uint64_t enter_beside_region(struct machine *m)
{
    uint64_t va = COMMITTED + 64 * PAGE;
    set64(machine_entry(m, va, 1), entry_software(PROT_READWRITE));
    return va;
}

static uint64_t enter_table_twice(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED - 2 * MIB, 2);
    set64(entry, get64(machine_entry(m, SPARSE_PAGES, 2)));
    return machine_table_frame(m, SPARSE_PAGES, 1);
}

static uint64_t miscount_entries(struct machine *m)
{
    uint64_t frame = machine_table_frame(m, COMMITTED, 1);
    pfn_add_used(machine_row(m, frame), 1);
    return frame;
}

static uint64_t drop_an_entry(struct machine *m)
{
    set64(machine_entry(m, COMMITTED + 12 * PAGE, 1), 0);
    return machine_table_frame(m, COMMITTED, 1);
}

static uint64_t keep_an_empty_table(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame = machine_table_frame(m, SPARSE_PAGES, 1);
    memset(table_at(&c, frame), 0, PAGE);
    return frame;
}

static uint64_t miscount_commit_of_region(struct machine *m)
{
    add(&machine_vad(m, SPARSE)->commit_pages, 1);
    return reference_of(m, SPARSE);
}

static uint64_t forget_commit_flag(struct machine *m)
{
    set32(&machine_vad(m, COMMITTED)->flags, 0);
    return reference_of(m, COMMITTED);
}

static uint64_t miscount_shares(struct machine *m)
{
    uint64_t frame = machine_table_frame(m, SPARSE_PAGES, 2);
    pfn_add_share(machine_row(m, frame), 1);
    return frame;
}

static uint64_t withdraw_table(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 2);
    set64(entry, get64(entry) & ~FIELD_MASK(HW_VALID));
    return COMMITTED & ~(2 * MIB - 1);
}

static uint64_t make_large(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 2);
    set64(entry, get64(entry) | FIELD_MASK(HW_LARGE_PAGE));
    return COMMITTED & ~(2 * MIB - 1);
}

static uint64_t protect_table(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 2);
    set64(entry, get64(entry) & ~FIELD_MASK(HW_DIRTY1));
    return COMMITTED & ~(2 * MIB - 1);
}

static uint64_t mistake_root(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set64(&machine_object(m)->root_frame, frame);
    return frame;
}

static uint64_t mistake_roots_table(struct machine *m)
{
    uint64_t root = get64(&machine_object(m)->root_frame);
    set64(&machine_row(m, root)->table_frame, 0);
    return root;
}

static uint64_t grant_write(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED + 12 * PAGE, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_WRITE));
    return COMMITTED + 12 * PAGE;
}

static uint64_t grant_execute(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 1);
    set64(entry, get64(entry) & ~FIELD_MASK(HW_NO_EXECUTE));
    return COMMITTED;
}

static uint64_t write_without_dirty(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED + 4 * PAGE, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1));
    return COMMITTED + 4 * PAGE;
}

static uint64_t valid_guard(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set64(&machine_row(m, frame)->original_pte, entry_software(PROT_READWRITE | PROT_GUARD));
    return COMMITTED;
}

static uint64_t hint_astray(struct machine *m)
{
    set64(&machine_object(m)->vad_hint, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t hint_of_another(struct machine *m)
{
    ntmm_handle own = m->process;
    m->process = corruption_other_process();
    uint64_t ref = reference_of(m, BASE);
    m->process = own;
    set64(&machine_object(m)->vad_hint, ref);
    return ref;
}

static uint64_t slot_without_file(struct machine *m)
{
    set64(machine_entry(m, COMMITTED + 8 * PAGE, 1),
          field_set(entry_software(PROT_READWRITE), SW_PAGEFILE_HIGH, 7));
    return COMMITTED + 8 * PAGE;
}

static uint64_t damaged_with_slot(struct machine *m)
{
    set64(machine_entry(m, COMMITTED + 8 * PAGE, 1),
          field_set(entry_damaged(PROT_READWRITE), SW_PAGEFILE_HIGH, 7));
    return COMMITTED + 8 * PAGE;
}

static uint64_t damaged_in_memory(struct machine *m)
{
    store64_relaxed(&machine_row(m, machine_frame(m, COMMITTED))->original_pte,
                    entry_damaged(PROT_READWRITE));
    return COMMITTED;
}

static uint64_t no_protection(struct machine *m)
{
    set64(machine_entry(m, COMMITTED + 8 * PAGE, 1), entry_software(PROT_NOCACHE));
    return COMMITTED + 8 * PAGE;
}

static uint64_t miscount_working_set(struct machine *m)
{
    return add(&machine_object(m)->working_set_pages, 1);
}

static uint64_t miscount_minimum(struct machine *m)
{
    return add(&machine_object(m)->working_set_minimum, 1);
}

static uint64_t lock_uncounted(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 1);
    set64(entry, get64(entry) | ENTRY_LOCKED_IN_SET);
    return 0;
}

static uint64_t miscount_locks(struct machine *m)
{
    return add(&machine_object(m)->locked_pages, 1);
}

static uint64_t mistake_handle(struct machine *m)
{
    uint64_t slot = (uint32_t)m->process;
    set64(&machine_object(m)->handle, m->process + 1);
    return slot;
}

static uint64_t mistake_state(struct machine *m)
{
    set32(&machine_object(m)->state, PROCESS_ENDING);
    return (uint32_t)m->process;
}

static uint64_t forget_free_slots(struct machine *m)
{
    set32(&machine_anchor(m)->free_slot, 0);
    return 0;
}

static uint64_t free_live_slot(struct machine *m)
{
    set32(&machine_anchor(m)->free_slot, (uint32_t)m->process + 1);
    return (uint32_t)m->process;
}

static uint64_t let_free_slot_live(struct machine *m)
{
    struct call c = machine_call(m);
    uint32_t slot = get32(&machine_anchor(m)->free_slot) - 1;
    set32(&process_in_slot(&c, slot)->state, PROCESS_LIVE);
    return slot;
}

static uint64_t miscount_live(struct machine *m)
{
    set32(&machine_anchor(m)->live_count, 3);
    return 1;
}

static uint64_t miscount_slots(struct machine *m)
{
    set32(&machine_anchor(m)->slot_count, 7);
    return 0;
}

static uint64_t miscount_commit(struct machine *m)
{
    return add(&machine_object(m)->commit_pages, 1);
}

static uint64_t miscount_virtual(struct machine *m)
{
    add(&machine_object(m)->virtual_pages, -1);
    return 1;
}

static uint64_t miscount_tables(struct machine *m)
{
    return add(&machine_object(m)->table_pages, -1);
}

static uint64_t miscount_process_pages(struct machine *m)
{
    return add(&machine_partition(m)->process_pages, 1);
}

static uint64_t lead_directory_astray(struct machine *m)
{
    set64(&machine_anchor(m)->directory_ref, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t lead_slots_astray(struct machine *m)
{
    struct call c = machine_call(m);
    le64 *refs = core_at(c.bias, get64(&machine_anchor(m)->directory_ref));
    set64(&refs[0], get64(&refs[0]) + PROCESS_SLOT_BYTES);
    return get64(&refs[0]);
}

static uint64_t lead_leaf_hint_astray(struct machine *m)
{
    struct process *process = machine_object(m);
    set64(&process->leaf_span, BASE >> 21);
    set64(&process->leaf_frame, get64(&process->root_frame));
    return BASE >> 21 << 21;
}

static uint64_t declare_tables_void(struct machine *m)
{
    set64(&machine_object(m)->void_start, 0);
    set64(&machine_object(m)->void_end, 1ull << 27);
    return 0;
}

static uint64_t keep_a_vad_astray(struct machine *m)
{
    set64(&machine_object(m)->vad_spare, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t hint_of_no_table(struct machine *m)
{
    set64(&machine_object(m)->leaf_span, 0x7777);
    return 0x7777;
}

static uint64_t miscount_members(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = get64(&machine_anchor(m)->job_frames) + JOB_SLOT_BYTES;
    struct job *job = core_at(c.bias, ref);
    set32(&job->members, 7);
    return ref;
}

static uint64_t miscount_commit_of_job(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = get64(&machine_anchor(m)->job_frames) + JOB_SLOT_BYTES;
    struct job *job = core_at(c.bias, ref);
    set64(&job->commit, 7);
    return ref;
}

static uint64_t lead_job_astray(struct machine *m)
{
    set64(&machine_object(m)->job, 0xDEAD000);
    return 0;
}

static uint64_t name_an_entry_of_the_root(struct machine *m)
{
    uint64_t root = get64(&machine_object(m)->root_frame);
    set64(&machine_row(m, root)->entry_address, 8);
    return root;
}

static uint64_t lose_directory(struct machine *m)
{
    set64(&machine_anchor(m)->directory_ref, 0);
    return 0;
}

static uint64_t count_too_many_slots(struct machine *m)
{
    set32(&machine_anchor(m)->slot_count, PROCESSES_MAX + PROCESSES_PER_FRAME);
    return 0;
}

static uint64_t lead_jobs_astray(struct machine *m)
{
    set64(&machine_anchor(m)->job_frames, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t close_circle_of_jobs(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = get64(&machine_anchor(m)->job_frames);
    set64(core_at(c.bias, ref), ref);
    return ref;
}

static const struct corruption corruptions[] = {
    {"V1", "two VADs overlap", overlap},
    {"V1", "a gap is wrong", mistake_gap},
    {"V1", "a VAD starts where the tree does not say", mistake_start},
    {"V1", "a VAD ends where the tree does not say", mistake_end},
    {"V1", "a branch of the tree refers to nothing", lead_branch_astray},
    {"V1", "a branch of the tree refers to a VAD", lead_branch_to_vad},
    {"V1", "a leaf of the tree refers to nothing", lead_leaf_astray},
    {"V1", "a leaf of the tree refers to a VAD twice", lead_leaf_to_a_vad_twice},
    {"V1", "a leaf of the tree has more than fit", overfill_leaf},
    {"V1", "the tree's count is off", miscount_regions},
    {"V1", "the root of the VADs is none", lead_root_astray},
    {"V1", "a VAD lies above the highest address", leave_bounds},
    {"V2", "an entry beside its region", enter_beside_region},
    {"P9", "two entries name one table", enter_table_twice},
    {"V3", "a table's used count is off", miscount_entries},
    {"V3", "an entry vanished", drop_an_entry},
    {"V3", "a table is empty", keep_an_empty_table},
    {"V4", "a region's commit is off", miscount_commit_of_region},
    {"V4", "a region forgot that it is committed", forget_commit_flag},
    {"V5", "a table's share count is off", miscount_shares},
    {"V6", "a table is not valid", withdraw_table},
    {"V6", "a table is a large page", make_large},
    {"V6", "a table forbids writes", protect_table},
    {"V6", "the root is no table", mistake_root},
    {"V6", "the root belongs to another table", mistake_roots_table},
    {"V6", "the root names an entry", name_an_entry_of_the_root},
    {"V7", "an entry allows writes that the page does not", grant_write},
    {"V7", "an entry allows execution that the page does not", grant_execute},
    {"V7", "a clean entry lets the processor write", write_without_dirty},
    {"V7", "a guard page is valid", valid_guard},
    {"V8", "the hint refers to nothing", hint_astray},
    {"V8", "the hint is of another process", hint_of_another},
    {"V12", "tables lie where there are said to be none", declare_tables_void},
    {"S4", "the VAD kept for the next region is none", keep_a_vad_astray},
    {"V10", "the hint names another table", lead_leaf_hint_astray},
    {"V10", "the hint is about a table that is not there", hint_of_no_table},
    {"V9", "a software entry names a page-file slot", slot_without_file},
    {"V9", "a software entry has no protection", no_protection},
    {"V9", "a damaged page has a slot", damaged_with_slot},
    {"V9", "a page in memory is damaged", damaged_in_memory},
    {"JB1", "a job's members are miscounted", miscount_members},
    {"JB1", "a job's commit is off", miscount_commit_of_job},
    {"JB1", "a process is in no job that is", lead_job_astray},
    {"W1", "the working set's count is off", miscount_working_set},
    {"W2", "a locked page is not counted", lock_uncounted},
    {"W3", "a minimum is not counted", miscount_minimum},
    {"W2", "a lock is counted that no page has", miscount_locks},
    {"PR1", "a handle names another slot", mistake_handle},
    {"PR1", "a process is ending and nobody ends it", mistake_state},
    {"PR1", "free slots are not on the chain", forget_free_slots},
    {"PR1", "a live slot is on the free chain", free_live_slot},
    {"PR1", "a free slot says that it lives", let_free_slot_live},
    {"PR1", "the count of live processes is off", miscount_live},
    {"PR1", "slots do not fill frames", miscount_slots},
    {"PR2", "the process's commit is off", miscount_commit},
    {"PR2", "the process's size is off", miscount_virtual},
    {"PR3", "the process's count of tables is off", miscount_tables},
    {"PR4", "the count of process frames is off", miscount_process_pages},
    {"PR1", "more slots than there can be", count_too_many_slots},
    {"PR1", "slots without a directory", lose_directory},
    {"PR4", "the directory refers to nothing", lead_directory_astray},
    {"PR4", "the frames of jobs are nowhere", lead_jobs_astray},
    {"PR4", "the frames of jobs go round", close_circle_of_jobs},
    {"PR4", "the directory refers into a frame", lead_slots_astray},
};

int main(void)
{
    return corruption_run("check_processes", corruptions, sizeof corruptions / sizeof *corruptions);
}
