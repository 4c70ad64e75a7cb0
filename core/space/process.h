/*
 * Processes: the object, its handle, its locks.
 *
 * Process objects lie in frames of their own that are never used for anything else while the system
 * lives, and a slot's lock words survive its process. So a handle needs no reference count: look
 * the slot up, take its lock, and see whether the handle is still the slot's (process_lock).
 *
 *   directory frame: 512 references --> frame: 4 objects of 1024 bytes
 *
 * PR1 a slot is free (handle 0, on the free chain), live, or ending; its handle names its own index
 * PR2 commit_pages is the sum of its VADs' commit and its user physical pages; virtual_pages the
 *     sum of their sizes
 * PR3 table_pages is the number of its tables, the root and those that are paged out included
 * PR4 process_pages of the partition is the number of frames of the directory and of process
 *     objects
 * W1  working_set_pages is the number of its valid leaf entries but those outside it
 *     (entry_is_in_set)
 * W2  locked_pages is the number of these that are locked
 * W3  minimum_pages of the partition is the sum of the working-set minima of all processes
 */
#ifndef NTMM_SPACE_PROCESS_H
#define NTMM_SPACE_PROCESS_H

#include "base/gap_tree.h"
#include "base/lock.h"
#include "phys/anchor.h"
#include "space/layout.h"
#include "x64/formats.h"

#include <ntmm/access.h>
#include <ntmm/process.h>

#define PROCESS_SLOT_BYTES 1024u
#define PROCESSES_PER_FRAME (NTMM_PAGE_SIZE / PROCESS_SLOT_BYTES)
#define PROCESSES_MAX (NTMM_ENTRIES_PER_TABLE * PROCESSES_PER_FRAME)
#define FAULT_LOG_BLOCKS 3u
#define READERS 4u /* a power of two: of processors, by number */
#define PROCESS_ROOM 88u
#define HANDLE_KIND_PROCESS 1u
#define HANDLE_KIND_SHIFT 56u
#define HANDLE_GENERATION_SHIFT 32u
#define HANDLE_GENERATION_MAX 0xFFFFFFu

/* END_FAILED: a table could not be read; it may be ended again. MAKING: only the call that makes it
 * reaches it; others are told that it ends. */
enum process_state {
    PROCESS_FREE,
    PROCESS_LIVE,
    PROCESS_ENDING,
    PROCESS_END_FAILED,
    PROCESS_MAKING
};

/*
 * Calls of a processor that share (W) of a process, and what they did that nobody has added to the
 * process's own counts yet. A line of its own. Who is inside as the owner has all but `guests` for
 * itself; what is counted by faults is bounded by the pages that can be in memory.
 */
struct readers {
    le32 is_owned;    /* a call is inside, as the owner (R) */
    le32 guests;      /* calls inside that came while there was an owner (R) */
    le32 calls;       /* of owners, as far as they matter */
    le32 demand_zero; /* faults */
    le32 transition;
    le32 zeroed; /* frames zeroed on the spot */
    le32 used;   /* entries and shares to be added to the row of leaf_frame */
    le32 shares;
    le64 made_dirty; /* faults */
    le64 vad_hint;   /* VAD found last, a reference, or 0 */
    le64 leaf_span;  /* 1 + page >> 9 of the leaf table found last, or 0 */
    le64 leaf_frame; /* its frame */
};

struct process {
    le32 address_lock;                /* LOCK_ADDRESS */
    le32 working_set_lock;            /* LOCK_WORKING_SET */
    le64 handle;                      /* its handle, or 0 (W, D) */
    le32 state;                       /* enum process_state (W, D) */
    le32 next_free;                   /* next free slot + 1 (D) */
    le64 root_frame;                  /* fixed while live */
    le64 highest_page;                /* page after the highest that can be reserved; fixed */
    le64 bottom_page;                 /* where searches begin; fixed */
    le64 commit_limit;                /* pages; fixed */
    struct gap_tree vads;             /* pages (A, W) */
    le32 protection;                  /* PS_PROTECTION; fixed */
    le32 flags;                       /* NTMM_PROCESS_* flags of its configuration; fixed */
    le64 top_page;                    /* where searches from the top begin; fixed */
    le64 vad_hint;                    /* VAD found last, a reference, or 0 (W) */
    le64 virtual_pages;               /* (A, W) */
    le64 virtual_peak;                /* (A, W) */
    le64 commit_pages;                /* private pages promised (W) */
    le64 commit_peak;                 /* (W) */
    le64 working_set_pages;           /* (W) */
    le64 working_set_peak;            /* (W) */
    le64 table_pages;                 /* those that are out included (W) */
    le64 tables_out;                  /* of these, in transition or paged out (W) */
    le64 leaf_span;                   /* table_find's last leaf table: page >> 9 of it, or ~0 (W) */
    le64 void_start, void_end;        /* pages that table_find last found to have no table (W) */
    le64 vad_spare;                   /* a VAD that nobody uses, a reference, or 0 (A, W) */
    le64 leaf_frame;                  /* its frame (W) */
    le64 working_set_minimum;         /* pages; fixed */
    le64 working_set_maximum;         /* pages; fixed */
    le64 hand;                        /* page at which the next sweep begins (W) */
    le64 watch_root;                  /* root of the marks of watched regions, or 0 (W) */
    le64 locked_pages;                /* of the working set, locked by a service (W) */
    le32 limit_flags;                 /* LIMIT_* bits (W) */
    le32 has_watch;                   /* whether it ever had a watched region (W) */
    le64 physical_head;               /* first of its user physical pages, when there are any (W) */
    le64 physical_pages;              /* their number (W) */
    le64 job;                         /* its job, a reference, or 0 (A, W, D) */
    le64 fault_log[FAULT_LOG_BLOCKS]; /* blocks of the log of its faults, references, or 0 (W) */
    le32 fault_log_count;             /* records in it (W) */
    le32 fault_log_lost;              /* faults since it was full (W) */
    le64 targets_page;                /* where its bitmap of call targets begins, or 0; fixed */
    le64 secure_number;               /* given to the last secured range (A, W) */
    le64 counters[NTMM_COUNTER_COUNT]; /* (W) */
    le32 calls_until_shared; /* until one that may share (W) does so; 0: none ever did (W) */
    le32 reserved;
    uint8_t room[PROCESS_ROOM]; /* 0: for fields to come */
    struct readers readers[READERS];
};

NTMM_STATIC_ASSERT(offsetof(struct process, readers) % 64 == 0, "readers share no line");

/* Whether a policy forbids a process code that no image brought, and a page would be such code with
 * a protection: executable, and none of an image. */
static inline bool process_forbids_code(const struct process *process, uint32_t protection)
{
    return (get32(&process->flags) & NTMM_PROCESS_NO_DYNAMIC_CODE) && (protection & PROT_EXECUTE);
}

/* NT's own, pages. */
#define WORKING_SET_MINIMUM_DEFAULT 50u
#define WORKING_SET_MAXIMUM_DEFAULT 345u

enum {
    LIMIT_HARD_MINIMUM = 1u << 0, /* never trimmed below its minimum */
    LIMIT_HARD_MAXIMUM = 1u << 1, /* at its maximum a page comes only when another goes */
};

NTMM_STATIC_ASSERT(sizeof(struct process) <= PROCESS_SLOT_BYTES, "a slot holds a process");

/* The object in a slot that exists, whatever its state; NULL beyond the slots. */
static inline struct process *process_in_slot(const struct call *c, uint32_t slot)
{
    const struct anchor *anchor = anchor_of(c);
    if (__builtin_expect(slot >= load32_acquire(&anchor->slot_count), 0))
        return NULL;
    const le64 *directory = core_at(c->bias, get64(&anchor->directory_ref));
    uint64_t frame = get64(&directory[slot / PROCESSES_PER_FRAME]);
    return core_at(c->bias, frame + (uint64_t)(slot % PROCESSES_PER_FRAME) * PROCESS_SLOT_BYTES);
}

/*
 * A handle names a slot, and says what its holder lacks: a bit set is a right or privilege that was
 * not granted. A process's own handle lacks nothing.
 *
 *   kind 63:56 | generation 55:32 | lacks 31:12 | slot 11:0
 */
#define HANDLE_LACKS_SHIFT 12u
#define HANDLE_LACKS (0xFFFFFull << HANDLE_LACKS_SHIFT)
#define HANDLE_SLOT 0xFFFu

NTMM_STATIC_ASSERT(PROCESSES_MAX <= HANDLE_SLOT + 1, "a handle names every slot");

/* Privileges of who opened a handle, in one word with the rights, NTMM_PROCESS_*. */
enum {
    HELD_LOCK_MEMORY = 1u << 14,
    HELD_INCREASE_QUOTA = 1u << 15,
    HELD_INCREASE_WORKING_SET = 1u << 16,
    HELD_PROFILE = 1u << 17,
};

/* The process's own handle, which lacks nothing. */
static inline ntmm_handle process_own_handle(ntmm_handle handle) { return handle & ~HANDLE_LACKS; }

static inline bool handle_is_process(ntmm_handle handle)
{
    return handle >> HANDLE_KIND_SHIFT == HANDLE_KIND_PROCESS;
}

static inline bool handle_holds(ntmm_handle handle, uint32_t rights)
{
    return (handle & (uint64_t)rights << HANDLE_LACKS_SHIFT) == 0;
}

/* The slot that a handle names, whatever is in it by now; NULL: none. */
static inline struct process *process_find(const struct call *c, ntmm_handle handle)
{
    if (__builtin_expect(!handle_is_process(handle), 0))
        return NULL;
    return process_in_slot(c, (uint32_t)handle & HANDLE_SLOT);
}

/* Why process_find found nothing: INVALID_HANDLE, OBJECT_TYPE_MISMATCH. */
static inline ntmm_status process_not_found(ntmm_handle handle)
{
    bool is_other = handle != 0 && !handle_is_process(handle);
    return is_other ? NTMM_STATUS_OBJECT_TYPE_MISMATCH : NTMM_STATUS_INVALID_HANDLE;
}

/* Whether the slot, (W) held, still is the live process of the handle, which grants the rights. */
static inline bool process_is_granted(const struct process *process, ntmm_handle handle,
                                      uint32_t rights)
{
    return get64(&process->handle) == process_own_handle(handle) && handle_holds(handle, rights) &&
           get32(&process->state) == PROCESS_LIVE;
}

/* Why process_is_granted refused. */
ntmm_status process_refusal(const struct process *process, ntmm_handle handle, uint32_t rights);

/* --- readers.c: (W) shared, see readers.h --- */

/* (W) is held by somebody, or shared: wait, and add what was done meanwhile. */
void working_set_wait(struct call *c, struct process *process);

/* Take (W) of a process. */
static inline void working_set_acquire(struct call *c, struct process *process)
{
    lock_enter(c, LOCK_WORKING_SET);
    if (__builtin_expect(!cas32_acquire(&process->working_set_lock, 0, 1), 0))
        working_set_wait(c, process);
    lock_note_held(c, LOCK_WORKING_SET);
    lock_trace_acquired(&process->working_set_lock, LOCK_WORKING_SET);
}

/* (A) and (W). */
static inline void process_acquire_both(struct call *c, struct process *process)
{
    lock_acquire(c, &process->address_lock, LOCK_ADDRESS);
    lock_enter_next(c, LOCK_WORKING_SET);
    if (__builtin_expect(!cas32_acquire(&process->working_set_lock, 0, 1), 0))
        working_set_wait(c, process);
    lock_note_held(c, LOCK_WORKING_SET);
    lock_trace_acquired(&process->working_set_lock, LOCK_WORKING_SET);
}

static inline void process_unlock_working_set(struct call *c, struct process *process)
{
    lock_release(c, &process->working_set_lock, LOCK_WORKING_SET);
}

static inline void process_unlock_address(struct call *c, struct process *process)
{
    lock_release_inner(c, &process->working_set_lock, LOCK_WORKING_SET);
    lock_release(c, &process->address_lock, LOCK_ADDRESS);
}

/*
 * Find a live process and take its working-set lock, or its address and working-set locks.
 * `rights`: what the handle must hold, NTMM_PROCESS_*; 0: nothing.
 * Not found: INVALID_HANDLE, OBJECT_TYPE_MISMATCH, ACCESS_DENIED or PROCESS_IS_TERMINATING, in this
 * order, no lock held.
 */
static inline ntmm_status process_lock_working_set(struct call *c, ntmm_handle handle,
                                                   uint32_t rights, struct process **process)
{
    struct process *found = process_find(c, handle);
    *process = found;
    if (__builtin_expect(!found, 0))
        return process_not_found(handle);
    working_set_acquire(c, found);
    if (__builtin_expect(process_is_granted(found, handle, rights), 1))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = process_refusal(found, handle, rights);
    process_unlock_working_set(c, found);
    return status;
}

static inline ntmm_status process_lock_address(struct call *c, ntmm_handle handle, uint32_t rights,
                                               struct process **process)
{
    struct process *found = process_find(c, handle);
    *process = found;
    if (__builtin_expect(!found, 0))
        return process_not_found(handle);
    process_acquire_both(c, found);
    if (__builtin_expect(process_is_granted(found, handle, rights), 1))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = process_refusal(found, handle, rights);
    process_unlock_address(c, found);
    return status;
}

ntmm_status process_refuse_privilege(struct call *c, struct process *process, ntmm_status status);

/* As process_lock_address, for who holds a privilege, HELD_*, or 0: else PRIVILEGE_NOT_HELD, after
 * ACCESS_DENIED. */
static inline ntmm_status process_lock_privileged(struct call *c, ntmm_handle handle,
                                                  uint32_t rights, uint32_t privilege,
                                                  struct process **process)
{
    ntmm_status status = process_lock_address(c, handle, rights, process);
    if (__builtin_expect(handle_holds(handle, privilege), 1))
        return status;
    return process_refuse_privilege(c, *process, status);
}

/* Lock the working set of a slot's process; NULL, nothing locked: there is none. One that ends is
 * trimmed like any other: it may need frames for its tables, or wait to be ended again. */
struct process *process_lock_slot(struct call *c, uint32_t slot);

/* As process_lock_address, making it ENDING: also one whose end failed. */
ntmm_status process_lock_ending(struct call *c, ntmm_handle handle, uint32_t rights,
                                struct process **process);

/* The same locks again for one that the caller made ENDING, or makes. */
void process_relock_ending(struct call *c, struct process *process);

/* A slot made LIVE, or MAKING, with an empty address space. Takes (D), (C), (N). Shortage: c->want
 * is set. */
ntmm_status process_create(struct call *c, const struct ntmm_process_config *config,
                           const struct layout *layout, enum process_state state,
                           ntmm_handle *handle);

/* Retire a slot in state ENDING whose address space is empty: keep its counters, free the slot. */
void process_retire(struct call *c, struct process *process);

/* Free the frames of process objects; no process is left. */
void process_directory_free(struct call *c);

static inline void process_count(struct process *process, enum ntmm_counter counter, uint64_t by)
{
    set64(&process->counters[counter], get64(&process->counters[counter]) + by);
}

static inline void process_add_peak(le64 *value, le64 *peak, uint64_t by)
{
    uint64_t now = get64(value) + by;
    set64(value, now);
    if (now > get64(peak))
        set64(peak, now);
}

static inline void process_subtract(le64 *value, uint64_t by)
{
    NTMM_ASSERT(get64(value) >= by);
    set64(value, get64(value) - by);
}

static inline uint32_t process_index(const struct process *process)
{
    return (uint32_t)get64(&process->handle) & HANDLE_SLOT;
}

#endif
