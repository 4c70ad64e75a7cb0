/*
 * Sections backed by page files: sharing, commit, copy on write, protection, and the ends of
 * objects. Expectations: nt_semantics 4, 22.
 */
#include "section_world.h"

#include <ntmm/statistics.h>

struct fixture {
    struct world w;
    ntmm_handle first, second;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_pair_world(&f->w, &f->first, &f->second);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end_pair_world(&f->w, f->first, f->second);
    free(f);
    return 0;
}

static uint64_t commit(struct fixture *f)
{
    struct ntmm_memory_information s;
    ntmm_query_memory(f->w.system, &s);
    return s.commit_pages;
}

/* 22: create, map twice, touch through both. */
static void test_accounting(void **state)
{
    struct fixture *f = *state;
    uint64_t before = commit(f);
    ntmm_handle section = make_section(&f->w, MIB, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    /* 256 pages, and the core's own objects */
    assert_in_range(commit(f), before + 256, before + 256 + 8);
    struct ntmm_process_information a = about(&f->w, f->first);
    uint64_t one = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t two = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    struct ntmm_process_information b = about(&f->w, f->first);
    assert_int_equal(b.virtual_size_bytes - a.virtual_size_bytes, 2 * MIB);
    assert_int_equal(b.commit_pages, a.commit_pages);
    uint64_t value = 0;
    check_ok(store64(&f->w, 0, one + 8, 42));
    check_ok(load64(&f->w, 0, two + 8, &value));
    assert_int_equal(value, 42);
    struct ntmm_process_information c = about(&f->w, f->first);
    assert_int_equal(c.working_set_pages - b.working_set_pages, 2);
    assert_int_equal(c.counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS] -
                         b.counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS],
                     1);
    assert_int_equal(
        c.counters[NTMM_COUNTER_TRANSITION_FAULTS] - b.counters[NTMM_COUNTER_TRANSITION_FAULTS], 1);
    check_world(&f->w);
    unmap(&f->w, f->first, one + 12345);
    unmap(&f->w, f->first, two);
    close_section(&f->w, section);
    assert_in_range(commit(f), before, before + 8);
}

/* What one process writes, the other sees, and still does when the first has gone. */
static void test_shared(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section = make_section(&f->w, 64 * 1024, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_READONLY);
    close_section(&f->w, section);
    uint64_t value;
    for (uint64_t i = 0; i < 16; i++)
        check_ok(store64(&f->w, 0, a + i * PAGE, i + 1));
    unmap(&f->w, f->first, a);
    for (uint64_t i = 0; i < 16; i++) {
        check_ok(load64(&f->w, 1, b + i * PAGE, &value));
        assert_int_equal(value, i + 1);
    }
    assert_int_equal(store64(&f->w, 1, b, 1), NTMM_STATUS_ACCESS_VIOLATION);
    check_world(&f->w);
}

/* A write to a view that is copied on write is seen by nobody else, and charged once. */
static void test_copy_on_write(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section = make_section(&f->w, 4 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    struct ntmm_process_information before = about(&f->w, f->second);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_WRITECOPY);
    assert_int_equal(about(&f->w, f->second).commit_pages - before.commit_pages, 4);
    uint64_t value;
    check_ok(store64(&f->w, 0, a, 5));
    check_ok(load64(&f->w, 1, b, &value));
    assert_int_equal(value, 5);
    assert_int_equal(query(&f->w, f->second, b).protect, NTMM_PAGE_WRITECOPY);
    check_ok(store64(&f->w, 1, b + 8, 6));
    check_ok(store64(&f->w, 1, b + PAGE, 7)); /* never read before */
    check_world(&f->w);
    assert_int_equal(about(&f->w, f->second).commit_pages - before.commit_pages, 4);
    assert_int_equal(about(&f->w, f->second).counters[NTMM_COUNTER_COPY_ON_WRITE_FAULTS], 2);
    check_ok(load64(&f->w, 0, a + 8, &value));
    assert_int_equal(value, 0);
    check_ok(load64(&f->w, 1, b, &value));
    assert_int_equal(value, 5);
    check_ok(store64(&f->w, 0, a, 9)); /* behind the copy */
    check_ok(load64(&f->w, 1, b, &value));
    assert_int_equal(value, 5);
    struct ntmm_memory_basic_information m = query(&f->w, f->second, b);
    assert_int_equal(m.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(m.allocation_protect, NTMM_PAGE_WRITECOPY);
    assert_int_equal(m.region_size, 2 * PAGE);
    assert_int_equal(m.type, NTMM_MEM_MAPPED);
    unmap(&f->w, f->second, b);
    assert_int_equal(about(&f->w, f->second).commit_pages, before.commit_pages);
    close_section(&f->w, section);
}

/* Committed through one view, committed in all; never again reserved. */
static void test_reserve(void **state)
{
    struct fixture *f = *state;
    uint64_t total = commit(f);
    ntmm_handle section = make_section(&f->w, 8 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_RESERVE, 0);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_READWRITE);
    assert_int_equal(store64(&f->w, 0, a, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(query(&f->w, f->first, a).state, NTMM_MEM_RESERVE);
    uint64_t base = a + 2 * PAGE, size = 3 * PAGE;
    check_ok(ntmm_allocate_virtual_memory(f->w.system, f->first, &base, 0, &size, NTMM_MEM_COMMIT,
                                          NTMM_PAGE_READONLY));
    assert_in_range(commit(f), total + 3, total + 3 + 12);
    struct ntmm_memory_basic_information m = query(&f->w, f->first, a + 2 * PAGE);
    assert_int_equal(m.state, NTMM_MEM_COMMIT);
    assert_int_equal(m.protect, NTMM_PAGE_READONLY);
    assert_int_equal(m.region_size, 3 * PAGE);
    m = query(&f->w, f->second, b + 2 * PAGE);
    assert_int_equal(m.state, NTMM_MEM_COMMIT);
    assert_int_equal(m.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(m.region_size, 3 * PAGE);
    m = query(&f->w, f->second, b);
    assert_int_equal(m.state, NTMM_MEM_RESERVE);
    assert_int_equal(m.region_size, 2 * PAGE);
    check_ok(store64(&f->w, 1, b + 4 * PAGE, 3));
    assert_int_equal(store64(&f->w, 1, b + 5 * PAGE, 3), NTMM_STATUS_ACCESS_VIOLATION);
    uint64_t value;
    check_ok(load64(&f->w, 0, a + 4 * PAGE, &value));
    assert_int_equal(value, 3);
    size = 0;
    base = a;
    assert_int_equal(
        ntmm_free_virtual_memory(f->w.system, f->first, &base, &size, NTMM_MEM_DECOMMIT),
        NTMM_STATUS_UNABLE_TO_DELETE_SECTION);
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
    close_section(&f->w, section);
}

/* Pages are written to a page file and come back, shared as before. */
static void test_paged(void **state)
{
    struct fixture *f = *state;
    const uint64_t pages = 3000; /* of the machine's 2048 */
    add_page_file(&f->w, 16 * MIB);
    ntmm_handle section =
        make_section(&f->w, pages * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->second, NTMM_PAGE_WRITECOPY);
    for (uint64_t i = 0; i < pages; i++)
        check_ok(store64(&f->w, 0, a + i * PAGE, i * 3 + 1));
    check_world(&f->w);
    for (uint64_t i = 0; i < pages; i += 7)
        check_ok(store64(&f->w, 1, b + i * PAGE + 8, i));
    check_world(&f->w);
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t value = 0;
        check_ok(load64(&f->w, 1, b + i * PAGE, &value));
        assert_int_equal(value, i * 3 + 1);
        check_ok(load64(&f->w, 1, b + i * PAGE + 8, &value));
        assert_int_equal(value, i % 7 ? 0 : i);
        check_ok(load64(&f->w, 0, a + i * PAGE + 8, &value));
        assert_int_equal(value, 0);
    }
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->second, b);
    close_section(&f->w, section);
}

/* What views of each protection may become. */
static void test_protect(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section = make_section(&f->w, 4 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    uint64_t b = map(&f->w, section, f->first, NTMM_PAGE_WRITECOPY);
    uint64_t base = b, size = PAGE;
    uint32_t old;
    assert_int_equal(
        ntmm_protect_virtual_memory(f->w.system, f->first, &base, &size, NTMM_PAGE_READWRITE, &old),
        NTMM_STATUS_SECTION_PROTECTION);
    assert_int_equal(ntmm_protect_virtual_memory(f->w.system, f->first, &base, &size,
                                                 NTMM_PAGE_EXECUTE_READ, &old),
                     NTMM_STATUS_SECTION_PROTECTION);
    uint64_t commit_before = about(&f->w, f->first).commit_pages;
    protect_page(&f->w, f->first, b, NTMM_PAGE_READONLY);
    assert_int_equal(about(&f->w, f->first).commit_pages, commit_before - 1);
    protect_page(&f->w, f->first, a + PAGE, NTMM_PAGE_WRITECOPY);
    assert_int_equal(about(&f->w, f->first).commit_pages, commit_before);
    check_world(&f->w);
    check_ok(store64(&f->w, 0, a + PAGE, 1)); /* copied */
    protect_page(&f->w, f->first, a + PAGE, NTMM_PAGE_WRITECOPY);
    assert_int_equal(query(&f->w, f->first, a + PAGE).protect, NTMM_PAGE_READWRITE);
    check_ok(store64(&f->w, 0, a, 77));
    protect_page(&f->w, f->first, a, NTMM_PAGE_NOACCESS);
    uint64_t value;
    assert_int_equal(load64(&f->w, 0, a, &value), NTMM_STATUS_ACCESS_VIOLATION);
    protect_page(&f->w, f->first, a, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(load64(&f->w, 0, a, &value), NTMM_STATUS_GUARD_PAGE_VIOLATION);
    check_ok(load64(&f->w, 0, a, &value));
    assert_int_equal(value, 77);
    check_world(&f->w);
    unmap(&f->w, f->first, a);
    unmap(&f->w, f->first, b);
    close_section(&f->w, section);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_accounting), TEST(test_shared), TEST(test_copy_on_write),
        TEST(test_reserve),    TEST(test_paged),  TEST(test_protect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
