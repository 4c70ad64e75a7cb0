/*
 * What the pages of a PE image hold (nt_semantics 5.2), may do (5.3), and what NT tells of it.
 */
#include "unit/pe_file.h"

#include "base/prng.h"
#include "section/bytes.h"
#include "x64/formats.h"

#include <ntmm/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PAGE NTMM_PAGE_SIZE

static struct pe_file file;
static struct image image;

static void must_parse(void)
{
    assert_int_equal(pe_parse(&file, &image), NTMM_STATUS_SUCCESS);
    assert_null(pe_broken_promise(&image, file.size_bytes));
}

struct row {
    uint32_t characteristics;
    uint32_t protection;
    bool is_shared;
};

static const struct row rows[] = {
    {0, PROT_NOACCESS, false},
    {PE_READ, PROT_READONLY, false},
    {PE_EXECUTE, PROT_EXECUTE, false},
    {PE_EXECUTE | PE_READ, PROT_EXECUTE_READ, false},
    {PE_WRITE, PROT_WRITECOPY, false},
    {PE_WRITE | PE_READ, PROT_WRITECOPY, false},
    {PE_EXECUTE | PE_WRITE, PROT_EXECUTE_WRITECOPY, false},
    {PE_EXECUTE | PE_WRITE | PE_READ, PROT_EXECUTE_WRITECOPY, false},
    {PE_SHARED, PROT_NOACCESS, false},
    {PE_SHARED | PE_READ, PROT_READONLY, false},
    {PE_SHARED | PE_EXECUTE, PROT_EXECUTE, false},
    {PE_SHARED | PE_EXECUTE | PE_READ, PROT_EXECUTE_READ, false},
    {PE_SHARED | PE_WRITE, PROT_READWRITE, true},
    {PE_SHARED | PE_WRITE | PE_READ, PROT_READWRITE, true},
    {PE_SHARED | PE_EXECUTE | PE_WRITE, PROT_EXECUTE_READWRITE, true},
    {PE_SHARED | PE_EXECUTE | PE_WRITE | PE_READ, PROT_EXECUTE_READWRITE, true},
};

/* Code, data, no-load and discardable bits change nothing. */
static void characteristics_become_protections(void **state)
{
    const uint32_t others[] = {0, 0x20, 0x40, 0x80, 0x2, 0x02000000, 0x0FFFFFFF};
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned j = 0; j < sizeof(others) / sizeof(others[0]); j++) {
            pe_begin(&file, i & 1);
            pe_add_section(&file, 0x1000, 0x200, rows[i].characteristics | others[j]);
            must_parse();
            assert_int_equal(image.subsections[1].protection, rows[i].protection);
            assert_int_equal(image.subsections[1].is_shared, rows[i].is_shared);
            assert_int_equal(image.subsections[1].backed_pages, 1);
        }
    }
    assert_int_equal(image.subsections[0].protection, PROT_READONLY);
}

static const struct image_subsection *only_section(uint32_t virtual_bytes, uint32_t raw_bytes)
{
    pe_begin(&file, true);
    pe_add_section(&file, virtual_bytes, raw_bytes, PE_READ);
    must_parse();
    return &image.subsections[1];
}

static void backed(uint32_t virtual_bytes, uint32_t raw_bytes, uint32_t pages,
                   uint32_t backed_pages, uint32_t content)
{
    const struct image_subsection *s = only_section(virtual_bytes, raw_bytes);
    assert_int_equal(s->first_page, 1);
    assert_int_equal(s->section_pages, pages);
    assert_int_equal(s->page_count, pages);
    assert_int_equal(s->backed_pages, backed_pages);
    assert_int_equal(s->file_bytes, content);
    if (backed_pages)
        assert_int_equal(s->file_offset, PE_HEADERS);
}

static void sizes_become_pages(void **state)
{
    (void)state;
    backed(0x1000, 0x1000, 1, 1, 0x1000);
    backed(0x1001, 0x1000, 2, 1, 0x1000);
    backed(0x1001, 0x1001, 2, 2, 0x1200); /* whole sectors */
    backed(0x5000, 0x10, 5, 1, 0x200);
    backed(0x10, 0x200, 1, 1, 0x200); /* what follows the virtual size shows */
    backed(0x10, 0x3000, 1, 1, 0x1000);
    backed(0x1234, 0x3000, 2, 2, 0x2000);
    backed(0, 0x1800, 2, 2, 0x1800);
    backed(0x3000, 0, 3, 0, 0);
    only_section(0x1000, 0x210);
    file.size_bytes -= 0x100; /* the last sector is not all there */
    must_parse();
    assert_int_equal(image.subsections[1].file_bytes, 0x300);
}

/* Header bytes past SizeOfHeaders are zeros; so is what the file does not have. */
static void headers_are_pages_too(void **state)
{
    uint8_t page[PAGE];
    struct image_page at;
    (void)state;
    pe_make(&file, true);
    pe_set32(&file, PE_HEADER_BYTES, 0x301);
    must_parse();
    assert_int_equal(image.subsections[0].file_bytes, 0x301);
    assert_int_equal(image.subsections[0].page_count, 1);
    memset(file.bytes + 0x300, 0xEE, 0x100);
    struct image_source source = pe_source(&file);
    assert_int_equal(image_read_rva(&source, &image, 0, page, PAGE), NTMM_STATUS_SUCCESS);
    assert_memory_equal(page, file.bytes, 0x301);
    for (unsigned i = 0x301; i < PAGE; i++)
        assert_int_equal(page[i], 0);
    image_page_at(&image, 0, &at);
    assert_int_equal(at.protection, PROT_READONLY);
    pe_begin(&file, true);
    file.next_rva = 0x3000;
    pe_add_section(&file, 0x1000, 0, PE_READ);
    pe_set32(&file, PE_HEADER_BYTES, 0x2001); /* more than the file has */
    must_parse();
    assert_int_equal(image.subsections[0].section_pages, 3);
    assert_int_equal(image.subsections[0].backed_pages, 1);
    assert_int_equal(image.subsections[0].file_bytes, PE_HEADERS);
    pe_set32(&file, PE_HEADER_BYTES, 0);
    pe_set32(&file, pe_section(&file, 0) + 12, 0x1000);
    must_parse();
    assert_int_equal(image.subsections[0].section_pages, 1);
    assert_int_equal(image.subsections[0].backed_pages, 0);
    assert_int_equal(image.base_rva, 0);
}

/* Between sections that are aligned to more than pages, and behind the last, is no access. */
static void gaps_have_no_access(void **state)
{
    struct image_page at;
    (void)state;
    pe_begin(&file, true);
    pe_set32(&file, PE_SECTION_ALIGNMENT, 0x4000);
    file.next_rva = 0x4000;
    pe_add_section(&file, 0x1800, 0x200, PE_READ);
    file.next_rva = 0x8000;
    pe_add_section(&file, 0x1000, 0x1000, PE_READ | PE_EXECUTE);
    pe_set32(&file, PE_IMAGE_BYTES, 0xC000);
    must_parse();
    assert_int_equal(image.image_pages, 12);
    const uint32_t expected[12] = {
        PROT_READONLY,     PROT_NOACCESS, PROT_NOACCESS, PROT_NOACCESS,
        PROT_READONLY,     PROT_READONLY, PROT_NOACCESS, PROT_NOACCESS,
        PROT_EXECUTE_READ, PROT_NOACCESS, PROT_NOACCESS, PROT_NOACCESS,
    };
    for (uint32_t page = 0; page < 12; page++) {
        image_page_at(&image, page, &at);
        assert_int_equal(at.protection, expected[page]);
        assert_int_equal(at.subsection, page / 4);
        assert_int_equal(at.file_bytes, page == 0   ? PE_HEADERS
                                        : page == 4 ? 0x200
                                        : page == 8 ? 0x1000
                                                    : 0);
    }
    pe_set32(&file, pe_section(&file, 1) + 12, 0x6000);
    assert_int_equal(pe_parse(&file, &image), NTMM_STATUS_INVALID_IMAGE_FORMAT);
}

static void flat_images_are_their_files(void **state)
{
    struct image_page at;
    uint8_t page[PAGE];
    (void)state;
    pe_make(&file, true); /* 0x1C00 bytes */
    pe_set32(&file, PE_SECTION_ALIGNMENT, 0x200);
    pe_set32(&file, PE_IMAGE_BYTES, 0x4321);
    must_parse();
    assert_true(image.is_flat);
    assert_true(image.contains_code);
    assert_int_equal(image.flags, IMAGE_FLAG_MAPPED_FLAT);
    assert_int_equal(image.subsection_count, 1);
    assert_int_equal(image.subsections[0].page_count, 5);
    assert_int_equal(image.subsections[0].section_pages, 5);
    assert_int_equal(image.subsections[0].backed_pages, 2);
    assert_int_equal(image.subsections[0].file_bytes, 0x1C00);
    image_page_at(&image, 4, &at);
    assert_int_equal(at.protection, PROT_EXECUTE_WRITECOPY);
    assert_int_equal(at.file_bytes, 0);
    struct image_source source = pe_source(&file);
    assert_int_equal(image_read_rva(&source, &image, 0x1000, page, PAGE), NTMM_STATUS_SUCCESS);
    assert_memory_equal(page, file.bytes + PAGE, 0xC00);
    assert_int_equal(page[0xC00], 0);
    pe_set32(&file, PE_IMAGE_BYTES, 0x800); /* less than the file */
    must_parse();
    assert_int_equal(image.subsections[0].file_bytes, 0x1000);
}

/* Reads across pages and subsections, at every place of the default file. */
static void reads_by_address(void **state)
{
    static uint8_t whole[6 * PAGE], part[6 * PAGE];
    (void)state;
    pe_make(&file, true);
    must_parse();
    memcpy(whole, file.bytes, PE_HEADERS);
    memcpy(whole + 0x1000, file.bytes + 0x400, 0x1400);
    memcpy(whole + 0x3000, file.bytes + 0x1800, 0x400);
    struct image_source source = pe_source(&file);
    for (uint32_t rva = 0; rva < sizeof(whole); rva += 509) {
        uint32_t size = (uint32_t)sizeof(whole) - rva;
        memset(part, 0xA5, sizeof(part));
        assert_int_equal(image_read_rva(&source, &image, rva, part, size), NTMM_STATUS_SUCCESS);
        assert_memory_equal(part, whole + rva, size);
    }
}

static void code_is_found_in_several_ways(void **state)
{
    (void)state;
    pe_begin(&file, true);
    pe_add_section(&file, 0x1000, 0x200, PE_READ);
    must_parse();
    assert_false(image.contains_code);
    pe_set32(&file, PE_ENTRY, 0x1000);
    must_parse();
    assert_true(image.contains_code);
    pe_set32(&file, PE_ENTRY, 0);
    pe_set32(&file, PE_CODE_BYTES, 1);
    must_parse();
    assert_true(image.contains_code);
    pe_set32(&file, PE_CODE_BYTES, 0);
    pe_set32(&file, pe_section(&file, 0) + 36, PE_EXECUTE);
    must_parse();
    assert_true(image.contains_code);
}

static void relocatable(bool is_64, uint32_t rva, uint32_t size, uint32_t characteristics,
                        bool expected)
{
    pe_make(&file, is_64);
    pe_set16(&file, PE_DLL_CHARACTERISTICS, IMAGE_DLL_DYNAMIC_BASE);
    pe_set16(&file, PE_CHARACTERISTICS, IMAGE_EXECUTABLE | characteristics);
    pe_set_directory(&file, PE_DIRECTORY_RELOCATION, rva, size);
    must_parse();
    assert_int_equal(image.has_relocations, expected);
    assert_int_equal(image.can_move, expected);
}

static void what_makes_an_image_movable(void **state)
{
    (void)state;
    for (unsigned is_64 = 0; is_64 < 2; is_64++) {
        relocatable(is_64, 0x3000, 0x100, 0, true);
        assert_int_equal(image.relocation_rva, 0x3000);
        assert_int_equal(image.relocation_bytes, 0x100);
        relocatable(is_64, 0x3000, 0x3000, 0, true);
        relocatable(is_64, 0x3000, 0x3001, 0, false);
        relocatable(is_64, 0xFFFFFFFF, 0x2, 0, false);
        relocatable(is_64, 0x3000, 0, 0, false);
        relocatable(is_64, 0, 0x100, 0, false);
        relocatable(is_64, 0x3000, 0x100, IMAGE_RELOCS_STRIPPED, false);
        pe_set16(&file, PE_CHARACTERISTICS, IMAGE_EXECUTABLE);
        pe_set16(&file, PE_DLL_CHARACTERISTICS, 0);
        must_parse();
        assert_true(image.has_relocations);
        assert_false(image.can_move);
        pe_set32(&file, is_64 ? PE_DIRECTORY_COUNT_64 : PE_DIRECTORY_COUNT_32, 5);
        must_parse();
        assert_false(image.has_relocations);
    }
}

/* A COR header at 0x1100, in .text. */
static uint8_t com_flags(bool is_64, uint32_t cor_flags, uint32_t major, uint32_t minor,
                         uint32_t size)
{
    const uint32_t at = 0x500;
    pe_make(&file, is_64);
    pe_set_directory(&file, PE_DIRECTORY_COM, 0x1100, size);
    pe_set32(&file, at, 72);
    pe_set16(&file, at + 4, major);
    pe_set16(&file, at + 6, minor);
    pe_set32(&file, at + 16, cor_flags);
    must_parse();
    assert_int_equal(image.loader_flags, size ? 1 : 0);
    return image.flags;
}

static void the_com_descriptor(void **state)
{
    const uint8_t ready = IMAGE_FLAG_COM_NATIVE_READY, only = IMAGE_FLAG_COM_IL_ONLY;
    const uint8_t prefer = IMAGE_FLAG_COM_PREFER_32BIT;
    (void)state;
    assert_int_equal(com_flags(false, 1, 2, 5, 72), ready | only);
    assert_int_equal(com_flags(false, 1, 3, 0, 72), ready | only);
    assert_int_equal(com_flags(false, 1, 2, 4, 72), 0);
    assert_int_equal(com_flags(false, 0, 2, 5, 72), 0);
    assert_int_equal(com_flags(false, 3, 2, 5, 72), only);
    assert_int_equal(com_flags(false, 0x20003, 2, 5, 72), only | prefer);
    assert_int_equal(com_flags(true, 1, 2, 5, 72), only);
    assert_int_equal(com_flags(false, 1, 2, 5, 71), 0);
    assert_int_equal(com_flags(false, 1, 2, 5, 0), 0);
    pe_make(&file, false);
    pe_set_directory(&file, PE_DIRECTORY_COM, 1, 1); /* nonsense is tolerated */
    must_parse();
    assert_int_equal(image.loader_flags, 1);
    assert_int_equal(image.flags, 0);
    pe_set_directory(&file, PE_DIRECTORY_COM, 0xFFFFFFF0, 72);
    must_parse();
    assert_int_equal(image.flags, 0);
}

static void information_has_its_layout(void **state)
{
    uint8_t out[IMAGE_INFORMATION_BYTES];
    (void)state;
    pe_make(&file, true);
    pe_set32(&file, PE_ENTRY, 0x1010);
    pe_set32(&file, PE_CHECKSUM, 0xC0FFEE);
    pe_set16(&file, PE_DLL_CHARACTERISTICS, IMAGE_DLL_DYNAMIC_BASE | IMAGE_DLL_NX_COMPAT);
    pe_set16(&file, PE_OPTIONAL + 40, 10);
    pe_set16(&file, PE_OPTIONAL + 42, 1);
    pe_set16(&file, PE_OPTIONAL + 48, 6);
    pe_set16(&file, PE_OPTIONAL + 50, 2);
    pe_set64(&file, PE_OPTIONAL + 72, 0x200000);
    pe_set64(&file, PE_OPTIONAL + 80, 0x3000);
    must_parse();
    memset(out, 0xA5, sizeof(out));
    image_information(&image, 0x7FF812340000ull, 0x1234567890ull, out);
    assert_int_equal(bytes_get64(out), 0x7FF812341010ull);
    assert_int_equal(bytes_get64(out + 8), 0);
    assert_int_equal(bytes_get64(out + 16), 0x200000);
    assert_int_equal(bytes_get64(out + 24), 0x3000);
    assert_int_equal(bytes_get32(out + 32), 3);
    assert_int_equal(bytes_get16(out + 36), 2);
    assert_int_equal(bytes_get16(out + 38), 6);
    assert_int_equal(bytes_get16(out + 40), 10);
    assert_int_equal(bytes_get16(out + 42), 1);
    assert_int_equal(bytes_get16(out + 44), IMAGE_EXECUTABLE);
    assert_int_equal(bytes_get16(out + 46), 0x140);
    assert_int_equal(bytes_get16(out + 48), IMAGE_MACHINE_AMD64);
    assert_int_equal(out[50], 1);
    assert_int_equal(out[51], IMAGE_FLAG_DYNAMICALLY_RELOCATED);
    assert_int_equal(bytes_get32(out + 52), 0);
    assert_int_equal(bytes_get32(out + 56), 0x34567890);
    assert_int_equal(bytes_get32(out + 60), 0xC0FFEE);
    image_information(&image, 0x10000, 0, out);
    assert_int_equal(out[51], IMAGE_FLAG_DYNAMICALLY_RELOCATED | IMAGE_FLAG_BASE_BELOW_4GB);
}

static void stack_sizes_of_32_bits(void **state)
{
    (void)state;
    pe_make(&file, false);
    pe_set32(&file, PE_OPTIONAL + 72, 0x100000);
    pe_set32(&file, PE_OPTIONAL + 76, 0x2000);
    must_parse();
    assert_int_equal(image.stack_reserve_bytes, 0x100000);
    assert_int_equal(image.stack_commit_bytes, 0x2000);
}

/* One to eight bytes of the headers, or whole fields set to values at an edge. */
static void mutate(struct prng *prng)
{
    const uint32_t edges[] = {0,      1,          0x1FF,      0x200,     0xFFF,
                              0x1000, 0x7FFFFFFF, 0xFFFFF000, 0xFFFFFFFF};
    uint64_t changes = prng_between(prng, 1, 4);
    uint32_t end = pe_section(&file, file.section_count);
    while (changes-- > 0) {
        uint32_t at = PE_OFFSET + (uint32_t)prng_below(prng, end - PE_OFFSET);
        if (prng_below(prng, 2))
            file.bytes[at] = (uint8_t)prng_next(prng);
        else
            pe_set32(&file, at & ~3u, edges[prng_below(prng, 9)]);
    }
    if (prng_below(prng, 8) == 0)
        file.size_bytes = prng_below(prng, file.size_bytes + 1);
}

static bool is_documented(ntmm_status status)
{
    return status == NTMM_STATUS_INVALID_FILE_FOR_SECTION ||
           status == NTMM_STATUS_INVALID_IMAGE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_NOT_MZ ||
           status == NTMM_STATUS_INVALID_IMAGE_PROTECT ||
           status == NTMM_STATUS_INVALID_IMAGE_NE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_LE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_WIN_16;
}

static void mutated_images_keep_the_promises(void **state)
{
    struct prng prng;
    unsigned accepted = 0;
    (void)state;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 20000; i++) {
        pe_make(&file, prng_below(&prng, 2));
        pe_set_directory(&file, PE_DIRECTORY_RELOCATION, 0x3000, 0x100);
        mutate(&prng);
        ntmm_status status = pe_parse(&file, &image);
        if (status != NTMM_STATUS_SUCCESS) {
            assert_true(is_documented(status));
            continue;
        }
        const char *broken = pe_broken_promise(&image, file.size_bytes);
        if (broken)
            print_error("mutation %u: %s\n", i, broken);
        assert_null(broken);
        accepted++;
    }
    assert_in_range(accepted, 2000, 18000); /* both ways are trodden */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characteristics_become_protections),
        cmocka_unit_test(sizes_become_pages),
        cmocka_unit_test(headers_are_pages_too),
        cmocka_unit_test(gaps_have_no_access),
        cmocka_unit_test(flat_images_are_their_files),
        cmocka_unit_test(reads_by_address),
        cmocka_unit_test(code_is_found_in_several_ways),
        cmocka_unit_test(what_makes_an_image_movable),
        cmocka_unit_test(the_com_descriptor),
        cmocka_unit_test(information_has_its_layout),
        cmocka_unit_test(stack_sizes_of_32_bits),
        cmocka_unit_test(mutated_images_keep_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
