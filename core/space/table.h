/*
 * Page tables of a process: root (4) --> table (3) --> table (2) --> table (1): leaf entries.
 *
 * A table is made when an entry in it is first needed, counted, charged to commit, and freed when
 * its last entry becomes empty.
 *
 * Invariants
 *   V2 no user entry outside a VAD is non-empty
 *   V3 a table's used count (in its frame's row) is its number of non-empty entries; of the root
 *      only the user half counts
 *   V5 a table's share count is one plus its valid and transition entries: a table with one share
 *      holds nothing that is in memory, and may be paged
 *   V6 a non-empty entry above the leaves names a table and grants everything, or is a large page;
 *      the root's row names the root as its own table, and its self-map entry leads to it
 *   V7 a valid leaf entry grants what its page's protection says, the write bit only with dirty; no
 *      guard or no-access page is valid; one that clones share has no write bit; borrowed ones are
 *      its region's first and its place
 *   V9 a software entry holds the protection of a private page, or the mark of a decommitted one,
 *      perhaps a slot, and nothing else
 *   V10 the hint names the leaf table of its pages, which is in memory, or nothing
 *   V12 where the process keeps a range without tables, there is none
 *   T1 no processor uses a translation that the tables do not grant once the call that took it
 *      returns
 *
 * Everything here needs (W). A valid entry that a processor may see is replaced only by an atomic
 * exchange; what it mapped is freed or listed only after the shootdown (struct gather).
 */
#ifndef NTMM_SPACE_TABLE_H
#define NTMM_SPACE_TABLE_H

#include "phys/pfn.h"
#include "space/process.h"
#include "x64/formats.h"

#define PAGES_PER_TABLE 512u

/* Entries of one table for a run of pages, or the proof that there is none. */
struct table_span {
    le64 *entry;       /* entry of the first page; NULL: a table above it does not exist */
    struct pfn *table; /* row of the leaf table, when there is one */
    uint64_t end;      /* page after the last one of the same table, or of the same missing table */
    uint32_t level;    /* level at which the walk stopped: 1 when there is an entry */
    bool is_out;       /* a table above the entry exists, but is not in memory */
    bool is_large;     /* the walk stopped at a leaf above the tables of leaves */
    le64 *upper;       /* without entry: where the walk stopped */
    struct pfn *upper_table; /* without entry: row of the table that holds `upper` */
};

bool table_look_for_void(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Find the entry of a page, by the walk. What it finds, it leaves as the process's hint. */
struct table_span table_walk(struct call *c, struct process *process, uint64_t page);

static inline struct table_span table_leaf_span(struct call *c, uint64_t frame, uint64_t page)
{
    return (struct table_span){
        .entry = (le64 *)table_at(c, frame) + (page & (PAGES_PER_TABLE - 1)),
        .table = pfn_at(c, frame),
        .end = (page | (PAGES_PER_TABLE - 1)) + 1,
        .level = 1,
    };
}

/* The entry of an address in a table, for whoever follows entries by itself. */
static inline le64 *table_slot(const struct call *c, uint64_t frame, uint64_t va, uint32_t level)
{
    return (le64 *)table_at(c, frame) + x64_index(va, level);
}

/* Whether all of [start, end) is known to have no table: no entry of it is anything but 0. */
static inline bool table_is_void(struct call *c, struct process *process, uint64_t start,
                                 uint64_t end)
{
    if (start >= get64(&process->void_start) && end <= get64(&process->void_end))
        return true;
    return table_look_for_void(c, process, start, end);
}

/* Find the entry of a page. */
static inline struct table_span table_find(struct call *c, struct process *process, uint64_t page)
{
    if (get64(&process->leaf_span) == page >> 9)
        return table_leaf_span(c, get64(&process->leaf_frame), page);
    return table_walk(c, process, page);
}

/* The entry that decides a page: its own, or the leaf of a large page; NULL: there is none. */
static inline le64 *span_leaf(const struct table_span *span)
{
    return span->is_large ? span->upper : span->entry;
}

/* The frame of a page whose leaf is valid. */
static inline uint64_t span_frame(const struct table_span *span, uint64_t leaf, uint64_t page)
{
    uint64_t inside = page & ((1ull << 9 * (span->level - 1)) - 1);
    return field_get(leaf, HW_FRAME) + inside;
}

/* Who pays for a table. */
enum table_payer { TABLE_FOR_SERVICE, TABLE_FOR_FAULT };

/* As table_find, making the tables. entry is NULL, with c->want set, on shortage or when a table is
 * out (WANT_TABLE); tables made on the way stay, empty, for table_prune. */
struct table_span table_make(struct call *c, struct process *process, uint64_t page,
                             enum table_payer payer);

/* The entry of a level above 1 that decides a page, in `upper`, which is empty, making the tables
 * down to it; no table lies below it. upper is NULL, with c->want set, on shortage, as in
 * table_make. */
struct table_span table_make_above(struct call *c, struct process *process, uint64_t page,
                                   uint32_t level);

bool table_make_missing(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Make all leaf tables of [start, end); on shortage false with c->want set, and none is new. */
static inline bool table_make_range(struct call *c, struct process *process, uint64_t start,
                                    uint64_t end)
{
    uint64_t hint = get64(&process->leaf_span);
    if (hint == start >> 9 && hint == (end - 1) >> 9)
        return true;
    return table_make_missing(c, process, start, end);
}

bool table_root_create(struct call *c, uint64_t *root_frame);
void table_root_free(struct call *c, uint64_t root_frame);

/* The table that a span found out of memory comes back, if it is in transition and not being read.
 * It counts as modified from then on. False: it is neither, any more. */
bool table_return(struct call *c, struct process *process, const struct table_span *span);

/* The same of a table of anybody's whose entry above it is `upper`, which becomes `bits` and the
 * frame. */
bool table_reenter(struct call *c, le64 *upper, uint64_t bits);

/* A table that is out is given up, with all that it names; `table`: row of the table above it. */
void table_abandon_entry(struct call *c, struct pfn *table, le64 *upper);

bool tables_look_present(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Whether every table of [start, end) is in memory; false with WANT_TABLE. */
static inline bool tables_are_present(struct call *c, struct process *process, uint64_t start,
                                      uint64_t end)
{
    return get64(&process->tables_out) == 0 || tables_look_present(c, process, start, end);
}

/* Shares of pages of sections that are given back at the end of a round, or in between. */
#define GATHER_SHARES 64u

/* Of a share: with it goes a reference to a page of clones. */
#define GATHER_CLONED (1ull << 63)

/* What an operation takes away: ranges to invalidate, frames to free or list afterwards. */
struct gather {
    struct ntmm_shootdown shootdown;
    struct frame_chain freed;   /* nothing names them any more */
    struct frame_chain trimmed; /* their entries are in transition */
    bool is_needed;             /* a processor may hold something that was withdrawn */
    bool is_boosting;           /* pages of sections whose last share goes are boosted */
    uint32_t share_count;
    uint64_t shares[GATHER_SHARES]; /* frames of sections, a share of each; not through their rows:
                                       several processes may give one back at once */
};

/* In place: compilers copy a gather that is returned, arrays and all. Neither its ranges nor its
 * shares are set before there are some: most operations have one or none. */
static inline void gather_begin(struct gather *g, const struct process *process,
                                enum ntmm_shootdown_reason reason)
{
    g->shootdown.root_frame = get64(&process->root_frame);
    g->shootdown.process = get64(&process->handle);
    g->shootdown.reason = reason;
    g->shootdown.range_count = 0;
    g->shootdown.ranges[0] = (struct ntmm_address_range){.base = 0, .end = 0};
    g->freed = chain_empty();
    g->trimmed = chain_empty();
    g->is_needed = false;
    g->is_boosting = false;
    g->share_count = 0;
}

/* The translation of [page, end) may be cached and is withdrawn. */
void gather_range(struct gather *g, uint64_t page, uint64_t end);

/* A share of a section's page goes, the frame's number, perhaps with GATHER_CLONED; ends the round
 * when there are many. */
void gather_share(struct call *c, struct process *process, struct gather *g, uint64_t share);

void gather_apply(struct call *c, struct process *process, struct gather *g);

/* One round if one is needed; then free and list the frames. */
static inline void gather_finish(struct call *c, struct process *process, struct gather *g)
{
    if (g->is_needed || g->trimmed.count || g->freed.count)
        gather_apply(c, process, g);
}

/* Whether table_trim would take a table of the page's. */
bool table_may_go(struct call *c, struct process *process, uint64_t page);

/* Trim the leaf table of a page, and tables above it, as far as nothing in them is in memory.
 * Returns how many went. */
uint32_t table_trim(struct call *c, struct process *process, uint64_t page, struct gather *g);

/* Free the leaf table of a page, and tables above it, as far as they are empty. */
void table_prune(struct call *c, struct process *process, uint64_t page, struct gather *g);

/* Free the empty tables of a range, which were made in vain; c->want stays. */
void table_prune_range(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* --- entry.c: one leaf entry --- */

/* A locked page is valid and stays so until it is unlocked, made inaccessible, or freed: the
 * highest bit of HW_AGE locks it in the working set, the lowest of HW_SOFTWARE in memory. */
#define ENTRY_LOCKED_IN_SET (8ull << (HW_AGE & 0xFF))
#define ENTRY_LOCKED_IN_MEMORY (1ull << (HW_SOFTWARE & 0xFF))
#define ENTRY_LOCKED (ENTRY_LOCKED_IN_SET | ENTRY_LOCKED_IN_MEMORY)

/* Of a valid entry: its frame is the embedder's and has no row (space/borrowed.h). */
#define ENTRY_BORROWED (2ull << (HW_SOFTWARE & 0xFF))

/* A valid page that does not count in the working set, and so is never aged or trimmed: another bit
 * of HW_SOFTWARE. */
#define ENTRY_NOT_IN_SET (4ull << (HW_SOFTWARE & 0xFF))

/* Of a valid entry: its frame is a section's, which others may map with other protections; so its
 * protection stands in the entry. */
#define ENTRY_SHARED (8ull << (HW_SOFTWARE & 0xFF))

/* Of a valid entry with ENTRY_SHARED, in a bit that NT leaves unused: its page is private, and
 * shared with clones of the process (space/clone_page.h). */
#define ENTRY_CLONED FIELD_MASK(HW_UNUSED10)

/* GATHER_CLONED for a valid entry with ENTRY_CLONED, which goes with its share; otherwise 0. */
static inline uint64_t gather_mark(uint64_t raw)
{
    return (raw & ENTRY_CLONED) << (63 - (HW_UNUSED10 & 0xFF));
}

/* Whether an entry is valid and its page in the working set. */
static inline bool entry_is_in_set(uint64_t raw)
{
    const uint64_t kinds = FIELD_MASK(HW_VALID) | ENTRY_BORROWED | ENTRY_NOT_IN_SET;
    return (raw & kinds) == FIELD_MASK(HW_VALID);
}

/* The value of an entry that is not valid, swizzle removed. */
static inline uint64_t entry_value(const struct call *c, uint64_t entry)
{
    return invalid_decode(entry, c->sys->invalid_mask);
}

static inline enum pte_kind entry_kind(const struct call *c, uint64_t entry)
{
    return pte_kind(entry, 1, c->sys->invalid_mask);
}

/* A software entry of a protection: demand zero, decommitted or no access. */
static inline uint64_t entry_software(uint32_t protection)
{
    return (uint64_t)protection << (SW_PROTECTION & 0xFF);
}

/*
 * An entry in transition, with its frame locked (F): the frame's number; FRAME_NONE, nothing
 * locked, when the entry is not in transition, or no longer.
 */
uint64_t entry_lock_transition(struct call *c, const le64 *entry);

/* A page of a view that is not valid here: its region says which, the entry how it is protected. */
static inline uint64_t entry_prototype(uint32_t protection)
{
    return PROTO_LOOKUP_NEEDED | (uint64_t)protection << (PROTO_PROTECTION & 0xFF);
}

/* The transition form of a value: protection, and the frame. */
static inline uint64_t entry_transition(uint32_t protection, uint64_t frame)
{
    uint64_t value = field_set(entry_software(protection), TR_TRANSITION, 1);
    return field_set(value, TR_FRAME, frame);
}

/* The row of a fresh frame names the entry that is about to map it; `original`: what that becomes
 * when the frame is taken. It has no backing yet, and so is modified. */
static inline void entry_own(const struct call *c, struct pfn *pfn, const le64 *entry,
                             uint64_t original)
{
    uint64_t address = core_ref(c, entry);
    set64(&pfn->entry_address, address);
    store64_relaxed(&pfn->original_pte, original);
    set64(&pfn->table_frame, ref_frame(c, address));
    pfn_set_modified(pfn);
    frame_step(c, pfn, "own_dirty");
}

/* Replace an entry that no processor can see by a software or transition value, or by 0 for empty;
 * keeps the table's counts. In transition: its frame is locked. Returns the old raw entry. */
uint64_t entry_write(struct call *c, struct pfn *table, le64 *entry, uint64_t value);

/* An entry that is not valid takes a protection; what it names stays. Takes (F). */
void entry_reprotect(struct call *c, struct pfn *table, le64 *entry, uint32_t protection);

/* Enter a frame: the entry, not valid, becomes valid; keeps the table's counts. */
void entry_make_valid(struct call *c, struct pfn *table, le64 *entry, uint64_t hardware);

/* A valid entry of a borrowed frame becomes another value; the caller gathers its range. */
void entry_replace_borrowed(const struct call *c, struct pfn *table, le64 *entry, uint64_t value);
/* Replace an entry that a processor may see by one that is valid, or by 0, and keep the table's
 * counts, but not the working set's. Returns the old raw entry; the caller gathers its range. */
uint64_t entry_exchange(const struct call *c, struct pfn *table, le64 *entry, uint64_t raw);

/* A valid entry of a frame with a protection code; dirty: with the processor's write bit. */
uint64_t entry_hardware(uint64_t frame, uint32_t protection, bool is_dirty);

/* A valid entry that carries its protection itself; `kind`: ENTRY_SHARED or ENTRY_BORROWED. */
uint64_t entry_with_protection(uint64_t frame, uint32_t protection, bool is_dirty, uint64_t kind);

/* The protection that it carries; of a page that is shared with clones, that of the page: copying
 * it is nobody's business but the door's. */
uint32_t entry_own_protection(uint64_t entry);

/* The value of a prototype that names a frame validly. */
static inline uint64_t entry_of_prototype(uint64_t frame, uint32_t protection)
{
    return x64_protection_bits[protection] | FIELD_MASK(HW_VALID) | FIELD_MASK(HW_ACCESSED) |
           frame << NTMM_PAGE_SHIFT;
}

/* What a valid entry with ENTRY_SHARED becomes when its page leaves the working set. */
uint64_t entry_when_trimmed(const struct call *c, uint64_t raw);

/* Take the valid entry of a section's page out: it becomes `value`, a page that was written is
 * modified, a lock ends, the range and the share are gathered. */
void entry_withdraw_shared(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                           uint64_t page, uint64_t value, struct gather *g);

/* The same of a page that is shared with clones; the reference that the entry was goes too. */
void entry_withdraw_cloned(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                           uint64_t page, uint64_t value, struct gather *g);

/* Take a valid entry out: it becomes `value`, its accessed and dirty bits are folded into the
 * frame, a lock ends, the range is gathered. Returns the frame. */
uint64_t entry_withdraw(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                        uint64_t page, uint64_t value, struct gather *g);

#endif
