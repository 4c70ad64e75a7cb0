/*
 * Page lists and states of frames, by the functions of core/phys: what is allocated, freed, listed
 * and taken back; frames that cannot be zeroed; zeroing in the background.
 */
#include "unit/storage.h"

static uint64_t allocate_one(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame = FRAME_NONE;
    assert_true(frame_allocate_zeroed(&c, NTMM_USE_FREE, &frame));
    return frame;
}

static void expect_row(struct machine *m, uint64_t frame, enum ntmm_frame_location location,
                       uint32_t shares, uint32_t references)
{
    struct ntmm_frame_information row;
    assert_int_equal(ntmm_query_frame(m->system, frame, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.location, location);
    assert_int_equal(row.share_count, shares);
    assert_int_equal(row.reference_count, references);
}

static void an_allocated_frame_is_active(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t head = get64(&machine_partition(m)->node.zeroed.head);
    expect_row(m, head, NTMM_FRAME_ZEROED, 0, 0);
    uint64_t frame = allocate_one(m);
    assert_int_equal(frame, head);
    expect_row(m, frame, NTMM_FRAME_ACTIVE, 1, 1);
    assert_int_equal(machine_memory(m).active_pages, 1);
    frame_free(&c, frame);
    expect_row(m, frame, NTMM_FRAME_FREE, 0, 0);
    assert_int_equal(machine_memory(m).free_pages, 1);
    machine_close(m);
}

/* What was freed comes last, zeroed on the spot; with nothing left it is a shortage. */
static void frames_come_zeroed_and_run_out(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 64 * PAGE}};
    uint64_t frames[64];
    uint32_t count = 0;
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    struct call c = machine_call(m);
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    uint64_t first = allocate_one(m);
    memset(ram + first * PAGE, 0xEE, PAGE);
    frame_free(&c, first);
    while (frame_allocate_zeroed(&c, NTMM_USE_FREE, &frames[count]))
        count++;
    assert_int_equal(count, 64 - 2); /* the anchor, and the rows of 64 frames */
    assert_int_equal(frames[count - 1], first);
    assert_int_equal(ram[first * PAGE], 0);
    assert_int_equal(c.zeroed_inline, 1);
    assert_int_equal(c.want.kind, WANT_FRAME);
    machine_assert_sound(m);
    while (count > 0)
        frame_free(&c, frames[--count]);
    machine_close(m);
}

/* A frame onto a list and back, in every order of three. */
static void expect_list(struct machine *m, struct frame_list *list, const uint64_t *frames,
                        uint32_t count)
{
    uint64_t frame = get64(&list->head);
    uint64_t previous = FRAME_NONE;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(frame, frames[i]);
        assert_int_equal(get64(&machine_row(m, frame)->blink), previous);
        previous = frame;
        frame = get64(&machine_row(m, frame)->flink);
    }
    assert_int_equal(frame, FRAME_NONE);
    assert_int_equal(get64(&list->tail), previous);
    assert_int_equal(get64(&list->count), count);
}

/* Take a frame off a list: back to an entry that names it, or away from the one that did. */
static void take(struct machine *m, struct frame_list *list, uint64_t frame, bool is_reactivated)
{
    struct call c = machine_call(m);
    enum ntmm_frame_location location = pfn_location(machine_row(m, frame));
    if (location != NTMM_FRAME_STANDBY && location != NTMM_FRAME_MODIFIED) {
        list_remove(&c, list, frame); /* nobody comes back from these lists */
        return;
    }
    frame_lock(&c, frame);
    if (is_reactivated)
        frame_reactivate(&c, frame);
    else
        assert_true(frame_detach(&c, frame));
    frame_unlock(&c, frame);
    if (is_reactivated)
        expect_row(m, frame, NTMM_FRAME_ACTIVE, 1, 1);
    else
        expect_row(m, frame, NTMM_FRAME_ACTIVE, 0, 0);
}

static void try_list(struct machine *m, enum ntmm_frame_location location, uint32_t priority)
{
    struct call c = machine_call(m);
    struct frame_list *list = list_for(&c, location, priority);
    uint64_t f[3];
    for (uint32_t i = 0; i < 3; i++) {
        f[i] = allocate_one(m);
        set16(&machine_row(m, f[i])->state, pfn_state(NTMM_FRAME_ACTIVE, NTMM_USE_FREE, priority));
        frame_enlist(&c, f[i], location);
        expect_row(m, f[i], location, 0, 0);
    }
    expect_list(m, list, f, 3);
    take(m, list, f[1], false);
    expect_list(m, list, (const uint64_t[]){f[0], f[2]}, 2);
    take(m, list, f[0], true);
    expect_list(m, list, &f[2], 1);
    take(m, list, f[2], false);
    expect_list(m, list, NULL, 0);
    for (uint32_t i = 0; i < 3; i++)
        frame_free(&c, f[i]);
}

static void every_list_takes_and_gives(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    for (uint32_t priority = 0; priority < STANDBY_PRIORITIES; priority++)
        try_list(m, NTMM_FRAME_STANDBY, priority);
    try_list(m, NTMM_FRAME_MODIFIED, PRIORITY_DEFAULT);
    try_list(m, NTMM_FRAME_MODIFIED_NO_WRITE, PRIORITY_DEFAULT);
    try_list(m, NTMM_FRAME_BAD, PRIORITY_DEFAULT);
    machine_assert_sound(m);
    machine_close(m);
}

static void heads_and_tails(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct frame_list list;
    const uint64_t f[] = {allocate_one(m), allocate_one(m), allocate_one(m), allocate_one(m)};
    list_init(&list, NTMM_FRAME_BAD);
    expect_list(m, &list, NULL, 0);
    list_push_tail(&c, &list, f[1]);
    list_push_tail(&c, &list, f[2]);
    list_push_head(&c, &list, f[0]);
    list_push_tail(&c, &list, f[3]);
    expect_list(m, &list, f, 4);
    list_remove(&c, &list, f[3]);
    list_remove(&c, &list, f[0]);
    expect_list(m, &list, &f[1], 2);
    list_remove(&c, &list, f[1]);
    list_remove(&c, &list, f[2]);
    expect_list(m, &list, NULL, 0);
    for (uint32_t i = 0; i < 4; i++)
        frame_free(&c, f[i]);
    machine_close(m);
}

/* Use and give back, so that so many frames are on the free list. */
static void soil(struct machine *m, uint64_t pages)
{
    must_allocate(m, BASE, pages * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, pages * PAGE);
    must_release(m, BASE, 0);
}

static void idle_time_zeroes_free_frames(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    soil(m, 100);
    uint64_t listed = machine_memory(m).free_pages;
    assert_int_equal(listed, 100 + 3); /* and the tables */
    assert_int_equal(ntmm_zero_free_pages(m->system, 0), 0);
    assert_int_equal(ntmm_zero_free_pages(m->system, 7), 7);
    assert_int_equal(machine_memory(m).free_pages, listed - 7);
    machine_assert_sound(m); /* P6 */
    assert_int_equal(ntmm_zero_free_pages(m->system, 1000), listed - 7);
    assert_int_equal(machine_memory(m).free_pages, 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_BACKGROUND), listed);
    machine_close(m);
}

static void frames_that_idle_time_cannot_zero_stay_free(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    soil(m, 100);
    uint64_t listed = machine_memory(m).free_pages;
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_ZERO, 1, 1, NTMM_STATUS_UNSUCCESSFUL);
    uint64_t done = ntmm_zero_free_pages(m->system, 1000);
    assert_in_range(done, 1, listed - 1);
    assert_int_equal(machine_memory(m).free_pages, listed - done);
    assert_int_equal(machine_memory(m).bad_pages, 0);
    machine_assert_sound(m);
    assert_int_equal(ntmm_zero_free_pages(m->system, 1000), listed - done);
    machine_close(m);
}

/* The platform with a zero that fails on one frame, always. */
static ntmm_status (*real_zero)(void *context, const uint64_t *frames, uint32_t count);
static uint64_t broken_frame;

static ntmm_status zero_but_one(void *context, const uint64_t *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i] == broken_frame)
            return NTMM_STATUS_HARDWARE_MEMORY_ERROR;
    }
    return real_zero(context, frames, count);
}

static void a_frame_that_a_fault_cannot_zero_is_bad(void **state)
{
    const struct machine_setup setup = {.core = {.extra_commit_pages = 1000}};
    struct ntmm_frame_information row;
    (void)state;
    struct machine *m = machine_open(&setup);
    uint64_t zeroed = machine_memory(m).zeroed_pages;
    must_allocate(m, BASE + GIB, (zeroed - 40) * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE + GIB, (zeroed - 40) * PAGE);
    soil(m, 20);
    real_zero = m->system->platform.zero;
    m->system->platform.zero = zero_but_one;
    broken_frame = get64(&machine_row(m, get64(&machine_partition(m)->node.free.head))->flink);
    must_allocate(m, BASE, 40 * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; machine_memory(m).bad_pages == 0; i++) {
        assert_in_range(i, 0, 39);
        must_write(m, BASE + i * PAGE, i);
    }
    expect_row(m, broken_frame, NTMM_FRAME_BAD, 0, 0);
    assert_int_equal(ntmm_query_frame(m->system, broken_frame, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.use, NTMM_USE_FREE);
    assert_int_equal(machine_memory(m).bad_pages, 1);
    machine_assert_sound(m);
    must_release(m, BASE, 0);
    assert_int_equal(machine_memory(m).bad_pages, 1);
    machine_close(m);
}

/* --- standby frames whose locks are busy --- */

static le32 *busy_lock;
static uint32_t relaxes;

/* The holder, on another processor, gets on while we wait. */
static void release_busy_lock(void *context)
{
    (void)context;
    if (++relaxes == 3)
        store32_release(busy_lock, 0);
}

/* All that is left is one frame on standby, and somebody holds its lock: it is waited for, because
 * to those who wait for frames it counts as available. */
static void a_standby_frame_that_is_busy_is_waited_for(void **state)
{
    (void)state;
    struct machine *m = machine_open(&(struct machine_setup){.hardware.ram_bytes = 256 * 1024});
    struct call c = machine_call(m);
    uint64_t frames[64];
    uint32_t count = 0;
    (void)must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_trim(m, BASE, PAGE);
    (void)must_write_modified(m, 1);
    must_finish_transfers(m);
    uint64_t standby = machine_frame(m, BASE);
    expect_row(m, standby, NTMM_FRAME_STANDBY, 0, 0);
    while (frames_available(&c) > 1)
        assert_true(frame_allocate(&c, NTMM_USE_FREE, &frames[count++]));

    busy_lock = frame_lock_word(&c, standby);
    relaxes = 0;
    set32(busy_lock, 1);
    m->system->platform.relax = release_busy_lock;
    assert_true(frame_allocate(&c, NTMM_USE_FREE, &frames[count]));
    assert_int_equal(frames[count++], standby);
    assert_int_equal(relaxes, 3);
    expect_row(m, standby, NTMM_FRAME_ACTIVE, 1, 1);
    assert_int_equal(frames_available(&c), 0);
    assert_false(frame_allocate(&c, NTMM_USE_FREE, &frames[count]));
    while (count > 0)
        frame_free(&c, frames[--count]);
    assert_int_equal(must_read(m, BASE), 1);
    machine_close(m);
}

/* The same of a page that is to be written: nobody would come back to write it. */
static void a_modified_frame_that_is_busy_is_waited_for(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    (void)must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_trim(m, BASE, PAGE);
    busy_lock = frame_lock_word(&c, machine_frame(m, BASE));
    relaxes = 0;
    set32(busy_lock, 1);
    m->system->platform.relax = release_busy_lock;
    assert_int_equal(must_write_modified(m, 1), 1);
    assert_int_equal(relaxes, 3);
    must_finish_transfers(m);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocated_frame_is_active),
        cmocka_unit_test(frames_come_zeroed_and_run_out),
        cmocka_unit_test(every_list_takes_and_gives),
        cmocka_unit_test(heads_and_tails),
        cmocka_unit_test(idle_time_zeroes_free_frames),
        cmocka_unit_test(frames_that_idle_time_cannot_zero_stay_free),
        cmocka_unit_test(a_frame_that_a_fault_cannot_zero_is_bad),
        cmocka_unit_test(a_standby_frame_that_is_busy_is_waited_for),
        cmocka_unit_test(a_modified_frame_that_is_busy_is_waited_for),
    };
    return cmocka_run_group_tests_name("phys_lists", tests, NULL, NULL);
}
