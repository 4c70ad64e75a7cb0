/*
 * The checker finds each broken invariant of frames and lists, and names it: P1 to P6, P8, P9,
 * P11, P13, P14, P16, P17.
 */
#include "unit/corruption.h"

#include "phys/poison.h"
#include "phys/slots.h"

#include <ntmm/frames.h>

static struct frame_list *free_list(struct machine *m) { return &machine_partition(m)->node.free; }

static struct frame_list *zeroed_list(struct machine *m)
{
    return &machine_partition(m)->node.zeroed;
}

static uint64_t modified_frame(struct machine *m) { return machine_frame(m, COMMITTED + 2 * PAGE); }

static uint64_t standby_frame(struct machine *m) { return machine_frame(m, COMMITTED + 3 * PAGE); }

static void set_location(struct pfn *row, enum ntmm_frame_location location)
{
    set16(&row->state, (uint16_t)((get16(&row->state) & ~(uint32_t)PFN_LOCATION) | location));
}

static uint64_t say_active(struct machine *m)
{
    uint64_t frame = get64(&free_list(m)->head);
    set_location(machine_row(m, frame), NTMM_FRAME_ACTIVE);
    return frame;
}

static uint64_t lose_frame(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame = get64(&free_list(m)->head);
    list_remove(&c, free_list(m), frame);
    return frame;
}

static uint64_t list_twice(struct machine *m)
{
    struct frame_list *bad = &machine_partition(m)->bad;
    uint64_t frame = get64(&free_list(m)->head);
    set64(&machine_row(m, get64(&bad->head))->flink, frame);
    set64(&machine_row(m, frame)->blink, get64(&bad->head));
    set64(&bad->tail, frame);
    set64(&bad->count, 2);
    return frame;
}

static uint64_t close_circle(struct machine *m)
{
    uint64_t head = get64(&free_list(m)->head);
    set64(&machine_row(m, get64(&free_list(m)->tail))->flink, head);
    return head;
}

static uint64_t list_what_does_not_exist(struct machine *m)
{
    set64(&free_list(m)->head, 0x123456);
    return 0x123456;
}

static uint64_t mistake_priority(struct machine *m)
{
    uint64_t frame = standby_frame(m);
    struct pfn *row = machine_row(m, frame);
    set16(&row->state, get16(&row->state) ^ (1u << PFN_PRIORITY_SHIFT));
    return frame;
}

static uint64_t share_free_frame(struct machine *m)
{
    uint64_t frame = get64(&free_list(m)->head);
    set32(&machine_row(m, frame)->share_count, 1);
    return frame;
}

static uint64_t reference_zeroed_frame(struct machine *m)
{
    uint64_t frame = get64(&zeroed_list(m)->tail);
    set16(&machine_row(m, frame)->reference_count, 1);
    return frame;
}

static uint64_t reference_modified_frame(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    set16(&machine_row(m, frame)->reference_count, 1);
    return frame;
}

static uint64_t miscount_list(struct machine *m)
{
    set64(&zeroed_list(m)->count, get64(&zeroed_list(m)->count) + 1);
    return NTMM_FRAME_ZEROED;
}

static uint64_t mistake_tail(struct machine *m)
{
    set64(&free_list(m)->tail, get64(&free_list(m)->head));
    return NTMM_FRAME_FREE;
}

static uint64_t mistake_blink(struct machine *m)
{
    uint64_t frame = get64(&machine_row(m, get64(&free_list(m)->head))->flink);
    set64(&machine_row(m, frame)->blink, FRAME_NONE);
    return frame;
}

static uint64_t forget_standby_list(struct machine *m)
{
    struct frame_list *list = &machine_partition(m)->standby[PRIORITY_DEFAULT];
    list_init(list, NTMM_FRAME_STANDBY);
    return standby_frame(m);
}

static uint64_t mistake_owner(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    struct pfn *row = machine_row(m, frame);
    set64(&row->entry_address, get64(&row->entry_address) + 8);
    return frame;
}

static uint64_t mistake_owner_by_a_part(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    struct pfn *row = machine_row(m, frame);
    set64(&row->entry_address, get64(&row->entry_address) + 4);
    return frame;
}

/* As a page of a file's data, which others write. */
static uint64_t list_for_another_writer(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    struct pfn *row = machine_row(m, frame);
    set64(&row->original_pte, get64(&row->original_pte) | FIELD_MASK(SUBSECTION_PROTOTYPE));
    return frame;
}

static uint64_t own_free_frame(struct machine *m)
{
    uint64_t frame = get64(&free_list(m)->head);
    set64(&machine_row(m, frame)->entry_address, 8);
    return frame;
}

static uint64_t miscount_unwritten_list(struct machine *m)
{
    set64(&machine_partition(m)->modified_no_write.count, 1);
    return NTMM_FRAME_MODIFIED_NO_WRITE;
}

static uint64_t mistake_owner_table(struct machine *m)
{
    uint64_t frame = standby_frame(m);
    set64(&machine_row(m, frame)->table_frame, frame);
    return frame;
}

static uint64_t owner_entry_names_another(struct machine *m)
{
    le64 *entry = machine_entry(m, COMMITTED + 2 * PAGE, 1);
    uint64_t frame = modified_frame(m);
    set64(entry, field_set(get64(entry), TR_FRAME, standby_frame(m)));
    return frame;
}

static uint64_t transition_to_active(struct machine *m)
{
    uint64_t value = field_set(entry_software(PROT_READWRITE), TR_TRANSITION, 1);
    uint64_t frame = machine_frame(m, COMMITTED);
    set64(machine_entry(m, COMMITTED + 20 * PAGE, 1), field_set(value, TR_FRAME, frame));
    return frame;
}

static uint64_t transition_protection_differs(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    set64(&machine_row(m, frame)->original_pte, entry_software(PROT_READWRITE));
    return frame;
}

static struct run *last_run(struct machine *m)
{
    struct call c = machine_call(m);
    const struct frame_range *range = &machine_anchor(m)->ranges[0];
    struct run *runs = core_at(c.bias, get64(&range->run_ref));
    return &runs[get32(&range->run_count) - 1];
}

static uint64_t miscount_run(struct machine *m)
{
    set32(&last_run(m)->free_count, RUN_FRAMES - 1);
    return get64(&last_run(m)->base_frame);
}

static uint64_t mistake_run_base(struct machine *m)
{
    uint64_t base = get64(&last_run(m)->base_frame);
    set64(&last_run(m)->base_frame, 1ull << 40);
    return base;
}

static uint64_t miscount_whole_runs(struct machine *m)
{
    le64 *count = &machine_partition(m)->node.whole_run_count;
    set64(count, get64(count) - 1);
    return 0;
}

static uint64_t forget_whole_runs(struct machine *m)
{
    set64(&machine_partition(m)->node.whole_runs, 0);
    return 0;
}

static uint64_t mistake_run_link(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t head = get64(&machine_partition(m)->node.whole_runs);
    struct run *run = core_at(c.bias, head);
    set64(&run->prev, head);
    return head;
}

static uint64_t lead_runs_astray(struct machine *m)
{
    set64(&machine_partition(m)->node.whole_runs, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t lead_runs_into_a_row(struct machine *m)
{
    le64 *runs = &machine_partition(m)->node.whole_runs;
    set64(runs, get64(runs) + 8);
    return get64(runs);
}

/* The first one has the core's frames in it. */
static uint64_t list_a_run_that_is_used(struct machine *m)
{
    uint64_t ref = get64(&machine_anchor(m)->ranges[0].run_ref);
    struct call c = machine_call(m);
    struct run *run = core_at(c.bias, ref);
    uint64_t head = get64(&machine_partition(m)->node.whole_runs);
    set64(&run->next, head);
    set64(&machine_partition(m)->node.whole_runs, ref);
    return ref;
}

static uint64_t soil_zeroed_frame(struct machine *m)
{
    uint64_t frame = get64(&zeroed_list(m)->tail);
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    ram[frame * PAGE + PAGE - 1] = 1;
    return frame;
}

static uint64_t modified_without_bit(struct machine *m)
{
    uint64_t frame = modified_frame(m);
    struct pfn *row = machine_row(m, frame);
    set16(&row->state, (uint16_t)(get16(&row->state) & ~(uint32_t)PFN_MODIFIED));
    return frame;
}

static uint64_t standby_with_bit(struct machine *m)
{
    pfn_set_modified(machine_row(m, standby_frame(m)));
    return standby_frame(m);
}

/* 0 4 of COMMITTED are in memory, the first of them modified. */
static uint64_t offer_what_is_modified(struct machine *m)
{
    uint64_t frame = machine_frame(m, COMMITTED);
    struct pfn *row = machine_row(m, frame);
    set64(&row->original_pte, get64(&row->original_pte) | ENTRY_DISPOSABLE);
    return frame;
}

static uint64_t give_what_may_go_a_slot(struct machine *m)
{
    struct pfn *row = machine_row(m, standby_frame(m));
    set64(&row->original_pte, slot_set(get64(&row->original_pte), 0, 200) | ENTRY_DISPOSABLE);
    return standby_frame(m);
}

static uint64_t lose_what_may_go(struct machine *m)
{
    struct pfn *row = machine_row(m, standby_frame(m));
    set64(&row->original_pte, get64(&row->original_pte) | ENTRY_DISPOSABLE | ENTRY_LOST);
    return standby_frame(m);
}

static uint64_t boost_private_page(struct machine *m)
{
    pfn_change_state(machine_row(m, standby_frame(m)), 0, PFN_BOOSTED);
    return standby_frame(m);
}

static struct pfn *bad_row(struct machine *m, uint64_t *frame)
{
    *frame = get64(&machine_partition(m)->bad.head);
    return machine_row(m, *frame);
}

static uint64_t use_bad_frame(struct machine *m)
{
    uint64_t frame;
    struct pfn *row = bad_row(m, &frame);
    set16(&row->state, pfn_state(NTMM_FRAME_BAD, NTMM_USE_PRIVATE, 0));
    return frame;
}

static uint64_t map_bad_frame(struct machine *m)
{
    uint64_t frame;
    set64(&bad_row(m, &frame)->entry_address, 8);
    return frame;
}

static uint64_t put_bad_frame_into_table(struct machine *m)
{
    uint64_t frame;
    set64(&bad_row(m, &frame)->table_frame, 1);
    return frame;
}

/* Also in a build that guards nothing. */
static uint64_t fill_free_frame(struct machine *m)
{
    uint64_t frame = get64(&free_list(m)->head);
    set32(&machine_anchor(m)->is_guarded, 1);
    set64(&machine_row(m, frame)->table_frame, PFN_POISONED);
    memset((uint8_t *)ntmm_emulated_arena(m->emu, NULL) + frame * PAGE, POISON_BYTE, PAGE);
    return frame;
}

static uint64_t soil_free_frame(struct machine *m)
{
    uint64_t frame = fill_free_frame(m);
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    ram[frame * PAGE + PAGE - 1] = 1;
    return frame;
}

static uint64_t soil_first_byte(struct machine *m)
{
    uint64_t frame = fill_free_frame(m);
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    ram[frame * PAGE] = 0;
    return frame;
}

/* A build that guards nothing would miss the guards of objects first. */
static uint64_t mark_used_frame(struct machine *m)
{
    if (get32(&machine_anchor(m)->is_guarded) == 0)
        return soil_free_frame(m);
    uint64_t frame = machine_frame(m, COMMITTED);
    struct pfn *row = machine_row(m, frame);
    set64(&row->table_frame, get64(&row->table_frame) | PFN_POISONED);
    return frame;
}

/* The last frame of RAM is zeroed: it goes. */
static struct pfn *absent_row(struct machine *m, uint64_t *frame)
{
    *frame = get64(&zeroed_list(m)->tail);
    assert_int_equal(ntmm_remove_frames(m->system, *frame, 1), NTMM_STATUS_SUCCESS);
    return machine_row(m, *frame);
}

static uint64_t map_absent_frame(struct machine *m)
{
    uint64_t frame;
    set64(&absent_row(m, &frame)->entry_address, 8);
    return frame;
}

static uint64_t put_absent_frame_into_table(struct machine *m)
{
    uint64_t frame;
    set64(&absent_row(m, &frame)->table_frame, 1);
    return frame;
}

static uint64_t share_absent_frame(struct machine *m)
{
    uint64_t frame;
    set32(&absent_row(m, &frame)->share_count, 2);
    return frame;
}

static uint64_t miscount_frames(struct machine *m)
{
    uint64_t frame;
    (void)absent_row(m, &frame);
    set64(&machine_partition(m)->total_pages, get64(&machine_partition(m)->total_pages) + 1);
    return 0;
}

static const struct corruption corruptions[] = {
    {"P1", "a listed frame says it is active", say_active},
    {"P1", "a frame is on no list", lose_frame},
    {"P1", "a frame is on two lists", list_twice},
    {"P1", "a list is a circle", close_circle},
    {"P1", "a list holds a frame that was never handed over", list_what_does_not_exist},
    {"P1", "a frame is on the standby list of another priority", mistake_priority},
    {"P4", "a standby list is forgotten", forget_standby_list},
    {"P1", "a modified frame is on the list of another writer", list_for_another_writer},
    {"P2", "a free frame is shared", share_free_frame},
    {"P2", "a zeroed frame is referenced", reference_zeroed_frame},
    {"P2", "a modified frame is referenced", reference_modified_frame},
    {"P3", "a list's count is off", miscount_list},
    {"P3", "a list that is empty counts a frame", miscount_unwritten_list},
    {"P3", "a list's tail is not its last frame", mistake_tail},
    {"P3", "a frame does not name the one before it", mistake_blink},
    {"P4", "a modified frame names the entry beside its own", mistake_owner},
    {"P4", "a modified frame names half an entry", mistake_owner_by_a_part},
    {"P4", "a standby frame names another table", mistake_owner_table},
    {"P4", "the entry names another frame", owner_entry_names_another},
    {"P4", "an entry in transition names an active frame", transition_to_active},
    {"P4", "frame and entry differ in protection", transition_protection_differs},
    {"P5", "a run's free count is off", miscount_run},
    {"P5", "a run begins elsewhere", mistake_run_base},
    {"P5", "the count of whole runs is off", miscount_whole_runs},
    {"P5", "whole runs are not on the list", forget_whole_runs},
    {"P5", "the list of whole runs is broken backwards", mistake_run_link},
    {"P5", "the list of whole runs leads out of the run tables", lead_runs_astray},
    {"P5", "the list of whole runs leads into a row", lead_runs_into_a_row},
    {"P5", "a run with used frames is on the list", list_a_run_that_is_used},
    {"P6", "a zeroed frame holds a byte", soil_zeroed_frame},
    {"P8", "a modified frame is not marked modified", modified_without_bit},
    {"P8", "a standby frame is marked modified", standby_with_bit},
    {"P9", "a free frame names an entry", own_free_frame},
    {"P11", "what may go is modified", offer_what_is_modified},
    {"P11", "what may go is lost", lose_what_may_go},
    {"P11", "what may go has a slot", give_what_may_go_a_slot},
    {"P13", "a private page is boosted", boost_private_page},
    {"P14", "a bad frame has a use", use_bad_frame},
    {"P14", "a bad frame names an entry", map_bad_frame},
    {"P14", "a bad frame names a table", put_bad_frame_into_table},
    {"P16", "the last byte of a free frame was written to", soil_free_frame},
    {"P16", "the first byte of a free frame was written to", soil_first_byte},
    {"P16", "a frame in use is marked as filled", mark_used_frame},
    {"P17", "an absent frame names an entry", map_absent_frame},
    {"P17", "an absent frame is of a table", put_absent_frame_into_table},
    {"P17", "an absent frame is shared", share_absent_frame},
    {"P17", "an absent frame counts", miscount_frames},
};

int main(void)
{
    return corruption_run("check_frames", corruptions, sizeof corruptions / sizeof *corruptions);
}
