/*
 * An unmap with TRANSIENT_BOOST keeps the pages that nobody maps any more at a higher priority on
 * standby, for once. Expectations: nt_semantics 4.6, and docs/fidelity.md for how far.
 */
#include "section_world.h"

#include <ntmm/query.h>

#define PAGES 8u

struct fixture {
    struct world w;
    ntmm_handle first, second, file, section;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_pair_world(&f->w, &f->first, &f->second);
    f->file = make_file(&f->w, PAGES * PAGE);
    f->section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->file);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_section(&f->w, f->section);
    close_file(&f->w, f->file);
    end_pair_world(&f->w, f->first, f->second);
    free(f);
    return 0;
}

static void touch(struct fixture *f, uint32_t cpu, uint64_t base, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) {
        uint8_t byte;
        check_ok(ntmm_emulated_load(f->w.emu, cpu, base + i * PAGE, &byte, 1, NULL, NULL));
        assert_int_equal(byte, pattern(i * PAGE));
    }
}

static void unmap_boosted(struct fixture *f, ntmm_handle process, uint64_t base)
{
    check_ok(ntmm_unmap_view_of_section(f->w.system, process, base,
                                        NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST));
    check_world(&f->w);
}

static uint64_t on_standby(struct fixture *f, uint32_t priority)
{
    struct ntmm_memory_information m;
    ntmm_query_memory(f->w.system, &m);
    return m.standby_pages[priority];
}

static uint64_t priority_of(struct fixture *f, ntmm_handle process, uint64_t va)
{
    struct ntmm_memory_page_information page = {.virtual_address = va};
    check_ok(ntmm_query_virtual_memory_class(f->w.system, process, 0, 4, &page, sizeof page, NULL));
    return page.attributes >> NTMM_PAGE_STATE_PRIORITY_SHIFT & 7;
}

static void pages_stand_higher_until_they_are_used(void **state)
{
    struct fixture *f = *state;
    uint64_t base = map(&f->w, f->section, f->first, NTMM_PAGE_READONLY);
    touch(f, 0, base, PAGES);
    assert_int_equal(priority_of(f, f->first, base), 5);
    unmap_boosted(f, f->first, base);
    assert_int_equal(on_standby(f, 6), PAGES);
    assert_int_equal(on_standby(f, 5), 0);
    base = map(&f->w, f->section, f->first, NTMM_PAGE_READONLY);
    touch(f, 0, base, 3);
    assert_int_equal(priority_of(f, f->first, base), 5);
    assert_int_equal(on_standby(f, 6), PAGES - 3);
    unmap_boosted(f, f->first, base); /* a second time raises no higher */
    assert_int_equal(on_standby(f, 6), PAGES);
    base = map(&f->w, f->section, f->first, NTMM_PAGE_READONLY);
    touch(f, 0, base, PAGES);
    unmap(&f->w, f->first, base);
    assert_int_equal(on_standby(f, 5), PAGES);
    check_world(&f->w);
}

/* The one who unmaps last decides. */
static void pages_that_others_map_are_not_raised(void **state)
{
    struct fixture *f = *state;
    uint64_t a = map(&f->w, f->section, f->first, NTMM_PAGE_READONLY);
    uint64_t b = map(&f->w, f->section, f->second, NTMM_PAGE_READONLY);
    touch(f, 0, a, PAGES);
    touch(f, 1, b, 5);
    unmap_boosted(f, f->first, a);
    assert_int_equal(on_standby(f, 6), PAGES - 5);
    assert_int_equal(priority_of(f, f->second, b), 5);
    unmap(&f->w, f->second, b);
    assert_int_equal(on_standby(f, 6), PAGES - 5);
    assert_int_equal(on_standby(f, 5), 5);
    check_world(&f->w);
}

/* Written first; they come to standby where they were to stand. */
static void modified_pages_are_raised_too(void **state)
{
    struct fixture *f = *state;
    uint64_t base = map(&f->w, f->section, f->first, NTMM_PAGE_READWRITE);
    uint8_t byte = 1;
    check_ok(ntmm_emulated_store(f->w.emu, 0, base + PAGE, &byte, 1, NULL, NULL));
    unmap_boosted(f, f->first, base);
    check_ok(ntmm_flush_file(f->w.system, f->file, 0, 0));
    check_world(&f->w);
    assert_true(on_standby(f, 6) >= 1);
    assert_int_equal(ntmm_purge_file(f->w.system, f->file), NTMM_STATUS_SUCCESS);
    assert_int_equal(on_standby(f, 6), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(pages_stand_higher_until_they_are_used),
        TEST(pages_that_others_map_are_not_raised),
        TEST(modified_pages_are_raised_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
