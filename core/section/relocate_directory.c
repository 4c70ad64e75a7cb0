/*
 * The base relocation directory as blocks and fixups. See relocate.h, relocate_private.h.
 *
 *   block    page address (4)  bytes of the block (4)  fixup (2) fixup (2) ..
 *   fixup    kind (bits 15:12)  place in the page (11:0); HIGHADJ takes the next 2 bytes too
 *
 * Source: the published PE format.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/relocate_private.h"

#include <ntmm/status.h>

#define BLOCK_HEADER_BYTES 8u

enum {
    KIND_ABSOLUTE = 0,
    KIND_HIGH = 1,
    KIND_LOW = 2,
    KIND_HIGHLOW = 3,
    KIND_HIGHADJ = 4,
    KIND_DIR64 = 10,
};

/* Bytes that a fixup of a kind changes; 0: none that we know changes any. */
static const uint8_t widths[16] = {
    [KIND_HIGH] = 2, [KIND_LOW] = 2, [KIND_HIGHLOW] = 4, [KIND_HIGHADJ] = 2, [KIND_DIR64] = 8,
};

ntmm_status relocate_read_block(const struct relocation *r, const struct image *image,
                                uint32_t offset, struct block *block)
{
    uint8_t header[BLOCK_HEADER_BYTES];
    uint32_t left = image->relocation_bytes - offset;
    *block = (struct block){.offset = offset};
    if (left < BLOCK_HEADER_BYTES)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status =
        r->read(r->read_context, image->relocation_rva + offset, header, BLOCK_HEADER_BYTES);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint32_t rva = bytes_get32(header);
    uint32_t bytes = bytes_get32(header + 4);
    if (rva == 0 && bytes == 0)
        return NTMM_STATUS_SUCCESS;
    block->bytes = bytes;
    block->page = rva >> NTMM_PAGE_SHIFT;
    if (bytes < BLOCK_HEADER_BYTES || bytes > left || !is_multiple(bytes, 2))
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    if (!is_multiple(rva, NTMM_PAGE_SIZE) || block->page >= image->image_pages)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    return NTMM_STATUS_SUCCESS;
}

void relocate_begin_fixups(const struct relocation *r, const struct image *image,
                           const struct block *block, struct fixups *fixups)
{
    fixups->relocation = r;
    fixups->directory_rva = image->relocation_rva;
    fixups->at = block->offset + BLOCK_HEADER_BYTES;
    fixups->end = block->offset + block->bytes;
    fixups->window_at = fixups->at;
    fixups->window_end = fixups->at;
}

/* at < end. */
static ntmm_status next_word(struct fixups *f, uint16_t *word)
{
    if (f->at >= f->window_end) {
        const struct relocation *r = f->relocation;
        uint32_t bytes = (uint32_t)min_u64(f->end - f->at, sizeof(f->window));
        ntmm_status status = r->read(r->read_context, f->directory_rva + f->at, f->window, bytes);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        f->window_at = f->at;
        f->window_end = f->at + bytes;
    }
    *word = bytes_get16(f->window + (f->at - f->window_at));
    f->at += 2;
    return NTMM_STATUS_SUCCESS;
}

bool relocate_decode(struct fixup *fixup)
{
    fixup->width = widths[fixup->word >> 12];
    fixup->place = fixup->word & (NTMM_PAGE_SIZE - 1);
    return fixup->width != 0;
}

ntmm_status relocate_next_fixup(struct fixups *f, struct fixup *fixup)
{
    *fixup = (struct fixup){0};
    while (f->at < f->end) {
        ntmm_status status = next_word(f, &fixup->word);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (relocate_decode(fixup)) {
            if (fixup->word >> 12 != KIND_HIGHADJ)
                return NTMM_STATUS_SUCCESS;
            return f->at < f->end ? next_word(f, &fixup->parameter)
                                  : NTMM_STATUS_INVALID_IMAGE_FORMAT;
        }
        if (fixup->word >> 12 != KIND_ABSOLUTE)
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    }
    return NTMM_STATUS_SUCCESS;
}

uint64_t relocate_addend(const struct fixup *fixup, uint64_t delta)
{
    uint32_t parameter = fixup->parameter;
    if (parameter & 0x8000)
        parameter |= 0xFFFF0000; /* a signed 16-bit number */
    switch (fixup->word >> 12) {
    case KIND_HIGH:
        return (uint32_t)delta >> 16;
    case KIND_HIGHADJ:
        return ((uint32_t)delta + parameter + 0x8000) >> 16;
    default:
        return delta;
    }
}
