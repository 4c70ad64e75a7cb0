/*
 * Low and high memory, low, high and maximum commit: levels, thresholds, and the event.
 *
 *   available frames   16 low      64 high
 *   -------------------|-----------|--------->
 *        LOW                 HIGH
 *
 * Expectations are written from <ntmm/statistics.h> and the fact sheet, 3.12 and 25.
 */
#include "unit/storage.h"

#include <ntmm/statistics.h>

#define RECORDS 64u

static bool holds(struct machine *m, uint32_t condition)
{
    bool is_signalled = false;
    assert_int_equal(ntmm_query_memory_condition(m->system, condition, &is_signalled),
                     NTMM_STATUS_SUCCESS);
    return is_signalled;
}

static uint64_t available(struct machine *m)
{
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t pages = memory.zeroed_pages + memory.free_pages;
    for (uint32_t i = 0; i < 8; i++)
        pages += memory.standby_pages[i];
    return pages;
}

static struct machine *open_with(uint64_t low, uint64_t high, uint64_t extra_commit)
{
    struct machine_setup setup = {.core = {.low_memory_pages = low,
                                           .high_memory_pages = high,
                                           .extra_commit_pages = extra_commit}};
    return machine_open(&setup);
}

/* Touch fresh pages until so many frames are available. */
static void use_memory(struct machine *m, uint64_t until)
{
    uint64_t va = BASE;
    must_allocate(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    for (; available(m) > until; va += PAGE)
        must_write(m, va, 1);
    assert_int_equal(available(m), until);
}

static void the_query_checks_what_it_is_given(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    bool is_signalled = true;
    assert_int_equal(ntmm_query_memory_condition(m->system, 5, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_query_memory_condition(m->system, UINT32_MAX, &is_signalled),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_query_memory_condition(m->system, 0, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    assert_true(is_signalled);
    machine_close(m);
}

static void between_the_thresholds_neither_holds(void **state)
{
    (void)state;
    struct machine *m = open_with(16, 64, 4096);
    assert_true(holds(m, NTMM_HIGH_MEMORY_CONDITION));
    assert_false(holds(m, NTMM_LOW_MEMORY_CONDITION));
    use_memory(m, 64);
    assert_true(holds(m, NTMM_HIGH_MEMORY_CONDITION));
    must_write(m, BASE + 1000 * PAGE, 1);
    assert_false(holds(m, NTMM_HIGH_MEMORY_CONDITION));
    assert_false(holds(m, NTMM_LOW_MEMORY_CONDITION));
    for (uint64_t va = BASE + 950 * PAGE; available(m) > 17; va += PAGE)
        must_write(m, va, 1);
    assert_false(holds(m, NTMM_LOW_MEMORY_CONDITION));
    must_write(m, BASE + 1001 * PAGE, 1);
    assert_int_equal(available(m), 16);
    assert_true(holds(m, NTMM_LOW_MEMORY_CONDITION));
    must_release(m, BASE, 1024 * PAGE);
    assert_false(holds(m, NTMM_LOW_MEMORY_CONDITION));
    assert_true(holds(m, NTMM_HIGH_MEMORY_CONDITION));
    machine_close(m);
}

/* Standby pages are available. */
static void what_can_be_taken_counts(void **state)
{
    (void)state;
    struct machine *m = open_with(500, 600, 4096);
    must_add_file(m, 4 * MIB, 0, NULL);
    use_memory(m, 500);
    assert_true(holds(m, NTMM_LOW_MEMORY_CONDITION));
    must_trim(m, BASE, 100 * PAGE);
    assert_true(holds(m, NTMM_LOW_MEMORY_CONDITION)); /* modified */
    must_write_modified(m, 100);
    must_finish_transfers(m);
    assert_true(holds(m, NTMM_HIGH_MEMORY_CONDITION)); /* standby */
    machine_close(m);
}

static void the_thresholds_default_to_nts(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL); /* 4 MiB: 1024 frames */
    assert_int_equal(get64(&machine_anchor(m)->low_memory_pages), 8);
    assert_int_equal(get64(&machine_anchor(m)->high_memory_pages), 24);
    machine_close(m);
    struct machine_setup setup = {.core = {.high_memory_pages = 100}};
    m = machine_open(&setup);
    assert_int_equal(get64(&machine_anchor(m)->low_memory_pages), 8);
    assert_int_equal(get64(&machine_anchor(m)->high_memory_pages), 100);
    machine_close(m);
    m = open_with(1000, 0, 0);
    assert_int_equal(get64(&machine_anchor(m)->high_memory_pages), 3000);
    machine_close(m);
}

static void a_high_threshold_below_the_low_one_is_refused(void **state)
{
    struct ntmm_emulated_config hardware = {
        .size = sizeof hardware, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = 4 * MIB};
    struct ntmm_config core = {.size = sizeof core,
                               .version = NTMM_CONFIG_VERSION,
                               .low_memory_pages = 100,
                               .high_memory_pages = 99};
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    (void)state;
    assert_int_equal(ntmm_emulated_create(&hardware, &emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_create_system(emu, &core, &system),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    ntmm_emulated_destroy(emu, NULL);
}

/* Commit on from *end until the charge is so many pages; the tables are there. */
static void commit_to(struct machine *m, uint64_t *end, uint64_t charge)
{
    uint64_t now = machine_memory(m).commit_pages;
    assert_true(now < charge);
    must_commit(m, *end, (charge - now) * PAGE, NTMM_PAGE_READWRITE);
    *end += (charge - now) * PAGE;
    assert_int_equal(machine_memory(m).commit_pages, charge);
}

static void commit_is_low_high_or_neither(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    uint64_t low = limit * 3 / 4, high = (limit * 9 + 9) / 10;
    uint64_t end = BASE + PAGE;
    must_reserve(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, BASE + 1023 * PAGE, PAGE, NTMM_PAGE_READWRITE);
    commit_to(m, &end, low);
    assert_true(holds(m, NTMM_LOW_COMMIT_CONDITION));
    commit_to(m, &end, low + 1);
    assert_false(holds(m, NTMM_LOW_COMMIT_CONDITION));
    commit_to(m, &end, high - 1);
    assert_false(holds(m, NTMM_HIGH_COMMIT_CONDITION));
    commit_to(m, &end, high);
    assert_true(holds(m, NTMM_HIGH_COMMIT_CONDITION));
    assert_true(holds(m, NTMM_MAXIMUM_COMMIT_CONDITION)); /* no page file can grow */
    machine_close(m);
}

static void maximum_commit_counts_what_page_files_can_grow_by(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 2 * MIB, NULL);
    struct partition *partition = machine_partition(m);
    assert_int_equal(get64(&partition->commit_growth), 256);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    uint64_t reserved = (limit + 256) * PAGE;
    must_reserve(m, BASE, (reserved + KIB64) & ~(KIB64 - 1), NTMM_PAGE_READWRITE);
    uint64_t now = machine_memory(m).commit_pages;
    must_commit(m, BASE, (limit * 9 / 10 + 2 - now) * PAGE, NTMM_PAGE_READWRITE);
    assert_true(holds(m, NTMM_HIGH_COMMIT_CONDITION));
    assert_false(holds(m, NTMM_MAXIMUM_COMMIT_CONDITION));
    /* beyond the limit: the file grows, all the way when so much is missing */
    now = machine_memory(m).commit_pages;
    must_commit(m, BASE + (limit - 20) * PAGE, 256 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(must_query_file(m, 0).size_pages + get64(&partition->commit_growth), 512);
    uint64_t charge = machine_memory(m).commit_pages;
    uint64_t most = machine_memory(m).commit_limit_pages + get64(&partition->commit_growth);
    assert_int_equal(holds(m, NTMM_MAXIMUM_COMMIT_CONDITION), charge * 10 >= most * 9);
    assert_true(holds(m, NTMM_MAXIMUM_COMMIT_CONDITION));
    machine_close(m);
}

/* --- the event --- */

struct recorder {
    struct ntmm_event records[RECORDS];
    uint32_t count;
};

static void record(void *context, const struct ntmm_event *event)
{
    struct recorder *r = context;
    assert_true(r->count < RECORDS);
    r->records[r->count++] = *event;
}

static uint32_t bits(enum ntmm_memory_condition a, enum ntmm_memory_condition b)
{
    return 1u << a | 1u << b;
}

static void assert_event(const struct ntmm_event *event, uint32_t now, uint32_t before)
{
    assert_int_equal(event->kind, NTMM_EVENT_MEMORY_CONDITION);
    assert_int_equal(event->process, 0); /* of the system */
    assert_int_equal(event->a, now);
    assert_int_equal(event->b, before);
    assert_int_equal(event->detail, now ^ before);
}

static void each_change_is_told_once(void **state)
{
    struct recorder r = {.count = 0};
    const uint32_t plenty = bits(NTMM_HIGH_MEMORY_CONDITION, NTMM_LOW_COMMIT_CONDITION);
    const uint32_t some = 1u << NTMM_LOW_COMMIT_CONDITION;
    const uint32_t few = bits(NTMM_LOW_MEMORY_CONDITION, NTMM_LOW_COMMIT_CONDITION);
    (void)state;
    struct machine *m = open_with(16, 64, 8192);
    ntmm_emulated_set_event(m->emu, record, &r);
    ntmm_set_event_mask(m->system, 1u << NTMM_EVENT_MEMORY_CONDITION);
    assert_int_equal(r.count, 1); /* what holds already */
    assert_event(&r.records[0], plenty, 0);
    use_memory(m, 10);
    assert_int_equal(r.count, 3);
    assert_event(&r.records[1], some, plenty);
    assert_event(&r.records[2], few, some);
    must_release(m, BASE, 1024 * PAGE);
    assert_event(&r.records[r.count - 1], plenty, r.count == 4 ? few : some);
    uint32_t count = r.count;
    ntmm_set_event_mask(m->system, 0);
    use_memory(m, 10);
    assert_int_equal(r.count, count);
    must_release(m, BASE, 1024 * PAGE);
    machine_close(m);
}

static void a_charge_changes_conditions_too(void **state)
{
    struct recorder r = {.count = 0};
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    ntmm_emulated_set_event(m->emu, record, &r);
    ntmm_set_event_mask(m->system, 1u << NTMM_EVENT_MEMORY_CONDITION);
    must_reserve(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, BASE, (limit - 40) * PAGE, NTMM_PAGE_READWRITE);
    const uint32_t high = 1u << NTMM_HIGH_MEMORY_CONDITION;
    assert_event(&r.records[r.count - 1],
                 high | bits(NTMM_HIGH_COMMIT_CONDITION, NTMM_MAXIMUM_COMMIT_CONDITION),
                 high | 1u << NTMM_LOW_COMMIT_CONDITION);
    must_release(m, BASE, 1024 * PAGE);
    assert_event(&r.records[r.count - 1], high | 1u << NTMM_LOW_COMMIT_CONDITION,
                 high | bits(NTMM_HIGH_COMMIT_CONDITION, NTMM_MAXIMUM_COMMIT_CONDITION));
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_checks_what_it_is_given),
        cmocka_unit_test(between_the_thresholds_neither_holds),
        cmocka_unit_test(what_can_be_taken_counts),
        cmocka_unit_test(the_thresholds_default_to_nts),
        cmocka_unit_test(a_high_threshold_below_the_low_one_is_refused),
        cmocka_unit_test(commit_is_low_high_or_neither),
        cmocka_unit_test(maximum_commit_counts_what_page_files_can_grow_by),
        cmocka_unit_test(each_change_is_told_once),
        cmocka_unit_test(a_charge_changes_conditions_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
