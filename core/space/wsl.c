/*
 * The sweep over a working set. See wsl.h.
 *
 *   hand --> | missing | out | valid entries ... | nothing in memory | --> end, hand = 0
 *             skipped   skipped  aged, trimmed      trimmed itself, and tables above it
 *
 * A processor that holds a translation does not set the accessed bit again, so a page whose bit was
 * cleared is withdrawn from the processors like one that was trimmed: otherwise the pages used most
 * would look idle.
 */
#include "space/wsl.h"
#include "base/bits.h"
#include "space/table.h"

struct sweep {
    struct process *process;
    struct wsl_pass *pass;
    struct gather gather;
    struct table_span span; /* leaf table being swept */
    uint64_t page;          /* to be looked at next */
    uint64_t end;           /* page at which it ends */
};

static bool is_trimming(const struct wsl_pass *pass) { return pass->trim_age <= WSL_AGE_MAX; }

static bool is_over(const struct wsl_pass *pass)
{
    return pass->examined >= pass->examine || (is_trimming(pass) && pass->trimmed >= pass->trim);
}

/* The protection that an active frame's page has. A write that is still in flight may end at this
 * moment and change the slot beside it. */
static uint32_t protection_of(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    uint64_t original = get64(&pfn_at(c, frame)->original_pte);
    frame_unlock(c, frame);
    return (uint32_t)field_get(original, SW_PROTECTION);
}

static void trim_page(struct call *c, struct sweep *s, le64 *entry, uint64_t raw)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    s->pass->trimmed++;
    if (raw & ENTRY_SHARED) {
        entry_withdraw_shared(c, s->process, s->span.table, entry, s->page,
                              entry_when_trimmed(c, raw), &s->gather);
        return;
    }
    uint64_t value = entry_transition(protection_of(c, frame), frame);
    entry_withdraw(c, s->process, s->span.table, entry, s->page, value, &s->gather);
    chain_add(c, &s->gather.trimmed, frame);
}

/* Processors change accessed and dirty at the same time; when one did, look again. */
static void age_page(struct sweep *s, le64 *entry, uint64_t raw)
{
    uint64_t aged;
    uint32_t age;
    bool is_accessed;
    do {
        is_accessed = (raw & FIELD_MASK(HW_ACCESSED)) != 0;
        age = (uint32_t)field_get(raw, HW_AGE);
        age = is_accessed ? 0 : age + (age < WSL_AGE_MAX);
        aged = field_set(raw & ~FIELD_MASK(HW_ACCESSED), HW_AGE, age);
    } while (aged != raw && !cas64(entry, &raw, aged));
    if (is_accessed)
        gather_range(&s->gather, s->page, s->page + 1);
    s->pass->accessed += is_accessed;
    s->pass->ages[age]++;
}

static void sweep_page(struct call *c, struct sweep *s, le64 *entry, uint64_t raw)
{
    bool is_accessed = (raw & FIELD_MASK(HW_ACCESSED)) != 0;
    uint64_t age = is_accessed ? 0 : field_get(raw, HW_AGE);
    if (raw & (ENTRY_LOCKED | ENTRY_NOT_IN_SET))
        s->pass->accessed++;
    else if (!is_trimming(s->pass))
        age_page(s, entry, raw);
    else if (age >= s->pass->trim_age)
        trim_page(c, s, entry, raw);
    else
        s->pass->accessed += is_accessed;
}

/* The rest of a leaf table, from s->page. */
static void sweep_table(struct call *c, struct sweep *s)
{
    le64 *entry = s->span.entry;
    uint64_t end = min_u64(s->span.end, s->end);
    for (; s->page < end && !is_over(s->pass); s->page++, entry++) {
        uint64_t raw = load64_relaxed(entry);
        if (!entry_is_in_set(raw))
            continue;
        s->pass->examined++;
        sweep_page(c, s, entry, raw);
    }
}

/* Whether nothing that a table's entries name is in memory. A share that goes without (W) is the
 * last one of its frame, so the answer true stays true. */
static bool is_idle(const struct pfn *table) { return load32_acquire(&table->share_count) == 1; }

static void sweep_span(struct call *c, struct sweep *s)
{
    s->span = table_find(c, s->process, s->page);
    if (s->span.entry && !is_idle(s->span.table)) {
        sweep_table(c, s);
        return;
    }
    if ((s->span.entry || s->span.is_out) && is_trimming(s->pass))
        s->pass->tables += table_trim(c, s->process, s->page, &s->gather);
    s->page = s->span.end;
}

static void finish(struct call *c, struct sweep *s)
{
    struct process *process = s->process;
    s->gather.shootdown.reason = s->pass->trimmed ? NTMM_SHOOTDOWN_TRIM : NTMM_SHOOTDOWN_ACCESSED;
    gather_finish(c, process, &s->gather);
    if (!is_trimming(s->pass))
        process_count(process, NTMM_COUNTER_PAGES_AGED, s->pass->examined - s->pass->accessed);
    process_count(process, NTMM_COUNTER_PAGES_TRIMMED, s->pass->trimmed);
    if (s->pass->trimmed)
        event_note(c, NTMM_EVENT_TRIM, get64(&process->handle), s->pass->trimmed,
                   get64(&process->working_set_pages), 0);
}

/* Returns the page to be looked at next. */
static uint64_t sweep_range(struct call *c, struct process *process, struct wsl_pass *pass,
                            uint64_t page, uint64_t end)
{
    struct sweep s = {
        .process = process,
        .pass = pass,
        .page = page,
        .end = end,
    };
    gather_begin(&s.gather, process, NTMM_SHOOTDOWN_TRIM);
    *pass =
        (struct wsl_pass){.examine = pass->examine, .trim = pass->trim, .trim_age = pass->trim_age};
    for (uint32_t spans = 0; s.page < end && spans < WSL_SPANS && !is_over(pass); spans++)
        sweep_span(c, &s);
    finish(c, &s);
    return s.page;
}

void wsl_sweep(struct call *c, struct process *process, struct wsl_pass *pass)
{
    uint64_t end = get64(&process->highest_page);
    uint64_t page = sweep_range(c, process, pass, get64(&process->hand), end);
    pass->wrapped = page >= end;
    set64(&process->hand, pass->wrapped ? 0 : page);
}

bool wsl_trim_range(struct call *c, struct process *process, uint64_t *page, uint64_t end,
                    uint32_t trim_age)
{
    struct wsl_pass pass = {.examine = WSL_SPANS, .trim = UINT64_MAX, .trim_age = trim_age};
    *page = sweep_range(c, process, &pass, *page, end);
    return *page < end;
}
