/*
 * The rows of frames and blocks as they change, for tests/models: sim --frames FILE.
 *
 *     machine SEED                                              another one, or an earlier state
 *     FRAME STEP loc list shares refs reading writing dirty owner slot spare use entry block thread
 *     block NUMBER STEP users waits done good target
 *
 * as frames.steps and collided.steps name them. `list` is what links say, not what the row says of
 * itself; `entry` is what the entry that the row names says; `block` is the row's while it is read;
 * `thread` is the host's that came there, or 0 where coroutines are the processors.
 */
#include "sim/sim.h"

#include "phys/pfn.h"
#include "phys/slots.h"
#include "space/table.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_LIST 8u /* NONE of tests/models/steps.py */

/* The entry of a page: ENTRIES of tests/models/steps.py. */
enum seen_entry { SEEN_OUT, SEEN_HERE, SEEN_MAPPED, SEEN_ELSEWHERE };

/* Looks at links that another thread may be changing. */
#define LOOKS 64u

static FILE *trace; /* NULL: nobody wants one */
static bool has_threads;

bool frames_open(const char *path)
{
    trace = fopen(path, "w");
    return trace != NULL && setvbuf(trace, NULL, _IOLBF, 0) == 0; /* a run may trap */
}

void frames_have_threads(void) { has_threads = true; }

void frames_note_machine(uint64_t seed)
{
    if (trace != NULL)
        fprintf(trace, "machine %" PRIu64 "\n", seed);
}

void frames_flush(void)
{
    if (trace != NULL && fflush(trace) != 0)
        abort();
}

static uint64_t frame_of(const struct call *c, const struct pfn *pfn)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t ref = core_ref(c, pfn);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        uint64_t index = (ref - get64(&range->pfn_ref)) / sizeof *pfn;
        if (ref >= get64(&range->pfn_ref) && index < get64(&range->frame_count))
            return get64(&range->base_frame) + index;
    }
    abort();
}

static bool is_linked(const struct call *c, const struct frame_list *list, const struct pfn *pfn,
                      uint64_t frame)
{
    uint64_t previous = get64(&pfn->blink);
    return previous == FRAME_NONE ? load64_relaxed(&list->head) == frame
                                  : get64(&pfn_at(c, previous)->flink) == frame;
}

static uint32_t list_of_links(const struct call *c, const struct pfn *pfn, uint64_t frame,
                              const char *step)
{
    bool is_to_be_listed = strcmp(step, "rest") == 0 || strncmp(step, "put_", 4) == 0;
    const struct frame_list *list = list_of(c, pfn, pfn_location(pfn));
    bool is_listed = list != NULL && is_linked(c, list, pfn, frame);
    /* the neighbours are (L)'s, which need not be held: another thread may have done half */
    for (uint32_t i = 0; list && !is_listed && is_to_be_listed && has_threads && i < LOOKS; i++) {
        (void)sched_yield();
        is_listed = is_linked(c, list, pfn, frame);
    }
    return is_listed ? (uint32_t)pfn_location(pfn) : NO_LIST;
}

/* What the entry that a row names says of the page: another frame has it, this one, or none. */
static enum seen_entry entry_of(const struct call *c, const struct pfn *pfn, uint64_t frame)
{
    if (get64(&pfn->entry_address) == 0)
        return SEEN_OUT;
    uint64_t raw = load64_acquire((const le64 *)core_at(c->bias, get64(&pfn->entry_address)));
    if (raw & FIELD_MASK(HW_VALID))
        return field_get(raw, HW_FRAME) == frame ? SEEN_MAPPED : SEEN_ELSEWHERE;
    if (entry_kind(c, raw) != PTE_TRANSITION)
        return SEEN_OUT;
    return field_get(entry_value(c, raw), TR_FRAME) == frame ? SEEN_HERE : SEEN_ELSEWHERE;
}

static unsigned thread_number(void)
{
    static atomic_uint last;
    static _Thread_local unsigned number;
    if (has_threads && number == 0)
        number = atomic_fetch_add(&last, 1) + 1;
    return number;
}

void ntmm_frame_step(const struct call *c, const struct pfn *pfn, const char *step)
{
    if (trace == NULL)
        return;
    uint64_t frame = frame_of(c, pfn), original = get64(&pfn->original_pte);
    fprintf(trace, "%" PRIu64 " %s %u %u %u %u %u %u %u %u %u %u %u %u %" PRId64 " %u\n", frame,
            step, (unsigned)pfn_location(pfn), list_of_links(c, pfn, frame, step),
            get32(&pfn->share_count), get16(&pfn->reference_count), pfn_is_being_read(pfn),
            pfn_is_being_written(pfn), pfn_is_modified(pfn), get64(&pfn->entry_address) != 0,
            slot_of(original) != 0, entry_is_disposable(original), (unsigned)pfn_use(pfn),
            (unsigned)entry_of(c, pfn, frame),
            pfn_is_being_read(pfn) ? (int64_t)get64(&pfn->flink) : -1, thread_number());
}

void ntmm_block_step(const struct call *c, const struct transfer_block *block, const char *step)
{
    const struct transfer_block *reads = c->sys->transfers.reads;
    if (trace == NULL || block < reads || block >= reads + READ_BLOCKS)
        return;
    fprintf(trace, "block %u %s %u %u %u %u %" PRId64 "\n", (unsigned)(block - reads), step,
            block->users, load32_relaxed(&block->waits.count), block->is_done,
            block->is_done && NTMM_SUCCEEDED(block->io.status), (int64_t)block->target_frame);
}

void ntmm_queue_step(const struct call *c, const struct wait_queue *queue, const char *step)
{
    const struct transfer_block *reads = c->sys->transfers.reads;
    for (uint32_t i = 0; i < READ_BLOCKS && trace != NULL; i++) {
        if (queue == &reads[i].waits)
            ntmm_block_step(c, &reads[i], step);
    }
}
