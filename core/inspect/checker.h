/*
 * The invariants' checker: recounts from entries and lists alone.
 *
 *   scratch   marks: a word a frame | a page a level of tables | names: a bit a slot, file by
 *             file | slabs of control areas: a word each | references: a row a control area
 *
 * A frame's mark remembers how it was met: on a list, in a transfer, by how many entries. A slot's
 * bit says that something names it. Every function returns false at the first broken invariant,
 * with the report filled.
 *
 * Order: what a part trusts, an earlier part has proved. Lists prove the rows' locations, slabs
 * prove that references in the nodes of trees name nodes and VADs, page files that slots have bits,
 * sections that control areas have trees that can be walked, so that the walk over processes never
 * follows a wild one.
 *
 * Invariants of sums that belong to several files
 *   P10 standby_pages is the number of frames on the standby lists, user_pages that of frames that
 *       hold pages of processes, user_peak at least that, transition_pages that of frames in
 *       transition
 *   P12 large_pages is the number of frames of large pages, and of small ones that stay
 *   G5  paging_pages is the number of frames of descriptors, slot maps and the dummy page, each of
 *       which has that use; a descriptor's number is its index
 *   G6  a page file's outstanding_writes is the number of its write blocks in use
 *   G7  commit_growth is the sum of what page files may still grow by
 */
#ifndef NTMM_INSPECT_CHECKER_H
#define NTMM_INSPECT_CHECKER_H

#include "base/bits.h"
#include "phys/slab.h"
#include "phys/slots.h"
#include "section/area.h"
#include "space/private.h"

#include <ntmm/inspect.h>

/* A frame's mark. */
#define MARK_LISTED 0x80000000u  /* met on a list */
#define MARK_READ 0x40000000u    /* met in a read in flight */
#define MARK_WRITTEN 0x20000000u /* met in a write in flight */
#define MARK_PAGING 0x10000000u  /* met as a frame of page files */
#define MARK_SECTION 0x08000000u /* met by a prototype entry, or as a table of them or of objects */
#define MARK_CACHED 0x00100000u  /* met in a cache */
#define MARK_KEPT_SHIFT 21u /* 26:21, blocks that keep a reference of it, at most READ_BLOCKS */
#define MARK_KEPT 0x07E00000u
#define MARK_CLONES 0x00080000u /* met as a table of prototypes that clones share */
#define MARK_SHARES 0x0007FFFFu /* entries that were met, modulo 2^19 */

#define CHECK_LEVELS_MAX 5u /* of page tables */

/* Slabs of one class, as met. */
struct slab_totals {
    uint64_t frames;
    uint64_t used;      /* objects */
    uint64_t with_room; /* slabs */
};

/* Of a page file. */
struct file_names {
    uint8_t *bits;   /* of its slots: something names it */
    uint64_t slots;  /* bits: its size, or 0 while that makes no sense */
    uint64_t count;  /* slots named */
    uint32_t writes; /* write blocks met */
};

/* Who refers to a control area, as met. */
struct area_references {
    uint32_t sections;
    uint32_t views;
    uint32_t writable_views;
};

/* What lies in tables that are not in memory, as far as it cannot be looked at. */
struct unknown {
    uint64_t entries; /* non-empty entries of leaf tables */
    bool is_above;    /* a table above the leaves is among them: anything may lie below it */
};

struct checker {
    struct call *c;
    uint32_t *marks; /* one a frame, ranges in order */
    struct file_names files[NTMM_PAGING_FILES_MAXIMUM];
    uint32_t file_count;
    le64 *pages; /* CHECK_LEVELS_MAX - 1 pages, for tables that are read */
    ntmm_storage_reader *reader;
    void *reader_context;
    struct ntmm_check_report *report;
    ntmm_handle process;        /* being checked, or 0 */
    uint64_t commit;            /* charges met so far */
    uint64_t vads;              /* VADs met so far */
    uint64_t vad_nodes;         /* nodes of their trees met so far */
    uint64_t physical_frames;   /* user physical pages of processes, less the frames of that use */
    uint64_t watch_nodes;       /* nodes of marks met so far */
    uint64_t fault_logs;        /* blocks of logs of faults met so far */
    uint64_t secures;           /* records of secured ranges met so far */
    uint64_t minimum_pages;     /* working-set minima met */
    uint64_t large_pages;       /* frames of large pages met */
    uint64_t process_frames;    /* frames of process objects and jobs met */
    uint32_t job_members;       /* processes whose job was met */
    uint64_t paging_frames;     /* frames of page files met */
    uint64_t user_frames;       /* frames with pages of processes met */
    uint64_t transition_frames; /* frames in transition met */
    uint64_t sections;          /* section objects met so far, and so on */
    uint64_t files_known;
    uint64_t handles[2]; /* that objects count less the slots, of each kind, weighted by object */
    uint64_t names;
    uint64_t areas;
    uint64_t subsections;
    uint64_t file_locks;
    uint64_t object_frames;  /* of the table of objects */
    uint64_t image_frames;   /* of what images keep */
    uint64_t area_tables;    /* tables of prototypes, those that are out included */
    uint64_t area_transfers; /* transfers that areas count */
    uint64_t section_shares; /* shares of frames of sections */
    uint64_t section_active; /* such frames that have one */
    uint64_t clone_pages;    /* references that prototypes of clones count */
    uint64_t clone_entries;  /* entries that are one, met so far */
    uint64_t clone_balance;  /* these less those, weighted by the prototype's address */
    uint32_t *area_slabs;    /* of each slab of control areas the index of its mark, ascending */
    uint64_t area_slab_most; /* that there is room for */
    struct area_references *area_references; /* slab by slab, object by object */
    struct unknown unknown;
    struct slab_totals slabs[SLAB_KIND_COUNT];
};

/* --- check.c --- */

/* Fill the report; always false. */
bool check_fail(struct checker *k, const char *invariant, uint64_t object, uint64_t expected,
                uint64_t found);

/* Fail unless equal. */
static inline bool check_equal(struct checker *k, const char *invariant, uint64_t object,
                               uint64_t expected, uint64_t found)
{
    return expected == found || check_fail(k, invariant, object, expected, found);
}

/* Fail unless least <= found <= most. */
static inline bool check_between(struct checker *k, const char *invariant, uint64_t object,
                                 uint64_t least, uint64_t most, uint64_t found)
{
    if (found < least)
        return check_fail(k, invariant, object, least, found);
    return found <= most || check_fail(k, invariant, object, most, found);
}

/* The mark of a frame that exists; NULL otherwise. */
uint32_t *check_mark(struct checker *k, uint64_t frame);

/* One entry more was met that names the frame of a mark. A page of a section may have any number,
 * which must not run into the other bits. */
static inline void check_meet(uint32_t *mark)
{
    *mark = (*mark & ~MARK_SHARES) | ((*mark + 1) & MARK_SHARES);
}

/* --- check_slabs.c --- */

/* Whether a reference names an object in use of that kind; *owner: index of its process. */
bool check_is_object(struct checker *k, enum slab_kind kind, uint64_t ref, uint32_t *owner);

/* What is known of a control area that is in use. */
struct area_references *check_references(struct checker *k, uint64_t area);

bool check_slabs(struct checker *k);       /* S1 to S3, S5, S6, V1 */
bool check_slab_owners(struct checker *k); /* S4, after the processes */

/* --- check_frames.c --- */

bool check_lists(struct checker *k); /* P1 to P6, P8, P14 to P16 */
bool check_frames(
    struct checker *k); /* P1 P7 P8 P9 P10 A2 I1 I3 G1 G5, after all that meet frames */

/* --- check_page_files.c --- */

/* Page files that there are, and slots of one that can be marked: 0 when it makes no sense. */
uint32_t check_file_count(const struct call *c);
uint64_t check_file_slots(const struct call *c, uint32_t number);

bool check_page_files(struct checker *k); /* L1 G2 to G5, G7 */
bool check_names(struct checker *k);      /* G1, after all that names slots */

/* G1: the slot that an entry value names is in use, and nothing else names it. */
bool check_name(struct checker *k, uint64_t value);

/* G1's object: a slot of a page file. */
static inline uint64_t check_slot_object(uint32_t file, uint64_t slot)
{
    return (uint64_t)file << 32 | slot;
}

/* --- check_transfers.c --- */

bool check_transfers(struct checker *k); /* B1 I1 I3 G6, before the processes */
bool check_waits(struct checker *k);     /* I2 B1 */

/* --- check_processes.c --- */

bool check_processes(struct checker *k); /* V1 to V9, W1 to W3, PR1 to PR4, P4 P7 P8 P9 G1 S4 L1 */

/* One process being walked: its VADs and tables, together in address order. */
struct walk {
    struct checker *k;
    const struct process *process;
    struct gap_range at; /* the VAD that contains or follows the page reached; ref 0 if none does */
    uint64_t view;       /* the VAD that was last found to be a sound view, a reference */
    int64_t counted;     /* commit of that VAD so far, relative to its default */
    uint64_t large_pages;   /* of that VAD, in leaves of large pages */
    uint64_t unknown_pages; /* of that VAD, in tables that cannot be looked at */
    uint64_t commit;        /* of VADs passed */
    uint64_t virtual;       /* pages of VADs passed */
    uint64_t tables;        /* met */
    uint64_t tables_out;    /* of these, not in memory */
    uint64_t working_set;   /* valid leaf entries met */
    uint64_t locked;        /* of these, locked */
    bool is_hint_met;       /* the leaf table that the process's hint names */
    uint32_t readers_met;   /* leaf tables that hints of its readers name */
    bool is_above_unknown;  /* a table above the leaves could not be looked at */
};

/* Move to the VAD that contains a page; V2 when there is none. */
bool walk_reach(struct walk *w, uint64_t page, const struct vad **vad);

/* What lies in [start, end) is not known, but that it is not nothing. */
bool walk_pass_unknown(struct walk *w, uint64_t start, uint64_t end);

/* Where an entry stands. */
struct entry_place {
    uint64_t page;    /* first one that it decides */
    uint64_t address; /* core address; 0: its table is in a page file */
    uint64_t table;   /* frame of its table */
    bool is_out;      /* its table is not in use by the processor */
};

/* --- check_sections.c --- */

bool check_sections(struct checker *k);   /* OB1 to OB3 CA1 to CA7 PT1 PT2 P4 S4 L1, before views */
bool check_area_views(struct checker *k); /* CA1, after the processes */

/* Whether a reference names an object in use of a kind that belongs to no process. */
bool check_is_shared_object(struct checker *k, enum slab_kind kind, uint64_t ref);

/* OB2, CA6: a reference names a frame of use OBJECT that was not met before. */
bool check_object_frame(struct checker *k, const char *invariant, uint64_t ref);

/* --- check_images.c --- */

/* CA6, L1: what an area keeps as an image. */
bool check_image(struct checker *k, const struct control_area *area);

/* --- check_prototypes.c --- */

/* What the tree of an area comes to. */
struct tree_totals {
    uint64_t tables;
    uint64_t tables_out;
    uint64_t entries;      /* that are not empty */
    bool is_above_unknown; /* a table above the leaves could not be looked at */
};

/* PT1 to PT4, P4, P8: the tree of an area whose subsections are sound. */
bool check_prototypes(struct checker *k, const struct control_area *area,
                      struct tree_totals *totals);

/* PT1, PT2, P4, P8: the table of a block of clones, whose row names the block. */
bool check_clone_table(struct checker *k, uint64_t frame, uint64_t block,
                       struct tree_totals *totals);

/* --- check_clones.c --- */

/* L1, CL1: the blocks of pages that clones share, before the processes. */
bool check_clones(struct checker *k);

/* CL2, after the processes. */
bool check_clone_references(struct checker *k);

/* CL2, P8, P9, V7, V9: an entry of a private region that refers to a page of clones. */
bool check_clone_entry(struct walk *w, uint64_t raw, const struct entry_place *at);

/* --- check_views.c --- */

/* CA1, V14: a view, before anything that it names is followed. */
bool check_view(struct walk *w, const struct vad *vad);

/* V13: a view is behind us; it counts as one of its area's. */
bool check_view_commit(struct walk *w, const struct vad *vad);

/* P9, V7, V9: a non-empty entry of a view that names no private page. */
bool check_view_entry(struct walk *w, const struct vad *vad, uint64_t raw,
                      const struct entry_place *at, bool *is_shared);

/* V11: a leaf of a view of large pages is that of its section's frames. */
bool check_view_leaf(struct walk *w, const struct vad *vad, uint64_t raw,
                     const struct entry_place *at);

/* V13: whether a page with an entry is charged, against what it would be without. */
void check_view_charge(struct walk *w, const struct vad *vad, uint64_t page, bool is_charged);

/* --- check_watch.c --- */

/* M1, M2, S4: the marks of a process whose regions are sound. */
bool check_watch(struct checker *k, const struct process *process);

/* M1: an entry of a page of the region. */
bool check_watched_entry(struct walk *w, const struct vad *vad, uint64_t page, uint64_t raw);

/* --- check_fault_log.c --- */

/* W4, S4: the log of a process's faults. */
bool check_fault_log(struct checker *k, const struct process *process);

/* --- check_secures.c --- */

/* V15, S4: the secured ranges of a VAD. */
bool check_secures(struct walk *w, const struct vad *vad);

/* --- check_call_targets.c --- */

/* TG1: the bitmap of call targets of a process whose tree of regions is sound. */
bool check_call_targets(struct checker *k, const struct process *process);

/* PR4: a reference names a frame of process objects or jobs, which counts. */
bool check_directory_frame(struct checker *k, uint64_t ref);

/* --- check_jobs.c --- */

/* PR4: the frames of jobs. */
bool check_job_frames(struct checker *k);

/* JB1: members and charges of jobs; the processes are sound. */
bool check_jobs(struct checker *k);

/* --- check_tables.c --- */

/* The entries of a table whose entry above it names a slot, in scratch memory of its level, 1..4;
 * NULL: they cannot be looked at. */
const le64 *check_read_table(struct checker *k, uint64_t value, uint32_t level);

/* What the entry above a table that is in a page file, or its frame's original entry, is to be. */
uint64_t check_table_value(uint64_t value);

/* The tables of a process from its root down, and all entries. */
bool check_tables(struct walk *w, uint64_t root);

/* --- check_entries.c --- */

/* V11, P9: a leaf above the tables of leaves. */
bool check_large_leaf(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at);

/* A non-empty leaf entry. *is_shared: it is valid or in transition. */
bool check_leaf(struct walk *w, uint64_t raw, const struct entry_place *at, bool *is_shared);

/* P9: the row of a frame that an entry maps. */
bool check_owner(struct walk *w, uint64_t frame, const struct entry_place *at,
                 enum ntmm_frame_use use);

/* P4: an entry in transition names a frame that is on a list, or used by a transfer. */
bool check_is_in_transition(struct checker *k, uint64_t frame);

/* --- check_awe.c --- */

/* U1: the user physical pages of a process. */
bool check_physical(struct checker *k, const struct process *process);

/* U2, U1: an entry of a window. */
bool check_window_entry(struct walk *w, uint64_t raw, const struct entry_place *at);

#endif
