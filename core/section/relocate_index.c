/*
 * The index of a relocation directory: measured, built, searched. See relocate.h.
 *
 *   record of a block      page (4)  offset in the directory (4)           sorted by both
 *   record of a straddle   page (4)  fixup (2)  parameter (2)  low bytes (8)   sorted by page
 *
 * The records lie one after another in chunks, none across two. Blocks of one page stay in the
 * order of the directory, so that their fixups are applied in that order. Blocks are nearly always
 * sorted already; the sort is in place and O(n log n) whatever the file says.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/relocate_private.h"

#include <ntmm/status.h>

#define BLOCK_RECORD_BYTES 8u
#define STRADDLE_RECORD_BYTES 16u

/* Records of one kind in the chunks. */
struct records {
    const struct relocation *relocation;
    uint64_t begin; /* byte of the index */
    uint32_t size;  /* bytes of one */
    uint32_t count;
};

static struct records blocks_of(const struct relocation *r)
{
    return (struct records){r, 0, BLOCK_RECORD_BYTES, r->block_count};
}

static struct records straddles_of(const struct relocation *r)
{
    uint64_t begin = round_up((uint64_t)r->block_count * BLOCK_RECORD_BYTES, STRADDLE_RECORD_BYTES);
    return (struct records){r, begin, STRADDLE_RECORD_BYTES, r->straddle_count};
}

static uint8_t *record_at(const struct records *records, uint32_t n)
{
    const struct relocation *r = records->relocation;
    uint64_t at = records->begin + (uint64_t)n * records->size;
    NTMM_ASSERT(n < records->count);
    uint8_t *chunk = r->chunk(r->chunk_context, (uint32_t)(at / RELOCATE_CHUNK_BYTES));
    return chunk + at % RELOCATE_CHUNK_BYTES;
}

uint32_t relocate_chunks(const struct relocation *r)
{
    struct records last = straddles_of(r);
    uint64_t bytes = last.begin + (uint64_t)last.count * last.size;
    return (uint32_t)(round_up(bytes, RELOCATE_CHUNK_BYTES) / RELOCATE_CHUNK_BYTES);
}

struct block relocate_get_block(const struct relocation *r, uint32_t n)
{
    struct records blocks = blocks_of(r);
    const uint8_t *record = record_at(&blocks, n);
    return (struct block){.page = bytes_get32(record), .offset = bytes_get32(record + 4)};
}

struct straddle relocate_get_straddle(const struct relocation *r, uint32_t n)
{
    struct records straddles = straddles_of(r);
    const uint8_t *record = record_at(&straddles, n);
    struct straddle found = {.page = bytes_get32(record), .low = bytes_get64(record + 8)};
    found.fixup.word = bytes_get16(record + 4);
    found.fixup.parameter = bytes_get16(record + 6);
    (void)relocate_decode(&found.fixup);
    return found;
}

/* The first record of at least `page`. */
static uint32_t find(const struct records *records, uint32_t page)
{
    uint32_t low = 0, high = records->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (bytes_get32(record_at(records, middle)) < page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t relocate_find_block(const struct relocation *r, uint32_t page)
{
    struct records blocks = blocks_of(r);
    return find(&blocks, page);
}

uint32_t relocate_find_straddle(const struct relocation *r, uint32_t page)
{
    struct records straddles = straddles_of(r);
    return find(&straddles, page);
}

static bool record_is_less(const struct records *records, uint32_t a, uint32_t b)
{
    const uint8_t *left = record_at(records, a), *right = record_at(records, b);
    uint32_t left_page = bytes_get32(left), right_page = bytes_get32(right);
    if (left_page != right_page)
        return left_page < right_page;
    return bytes_get32(left + 4) < bytes_get32(right + 4);
}

static void record_swap(const struct records *records, uint32_t a, uint32_t b)
{
    uint8_t *left = record_at(records, a), *right = record_at(records, b);
    for (uint32_t i = 0; i < records->size; i++) {
        uint8_t byte = left[i];
        left[i] = right[i];
        right[i] = byte;
    }
}

/* Makes [0, end) a heap again, whose root may be less than its children. */
static void sink(const struct records *records, uint32_t root, uint32_t end)
{
    while (root < end / 2) {
        uint32_t child = 2 * root + 1;
        if (child + 1 < end && record_is_less(records, child, child + 1))
            child++;
        if (!record_is_less(records, root, child))
            return;
        record_swap(records, root, child);
        root = child;
    }
}

static bool is_sorted(const struct records *records)
{
    for (uint32_t i = 1; i < records->count; i++) {
        if (record_is_less(records, i, i - 1))
            return false;
    }
    return true;
}

static void sort(const struct records *records)
{
    if (is_sorted(records))
        return;
    for (uint32_t root = records->count / 2; root > 0; root--)
        sink(records, root - 1, records->count);
    for (uint32_t end = records->count - 1; end > 0; end--) {
        record_swap(records, 0, end);
        sink(records, 0, end);
    }
}

static bool has_content(const struct image *image, uint32_t page)
{
    struct image_page at;
    if (page >= image->image_pages)
        return false;
    image_page_at(image, page, &at);
    return at.file_bytes != 0;
}

/* What a block holds: whether any fixup, and how many straddle. */
struct census {
    bool has_fixups;
    uint32_t straddles;
};

static ntmm_status census_of(const struct relocation *r, const struct image *image,
                             const struct block *block, struct census *census)
{
    struct fixups fixups;
    struct fixup fixup;
    *census = (struct census){0};
    relocate_begin_fixups(r, image, block, &fixups);
    for (;;) {
        ntmm_status status = relocate_next_fixup(&fixups, &fixup);
        if (status != NTMM_STATUS_SUCCESS || fixup.width == 0)
            return status;
        if (!census->has_fixups && !has_content(image, block->page))
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
        census->has_fixups = true;
        if (!relocate_straddles(&fixup))
            continue;
        if (census->straddles == 0 && !has_content(image, block->page + 1))
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
        census->straddles++;
    }
}

ntmm_status relocate_measure(struct relocation *r, const struct image *image)
{
    struct block block;
    struct census census;
    r->block_count = 0;
    r->straddle_count = 0;
    for (uint32_t offset = 0;; offset += block.bytes) {
        ntmm_status status = relocate_read_block(r, image, offset, &block);
        if (status != NTMM_STATUS_SUCCESS || block.bytes == 0)
            return status;
        status = census_of(r, image, &block, &census);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        r->block_count += census.has_fixups;
        r->straddle_count += census.straddles;
    }
}

/* What was written of the index so far. */
struct filled {
    uint32_t blocks;
    uint32_t straddles;
};

static ntmm_status put_straddle(const struct relocation *r, const struct block *block,
                                const struct fixup *fixup, struct filled *filled)
{
    struct records straddles = straddles_of(r);
    uint32_t rva = (block->page << NTMM_PAGE_SHIFT) + fixup->place;
    uint8_t low[8] = {0};
    if (filled->straddles == straddles.count)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT; /* not the directory that was measured */
    ntmm_status status = r->read(r->read_context, rva, low, NTMM_PAGE_SIZE - fixup->place);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint8_t *record = record_at(&straddles, filled->straddles++);
    bytes_set(record, block->page + 1, 4);
    bytes_set(record + 4, fixup->word, 2);
    bytes_set(record + 6, fixup->parameter, 2);
    bytes_set(record + 8, bytes_get64(low), 8);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status put_block(const struct relocation *r, const struct image *image,
                             const struct block *block, struct filled *filled)
{
    struct fixups fixups;
    struct fixup fixup;
    bool has_fixups = false;
    struct records blocks = blocks_of(r);
    relocate_begin_fixups(r, image, block, &fixups);
    for (;;) {
        ntmm_status status = relocate_next_fixup(&fixups, &fixup);
        if (status == NTMM_STATUS_SUCCESS && fixup.width != 0 && relocate_straddles(&fixup))
            status = put_straddle(r, block, &fixup, filled);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (fixup.width == 0)
            break;
        has_fixups = true;
    }
    if (!has_fixups)
        return NTMM_STATUS_SUCCESS;
    if (filled->blocks == blocks.count)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT; /* not the directory that was measured */
    uint8_t *record = record_at(&blocks, filled->blocks++);
    bytes_set(record, block->page, 4);
    bytes_set(record + 4, block->offset, 4);
    return NTMM_STATUS_SUCCESS;
}

/* Counts the fixups of a page that touch a byte of its [begin, end). */
static ntmm_status count_touching(const struct relocation *r, const struct image *image,
                                  uint32_t page, uint32_t begin, uint32_t end, uint32_t *count)
{
    struct fixups fixups;
    struct fixup fixup;
    struct block block;
    for (uint32_t n = relocate_find_block(r, page); n < r->block_count; n++) {
        struct block found = relocate_get_block(r, n);
        if (found.page != page)
            break;
        ntmm_status status = relocate_read_block(r, image, found.offset, &block);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        relocate_begin_fixups(r, image, &block, &fixups);
        for (;;) {
            status = relocate_next_fixup(&fixups, &fixup);
            if (status != NTMM_STATUS_SUCCESS)
                return status;
            if (fixup.width == 0)
                break;
            *count += fixup.place < end && fixup.place + fixup.width > begin;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

/* Nothing but itself touches a straddling fixup's bytes. */
static ntmm_status check_straddles(const struct relocation *r, const struct image *image)
{
    for (uint32_t n = 0; n < r->straddle_count; n++) {
        struct straddle s = relocate_get_straddle(r, n);
        uint32_t end = s.fixup.place + s.fixup.width - NTMM_PAGE_SIZE, count = 0;
        if (n > 0 && relocate_get_straddle(r, n - 1).page == s.page)
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
        ntmm_status status =
            count_touching(r, image, s.page - 1, s.fixup.place, NTMM_PAGE_SIZE, &count);
        if (status == NTMM_STATUS_SUCCESS)
            status = count_touching(r, image, s.page, 0, end, &count);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (count != 1)
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status relocate_build(const struct relocation *r, const struct image *image)
{
    struct block block;
    struct filled filled = {0};
    for (uint32_t offset = 0;; offset += block.bytes) {
        ntmm_status status = relocate_read_block(r, image, offset, &block);
        if (status == NTMM_STATUS_SUCCESS && block.bytes != 0)
            status = put_block(r, image, &block, &filled);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (block.bytes == 0)
            break;
    }
    if (filled.blocks != r->block_count || filled.straddles != r->straddle_count)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    struct records blocks = blocks_of(r), straddles = straddles_of(r);
    sort(&blocks);
    sort(&straddles);
    return check_straddles(r, image);
}
