/*
 * Relocation of a whole image at once. See pe_flat.h.
 */
#include "unit/pe_flat.h"

#include "section/bytes.h"

#include <ntmm/status.h>

enum { HIGH = 1, LOW = 2, HIGHLOW = 3, HIGHADJ = 4, DIR64 = 10 };

void pe_flat_fixup(uint32_t kind, uint8_t *at, uint32_t parameter, uint64_t delta)
{
    uint32_t low = (uint32_t)delta;
    switch (kind) {
    case HIGH:
        bytes_set(at, bytes_get16(at) + (low >> 16), 2);
        break;
    case LOW:
        bytes_set(at, bytes_get16(at) + (low & 0xFFFF), 2);
        break;
    case HIGHLOW:
        bytes_set(at, bytes_get32(at) + low, 4);
        break;
    case HIGHADJ: {
        uint32_t value = (uint32_t)bytes_get16(at) << 16;
        value += (parameter ^ 0x8000) - 0x8000; /* its sign extended */
        bytes_set(at, (value + low + 0x8000) >> 16, 2);
        break;
    }
    case DIR64:
        bytes_set(at, bytes_get64(at) + delta, 8);
        break;
    default:
        break;
    }
}

static void flat_block(const uint8_t *block, uint32_t size, uint64_t delta, uint8_t *page)
{
    for (uint32_t i = 8; i < size; i += 2) {
        uint32_t word = bytes_get16(block + i), kind = word >> 12, parameter = 0;
        if (kind == HIGHADJ) {
            i += 2;
            parameter = bytes_get16(block + i);
        }
        pe_flat_fixup(kind, page + (word & 0xFFF), parameter, delta);
    }
}

ntmm_status pe_flat_image(const struct image_source *source, const struct image *image,
                          const uint8_t *directory, uint64_t base, uint8_t *memory)
{
    uint64_t delta = base - image->preferred_base;
    ntmm_status status =
        image_read_rva(source, image, 0, memory, image->image_pages * NTMM_PAGE_SIZE);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (uint32_t at = 0; image->relocation_bytes - at >= 8;) {
        uint32_t size = bytes_get32(directory + at + 4);
        if (size == 0)
            break;
        flat_block(directory + at, size, delta, memory + bytes_get32(directory + at));
        at += size;
    }
    if (image->base_rva != 0)
        bytes_set(memory + image->base_rva, base, image->is_64 ? 8 : 4);
    return NTMM_STATUS_SUCCESS;
}
