/*
 * The tree of prototype entries of a control area: page tables without a processor.
 *
 *   root_frame (level n) --> table (n - 1) --> ... --> table (1): prototype entries, 512 to a frame
 *
 * The geometry is that of page tables, so an entry's address says which page it is of, and a frame
 * names its prototype entry as a private frame names its page table's. Tables are made when an
 * entry is first needed, charged to commit, and freed with their area.
 *
 * Everything here needs (X) of the area, but where it says otherwise.
 */
#ifndef NTMM_SECTION_PROTOTYPE_H
#define NTMM_SECTION_PROTOTYPE_H

#include "section/area.h"

#define PROTOTYPE_LEVELS_MAX 4u

/* Entries of one table for a run of pages, or the proof that there is none. */
struct prototype_span {
    le64 *entry;       /* entry of the first page; NULL: there is no table */
    struct pfn *table; /* row of its table */
    uint64_t end;      /* page after the last one of the same table, or of the same missing one */
};

/* Levels of a tree for so many pages: 1 to 4. */
uint32_t prototype_levels(uint64_t pages);

/* Find the entry of a page. */
struct prototype_span prototype_find(struct call *c, struct control_area *area, uint64_t page);

/* As prototype_find, making the tables. entry is NULL with c->want set on shortage. */
struct prototype_span prototype_make(struct call *c, struct control_area *area, uint64_t page,
                                     enum table_payer payer);

/* The page that a prototype entry is of, by its address. The entry names a frame whose (F) is held,
 * or (X) is. */
uint64_t prototype_page(const struct call *c, uint64_t entry_address);

/* Make all tables of [start, end); false with c->want set, those made stay. */
bool prototype_make_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end);

/* The tree has room for more pages. False with c->want set. */
bool prototype_grow(struct call *c, struct control_area *area, uint64_t pages);

/* Free every table; all entries are empty, or say nothing that is not known. */
void prototype_free_tables(struct call *c, struct control_area *area);

/* The frame that an entry names, with (F) held, or FRAME_NONE. */
uint64_t prototype_lock_frame(struct call *c, const le64 *entry);

/* What an empty entry stands for: the file's, demand zero, or 0: not committed. */
uint64_t prototype_default(const struct call *c, const struct control_area *area, uint64_t page);

#endif
