/*
 * Call targets of images that name their functions: GUARD_CF and the table of the load
 * configuration (published PE format). A function at a multiple of 16 is a target alone; any other
 * makes its 16 addresses targets. Decisions on bad tables: docs/fidelity.md.
 */
#include "section_world.h"

#include "pe_file.h"

#include <ntmm/call_target.h>
#include <ntmm/fault.h>
#include <ntmm/query.h>

#define TEXT 0x1000u /* of what pe_make and the tests here make: code begins here */

struct fixture {
    struct world w;
    ntmm_handle process;
    struct pe_file pe;
    uint64_t base;
};

static void make_guarded(struct fixture *f)
{
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .flags = NTMM_PROCESS_CONTROL_FLOW_GUARD};
    check_ok(ntmm_create_process(f->w.system, &config, &f->process));
    attach(&f->w, 0, f->process);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_section_world(&f->w, 8 * MIB);
    make_guarded(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    check_world(&f->w);
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
    free(f);
    return 0;
}

static bool is_target(struct fixture *f, ntmm_handle process, uint64_t va)
{
    struct ntmm_call_target found;
    check_ok(ntmm_query_call_target(f->w.system, process, va, &found));
    return found.is_valid != 0;
}

static ntmm_handle open_image(struct fixture *f)
{
    ntmm_handle file = open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    close_file(&f->w, file);
    check_world(&f->w);
    return section;
}

static uint64_t map_part(struct fixture *f, ntmm_handle section, uint64_t offset)
{
    uint64_t base = 0, size = 0;
    assert_true(NTMM_SUCCEEDED(ntmm_map_view_of_section(f->w.system, section, f->process, &base, 0,
                                                        0, &offset, &size, NTMM_VIEW_SHARE, 0,
                                                        NTMM_PAGE_EXECUTE_WRITECOPY)));
    check_world(&f->w);
    return base;
}

/* Code of so many bytes, and a table of functions with `behind` bytes of zeros after each. */
static uint32_t make_file_with(struct fixture *f, bool is_64, uint32_t code_bytes,
                               const uint32_t *called, uint32_t count, uint32_t behind)
{
    pe_begin(&f->pe, is_64);
    pe_add_section(&f->pe, code_bytes, 0x1000, PE_READ | PE_EXECUTE);
    uint32_t at = pe_add_guard(&f->pe, 0x4000);
    for (uint32_t i = 0; i < count; i++)
        pe_set32(&f->pe, at + PE_FUNCTIONS + i * (4 + behind), called[i]);
    const struct pe_guard guard = {.table = pe_guard_address(&f->pe) + PE_FUNCTIONS,
                                   .count = count,
                                   .flags = PE_GUARD_TABLE_PRESENT | behind << 28};
    pe_set_guard(&f->pe, at, &guard);
    return at;
}

static bool is_expected(uint32_t rva, const uint32_t *called, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (called[i] == rva || (called[i] % 16 != 0 && called[i] / 16 == rva / 16))
            return true;
    }
    return false;
}

/* Every address of a view of the image's [from, end), which begins at `view`. */
static void expect(struct fixture *f, ntmm_handle process, uint64_t view, uint32_t from,
                   uint32_t end, const uint32_t *called, uint32_t count)
{
    for (uint32_t rva = from; rva < end; rva++) {
        if (is_target(f, process, view + rva - from) != is_expected(rva, called, count))
            fail_msg("%#x of the image", (unsigned)rva);
    }
}

/* All, or nothing, of the code and of no other page. */
static void expect_all(struct fixture *f, uint64_t base, uint32_t code_bytes, bool is_valid)
{
    for (uint32_t rva = 0; rva < TEXT + code_bytes + PAGE; rva += 8) {
        bool is_code = rva >= TEXT && rva < TEXT + code_bytes;
        assert_int_equal(is_target(f, f->process, base + rva), is_code && is_valid);
    }
}

/* The last two share their 16 addresses; 0x3010 is in a page that is not executable. */
static const uint32_t functions[] = {0x1000, 0x1010, 0x1028, 0x1FF0, 0x1FFF,
                                     0x2000, 0x2E08, 0x2FF0, 0x2FF1, 0x3010};
#define COUNT (sizeof functions / sizeof *functions)
#define FEW (COUNT - 1) /* those in code */

static void functions_are_the_targets(struct fixture *f, bool is_64)
{
    make_file_with(f, is_64, 0x2000, functions, COUNT, 0);
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0);
    expect(f, f->process, base, 0, 0x4000, functions, FEW);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
}

static void functions_of_64_bits_are_the_targets(void **state)
{
    functions_are_the_targets(*state, true);
}

static void functions_of_32_bits_are_the_targets(void **state)
{
    functions_are_the_targets(*state, false);
}

/* A bitmap has what the image says again, whatever a protection set meanwhile. */
static void views_come_and_go(void **state)
{
    struct fixture *f = *state;
    make_file_with(f, true, 0x2000, functions, COUNT, 0);
    ntmm_handle section = open_image(f);
    uint64_t charged = about(&f->w, f->process).commit_pages;
    uint64_t base = map_part(f, section, 0);
    uint64_t second = map_part(f, section, 0);
    assert_int_not_equal(base, second);
    uint64_t page = base + TEXT, size = PAGE;
    uint32_t old;
    check_ok(ntmm_protect_virtual_memory(f->w.system, f->process, &page, &size,
                                         NTMM_PAGE_EXECUTE_READ, &old));
    assert_true(is_target(f, f->process, base + TEXT + 0x20));
    expect(f, f->process, second, 0, 0x4000, functions, FEW);
    unmap(&f->w, f->process, base);
    expect(f, f->process, base, 0, 0x4000, NULL, 0);
    expect(f, f->process, second, 0, 0x4000, functions, FEW);
    unmap(&f->w, f->process, second);
    assert_int_equal(about(&f->w, f->process).commit_pages, charged);
    base = map_part(f, section, 0);
    expect(f, f->process, base, 0, 0x4000, functions, FEW);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
}

static void a_clone_has_them_too(void **state)
{
    struct fixture *f = *state;
    ntmm_handle child = 0;
    make_file_with(f, true, 0x2000, functions, COUNT, 0);
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0);
    check_ok(ntmm_clone_process(f->w.system, f->process, NULL, &child));
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
    check_world(&f->w);
    expect(f, child, base, 0, 0x4000, functions, FEW);
    check_ok(ntmm_end_process(f->w.system, child));
}

/* A view that begins inside the image has its part. */
static void a_part_of_an_image_has_its_part(void **state)
{
    static const uint32_t far[] = {0x1000, 0xFFF0, 0x10000, 0x10018, 0x10FF0};
    struct fixture *f = *state;
    make_file_with(f, true, 0x11000, far, 5, 0);
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0x10000);
    expect(f, f->process, base, 0x10000, 0x12000, far, 5);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
}

/* The first byte behind a function: 1 says that it is no target, 2 that it is one unless exports
 * are suppressed, which no process asks for. */
static void suppressed_functions_are_no_targets(void **state)
{
    static const uint32_t all[] = {0x1000, 0x1010, 0x1020, 0x1030};
    static const uint32_t left[] = {0x1000, 0x1020};
    static const uint32_t strides[] = {1, 2, 15};
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t at = make_file_with(f, true, 0x1000, all, 4, strides[i]) + PE_FUNCTIONS;
        f->pe.bytes[at + 4 + strides[i] + 4] = 1;
        f->pe.bytes[at + 2 * (4 + strides[i]) + 4] = 2;
        f->pe.bytes[at + 3 * (4 + strides[i]) + 4] = 3;
        ntmm_handle section = open_image(f);
        uint64_t base = map_part(f, section, 0);
        expect(f, f->process, base + TEXT, TEXT, TEXT + 0x1000, left, 2);
        close_section(&f->w, section);
        unmap(&f->w, f->process, base);
    }
}

/* More than a frame of the record holds. */
static void many_functions(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 2500 };
    uint32_t *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    for (uint32_t i = 0; i < MANY; i++)
        many[i] = TEXT + 32 * i;
    uint64_t before = about(&f->w, f->process).commit_pages;
    make_file_with(f, true, 0x14000, many, MANY, 0);
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0);
    for (uint32_t rva = TEXT; rva < TEXT + 0x14000; rva += 8)
        assert_int_equal(is_target(f, f->process, base + rva),
                         rva % 32 == 0 && rva < TEXT + 32 * MANY);
    free(many);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
    assert_int_equal(about(&f->w, f->process).commit_pages, before);
}

/* --- images without functions --- */

struct spoiled {
    const char *what;
    void (*spoil)(struct fixture *f, uint32_t at, struct pe_guard *guard);
};

static void say_no_guard(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at, (void)guard;
    pe_set16(&f->pe, PE_DLL_CHARACTERISTICS, 0);
}

static void have_no_config(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at, (void)guard;
    pe_set_directory(&f->pe, PE_DIRECTORY_LOAD_CONFIG, 0, 0);
}

static void have_config_outside(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at, (void)guard;
    pe_set_directory(&f->pe, PE_DIRECTORY_LOAD_CONFIG, f->pe.next_rva - 0x57, 0x40);
}

static void have_config_far_outside(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at, (void)guard;
    pe_set_directory(&f->pe, PE_DIRECTORY_LOAD_CONFIG, 0xFFFFFFF0, 0x40);
}

static void have_short_config(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at;
    guard->bytes = f->pe.is_64 ? 0x93 : 0x5B;
}

static void have_no_table(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)f, (void)at;
    guard->flags &= ~PE_GUARD_TABLE_PRESENT;
}

static void have_table_below(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at;
    guard->table = pe_guard_address(&f->pe) & ~UINT64_C(0xFFFF);
    guard->table -= 4;
}

static void have_table_nowhere(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)f, (void)at;
    guard->table = 0;
}

static void have_table_outside(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at;
    guard->table = (pe_guard_address(&f->pe) & ~UINT64_C(0xFFFF)) + f->pe.next_rva;
}

static void leave_the_image(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at;
    guard->table = (pe_guard_address(&f->pe) & ~UINT64_C(0xFFFF)) + f->pe.next_rva - 8;
}

static void count_beyond_measure(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)at;
    guard->count = (UINT64_C(1) << (f->pe.is_64 ? 62 : 30)) + 1; /* 4 bytes each: 4 */
}

static void count_all_that_fits(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)f, (void)at;
    guard->count = 0x1000; /* entries of zeros */
}

static void descend(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)guard;
    pe_set32(&f->pe, at + PE_FUNCTIONS + 4, 0x1000 - 1);
}

static void repeat(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)guard;
    pe_set32(&f->pe, at + PE_FUNCTIONS + 4, 0x1000);
}

static void call_outside(struct fixture *f, uint32_t at, struct pe_guard *guard)
{
    (void)guard;
    pe_set32(&f->pe, at + PE_FUNCTIONS + 4 * (COUNT - 1), f->pe.next_rva);
}

static const struct spoiled rows[] = {
    {"no GUARD_CF", say_no_guard},
    {"no load configuration", have_no_config},
    {"it ends outside", have_config_outside},
    {"it is far outside", have_config_far_outside},
    {"it ends before its flags", have_short_config},
    {"flags name no table", have_no_table},
    {"a table below the image", have_table_below},
    {"a table at 0", have_table_nowhere},
    {"a table behind the image", have_table_outside},
    {"a table that leaves the image", leave_the_image},
    {"a count that wraps", count_beyond_measure},
    {"a count of zeros", count_all_that_fits},
    {"functions descend", descend},
    {"a function stands twice", repeat},
    {"a function outside", call_outside},
};

static void spoil(struct fixture *f, const struct spoiled *row, bool is_64)
{
    uint32_t at = make_file_with(f, is_64, 0x2000, functions, COUNT, 0);
    struct pe_guard guard = {.table = pe_guard_address(&f->pe) + PE_FUNCTIONS,
                             .count = COUNT,
                             .flags = PE_GUARD_TABLE_PRESENT};
    row->spoil(f, at, &guard);
    pe_set_guard(&f->pe, at, &guard);
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0);
    print_message("%s\n", row->what);
    expect_all(f, base, 0x2000, true);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
}

static void all_code_of_other_images_is_a_target(void **state)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        spoil(*state, &rows[i], true);
        spoil(*state, &rows[i], false);
    }
}

/* A table of no functions, wherever it is: nothing may be called. */
static void an_empty_table_is_a_table(void **state)
{
    struct fixture *f = *state;
    uint32_t at = make_file_with(f, true, 0x2000, functions, 0, 0);
    pe_set_guard(&f->pe, at, &(struct pe_guard){.flags = PE_GUARD_TABLE_PRESENT});
    ntmm_handle section = open_image(f);
    uint64_t base = map_part(f, section, 0);
    expect_all(f, base, 0x2000, false);
    close_section(&f->w, section);
    unmap(&f->w, f->process, base);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(functions_of_64_bits_are_the_targets),
        TEST(functions_of_32_bits_are_the_targets),
        TEST(views_come_and_go),
        TEST(a_clone_has_them_too),
        TEST(a_part_of_an_image_has_its_part),
        TEST(suppressed_functions_are_no_targets),
        TEST(many_functions),
        TEST(all_code_of_other_images_is_a_target),
        TEST(an_empty_table_is_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
