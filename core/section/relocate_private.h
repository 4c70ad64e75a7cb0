/*
 * The parts that relocation is made of: the directory as blocks and fixups, the index as records.
 *
 * Prototypes by the file that defines them; the callers see relocate.h only.
 */
#ifndef NTMM_SECTION_RELOCATE_PRIVATE_H
#define NTMM_SECTION_RELOCATE_PRIVATE_H

#include "section/relocate.h"

struct block {
    uint32_t offset; /* in the directory */
    uint32_t bytes;  /* of header and fixups; 0: there are no more */
    uint32_t page;   /* that its fixups begin in */
};

struct fixup {
    uint16_t word;      /* kind in bits 15:12, place in the page below */
    uint16_t parameter; /* of HIGHADJ: its second half */
    uint32_t place;     /* of its first byte in the page */
    uint32_t width;     /* bytes, 2 to 8; 0: there are no more */
};

/* The fixups of one block, read a window at a time. */
struct fixups {
    const struct relocation *relocation;
    uint32_t directory_rva;
    uint32_t at, end; /* in the directory */
    uint32_t window_at, window_end;
    uint8_t window[128];
};

/* A fixup that ends in `page` and began in the one before. */
struct straddle {
    uint32_t page;
    struct fixup fixup;
    uint64_t low; /* in the file: its bytes before the page, as a number */
};

/* relocate_directory.c. Statuses: the reader's, or INVALID_IMAGE_FORMAT for what is malformed. */

/* The block at an offset of the directory. */
ntmm_status relocate_read_block(const struct relocation *r, const struct image *image,
                                uint32_t offset, struct block *block);
void relocate_begin_fixups(const struct relocation *r, const struct image *image,
                           const struct block *block, struct fixups *fixups);
ntmm_status relocate_next_fixup(struct fixups *fixups, struct fixup *fixup);

/* Fills width and place from word. False: an unknown kind, or ABSOLUTE, which has no width. */
bool relocate_decode(struct fixup *fixup);

/* What is to be added to the number that a fixup names, modulo 2^(8 * width), when the image moves
 * by delta. For every kind it is a sum: HIGH and HIGHADJ are sums of upper halves. */
uint64_t relocate_addend(const struct fixup *fixup, uint64_t delta);

static inline bool relocate_straddles(const struct fixup *fixup)
{
    return fixup->place + fixup->width > NTMM_PAGE_SIZE;
}

/* relocate_index.c */

/* The first record of blocks whose page is at least `page`; block_count if there is none. */
uint32_t relocate_find_block(const struct relocation *r, uint32_t page);
/* The same of straddling fixups. */
uint32_t relocate_find_straddle(const struct relocation *r, uint32_t page);
/* Page and offset of record n, n < block_count. */
struct block relocate_get_block(const struct relocation *r, uint32_t n);
struct straddle relocate_get_straddle(const struct relocation *r, uint32_t n);

#endif
