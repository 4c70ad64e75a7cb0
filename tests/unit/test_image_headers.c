/*
 * Headers of PE images: each defect of the table in nt_semantics 5.1 alone, and its status.
 */
#include "unit/pe_file.h"

#include <ntmm/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FORMAT NTMM_STATUS_INVALID_IMAGE_FORMAT
#define WINDOWS_XP 2600u
#define WINDOWS_7 7600u

static struct pe_file file;
static struct image image;

static ntmm_status parse(void) { return pe_parse(&file, &image); }

static void expect(ntmm_status expected)
{
    ntmm_status got = parse();
    if (got != expected)
        print_error("expected %08X, got %08X\n", expected, got);
    assert_int_equal(got, expected);
    if (got == NTMM_STATUS_SUCCESS)
        assert_null(pe_broken_promise(&image, file.size_bytes));
}

/* One field of the default file spoilt, in both formats. */
static void spoil(uint32_t at, uint32_t bytes, uint64_t value, ntmm_status expected)
{
    for (unsigned is_64 = 0; is_64 < 2; is_64++) {
        pe_make(&file, is_64);
        expect(NTMM_STATUS_SUCCESS);
        if (bytes == 2)
            pe_set16(&file, at, (uint32_t)value);
        else
            pe_set32(&file, at, (uint32_t)value);
        expect(expected);
    }
}

static void the_default_files_are_images(void **state)
{
    (void)state;
    pe_make(&file, true);
    pe_set32(&file, PE_ENTRY, 0x1010);
    expect(NTMM_STATUS_SUCCESS);
    assert_true(image.is_64);
    assert_false(image.is_flat);
    assert_int_equal(image.preferred_base, 0x140000000ull);
    assert_int_equal(image.image_pages, 6);
    assert_int_equal(image.header_bytes, PE_HEADERS);
    assert_int_equal(image.entry_rva, 0x1010);
    assert_int_equal(image.base_rva, PE_BASE_64);
    assert_int_equal(image.machine, IMAGE_MACHINE_AMD64);
    assert_int_equal(image.subsection_count, 3);
    pe_make(&file, false);
    expect(NTMM_STATUS_SUCCESS);
    assert_false(image.is_64);
    assert_int_equal(image.preferred_base, 0x400000);
    assert_int_equal(image.base_rva, PE_BASE_32);
    assert_int_equal(image.machine, IMAGE_MACHINE_I386);
}

static void files_too_small_for_a_signature(void **state)
{
    (void)state;
    pe_make(&file, true);
    file.size_bytes = 0;
    expect(NTMM_STATUS_INVALID_FILE_FOR_SECTION);
    file.size_bytes = 1;
    expect(FORMAT);
    file.size_bytes = 2;
    expect(NTMM_STATUS_INVALID_IMAGE_PROTECT);
    file.size_bytes = 0x3F;
    expect(NTMM_STATUS_INVALID_IMAGE_PROTECT);
    file.bytes[1] = 'z';
    expect(NTMM_STATUS_INVALID_IMAGE_NOT_MZ);
    file.size_bytes = 2;
    expect(NTMM_STATUS_INVALID_IMAGE_NOT_MZ);
}

static void signatures_decide_the_status(void **state)
{
    (void)state;
    spoil(0, 2, 0x4D5A, NTMM_STATUS_INVALID_IMAGE_NOT_MZ);
    spoil(0x3C, 4, 0, NTMM_STATUS_INVALID_IMAGE_PROTECT);
    spoil(0x3C, 4, PE_OFFSET + 2, NTMM_STATUS_INVALID_IMAGE_PROTECT);
    spoil(0x3C, 4, 0xFFFFFFFC, NTMM_STATUS_INVALID_IMAGE_PROTECT);
    spoil(PE_OFFSET, 4, 0x4551, NTMM_STATUS_INVALID_IMAGE_PROTECT);
    spoil(PE_OFFSET, 4, 0x14550, NTMM_STATUS_INVALID_IMAGE_PROTECT);
    spoil(PE_OFFSET, 4, 0x454C, NTMM_STATUS_INVALID_IMAGE_LE_FORMAT);
    spoil(PE_OFFSET, 4, 0x1234454E, NTMM_STATUS_INVALID_IMAGE_NE_FORMAT);
}

/* The byte at 0x36 of an NE header names the system. */
static void new_executables_for_windows(void **state)
{
    (void)state;
    pe_make(&file, true);
    pe_set16(&file, PE_OFFSET, 0x454E);
    file.bytes[PE_OFFSET + 0x36] = 2;
    expect(NTMM_STATUS_INVALID_IMAGE_WIN_16);
    file.bytes[PE_OFFSET + 0x36] = 1;
    expect(NTMM_STATUS_INVALID_IMAGE_NE_FORMAT);
    file.bytes[PE_OFFSET + 0x36] = 2;
    file.size_bytes = PE_OFFSET + 0x36;
    expect(NTMM_STATUS_INVALID_IMAGE_NE_FORMAT);
}

static void headers_must_be_in_the_file(void **state)
{
    (void)state;
    pe_make(&file, true);
    pe_set32(&file, 0x3C, 0x3F8);
    pe_set32(&file, 0x3F8, 0x4550);
    file.size_bytes = 0x3FB; /* no room for a signature: a DOS program */
    expect(NTMM_STATUS_INVALID_IMAGE_PROTECT);
    file.size_bytes = 0x3FC;
    expect(FORMAT);
    file.size_bytes = 0x3F8 + 23;
    expect(FORMAT);
    pe_make(&file, true);
    file.size_bytes = PE_OPTIONAL + 239;
    expect(FORMAT);
    file.size_bytes = PE_OPTIONAL + 240; /* but no section table */
    expect(FORMAT);
}

static void machines_and_magics(void **state)
{
    (void)state;
    spoil(PE_MAGIC, 2, 0, FORMAT);
    spoil(PE_MAGIC, 2, 0x107, FORMAT);
    spoil(PE_MACHINE, 2, 0, FORMAT);
    spoil(PE_MACHINE, 2, 0x1C4, FORMAT);  /* ARMNT */
    spoil(PE_MACHINE, 2, 0xAA64, FORMAT); /* ARM64 */
    spoil(PE_CHARACTERISTICS, 2, IMAGE_DLL, FORMAT);
    pe_make(&file, false);
    pe_set16(&file, PE_MACHINE, IMAGE_MACHINE_AMD64);
    expect(FORMAT);
    pe_make(&file, true);
    pe_set16(&file, PE_MACHINE, IMAGE_MACHINE_I386);
    expect(FORMAT);
}

static void sizes_of_image_and_headers(void **state)
{
    (void)state;
    spoil(PE_IMAGE_BYTES, 4, 0, FORMAT);
    spoil(PE_IMAGE_BYTES, 4, 0x4FFF, FORMAT); /* the last section ends at 0x5100 */
    spoil(PE_IMAGE_BYTES, 4, 0x5000, FORMAT);
    spoil(PE_IMAGE_BYTES, 4, 0x5001, NTMM_STATUS_SUCCESS);
    spoil(PE_IMAGE_BYTES, 4, 0x5100, NTMM_STATUS_SUCCESS);
    spoil(PE_IMAGE_BYTES, 4, 0x7000, NTMM_STATUS_SUCCESS);
    spoil(PE_HEADER_BYTES, 4, 0x6001, FORMAT);
    spoil(PE_HEADER_BYTES, 4, 0x1001, FORMAT); /* the first section would begin at 0x2000 */
    spoil(PE_HEADER_BYTES, 4, 0x1000, NTMM_STATUS_SUCCESS);
    spoil(PE_HEADER_BYTES, 4, 0, NTMM_STATUS_SUCCESS);
}

static void align(uint32_t section, uint32_t in_file, ntmm_status expected)
{
    for (unsigned is_64 = 0; is_64 < 2; is_64++) {
        pe_make(&file, is_64);
        pe_set32(&file, PE_SECTION_ALIGNMENT, section);
        pe_set32(&file, PE_FILE_ALIGNMENT, in_file);
        expect(expected);
    }
}

static void alignments(void **state)
{
    (void)state;
    align(0, 0x200, FORMAT);
    align(0x1000, 0, FORMAT);
    align(0, 0, FORMAT);
    align(0x1800, 0x200, FORMAT);
    align(0x1000, 0x600, FORMAT);
    align(0x1000, 0x100, FORMAT);
    align(0x1000, 0x2000, FORMAT);
    align(0x200, 0x1000, FORMAT);
    align(0x800, 0x200, FORMAT);
    align(0x400, 0x200, FORMAT);
    align(0x1000, 0x1000, NTMM_STATUS_SUCCESS);
    align(0x200, 0x200, NTMM_STATUS_SUCCESS);
    align(0x10, 0x10, NTMM_STATUS_SUCCESS);
    align(1, 1, NTMM_STATUS_SUCCESS);
}

static void based(bool is_64, uint64_t base, ntmm_status expected)
{
    pe_make(&file, is_64);
    if (is_64)
        pe_set64(&file, PE_BASE_64, base);
    else
        pe_set32(&file, PE_BASE_32, (uint32_t)base);
    expect(expected);
}

/* The image has 6 pages. */
static void bases(void **state)
{
    (void)state;
    based(true, 0x140001000ull, FORMAT);
    based(true, 0x140008000ull, FORMAT);
    based(true, 0, NTMM_STATUS_SUCCESS);
    based(true, 0x7FFFFFFD0000ull, NTMM_STATUS_SUCCESS);
    based(true, 0x7FFFFFFE0000ull, FORMAT);
    based(true, 0x8000000000000000ull, FORMAT);
    based(true, 0xFFFFFFFFFFFF0000ull, FORMAT);
    based(false, 0x401000, FORMAT);
    based(false, 0xFFFD0000, NTMM_STATUS_SUCCESS);
    based(false, 0xFFFE0000, FORMAT);
    based(false, 0xFFFF0000, FORMAT);
}

/* A field of section n's header, in both formats. */
static void spoil_section(uint32_t n, uint32_t field, uint32_t value, ntmm_status expected)
{
    for (unsigned is_64 = 0; is_64 < 2; is_64++) {
        pe_make(&file, is_64);
        pe_set32(&file, pe_section(&file, n) + field, value);
        expect(expected);
    }
}

enum { VIRTUAL_SIZE = 8, RVA = 12, RAW_BYTES = 16, RAW_OFFSET = 20 };

static void sections_follow_one_another(void **state)
{
    (void)state;
    spoil_section(0, RVA, 0x0, FORMAT);
    spoil_section(0, RVA, 0x2000, FORMAT);
    spoil_section(0, RVA, 0x1200, FORMAT);
    spoil_section(1, RVA, 0x1000, FORMAT);
    spoil_section(1, RVA, 0x2000, FORMAT);
    spoil_section(1, RVA, 0x4000, FORMAT);
    spoil_section(0, VIRTUAL_SIZE, 0x1000, FORMAT); /* ends at 0x2000, the next is at 0x3000 */
    spoil_section(0, VIRTUAL_SIZE, 0x2001, FORMAT);
    spoil_section(0, VIRTUAL_SIZE, 0xFFFFFFFF, FORMAT);
    spoil_section(0, VIRTUAL_SIZE, 0, NTMM_STATUS_SUCCESS); /* then the raw size, 0x1400 */
    spoil_section(1, VIRTUAL_SIZE, 0x3001, FORMAT);
    spoil_section(1, VIRTUAL_SIZE, 0x3000, NTMM_STATUS_SUCCESS);
    pe_make(&file, true);
    pe_set32(&file, pe_section(&file, 1) + VIRTUAL_SIZE, 0);
    pe_set32(&file, pe_section(&file, 1) + RAW_BYTES, 0);
    expect(FORMAT); /* covers no page */
}

static void raw_data_are_in_the_file(void **state)
{
    (void)state;
    /* .data has 0x400 bytes at 0x1800, where the file ends at 0x1C00. */
    spoil_section(1, RAW_BYTES, 0x401, FORMAT);
    spoil_section(1, RAW_BYTES, 0x3FF, NTMM_STATUS_SUCCESS);
    spoil_section(1, RAW_OFFSET, 0x1A00, FORMAT);
    spoil_section(1, RAW_OFFSET, 0xFFFFFE00, FORMAT); /* the sum overflows */
    spoil_section(1, RAW_BYTES, 0xFFFFFFFF, FORMAT);
    spoil_section(1, RAW_OFFSET, 0x1801, FORMAT); /* leaves the file, and no sector */
    spoil_section(0, RAW_OFFSET, 0x500, FORMAT);
    spoil_section(0, RAW_OFFSET, 0x600, NTMM_STATUS_SUCCESS);
    spoil_section(0, RAW_OFFSET, 0x3F0, NTMM_STATUS_SUCCESS); /* in the headers: its sector */
    assert_int_equal(image.subsections[1].file_offset, 0x200);
    pe_make(&file, true);
    pe_set32(&file, PE_HEADER_BYTES, 0x3F0);
    pe_set32(&file, pe_section(&file, 0) + RAW_OFFSET, 0x3EF);
    expect(NTMM_STATUS_SUCCESS);
    pe_set32(&file, pe_section(&file, 0) + RAW_OFFSET, 0x3F0);
    expect(FORMAT); /* the first byte behind them, and no sector */
    spoil_section(0, RAW_OFFSET, 0, NTMM_STATUS_SUCCESS); /* no content */
    assert_int_equal(image.subsections[1].backed_pages, 0);
    pe_make(&file, true);
    pe_set32(&file, pe_section(&file, 1) + RAW_BYTES, 0);
    pe_set32(&file, pe_section(&file, 1) + RAW_OFFSET, 0xFFFFFFFF);
    expect(NTMM_STATUS_SUCCESS); /* the offset of nothing is nowhere */
}

static void the_number_of_sections(void **state)
{
    (void)state;
    spoil(PE_SECTION_COUNT, 2, 0, FORMAT);
    spoil(PE_SECTION_COUNT, 2, 97, FORMAT);
    spoil(PE_SECTION_COUNT, 2, 0xFFFF, FORMAT);
    align(0x200, 0x200, NTMM_STATUS_SUCCESS);
    pe_set16(&file, PE_SECTION_COUNT, 0);
    expect(NTMM_STATUS_SUCCESS); /* flat */
    pe_begin(&file, true);
    pe_set32(&file, PE_HEADER_BYTES, 0x1000);
    file.size_bytes = 0x1000 + 0x200;
    for (unsigned i = 0; i < IMAGE_SECTIONS_MAX; i++)
        pe_add_section(&file, 0x1000, 0, PE_READ);
    expect(NTMM_STATUS_SUCCESS);
    assert_int_equal(image.subsection_count, IMAGE_SUBSECTIONS_MAX);
    pe_set16(&file, PE_SECTION_COUNT, 97);
    expect(FORMAT);
}

/* A file of 268 bytes: DOS and NT headers share their bytes, and it is flat. */
static void the_least_file(void **state)
{
    (void)state;
    const uint32_t nt = 4, optional = nt + 24;
    memset(&file, 0, sizeof(file));
    pe_set16(&file, 0, 0x5A4D);
    pe_set32(&file, nt, 0x4550);
    pe_set16(&file, nt + 4, IMAGE_MACHINE_AMD64);
    pe_set16(&file, nt + 20, 240);
    pe_set16(&file, nt + 22, IMAGE_EXECUTABLE);
    pe_set16(&file, optional, 0x20B);
    pe_set64(&file, optional + 24, 0x140000000ull);
    pe_set32(&file, optional + 32, 4); /* the section alignment, where e_lfanew is */
    pe_set32(&file, optional + 36, 4);
    pe_set32(&file, optional + 56, 268);
    pe_set32(&file, optional + 60, 268);
    file.size_bytes = 268;
    expect(NTMM_STATUS_SUCCESS);
    assert_true(image.is_flat);
    assert_int_equal(image.base_rva, optional + 24);
    pe_set16(&file, nt + 20, 64);
    file.size_bytes = 267;
    expect(FORMAT);
    struct image_source source = pe_source(&file);
    assert_int_equal(image_parse(&source, WINDOWS_7, &image), FORMAT);
    assert_int_equal(image_parse(&source, WINDOWS_XP, &image), NTMM_STATUS_SUCCESS);
}

/* What an optional header cut short lacks is zero; the section table follows its stated length. */
static void optional_headers_may_be_cut_short(void **state)
{
    (void)state;
    pe_make(&file, true);
    pe_set32(&file, PE_CHECKSUM, 0x12345678);
    pe_set16(&file, PE_DLL_CHARACTERISTICS, IMAGE_DLL_DYNAMIC_BASE);
    memmove(file.bytes + PE_CHECKSUM, file.bytes + pe_section(&file, 0), 80);
    pe_set16(&file, PE_OPTIONAL_BYTES, 64);
    expect(NTMM_STATUS_SUCCESS);
    assert_int_equal(image.checksum, 0);
    assert_int_equal(image.dll_characteristics, 0);
    assert_int_equal(image.subsystem, 0);
    assert_int_equal(image.subsection_count, 3);
    pe_set16(&file, PE_OPTIONAL_BYTES, 56); /* no SizeOfImage */
    expect(FORMAT);
    pe_set16(&file, PE_OPTIONAL_BYTES, 0); /* no magic */
    expect(FORMAT);
    pe_make(&file, true); /* and longer than all we know */
    memmove(file.bytes + pe_section(&file, 0) + 16, file.bytes + pe_section(&file, 0), 80);
    pe_set16(&file, PE_OPTIONAL_BYTES, 256);
    expect(NTMM_STATUS_SUCCESS);
}

/* What its reader says ends a parse, whichever read it is; PENDING is a success to NT. */
static void a_reader_that_fails(void **state)
{
    const uint32_t statuses[] = {NTMM_STATUS_PENDING, NTMM_STATUS_IN_PAGE_ERROR};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        pe_make(&file, true);
        pe_set_directory(&file, PE_DIRECTORY_COM, 0x1100, 72);
        expect(NTMM_STATUS_SUCCESS);
        uint64_t reads = file.reads;
        assert_in_range(reads, 7, 16);
        file.fail_status = statuses[i];
        for (file.fail_at = 1; file.fail_at <= reads; file.fail_at++) {
            file.reads = 0;
            assert_int_equal(parse(), statuses[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_files_are_images),
        cmocka_unit_test(files_too_small_for_a_signature),
        cmocka_unit_test(signatures_decide_the_status),
        cmocka_unit_test(new_executables_for_windows),
        cmocka_unit_test(headers_must_be_in_the_file),
        cmocka_unit_test(machines_and_magics),
        cmocka_unit_test(sizes_of_image_and_headers),
        cmocka_unit_test(alignments),
        cmocka_unit_test(bases),
        cmocka_unit_test(sections_follow_one_another),
        cmocka_unit_test(raw_data_are_in_the_file),
        cmocka_unit_test(the_number_of_sections),
        cmocka_unit_test(the_least_file),
        cmocka_unit_test(optional_headers_may_be_cut_short),
        cmocka_unit_test(a_reader_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
