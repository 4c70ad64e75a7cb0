/*
 * Control areas: what all sections of one file, as data or as image, or of one piece of page-file
 * memory, have in common.
 *
 *   section objects --+                  +--> subsection --> subsection --> 0
 *   views (VADs) -----+--> control area -+
 *   file object <---------/              +--> tree of prototype entries --> frames
 *
 * One of page files ends with the last section, view or call that refers to it; one of a file
 * stays, with its pages that are in memory, while the file is open or pages are modified.
 *
 * Invariants
 *   CA1 section_count is the number of section objects of it, view_count of the VADs of it, with
 *       writable_views that write to it; user_count is 0 between calls, and all when it is ending
 *   CA2 a file's data_area and image_area name control areas that name the file, and no other does
 *   CA3 subsections are disjoint, ascending, and cover the pages from 0 to `pages`
 *   CA4 commit_pages is what its pages and its tables are charged, also those that are out
 *   CA5 io_count is the number of transfers that look at it when they end
 *   CA7 areas_kept of the anchor is the number of areas that are ending and that no call ends now
 *   CA8 of a modified page the area has an age, none older than mapped_since, or a pass comes by
 *   PT1 a prototype entry is empty, valid, in transition, of a file, or a software entry; a valid
 *       one names an active frame whose shares are the entries of views and calls that name it
 *   PT2 a table's used count is its non-empty entries, its share count one more than those valid or
 *       in transition, of one that is out 0 (PT4: prototype.h); no entry lies beyond `pages`
 *
 * Who may change what: docs/sections.md. Source: public descriptions; the tree is ours.
 */
#ifndef NTMM_SECTION_AREA_H
#define NTMM_SECTION_AREA_H

#include "base/lock.h"
#include "phys/slots.h"
#include "section/object.h"
#include "space/table.h"

#define AREA_TAG SLAB_TAG('M', 'm', 'C', 'a')
#define SUBSECTION_TAG SLAB_TAG('M', 'm', 'S', 'b')

/* A tree has four levels at most. */
#define AREA_PAGES_MAX (1ull << 36)

enum {
    AREA_OF_FILE = 1u << 0, /* its pages come from a file */
    AREA_IMAGE = 1u << 1,   /* and are an image's */
    AREA_RESERVE = 1u << 2, /* pages are committed one by one: an empty entry is not */
    AREA_ENDING = 1u << 3,  /* nobody can find it any more */
    AREA_NOCACHE = 1u << 4,
    AREA_WRITECOMBINE = 1u << 5,
    AREA_LARGE_PAGES = 1u << 6, /* all its pages are in memory, in aligned runs */
};

struct control_area {
    struct modified_age age; /* of a file's data: see phys/pfn.h */
    le64 age_next;         /* where a pass over modified pages goes on, + 1; 0: there is none (O) */
    le32 lock;             /* LOCK_SECTION */
    le32 flags;            /* AREA_* bits (O) */
    le64 file;             /* its file object, a reference, or 0; fixed */
    le32 section_count;    /* (O) */
    le32 view_count;       /* (O) */
    le32 writable_views;   /* views of data that may write to it (O) */
    le32 user_count;       /* calls in progress (O) */
    le32 io_count;         /* transfers in flight that look at it when they end, and calls that go
                              over all areas and are at it (R) */
    le32 subsection_count; /* fixed */
    le64 subsections;      /* first one, a reference; fixed */
    le64 pages;            /* prototype entries (X) */
    le64 root_frame;       /* of the tree, or FRAME_NONE: it has no table (X) */
    le32 levels;           /* of the tree, enough for `pages` (X) */
    le32 protection;       /* PROT_* code that page-file pages are entered with; fixed */
    le64 commit_pages;     /* (X) */
    le64 table_pages;      /* of these, tables of the tree, those that are out included (X) */
    le64 base_page;        /* of an image: the page that it is relocated for; fixed */
    le64 image;            /* of an image: what was found in its headers, a reference; fixed */
    le64 next, prev;       /* all control areas, references (O) */
    le64 sweep_page;       /* where the sweep over its tables goes on (O) */
    le32 is_resident;      /* of large pages: they are promised to stay; fixed */
    le32 tables_out;       /* of table_pages, those that are not in memory (X) */
};

struct subsection {
    le64 area;         /* its control area, a reference; fixed */
    le64 next;         /* in order, a reference, or 0; fixed */
    le64 first_page;   /* fixed */
    le64 page_count;   /* (X); of data it grows */
    le64 file_offset;  /* bytes, of its first page; fixed */
    le64 file_bytes;   /* of an image: bytes that the file has for it; fixed */
    le32 backed_pages; /* of an image: pages with a part in the file; fixed */
    le32 protection;   /* PROT_* code of its pages; fixed */
    le32 is_shared;    /* of an image: pages are written in place, not copied; fixed */
    le32 reserved;
};

NTMM_STATIC_ASSERT(offsetof(struct subsection, area) == 0 &&
                       offsetof(struct control_area, age) == 0,
                   "where a page finds its age");

static inline struct control_area *area_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline uint64_t area_ref(const struct call *c, const struct control_area *area)
{
    return core_ref(c, area);
}

static inline struct subsection *subsection_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline bool area_is(const struct control_area *area, uint32_t flag)
{
    return (load32_relaxed(&area->flags) & flag) != 0;
}

static inline void area_lock(struct call *c, struct control_area *area)
{
    lock_acquire(c, &area->lock, LOCK_SECTION);
}

static inline void area_unlock(struct call *c, struct control_area *area)
{
    lock_release(c, &area->lock, LOCK_SECTION);
}

/* The subsection that a page of an area is in. The page is below `pages`. */
struct subsection *area_subsection(const struct call *c, const struct control_area *area,
                                   uint64_t page);

/* The subsection that a value of a file names. */
static inline struct subsection *subsection_of(const struct call *c, uint64_t value)
{
    return subsection_at(c, field_get_address(value, SUBSECTION_ADDRESS));
}

/* Bytes of a page that its file has, and where they begin; 0: the page is all zero. `value` is the
 * page's, of its entry or its frame. Takes no lock. */
uint32_t area_backing(const struct call *c, const struct control_area *area, uint64_t page,
                      uint64_t value, uint64_t *file_offset);

/* The value of a file for a page of a subsection. */
uint64_t subsection_value(const struct call *c, const struct control_area *area,
                          const struct subsection *subsection);

/* --- making and ending --- */

/* What an area is made of. */
struct area_config {
    uint64_t file; /* a reference, or 0 */
    uint64_t pages;
    uint32_t flags;      /* AREA_* */
    uint32_t protection; /* PROT_* code */
    uint32_t subsection_count;
};

/* A new area with one reference as a section; its subsections are the caller's to fill. 0 with
 * c->want set. Commit of its pages is the caller's. (O) is held. */
uint64_t area_create(struct call *c, const struct area_config *config);

enum area_user { AREA_SECTION, AREA_VIEW, AREA_WRITING_VIEW, AREA_CALL };

/* One reference more. (O) is held. */
void area_refer(struct control_area *area, enum area_user user);

/* One less; with the last one an area of page files ends. Neither (O) is held nor a lock below. */
void area_release(struct call *c, struct control_area *area, enum area_user user);

/* Whether nothing refers to it. (O) is held. */
bool area_is_idle(const struct control_area *area);

/* Drop pages from `first` on that nobody maps, modified or not: PURGE_FAILED when a page is mapped
 * or in a transfer; those before it have gone. Takes (X). */
ntmm_status area_purge(struct call *c, struct control_area *area, uint64_t first);

/* The file ends before page `first`: pages from there on go, those in a transfer too; what a call
 * still uses becomes zero. No view maps them. Takes (X). */
void area_cut(struct call *c, struct control_area *area, uint64_t first);

/* Nobody finds an idle area any more, though it is on the list of all; the caller ends it. (O) is
 * held. */
void area_hide(struct call *c, struct control_area *area);

/* End an area that the caller has hidden: purge it, free its tables and itself. False: a transfer
 * is in flight, or a table is out; it is kept for area_reap or areas_finish. */
bool area_end(struct call *c, struct control_area *area);

/* An area that was kept, has tables that are out and no transfer, and comes after one on the list;
 * NULL: from its head. The caller has it for itself, and ends it, or keeps it again. Takes (O). */
struct control_area *area_claim_kept(struct call *c, const struct control_area *after);
void area_keep(struct call *c, struct control_area *area);

/* Purge an area that is ending from a page on, as far as its tables are in memory. False: the table
 * of *page is out. Takes (X). */
bool area_empty(struct call *c, struct control_area *area, uint64_t *page);

/* Give up the tables of an area that are out, and what they name: the system ends. Takes (X). */
void area_abandon_tables(struct call *c, struct control_area *area);

/* --- based.c --- */

/* Where a SEC_BASED section of so many pages goes, in every process. (O) is held. */
uint64_t section_take_base(struct call *c, uint64_t pages);

/* End what was kept and has no transfer any more, but for areas with tables that are out. */
void area_reap(struct call *c);

#endif
