/*
 * A page moved to another base. See relocate.h.
 *
 * Every kind of fixup adds a number, modulo its width. In a page, the sum of a fixup that lies in
 * it; of one that ends in the next page, the sum of its low bytes; of one that began in the page
 * before, the sum of its high bytes and the carry that the low bytes make.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/relocate_private.h"

#include <ntmm/status.h>

static void add(uint8_t *at, uint32_t count, uint64_t addend)
{
    bytes_set(at, bytes_get(at, count) + addend, count);
}

static void add_high_part(const struct straddle *s, uint64_t delta, uint8_t *bytes)
{
    uint32_t low_bytes = NTMM_PAGE_SIZE - s->fixup.place; /* 1 to 7 */
    uint64_t addend = relocate_addend(&s->fixup, delta);
    uint64_t low_mask = ((uint64_t)1 << 8 * low_bytes) - 1;
    uint64_t carry = ((s->low & low_mask) + (addend & low_mask)) >> 8 * low_bytes;
    add(bytes, s->fixup.width - low_bytes, (addend >> 8 * low_bytes) + carry);
}

static ntmm_status apply_block(const struct relocation *r, const struct image *image,
                               uint32_t offset, uint64_t delta, uint8_t *bytes)
{
    struct block block;
    struct fixups fixups;
    struct fixup fixup;
    ntmm_status status = relocate_read_block(r, image, offset, &block);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    relocate_begin_fixups(r, image, &block, &fixups);
    for (;;) {
        status = relocate_next_fixup(&fixups, &fixup);
        if (status != NTMM_STATUS_SUCCESS || fixup.width == 0)
            return status;
        uint32_t count = (uint32_t)min_u64(fixup.width, NTMM_PAGE_SIZE - fixup.place);
        add(bytes + fixup.place, count, relocate_addend(&fixup, delta));
    }
}

static uint32_t base_bytes(const struct image *image) { return image->is_64 ? 8 : 4; }

/* Which the loader then reads in the headers: the image looks as if made for that base. */
static void put_base(const struct image *image, uint32_t page, uint64_t base, uint8_t *bytes)
{
    for (uint32_t i = 0; i < base_bytes(image) && image->base_rva != 0; i++) {
        uint32_t rva = image->base_rva + i;
        if (rva >> NTMM_PAGE_SHIFT == page)
            bytes[rva & (NTMM_PAGE_SIZE - 1)] = (uint8_t)(base >> 8 * i);
    }
}

static bool holds_base(const struct image *image, uint32_t page)
{
    uint32_t last = image->base_rva + base_bytes(image) - 1;
    return image->base_rva != 0 &&
           (image->base_rva >> NTMM_PAGE_SHIFT == page || last >> NTMM_PAGE_SHIFT == page);
}

bool relocate_touches(const struct relocation *r, const struct image *image, uint32_t page)
{
    uint32_t n = relocate_find_block(r, page);
    if (n < r->block_count && relocate_get_block(r, n).page == page)
        return true;
    n = relocate_find_straddle(r, page);
    if (n < r->straddle_count && relocate_get_straddle(r, n).page == page)
        return true;
    return holds_base(image, page);
}

ntmm_status relocate_page(const struct relocation *r, const struct image *image, uint32_t page,
                          uint64_t base, uint8_t *bytes)
{
    uint64_t delta = base - image->preferred_base;
    if (delta == 0)
        return NTMM_STATUS_SUCCESS;
    for (uint32_t n = relocate_find_block(r, page); n < r->block_count; n++) {
        struct block block = relocate_get_block(r, n);
        if (block.page != page)
            break;
        ntmm_status status = apply_block(r, image, block.offset, delta, bytes);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    uint32_t n = relocate_find_straddle(r, page);
    if (n < r->straddle_count) {
        struct straddle straddle = relocate_get_straddle(r, n);
        if (straddle.page == page)
            add_high_part(&straddle, delta, bytes);
    }
    put_base(image, page, base, bytes);
    return NTMM_STATUS_SUCCESS;
}
