/*
 * Faults that wait for a frame do not sleep through what would give them one, whenever it happens:
 * a sweep lets it happen at the 1st, 2nd, 3rd ... moment of the fault at which no lock is held.
 *
 *   fault --> trims, writes --> looks --> queues --> looks again --> sleeps
 *        ^       ^          ^        ^          ^              ^
 *        the write fails; slots come free
 */
#include "unit/storage.h"

#define RAM_BYTES (384 * 1024)
#define FILLED (2 * MIB - KIB64)
#define FILE_BYTES MIB
#define OUT BASE /* pages that are out, in the table of others that are not */
#define OUT_PAGES 8u
#define HERE (BASE + KIB64)
#define MOMENTS_MOST 2000u

struct world {
    struct machine *m;
    uint64_t device;
    void (*event)(struct world *world);
    uint32_t moment; /* at which it happens; 0: it did */
    uint32_t early;  /* sleeps before it, */
    uint32_t sleeps; /* and after it, with nothing in flight that would end them */
    struct ntmm_platform platform;
};

static struct world the_world;

static uint32_t raise_level(void *context)
{
    struct world *w = &the_world;
    if (w->moment != 0 && --w->moment == 0)
        w->event(w);
    return w->platform.raise_level ? w->platform.raise_level(context) : 0;
}

static void lower_level(void *context, uint32_t level)
{
    if (the_world.platform.lower_level)
        the_world.platform.lower_level(context, level);
}

static ntmm_status sleep_on(void *context, struct ntmm_wait *wait, uint64_t deadline)
{
    struct world *w = &the_world;
    struct call c = machine_call(w->m);
    if (transfers_in_use(&c) == 0 && !wait_is_woken(wait)) {
        w->early += w->moment != 0;
        w->sleeps += w->moment == 0;
    }
    return w->platform.wait(context, wait, deadline);
}

static void open_world(void)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = RAM_BYTES},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 4096},
    };
    struct world *w = &the_world;
    *w = (struct world){.m = machine_open(&setup)};
    w->platform = w->m->system->platform;
    w->m->system->platform.raise_level = raise_level;
    w->m->system->platform.lower_level = lower_level;
    w->m->system->platform.wait = sleep_on;
    (void)must_add_file(w->m, FILE_BYTES, 0, &w->device);
    must_allocate(w->m, OUT, OUT_PAGES * PAGE, NTMM_PAGE_READWRITE);
    must_allocate(w->m, HERE, FILLED, NTMM_PAGE_READWRITE);
}

static void close_world(void)
{
    must_finish_transfers(the_world.m);
    machine_close(the_world.m);
}

/* Page after page until the next one finds no frame; returns its address. */
static uint64_t fill(struct machine *m)
{
    uint64_t va = HERE;
    while (try_write(m, va, va) == NTMM_STATUS_SUCCESS)
        va += PAGE;
    assert_true(va < HERE + FILLED);
    return va;
}

/* Whether the event came before the fault was over, or asleep for want of it. */
static bool write_at_moment(uint64_t va, void (*event)(struct world *), uint32_t moment)
{
    the_world.event = event;
    the_world.moment = moment;
    the_world.early = 0;
    the_world.sleeps = 0;
    ntmm_status status = try_write(the_world.m, va, va);
    bool has_come = the_world.moment == 0 && the_world.early == 0;
    the_world.moment = 0;
    if (has_come) {
        assert_int_equal(the_world.sleeps, 0);
        assert_int_equal(status, NTMM_STATUS_SUCCESS);
    }
    return has_come;
}

/* --- a write that fails --- */

/* But for one that is not submitted yet. */
static void end_transfers(struct world *w)
{
    for (uint32_t i = 0; i < 64; i++)
        w->platform.pump(w->platform.context);
}

/* Frames are taken until none is left but by writing, and the first write fails. */
static bool fail_first_write(uint32_t moment)
{
    struct machine *m = (open_world(), the_world.m);
    struct call c = machine_call(m);
    uint64_t va = HERE;
    while (frames_available(&c) != 0)
        must_write(m, va += PAGE, 1);
    must_finish_transfers(m);
    if (frames_available(&c) != 0)
        must_write(m, va += PAGE, 1);
    must_fail_disk(m, the_world.device, NTMM_IO_WRITE, 1, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    bool has_come = write_at_moment(va + PAGE, end_transfers, moment);
    must_fail_disk(m, the_world.device, NTMM_IO_WRITE, 0, 0, 0, 0);
    close_world();
    return has_come;
}

static void a_write_that_fails(void **state)
{
    uint32_t moment = 1;
    (void)state;
    while (fail_first_write(moment))
        moment++;
    print_message("%u moments\n", (unsigned)moment - 1);
    assert_in_range(moment, 20, MOMENTS_MOST);
}

/* --- slots that come free --- */

static void free_slots(struct world *w) { must_decommit(w->m, OUT, OUT_PAGES * PAGE); }

/* Memory is full of modified pages, and the page file is full too. */
static uint64_t open_full_world(void)
{
    struct machine *m = (open_world(), the_world.m);
    must_fill(m, OUT, OUT_PAGES * PAGE);
    return fill(m);
}

static bool free_slots_at(uint32_t moment)
{
    uint64_t va = open_full_world();
    bool has_come = write_at_moment(va, free_slots, moment);
    close_world();
    return has_come;
}

static void slots_that_come_free(void **state)
{
    uint32_t moment = 1;
    (void)state;
    while (free_slots_at(moment))
        moment++;
    print_message("%u moments\n", (unsigned)moment - 1);
    assert_in_range(moment, 20, MOMENTS_MOST);
}

static ntmm_status begin(uint64_t va, struct ntmm_wait *wait)
{
    const struct ntmm_fault_request request = {
        .process = the_world.m->process, .address = va, .error_code = NTMM_FAULT_WRITE};
    return ntmm_fault_begin(the_world.m->system, &request, wait, &the_world.m->fault);
}

static void slots_wake_who_sleeps(void **state)
{
    struct ntmm_wait wait = {0};
    (void)state;
    uint64_t va = open_full_world();
    assert_int_equal(begin(va, &wait), NTMM_STATUS_PENDING);
    assert_false(wait_is_woken(&wait));
    free_slots(&the_world);
    assert_true(wait_is_woken(&wait));
    assert_int_equal(begin(va, &wait), NTMM_STATUS_PENDING);
    must_finish_transfers(the_world.m);
    assert_int_equal(begin(va, &wait), NTMM_STATUS_SUCCESS);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails),
        cmocka_unit_test(slots_that_come_free),
        cmocka_unit_test(slots_wake_who_sleeps),
    };
    return cmocka_run_group_tests_name("lost_wakes", tests, NULL, NULL);
}
