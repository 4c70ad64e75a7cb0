/*
 * The sweep over a working set: what passes do to ages, accessed bits, pages and tables.
 *
 *   before   A A A A A A A A      a region of 8 pages: A accessed, 0..7 its age, t in transition
 *   aging    0 0 0 0 0 0 0 0      accessed bits cleared, their translations withdrawn
 *   aging    1 1 1 1 1 1 1 1
 *   use      1 1 1 1 1 A 1 1
 *   trimming t t t t t A t t      from age 1
 *
 * Expectations are written from core/space/wsl.h and docs/paging.md.
 */
#include "space/wsl.h"
#include "unit/storage.h"

#define PAGES 8u
#define REGION_SIZE (PAGES * PAGE)
#define EVERYTHING UINT64_MAX

/* One pass from where the hand is. */
static struct wsl_pass sweep(struct machine *m, uint64_t examine, uint64_t trim, uint32_t trim_age)
{
    struct call c = machine_call(m);
    struct process *process = machine_object(m);
    struct wsl_pass pass = {.examine = examine, .trim = trim, .trim_age = trim_age};
    working_set_acquire(&c, process);
    wsl_sweep(&c, process, &pass);
    process_unlock_working_set(&c, process);
    return pass;
}

/* Passes over the whole space from its beginning, their results added up. */
static struct wsl_pass sweep_all(struct machine *m, uint32_t trim_age)
{
    struct wsl_pass sum = {0};
    set64(&machine_object(m)->hand, 0);
    while (!sum.wrapped) {
        struct wsl_pass pass = sweep(m, EVERYTHING, EVERYTHING, trim_age);
        sum.examined += pass.examined;
        sum.accessed += pass.accessed;
        sum.trimmed += pass.trimmed;
        sum.tables += pass.tables;
        for (uint32_t i = 0; i <= WSL_AGE_MAX; i++)
            sum.ages[i] += pass.ages[i];
        sum.wrapped = pass.wrapped;
    }
    return sum;
}

static struct wsl_pass age(struct machine *m) { return sweep_all(m, WSL_AGE_NONE); }

/* The hand at a page of the region. */
static void set_hand(struct machine *m, uint32_t page)
{
    set64(&machine_object(m)->hand, (BASE >> NTMM_PAGE_SHIFT) + page);
}

static void expect_hand(struct machine *m, uint32_t page)
{
    assert_int_equal(get64(&machine_object(m)->hand), (BASE >> NTMM_PAGE_SHIFT) + page);
}

static uint64_t page_age(struct machine *m, uint32_t page)
{
    uint64_t raw = get64(machine_entry(m, BASE + page * PAGE, 1));
    assert_true(raw & FIELD_MASK(HW_VALID));
    return field_get(raw, HW_AGE);
}

static bool is_valid(struct machine *m, uint32_t page)
{
    return get64(machine_entry(m, BASE + page * PAGE, 1)) & FIELD_MASK(HW_VALID);
}

static bool is_accessed(struct machine *m, uint32_t page)
{
    return get64(machine_entry(m, BASE + page * PAGE, 1)) & FIELD_MASK(HW_ACCESSED);
}

/* A region of PAGES written pages. */
static struct machine *open_filled(void)
{
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, REGION_SIZE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, REGION_SIZE);
    return m;
}

static void a_pass_clears_accessed_and_ages_what_was_not(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    struct wsl_pass pass = age(m);
    assert_int_equal(pass.examined, PAGES);
    assert_int_equal(pass.accessed, PAGES);
    assert_int_equal(pass.trimmed, 0);
    for (uint32_t page = 0; page < PAGES; page++) {
        assert_int_equal(page_age(m, page), 0);
        assert_false(is_accessed(m, page));
    }
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_AGED), 0);
    pass = age(m);
    assert_int_equal(pass.accessed, 0);
    assert_int_equal(pass.ages[0], 0);
    assert_int_equal(pass.ages[1], PAGES);
    assert_int_equal(page_age(m, 3), 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_AGED), PAGES);
    machine_close(m);
}

static void an_age_ends_at_seven(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    for (uint32_t i = 0; i < 1 + WSL_AGE_MAX; i++)
        (void)age(m);
    assert_int_equal(page_age(m, 0), 7);
    (void)age(m);
    assert_int_equal(page_age(m, 0), 7);
    machine_assert_sound(m);
    machine_close(m);
}

/* The processor's TLB still knows the page after the first access: only a shootdown makes it set
 * the bit in the entry again. */
static void a_page_used_after_a_pass_is_found_accessed(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)age(m);
    (void)age(m);
    assert_int_equal(must_read(m, BASE + 2 * PAGE), BASE + 2 * PAGE);
    assert_true(is_accessed(m, 2));
    struct wsl_pass pass = age(m);
    assert_int_equal(pass.accessed, 1);
    assert_int_equal(page_age(m, 2), 0);
    assert_int_equal(page_age(m, 3), 2);
    machine_close(m);
}

static void a_pass_that_clears_nothing_shoots_nothing_down(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)age(m);
    uint64_t rounds = machine_counter(m, NTMM_COUNTER_INVALIDATIONS);
    (void)age(m);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_INVALIDATIONS), rounds);
    machine_close(m);
}

static void one_pass_is_one_shootdown(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t rounds = machine_counter(m, NTMM_COUNTER_INVALIDATIONS);
    set_hand(m, 0);
    assert_int_equal(sweep(m, EVERYTHING, EVERYTHING, 0).trimmed, PAGES);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_INVALIDATIONS), rounds + 1);
    machine_close(m);
}

static void the_hot_page_stays(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)age(m);
    (void)age(m);
    (void)must_read(m, BASE + 5 * PAGE);
    struct wsl_pass pass = sweep_all(m, 1);
    assert_int_equal(pass.trimmed, PAGES - 1);
    assert_int_equal(pass.accessed, 1);
    assert_true(is_accessed(m, 5));
    assert_int_equal(page_age(m, 5), 1);
    for (uint32_t page = 0; page < PAGES; page++)
        assert_int_equal(is_valid(m, page), page == 5);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    assert_int_equal(machine_memory(m).modified_pages, PAGES - 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), PAGES - 1);
    machine_assert_sound(m);
    must_hold(m, BASE, REGION_SIZE);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TRANSITION_FAULTS), PAGES - 1);
    assert_int_equal(machine_process(m).working_set_pages, PAGES);
    machine_close(m);
}

static void a_threshold_is_met_at_its_age_and_not_before(void **state)
{
    (void)state;
    for (uint32_t threshold = 1; threshold <= WSL_AGE_MAX; threshold++) {
        struct machine *m = open_filled();
        for (uint32_t i = 0; i < threshold; i++) {
            (void)age(m);
            assert_int_equal(sweep_all(m, threshold).trimmed, 0);
        }
        (void)age(m);
        assert_int_equal(page_age(m, 0), threshold);
        assert_int_equal(sweep_all(m, threshold).trimmed, PAGES);
        machine_close(m);
    }
}

static void threshold_0_takes_what_is_accessed_too(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    assert_int_equal(sweep_all(m, 0).trimmed, PAGES);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    machine_assert_sound(m);
    must_hold(m, BASE, REGION_SIZE);
    machine_close(m);
}

/* before   A A A A A A A A   hand at 0
 * pass     0 0 0 A A A A A   hand at 3 */
static void a_pass_looks_at_no_more_than_it_may(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    set_hand(m, 0);
    struct wsl_pass pass = sweep(m, 3, EVERYTHING, WSL_AGE_NONE);
    assert_int_equal(pass.examined, 3);
    assert_int_equal(pass.wrapped, 0);
    assert_false(is_accessed(m, 2));
    assert_true(is_accessed(m, 3));
    expect_hand(m, 3);
    uint64_t examined = 0;
    while (!pass.wrapped) {
        pass = sweep(m, EVERYTHING, EVERYTHING, WSL_AGE_NONE);
        examined += pass.examined;
    }
    assert_int_equal(examined, PAGES - 3);
    assert_int_equal(get64(&machine_object(m)->hand), 0);
    machine_close(m);
}

static void a_pass_trims_no_more_than_it_may(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    set_hand(m, 0);
    struct wsl_pass pass = sweep(m, EVERYTHING, 2, 0);
    assert_int_equal(pass.trimmed, 2);
    assert_int_equal(pass.wrapped, 0);
    expect_hand(m, 2);
    assert_false(is_valid(m, 1));
    assert_true(is_valid(m, 2));
    machine_assert_sound(m);
    machine_close(m);
}

static void trimming_none_trims_none(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    set_hand(m, 0);
    assert_int_equal(sweep(m, EVERYTHING, 0, 0).trimmed, 0);
    assert_int_equal(machine_process(m).working_set_pages, PAGES);
    machine_close(m);
}

/* Nearly empty tables, far apart, are found in a few steps each, and passes that may look at one
 * entry only still come to the end. */
static void a_sparse_space_is_passed_over(void **state)
{
    static const uint64_t far[] = {BASE, 3 * GIB, 600 * GIB, 0x7000 * GIB / 4};
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < 4; i++) {
        must_allocate(m, far[i], PAGE, NTMM_PAGE_READWRITE);
        must_write(m, far[i], far[i]);
    }
    assert_int_equal(age(m).examined, 4);
    uint32_t calls = 0, examined = 0, wrapped = 0;
    set64(&machine_object(m)->hand, 0);
    for (; !wrapped; calls++) {
        struct wsl_pass pass = sweep(m, 1, EVERYTHING, WSL_AGE_NONE);
        examined += (uint32_t)pass.examined;
        wrapped = pass.wrapped;
    }
    assert_int_equal(examined, 4);
    assert_true(calls >= 4);
    assert_true(calls < 32);
    machine_close(m);
}

static void an_empty_space_is_at_its_end_at_once(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct wsl_pass pass = sweep(m, 512, EVERYTHING, 0);
    assert_int_equal(pass.examined, 0);
    assert_int_equal(pass.wrapped, 1);
    machine_close(m);
}

static void a_trimmed_page_keeps_its_protection(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    (void)must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(sweep_all(m, 0).trimmed, PAGES);
    machine_assert_sound(m);
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_execute(m, BASE), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_execute(m, BASE + PAGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_READONLY);
    must_hold(m, BASE, REGION_SIZE);
    machine_close(m);
}

/* A page that its slot still holds goes to standby; one that was written to since does not. */
static void the_list_is_that_of_the_dirty_bit(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)must_add_file(m, MIB, 0, NULL);
    (void)sweep_all(m, 0);
    assert_int_equal(must_write_modified(m, EVERYTHING), PAGES);
    must_finish_transfers(m);
    must_hold(m, BASE, REGION_SIZE);
    must_write(m, BASE + PAGE, 7);
    assert_int_equal(sweep_all(m, 0).trimmed, PAGES);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(machine_location(m, BASE + PAGE), NTMM_FRAME_MODIFIED);
    assert_int_equal(machine_memory(m).modified_pages, 1);
    machine_assert_sound(m);
    must_release(m, BASE, 0);
    machine_close(m);
}

/* Fill memory with another region until nothing of the first one is in it. */
static void push_out(struct machine *m, uint64_t base)
{
    uint64_t size = 6 * MIB; /* of 4 MiB of RAM */
    must_allocate(m, base, size, NTMM_PAGE_READWRITE);
    must_fill(m, base, size);
    must_fill(m, base, size);
}

static bool is_table_out(struct machine *m, uint64_t va)
{
    struct call c = machine_call(m);
    return table_find(&c, machine_object(m), va >> NTMM_PAGE_SHIFT).is_out;
}

static void a_table_with_nothing_in_memory_goes_and_comes_back(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)must_add_file(m, 16 * MIB, 0, NULL);
    push_out(m, GIB);
    must_finish_transfers(m);
    (void)sweep_all(m, WSL_AGE_MAX);
    uint64_t out = get64(&machine_object(m)->tables_out);
    assert_true(out >= 1);
    assert_true(machine_counter(m, NTMM_COUNTER_TABLES_TRIMMED) >= out);
    assert_true(is_table_out(m, BASE));
    machine_assert_sound(m);
    must_hold(m, BASE, REGION_SIZE);
    assert_false(is_table_out(m, BASE));
    must_hold(m, GIB, 6 * MIB);
    machine_assert_sound(m);
    must_release(m, BASE, 0);
    must_release(m, GIB, 0);
    assert_int_equal(get64(&machine_object(m)->tables_out), 0);
    machine_close(m);
}

static void aging_leaves_tables_alone(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    (void)must_add_file(m, 16 * MIB, 0, NULL);
    push_out(m, GIB);
    must_finish_transfers(m);
    uint64_t trimmed = machine_counter(m, NTMM_COUNTER_TABLES_TRIMMED);
    assert_int_equal(age(m).tables, 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_TRIMMED), trimmed);
    must_release(m, BASE, 0);
    must_release(m, GIB, 0);
    machine_close(m);
}

static void record_trim(void *context, const struct ntmm_event *event)
{
    struct ntmm_event *last = context;
    assert_int_equal(event->kind, NTMM_EVENT_TRIM);
    *last = *event;
}

static void a_trim_is_an_event(void **state)
{
    struct ntmm_event last = {0};
    (void)state;
    struct machine *m = open_filled();
    ntmm_emulated_set_event(m->emu, record_trim, &last);
    ntmm_set_event_mask(m->system, 1u << NTMM_EVENT_TRIM);
    (void)age(m);
    assert_int_equal(last.process, 0);
    set_hand(m, 0);
    (void)sweep(m, EVERYTHING, 3, 0);
    assert_int_equal(last.process, (uint32_t)m->process);
    assert_int_equal(last.a, 3);
    assert_int_equal(last.b, PAGES - 3);
    ntmm_set_event_mask(m->system, 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_clears_accessed_and_ages_what_was_not),
        cmocka_unit_test(an_age_ends_at_seven),
        cmocka_unit_test(a_page_used_after_a_pass_is_found_accessed),
        cmocka_unit_test(a_pass_that_clears_nothing_shoots_nothing_down),
        cmocka_unit_test(one_pass_is_one_shootdown),
        cmocka_unit_test(the_hot_page_stays),
        cmocka_unit_test(a_threshold_is_met_at_its_age_and_not_before),
        cmocka_unit_test(threshold_0_takes_what_is_accessed_too),
        cmocka_unit_test(a_pass_looks_at_no_more_than_it_may),
        cmocka_unit_test(a_pass_trims_no_more_than_it_may),
        cmocka_unit_test(trimming_none_trims_none),
        cmocka_unit_test(a_sparse_space_is_passed_over),
        cmocka_unit_test(an_empty_space_is_at_its_end_at_once),
        cmocka_unit_test(a_trimmed_page_keeps_its_protection),
        cmocka_unit_test(the_list_is_that_of_the_dirty_bit),
        cmocka_unit_test(a_table_with_nothing_in_memory_goes_and_comes_back),
        cmocka_unit_test(aging_leaves_tables_alone),
        cmocka_unit_test(a_trim_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
