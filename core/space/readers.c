/*
 * (W) shared. See readers.h.
 */
#include "space/readers.h"
#include "space/vad.h"

/* Calls that have to share (W) until somebody wants it for himself, and has to look at all readers;
 * or one that zeroes a frame, which lasts as long. When they were fewer, so many pass before it is
 * shared again. */
#define CALLS_WORTH_IT 16u
#define CALLS_ALONE 64u

static void relax(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    schedule_point(POINT_RELAX);
    if (platform->relax)
        platform->relax(platform->context);
}

/* --- who wants (W) for itself --- */

/* The counts of entries that are to be added to a table's row. */
static void add_to_table(struct call *c, struct readers *readers)
{
    if (get32(&readers->shares) == 0)
        return;
    struct pfn *table = pfn_at(c, get64(&readers->leaf_frame));
    pfn_add_used_shared(table, (int32_t)get32(&readers->used));
    pfn_add_share(table, (int32_t)get32(&readers->shares));
    set32(&readers->used, 0);
    set32(&readers->shares, 0);
}

static void add_faults(struct process *process, const struct readers *readers)
{
    uint64_t demand_zero = get32(&readers->demand_zero);
    uint64_t transition = get32(&readers->transition);
    uint64_t made_dirty = get64(&readers->made_dirty);
    process_add_peak(&process->working_set_pages, &process->working_set_peak,
                     demand_zero + transition);
    process_count(process, NTMM_COUNTER_DEMAND_ZERO_FAULTS, demand_zero);
    process_count(process, NTMM_COUNTER_TRANSITION_FAULTS, transition);
    process_count(process, NTMM_COUNTER_MAKE_DIRTY_FAULTS, made_dirty);
    process_count(process, NTMM_COUNTER_PAGE_FAULTS, demand_zero + transition + made_dirty);
    process_count(process, NTMM_COUNTER_FRAMES_ZEROED_INLINE, get32(&readers->zeroed));
}

/* Nobody is inside any more, but those that came in vain and are about to leave. */
static void wait_until_left(struct call *c, const struct readers *readers)
{
    while (load32_ordered(&readers->is_owned) || load32_ordered(&readers->guests))
        relax(c);
}

/* Nobody new comes to stay: the lock is held. */
static void end_sharing(struct call *c, struct process *process)
{
    uint64_t calls = 0;
    for (uint32_t i = 0; i < READERS; i++) {
        struct readers *readers = &process->readers[i];
        wait_until_left(c, readers);
        calls += get32(&readers->calls) + (get32(&readers->zeroed) ? CALLS_WORTH_IT : 0);
        add_to_table(c, readers);
        add_faults(process, readers);
        __builtin_memset(&readers->calls, 0, sizeof *readers - offsetof(struct readers, calls));
    }
    set32(&process->calls_until_shared, calls < CALLS_WORTH_IT ? CALLS_ALONE : 1);
}

/* Somebody waited for (W), and has it. */
static void begin_sharing(struct process *process)
{
    if (get32(&process->calls_until_shared) == 0)
        set32(&process->calls_until_shared, 1);
}

/* (W) is free, or shared and nobody else was faster: it is the caller's. */
static bool try_take(struct call *c, struct process *process, uint32_t seen)
{
    le32 *lock = &process->working_set_lock;
    if (seen == 0)
        return cas32_acquire(lock, 0, 1);
    if (seen != LOCK_SHARED || !cas32_ordered(lock, LOCK_SHARED, 1))
        return false;
    end_sharing(c, process);
    return true;
}

/* --- who shares it --- */

static uint32_t index_of_processor(struct call *c) { return call_processor(c) & (READERS - 1); }

/* What a call that could share (W) was given. */
struct asked {
    ntmm_handle handle;
    uint32_t rights;
};

/* Be inside, of the readers of this processor; whether as a guest. */
static bool come_in(struct readers *readers)
{
    if (load32_relaxed(&readers->is_owned) == 0 && cas32_ordered(&readers->is_owned, 0, 1))
        return false;
    (void)add32_ordered(&readers->guests, 1);
    return true;
}

static void leave(struct readers *readers, bool is_guest)
{
    if (is_guest)
        (void)add32_ordered(&readers->guests, ~0u);
    else
        store32_release(&readers->is_owned, 0);
}

static void note_inside(struct call *c, uint32_t index, bool is_guest)
{
    c->reader = (uint16_t)(index | READER_IS_INSIDE | (is_guest ? READER_IS_GUEST : 0));
}

void readers_begin(struct call *c, struct process *process)
{
    uint32_t calls = get32(&process->calls_until_shared);
    uint32_t index = index_of_processor(c);
    if (calls > 1) {
        set32(&process->calls_until_shared, calls - 1);
        return;
    }
    note_inside(c, index, come_in(&process->readers[index]));
    store32_release(&process->working_set_lock, LOCK_SHARED);
}

/* (W) was shared a moment ago: share it. False: it is not any more, or the handle does not grant
 * the rights, *is_refused. */
static bool enter(struct call *c, struct process *process, const struct asked *asked,
                  bool *is_refused)
{
    uint32_t index = index_of_processor(c);
    struct readers *readers = &process->readers[index];
    bool is_guest = come_in(readers);
    bool is_shared = load32_ordered(&process->working_set_lock) == LOCK_SHARED;
    *is_refused = is_shared && !process_is_granted(process, asked->handle, asked->rights);
    if (!is_shared || *is_refused) {
        leave(readers, is_guest);
        return false;
    }
    note_inside(c, index, is_guest);
    lock_note_held(c, LOCK_WORKING_SET);
    lock_trace_acquired(&process->working_set_lock, LOCK_WORKING_SET);
    return true;
}

/* True: it is shared, by who asked; false: it is the caller's alone, who may have asked nothing. */
static bool wait_for(struct call *c, struct process *process, const struct asked *asked)
{
    bool has_waited = false, is_refused = false;
    for (;;) {
        uint32_t seen = load32_relaxed(&process->working_set_lock);
        if (seen == LOCK_SHARED && asked && !is_refused) {
            if (enter(c, process, asked, &is_refused))
                return true;
            continue;
        }
        if (try_take(c, process, seen))
            break;
        has_waited = true;
        relax(c);
    }
    if (has_waited)
        begin_sharing(process);
    return false;
}

void working_set_wait(struct call *c, struct process *process) { (void)wait_for(c, process, NULL); }

bool readers_wait(struct call *c, struct process *process, ntmm_handle handle, uint32_t rights)
{
    const struct asked asked = {handle, rights};
    return wait_for(c, process, &asked);
}

void readers_leave(struct call *c, struct process *process)
{
    struct readers *owned = readers_owned(c, process);
    struct readers *readers = readers_of(c, process);
    if (owned && get32(&owned->calls) < CALLS_WORTH_IT)
        set32(&owned->calls, get32(&owned->calls) + 1);
    c->reader = 0;
    lock_note_free(c, LOCK_WORKING_SET);
    lock_trace_released(&process->working_set_lock, LOCK_WORKING_SET);
    leave(readers, !owned);
    lock_leave(c);
}

/* --- what readers find and count --- */

struct table_span readers_find(struct call *c, struct process *process, uint64_t page)
{
    const struct readers *owned = readers_owned(c, process);
    if (owned && get64(&owned->leaf_span) == 1 + (page >> 9))
        return table_leaf_span(c, get64(&owned->leaf_frame), page);
    return table_walk(c, process, page);
}

void readers_found_leaf(struct call *c, struct process *process, uint64_t page, uint64_t frame)
{
    struct readers *owned = readers_owned(c, process);
    if (!owned)
        return;
    add_to_table(c, owned);
    set64(&owned->leaf_span, 1 + (page >> 9));
    set64(&owned->leaf_frame, frame);
}

uint64_t readers_look_at_vad(const struct call *c, struct process *process, uint64_t page)
{
    const struct readers *owned = readers_owned(c, process);
    uint64_t ref = owned ? get64(&owned->vad_hint) : 0;
    return ref && vad_contains(vad_at(c, ref), page) ? ref : 0;
}

void readers_found_vad(const struct call *c, struct process *process, uint64_t ref)
{
    struct readers *owned = readers_owned(c, process);
    if (owned)
        set64(&owned->vad_hint, ref);
}

/* The span is of the table that the owner found last. */
void readers_add_share(struct call *c, struct process *process, const struct table_span *span,
                       bool was_empty)
{
    struct readers *owned = readers_owned(c, process);
    if (owned) {
        set32(&owned->used, get32(&owned->used) + was_empty);
        set32(&owned->shares, get32(&owned->shares) + 1);
        return;
    }
    if (was_empty)
        pfn_add_used_shared(span->table, 1);
    pfn_add_share(span->table, 1);
}

/* What end_sharing does for owners. */
static void add_of_guest(struct process *process, const struct reader_done *done)
{
    le64 *counters = process->counters;
    uint64_t pages = done->demand_zero + done->transition;
    (void)add64(&process->working_set_pages, pages);
    (void)add64(&counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS], done->demand_zero);
    (void)add64(&counters[NTMM_COUNTER_TRANSITION_FAULTS], done->transition);
    (void)add64(&counters[NTMM_COUNTER_MAKE_DIRTY_FAULTS], done->made_dirty);
    (void)add64(&counters[NTMM_COUNTER_PAGE_FAULTS], pages + done->made_dirty);
    (void)add64(&counters[NTMM_COUNTER_FRAMES_ZEROED_INLINE], done->zeroed);
}

void readers_add(struct call *c, struct process *process, const struct reader_done *done)
{
    struct readers *owned = readers_owned(c, process);
    if (!owned) {
        add_of_guest(process, done);
        return;
    }
    store32_relaxed(&owned->demand_zero, get32(&owned->demand_zero) + done->demand_zero);
    store32_relaxed(&owned->transition, get32(&owned->transition) + done->transition);
    set32(&owned->zeroed, get32(&owned->zeroed) + done->zeroed);
    set64(&owned->made_dirty, get64(&owned->made_dirty) + done->made_dirty);
}

uint64_t readers_pages(const struct process *process)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < READERS; i++)
        pages += load32_relaxed(&process->readers[i].demand_zero) +
                 load32_relaxed(&process->readers[i].transition);
    return pages;
}
