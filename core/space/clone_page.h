/*
 * Private pages that a process and its clones share until one of them stores to them.
 *
 *   entry of a process -----+                 block: a table of 512 prototypes, and what is known
 *   entry of its clone -----+--> prototype    of each, in a frame of its own
 *   entry of that one's ----+    3 references, in a block --> frame, slot, or zeros
 *
 *   entry, of a private page         the page
 *   valid, ENTRY_SHARED | CLONED     the prototype's frame, of which it is a share; what may be
 *                                    written is copied on write; protection in the entry
 *   prototype, with its address      not valid here; protection in the entry
 *
 * An entry is a reference, valid or not, and so is a page on its way from a process to its clone.
 * Whoever has the last one gets the page back as an ordinary private one with the next fault
 * (clone_page_take_back), or ends it. A prototype is handed out once, and a block ends with the
 * last page that somebody refers to.
 *
 *   CL1 a block is on the list of all, and its frames are its own; `live` is the number of its
 *       prototypes with references, none of them at or past `used`; a prototype is empty exactly
 *       when it has none, otherwise a page of page files (PT1), of protection READWRITE
 *   CL2 the references of a prototype are the entries of processes that name it
 *
 * A block costs two pages of commit; a page is charged to each process that refers to it, so pages
 * are never more than charges. Source: nt_semantics 24; counts and blocks are ours.
 */
#ifndef NTMM_SPACE_CLONE_PAGE_H
#define NTMM_SPACE_CLONE_PAGE_H

#include "space/table.h"

#define CLONE_BLOCK_COMMIT 2u

struct clone_block {
    le32 lock; /* LOCK_SECTION */
    le32 used; /* prototypes handed out (X) */
    le32 live; /* those with references, and 1 while a clone fills the block (X) */
    le32 reserved;
    le64 table_frame;                 /* of the prototypes; fixed */
    le64 child;                       /* handle of the clone that filled it; fixed */
    le64 next, prev;                  /* all blocks, references (O) */
    le32 references[PAGES_PER_TABLE]; /* of each prototype (X) */
};

NTMM_STATIC_ASSERT(sizeof(struct clone_block) <= NTMM_PAGE_SIZE, "it has a frame of its own");

static inline struct clone_block *clone_block_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

/* The block of a prototype: the row of its table names it. */
static inline struct clone_block *clone_block_of(const struct call *c, uint64_t prototype)
{
    return clone_block_at(c, get64(&pfn_at(c, ref_frame(c, prototype))->entry_address));
}

static inline void clone_block_lock(struct call *c, struct clone_block *block)
{
    lock_acquire(c, &block->lock, LOCK_SECTION);
}

static inline void clone_block_unlock(struct call *c, struct clone_block *block)
{
    lock_release(c, &block->lock, LOCK_SECTION);
}

/* Whether an entry, of a private region or a view, refers to a prototype of a block. */
static inline bool clone_page_is(const struct call *c, uint64_t raw)
{
    if (raw & FIELD_MASK(HW_VALID))
        return (raw & ENTRY_CLONED) != 0;
    return entry_kind(c, raw) == PTE_PROTOTYPE && !proto_is_lookup_needed(entry_value(c, raw));
}

/* The value of an entry that refers to a prototype and is not valid. */
static inline uint64_t clone_page_value(uint64_t prototype, uint32_t protection)
{
    uint64_t value = FIELD_MASK(PROTO_PROTOTYPE);
    value = field_set(value, PROTO_PROTECTION, protection);
    return field_set(value, PROTO_ADDRESS, prototype);
}

/* The prototype that an entry refers to, a core address. (W) of its process is held. */
uint64_t clone_page_prototype(const struct call *c, uint64_t raw);

/* --- blocks --- */

/* A new block for a clone to fill, a reference; 0 with c->want set. No lock is held. */
uint64_t clone_block_make(struct call *c, uint64_t child);

/* Whether a prototype can be handed out. Of 0: there is no block. The clone that fills it asks. */
bool clone_block_has_room(const struct call *c, uint64_t ref);

/* The clone is done with it. Of 0: nothing. Takes (X), (O). */
void clone_block_close(struct call *c, uint64_t ref);

/* The system ends: what tables that could not be read referred to. */
void clone_blocks_end_with_system(struct call *c);

/* --- pages; (W) of the process is held, and readers have left it --- */

/* Whether a private page of a plain region may be shared, as far as its entry says: it has contents
 * and no lock. */
bool clone_page_may_share(const struct call *c, uint64_t raw);

/*
 * A private page becomes one that this entry refers to, and once more the caller, for a clone.
 * *value: of the clone's entry. False, with nothing changed: it may not be shared, since its
 * contents may go or went (space/reset.h), or it has none any more. Takes (X), (F).
 */
bool clone_page_share(struct call *c, uint64_t block, const struct table_span *span, uint64_t page,
                      struct gather *g, uint64_t *value);

/* One reference more to what an entry refers to. Returns the value of another entry for it. */
uint64_t clone_page_refer(struct call *c, uint64_t raw);

/* One reference less; the last one ends the page, whose frame, if it has one, joins the chain, for
 * frame_delete. No entry of the caller's maps it any more, and no processor reaches it through one.
 * Takes (X), then perhaps (O); (F), (G), (N), (Q). */
void clone_page_give_up(struct call *c, uint64_t prototype, struct frame_chain *chain);

/* The same, and the frame is free. */
void clone_page_release(struct call *c, uint64_t prototype);

/* Whether an entry refers to a page that became shared for a clone. */
static inline bool clone_page_is_of(const struct call *c, uint64_t raw, uint64_t child)
{
    return clone_page_is(c, raw) &&
           get64(&clone_block_of(c, clone_page_prototype(c, raw))->child) == child;
}

/* If the entry is the only one that refers to its page, the page is an ordinary private one again:
 * valid and clean, in transition, or out. False: others do. Takes (X), (F), perhaps (O). */
bool clone_page_take_back(struct call *c, struct pfn *table, le64 *entry);

/* The entry of a page that it refers to becomes `value`; the reference goes, with the round of the
 * gather when the page was valid. */
void clone_page_drop(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                     uint64_t page, uint64_t value, struct gather *g);

/* A valid page that an entry refers to takes a protection. */
void clone_page_protect(struct call *c, struct process *process, struct pfn *table, le64 *entry,
                        uint64_t page, uint32_t protection, struct gather *g);

#endif
