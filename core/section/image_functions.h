/*
 * Functions of an image that may be called through pointers: the table of control flow guard.
 *
 *   load configuration    where the table is, of how many entries     image_parse reads it
 *   table in the file     function (4) and 0 to 15 bytes | ..         whoever makes the image
 *   frames of the record  function (4) | function (4) | ..            whoever makes a view
 *
 * The table is read and checked once, through the pages of the file's data, so that who maps a view
 * waits for nothing, and what becomes of the file later does not matter. A function is left out if
 * the first byte behind its address says so. A table that does not ascend all through, or leads out
 * of the image, is none: the image has no functions, and all its code may be called.
 *
 *   CA9 an image without functions counts none; those of another lie in frames of its lists behind
 *       those of its relocations, ascend, and are in the image
 *
 * Source: the published PE format; what becomes of a bad table: ours (docs/fidelity.md).
 */
#ifndef NTMM_SECTION_IMAGE_FUNCTIONS_H
#define NTMM_SECTION_IMAGE_FUNCTIONS_H

#include "section/image_record.h"
#include "space/call_targets.h"

#define FUNCTIONS_WINDOW_BYTES 256u
#define FUNCTIONS_PER_FRAME (NTMM_PAGE_SIZE / 4u)

/* A table being read. */
struct image_functions {
    relocate_read read;
    void *context;
    const struct image *image;
    uint32_t index;       /* of the next entry */
    uint32_t least;       /* that the next function may be */
    uint32_t window_from; /* entries [from, end) are in the window */
    uint32_t window_end;
    uint8_t window[FUNCTIONS_WINDOW_BYTES];
};

/* For image_parse: has_functions and where they are, from the directory of the load configuration.
 * Returns SUCCESS, or the reader's status. */
NTMM_MUST_USE ntmm_status image_read_load_config(const struct image_source *source, uint32_t rva,
                                                 uint32_t size, struct image *image);

/* From the first entry on, of an image with has_functions. */
void image_functions_begin(struct image_functions *f, const struct image *image, relocate_read read,
                           void *context);

/* The next function; *is_there: false behind the last. Returns SUCCESS, the reader's status, or
 * INVALID_IMAGE_FORMAT for one that is not above the one before or not in the image. */
NTMM_MUST_USE ntmm_status image_functions_next(struct image_functions *f, uint32_t *rva,
                                               bool *is_there);

/* Where a record keeps function n, n < function_count. */
le32 *image_function_slot(const struct call *c, const struct image_record *record, uint32_t n);

/* What the bitmap of call targets says of an executable page of an image with functions. */
void image_function_bits(const struct call *c, const struct image_record *record, uint32_t page,
                         uint8_t bits[TARGETS_PAGE_BYTES]);

#endif
