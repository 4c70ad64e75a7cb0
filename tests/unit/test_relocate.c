/*
 * Relocation page by page against relocation of the whole image at once (pe_flat.h).
 */
#include "section/relocate.h"
#include "unit/pe_file.h"
#include "unit/pe_flat.h"

#include "base/prng.h"
#include "section/bytes.h"

#include <ntmm/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE NTMM_PAGE_SIZE
#define CODE_RVA 0x2000u
#define CODE_PAGES 8u
#define BSS_RVA (CODE_RVA + CODE_PAGES * PAGE)
#define RELOC_RVA (BSS_RVA + 2 * PAGE)
#define RELOC_BYTES 0xC000u
#define IMAGE_BYTES (RELOC_RVA + RELOC_BYTES)
#define FORMAT NTMM_STATUS_INVALID_IMAGE_FORMAT

enum { ABSOLUTE = 0, HIGH = 1, LOW = 2, HIGHLOW = 3, HIGHADJ = 4, DIR64 = 10 };

static struct pe_file file;
static struct image image;
static uint32_t reloc_at; /* in the file */
static uint32_t used;     /* bytes of the directory */
static uint64_t preferred;

static struct image_source source;
static uint8_t chunks[8][RELOCATE_CHUNK_BYTES];
static struct relocation relocation;
static uint8_t flat[IMAGE_BYTES];

static ntmm_status read_rva(void *context, uint32_t rva, void *buffer, uint32_t size)
{
    return image_read_rva(context, &image, rva, buffer, size);
}

static void *chunk_at(void *context, uint32_t n)
{
    if (n >= 8)
        __builtin_trap();
    return ((uint8_t(*)[RELOCATE_CHUNK_BYTES])context)[n];
}

static void make_image(bool is_64)
{
    pe_begin(&file, is_64);
    file.next_rva = CODE_RVA;
    pe_set32(&file, PE_HEADER_BYTES, PAGE + 1); /* two pages of headers */
    file.size_bytes = 2 * PAGE;
    pe_add_section(&file, CODE_PAGES * PAGE, CODE_PAGES * PAGE, PE_READ);
    pe_add_section(&file, 2 * PAGE, 0, PE_READ | PE_WRITE);
    reloc_at = (uint32_t)file.size_bytes;
    pe_add_section(&file, RELOC_BYTES, RELOC_BYTES, PE_READ);
    memset(file.bytes + reloc_at, 0, RELOC_BYTES);
    preferred = is_64 ? 0x140000000ull : 0x400000;
    used = 0;
}

static uint8_t *code(uint32_t rva) { return file.bytes + 2 * PAGE + (rva - CODE_RVA); }

static void put_word(uint32_t word)
{
    pe_set16(&file, reloc_at + used, word);
    used += 2;
}

static uint32_t begin_block(uint32_t page_rva)
{
    uint32_t at = reloc_at + used;
    pe_set32(&file, at, page_rva);
    pe_set32(&file, at + 4, 8);
    used += 8;
    return at;
}

static void end_block(uint32_t at) { pe_set32(&file, at + 4, reloc_at + used - at); }

/* A block of one fixup. */
static void put_fixup(uint32_t kind, uint32_t rva, uint32_t parameter)
{
    uint32_t block = begin_block(rva & ~(PAGE - 1));
    put_word(kind << 12 | (rva & (PAGE - 1)));
    if (kind == HIGHADJ)
        put_word(parameter);
    end_block(block);
}

static void finish(void)
{
    pe_set_directory(&file, PE_DIRECTORY_RELOCATION, RELOC_RVA, used);
    assert_int_equal(pe_parse(&file, &image), NTMM_STATUS_SUCCESS);
    assert_true(image.has_relocations);
    source = pe_source(&file);
    memset(chunks, 0xA5, sizeof(chunks));
    relocation = (struct relocation){read_rva, &source, chunk_at, chunks, 77, 77};
}

static ntmm_status build(void)
{
    finish();
    ntmm_status status = relocate_measure(&relocation, &image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    assert_in_range(relocate_chunks(&relocation), 0, 8);
    return relocate_build(&relocation, &image);
}

static void expect(ntmm_status expected) { assert_int_equal(build(), expected); }

static void relocate_flat(uint64_t base)
{
    assert_int_equal(pe_flat_image(&source, &image, file.bytes + reloc_at, base, flat),
                     NTMM_STATUS_SUCCESS);
}

/* Every page of the image, alone, is its page of the flat one; and what changes, says so. */
static void compare(uint64_t base)
{
    uint8_t page[PAGE], before[PAGE];
    relocate_flat(base);
    for (uint32_t n = image.image_pages; n-- > 0;) {
        assert_int_equal(image_read_rva(&source, &image, n * PAGE, page, PAGE),
                         NTMM_STATUS_SUCCESS);
        memcpy(before, page, PAGE);
        assert_int_equal(relocate_page(&relocation, &image, n, base, page), NTMM_STATUS_SUCCESS);
        assert_memory_equal(page, flat + n * PAGE, PAGE);
        if (memcmp(before, page, PAGE) != 0)
            assert_true(relocate_touches(&relocation, &image, n));
    }
}

static const uint64_t deltas[] = {
    0x10000,      0xFFFF0000,         0x7FF612340000ull,     (uint64_t)-0x10000,
    0x1000000000, 0x0101010101010000, 0x8080808080808080ull, 0xFFFFFFFFFFFFFFFFull,
};

static void compare_all(void)
{
    for (unsigned i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++)
        compare(preferred + deltas[i]);
    compare(preferred);
}

/* Each kind, with 1 to 7 bytes before the boundary, and low bytes that carry or do not. */
static void fixups_that_straddle(void **state)
{
    const uint32_t kinds[] = {HIGH, LOW, HIGHLOW, HIGHADJ, DIR64}, widths[] = {2, 2, 4, 2, 8};
    const uint32_t fills[] = {0x00, 0xFF, 0x80, 0x7F, 0xFE};
    const uint32_t boundary = CODE_RVA + 3 * PAGE;
    unsigned vectors = 0;
    (void)state;
    for (unsigned k = 0; k < 5; k++) {
        for (uint32_t before = 1; before < widths[k]; before++) {
            for (unsigned fill = 0; fill < 5; fill++) {
                make_image(k == 4 || fill & 1);
                memset(code(boundary - before), (int)fills[fill], widths[k]);
                put_fixup(kinds[k], boundary - before, 0x9000 + fill * 0x1111);
                expect(NTMM_STATUS_SUCCESS);
                assert_int_equal(relocation.block_count, 1);
                assert_int_equal(relocation.straddle_count, 1);
                assert_int_equal(relocate_chunks(&relocation), 1);
                compare_all();
                vectors++;
            }
        }
    }
    assert_int_equal(vectors, 5 * (1 + 1 + 3 + 1 + 7));
}

/* No other page of an image with one straddling fixup is touched, but the headers' first. */
static void pages_without_fixups_are_left_alone(void **state)
{
    (void)state;
    make_image(true);
    put_fixup(DIR64, CODE_RVA + 3 * PAGE - 1, 0);
    put_fixup(DIR64, CODE_RVA + 5 * PAGE, 0);
    expect(NTMM_STATUS_SUCCESS);
    for (uint32_t page = 0; page < image.image_pages; page++) {
        uint32_t nth = page - CODE_RVA / PAGE;
        assert_int_equal(relocate_touches(&relocation, &image, page),
                         page == 0 || nth == 2 || nth == 3 || nth == 5);
    }
    compare_all();
}

/* The field of the base may lie across two pages, and is written by two. */
static void the_base_in_the_headers(void **state)
{
    (void)state;
    for (uint32_t nt = PAGE - 56; nt <= PAGE - 44; nt += 4) {
        make_image(true);
        memmove(file.bytes + nt, file.bytes + PE_OFFSET, 24 + 240 + 3 * 40);
        memset(file.bytes + PE_OFFSET, 0, 24);
        pe_set32(&file, 0x3C, nt);
        pe_set32(&file, nt + 24 + 60, 2 * PAGE);
        put_fixup(DIR64, CODE_RVA, 0);
        bytes_set(file.bytes + nt + 24 + 112 + 8 * PE_DIRECTORY_RELOCATION, RELOC_RVA, 4);
        bytes_set(file.bytes + nt + 24 + 112 + 8 * PE_DIRECTORY_RELOCATION + 4, used, 4);
        expect(NTMM_STATUS_SUCCESS);
        assert_int_equal(image.base_rva, nt + 24 + 24);
        assert_true(relocate_touches(&relocation, &image, image.base_rva / PAGE));
        assert_true(relocate_touches(&relocation, &image, (image.base_rva + 7) / PAGE));
        compare_all();
    }
}

/* Inside a page fixups may share bytes, and the order of the directory counts, over blocks too. */
static void fixups_on_top_of_one_another(void **state)
{
    (void)state;
    make_image(true);
    memset(code(CODE_RVA), 0xFF, 64);
    put_fixup(DIR64, CODE_RVA + 4, 0);
    put_fixup(HIGHLOW, CODE_RVA + PAGE + 4, 0);
    put_fixup(HIGHLOW, CODE_RVA + 6, 0);
    put_fixup(HIGH, CODE_RVA + 9, 0);
    put_fixup(DIR64, CODE_RVA + 2, 0);
    put_fixup(DIR64, CODE_RVA + 2, 0);
    expect(NTMM_STATUS_SUCCESS);
    compare_all();
}

static void share(uint32_t kind, uint32_t rva)
{
    make_image(true);
    put_fixup(kind, rva, 0);
    put_fixup(HIGHLOW, CODE_RVA + PAGE - 2, 0);
    expect(FORMAT);
    make_image(true);
    put_fixup(HIGHLOW, CODE_RVA + PAGE - 2, 0);
    put_fixup(kind, rva, 0);
    expect(FORMAT);
}

static void straddling_fixups_share_no_byte(void **state)
{
    (void)state;
    share(HIGHLOW, CODE_RVA + PAGE - 2);
    share(HIGHLOW, CODE_RVA + PAGE - 1);
    share(DIR64, CODE_RVA + PAGE - 8);
    share(LOW, CODE_RVA + PAGE - 3);
    share(LOW, CODE_RVA + PAGE + 1);
    make_image(true);
    put_fixup(LOW, CODE_RVA + PAGE + 2, 0);
    put_fixup(HIGHLOW, CODE_RVA + PAGE - 2, 0);
    put_fixup(LOW, CODE_RVA + PAGE - 4, 0);
    expect(NTMM_STATUS_SUCCESS);
    compare_all();
}

static void malformed_blocks(void **state)
{
    const uint32_t sizes[] = {1, 4, 7, 9, 13, 0x1000, 0xFFFFFFFF};
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_image(true);
        put_fixup(DIR64, CODE_RVA, 0);
        uint32_t block = begin_block(CODE_RVA);
        put_word(ABSOLUTE);
        put_word(ABSOLUTE);
        pe_set32(&file, block + 4, sizes[i]);
        expect(FORMAT);
    }
    make_image(true);
    put_fixup(DIR64, CODE_RVA, 0);
    pe_set32(&file, reloc_at, CODE_RVA + 4);
    expect(FORMAT);
    pe_set32(&file, reloc_at, IMAGE_BYTES);
    expect(FORMAT);
    pe_set32(&file, reloc_at, BSS_RVA); /* no content in the file */
    expect(FORMAT);
    for (uint32_t kind = 5; kind < 16; kind++) {
        make_image(true);
        put_fixup(kind, CODE_RVA, 0);
        expect(kind == DIR64 ? NTMM_STATUS_SUCCESS : FORMAT);
    }
    make_image(true);
    uint32_t block = begin_block(CODE_RVA);
    put_word(HIGHADJ << 12); /* and no second half */
    end_block(block);
    expect(FORMAT);
    make_image(true);
    put_fixup(DIR64, BSS_RVA - 4, 0); /* ends where there is no content */
    expect(FORMAT);
    make_image(true);
    put_fixup(DIR64, IMAGE_BYTES - 4, 0); /* or no image */
    expect(FORMAT);
}

static void what_ends_a_directory(void **state)
{
    (void)state;
    make_image(true);
    put_fixup(ABSOLUTE, BSS_RVA, 0); /* changes nothing, wherever it is */
    put_fixup(DIR64, CODE_RVA, 0);
    end_block(begin_block(CODE_RVA));
    put_fixup(DIR64, CODE_RVA + 8, 0);
    put_word(1);
    put_word(2);
    put_word(3);
    expect(NTMM_STATUS_SUCCESS); /* less than a block */
    assert_int_equal(relocation.block_count, 2);
    compare_all();
    used -= 6;
    pe_set32(&file, reloc_at + used, 0);
    pe_set32(&file, reloc_at + used + 4, 0);
    used += 8;
    put_fixup(7, CODE_RVA, 0); /* behind a block of zeros nothing counts */
    expect(NTMM_STATUS_SUCCESS);
    assert_int_equal(relocation.block_count, 2);
    make_image(true);
    put_word(0);
    expect(NTMM_STATUS_SUCCESS);
    assert_int_equal(relocate_chunks(&relocation), 0);
    compare_all();
}

/* Random fixups that share no byte, in blocks that are cut and shuffled. */
static void put_random(struct prng *prng, uint32_t *places, uint32_t *count)
{
    const uint32_t kinds[] = {HIGH, LOW, HIGHLOW, HIGHADJ, DIR64}, widths[] = {2, 2, 4, 2, 8};
    uint32_t at = CODE_RVA + (uint32_t)prng_below(prng, 64), limit = BSS_RVA - 8;
    uint64_t stride = prng_between(prng, 1, 40);
    for (*count = 0; at < limit && *count < 2000; ++*count) {
        uint32_t k = (uint32_t)prng_below(prng, 5);
        places[*count] = kinds[k] << 24 | at;
        at += widths[k] + (uint32_t)prng_below(prng, stride);
    }
    for (uint32_t i = *count; i-- > 1 && prng_below(prng, 64);) {
        uint32_t j = (uint32_t)prng_below(prng, i + 1), kept = places[i];
        places[i] = places[j];
        places[j] = kept;
    }
    for (uint32_t i = 0; i < *count;) {
        uint32_t page = places[i] & 0xFFF000, block = begin_block(page);
        for (; i < *count && (places[i] & 0xFFF000) == page && prng_below(prng, 50); i++) {
            put_word((places[i] >> 24) << 12 | (places[i] & 0xFFF));
            if (places[i] >> 24 == HIGHADJ)
                put_word((uint32_t)prng_next(prng));
        }
        end_block(block);
    }
}

static void random_directories(void **state)
{
    static uint32_t places[2000];
    struct prng prng;
    uint32_t count, most_chunks = 0, straddles = 0;
    (void)state;
    prng_seed(&prng, 1);
    for (unsigned round = 0; round < 200; round++) {
        make_image(round & 1);
        for (uint32_t i = 0; i < CODE_PAGES * PAGE; i++)
            *code(CODE_RVA + i) = (uint8_t)prng_next(&prng);
        put_random(&prng, places, &count);
        assert_in_range(used, 0, RELOC_BYTES);
        expect(NTMM_STATUS_SUCCESS);
        compare(preferred + (prng_next(&prng) & ~0xFFFFull));
        straddles += relocation.straddle_count;
        if (relocate_chunks(&relocation) > most_chunks)
            most_chunks = relocate_chunks(&relocation);
    }
    assert_in_range(straddles, 100, 2000);
    assert_in_range(most_chunks, 2, 8);
}

/* Whichever read fails, its status comes back, and a second attempt succeeds. */
static void a_reader_that_fails(void **state)
{
    uint8_t page[PAGE];
    (void)state;
    make_image(true);
    for (uint32_t i = 0; i < 3; i++)
        put_fixup(DIR64, CODE_RVA + (i + 1) * PAGE - 4, 0);
    finish();
    file.fail_status = NTMM_STATUS_PENDING;
    ntmm_status status = NTMM_STATUS_PENDING;
    unsigned failures[3] = {0};
    for (file.fail_at = 1; status != NTMM_STATUS_SUCCESS; file.fail_at++, failures[0]++) {
        file.reads = 0;
        status = relocate_measure(&relocation, &image);
        assert_true(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_PENDING);
    }
    status = NTMM_STATUS_PENDING;
    for (file.fail_at = 1; status != NTMM_STATUS_SUCCESS; file.fail_at++, failures[1]++) {
        file.reads = 0;
        status = relocate_build(&relocation, &image);
        assert_true(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_PENDING);
    }
    status = NTMM_STATUS_PENDING;
    for (file.fail_at = 1; status != NTMM_STATUS_SUCCESS; file.fail_at++, failures[2]++) {
        file.reads = 0;
        status = relocate_page(&relocation, &image, CODE_RVA / PAGE + 1, 0x10000, page);
        assert_true(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_PENDING);
    }
    assert_in_range(failures[0], 6, 50);
    assert_in_range(failures[1], 9, 50);
    assert_in_range(failures[2], 3, 50);
    file.fail_at = 0;
    compare_all();
}

/* Two chunks that the directory filled another way are not written past their end. */
static void a_directory_that_changes(void **state)
{
    (void)state;
    make_image(true);
    put_fixup(DIR64, CODE_RVA + 8, 0);
    put_fixup(DIR64, CODE_RVA + PAGE, 0);
    finish();
    assert_int_equal(relocate_measure(&relocation, &image), NTMM_STATUS_SUCCESS);
    pe_set16(&file, reloc_at + 8, DIR64 << 12 | (PAGE - 4)); /* now it straddles */
    assert_int_equal(relocate_build(&relocation, &image), FORMAT);
    pe_set16(&file, reloc_at + 8, ABSOLUTE);
    assert_int_equal(relocate_build(&relocation, &image), FORMAT);
    pe_set16(&file, reloc_at + 8, DIR64 << 12 | 8);
    assert_int_equal(relocate_build(&relocation, &image), NTMM_STATUS_SUCCESS);
    compare_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixups_that_straddle),
        cmocka_unit_test(pages_without_fixups_are_left_alone),
        cmocka_unit_test(the_base_in_the_headers),
        cmocka_unit_test(fixups_on_top_of_one_another),
        cmocka_unit_test(straddling_fixups_share_no_byte),
        cmocka_unit_test(malformed_blocks),
        cmocka_unit_test(what_ends_a_directory),
        cmocka_unit_test(random_directories),
        cmocka_unit_test(a_reader_that_fails),
        cmocka_unit_test(a_directory_that_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
