/*
 * The policy against dynamic code: only pages of images are executable, and they stay as they are.
 * Expectations: nt_semantics 2.1 (15), 3.2.
 */
#include "section_world.h"

#include "pe_file.h"

struct fixture {
    struct world w;
    ntmm_handle strict, other;
    struct pe_file pe;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .flags = NTMM_PROCESS_NO_DYNAMIC_CODE};
    assert_non_null(f);
    make_section_world(&f->w, 8 * MIB);
    check_ok(ntmm_create_process(f->w.system, &config, &f->strict));
    f->other = make_process(&f->w);
    attach(&f->w, 0, f->strict);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    check_ok(ntmm_end_process(f->w.system, f->strict));
    check_ok(ntmm_end_process(f->w.system, f->other));
    end_world(&f->w);
    free(f);
    return 0;
}

static ntmm_status allocate_as(struct fixture *f, ntmm_handle process, uint32_t protect)
{
    uint64_t base = 0, size = PAGE;
    return ntmm_allocate_virtual_memory(f->w.system, process, &base, 0, &size,
                                        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect);
}

static ntmm_status protect_as(struct fixture *f, uint64_t base, uint32_t protect)
{
    uint64_t size = PAGE;
    uint32_t old;
    return ntmm_protect_virtual_memory(f->w.system, f->strict, &base, &size, protect, &old);
}

static void test_private_memory(void **state)
{
    struct fixture *f = *state;
    static const uint32_t executable[] = {NTMM_PAGE_EXECUTE, NTMM_PAGE_EXECUTE_READ,
                                          NTMM_PAGE_EXECUTE_READWRITE};
    uint64_t base = allocate(&f->w, f->strict, PAGE, NTMM_PAGE_READWRITE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(allocate_as(f, f->strict, executable[i]),
                         NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
        assert_int_equal(protect_as(f, base, executable[i]), NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
        check_ok(allocate_as(f, f->other, executable[i]));
    }
    uint64_t size = PAGE;
    assert_int_equal(ntmm_allocate_virtual_memory_ex(f->w.system, f->strict, &base, &size,
                                                     NTMM_MEM_COMMIT, NTMM_PAGE_EXECUTE_READ, NULL,
                                                     0),
                     NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    assert_int_equal(query(&f->w, f->strict, base).protect, NTMM_PAGE_READWRITE);
    check_ok(protect_as(f, base, NTMM_PAGE_READONLY));
}

static void test_views(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section =
        make_section(&f->w, PAGE, NTMM_PAGE_EXECUTE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t base = 0, size = 0;
    assert_int_equal(ntmm_map_view_of_section(f->w.system, section, f->strict, &base, 0, 0, NULL,
                                              &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_EXECUTE_READ),
                     NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    check_world(&f->w);
    base = map(&f->w, section, f->strict, NTMM_PAGE_READWRITE);
    close_section(&f->w, section);
    unmap(&f->w, f->strict, base);
}

static void test_images(void **state)
{
    struct fixture *f = *state;
    pe_make(&f->pe, true);
    ntmm_handle file = open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    uint64_t base = map(&f->w, section, f->strict, NTMM_PAGE_EXECUTE_READ);
    uint64_t text = base + 0x1000, data = base + 0x3000;
    assert_int_equal(query(&f->w, f->strict, text).protect, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(protect_as(f, text, NTMM_PAGE_READWRITE), NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    assert_int_equal(protect_as(f, data, NTMM_PAGE_EXECUTE), NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    check_ok(protect_as(f, text, NTMM_PAGE_READONLY));
    check_ok(store64(&f->w, 0, data, 1)); /* data is data */
    check_ok(protect_as(f, data, NTMM_PAGE_READONLY));
    check_ok(protect_as(f, data, NTMM_PAGE_READWRITE));
    close_section(&f->w, section);
    close_file(&f->w, file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_private_memory),
        TEST(test_views),
        TEST(test_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
