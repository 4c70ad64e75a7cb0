/*
 * (W) shared: calls that only look, and soft faults, of one process at once.
 *
 *   free --such a call, once somebody has waited--> LOCK_SHARED --wanted for oneself--> held
 *    ^                                               | calls come and go, each known to  |
 *    |                                               | the readers of its processor      |
 *    +------------- as any lock ---------------------+ (none is inside any more) <-------+
 *
 * While (W) is shared its word is read and never written, so that calls on different processors
 * touch no line in common. Who wants (W) for itself makes the word held, then waits until no reader
 * is inside; who enters says so, then looks at the word: both in the one order of cas32_ordered and
 * its like, so that one of the two sees the other. Then what the readers did is added to the
 * process's counts, before anybody looks at them: nothing else has to know of readers.
 *
 * A processor's first call inside is its owner: what it counts, and where it finds its table and
 * its region again, is in the line of its readers, which nobody else writes. Who comes meanwhile,
 * from a processor of the same number modulo READERS, is a guest: it adds atomically to what is
 * shared.
 *
 * A process that nobody ever waited for is never shared, and pays a comparison for that. Where few
 * calls come between two that want (W) for themselves, it stays an ordinary lock for a while.
 */
#ifndef NTMM_SPACE_READERS_H
#define NTMM_SPACE_READERS_H

#include "space/process.h"
#include "space/table.h"

/*
 *   RD1 who shares (W) changes of what (W) protects nothing but: leaf entries that are not valid,
 *       by compare and exchange, or under (F) of the frame they name; the dirty bits of valid ones;
 *       the used and share counts of tables, and if it is a guest the counts of the process,
 *       atomically; the rows of frames that it took. It leaves the process's hints alone, and
 *       makes no table
 *   RD2 unless (W) is shared, readers have nothing to add and no hints, and calls inside are about
 *       to leave
 *   RD3 a hint of readers names a VAD of the process, or the leaf table of its pages; what is to be
 *       added to a table's row is of that table
 */

/* c->reader: the index of its readers, that it is inside, and whether as a guest. */
#define READER_IS_INSIDE 0x4000u
#define READER_IS_GUEST 0x8000u

/* What a reader's fault did. */
struct reader_done {
    uint32_t demand_zero;
    uint32_t transition;
    uint32_t made_dirty;
    uint32_t zeroed; /* frames, on the spot */
};

/* The readers that a reader is one of. */
static inline struct readers *readers_of(const struct call *c, struct process *process)
{
    return &process->readers[c->reader & (READERS - 1)];
}

/* The line that a call owns; NULL: it is a guest, or no reader. */
static inline struct readers *readers_owned(const struct call *c, struct process *process)
{
    bool is_owner = (c->reader & (READER_IS_INSIDE | READER_IS_GUEST)) == READER_IS_INSIDE;
    return is_owner ? readers_of(c, process) : NULL;
}

/*
 * (W) is not free: share it if the handle names a live process and grants the rights, else take it
 * when that is possible. True: it is shared. lock_enter was called.
 */
bool readers_wait(struct call *c, struct process *process, ntmm_handle handle, uint32_t rights);

/* Shares (W) no more. */
void readers_leave(struct call *c, struct process *process);

/* As table_find, by a reader that is about to count entries. */
struct table_span readers_find(struct call *c, struct process *process, uint64_t page);

/* A reader's walk found the leaf table of a page. */
void readers_found_leaf(struct call *c, struct process *process, uint64_t page, uint64_t frame);

/* The VAD that a reader found last, a reference, if it contains the page; or 0. */
uint64_t readers_look_at_vad(const struct call *c, struct process *process, uint64_t page);
void readers_found_vad(const struct call *c, struct process *process, uint64_t ref);

/* An entry of a span that readers_find found has a share more, and was empty before or not. */
void readers_add_share(struct call *c, struct process *process, const struct table_span *span,
                       bool was_empty);

/* Count what a fault did. */
void readers_add(struct call *c, struct process *process, const struct reader_done *done);

/* (W) is the caller's alone, who may share it: now it is shared, or in a few calls. */
void readers_begin(struct call *c, struct process *process);

/* What readers did since it was last added: pages they brought into the working set. */
uint64_t readers_pages(const struct process *process);

/* As process_lock_working_set, for who only looks: (W) may be shared, c->reader says so. */
static inline __attribute__((always_inline)) ntmm_status
process_lock_to_read(struct call *c, ntmm_handle handle, uint32_t rights, struct process **process)
{
    struct process *found = process_find(c, handle);
    *process = found;
    if (__builtin_expect(!found, 0))
        return process_not_found(handle);
    lock_enter(c, LOCK_WORKING_SET);
    if (__builtin_expect(load32_relaxed(&found->working_set_lock) != 0 ||
                             !cas32_acquire(&found->working_set_lock, 0, 1),
                         0) &&
        readers_wait(c, found, handle, rights))
        return NTMM_STATUS_SUCCESS;
    lock_note_held(c, LOCK_WORKING_SET);
    lock_trace_acquired(&found->working_set_lock, LOCK_WORKING_SET);
    if (__builtin_expect(process_is_granted(found, handle, rights), 1)) {
        if (__builtin_expect(get32(&found->calls_until_shared) != 0, 0))
            readers_begin(c, found);
        return NTMM_STATUS_SUCCESS;
    }
    ntmm_status status = process_refusal(found, handle, rights);
    process_unlock_working_set(c, found);
    return status;
}

static inline void process_unlock_to_read(struct call *c, struct process *process)
{
    if (__builtin_expect(c->reader != 0, 0))
        readers_leave(c, process);
    else
        process_unlock_working_set(c, process);
}

#endif
