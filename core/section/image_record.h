/*
 * What an image keeps beside its pages: a record, and what relocation and call targets need.
 *
 *   control area --> record: numbers, lists --> frame: 512 references --> chunks of the index, then
 *                                                                         the directory, then the
 *                                                                         functions
 *
 * The record and all that it names lie in frames of their own, each charged to commit. Pages are
 * relocated in one page of the record, under (I): completions may come at the same time.
 *
 *   CA6 an image has a record, no other area has; its frames are charged_pages, each named once,
 *       and those of all records image_pages of the partition
 */
#ifndef NTMM_SECTION_IMAGE_RECORD_H
#define NTMM_SECTION_IMAGE_RECORD_H

#include "base/lock.h"
#include "phys/pfn.h"
#include "section/relocate.h"

#define IMAGE_LISTS 64u
#define IMAGE_FRAMES_MAX (IMAGE_LISTS * (NTMM_PAGE_SIZE / (uint32_t)sizeof(le64)))

struct image_record {
    le32 lock;           /* LOCK_IMAGE */
    le32 machine;        /* fixed from here on */
    le64 preferred_base; /* bytes */
    le64 base;           /* bytes: what its pages are relocated to */
    le32 image_pages;
    le32 base_rva;
    le32 is_64;
    le32 can_move;    /* it has relocations, all of them good */
    le32 is_stripped; /* it says that it has none */
    le32 relocation_rva;
    le32 relocation_bytes;
    le32 block_count;
    le32 straddle_count;
    le32 chunk_count;    /* of the index; the directory's frames follow */
    le32 frame_count;    /* in the lists */
    le32 has_functions;  /* it says which functions are call targets; else all its code is */
    le32 function_frame; /* the first that holds functions */
    le32 function_count;
    le32 charged_pages; /* frames of the record, the lists and what they name */
    le64 bounce;        /* frame in which pages are relocated, a reference (I) */
    le64 scratch;       /* frame for what the relocation is told (I) */
    le64 lists[IMAGE_LISTS];
    uint8_t information[IMAGE_INFORMATION_BYTES];
};

NTMM_STATIC_ASSERT(sizeof(struct image_record) <= NTMM_PAGE_SIZE, "a record is a frame");
NTMM_STATIC_ASSERT(sizeof(struct image) <= NTMM_PAGE_SIZE, "it fits the scratch frame");

static inline struct image_record *image_record_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

/* A record without lists. 0 with c->want set. */
uint64_t image_record_create(struct call *c);

/* So many frames more, zeroed. False with c->want set; what was added stays. */
bool image_record_grow(struct call *c, uint64_t ref, uint32_t frames);

/* Frame n of the lists. */
void *image_record_frame(const struct call *c, const struct image_record *record, uint32_t n);

/* Give back a record and all that it names. 0: nothing. */
void image_record_free(struct call *c, uint64_t ref);

/* The index of a record, for relocate_measure and relocate_build. */
void *image_record_chunk(void *context, uint32_t n);

struct image_chunks {
    const struct call *c;
    const struct image_record *record;
};

/* SECTION_IMAGE_INFORMATION. */
void image_record_describe(const struct call *c, uint64_t ref, void *buffer);

/* A page that was just read becomes what it is at the image's base. The content operations' status.
 * Takes (I). */
ntmm_status image_relocate(struct call *c, uint64_t ref, uint64_t page, uint64_t frame);

/* --- image_base.c --- */

/* Where an image that can move goes, bytes: a slot of 64 KiB of its kind's region that no other
 * image in use has; its preferred base when none is left. (O) is held. */
uint64_t image_choose_base(struct call *c, const struct image *image);

#endif
