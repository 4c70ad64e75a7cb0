/*
 * The checker finds each broken invariant of page files, transfers and what is out of memory, and
 * names it: G1 to G6, B1, I1 to I3, and what paging adds to P, V, PR and L1.
 */
#include "unit/corruption.h"
#include "unit/paging_scene.h"

#include "x64/formats.h"

static uint64_t page(uint64_t index) { return SCENE_PAGES + index * PAGE; }

static uint64_t add(le64 *word, int64_t by)
{
    set64(word, get64(word) + (uint64_t)by);
    return 0;
}

static void add_32(le32 *word, uint32_t by) { set32(word, get32(word) + by); }

static struct page_file *file_of(struct machine *m, uint32_t number)
{
    struct call c = machine_call(m);
    return page_file_at(&c, number);
}

static struct slot_leaf *leaf_of(struct machine *m, uint32_t number)
{
    struct call c = machine_call(m);
    return slots_leaf(&c, file_of(m, number), 0);
}

static le64 *bits_of(struct machine *m, uint32_t number)
{
    struct call c = machine_call(m);
    return core_at(c.bias, get64(&leaf_of(m, number)->ref));
}

static uint64_t place(uint64_t file, uint64_t slot) { return file << 32 | slot; }

/* The frame of a page in transition, or of a trimmed table, and its row. */
static uint64_t frame_at(struct machine *m, uint64_t va, uint32_t level)
{
    return field_get(scene_value(m, va, level), TR_FRAME);
}

static struct pfn *row_at(struct machine *m, uint64_t va, uint32_t level)
{
    return machine_row(m, frame_at(m, va, level));
}

static void set_state(struct pfn *row, uint32_t clear, uint32_t set)
{
    pfn_change_state(row, clear, set);
}

/* --- frames --- */

static uint64_t miscount_standby(struct machine *m)
{
    return add(&machine_partition(m)->standby_pages, 1);
}

static uint64_t miscount_user_frames(struct machine *m)
{
    add(&machine_partition(m)->node.user_pages, -1);
    return 1;
}

static uint64_t miscount_user_peak(struct machine *m)
{
    struct node *node = &machine_partition(m)->node;
    set64(&node->user_peak, get64(&node->user_pages) - 1);
    return 2;
}

static uint64_t miscount_transition(struct machine *m)
{
    add(&machine_partition(m)->transition_pages, 1);
    return 3;
}

static uint64_t lose_a_frame_being_read(struct machine *m)
{
    set_state(row_at(m, page(8), 1), PFN_LOCATION, NTMM_FRAME_ACTIVE);
    return frame_at(m, page(8), 1);
}

static uint64_t enter_an_active_frame(struct machine *m)
{
    uint64_t frame = machine_frame(m, page(30));
    scene_set_value(m, page(9), 1, entry_transition(PROT_READWRITE, frame));
    return frame;
}

static uint64_t reference_a_frame_being_written_twice(struct machine *m)
{
    struct pfn *row = row_at(m, page(12), 1);
    set16(&row->reference_count, 2);
    return frame_at(m, page(12), 1);
}

static uint64_t reference_a_kept_frame_twice(struct machine *m)
{
    struct pfn *row = row_at(m, page(20), 1);
    set16(&row->reference_count, 2);
    return frame_at(m, page(20), 1);
}

static uint64_t give_a_modified_frame_a_slot(struct machine *m)
{
    struct pfn *row = row_at(m, page(6), 1);
    set64(&row->original_pte, slot_set(get64(&row->original_pte), 0, 200));
    return frame_at(m, page(6), 1);
}

static uint64_t lose_a_change(struct machine *m)
{
    uint64_t frame = machine_frame(m, page(30));
    set_state(machine_row(m, frame), PFN_MODIFIED, 0);
    return frame;
}

static uint64_t lose_a_table_change(struct machine *m)
{
    uint64_t frame = machine_table_frame(m, page(0), 1);
    set_state(machine_row(m, frame), PFN_MODIFIED, 0);
    return frame;
}

static uint64_t give_an_orphan_an_entry(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t table = machine_table_frame(m, page(16), 1);
    set64(&machine_row(m, scene_orphan())->entry_address, frame_ref(&c, table) + 8);
    return scene_orphan();
}

/* --- tables that are out --- */

static uint64_t miscount_a_stored_table(struct machine *m)
{
    uint64_t value = scene_value(m, SCENE_LEAF_OUT, 2);
    assert_int_equal(field_get(value, SW_USED), 4);
    scene_set_value(m, SCENE_LEAF_OUT, 2, field_set(value, SW_USED, 5));
    return SCENE_LEAF_OUT;
}

static uint64_t lose_a_stored_entry(struct machine *m)
{
    le64 *table = scene_stored_table(m, SCENE_LEAF_OUT, 2);
    set64(&table[x64_index(SCENE_LEAF_OUT, 1)], 0);
    return SCENE_LEAF_OUT;
}

static uint64_t miscount_a_table_below_a_stored_one(struct machine *m)
{
    uint64_t va = SCENE_ABOVE_OUT + PAGE;
    le64 *entry = &scene_stored_table(m, va, 3)[x64_index(va, 2)];
    uint64_t value = invalid_decode(get64(entry), m->system->invalid_mask);
    assert_int_equal(field_get(value, SW_USED), 1);
    value = field_set(value, SW_USED, 2);
    set64(entry, invalid_encode(value, m->system->invalid_mask));
    return va;
}

static uint64_t miscount_a_trimmed_table(struct machine *m)
{
    pfn_add_used(row_at(m, SCENE_TRIMMED, 2), 1);
    return frame_at(m, SCENE_TRIMMED, 2);
}

static uint64_t miscount_a_table_being_read(struct machine *m)
{
    pfn_add_used(row_at(m, SCENE_TABLE_READ, 2), -1);
    return frame_at(m, SCENE_TABLE_READ, 2);
}

static uint64_t leave_a_page_in_a_stored_table(struct machine *m)
{
    le64 *table = scene_stored_table(m, SCENE_LEAF_OUT, 2);
    set64(&table[x64_index(SCENE_LEAF_OUT, 1)], get64(machine_entry(m, page(30), 1)));
    return SCENE_LEAF_OUT;
}

static uint64_t leave_a_page_in_a_trimmed_table(struct machine *m)
{
    struct call c = machine_call(m);
    le64 *table = table_at(&c, frame_at(m, SCENE_TRIMMED, 2));
    set64(&table[x64_index(SCENE_TRIMMED, 1)], get64(machine_entry(m, page(4), 1)));
    return frame_at(m, SCENE_TRIMMED, 2);
}

static uint64_t enter_beside_a_region_in_a_stored_table(struct machine *m)
{
    uint64_t va = SCENE_LEAF_OUT + 16 * PAGE;
    le64 *table = scene_stored_table(m, SCENE_LEAF_OUT, 2);
    set64(&table[x64_index(va, 1)],
          invalid_encode(entry_software(PROT_READWRITE), m->system->invalid_mask));
    return va;
}

static uint64_t miscount_commit_of_a_region_out(struct machine *m)
{
    struct call c = machine_call(m);
    struct vad *vad = machine_vad(m, SCENE_LEAF_OUT);
    add(&vad->commit_pages, -1);
    return vad_ref(&c, vad);
}

static uint64_t protect_a_stored_table(struct machine *m)
{
    uint64_t value = scene_value(m, SCENE_LEAF_OUT, 2);
    scene_set_value(m, SCENE_LEAF_OUT, 2, field_set(value, SW_PROTECTION, PROT_READONLY));
    return SCENE_LEAF_OUT;
}

static uint64_t protect_a_trimmed_table(struct machine *m)
{
    uint64_t value = scene_value(m, SCENE_TRIMMED, 2);
    scene_set_value(m, SCENE_TRIMMED, 2, field_set(value, TR_PROTECTION, PROT_READONLY));
    return SCENE_TRIMMED;
}

static uint64_t change_the_backing_of_a_table(struct machine *m)
{
    struct pfn *row = row_at(m, SCENE_TRIMMED, 2);
    set64(&row->original_pte, get64(&row->original_pte) | FIELD_MASK(SW_COLD_PAGE));
    return SCENE_TRIMMED;
}

static uint64_t put_a_mark_into_a_page_file_entry(struct machine *m)
{
    scene_set_value(m, page(0), 1, scene_value(m, page(0), 1) | FIELD_MASK(SW_COLD_PAGE));
    return page(0);
}

static uint64_t decommit_a_slot(struct machine *m)
{
    uint64_t value = scene_value(m, page(0), 1);
    scene_set_value(m, page(0), 1, field_set(value, SW_PROTECTION, PROT_DECOMMITTED));
    return page(0);
}

static uint64_t put_a_mark_into_a_transition_entry(struct machine *m)
{
    scene_set_value(m, page(4), 1, scene_value(m, page(4), 1) | FIELD_MASK(TR_IO_TRACKER));
    return page(4);
}

static uint64_t put_a_mark_into_an_original_entry(struct machine *m)
{
    struct pfn *row = row_at(m, page(4), 1);
    set64(&row->original_pte, get64(&row->original_pte) | FIELD_MASK(SW_COLD_PAGE));
    return page(4);
}

static uint64_t miscount_tables(struct machine *m)
{
    return add(&machine_object(m)->table_pages, 1);
}

static uint64_t miscount_tables_out(struct machine *m)
{
    add(&machine_object(m)->tables_out, -1);
    return 1;
}

/* --- slots --- */

static uint64_t name_a_slot_twice(struct machine *m)
{
    uint64_t value = scene_value(m, page(0), 1);
    scene_set_value(m, page(1), 1, value);
    return place(0, slot_of(value));
}

static uint64_t name_the_slot_of_a_frame(struct machine *m)
{
    uint64_t original = get64(&row_at(m, page(4), 1)->original_pte);
    scene_set_value(m, page(1), 1, original);
    return place(0, slot_of(original));
}

static uint64_t name_a_slot_in_a_stored_table_too(struct machine *m)
{
    le64 *table = scene_stored_table(m, SCENE_LEAF_OUT, 2);
    uint64_t value = scene_value(m, page(0), 1);
    set64(&table[x64_index(SCENE_LEAF_OUT, 1)], invalid_encode(value, m->system->invalid_mask));
    return place(0, slot_of(value));
}

static uint64_t name_a_free_slot(struct machine *m)
{
    scene_set_value(m, page(0), 1, slot_set(scene_value(m, page(0), 1), 0, SCENE_SLOTS - 1));
    return place(0, SCENE_SLOTS - 1);
}

static uint64_t name_a_slot_past_the_end(struct machine *m)
{
    scene_set_value(m, page(0), 1, slot_set(scene_value(m, page(0), 1), 0, SCENE_SLOTS));
    return place(0, SCENE_SLOTS);
}

static uint64_t name_a_file_that_is_not(struct machine *m)
{
    scene_set_value(m, page(0), 1, slot_set(scene_value(m, page(0), 1), 2, 1));
    return place(2, 1);
}

static uint64_t forget_a_slot(struct machine *m)
{
    scene_set_value(m, page(0), 1, entry_software(PROT_READWRITE));
    return place(0, 0);
}

static uint64_t forget_the_slot_of_an_orphan(struct machine *m)
{
    struct pfn *row = machine_row(m, scene_orphan());
    uint64_t before = get64(&row->original_pte);
    set64(&row->original_pte, slot_set(before, 0, 0));
    return scene_orphan();
}

static uint64_t suspect_a_good_slot(struct machine *m)
{
    struct page_file *file = file_of(m, 0);
    uint64_t slot = slot_of(scene_value(m, page(0), 1));
    slot_mark_bad(file);
    set32(&file->suspect_count, 1);
    set32(&file->suspects[0], (uint32_t)slot);
    return place(0, slot);
}

static uint64_t miscount_used_slots(struct machine *m)
{
    struct page_file *file = file_of(m, 1);
    add(&file->used_pages, 1);
    set64(&file->peak_pages, 1);
    return place(1, 0);
}

static uint64_t miscount_free_slots(struct machine *m)
{
    add_32(&leaf_of(m, 1)->free, 1);
    return place(1, 0);
}

static uint64_t free_a_slot_past_the_end(struct machine *m)
{
    add(&bits_of(m, 1)[256 / 64], -1);
    add_32(&leaf_of(m, 1)->free, 1);
    return place(1, 0);
}

static uint64_t free_slot_0(struct machine *m)
{
    le64 *bits = bits_of(m, 1);
    set64(bits, get64(bits) ^ 3); /* slot 1 instead of it */
    return place(1, 0);
}

static uint64_t outgrow_the_maximum(struct machine *m)
{
    add(&file_of(m, 1)->maximum_pages, -1);
    return place(1, 0);
}

static uint64_t fall_below_the_initial_size(struct machine *m)
{
    add(&file_of(m, 1)->initial_pages, 1);
    return place(1, 0);
}

static uint64_t lack_a_leaf(struct machine *m)
{
    set64(&leaf_of(m, 1)->ref, 0);
    return place(1, 0);
}

static uint64_t lead_dummy_astray(struct machine *m)
{
    struct call c = machine_call(m);
    set64(&machine_partition(m)->dummy_frame, 0x123456);
    return frame_ref(&c, 0x123456);
}

static uint64_t have_a_maximum_beyond_measure(struct machine *m)
{
    set64(&file_of(m, 1)->maximum_pages, NTMM_PAGING_FILE_MAXIMUM_PAGES + 1);
    return place(1, 0);
}

static uint64_t suspect_too_many(struct machine *m)
{
    set32(&file_of(m, 1)->suspect_count, 1);
    return place(1, 0);
}

static uint64_t miscount_peak_of_slots(struct machine *m)
{
    struct page_file *file = file_of(m, 0);
    set64(&file->peak_pages, get64(&file->used_pages) - 1);
    return place(0, 0);
}

static uint64_t miscount_growth(struct machine *m)
{
    struct partition *partition = machine_partition(m);
    set64(&partition->commit_growth, get64(&partition->commit_growth) + 1);
    return 0;
}

static uint64_t understate_the_longest_run(struct machine *m)
{
    set32(&leaf_of(m, 1)->longest, 254);
    return place(1, 0);
}

static uint64_t miscount_paging_frames(struct machine *m)
{
    return add(&machine_partition(m)->paging_pages, 1);
}

static uint64_t add_a_file_that_is_not(struct machine *m)
{
    set32(&machine_partition(m)->page_file_count, 17);
    return 0;
}

static uint64_t renumber_a_file(struct machine *m)
{
    set32(&file_of(m, 1)->number, 0);
    return 1;
}

static uint64_t lead_a_map_astray(struct machine *m)
{
    set64(&file_of(m, 1)->map_ref, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t share_a_map(struct machine *m)
{
    set64(&file_of(m, 1)->map_ref, get64(&file_of(m, 0)->map_ref));
    return get64(&file_of(m, 0)->map_ref);
}

static uint64_t lead_a_map_to_a_page(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = frame_ref(&c, machine_frame(m, page(30)));
    set64(&file_of(m, 1)->map_ref, ref);
    return ref;
}

static uint64_t use_a_frame_for_no_file(struct machine *m)
{
    uint64_t frame = get64(&machine_partition(m)->node.free.head);
    set_state(machine_row(m, frame), PFN_USE, NTMM_USE_PAGING << PFN_USE_SHIFT);
    return frame;
}

static uint64_t miscount_writes(struct machine *m)
{
    set32(&file_of(m, 1)->outstanding_writes, 1);
    return 1;
}

/* --- transfers --- */

/* The number of the block that reads a page or a table. */
static uint32_t block_of(struct machine *m, uint64_t va, uint32_t level)
{
    return (uint32_t)get64(&row_at(m, va, level)->flink);
}

static struct transfer_block *write_block(struct machine *m)
{
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++) {
        if (m->system->transfers.writes[i].users != 0)
            return &m->system->transfers.writes[i];
    }
    fail();
    return NULL;
}

static uint64_t name_another_block(struct machine *m)
{
    struct pfn *row = row_at(m, page(9), 1);
    add(&row->flink, 1);
    return frame_at(m, page(9), 1);
}

static uint64_t read_without_a_block(struct machine *m)
{
    set_state(row_at(m, page(20), 1), 0, PFN_READ_IN_PROGRESS);
    return frame_at(m, page(20), 1);
}

static uint64_t forget_a_read(struct machine *m)
{
    set_state(row_at(m, page(10), 1), PFN_READ_IN_PROGRESS, 0);
    return frame_at(m, page(10), 1);
}

static uint64_t read_into_a_frame_twice(struct machine *m)
{
    struct transfers *transfers = &m->system->transfers;
    transfers->reads[block_of(m, page(8), 1)].spans[1].frame = frame_at(m, page(8), 1);
    return frame_at(m, page(8), 1);
}

static uint64_t read_another_slot(struct machine *m)
{
    struct pfn *row = row_at(m, page(9), 1);
    uint64_t original = get64(&row->original_pte);
    set64(&row->original_pte, slot_set(original, 0, slot_of(original) + 100));
    return frame_at(m, page(9), 1);
}

static uint64_t write_without_a_block(struct machine *m)
{
    set_state(row_at(m, page(20), 1), 0, PFN_WRITE_IN_PROGRESS);
    return frame_at(m, page(20), 1);
}

static uint64_t forget_a_write(struct machine *m)
{
    set_state(machine_row(m, scene_orphan()), PFN_WRITE_IN_PROGRESS, 0);
    return scene_orphan();
}

static uint64_t write_a_frame_twice(struct machine *m)
{
    struct transfer_block *block = write_block(m);
    block->spans[1].frame = block->spans[0].frame;
    return block->spans[0].frame;
}

static uint64_t write_no_frame(struct machine *m)
{
    write_block(m)->spans[1].frame = 0x123456;
    return 0x123456;
}

static uint64_t read_into_no_frame(struct machine *m)
{
    m->system->transfers.reads[block_of(m, page(8), 1)].spans[1].frame = 0x123456;
    return 0x123456;
}

static uint64_t keep_no_frame(struct machine *m)
{
    struct transfer_block *block = m->system->transfers.reads;
    while (block->users == 0 || !block->is_done)
        block++;
    assert_int_equal(block->target_frame, frame_at(m, page(20), 1));
    block->target_frame = 0x123456;
    return 0x123456;
}

static uint64_t write_to_no_file(struct machine *m)
{
    write_block(m)->file = 5;
    return 5;
}

static uint64_t miscount_blocks(struct machine *m)
{
    m->system->transfers.in_flight++;
    return READ_BLOCKS + WRITE_BLOCKS;
}

static struct ntmm_wait lost_wait;

static uint64_t wait_for_a_free_block(struct machine *m)
{
    struct call c = machine_call(m);
    lost_wait = (struct ntmm_wait){0};
    waiters_add(&c, &m->system->transfers.reads[READ_BLOCKS - 1].waits, &lost_wait);
    return READ_BLOCKS - 1;
}

static uint64_t wait_for_a_transfer_that_is_over(struct machine *m)
{
    struct transfers *transfers = &m->system->transfers;
    struct call c = machine_call(m);
    uint32_t number = 0;
    while (transfers->reads[number].users == 0 || !transfers->reads[number].is_done)
        number++;
    lost_wait = (struct ntmm_wait){0};
    waiters_add(&c, &transfers->reads[number].waits, &lost_wait);
    return number;
}

static uint64_t miscount_waits_of_a_block(struct machine *m)
{
    uint32_t number = block_of(m, page(8), 1);
    struct wait_queue *queue = &m->system->transfers.reads[number].waits;
    assert_int_equal(get32(&queue->count), 2);
    add_32(&queue->count, 1);
    return 4 + number;
}

static uint64_t miscount_waits_for_a_block(struct machine *m)
{
    add_32(&m->system->transfers.for_block.count, 1);
    return 1;
}

static uint64_t miscount_waits_for_growth(struct machine *m)
{
    add_32(&m->system->transfers.for_growth.count, 1);
    return 2;
}

static uint64_t keep_a_frame_locked(struct machine *m)
{
    set32(&machine_anchor(m)->frame_locks[5], 1);
    return LOCK_FRAME;
}

static uint64_t keep_a_page_file_locked(struct machine *m)
{
    set32(&file_of(m, 1)->lock, 1);
    return LOCK_PAGE_FILE;
}

/* --- without a reader: bounds --- */

static uint64_t commit_more_than_a_region_has(struct machine *m)
{
    struct call c = machine_call(m);
    struct vad *vad = machine_vad(m, SCENE_LEAF_OUT);
    add(&vad->commit_pages, 1);
    return vad_ref(&c, vad);
}

static uint64_t commit_less_than_is_known(struct machine *m)
{
    struct call c = machine_call(m);
    struct vad *vad = machine_vad(m, SCENE_PAGES);
    add(&vad->commit_pages, -1);
    return vad_ref(&c, vad);
}

static uint64_t count_fewer_tables_than_are_met(struct machine *m)
{
    add(&machine_object(m)->table_pages,
        -3); /* two below the one that is out, and one that is met */
    return 0;
}

static uint64_t count_more_tables_out_than_tables(struct machine *m)
{
    set64(&machine_object(m)->tables_out, get64(&machine_object(m)->table_pages));
    return 1;
}

static uint64_t fill_a_stored_table_beyond_measure(struct machine *m)
{
    uint64_t value = scene_value(m, SCENE_LEAF_OUT, 2);
    scene_set_value(m, SCENE_LEAF_OUT, 2, field_set(value, SW_USED, 513));
    return SCENE_LEAF_OUT;
}

static uint64_t move_a_stored_table(struct machine *m)
{
    uint64_t va = SCENE_LEAF_OUT + 2 * MIB;
    set64(machine_entry(m, va, 2), get64(machine_entry(m, SCENE_LEAF_OUT, 2)));
    set64(machine_entry(m, SCENE_LEAF_OUT, 2), 0);
    return va;
}

static uint64_t use_fewer_slots_than_are_named(struct machine *m)
{
    struct page_file *file = file_of(m, 0);
    add(&file->bad_pages, (int64_t)get64(&file->used_pages));
    set64(&file->used_pages, 0);
    return place(0, 0);
}

static const struct corruption corruptions[] = {
    {"P10", "a frame too many on standby", miscount_standby},
    {"P10", "a user frame is not counted", miscount_user_frames},
    {"P10", "more user frames than ever", miscount_user_peak},
    {"P10", "a frame too many in transition", miscount_transition},
    {"P4", "a frame being read is active", lose_a_frame_being_read},
    {"P4", "a transition entry names an active frame", enter_an_active_frame},
    {"P7", "a second reference of a write", reference_a_frame_being_written_twice},
    {"P7", "a second reference of a block", reference_a_kept_frame_twice},
    {"P8", "a modified page has a slot", give_a_modified_frame_a_slot},
    {"P8", "a dirty page is clean", lose_a_change},
    {"P8", "a table in use is clean", lose_a_table_change},
    {"P9", "an orphan has an entry", give_an_orphan_an_entry},
    {"V3", "a stored table says one entry more", miscount_a_stored_table},
    {"V3", "a stored table has one entry less", lose_a_stored_entry},
    {"V3", "a table below a stored one", miscount_a_table_below_a_stored_one},
    {"V3", "a trimmed table says one entry more", miscount_a_trimmed_table},
    {"V3", "a table being read says one less", miscount_a_table_being_read},
    {"V5", "a stored table with a valid page", leave_a_page_in_a_stored_table},
    {"V5", "a trimmed table with a page", leave_a_page_in_a_trimmed_table},
    {"V2", "beside a region, in a stored table", enter_beside_a_region_in_a_stored_table},
    {"V4", "a region in a stored table", miscount_commit_of_a_region_out},
    {"V6", "a stored table is read-only", protect_a_stored_table},
    {"V6", "a trimmed table is read-only", protect_a_trimmed_table},
    {"V6", "the backing of a table", change_the_backing_of_a_table},
    {"V9", "a bit more in a page file entry", put_a_mark_into_a_page_file_entry},
    {"V9", "a decommitted page with a slot", decommit_a_slot},
    {"V9", "a bit more in a transition entry", put_a_mark_into_a_transition_entry},
    {"V9", "a bit more in an original entry", put_a_mark_into_an_original_entry},
    {"PR3", "a table too many", miscount_tables},
    {"PR3", "a table that is out is not counted", miscount_tables_out},
    {"G1", "two entries name a slot", name_a_slot_twice},
    {"G1", "an entry and a frame name a slot", name_the_slot_of_a_frame},
    {"G1", "a stored table names one too", name_a_slot_in_a_stored_table_too},
    {"G1", "a free slot is named", name_a_free_slot},
    {"G1", "a slot past the end is named", name_a_slot_past_the_end},
    {"G1", "a file that is not is named", name_a_file_that_is_not},
    {"G1", "a slot is forgotten", forget_a_slot},
    {"G1", "a suspect is named", suspect_a_good_slot},
    {"G2", "used slots", miscount_used_slots},
    {"G2", "free slots of a leaf", miscount_free_slots},
    {"G2", "a slot past the end is free", free_a_slot_past_the_end},
    {"G2", "slot 0 is free", free_slot_0},
    {"G2", "larger than the maximum", outgrow_the_maximum},
    {"G2", "smaller than at first", fall_below_the_initial_size},
    {"G2", "a maximum that no file can have", have_a_maximum_beyond_measure},
    {"G2", "no leaf", lack_a_leaf},
    {"G2", "a suspect, and nothing is bad", suspect_too_many},
    {"G3", "more slots than ever", miscount_peak_of_slots},
    {"G7", "growth that no file has", miscount_growth},
    {"G4", "a run longer than the longest", understate_the_longest_run},
    {"G5", "frames of page files", miscount_paging_frames},
    {"G5", "17 files", add_a_file_that_is_not},
    {"G5", "a file's number", renumber_a_file},
    {"G5", "the dummy page is nowhere", lead_dummy_astray},
    {"G5", "a map that is nowhere", lead_a_map_astray},
    {"G5", "two files with one map", share_a_map},
    {"G5", "a map in a page", lead_a_map_to_a_page},
    {"G5", "a frame of no file", use_a_frame_for_no_file},
    {"G6", "a write that is not", miscount_writes},
    {"G6", "a write to no file", write_to_no_file},
    {"I1", "a frame names another block", name_another_block},
    {"I1", "a read without a block", read_without_a_block},
    {"I1", "a read is forgotten", forget_a_read},
    {"I1", "two spans of one frame", read_into_a_frame_twice},
    {"I1", "another slot is read", read_another_slot},
    {"I1", "a read into no frame", read_into_no_frame},
    {"I1", "a page that was read is in no frame", keep_no_frame},
    {"I3", "a write without a block", write_without_a_block},
    {"I3", "a write is forgotten", forget_a_write},
    {"I3", "two spans of one frame", write_a_frame_twice},
    {"I3", "no frame is written", write_no_frame},
    {"I3", "an orphan without its slot", forget_the_slot_of_an_orphan},
    {"B1", "a block too many", miscount_blocks},
    {"B1", "a wait for a free block", wait_for_a_free_block},
    {"B1", "a wait for a transfer that is over", wait_for_a_transfer_that_is_over},
    {"I2", "waits of a block", miscount_waits_of_a_block},
    {"I2", "waits for a block", miscount_waits_for_a_block},
    {"I2", "waits for growth", miscount_waits_for_growth},
    {"L1", "a frame is locked", keep_a_frame_locked},
    {"L1", "a page file is locked", keep_a_page_file_locked},
};

/* Without a reader. */
static const struct corruption blind_corruptions[] = {
    {"V4", "more commit than pages", commit_more_than_a_region_has},
    {"V4", "less commit than is known", commit_less_than_is_known},
    {"PR3", "fewer tables than are met", count_fewer_tables_than_are_met},
    {"PR3", "as many out as there are", count_more_tables_out_than_tables},
    {"V3", "513 entries", fill_a_stored_table_beyond_measure},
    {"V2", "a table beside all regions", move_a_stored_table},
    {"G1", "fewer slots than are named", use_fewer_slots_than_are_named},
};

int main(void)
{
    const struct corruption_scene scene = {.open = paging_scene_open, .close = paging_scene_close};
    const struct corruption_scene blind = {
        .open = paging_scene_open, .close = paging_scene_close, .is_blind = true};
    int failed = corruption_run_in(&scene, "check_paging", corruptions,
                                   sizeof corruptions / sizeof *corruptions);
    failed += corruption_run_in(&blind, "check_paging without a reader", blind_corruptions,
                                sizeof blind_corruptions / sizeof *blind_corruptions);
    return failed;
}
