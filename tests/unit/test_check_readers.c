/*
 * The checker finds what is wrong with readers of (W) and with caches of frames: L1, RD2, RD3, V3,
 * V5, P15.
 */
#include "unit/corruption.h"

#include "phys/cache.h"
#include "space/readers.h"

static struct frame_cache *cache(struct machine *m) { return &machine_anchor(m)->caches[3]; }

/* A frame of the zeroed list, as one that a cache has. */
static uint64_t move_to_cache(struct machine *m, enum ntmm_frame_use use)
{
    struct call c = machine_call(m);
    uint64_t frame;
    assert_true(frame_allocate_zeroed(&c, use, &frame));
    set64(&machine_row(m, frame)->flink, get64(&cache(m)->head));
    set64(&cache(m)->head, frame);
    set32(&cache(m)->count, get32(&cache(m)->count) + 1);
    set32(&cache(m)->is_zeroed, 1);
    return frame;
}

static uint64_t stay_inside(struct machine *m)
{
    set32(&machine_object(m)->readers[1].is_owned, 1);
    return process_index(machine_object(m));
}

static uint64_t stay_inside_as_guest(struct machine *m)
{
    set32(&machine_object(m)->readers[3].guests, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_something_to_add(struct machine *m)
{
    set32(&machine_object(m)->readers[2].calls, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_demand_zero(struct machine *m)
{
    set32(&machine_object(m)->readers[2].demand_zero, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_transition(struct machine *m)
{
    set32(&machine_object(m)->readers[2].transition, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_zeroed_frame(struct machine *m)
{
    set32(&machine_object(m)->readers[2].zeroed, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_an_entry(struct machine *m)
{
    set32(&machine_object(m)->readers[2].used, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_share(struct machine *m)
{
    set32(&machine_object(m)->readers[2].shares, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_soft_fault(struct machine *m)
{
    set64(&machine_object(m)->readers[0].made_dirty, 1);
    return process_index(machine_object(m));
}

static uint64_t leave_a_hint(struct machine *m)
{
    (void)must_query(m, BASE);
    set64(&machine_object(m)->readers[0].vad_hint, get64(&machine_object(m)->vad_hint));
    return process_index(machine_object(m));
}

/* --- while (W) is shared --- */

/* Readers whose owner found the leaf table and the VAD of the machine's first page. */
static struct readers *share(struct machine *m)
{
    struct process *process = machine_object(m);
    struct readers *readers = &process->readers[1];
    struct call c = machine_call(m);
    (void)must_query(m, BASE);
    (void)table_walk(&c, process, BASE / PAGE);
    store32_release(&process->working_set_lock, LOCK_SHARED);
    set64(&readers->vad_hint, get64(&process->vad_hint));
    set64(&readers->leaf_span, get64(&process->leaf_span) + 1);
    set64(&readers->leaf_frame, get64(&process->leaf_frame));
    return readers;
}

static uint64_t hint_at_no_vad(struct machine *m)
{
    struct readers *readers = share(m);
    set64(&readers->vad_hint, get64(&readers->vad_hint) + 8);
    return get64(&readers->vad_hint);
}

static uint64_t hint_at_another_frame(struct machine *m)
{
    struct readers *readers = share(m);
    set64(&readers->leaf_frame, get64(&readers->leaf_frame) + 1);
    return BASE & ~(2 * MIB - 1);
}

static uint64_t hint_at_no_table(struct machine *m)
{
    struct readers *readers = share(m);
    set64(&readers->leaf_span, get64(&readers->leaf_span) + 1000);
    return READERS;
}

static uint64_t add_to_no_table(struct machine *m)
{
    struct readers *readers = share(m);
    set64(&readers->leaf_span, 0);
    set32(&readers->shares, 1);
    return 1;
}

static uint64_t add_an_entry_too_many(struct machine *m)
{
    struct readers *readers = share(m);
    set32(&readers->used, 1);
    return get64(&readers->leaf_frame);
}

static uint64_t add_a_share_too_many(struct machine *m)
{
    struct readers *readers = share(m);
    set32(&readers->shares, 1);
    return get64(&readers->leaf_frame);
}

static uint64_t hold_cache(struct machine *m)
{
    store32_release(&cache(m)->lock, 1);
    return 3;
}

static uint64_t have_too_many(struct machine *m)
{
    set32(&cache(m)->count, FRAME_CACHE_FRAMES + 1);
    return 3;
}

static uint64_t be_half_zeroed(struct machine *m)
{
    set32(&cache(m)->is_zeroed, 2);
    return 3;
}

static uint64_t have_what_does_not_exist(struct machine *m)
{
    set64(&cache(m)->head, 0x123456);
    set32(&cache(m)->count, 1);
    return 0x123456;
}

static uint64_t have_what_is_listed(struct machine *m)
{
    uint64_t frame = get64(&machine_partition(m)->node.zeroed.head);
    set64(&cache(m)->head, frame);
    set32(&cache(m)->count, 1);
    return frame;
}

static uint64_t have_what_is_used(struct machine *m) { return move_to_cache(m, NTMM_USE_PRIVATE); }

static uint64_t have_what_is_named(struct machine *m)
{
    uint64_t frame = move_to_cache(m, NTMM_USE_FREE);
    set64(&machine_row(m, frame)->entry_address, 8);
    return frame;
}

static uint64_t have_one_twice(struct machine *m)
{
    uint64_t frame = move_to_cache(m, NTMM_USE_FREE);
    set64(&machine_row(m, frame)->flink, frame);
    set32(&cache(m)->count, 2);
    return frame;
}

static uint64_t have_bytes(struct machine *m)
{
    uint64_t frame = move_to_cache(m, NTMM_USE_FREE);
    const struct ntmm_platform *platform = &m->system->platform;
    const struct ntmm_content_span span = {frame, 100, 1};
    assert_int_equal(platform->write(platform->context, &span, 1, "x"), NTMM_STATUS_SUCCESS);
    return frame;
}

static uint64_t count_a_page_too_many(struct machine *m)
{
    set64(&cache(m)->user_pages, 1);
    return 1;
}

int main(void)
{
    static const struct corruption corruptions[] = {
        {"L1", "a call shares (W)", stay_inside},
        {"L1", "a guest shares (W)", stay_inside_as_guest},
        {"RD2", "calls to add of one that is not shared", leave_something_to_add},
        {"RD2", "a demand zero to add of one that is not shared", leave_a_demand_zero},
        {"RD2", "a transition to add of one that is not shared", leave_a_transition},
        {"RD2", "a zeroed frame to add of one that is not shared", leave_a_zeroed_frame},
        {"RD2", "an entry to add of one that is not shared", leave_an_entry},
        {"RD2", "a share to add of one that is not shared", leave_a_share},
        {"RD2", "a soft fault to add of one that is not shared", leave_a_soft_fault},
        {"RD2", "a hint of readers of one that is not shared", leave_a_hint},
        {"RD3", "a reader's hint is no VAD", hint_at_no_vad},
        {"RD3", "a reader's hint is another frame", hint_at_another_frame},
        {"RD3", "a reader's hint is of no table", hint_at_no_table},
        {"RD3", "a reader adds to no table", add_to_no_table},
        {"V3", "a reader adds an entry that is not there", add_an_entry_too_many},
        {"V5", "a reader adds a share that is not there", add_a_share_too_many},
        {"L1", "a cache is held", hold_cache},
        {"P15", "a cache has too many", have_too_many},
        {"P15", "a cache is zeroed twice", be_half_zeroed},
        {"P15", "a cache has a frame that does not exist", have_what_does_not_exist},
        {"P15", "a cache has a listed frame", have_what_is_listed},
        {"P15", "a cache has a frame in use", have_what_is_used},
        {"P15", "a cache has a frame with an entry", have_what_is_named},
        {"P15", "a cache has a frame twice", have_one_twice},
        {"P6", "a cache has a frame that is not zero", have_bytes},
        {"P10", "a cache counts a page too many", count_a_page_too_many},
    };
    return corruption_run("check_readers", corruptions, sizeof corruptions / sizeof *corruptions);
}
