/*
 * The running side of a system, and the call in progress.
 *
 * struct ntmm_system is what a system keeps outside its frames: the platform, the additions that
 * turn references into pointers, the faults that wait, and the transfers in flight. Everything else
 * is reached from anchor_ref and lies in frames. It is written once, by create or attach, but for
 * the event mask, the queues and the transfers.
 *
 * struct call is one public call (or one background function) in progress, on the caller's stack:
 * it carries the bias, and in debug builds the set of locks held, so that the lock order is checked
 * without any per-thread or global state. Each core function takes it first.
 *
 * Levels: a public call may be made up to the level that its docstring names (enum ntmm_level). One
 * that may wait begins with call_begin_to_wait, which debug builds let nobody pass at raised level.
 *
 * I0 the core never keeps a pointer to a struct call, nor a host pointer in a frame.
 */
#ifndef NTMM_BASE_INSTANCE_H
#define NTMM_BASE_INSTANCE_H

#include "base/assert.h"
#include "base/transfer.h"

#include <ntmm/borrow.h>
#include <ntmm/platform.h>
#include <ntmm/section.h>
#include <ntmm/status.h>
#include <ntmm/system.h>

/* What a call lacked: the reason of a shortage status, for the floor that can relieve it. */
enum want_kind {
    WANT_NOTHING,
    WANT_FRAME,  /* a free frame of the partition */
    WANT_COMMIT, /* `pages` of the partition's commit */
    WANT_BLOCK,  /* a free block for a read */
    WANT_READ,   /* the transfer of `block`: to be submitted if `is_new`, then waited for */
    WANT_TABLE,  /* the tables that lead to page `page` in memory, or, is_prototype, those that
                    lead to the prototype that its view shows */
    WANT_ROWS,   /* `rows` rows of `pages` frames each, aligned to their size */
};

struct want {
    enum want_kind kind;
    uint64_t pages;
    uint64_t page;
    struct transfer_block *block;
    bool is_new;
    bool is_prototype; /* of a table of prototypes */
    uint32_t rows;
};

/* Frame allocations that a test makes fail: after so many, so many. */
struct allocation_failures {
    uint64_t after;
    uint64_t count;
};

struct ntmm_system {
    struct ntmm_platform platform;
    uintptr_t bias;                           /* host pointer = bias + core address */
    uint64_t core_base;                       /* core address of physical address 0 */
    uint64_t anchor_ref;                      /* core address of the anchor */
    uint64_t invalid_mask;                    /* swizzle mask of invalid entries */
    uint64_t fault_wait_100ns;                /* longest wait of a fault */
    uint32_t levels;                          /* of page tables: 4 */
    uint32_t event_mask;                      /* kinds of event wanted (relaxed atomic) */
    uint32_t conditions;                      /* of memory, as last reported (relaxed atomic) */
    uint32_t paging_flags;                    /* NTMM_PAGING_* */
    uint32_t read_cluster;                    /* pages */
    uint32_t write_cluster;                   /* pages */
    le32 waiters_lock;                        /* LOCK_WAITERS */
    struct wait_queue for_frame;              /* faults that wait for a frame */
    struct wait_queue for_file_lock;          /* calls that wait for bytes of a file */
    le32 chances;                             /* times that waiters_note_chance was called (R) */
    le32 frames_change;                       /* 1: a call adds or removes frames (R) */
    le32 areas_sweep;                         /* 1: a call sweeps over tables of prototypes (R) */
    struct allocation_failures failures;      /* nobody but a test sets it, in one thread */
    ntmm_invalidation_sink invalidation_sink; /* or NULL */
    void *invalidation_context;
    ntmm_image_verifier image_verifier; /* or NULL */
    void *verifier_context;
    struct transfers transfers;
};

struct call {
    struct ntmm_system *sys;
    uintptr_t bias;
    struct want want;
    uint32_t zeroed_inline; /* frames zeroed on the spot for this call */
    uint32_t chances;       /* the system's when it was last found that no frame can be had */
    uint16_t held;          /* bit (1 << level) of each lock held; debug builds */
    uint16_t reader;        /* it shares (W), and how, see space/readers.h; 0: it does not */
    uint32_t depth;         /* locks held */
    uint32_t old_level;     /* interrupt level before the first lock */
    uint32_t rows;          /* 1 + number of the first run it holds, see phys/rows.h; 0: none */
    uint32_t processor;     /* 1 + its number, once it was asked for */
};

static inline struct call call_begin(struct ntmm_system *sys)
{
    return (struct call){.sys = sys, .bias = sys->bias};
}

/* Whether the caller is at a level at which it may be made to wait, as far as the port can say. */
static inline bool call_may_wait(const struct ntmm_system *sys)
{
    return !sys->platform.level || sys->platform.level(sys->platform.context) < NTMM_DISPATCH_LEVEL;
}

/* A call that may wait, as NT's PAGED_CODE marks one. */
static inline struct call call_begin_to_wait(struct ntmm_system *sys)
{
    NTMM_ASSERT(call_may_wait(sys));
    return call_begin(sys);
}

/* The processor that the call was on when it first asked: whose lines it had better use. */
static inline uint32_t call_processor(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (c->processor == 0)
        c->processor = 1 + (platform->processor ? platform->processor(platform->context) : 0);
    return c->processor - 1;
}

/* NT's status for what the call lacked. */
static inline ntmm_status want_status(const struct call *c)
{
    return c->want.kind == WANT_COMMIT ? NTMM_STATUS_COMMITMENT_LIMIT : NTMM_STATUS_NO_MEMORY;
}

/* The table frame's bytes: only for frames that hold the core's own objects and tables. */
static inline void *table_at(const struct call *c, uint64_t frame)
{
    return core_at(c->bias, c->sys->core_base + (frame << NTMM_PAGE_SHIFT));
}

static inline uint64_t frame_ref(const struct call *c, uint64_t frame)
{
    return c->sys->core_base + (frame << NTMM_PAGE_SHIFT);
}

/* The core address of a host pointer, as core_at gives it. Where pointers are narrower than core
 * addresses, all frames lie within their reach above the anchor, which is in the lowest of them. */
static inline uint64_t core_ref(const struct call *c, const volatile void *pointer)
{
    uint64_t anchor = c->sys->anchor_ref;
    return anchor + (uintptr_t)((uintptr_t)pointer - c->bias - (uintptr_t)anchor);
}

static inline uint64_t ref_frame(const struct call *c, uint64_t ref)
{
    return (ref - c->sys->core_base) >> NTMM_PAGE_SHIFT;
}

void event_send(struct call *c, enum ntmm_event_kind kind, ntmm_handle process, uint64_t a,
                uint64_t b, uint32_t detail);

/* Hand a record to the platform's sink, if this kind is wanted. */
static inline void event_note(struct call *c, enum ntmm_event_kind kind, ntmm_handle process,
                              uint64_t a, uint64_t b, uint32_t detail)
{
    if (__builtin_expect((c->sys->event_mask >> kind) & 1u, 0))
        event_send(c, kind, process, a, b, detail);
}

#endif
