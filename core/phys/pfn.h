/*
 * The PFN database: one row of 48 bytes a frame, and the lists that frames are on.
 *
 *            alloc                      delete
 *   Zeroed --------> Active ------------------------------> Free --zeroing--> Zeroed
 *   Free   --------> (share 1, ref 1)                         ^
 *   Standby ---taken--^ | last share goes                     |
 *                       +--> reference left: Transition       |
 *                       +--> modified: Modified, else Standby +-- delete
 *
 *   P1  each frame is active, in transition, or on exactly one list
 *   P2  a listed frame has no share and no reference
 *   P3  a list's count is its length, and its chain is sound both ways
 *   P4  the owner entry of a frame on standby or modified is in transition format and points back
 *   P5  a run counts its zeroed and free frames, and is listed as whole exactly when they are 512
 *   P6  a frame on the zeroed list holds only zeros
 *   P7  an active frame has a share and a reference; one in transition a reference but no share
 *   P8  a frame on modified is marked modified, one on standby is not
 *   P9  a private or page-table frame is mapped by exactly the one entry that its row names, in the
 *       table that its row names; any other active frame by none; a free frame names none
 *   P11 a disposable frame is clean, its page not lost; it has a slot only while a transfer uses it
 *   P13 a boosted frame is a section's, not active, and its priority has the boost in it
 *   P14 a bad frame holds nothing: its use is FREE, and it names no entry and no table
 *
 * Who may touch a row when: (W), (F) or (N), see docs/paging.md. Source: symbol-derived layouts of
 * MMPFN; the packing is ours.
 */
#ifndef NTMM_PHYS_PFN_H
#define NTMM_PHYS_PFN_H

#include "base/lock.h"
#include "base/schedule.h"
#include "phys/anchor.h"

#include <ntmm/inspect.h>

#define RUN_FRAMES 512u /* frames of an aligned 2 MiB run */
#define PRIORITY_DEFAULT 5u
#define PRIORITY_BOOST 1u

struct pfn {
    le64 flink;           /* next frame of its list or of a chain; while it is read: its block */
    le64 blink;           /* previous frame of its list, or FRAME_NONE */
    le64 entry_address;   /* core address of the entry that maps it; 0: none */
    le64 original_pte;    /* what that entry becomes when the frame is taken; a slab's tag */
    le32 share_count;     /* entries that map it; a table: 1 + its valid and transition entries */
    le16 reference_count; /* 1 while shared, and one for each use by I/O */
    le16 state;           /* PFN_* bits */
    le64 table_frame;     /* 39:0 frame that holds the entry; 49:40 used entries of a table; 63:
                             PFN_POISONED */
};

NTMM_STATIC_ASSERT(sizeof(struct pfn) == 48, "at most 48 bytes a frame");

enum {
    PFN_LOCATION = 7u << 0, /* enum ntmm_frame_location */
    PFN_WRITE_IN_PROGRESS = 1u << 3,
    PFN_MODIFIED = 1u << 4, /* differs from its backing */
    PFN_READ_IN_PROGRESS = 1u << 5,
    PFN_READ_AHEAD = 1u << 6, /* nobody has asked for it yet */
    PFN_BOOSTED = 1u << 7,    /* of a section, PRIORITY_BOOST above its priority until it is used */
    PFN_CHOSEN = 1u << 11,    /* named by a mapping of user physical pages in progress (W) */
    PFN_PRIORITY_SHIFT = 8,   /* 10:8 */
    PFN_PRIORITY = 7u << 8,
    PFN_USE_SHIFT = 12, /* 15:12, enum ntmm_frame_use */
    PFN_USE = 15u << 12,
};

/* A 2 MiB run. Rows exist for runs that are wholly inside a range. */
struct run {
    le64 next;       /* run, a reference, while whole (N) */
    le64 prev;       /* run, a reference, while whole (N) */
    le64 base_frame; /* fixed */
    le32 free_count; /* zeroed and free frames of it (N) */
    le32 is_stuck;   /* last looked for runs to empty, something in it could not move (R) */
};

/* The row of a frame that exists. */
struct pfn *pfn_slow_at(const struct call *c, uint64_t frame);

static inline struct pfn *pfn_at(const struct call *c, uint64_t frame)
{
    const struct frame_range *first = &anchor_of(c)->ranges[0];
    uint64_t index = frame - get64(&first->base_frame);
    if (__builtin_expect(index < get64(&first->frame_count), 1))
        return (struct pfn *)core_at(c->bias, get64(&first->pfn_ref)) + index;
    return pfn_slow_at(c, frame);
}

/* NULL when no such frame was handed over. */
struct pfn *pfn_find(const struct call *c, uint64_t frame);

static inline enum ntmm_frame_location pfn_location(const struct pfn *pfn)
{
    return (enum ntmm_frame_location)(load16_relaxed(&pfn->state) & PFN_LOCATION);
}

static inline enum ntmm_frame_use pfn_use(const struct pfn *pfn)
{
    return (enum ntmm_frame_use)((load16_relaxed(&pfn->state) & PFN_USE) >> PFN_USE_SHIFT);
}

/* Whether frames of a use hold tables, which are paged: what names them keeps their used count. */
static inline bool use_is_of_table(enum ntmm_frame_use use)
{
    return use == NTMM_USE_TABLE || use == NTMM_USE_PROTOTYPE;
}

static inline bool pfn_is_modified(const struct pfn *pfn)
{
    return (load16_relaxed(&pfn->state) & PFN_MODIFIED) != 0;
}

static inline uint32_t pfn_priority(const struct pfn *pfn)
{
    return (load16_relaxed(&pfn->state) & PFN_PRIORITY) >> PFN_PRIORITY_SHIFT;
}

static inline uint16_t pfn_state(enum ntmm_frame_location location, enum ntmm_frame_use use,
                                 uint32_t priority)
{
    return (uint16_t)((uint32_t)location | priority << PFN_PRIORITY_SHIFT |
                      (uint32_t)use << PFN_USE_SHIFT);
}

static inline bool pfn_is_being_read(const struct pfn *pfn)
{
    return (load16_relaxed(&pfn->state) & PFN_READ_IN_PROGRESS) != 0;
}

static inline bool pfn_is_being_written(const struct pfn *pfn)
{
    return (load16_relaxed(&pfn->state) & PFN_WRITE_IN_PROGRESS) != 0;
}

static inline void pfn_change_state(struct pfn *pfn, uint32_t clear, uint32_t set)
{
    store16_relaxed(&pfn->state, (uint16_t)((load16_relaxed(&pfn->state) & ~clear) | set));
}

static inline void pfn_set_modified(struct pfn *pfn) { pfn_change_state(pfn, 0, PFN_MODIFIED); }

static inline uint64_t pfn_table_frame(const struct pfn *pfn)
{
    return get64(&pfn->table_frame) & FRAME_NONE;
}

/* Used entries of the table that this frame holds. */
static inline uint32_t pfn_used(const struct pfn *pfn)
{
    return (uint32_t)(get64(&pfn->table_frame) >> 40) & 1023u;
}

static inline void pfn_add_used(struct pfn *pfn, int32_t entries)
{
    set64(&pfn->table_frame, get64(&pfn->table_frame) + ((uint64_t)(int64_t)entries << 40));
}

/* The same by one of several that share (W). */
static inline void pfn_add_used_shared(struct pfn *pfn, int32_t entries)
{
    (void)add64(&pfn->table_frame, (uint64_t)(int64_t)entries << 40);
}

/*
 * What a page of a file is modified since, for all pages of its data together. The value of such a
 * page names (SUBSECTION_ADDRESS) a structure that begins with a reference to this one. A page is
 * marked modified first, then the time is looked at; who writes all pages takes the time back
 * first, then looks at the pages. Source: nt_semantics 9.1; a time for all of a file is ours.
 */
struct modified_age {
    le64 since; /* of the first page modified since all were last looked at; 0: none (R) */
};

/* A page of a file is modified: unless it is noted already, that is since now. */
void modified_age_note(struct call *c, struct modified_age *age);

/* There is an age with this time: the partition's mapped_since is no later. */
void mapped_since_lower(struct call *c, uint64_t since);

/* Of a table: atomic, because an entry in transition may go without (W). */
static inline void pfn_add_share(struct pfn *pfn, int32_t shares)
{
    (void)add32(&pfn->share_count, (uint32_t)shares);
}

/* A table without entries is about to be freed: who took the frame of its last one for something
 * else may not have dropped that one's share yet, which it does last (frame_restore_entry). */
void pfn_wait_for_last_share(struct call *c, const struct pfn *pfn);

/* Frames on their way to the free list: nobody can reach them any more. */
struct frame_chain {
    uint64_t head;  /* first frame or FRAME_NONE; through flink */
    uint64_t tail;  /* last frame */
    uint64_t count; /* frames */
};

static inline struct frame_chain chain_empty(void)
{
    return (struct frame_chain){.head = FRAME_NONE, .tail = FRAME_NONE};
}

/* --- database.c: building it --- */

/* Lay out and fill the metadata; ranges are in the anchor. INSUFFICIENT_RESOURCES: too few frames.
 * */
ntmm_status pfn_build(struct call *c, const struct ntmm_frame_range *ranges, uint32_t range_count);

/* Frames that the rows of a range need that has none yet. */
uint64_t pfn_metadata_pages(const struct frame_range *range);

/* A range has rows: the first ones say metadata, all others absent. */
void pfn_build_rows(struct call *c, struct frame_range *range);

/* --- lists.c: the lists --- */

void list_init(struct frame_list *list, enum ntmm_frame_location location);
void list_push_head(struct call *c, struct frame_list *list, uint64_t frame);
void list_push_tail(struct call *c, struct frame_list *list, uint64_t frame);

/* Behind a frame of the list, or at its head: FRAME_NONE. */
void list_push_after(struct call *c, struct frame_list *list, uint64_t previous, uint64_t frame);
void list_remove(struct call *c, struct frame_list *list, uint64_t frame);
/* So many frames at its head are no longer of it; `next` was behind them. */
void list_cut(struct call *c, struct frame_list *list, uint64_t next, uint64_t count);

/* The list for a frame at a location and priority; NULL for active and transition. */
struct frame_list *list_for(const struct call *c, enum ntmm_frame_location location,
                            uint32_t priority);

/* The same for a frame, whose row says where its page is to be written. */
struct frame_list *list_of(const struct call *c, const struct pfn *pfn,
                           enum ntmm_frame_location location);

/* Put an unreferenced frame without share at the tail of a standby, modified or bad list, and wake
 * who waits when it can be taken. Takes (L), (Q). Needs (F) unless nobody else can reach it. */
void frame_enlist(struct call *c, uint64_t frame, enum ntmm_frame_location location);

/*
 * Take the oldest frame off a standby or modified list, with (F) held; its row says still that it
 * is there. FRAME_NONE: the list is empty. A frame whose lock is busy is passed over; when all are,
 * the oldest is waited for: its holder is quick, and whoever counts the list would count it, and
 * come back at once. Takes (L), (F).
 */
uint64_t frame_take_oldest(struct call *c, struct frame_list *list);

/* A frame, if it is on standby: off its list, with (F) held. Takes (F), (L). */
bool frame_take_from_standby(struct call *c, uint64_t frame);

/* --- frame_state.c: frames that an entry names, and their I/O; docs/paging.md --- */

static inline le32 *frame_lock_word(const struct call *c, uint64_t frame)
{
    return &anchor_of(c)->frame_locks[frame & (FRAME_LOCKS - 1)];
}

static inline void frame_lock(struct call *c, uint64_t frame)
{
    lock_acquire(c, frame_lock_word(c, frame), LOCK_FRAME);
}

static inline void frame_unlock(struct call *c, uint64_t frame)
{
    frame_step(c, pfn_at(c, frame), "rest");
    lock_release(c, frame_lock_word(c, frame), LOCK_FRAME);
}

/* A frame whose entry, in transition, becomes valid again: active with a share. (F) held; takes
 * (L). The frame is not being read. */
void frame_reactivate(struct call *c, uint64_t frame);

/* One more share of an active frame of a section. (F) held. */
void frame_add_share(struct call *c, uint64_t frame);

/* Counts that a page of a section got its first share, which frame_reactivate does itself. */
void frame_note_first_share(struct call *c);

/* The other way round: the frame's one share is a private page's from now on. (F) is held. */
void frame_end_only_share(struct call *c, uint64_t frame);

/* A share of a frame went, and no processor can reach it through that: with the last one to
 * Modified or Standby, or into transition while it is referenced. The prototype entry of a page of
 * a section becomes transition with it. Takes (F), (L), (Q). */
void frame_end_share(struct call *c, uint64_t frame);

/* The same of a frame of a section; if it is the last share the page stays longer on standby than
 * others of its priority: PRIORITY_BOOST above it, until it is used again or given a priority. */
void frame_end_share_boosted(struct call *c, uint64_t frame);

/*
 * The entry of a frame, in transition, names it no more: off its list, without entry. True: the
 * frame is the caller's to delete. False: a transfer uses it, whose completion frees it and its
 * slot. (F) is held; takes (L).
 */
bool frame_detach(struct call *c, uint64_t frame);

/*
 * No processor can reach the frame any more; it is active, its valid entry gone, or detached. Its
 * slot is free, and it joins the chain; while a transfer uses it both are left to the completion.
 * Takes (F), (G).
 */
void frame_delete(struct call *c, uint64_t frame, struct frame_chain *chain);

/* The same of a frame of a section whose only share is the section's own. */
void frame_delete_of_section(struct call *c, uint64_t frame, struct frame_chain *chain);

/*
 * The contents of a frame may go: it is clean, disposable, and without slot (while a transfer uses
 * it, the completion frees that); on a list it is on standby, at the priority given. Its entry is
 * not dirty any more. (F) is held. Takes (G), (L), (Q).
 */
void frame_reset(struct call *c, uint64_t frame, uint32_t priority);

/* The contents may not go any more, and the frame takes a priority. False: they went before it was
 * taken, once. (F) is held. Takes (L), (Q). */
bool frame_undo_reset(struct call *c, uint64_t frame, uint32_t priority);

/* The page of an active frame differs from its slot from now on: it is modified, and has no slot
 * (while a write is in flight its completion frees it). (W) is held. Takes (F), (G). */
void frame_make_modified(struct call *c, uint64_t frame);

/* The same with (F) held. Takes (G). */
void frame_mark_modified(struct call *c, uint64_t frame);

/* Change the protection in a frame's original entry. Takes (F). */
void frame_set_protection(struct call *c, uint64_t frame, uint32_t protection);

/*
 * The oldest frame of a modified list: in transition, being written, not modified, one
 * reference, and (F) held. FRAME_NONE: there is none. Takes (L), (F).
 */
uint64_t frame_begin_write(struct call *c, struct frame_list *list);

/*
 * A modified frame of a file that its row's entry names begins to be written where it is, active or
 * not: one reference more. While others than the caller map it, who may write to it unseen, it
 * stays modified. False: it is being written already. (F) is held; takes (L).
 */
bool frame_begin_flush(struct call *c, uint64_t frame, uint32_t own_shares);

/* Name the slot that a frame being written is written to. Takes (F). */
void frame_set_slot(struct call *c, uint64_t frame, uint32_t file, uint64_t slot);

enum write_outcome {
    WRITE_DONE,     /* the slot, if one was named, holds the page; none: the page is all zero */
    WRITE_FAILED,   /* the slot may be used again */
    WRITE_BAD_SLOT, /* the slot is marked bad already */
};

/*
 * A write is over. If it failed the page is modified again; a modified page has no slot. Lists or
 * frees the frame as its references say. Takes (F), (G), (L), (N), (Q).
 */
void frame_end_write(struct call *c, uint64_t frame, enum write_outcome outcome);

/* A fresh frame begins to be read for an entry: in transition, one reference. original: the entry's
 * value, with its slot. Nobody knows the frame yet. */
void frame_begin_read(struct call *c, uint64_t frame, uint64_t entry_address, uint64_t original,
                      uint32_t block);

/*
 * A read is over. On success the frame stays in transition while is_kept (the block's reference),
 * otherwise it goes to Standby. On failure its entry becomes its original entry and it is free.
 * Takes (F), (G), (L), (N), (Q).
 */
void frame_end_read(struct call *c, uint64_t frame, bool is_read, bool is_kept);

/* The entry of a frame, in transition, becomes the frame's original entry, and its table loses a
 * share. (F) is held. */
void frame_restore_entry(struct call *c, const struct pfn *pfn);

/* The page has another priority; a frame on standby or modified goes to the end of its list. (F) is
 * held; takes (L), (Q). */
void frame_set_priority(struct call *c, uint64_t frame, uint32_t priority);

/* A reference to an active frame, so that it cannot be used for anything else whatever becomes of
 * its entry; given back by frame_end_reference. (W) of its process is held. Takes (F). */
void frame_hold(struct call *c, uint64_t frame);

/* The same of a frame whose entry is in transition, and which is not being read: off its list. (F)
 * is held; takes (L). */
void frame_hold_trimmed(struct call *c, uint64_t frame);

/* A reference goes; the last one lists or frees the frame. Takes (F), (G), (L), (N), (Q). */
void frame_end_reference(struct call *c, uint64_t frame);

/* Whether an active private frame is used by its page alone: no transfer, no call holds it; and the
 * protection of the page. (W) is held. Takes (F). */
bool frame_may_move(struct call *c, uint64_t frame, uint32_t *protection);

/*
 * The page of an active private frame that may move is in another one from now on, which was taken
 * for that and has its contents; nothing names the old one any more, it is the caller's. (W) is
 * held, and no processor can reach either. Takes (N).
 */
void frame_move_active(struct call *c, uint64_t from, uint64_t to);

/*
 * A frame on standby or modified: its page moves into another frame, of the same use and the
 * caller's, and to the end of its list; the old one is the caller's, as after frame_move_active.
 * Whoever waits for the (F) of the old one finds that the entry names another. False, with nothing
 * changed: it is on neither list any more, or *is_failed: the platform could not copy it.
 * Takes (F), (L), (N), (G), (Q); copies with (F) held.
 */
bool frame_move_listed(struct call *c, uint64_t from, uint64_t to, bool *is_failed);

/* --- frames.c: free frames --- */

/*
 * A zeroed frame, active with one share and one reference, its owner not yet set. Counts in
 * c->zeroed_inline a frame that had to be zeroed here. A frame that cannot be zeroed goes to the
 * bad list and another is tried. False with c->want = WANT_FRAME when none is left.
 * Takes (P), (N), then perhaps (L) or (F) and (L); calls the platform's zero without them.
 */
bool frame_allocate_zeroed(struct call *c, enum ntmm_frame_use use, uint64_t *frame);

/* As frame_allocate_zeroed, but where *is_zeroed is false the caller zeroes it: with frame_zero,
 * which takes it away if that fails, and says so with false. */
bool frame_allocate_to_zero(struct call *c, enum ntmm_frame_use use, uint64_t *frame,
                            bool *is_zeroed);
bool frame_zero(struct call *c, enum ntmm_frame_use use, uint64_t frame);

/* As frame_allocate_zeroed, of any contents: free frames first, of no cache but when there are none
 * else. */
bool frame_allocate(struct call *c, enum ntmm_frame_use use, uint64_t *frame);

/* Frames that are zeroed, free or on standby: what can be taken without I/O. Takes (N). */
uint64_t frames_available(struct call *c);

/* Frames that hold pages of processes; *peak: their highest number. Takes (N). */
uint64_t frames_user_pages(struct call *c, uint64_t *peak);

/* Free the frames that are on standby with a priority below `priorities`; their pages are where
 * their original entries say. Takes (L), (F), (N), (Q). */
void frames_purge_standby(struct call *c, uint32_t priorities);

/* Whether so many frames are available at this moment; false with c->want set. Takes (N). */
bool frames_are_available(struct call *c, uint64_t pages);

/* Add a frame nobody can reach any more. */
void chain_add(struct call *c, struct frame_chain *chain, uint64_t frame);

/* Give all its frames to the head of the free list, in the chain's order, or few of them to the
 * processor's cache, and wake who waits for one. Takes (P) or (N), then (Q). */
void chain_free(struct call *c, struct frame_chain *chain);

void frame_free(struct call *c, uint64_t frame);

/* A frame that was taken for a use, is zero and was not used, is the next zeroed one. Takes (N),
 * then (Q). */
void frame_free_zeroed(struct call *c, enum ntmm_frame_use use, uint64_t frame);

/* An aligned run of 512 frames, all made active with one share and one reference; contents
 * unspecified. When no run is whole, of those whose frames are all zeroed, free or on standby the
 * one with the fewest on standby. False with c->want = WANT_FRAME when there is none, or none stays
 * so while it is taken: then what had been on standby is free. Takes (F), (L), (N). */
bool run_allocate(struct call *c, enum ntmm_frame_use use, uint64_t *base_frame);

/* The same of `count` adjacent runs, aligned to their size: 1, or a power of two. What the call
 * holds (rows.h) comes first. */
bool runs_allocate(struct call *c, enum ntmm_frame_use use, uint64_t count, uint64_t *base_frame);

/* Put a run whose frames are all free on the node's list. (N), or while building. */
void run_list_add(struct call *c, struct node *node, struct run *run);

/* Move up to budget frames from the free to the zeroed list; returns how many. Takes (N) in turn.
 * */
uint64_t frames_zero_some(struct call *c, uint64_t budget);

/* --- bad.c: frames out of use --- */

/* A frame of use FREE that the caller took, and nothing names, is bad from now on: the commit limit
 * falls by one. Takes (L). */
void frame_make_bad(struct call *c, uint64_t frame);

/* A bad frame is the caller's, off its list, and of use FREE. False: it is not bad. Takes (F), (L).
 */
bool frame_take_bad(struct call *c, uint64_t frame);

/* A bad frame is free, and the limit rises again. False: it is not bad. Takes (F), (L), (N), (Q).
 */
bool frame_make_good(struct call *c, uint64_t frame);

/*
 * The contents of a frame on modified are gone: its page is damaged (ENTRY_DAMAGED), one of a file
 * what the file has; the frame is the caller's, of use FREE. False, with nothing changed: it is not
 * on modified, or holds a table. Takes (F), (L), (N).
 */
bool frame_lose(struct call *c, uint64_t frame);

/* --- conditions.c: levels of available frames and of commit --- */

/* Bit (1 << condition) for each that holds. Takes no lock. */
uint32_t conditions_now(const struct call *c);

/* Send the event if they are not what they were. */
void condition_look(struct call *c);

/* A count that conditions depend on has changed. */
static inline void condition_note(struct call *c)
{
    if (__builtin_expect((c->sys->event_mask >> NTMM_EVENT_MEMORY_CONDITION) & 1u, 0))
        condition_look(c);
}

/* --- waiters.c: faults that wait --- */

void waiters_add(struct call *c, struct wait_queue *queue, struct ntmm_wait *wait);

/* Take a wait out of the queue it was added to, if it is still in it. */
void waiters_cancel(struct call *c, struct wait_queue *queue, struct ntmm_wait *wait);
void waiters_wake_all(struct call *c, struct wait_queue *queue);

/*
 * There is no frame yet, but a reason to look for one again: a write is over, whatever came of it,
 * or there is room to write to. Wakes who waits for a frame; who looks now and will wait later
 * compares waiters_chances, read before it looked, after it is queued. Takes (Q).
 */
void waiters_note_chance(struct call *c);
uint32_t waiters_chances(const struct call *c);

/* Whether a wait that was queued was woken since. Its owner asks. */
static inline bool wait_is_woken(const struct ntmm_wait *wait)
{
    return __atomic_load_n(&wait->is_woken, __ATOMIC_ACQUIRE) != 0;
}

/* As these, with (Q) held. */
void waiters_add_locked(struct wait_queue *queue, struct ntmm_wait *wait);
void waiters_wake_locked(struct call *c, struct wait_queue *queue);

/* --- commit.c --- */

/* Charge pages to the partition. False with c->want = WANT_COMMIT, nothing charged. */
bool commit_charge(struct call *c, uint64_t pages);

/* As commit_charge, drawing on the reserve above the limit. *overdrawn: pages above the limit. */
bool commit_charge_fault(struct call *c, uint64_t pages, uint64_t *overdrawn);

void commit_return(struct call *c, uint64_t pages);

/* Pages promised, at this moment: what processors keep is not. */
uint64_t commit_charged(const struct call *c);

/* The limit rises, and of what that brings some pages are charged at once: a page file can be added
 * or grown when all commit is promised already. charge_pages <= limit_pages. */
void commit_extend(struct call *c, uint64_t limit_pages, uint64_t charge_pages);

/* The limit falls, below the charge if need be: what was promised stays promised. */
void commit_lower(struct call *c, uint64_t limit_pages);

/* Whether what is charged is within the limit, at this moment. */
bool commit_is_within(struct call *c);

/* The limit falls by so many, but not below the charge: then false with c->want set. */
bool commit_lower_within(struct call *c, uint64_t limit_pages);

#endif
