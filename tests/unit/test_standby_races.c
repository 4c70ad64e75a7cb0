/*
 * A frame that somebody has seen on standby, and that leaves it before its lock is had: it is
 * its page's again, and not to be taken (tests/models/frames.pml: Row).
 *
 *   taker    sees Standby -- waits for (F) ------------------ has (F), looks again: Active
 *   owner                        has (F), its page is back --/
 *
 * The owner holds (F) by hand, as its soft fault would; then the fault comes, on a coroutine.
 */
#include "unit/storage.h"

#include "phys/rows.h"

struct race {
    struct machine *m;
    uint64_t frame;
    uint64_t va;
    bool is_waiting; /* the taker waits for (F) */
    bool is_taken;
    void (*relax)(void *context);
    void *context;
};

static struct race *current;

static void note_waiting(void *context)
{
    current->is_waiting = true;
    current->relax(context);
}

static void begin_race(struct race *r)
{
    struct call c = machine_call(r->m);
    current = r;
    r->relax = r->m->system->platform.relax;
    assert_non_null(r->relax);
    r->m->system->platform.relax = note_waiting;
    assert_true(cas32_acquire(frame_lock_word(&c, r->frame), 0, 1));
}

static void take(void *context)
{
    struct race *r = context;
    struct call c = machine_call(r->m);
    r->is_taken = frame_repurpose(&c, NTMM_USE_FREE, r->frame);
}

static void touch(void *context)
{
    struct race *r = context;
    struct call c = machine_call(r->m);
    uint64_t value = 0;
    while (!r->is_waiting)
        ntmm_emulated_yield(r->m->emu);
    store32_release(frame_lock_word(&c, r->frame), 0);
    assert_int_equal(ntmm_emulated_load(r->m->emu, 0, r->va, &value, sizeof value, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(value, r->va);
}

static void run_race(struct race *r)
{
    begin_race(r);
    assert_int_equal(ntmm_emulated_spawn(r->m->emu, 1, take, r, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_spawn(r->m->emu, 0, touch, r, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(r->m->emu), NTMM_STATUS_SUCCESS);
    assert_true(r->is_waiting);
    r->m->system->platform.relax = r->relax;
}

/* A page on standby, and its frame. */
static struct race page_on_standby(void)
{
    struct race r = {.m = machine_open(NULL), .va = BASE};
    (void)must_add_file(r.m, MIB, 0, NULL);
    must_allocate(r.m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(r.m, BASE, BASE);
    must_trim(r.m, BASE, PAGE);
    assert_int_equal(must_write_modified(r.m, 1), 1);
    must_finish_transfers(r.m);
    r.frame = machine_frame(r.m, BASE);
    assert_int_equal(pfn_location(machine_row(r.m, r.frame)), NTMM_FRAME_STANDBY);
    return r;
}

static void a_page_that_came_back_meanwhile_is_not_taken(void **state)
{
    (void)state;
    struct race r = page_on_standby();
    run_race(&r);
    assert_false(r.is_taken);
    assert_int_equal(pfn_location(machine_row(r.m, r.frame)), NTMM_FRAME_ACTIVE);
    assert_int_equal(get64(&machine_partition(r.m)->standby[PRIORITY_DEFAULT].count), 0);
    assert_int_equal(load64_relaxed(&machine_partition(r.m)->standby_pages), 0);
    machine_assert_sound(r.m);
    assert_int_equal(must_read(r.m, BASE), BASE);
    machine_close(r.m);
}

static void a_page_that_stays_is_taken(void **state)
{
    (void)state;
    struct race r = page_on_standby();
    struct call c = machine_call(r.m);
    assert_true(frame_repurpose(&c, NTMM_USE_FREE, r.frame));
    assert_int_equal(pfn_location(machine_row(r.m, r.frame)), NTMM_FRAME_ACTIVE);
    frame_free(&c, r.frame);
    machine_assert_sound(r.m);
    assert_int_equal(must_read(r.m, BASE), BASE); /* from its slot */
    machine_close(r.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_came_back_meanwhile_is_not_taken),
        cmocka_unit_test(a_page_that_stays_is_taken),
    };
    return cmocka_run_group_tests_name("standby_races", tests, NULL, NULL);
}
