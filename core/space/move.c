/*
 * Pages that leave their frames. See move.h.
 */
#include "space/move.h"
#include "base/bits.h"
#include "phys/rows.h"
#include "space/table.h"
#include "space/wsl.h"

#define TAKE_PIECE RUN_FRAMES /* frames looked at while (N) is held once */
#define BATCH_PAGES 32u       /* moved in one shootdown; a kernel stack is short */

/* Pages whose entries are withdrawn. */
struct batch {
    struct process *process;
    struct move *move;
    struct gather gather;
    uint32_t count;
    uint64_t raw[BATCH_PAGES]; /* what their entries were */
    uint64_t from[BATCH_PAGES];
    uint64_t to[BATCH_PAGES];
};

static bool is_in(const struct move *move, uint64_t frame)
{
    return frame >= move->base && frame < move->end;
}

/* A frame to move a page to. One of those that are to be empty is not: that is taken. */
static bool take_target(struct call *c, struct move *move, enum ntmm_frame_use use, uint64_t *to)
{
    while (frame_allocate(c, use, to)) {
        if (!is_in(move, *to))
            return true;
        frame_capture(c, *to);
        chain_add(c, &move->taken, *to);
    }
    move->is_failed = true;
    return false;
}

/* --- valid pages --- */

static le64 *entry_of_frame(const struct call *c, uint64_t frame)
{
    return core_at(c->bias, get64(&pfn_at(c, frame)->entry_address));
}

/* The pages are copied: their entries lead to the new frames. */
static void finish_pages(struct call *c, struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        le64 *entry = entry_of_frame(c, b->from[i]);
        frame_move_active(c, b->from[i], b->to[i]);
        store64_release(entry, field_set(b->raw[i], HW_FRAME, b->to[i]));
        chain_add(c, &b->move->taken, b->from[i]);
    }
}

/* They could not be copied: all is as before. */
static void return_pages(struct call *c, struct batch *b)
{
    b->move->is_failed = true;
    for (uint32_t i = 0; i < b->count; i++) {
        store64_release(entry_of_frame(c, b->from[i]), b->raw[i]);
        frame_free(c, b->to[i]);
    }
}

/* One shootdown; then nobody stores to the pages, and they move. */
static void finish_batch(struct call *c, struct batch *b)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    gather_finish(c, b->process, &b->gather);
    if (b->count == 0)
        return;
    if (NTMM_SUCCEEDED(platform->copy(platform->context, b->to, b->from, b->count)))
        finish_pages(c, b);
    else
        return_pages(c, b);
    b->count = 0;
}

/* The counts of its table stay: in transition and valid are alike for them, and (W) is kept. */
static void withdraw_page(struct call *c, struct batch *b, le64 *entry, uint64_t page,
                          uint64_t frame)
{
    uint32_t protection;
    uint64_t to;
    if (!frame_may_move(c, frame, &protection) || !take_target(c, b->move, NTMM_USE_PRIVATE, &to))
        return;
    uint64_t value = entry_transition(protection, frame);
    b->raw[b->count] = exchange64(entry, invalid_encode(value, c->sys->invalid_mask));
    b->from[b->count] = frame;
    b->to[b->count++] = to;
    gather_range(&b->gather, page, page + 1);
    if (b->count == BATCH_PAGES)
        finish_batch(c, b);
}

static void trim_private(struct call *c, struct batch *b, struct pfn *table, le64 *entry,
                         uint64_t page, uint64_t frame)
{
    uint32_t protection;
    (void)frame_may_move(c, frame, &protection);
    entry_withdraw(c, b->process, table, entry, page, entry_transition(protection, frame),
                   &b->gather);
    chain_add(c, &b->gather.trimmed, frame);
    process_count(b->process, NTMM_COUNTER_PAGES_TRIMMED, 1);
}

static void trim_shared(struct call *c, struct batch *b, struct pfn *table, le64 *entry,
                        uint64_t page, uint64_t raw)
{
    entry_withdraw_shared(c, b->process, table, entry, page, entry_when_trimmed(c, raw),
                          &b->gather);
    process_count(b->process, NTMM_COUNTER_PAGES_TRIMMED, 1);
}

static void move_table(struct call *c, struct batch *b, const struct table_span *span,
                       uint64_t page)
{
    le64 *entry = span->entry;
    for (; page < span->end && !b->move->is_failed; page++, entry++) {
        uint64_t raw = load64_relaxed(entry);
        uint64_t frame = field_get(raw, HW_FRAME);
        if (!entry_is_in_set(raw) || (raw & ENTRY_LOCKED) || !is_in(b->move, frame))
            continue;
        if (raw & ENTRY_SHARED)
            trim_shared(c, b, span->table, entry, page, raw);
        else if (b->move->is_trimming)
            trim_private(c, b, span->table, entry, page, frame);
        else
            withdraw_page(c, b, entry, page, frame);
    }
}

/* --- going over an address space --- */

/* The next table of leaves that holds something valid, or large leaf, from *page on, which then is
 * behind it; at most so many spans are looked at. False: there was none. */
static bool next_span(struct call *c, struct process *process, uint64_t *page,
                      struct table_span *span, uint64_t *start)
{
    uint64_t end = get64(&process->highest_page);
    for (uint32_t spans = 0; *page < end && spans < WSL_SPANS; spans++) {
        *span = table_find(c, process, *page);
        *start = *page;
        *page = span->end;
        if (span->is_large || (span->entry && load32_acquire(&span->table->share_count) != 1))
            return true;
    }
    return false;
}

bool move_pages(struct call *c, struct process *process, struct move *move, uint64_t *page)
{
    struct batch batch;
    struct table_span span;
    uint64_t start;
    batch.process = process;
    batch.move = move;
    batch.count = 0;
    gather_begin(&batch.gather, process, NTMM_SHOOTDOWN_TRIM);
    if (next_span(c, process, page, &span, &start) && span.entry)
        move_table(c, &batch, &span, start);
    finish_batch(c, &batch);
    return *page < get64(&process->highest_page) && !move->is_failed;
}

static bool is_staying(uint64_t raw)
{
    return (raw & FIELD_MASK(HW_VALID)) && !(raw & ENTRY_BORROWED) &&
           (raw & (ENTRY_LOCKED | ENTRY_NOT_IN_SET));
}

static void survey_large(struct call *c, const struct table_span *span)
{
    uint64_t count = 1ull << 9 * (span->level - 1);
    uint64_t base = field_get(load64_relaxed(span->upper), HW_FRAME);
    for (uint64_t frame = base; frame < base + count; frame += RUN_FRAMES)
        row_mark_stuck(c, frame);
}

bool move_survey(struct call *c, struct process *process, uint64_t *page)
{
    struct table_span span;
    uint64_t start;
    bool is_found = next_span(c, process, page, &span, &start);
    if (is_found && span.is_large)
        survey_large(c, &span);
    le64 *entry = is_found ? span.entry : NULL;
    for (; entry && start < span.end; start++, entry++) {
        uint64_t raw = load64_relaxed(entry);
        if (is_staying(raw))
            row_mark_stuck(c, field_get(raw, HW_FRAME));
    }
    return *page < get64(&process->highest_page);
}

/* --- pages on standby and modified --- */

static void move_from_list(struct call *c, struct move *move, uint64_t frame)
{
    enum ntmm_frame_use use = pfn_use(pfn_at(c, frame));
    bool is_on_standby = pfn_location(pfn_at(c, frame)) == NTMM_FRAME_STANDBY;
    uint64_t to;
    if (is_on_standby && !frames_are_unused(c)) {
        if (frame_repurpose(c, NTMM_USE_FREE, frame))
            chain_add(c, &move->taken, frame);
        return;
    }
    if (!take_target(c, move, use, &to))
        return;
    if (frame_move_listed(c, frame, to, &move->is_failed))
        chain_add(c, &move->taken, frame);
    else
        frame_free(c, to);
}

void move_listed(struct call *c, struct move *move)
{
    for (uint64_t base = move->base; base < move->end; base += TAKE_PIECE) {
        uint64_t count = min_u64(TAKE_PIECE, move->end - base);
        row_take_free(c, NTMM_USE_FREE, base, count, &move->taken);
    }
    for (uint64_t frame = move->base; frame < move->end && !move->is_failed; frame++) {
        enum ntmm_frame_location location = pfn_location(pfn_at(c, frame));
        if (location == NTMM_FRAME_STANDBY || location == NTMM_FRAME_MODIFIED)
            move_from_list(c, move, frame);
    }
}
