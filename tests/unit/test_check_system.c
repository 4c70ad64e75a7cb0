/*
 * The checker finds each broken invariant of the anchor, active frames and slabs, and names it: A1
 * to A3, P7 P9, S1 to S6.
 */
#include "unit/corruption.h"

#include "x64/formats.h"

static struct slab_class *vad_class(struct machine *m)
{
    return &machine_anchor(m)->slabs[SLAB_VAD];
}

/* The slab that has room. */
static struct slab *slab_with_room(struct machine *m)
{
    struct call c = machine_call(m);
    return core_at(c.bias, get64(&vad_class(m)->partial));
}

static uint64_t slab_frame(struct machine *m)
{
    struct call c = machine_call(m);
    return ref_frame(&c, get64(&vad_class(m)->partial));
}

static uint64_t anchor_without_magic(struct machine *m)
{
    set64(&machine_anchor(m)->magic, 0);
    return 0;
}

static uint64_t anchor_of_another_base(struct machine *m)
{
    set64(&machine_anchor(m)->core_base, PAGE);
    return 1;
}

static uint64_t anchor_of_another_mask(struct machine *m)
{
    set64(&machine_anchor(m)->invalid_mask, 1ull << 45);
    return 2;
}

static uint64_t miscount_total(struct machine *m)
{
    set64(&machine_partition(m)->total_pages, get64(&machine_partition(m)->total_pages) - 1);
    return 0;
}

static uint64_t miscount_metadata(struct machine *m)
{
    set64(&machine_partition(m)->metadata_pages, 1);
    return 1;
}

static uint64_t miscount_repurposed(struct machine *m)
{
    set64(&machine_partition(m)->repurposed[3], 1);
    return 0;
}

static uint64_t exchange_thresholds(struct machine *m)
{
    struct anchor *anchor = machine_anchor(m);
    set64(&anchor->low_memory_pages, get64(&anchor->high_memory_pages) + 1);
    return 1;
}

static uint64_t use_metadata(struct machine *m)
{
    struct pfn *row = machine_row(m, 0);
    set16(&row->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_PRIVATE, 0));
    return 0;
}

static uint64_t use_table_as_metadata(struct machine *m)
{
    uint64_t frame = machine_table_frame(m, SPARSE_PAGES, 2);
    set16(&machine_row(m, frame)->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_METADATA, 0));
    return frame;
}

static uint64_t use_lost_frame_as_metadata(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame;
    assert_true(frame_allocate_zeroed(&c, NTMM_USE_METADATA, &frame));
    return frame;
}

static uint64_t unshare_metadata(struct machine *m)
{
    set32(&machine_row(m, 1)->share_count, 0);
    return 1;
}

static uint64_t unreference_private(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set16(&machine_row(m, frame)->reference_count, 0);
    return frame;
}

static uint64_t share_private_twice(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set32(&machine_row(m, frame)->share_count, 2);
    return frame;
}

static uint64_t mistake_entry_address(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set64(&machine_row(m, frame)->entry_address, 0);
    return frame;
}

static uint64_t mistake_table_frame(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set64(&machine_row(m, frame)->table_frame, frame);
    return frame;
}

static uint64_t mistake_use(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    set16(&machine_row(m, frame)->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_SLAB + 8u, 5));
    return frame;
}

static uint64_t map_twice(struct machine *m)
{
    set64(machine_entry(m, COMMITTED + 20 * PAGE, 1), get64(machine_entry(m, COMMITTED, 1)));
    return machine_frame(m, COMMITTED);
}

static uint64_t map_what_does_not_exist(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED, 1);
    set64(entry, field_set(get64(entry), HW_FRAME, 0x123456));
    return 0x123456;
}

static uint64_t hold_without_entry(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame;
    assert_true(frame_allocate_zeroed(&c, NTMM_USE_PRIVATE, &frame));
    return frame;
}

static uint64_t own_free_frame(struct machine *m)
{
    uint64_t frame = get64(&machine_partition(m)->node.free.head);
    set64(&machine_row(m, frame)->entry_address, frame * PAGE);
    return frame;
}

/* The last word: no link of a chain. */
static uint64_t use_after_release(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t object = slab_allocate(&c, SLAB_VAD, 0);
    uint64_t last = get16(&machine_anchor(m)->slabs[SLAB_VAD].object_size) / 8 - 1;
    assert_true(object != 0);
    slab_release(&c, object);
    set64((le64 *)core_at(c.bias, object) + last, 1);
    return object;
}

static uint64_t write_before_objects(struct machine *m)
{
    struct slab *slab = slab_with_room(m);
    ((uint8_t *)slab)[get32(&slab->first) - 1] = 1;
    return slab_frame(m);
}

static uint64_t miscount_slab(struct machine *m)
{
    set32(&slab_with_room(m)->used, get32(&slab_with_room(m)->used) + 1);
    return slab_frame(m);
}

static uint64_t disown_object(struct machine *m)
{
    set32(&slab_with_room(m)->owners[0], SLAB_FREE);
    return slab_frame(m);
}

static uint64_t chain_object_in_use(struct machine *m)
{
    struct slab *slab = slab_with_room(m);
    struct call c = machine_call(m);
    set64(&slab->free, frame_ref(&c, slab_frame(m)) + get32(&slab->first));
    return slab_frame(m);
}

static uint64_t lead_free_chain_astray(struct machine *m)
{
    set64(&slab_with_room(m)->free, 0xDEAD000000ull);
    return slab_frame(m);
}

static uint64_t lack_a_row(struct machine *m)
{
    struct frame_range *range = &machine_anchor(m)->ranges[0];
    set64(&range->frame_count, get64(&range->frame_count) - 1);
    return 0;
}

static uint64_t miscount_slab_frames(struct machine *m)
{
    set64(&vad_class(m)->frame_count, 1);
    return SLAB_VAD;
}

static uint64_t miscount_objects(struct machine *m)
{
    set64(&vad_class(m)->used, get64(&vad_class(m)->used) - 1);
    return SLAB_VAD;
}

static uint64_t mistake_partial_link(struct machine *m)
{
    uint64_t ref = get64(&vad_class(m)->partial);
    set64(&slab_with_room(m)->prev, ref);
    return ref;
}

static uint64_t forget_partial(struct machine *m)
{
    set64(&vad_class(m)->partial, 0);
    return 0;
}

static uint64_t lead_partial_into_a_slab(struct machine *m)
{
    le64 *partial = &vad_class(m)->partial;
    set64(partial, get64(partial) + 64);
    return get64(partial);
}

/* That of the scenario's first region. */
static uint64_t list_a_full_slab(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = vad_ref(&c, machine_vad(m, COMMITTED)) & ~(PAGE - 1);
    assert_int_equal(get64(&((struct slab *)core_at(c.bias, ref))->free), 0);
    set64(&vad_class(m)->partial, ref);
    return ref;
}

static uint64_t lead_partial_astray(struct machine *m)
{
    set64(&vad_class(m)->partial, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t mistake_tag(struct machine *m)
{
    set32(&slab_with_room(m)->tag, SLAB_TAG('N', 'o', 'n', 'e'));
    return slab_frame(m);
}

static uint64_t mistake_row_tag(struct machine *m)
{
    set64(&machine_row(m, slab_frame(m))->original_pte, 0);
    return slab_frame(m);
}

static uint64_t mistake_kind(struct machine *m)
{
    set32(&slab_with_room(m)->kind, SLAB_KIND_COUNT);
    return slab_frame(m);
}

static uint64_t mistake_capacity(struct machine *m)
{
    set32(&slab_with_room(m)->capacity, 4096);
    return slab_frame(m);
}

static uint64_t mistake_object_size(struct machine *m)
{
    set32(&slab_with_room(m)->object_size, 0);
    return slab_frame(m);
}

static uint64_t mistake_first(struct machine *m)
{
    set32(&slab_with_room(m)->first, 64);
    return slab_frame(m);
}

static uint64_t leak_vad(struct machine *m)
{
    struct call c = machine_call(m);
    assert_true(slab_allocate(&c, SLAB_VAD, 0) != 0);
    return SLAB_VAD;
}

static uint64_t leak_node(struct machine *m)
{
    struct call c = machine_call(m);
    assert_true(slab_allocate(&c, SLAB_VAD_NODE, 0) != 0);
    return SLAB_VAD_NODE;
}

static uint64_t give_to_another(struct machine *m, uint64_t ref)
{
    struct call c = machine_call(m);
    struct slab *slab = core_at(c.bias, ref & ~(PAGE - 1));
    uint32_t index = (uint32_t)(ref % PAGE - get32(&slab->first)) / get32(&slab->object_size);
    set32(&slab->owners[index], (uint32_t)corruption_other_process());
    return ref;
}

static uint64_t give_vad_to_another(struct machine *m)
{
    struct call c = machine_call(m);
    return give_to_another(m, vad_ref(&c, machine_vad(m, COMMITTED)));
}

static uint64_t give_leaf_to_another(struct machine *m)
{
    struct call c = machine_call(m);
    const struct gap_node *root = core_at(c.bias, get64(&machine_object(m)->vads.root));
    return give_to_another(m, get64(&root->ref[1]));
}

/* The tree of another process, whose root is a leaf with one VAD. */
static uint64_t share_tree(struct machine *m)
{
    ntmm_handle own = m->process;
    m->process = corruption_other_process();
    uint64_t root = get64(&machine_object(m)->vads.root);
    m->process = own;
    set64(&machine_object(m)->vads.root, root);
    return root;
}

static const struct corruption corruptions[] = {
    {"A1", "no anchor", anchor_without_magic},
    {"A1", "the anchor of another core base", anchor_of_another_base},
    {"A1", "the anchor of another swizzle mask", anchor_of_another_mask},
    {"P17", "the ranges do not sum to the total", miscount_total},
    {"A2", "the ranges' metadata do not sum", miscount_metadata},
    {"A2", "a range has a row less than frames", lack_a_row},
    {"A2", "a metadata frame is used", use_metadata},
    {"A3", "more was repurposed than there was", miscount_repurposed},
    {"A3", "low memory above high memory", exchange_thresholds},
    {"A2", "a frame beyond the metadata is marked as one", use_lost_frame_as_metadata},
    {"P9", "a table is marked metadata", use_table_as_metadata},
    {"P7", "an active frame has no share", unshare_metadata},
    {"P7", "an active frame has no reference", unreference_private},
    {"P7", "a private frame is shared twice", share_private_twice},
    {"P9", "a frame names no entry", mistake_entry_address},
    {"P9", "a frame names another table", mistake_table_frame},
    {"P9", "a mapped frame says it is used otherwise", mistake_use},
    {"P9", "two entries map one frame", map_twice},
    {"P9", "an entry maps what was never handed over", map_what_does_not_exist},
    {"P9", "no entry maps a private frame", hold_without_entry},
    {"P9", "a free frame names an entry", own_free_frame},
    {"S1", "a slab's used count is off", miscount_slab},
    {"S1", "an object in use has no owner", disown_object},
    {"S1", "an object in use is on the free chain", chain_object_in_use},
    {"S1", "the free chain leads out of the slab", lead_free_chain_astray},
    {"S5", "an object is written to after its release", use_after_release},
    {"S6", "something is written before the objects of a slab", write_before_objects},
    {"S2", "the class's count of frames is off", miscount_slab_frames},
    {"S2", "the class's count of objects is off", miscount_objects},
    {"S2", "the partial list is broken backwards", mistake_partial_link},
    {"S2", "a slab with room is not on the partial list", forget_partial},
    {"S2", "the partial list leads out of the slabs", lead_partial_astray},
    {"S2", "the partial list leads into a slab", lead_partial_into_a_slab},
    {"S2", "a full slab is on the partial list", list_a_full_slab},
    {"S3", "a slab has another tag", mistake_tag},
    {"S3", "a slab's row has no tag", mistake_row_tag},
    {"S3", "a slab is of no kind", mistake_kind},
    {"S3", "a slab has another capacity", mistake_capacity},
    {"S3", "a slab has another object size", mistake_object_size},
    {"S3", "a slab's objects begin elsewhere", mistake_first},
    {"S4", "a VAD in use is in no tree", leak_vad},
    {"S4", "a VAD is owned by another process", give_vad_to_another},
    {"S4", "a node in use is in no tree", leak_node},
    {"S4", "a leaf is owned by another process", give_leaf_to_another},
    {"S4", "two processes have one tree", share_tree},
};

int main(void)
{
    return corruption_run("check_system", corruptions, sizeof corruptions / sizeof *corruptions);
}
