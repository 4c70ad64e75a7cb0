/*
 * What a section says of its subsections: of page files, of a file's data, of an image.
 */
#include "section_world.h"

#include "pe_file.h"

#include <ntmm/inspect.h>

#define MOST 16u

static void check_one(const struct ntmm_subsection_information *found,
                      struct ntmm_subsection_information expected)
{
    assert_int_equal(found->first_page, expected.first_page);
    assert_int_equal(found->page_count, expected.page_count);
    assert_int_equal(found->file_offset, expected.file_offset);
    assert_int_equal(found->file_bytes, expected.file_bytes);
    assert_int_equal(found->backed_pages, expected.backed_pages);
    assert_int_equal(found->protect, expected.protect);
    assert_int_equal(found->is_shared, expected.is_shared);
}

static uint32_t ask(struct world *w, ntmm_handle section,
                    struct ntmm_subsection_information *records)
{
    uint32_t count = 0;
    check_ok(ntmm_query_subsections(w->system, section, records, MOST, &count));
    return count;
}

/* Page files have nothing; a file has what is before its end, also when it grows. */
static void test_data(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_subsection_information found[MOST];
    make_section_world(&w, 8 * MIB);
    ntmm_handle plain = make_section(&w, 3 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    assert_int_equal(ask(&w, plain, found), 1);
    check_one(&found[0], (struct ntmm_subsection_information){
                             .page_count = 3, .protect = NTMM_PAGE_READWRITE, .is_shared = 1});
    close_section(&w, plain);

    ntmm_handle file = make_file(&w, 2 * PAGE + 5);
    ntmm_handle data = make_section(&w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    struct ntmm_subsection_information expected = {.page_count = 3,
                                                   .file_bytes = 2 * PAGE + 5,
                                                   .backed_pages = 3,
                                                   .protect = NTMM_PAGE_READWRITE,
                                                   .is_shared = 1};
    assert_int_equal(ask(&w, data, found), 1);
    check_one(&found[0], expected);
    uint64_t size = 5 * PAGE;
    check_ok(ntmm_extend_section(w.system, data, &size));
    expected.page_count = expected.backed_pages = 5;
    expected.file_bytes = 5 * PAGE;
    assert_int_equal(ask(&w, data, found), 1);
    check_one(&found[0], expected);
    close_section(&w, data);
    close_file(&w, file);
    end_world(&w);
}

/* Headers and sections; a part of nobody between two; .data ends in zeros; one is shared. */
static void test_image(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_subsection_information found[MOST];
    struct pe_file pe;
    make_section_world(&w, 8 * MIB);
    pe_make(&pe, true);
    pe_add_section(&pe, 0x2000, 0x2000, PE_READ | PE_WRITE | PE_SHARED);
    ntmm_handle file = open_contents(&w, pe.bytes, pe.size_bytes);
    ntmm_handle image = make_section(&w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    assert_int_equal(ask(&w, image, found), 4);
    check_one(&found[0], (struct ntmm_subsection_information){.page_count = 1,
                                                              .file_bytes = PE_HEADERS,
                                                              .backed_pages = 1,
                                                              .protect = NTMM_PAGE_READONLY});
    check_one(&found[1], (struct ntmm_subsection_information){
                             .first_page = 1,
                             .page_count = 2,
                             .file_offset = pe_get32(&pe, pe_section(&pe, 0) + 20),
                             .file_bytes = pe_get32(&pe, pe_section(&pe, 0) + 16),
                             .backed_pages = 2,
                             .protect = NTMM_PAGE_EXECUTE_READ});
    check_one(&found[2], (struct ntmm_subsection_information){
                             .first_page = 3,
                             .page_count = 3,
                             .file_offset = pe_get32(&pe, pe_section(&pe, 1) + 20),
                             .file_bytes = 0x400,
                             .backed_pages = 1,
                             .protect = NTMM_PAGE_WRITECOPY});
    check_one(&found[3], (struct ntmm_subsection_information){
                             .first_page = 6,
                             .page_count = 2,
                             .file_offset = pe_get32(&pe, pe_section(&pe, 2) + 20),
                             .file_bytes = 0x2000,
                             .backed_pages = 2,
                             .protect = NTMM_PAGE_READWRITE,
                             .is_shared = 1});
    close_section(&w, image);
    close_file(&w, file);
    end_world(&w);
}

static void test_statuses(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_subsection_information found[1];
    uint32_t count = 77;
    make_section_world(&w, 8 * MIB);
    ntmm_handle file = make_file(&w, PAGE);
    ntmm_handle data = make_section(&w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    ntmm_handle weak;
    check_ok(ntmm_duplicate_section(w.system, data, NTMM_SECTION_MAP_READ, &weak));
    assert_int_equal(ntmm_query_subsections(w.system, data, found, 1, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_subsections(w.system, data, NULL, 1, &count),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_subsections(w.system, file, found, 1, &count),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_query_subsections(w.system, weak, found, 1, &count),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(count, 77);
    check_ok(ntmm_query_subsections(w.system, data, NULL, 0, &count));
    assert_int_equal(count, 1);
    close_section(&w, weak);
    close_section(&w, data);
    assert_int_equal(ntmm_query_subsections(w.system, data, found, 1, &count),
                     NTMM_STATUS_INVALID_HANDLE);
    close_file(&w, file);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
