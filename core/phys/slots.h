/*
 * Page files: their descriptors, and which of their slots hold a page.
 *
 *   anchor --> frame: 16 descriptors of 256 bytes
 *   descriptor --> root frame: 512 references --> frame: 256 struct slot_leaf --> bitmap frame:
 *                  32,768 slots, bit 1 = in use
 *
 * A slot is in use while a page file entry or a frame's original entry names it, while a write to
 * it is in flight, or for good once it is bad. Slot 0 and slots past the size are in use too, so
 * that they are never given out. A run lies in one leaf. Frames of the map come before the file
 * grows and stay.
 *
 * G1 an allocated slot is named by exactly one of a software entry or one frame's original entry
 * G2 used_pages + bad_pages + 1 is the number of set bits below size_pages; the free counts of the
 *    leaves agree with their bits; every bit at or past size_pages is set
 * G3 peak_pages is at least used_pages
 * G4 no run of free slots in a leaf is longer than its `longest`
 *
 * Everything here but the lookup needs (G) of the file, or takes it where it says so.
 * Source: nt_semantics 9.2 (slot 0, sizes, first fit from a hint, halving); the map is ours.
 */
#ifndef NTMM_PHYS_SLOTS_H
#define NTMM_PHYS_SLOTS_H

#include "phys/pfn.h"
#include "x64/formats.h"

#include <ntmm/paging.h>

#define PAGE_FILE_BYTES 256u
#define SLOTS_PER_LEAF 32768u
#define LEAVES_PER_TABLE 256u
#define PAGE_FILE_SUSPECTS 16u

/* A bitmap and what is known of it. */
struct slot_leaf {
    le64 ref;     /* frame of the bitmap, or 0 (G) */
    le32 free;    /* clear bits (G) */
    le32 longest; /* no run of clear bits is longer (G) */
};

struct page_file {
    le32 lock;                         /* LOCK_PAGE_FILE */
    le32 number;                       /* its index; fixed */
    le64 device;                       /* fixed */
    le64 size_pages;                   /* (G) */
    le64 initial_pages;                /* fixed */
    le64 maximum_pages;                /* fixed */
    le64 used_pages;                   /* (G) */
    le64 peak_pages;                   /* (G) */
    le64 bad_pages;                    /* (G) */
    le64 map_ref;                      /* root of the slot map (G) */
    le64 hint;                         /* slot at which the next search begins (G) */
    le64 paused_until_100ns;           /* no write begins before this time; 0: not paused (G) */
    le32 failures;                     /* single-page writes that failed in a row (G) */
    le32 singles;                      /* writes to come that take one page each (G) */
    le32 outstanding_writes;           /* transfers in flight (G) */
    le32 suspect_count;                /* (G) */
    le32 suspects[PAGE_FILE_SUSPECTS]; /* slots that the failures in a row made bad (G) */
    le64 reads;                        /* (G) from here: as in ntmm_paging_file_information */
    le64 pages_read;
    le64 writes;
    le64 pages_written;
    le64 failed_reads;
    le64 failed_writes;
};

NTMM_STATIC_ASSERT(sizeof(struct page_file) <= PAGE_FILE_BYTES, "a frame holds 16");

/* The descriptor of a page file that exists. */
static inline struct page_file *page_file_at(const struct call *c, uint32_t number)
{
    uint64_t ref = get64(&partition_of(c)->paging_ref);
    return core_at(c->bias, ref + (uint64_t)number * PAGE_FILE_BYTES);
}

static inline bool page_files_exist(const struct call *c)
{
    return load32_acquire(&partition_of(c)->page_file_count) != 0;
}

/* Whether a value, of a prototype entry or a frame's original entry, says that the page is that of
 * a file: then it names a subsection, and no slot. */
static inline bool entry_is_of_file(uint64_t value)
{
    return (value & FIELD_MASK(SUBSECTION_PROTOTYPE)) != 0;
}

/* Whether a page file lies on a device. Files are never taken away. */
static inline bool page_file_has_device(const struct call *c, uint64_t device)
{
    uint32_t count = load32_acquire(&partition_of(c)->page_file_count);
    for (uint32_t i = 0; i < count; i++) {
        if (get64(&page_file_at(c, i)->device) == device)
            return true;
    }
    return false;
}

/*
 * Of a page, beside its protection, in a bit that NT leaves unused: its frame failed when nothing
 * else had what it held. The value is of kind PTE_PAGEFILE, and names no slot, so that only who
 * would read the slot has to look.
 */
#define ENTRY_DAMAGED (4ull << (SW_UNUSED28 & 0xFF))

static inline uint64_t entry_damaged(uint64_t protection)
{
    return protection << (SW_PROTECTION & 0xFF) | 1ull << (SW_PAGEFILE_HIGH & 0xFF) | ENTRY_DAMAGED;
}

/* The value names no frame. */
static inline bool entry_is_damaged(uint64_t value)
{
    return !entry_is_of_file(value) && (value & ENTRY_DAMAGED) != 0;
}

/* The slot that an entry value names; 0: none. */
static inline uint64_t slot_of(uint64_t value)
{
    const uint64_t none = FIELD_MASK(SUBSECTION_PROTOTYPE) | ENTRY_DAMAGED;
    return value & none ? 0 : field_get(value, SW_PAGEFILE_HIGH);
}

static inline uint32_t slot_file(uint64_t value)
{
    return (uint32_t)field_get(value, SW_PAGEFILE_LOW);
}

/*
 * What became of a page that was reset, beside its protection (bits that NT leaves unused).
 *
 *   disposable   of a frame, in its original entry: its contents may go
 *   lost         of a page: they went. It stays until the next reset or undo of the page.
 */
#define ENTRY_DISPOSABLE (1ull << (SW_UNUSED28 & 0xFF))
#define ENTRY_LOST (2ull << (SW_UNUSED28 & 0xFF))

/*
 * Of a value that is of a file, in bits that NT leaves unused.
 *
 *   image    what is written to the page never goes to the file: it becomes a page of page files
 *   written  the file has the whole page, though its valid data may end before
 */
#define ENTRY_OF_IMAGE (1ull << (SUBSECTION_UNUSED12 & 0xFF))
#define ENTRY_WRITTEN (2ull << (SUBSECTION_UNUSED12 & 0xFF))

static inline bool entry_is_disposable(uint64_t value)
{
    return !entry_is_of_file(value) && (value & ENTRY_DISPOSABLE) != 0;
}

/* The value with its slot replaced; slot 0: none. Protection and used count stay. */
static inline uint64_t slot_set(uint64_t value, uint32_t file, uint64_t slot)
{
    value = field_set(value, SW_PAGEFILE_HIGH, slot);
    value = field_set(value, SW_PAGEFILE_LOW, slot ? file : 0);
    return field_set(value, SW_PAGEFILE_ALLOCATED, slot != 0);
}

/* The leaf of a slot, or NULL: there is no map so far. (G), or nobody changes the map. */
struct slot_leaf *slots_leaf(const struct call *c, const struct page_file *file, uint64_t slot);

/* Frames that the map lacks for size_pages. */
uint64_t slots_map_need(const struct call *c, const struct page_file *file, uint64_t size_pages);

/*
 * Give the file's map room for size_pages, which does not change the size. False with c->want set
 * when a frame is missing, nothing changed. The frames are the caller's to charge: it can promise
 * what they will bring in the same step. Takes (N). Without (G): nobody looks past the size, and
 * the caller sees to it that a file grows once at a time.
 */
bool slots_map_room(struct call *c, struct page_file *file, uint64_t size_pages);

/* Give the frames of the map back, which nobody uses; their charge is the caller's. Returns how
 * many there were. */
uint64_t slots_map_free(struct call *c, struct page_file *file);

/* The file's size becomes size_pages, whose map exists: its new slots are free. (G) held. */
void slots_resize(struct call *c, struct page_file *file, uint64_t size_pages);

/* Take the first run of at most `most` free slots that a search from the hint, and then from the
 * beginning, finds; when none of that length exists the length is halved until there is one.
 * Returns it, 0 when the file is full; *first is its first slot. The hint moves behind the run.
 * (G) held. */
uint32_t slots_take(struct call *c, struct page_file *file, uint32_t most, uint64_t *first);

/* Free slots in use. (G) held. */
void slots_give(struct call *c, struct page_file *file, uint64_t first, uint64_t count);

/* A slot in use is never used again, unless it is found to be good after all: then it is free.
 * (G) held. */
void slot_mark_bad(struct page_file *file);
void slot_unmark_bad(struct call *c, struct page_file *file, uint64_t slot);

/* Whether a slot below the size is in use (bad ones too). (G) held. */
bool slot_is_used(struct call *c, struct page_file *file, uint64_t slot);

/* Free the slot that an entry value names, if it names one. Takes (G). */
void slot_release(struct call *c, uint64_t value);

/* Slots of the file that are free. (G) held. */
static inline uint64_t slots_free(const struct page_file *file)
{
    return get64(&file->size_pages) - 1 - get64(&file->used_pages) - get64(&file->bad_pages);
}

/* The frames of all page files' maps, their descriptors and the dummy page go back; no slot matters
 * any more. Nothing is in flight. */
void slots_free_all(struct call *c);

#endif
