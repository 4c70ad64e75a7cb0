/*
 * The tree of prototype entries of a control area: page tables without a processor.
 *
 *   root_frame (level n) --> table (n - 1) --> ... --> table (1): prototype entries, 512 to a frame
 *
 * The geometry is that of page tables, so an entry's address says which page it is of, and a frame
 * names its prototype entry as a private frame names its page table's. Tables are made when an
 * entry is first needed, and charged to commit until they are freed: when their last entry goes, or
 * none says anything. One in which nothing is in memory may be trimmed, and is out then:
 *
 *   entry above   transition (listed, or being read), or page file with the used count
 *
 *   PT4 tables_out of an area is the number of its tables that are out: none of a file's data or of
 *       large pages, of a reserved one only leaf tables whose pages are all committed
 *
 * prototype.c has the walk and the life of tables, prototype_trim.c decides which of them may go.
 * Everything here needs (X) of the area, but where it says otherwise.
 */
#ifndef NTMM_SECTION_PROTOTYPE_H
#define NTMM_SECTION_PROTOTYPE_H

#include "section/area.h"

#define PROTOTYPE_LEVELS_MAX 4u

/* Entries of one table for a run of pages, or the proof that there is none in memory. */
struct prototype_span {
    le64 *entry;       /* entry of the first page; NULL: there is no table, or it is out */
    struct pfn *table; /* row of its table */
    uint64_t end;      /* page after the last one of the same table, or of the same missing one */
    le64 *upper;       /* without entry: where the walk stopped; NULL: there is no root */
};

/* Whether a table above the entry exists, but is not in memory. */
static inline bool prototype_is_out(const struct prototype_span *span)
{
    return span->upper && load64_relaxed(span->upper) != 0;
}

/* The tables in memory that lead to a page, from the root down. */
struct prototype_path {
    uint64_t frames[PROTOTYPE_LEVELS_MAX]; /* the first one decides at `levels`, each less by one */
    uint32_t count;
    uint32_t levels;
    uint64_t end; /* as of a span */
};

struct prototype_path prototype_walk(const struct call *c, const struct control_area *area,
                                     uint64_t page);

/* Levels of a tree for so many pages: 1 to 4. */
uint32_t prototype_levels(uint64_t pages);

/* Find the entry of a page. */
struct prototype_span prototype_find(struct call *c, struct control_area *area, uint64_t page);

/* As prototype_find, making the tables if there are frames for all of them and `beside` more. entry
 * is NULL when a table is out, or on shortage, with c->want set: then none is new. */
struct prototype_span prototype_make(struct call *c, struct control_area *area, uint64_t page,
                                     enum table_payer payer, uint32_t beside);

/* Free the leaf table of a page, and tables above it, as far as they are empty. Nobody keeps a
 * pointer to an entry of theirs. */
void prototype_prune(struct call *c, struct control_area *area, uint64_t page);

/* The same of a range; c->want stays. */
void prototype_prune_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end);

/* The table that the walk found out comes back, if it is in transition and not being read. False:
 * it is neither. */
bool prototype_return(struct call *c, struct control_area *area, const struct prototype_span *span);

/* All tables that are out are given up, with all that they name: the system ends. */
void prototype_abandon_tables(struct call *c, struct control_area *area);

/* The page that a prototype entry is of, by its address. The entry names a frame whose (F) is held,
 * or (X) is. */
uint64_t prototype_page(const struct call *c, uint64_t entry_address);

/* Make all tables of [start, end) but those that are out; false with c->want set, none is new. */
bool prototype_make_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end);

/* The tree has room for more pages. False with c->want set. */
bool prototype_grow(struct call *c, struct control_area *area, uint64_t pages);

/* Free every table; none is out, and all entries are empty, or say nothing that is not known. */
void prototype_free_tables(struct call *c, struct control_area *area);

/* The frame that an entry names, with (F) held, or FRAME_NONE. */
uint64_t prototype_lock_frame(struct call *c, const le64 *entry);

/* What an empty entry stands for: the file's, demand zero, or 0: not committed. */
uint64_t prototype_default(const struct call *c, const struct control_area *area, uint64_t page);

/* A table in memory goes: it is empty, and freed; or nothing in it is in memory, it has a table
 * above it, and goes into transition. */
void prototype_free_table(struct call *c, struct control_area *area, uint64_t frame);
void prototype_trim_table(struct call *c, struct control_area *area, uint64_t frame);

/* --- prototype_trim.c --- */

/* Frames that a page's tables may need before it can be used: those that are missing or out, and
 * those that may go until then. */
uint32_t prototype_frames_needed(struct call *c, struct control_area *area, uint64_t page);

/* A sweep over the tables of an area. */
struct prototype_sweep {
    uint64_t page;    /* where it goes on */
    uint64_t examine; /* tables that may still be looked at */
    uint64_t go;      /* tables that may still go */
    uint64_t gone;    /* that went */
    uint32_t cuts;    /* of a file's data: its cuts, when nobody was changing its size */
};

/* Look at a few tables; the caller counts one transfer of the area. False: it is at its end. */
bool prototype_sweep(struct call *c, struct control_area *area, struct prototype_sweep *sweep);

#endif
