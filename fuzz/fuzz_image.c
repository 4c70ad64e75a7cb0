/*
 * PE files: parsed, described, and relocated page by page.
 *
 * An input is a byte that chooses, and the rest:
 *   bit 0 clear   the rest is the file
 *   bit 0 set     a small valid file, PE32+ or PE32 by bit 1, with relocations; the rest are
 *                 records of 6 bytes, a place in headers or relocations (2) and its new bytes (4);
 *                 bit 2 set, the relocations begin empty; bit 3 set, a load configuration behind
 *                 them names functions that may be called
 *   bits 7:4      a read, from the first on, that fails once; 0 for none
 *
 * Statuses are the documented ones, what was accepted keeps the promises of image.h, no read leaves
 * the file, no write the index, every page alone equals its page of the image relocated whole, and
 * functions ascend in the image.
 */
#include "section/image_functions.h"
#include "unit/pe_file.h"
#include "unit/pe_flat.h"

#include "section/bytes.h"

#include <ntmm/status.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE NTMM_PAGE_SIZE
#define PAGES_COMPARED 48u
#define CHUNKS_MAX 64u
#define RECORD_BYTES 6u
#define RELOCATIONS_AT 0x2400u /* in the small file */
#define RELOCATION_BYTES 0x600u
#define CONFIG_PLACE 0x400u /* behind the relocations; the table follows */
#define STATUS_OF_READ NTMM_STATUS_IN_PAGE_ERROR

static struct pe_file file;
static struct image image;
static struct image_source source;
static uint8_t whole[PAGES_COMPARED * PAGE];

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void apply_records(const uint8_t *data, size_t size)
{
    for (; size >= RECORD_BYTES; data += RECORD_BYTES, size -= RECORD_BYTES) {
        uint32_t place = bytes_get16(data);
        place = place & 0x8000 ? RELOCATIONS_AT + place % RELOCATION_BYTES : place % PE_HEADERS;
        memcpy(file.bytes + place, data + 2, 4);
    }
}

/* Some blocks of each kind of fixup, one of which straddles. */
static void put_relocations(void)
{
    const uint32_t fixups[] = {0x3FFE, 0xA100, 0x1200, 0x2210, 0x4220, 0x8001, 0x0000, 0xA300};
    uint32_t at = RELOCATIONS_AT;
    for (uint32_t page = 1; page <= 2; page++) {
        pe_set32(&file, at, page * PAGE);
        pe_set32(&file, at + 4, 8 + 16);
        for (uint32_t i = 0; i < 8; i++)
            pe_set16(&file, at + 8 + 2 * i, page == 2 && i == 0 ? 0 : fixups[i]);
        at += 24;
    }
}

/* Three functions, of which the second is suppressed. */
static void put_functions(void)
{
    uint32_t at = RELOCATIONS_AT + CONFIG_PLACE;
    uint32_t rva = 0x3000 + CONFIG_PLACE;
    const struct pe_guard guard = {.table =
                                       (file.is_64 ? 0x140000000u : 0x400000u) + rva + PE_FUNCTIONS,
                                   .count = 3,
                                   .flags = 1u << 28 | PE_GUARD_TABLE_PRESENT};
    pe_set_guard(&file, at, &guard);
    pe_set_directory(&file, PE_DIRECTORY_LOAD_CONFIG, rva, 0x40);
    pe_set16(&file, PE_DLL_CHARACTERISTICS, IMAGE_DLL_DYNAMIC_BASE | IMAGE_DLL_GUARD_CF);
    for (uint32_t i = 0; i < 3; i++) {
        pe_set32(&file, at + PE_FUNCTIONS + 5 * i, 0x1000 + 0x18 * i);
        file.bytes[at + PE_FUNCTIONS + 5 * i + 4] = i == 1;
    }
}

static void make_small_file(uint8_t choice)
{
    pe_begin(&file, !(choice & 2));
    pe_add_section(&file, 0x2000, 0x2000, PE_READ | PE_EXECUTE);
    pe_add_section(&file, 0x1000, RELOCATION_BYTES, PE_READ);
    pe_set_directory(&file, PE_DIRECTORY_RELOCATION, 0x3000, RELOCATION_BYTES);
    pe_set16(&file, PE_DLL_CHARACTERISTICS, IMAGE_DLL_DYNAMIC_BASE);
    memset(file.bytes + RELOCATIONS_AT, 0, RELOCATION_BYTES);
    if (!(choice & 4))
        put_relocations();
    if (choice & 8)
        put_functions();
}

static void make_file(const uint8_t *data, size_t size)
{
    uint8_t choice = data[0];
    if (choice & 1) {
        make_small_file(choice);
        apply_records(data + 1, size - 1);
    } else {
        memset(&file, 0, sizeof(file));
        file.size_bytes = size - 1 < PE_FILE_BYTES ? size - 1 : PE_FILE_BYTES;
        memcpy(file.bytes, data + 1, (size_t)file.size_bytes);
    }
    file.fail_at = choice >> 4;
    file.fail_status = STATUS_OF_READ;
}

static bool is_documented(ntmm_status status)
{
    return status == NTMM_STATUS_SUCCESS || status == STATUS_OF_READ ||
           status == NTMM_STATUS_INVALID_FILE_FOR_SECTION ||
           status == NTMM_STATUS_INVALID_IMAGE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_NOT_MZ ||
           status == NTMM_STATUS_INVALID_IMAGE_PROTECT ||
           status == NTMM_STATUS_INVALID_IMAGE_NE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_LE_FORMAT ||
           status == NTMM_STATUS_INVALID_IMAGE_WIN_16;
}

static ntmm_status read_rva(void *context, uint32_t rva, void *buffer, uint32_t size)
{
    (void)context;
    must(size != 0 && (uint64_t)rva + size <= (uint64_t)image.image_pages * PAGE);
    return image_read_rva(&source, &image, rva, buffer, size);
}

/* Each chunk is an allocation of its own, so that the sanitizer sees its ends. */
static void *chunk_of(void *context, uint32_t n)
{
    must(n < CHUNKS_MAX);
    return ((void **)context)[n];
}

/* With a second attempt, since a read may have failed. */
static ntmm_status again(ntmm_status (*operation)(struct relocation *), struct relocation *r)
{
    ntmm_status status = operation(r);
    if (status == STATUS_OF_READ)
        status = operation(r);
    must(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_INVALID_IMAGE_FORMAT);
    return status;
}

static ntmm_status measure(struct relocation *r) { return relocate_measure(r, &image); }

static ntmm_status build(struct relocation *r) { return relocate_build(r, &image); }

static void compare_pages(const struct relocation *r, uint64_t base)
{
    uint8_t page[PAGE];
    uint8_t *directory = malloc(image.relocation_bytes);
    must(directory != NULL);
    must(image_read_rva(&source, &image, image.relocation_rva, directory, image.relocation_bytes) ==
         NTMM_STATUS_SUCCESS);
    must(pe_flat_image(&source, &image, directory, base, whole) == NTMM_STATUS_SUCCESS);
    free(directory);
    for (uint32_t n = 0; n < image.image_pages; n++) {
        must(image_read_rva(&source, &image, n * PAGE, page, PAGE) == NTMM_STATUS_SUCCESS);
        must(relocate_page(r, &image, n, base, page) == NTMM_STATUS_SUCCESS);
        must(memcmp(page, whole + n * PAGE, PAGE) == 0);
    }
}

static void relocate(void)
{
    void *chunks[CHUNKS_MAX] = {0};
    struct relocation r = {read_rva, NULL, chunk_of, chunks, 0, 0};
    if (again(measure, &r) != NTMM_STATUS_SUCCESS)
        return;
    uint32_t needed = relocate_chunks(&r);
    if (needed > CHUNKS_MAX)
        return;
    for (uint32_t i = 0; i < needed; i++)
        must((chunks[i] = malloc(RELOCATE_CHUNK_BYTES)) != NULL);
    if (again(build, &r) == NTMM_STATUS_SUCCESS && image.image_pages <= PAGES_COMPARED) {
        file.fail_at = 0;
        compare_pages(&r, image.preferred_base + 0x123456780000ull);
        compare_pages(&r, image.preferred_base - 0x10000);
    }
    for (uint32_t i = 0; i < needed; i++)
        free(chunks[i]);
}

/* All that the table names, up to its end or its first defect. */
static void read_functions(void)
{
    struct image_functions f;
    uint64_t least = 0;
    uint32_t count = 0, rva;
    bool is_there = true;
    must((uint64_t)image.functions_rva + (uint64_t)image.function_count * image.function_bytes <=
         (uint64_t)image.image_pages * PAGE);
    image_functions_begin(&f, &image, read_rva, NULL);
    while (is_there) {
        ntmm_status status = image_functions_next(&f, &rva, &is_there);
        if (status == STATUS_OF_READ) {
            is_there = true; /* asked again */
            continue;
        }
        must(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_INVALID_IMAGE_FORMAT);
        if (status != NTMM_STATUS_SUCCESS || !is_there)
            break;
        must(rva >= least && rva < (uint64_t)image.image_pages * PAGE);
        least = (uint64_t)rva + 1;
        must(++count <= image.function_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t information[IMAGE_INFORMATION_BYTES];
    if (size == 0)
        return 0;
    make_file(data, size);
    source = pe_source(&file);
    ntmm_status status = pe_parse(&file, &image);
    must(is_documented(status));
    if (status == STATUS_OF_READ) {
        status = pe_parse(&file, &image);
        must(is_documented(status) && status != STATUS_OF_READ);
    }
    if (status != NTMM_STATUS_SUCCESS)
        return 0;
    must(pe_broken_promise(&image, file.size_bytes) == NULL);
    image_information(&image, image.preferred_base, file.size_bytes, information);
    if (image.has_relocations)
        relocate();
    if (image.has_functions)
        read_functions();
    return 0;
}
