/*
 * Relocation of a whole image at once, as plainly as the format is: what relocate_page is compared
 * with.
 */
#ifndef NTMM_TESTS_UNIT_PE_FLAT_H
#define NTMM_TESTS_UNIT_PE_FLAT_H

#include "section/image.h"

/* Adds delta to what a fixup of this kind names. parameter: of HIGHADJ, 16 bits. */
void pe_flat_fixup(uint32_t kind, uint8_t *at, uint32_t parameter, uint64_t delta);

/* Fills memory, image_pages * 4096 bytes, with the image at a base. directory: its relocation_bytes
 * of relocations, which relocate_measure found well. */
ntmm_status pe_flat_image(const struct image_source *source, const struct image *image,
                          const uint8_t *directory, uint64_t base, uint8_t *memory);

#endif
