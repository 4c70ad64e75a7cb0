/*
 * Base relocation of an image, one page at a time, when the page is read in.
 *
 *   directory   | page, size, fixup fixup .. | page, size, fixup .. |    blocks, of a page each
 *   index       | page, offset | page, offset | .. (sorted)             where a page's blocks are
 *               | page, fixup, low bytes | ..     (sorted)             fixups that straddle
 *
 * A fixup of up to 8 bytes may begin in one page and end in the next. Each page takes its part
 * alone: the first adds the low bytes and drops the carry; the second needs the carry, so the index
 * keeps, for it, what the low bytes were in the file. So a page is relocated from its own file
 * bytes and the index, whichever page came first, any number of times.
 *
 * The directory is read through a reader, by address in the image, a few bytes at a time; the index
 * lies in chunks of the caller's, 4 KiB each. Nothing is kept elsewhere.
 *
 *     relocate_measure   reads and checks all of the directory, and says how much memory
 *     relocate_build     fills the index
 *     relocate_page      adds what the distance to the new base makes of a page
 *
 * A relocated page is, byte for byte, that page of the whole image relocated at once in the order
 * of the directory. For that, no other fixup may touch the bytes of one that straddles.
 * Source: nt_semantics 5.5; the published PE format. The index is ours.
 */
#ifndef NTMM_SECTION_RELOCATE_H
#define NTMM_SECTION_RELOCATE_H

#include "section/image.h"

#define RELOCATE_CHUNK_BYTES 4096u

/* Copies bytes of the image as its file has them, zeros where it has none (image_read_rva), never
 * past its pages. Any status but success ends the operation and is what it returns. */
typedef ntmm_status (*relocate_read)(void *context, uint32_t rva, void *buffer, uint32_t size);

/* Chunk n of the index, n < relocate_chunks(): RELOCATE_CHUNK_BYTES at any address, the same bytes
 * whenever it is asked. Two may be in use at once; no pointer outlives a call. */
typedef void *(*relocate_chunk)(void *context, uint32_t n);

/* The first two groups are the caller's before relocate_measure; it fills the last. Plain values,
 * that the caller may store away and bring again with the same chunks. */
struct relocation {
    relocate_read read;
    void *read_context;
    relocate_chunk chunk;
    void *chunk_context;
    uint32_t block_count;    /* records of 8 bytes, at the beginning of the index */
    uint32_t straddle_count; /* records of 16 bytes, from the next multiple of 16 on */
};

/*
 * Reads all of the directory of an image with has_relocations, and checks it: blocks of an even
 * size of at least 8 bytes inside the directory, for a page of the image; a block of zeros, or
 * fewer than 8 bytes, end it. Fixups of known kinds (HIGH, LOW, HIGHLOW, HIGHADJ with its second
 * half, DIR64), each byte in a page with file content.
 *
 * Returns SUCCESS, the reader's status, or INVALID_IMAGE_FORMAT.
 */
NTMM_MUST_USE ntmm_status relocate_measure(struct relocation *r, const struct image *image);

/* Chunks that the index needs; 0 for an image without fixups. */
uint32_t relocate_chunks(const struct relocation *r);

/*
 * Fills the index. The directory must read as it did for relocate_measure.
 *
 * Returns SUCCESS; the reader's status; or INVALID_IMAGE_FORMAT when a fixup that straddles shares
 * a byte with another. On failure the index may not be used, but built again.
 */
NTMM_MUST_USE ntmm_status relocate_build(const struct relocation *r, const struct image *image);

/* Whether relocate_page would change a page, which has file content then. O(log n). */
bool relocate_touches(const struct relocation *r, const struct image *image, uint32_t page);

/*
 * Relocates the 4096 bytes of a page of the image, as its file has them, to a base: its fixups, and
 * the base that the headers name. O(log n) and the page's fixups.
 *
 * Returns SUCCESS, or the reader's status with the page spoilt: it must be read again.
 */
NTMM_MUST_USE ntmm_status relocate_page(const struct relocation *r, const struct image *image,
                                        uint32_t page, uint64_t base, uint8_t *bytes);

#endif
