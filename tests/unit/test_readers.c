/*
 * (W) shared (space/readers.h): the same answers, pages and counts as alone. Expectations:
 * readers.h, and what the door does without readers.
 */
#include "unit/machine.h"

#include "space/readers.h"
#include "unit/storage.h"

#include <ntmm/statistics.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#define FILLER (BASE + 64 * MIB)

static void share(struct machine *m)
{
    set32(&machine_object(m)->calls_until_shared, 1);
    (void)must_query(m, BASE);
    /* a query is such a call, and leaves it shared */
    assert_int_equal(load32_relaxed(&machine_object(m)->working_set_lock), LOCK_SHARED);
}

static bool is_shared(struct machine *m)
{
    return load32_relaxed(&machine_object(m)->working_set_lock) == LOCK_SHARED;
}

/* What readers did and nobody has added yet. */
static uint64_t pending(struct machine *m)
{
    const struct readers *readers = machine_object(m)->readers;
    uint64_t any = 0;
    for (uint32_t i = 0; i < READERS; i++)
        any |= get32(&readers[i].calls) | get32(&readers[i].demand_zero) |
               get32(&readers[i].transition) | get64(&readers[i].made_dirty);
    return any;
}

static struct machine *open_two_tables(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB},
                                        .core = {.extra_commit_pages = 4096}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, 4 * MIB, 0, NULL);
    must_allocate(m, BASE, 4 * MIB, NTMM_PAGE_READWRITE);
    must_allocate(m, FILLER, 8 * MIB, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1); /* the first table */
    return m;
}

/* Runs a step on two machines, on one of them shared; both count and say the same. */
static void same_with_and_without(void (*prepare)(struct machine *), void (*step)(struct machine *),
                                  bool stays_shared)
{
    struct machine *one = open_two_tables();
    struct machine *two = open_two_tables();
    if (prepare) {
        prepare(one);
        prepare(two);
    }
    (void)must_query(one, BASE);
    share(two);
    step(one);
    step(two);
    assert_int_equal(is_shared(two), stays_shared);
    if (stays_shared)
        assert_true(pending(two) != 0);
    machine_assert_sound(two);
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++)
        assert_int_equal(machine_counter(one, (enum ntmm_counter)i),
                         machine_counter(two, (enum ntmm_counter)i));
    struct ntmm_process_information a = machine_process(one), b = machine_process(two);
    assert_int_equal(a.working_set_pages, b.working_set_pages);
    assert_int_equal(a.peak_working_set_pages, b.peak_working_set_pages);
    assert_int_equal(pending(two), 0); /* who counted wanted (W) for himself */
    machine_assert_sound(two);
    machine_close(one);
    machine_close(two);
}

static void touch_new(struct machine *m)
{
    for (uint64_t i = 1; i < 20; i++)
        must_write(m, BASE + i * PAGE, i);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(must_read(m, BASE + 30 * PAGE), 0);
    for (uint64_t i = 1; i < 20; i++)
        assert_int_equal(must_read(m, BASE + i * PAGE), i);
}

static void new_pages(void **state)
{
    (void)state;
    same_with_and_without(NULL, touch_new, true);
}

static void trim_ten(struct machine *m)
{
    must_fill(m, BASE, 10 * PAGE);
    must_trim(m, BASE, 10 * PAGE);
    must_write(m, BASE + 100 * PAGE, 1); /* so that the table stays */
}

static void touch_trimmed(struct machine *m)
{
    must_hold(m, BASE, 5 * PAGE);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_TRANSITION);
    for (uint64_t i = 5; i < 10; i++)
        must_write(m, BASE + i * PAGE, BASE + i * PAGE);
    must_hold(m, BASE, 10 * PAGE);
}

static void trimmed_pages(void **state)
{
    (void)state;
    same_with_and_without(trim_ten, touch_trimmed, true);
}

static void clean_ten(struct machine *m)
{
    trim_ten(m);
    (void)must_write_modified(m, 1000);
    must_finish_transfers(m);
    must_hold(m, BASE, 10 * PAGE); /* clean, with slots */
}

static void write_clean(struct machine *m)
{
    for (uint64_t i = 0; i < 10; i++)
        must_write(m, BASE + i * PAGE, 77);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_MAKE_DIRTY);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(must_read(m, BASE + i * PAGE), 77);
}

static void clean_pages(void **state)
{
    (void)state;
    same_with_and_without(clean_ten, write_clean, true);
}

/* --- what is not so simple is done alone --- */

static void touch_other_table(struct machine *m) { must_write(m, BASE + 3 * MIB, 1); }

static void missing_tables(void **state)
{
    (void)state;
    same_with_and_without(NULL, touch_other_table, false);
}

static void make_guard(struct machine *m)
{
    (void)must_protect(m, BASE + 5 * PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    (void)must_protect(m, BASE + 6 * PAGE, PAGE, NTMM_PAGE_READONLY);
    (void)must_protect(m, BASE + 7 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
}

static void touch_guard(struct machine *m)
{
    uint64_t value;
    assert_int_equal(try_read(m, BASE + 5 * PAGE, &value), NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(try_write(m, BASE + 6 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_read(m, BASE + 7 * PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_read(m, 64 * KIB64, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_read(m, UINT64_C(0x7FFFFFFE0000), &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_read(m, BASE + 5 * PAGE), 0);
}

static void refused_accesses(void **state)
{
    (void)state;
    same_with_and_without(make_guard, touch_guard, false);
}

#define OTHER (BASE + 32 * MIB)

/* Each by itself, with (W) shared and the page's table there: the door says what it always says. */
static void accesses_that_bring_no_page(void **state)
{
    static const struct {
        uint64_t va;
        bool is_write;
    } accesses[] = {
        {OTHER + 3 * PAGE, false},       /* reserved */
        {OTHER + 8 * KIB64, false},      /* no region */
        {OTHER + MIB + PAGE, false},     /* decommitted */
        {OTHER + MIB + 2 * PAGE, true},  /* trimmed, read only */
        {OTHER + MIB + 3 * PAGE, false}, /* NOACCESS, never touched */
    };
    (void)state;
    struct machine *m = open_two_tables();
    must_reserve(m, OTHER, 4 * KIB64, NTMM_PAGE_READWRITE);
    must_commit(m, OTHER, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, OTHER, 1);
    must_allocate(m, OTHER + MIB, KIB64, NTMM_PAGE_READWRITE);
    must_decommit(m, OTHER + MIB + PAGE, PAGE);
    must_write(m, OTHER + MIB + 2 * PAGE, 1);
    (void)must_protect(m, OTHER + MIB + 2 * PAGE, PAGE, NTMM_PAGE_READONLY);
    must_trim(m, OTHER + MIB + 2 * PAGE, PAGE);
    (void)must_protect(m, OTHER + MIB + 3 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++) {
        uint64_t va = accesses[i].va, value, pages = machine_process(m).working_set_pages;
        share(m);
        assert_int_equal(accesses[i].is_write ? try_write(m, va, 2) : try_read(m, va, &value),
                         NTMM_STATUS_ACCESS_VIOLATION);
        assert_false(is_shared(m));
        assert_int_equal(machine_process(m).working_set_pages, pages);
    }
    assert_int_equal(must_read(m, OTHER + MIB + 2 * PAGE), 1);
    machine_assert_sound(m);
    machine_close(m);
}

/* The upper half of the root leads to the same tables: still it is nothing of the process's. */
static void addresses_of_the_system(void **state)
{
    const uint64_t upper = UINT64_C(0xFFFF800000000000);
    (void)state;
    struct machine *m = open_two_tables();
    clean_ten(m);
    struct ntmm_fault_request request = {.process = m->process,
                                         .address = upper + BASE,
                                         .error_code = NTMM_FAULT_WRITE | NTMM_FAULT_USER |
                                                       NTMM_FAULT_PRESENT};
    struct call c = machine_call(m);
    le64 *root = table_at(&c, machine_table_frame(m, BASE, 4));
    set64(&root[256], get64(&root[0]));
    share(m);
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(get64(machine_entry(m, BASE, 1)) & FIELD_MASK(HW_DIRTY1), 0);
    set64(&root[256], 0);
    machine_assert_sound(m);
    machine_close(m);
}

/* Whoever keeps a log of faults misses none. */
static void logged_faults(void **state)
{
    (void)state;
    struct machine *m = open_two_tables();
    struct ntmm_working_set_watch log[8];
    uint64_t bytes = 0;
    const struct ntmm_fault_request request = {.process = m->process,
                                               .address = BASE + 9 * PAGE,
                                               .error_code = NTMM_FAULT_WRITE | NTMM_FAULT_USER,
                                               .instruction = 0x1234};
    assert_int_equal(ntmm_set_information_process(m->system, m->process,
                                                  NTMM_PROCESS_WORKING_SET_WATCH, NULL, 0),
                     NTMM_STATUS_SUCCESS);
    share(m);
    assert_int_equal(ntmm_page_fault(m->system, &request, &m->fault), NTMM_STATUS_SUCCESS);
    assert_false(is_shared(m));
    assert_int_equal(ntmm_query_information_process(m->system, m->process,
                                                    NTMM_PROCESS_WORKING_SET_WATCH, log, sizeof log,
                                                    &bytes),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(log[0].faulting_pc, 0x1234);
    machine_close(m);
}

static void send_out(struct machine *m)
{
    trim_ten(m);
    (void)must_write_modified(m, 1000);
    must_finish_transfers(m);
    struct call c = machine_call(m);
    frames_purge_standby(&c, 8);
}

static void touch_out(struct machine *m) { must_hold(m, BASE, 10 * PAGE); }

static void pages_that_are_out(void **state)
{
    (void)state;
    same_with_and_without(send_out, touch_out, false);
}

static void watch(struct machine *m)
{
    uint64_t base = 512 * MIB, size = 16 * PAGE;
    assert_int_equal(
        ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size,
                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
                                     NTMM_PAGE_READWRITE),
        NTMM_STATUS_SUCCESS);
    must_write(m, base, 1);
}

static void write_watched(struct machine *m)
{
    uint64_t addresses[16], count = 16;
    uint32_t granularity;
    must_write(m, 512 * MIB + 3 * PAGE, 1);
    assert_int_equal(ntmm_get_write_watch(m->system, m->process, 0, 512 * MIB, 16 * PAGE, addresses,
                                          &count, &granularity),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 2);
}

static void watched_regions(void **state)
{
    (void)state;
    same_with_and_without(watch, write_watched, false);
}

/* --- races, one step at a time --- */

/* All zeroed frames are used; free ones are left, which are not zero. */
static struct machine *open_without_zeroed(void)
{
    struct machine *m = open_two_tables();
    for (uint64_t va = FILLER; get64(&machine_partition(m)->node.zeroed.count) != 0; va += PAGE)
        must_write(m, va, 1);
    must_release(m, FILLER, 0);
    return m;
}

static struct machine *racing;
static void (*race)(struct machine *m);
static ntmm_status (*zero)(void *context, const uint64_t *frames, uint32_t count);

/* While the fault zeroes its frame, another processor does something. */
static ntmm_status zero_and_race(void *context, const uint64_t *frames, uint32_t count)
{
    struct machine *m = racing;
    racing = NULL;
    if (m)
        race(m);
    return zero(context, frames, count);
}

/* From now on (W) is shared, and something happens while the next frame is zeroed. */
static void begin_race(struct machine *m, void (*other)(struct machine *m))
{
    zero = m->system->platform.zero;
    m->system->platform.zero = zero_and_race;
    share(m);
    race = other;
    racing = m;
}

static void close_race(struct machine *m)
{
    assert_null(racing); /* it took place */
    machine_assert_sound(m);
    m->system->platform.zero = zero;
    machine_close(m);
}

static ntmm_status fault_by_write(struct machine *m, struct ntmm_fault_result *result)
{
    const struct ntmm_fault_request request = {.process = m->process,
                                               .address = BASE + 9 * PAGE,
                                               .error_code = NTMM_FAULT_WRITE | NTMM_FAULT_USER};
    return ntmm_page_fault(m->system, &request, result);
}

static void resolve_the_same(struct machine *m)
{
    struct ntmm_fault_result result;
    assert_int_equal(fault_by_write(m, &result), NTMM_STATUS_SUCCESS);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
}

static void two_bring_the_same_page(void **state)
{
    (void)state;
    struct machine *m = open_without_zeroed();
    uint64_t before = machine_process(m).working_set_pages;
    begin_race(m, resolve_the_same);
    must_write(m, BASE + 9 * PAGE, 4);
    assert_int_equal(must_read(m, BASE + 9 * PAGE), 4);
    assert_int_equal(machine_process(m).working_set_pages, before + 1);
    close_race(m);
}

/* --- a frame is zeroed while (W) is not shared --- */

/* Takes (W) for itself, and would wait for ever. */
static void protect_another(struct machine *m)
{
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
}

static void nobody_waits_for_zeroing(void **state)
{
    (void)state;
    struct machine *m = open_without_zeroed();
    uint64_t faults = machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS);
    uint64_t inline_zeroed = machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_INLINE);
    begin_race(m, protect_another);
    must_write(m, BASE + 9 * PAGE, 4);
    assert_int_equal(must_read(m, BASE + 9 * PAGE), 4);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS), faults + 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_INLINE), inline_zeroed + 1);
    close_race(m);
}

static void release_all(struct machine *m) { must_release(m, BASE, 0); }

static void regions_go_while_zeroing(void **state)
{
    (void)state;
    struct machine *m = open_without_zeroed();
    begin_race(m, release_all);
    assert_int_equal(try_write(m, BASE + 9 * PAGE, 4), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    close_race(m);
}

static void end_it(struct machine *m)
{
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
}

static void processes_go_while_zeroing(void **state)
{
    (void)state;
    struct machine *m = open_without_zeroed();
    begin_race(m, end_it);
    struct ntmm_fault_result result;
    assert_int_equal(fault_by_write(m, &result), NTMM_STATUS_INVALID_HANDLE);
    close_race(m);
}

static uint32_t zeroes_to_fail;

static ntmm_status fail_to_zero(void *context, const uint64_t *frames, uint32_t count)
{
    if (zeroes_to_fail != 0) {
        zeroes_to_fail--;
        return NTMM_STATUS_DEVICE_DATA_ERROR;
    }
    return zero(context, frames, count);
}

/* A frame that cannot be zeroed is bad, and another one is the page's. */
static void frames_that_cannot_be_zeroed(void **state)
{
    (void)state;
    struct machine *m = open_without_zeroed();
    zero = m->system->platform.zero;
    m->system->platform.zero = fail_to_zero;
    share(m);
    zeroes_to_fail = 2;
    must_write(m, BASE + 9 * PAGE, 4);
    assert_int_equal(zeroes_to_fail, 0);
    assert_int_equal(must_read(m, BASE + 9 * PAGE), 4);
    assert_int_equal(get64(&machine_partition(m)->bad.count), 2);
    machine_assert_sound(m);
    m->system->platform.zero = zero;
    machine_close(m);
}

static struct machine *waiting;

static void leave_as_reader(void *context)
{
    (void)context;
    struct readers *readers = machine_object(waiting)->readers;
    if (get32(&readers[2].is_owned))
        store32_release(&readers[2].is_owned, 0);
    else
        (void)add32(&readers[3].guests, ~0u);
}

/* Who wants (W) for himself waits until the last call is gone, an owner or guests. */
static void calls_inside_are_waited_for(void **state)
{
    (void)state;
    for (uint32_t guests = 0; guests <= 2; guests += 2) {
        struct machine *m = open_two_tables();
        void (*relax)(void *) = m->system->platform.relax;
        share(m);
        waiting = m;
        set32(&machine_object(m)->readers[2].is_owned, guests == 0);
        set32(&machine_object(m)->readers[3].guests, guests);
        m->system->platform.relax = leave_as_reader;
        must_release(m, BASE, 0);
        m->system->platform.relax = relax;
        assert_false(is_shared(m));
        assert_int_equal(pending(m), 0);
        assert_int_equal(get32(&machine_object(m)->readers[2].is_owned), 0);
        assert_int_equal(get32(&machine_object(m)->readers[3].guests), 0);
        machine_close(m);
    }
}

static void give_back(void *context)
{
    (void)context;
    store32_release(&machine_object(waiting)->working_set_lock, 0);
}

/* Only a process that somebody waited for is shared; not when too few calls come of it. */
static void sharing_begins_and_ends(void **state)
{
    (void)state;
    struct machine *m = open_two_tables();
    void (*relax)(void *) = m->system->platform.relax;
    for (uint32_t i = 0; i < 100; i++)
        (void)must_query(m, BASE);
    assert_false(is_shared(m));
    waiting = m;
    store32_release(&machine_object(m)->working_set_lock, 1);
    m->system->platform.relax = give_back;
    (void)must_query(m, BASE);
    m->system->platform.relax = relax;
    assert_true(is_shared(m));
    for (uint32_t i = 0; i < 100; i++)
        (void)must_query(m, BASE);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    assert_false(is_shared(m));
    (void)must_query(m, BASE);
    assert_true(is_shared(m)); /* it was worth it */
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 63; i++) {
        (void)must_query(m, BASE);
        assert_false(is_shared(m));
    }
    (void)must_query(m, BASE);
    assert_true(is_shared(m));
    machine_close(m);
}

/* --- guests: calls that come while another of the same number is inside --- */

/* Every call of processor 0 is a guest from now on. */
static void be_guests(struct machine *m) { set32(&machine_object(m)->readers[0].is_owned, 1); }

static void be_guests_no_more(struct machine *m)
{
    store32_release(&machine_object(m)->readers[0].is_owned, 0);
}

static void of_guests(void (*prepare)(struct machine *), void (*step)(struct machine *))
{
    struct machine *one = open_two_tables();
    struct machine *two = open_two_tables();
    if (prepare) {
        prepare(one);
        prepare(two);
    }
    (void)must_query(one, BASE);
    share(two);
    uint64_t before = pending(two); /* the query's call */
    be_guests(two);
    step(one);
    step(two);
    assert_true(is_shared(two));
    assert_int_equal(pending(two), before); /* a guest leaves nothing to add */
    be_guests_no_more(two);
    machine_assert_sound(two);
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++)
        assert_int_equal(machine_counter(one, (enum ntmm_counter)i),
                         machine_counter(two, (enum ntmm_counter)i));
    struct ntmm_process_information a = machine_process(one), b = machine_process(two);
    assert_int_equal(a.working_set_pages, b.working_set_pages);
    assert_int_equal(a.peak_working_set_pages, b.peak_working_set_pages);
    machine_assert_sound(two);
    machine_close(one);
    machine_close(two);
}

static void guests(void **state)
{
    (void)state;
    of_guests(NULL, touch_new);
    of_guests(trim_ten, touch_trimmed);
    of_guests(clean_ten, write_clean);
}

/* --- the hints of readers --- */

/* Pages of two tables and two regions by turns, each with the hints of the other; then both go, and
 * others come in their places. */
static void hints_follow(void **state)
{
    (void)state;
    struct machine *m = open_two_tables();
    must_write(m, BASE + 3 * MIB, 1);
    must_write(m, FILLER, 1);
    share(m);
    for (uint64_t i = 1; i < 50; i++) {
        must_write(m, BASE + i * PAGE, i);
        must_write(m, BASE + 3 * MIB + i * PAGE, i + 100);
        must_write(m, FILLER + i * PAGE, i + 200);
    }
    assert_true(is_shared(m));
    machine_assert_sound(m);
    for (uint64_t i = 1; i < 50; i++) {
        assert_int_equal(must_read(m, BASE + i * PAGE), i);
        assert_int_equal(must_read(m, BASE + 3 * MIB + i * PAGE), i + 100);
        assert_int_equal(must_read(m, FILLER + i * PAGE), i + 200);
    }
    must_release(m, FILLER, 0);
    must_release(m, BASE, 0);
    machine_assert_sound(m);
    must_allocate(m, FILLER, MIB, NTMM_PAGE_READONLY);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 3);
    share(m);
    assert_int_equal(try_write(m, FILLER, 1), NTMM_STATUS_ACCESS_VIOLATION);
    uint64_t value;
    assert_int_equal(try_read(m, BASE + PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_query(m, BASE + PAGE).state, NTMM_MEM_FREE);
    machine_close(m);
}

/* Calls are counted as far as they say whether sharing is worth it. */
static void calls_do_not_overflow(void **state)
{
    (void)state;
    struct machine *m = open_two_tables();
    share(m);
    for (uint32_t i = 0; i < 1000; i++)
        (void)must_query(m, BASE);
    assert_in_range(get32(&machine_object(m)->readers[0].calls), 16, 100);
    machine_close(m);
}

/* A handle of a process that ended gets nothing of the next one in its slot. */
static void old_handles_are_refused(void **state)
{
    (void)state;
    struct machine *m = open_two_tables();
    struct ntmm_memory_basic_information information;
    ntmm_handle old = m->process;
    share(m);
    assert_int_equal(ntmm_end_process(m->system, old), NTMM_STATUS_SUCCESS);
    m->process = machine_add_process(m);
    must_allocate(m, BASE, 4 * MIB, NTMM_PAGE_READWRITE);
    share(m);
    assert_int_equal(ntmm_query_virtual_memory(m->system, old, BASE, &information),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(get32(&machine_object(m)->readers[0].is_owned), 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_pages),
        cmocka_unit_test(trimmed_pages),
        cmocka_unit_test(clean_pages),
        cmocka_unit_test(missing_tables),
        cmocka_unit_test(refused_accesses),
        cmocka_unit_test(accesses_that_bring_no_page),
        cmocka_unit_test(addresses_of_the_system),
        cmocka_unit_test(logged_faults),
        cmocka_unit_test(pages_that_are_out),
        cmocka_unit_test(watched_regions),
        cmocka_unit_test(two_bring_the_same_page),
        cmocka_unit_test(nobody_waits_for_zeroing),
        cmocka_unit_test(regions_go_while_zeroing),
        cmocka_unit_test(processes_go_while_zeroing),
        cmocka_unit_test(frames_that_cannot_be_zeroed),
        cmocka_unit_test(calls_inside_are_waited_for),
        cmocka_unit_test(sharing_begins_and_ends),
        cmocka_unit_test(guests),
        cmocka_unit_test(hints_follow),
        cmocka_unit_test(calls_do_not_overflow),
        cmocka_unit_test(old_handles_are_refused),
    };
    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
