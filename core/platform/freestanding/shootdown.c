/*
 * Address spaces on processors, and rounds of invalidation.
 *
 *   entering P                                 a round for P
 *   (a) active := P               seq_cst      (c) generation of P + 1     seq_cst
 *   (b) read the generation       seq_cst      (d) read active             seq_cst
 *       kept context of another:  flush             P: ask it, interrupt it, wait till it served
 *
 * T1 once shootdown_invalidate has returned, no processor uses a translation that it covers. The
 *    tables were changed before (c). Of (a) to (d) in their single order either (d) comes after (a)
 *    and the processor is asked, or (b) comes after (c) and what it had kept of P is flushed; it
 *    has walked nothing of P since, because entering happens with interrupts off and (a) comes
 *    before CR3 is loaded.
 * T2 `seen` of the active context is the generation up to which the processor has forgotten. A
 *    round raises it by one only from the value just before; a context that missed a round while
 *    another was active differs, and is flushed when it is entered.
 * T3 one round at a time runs in a machine, under round_lock; who waits for it, or for an
 *    acknowledgement, serves the other's round meanwhile.
 *
 * INVLPG also drops what the processor keeps of upper tables in the current context, so a range
 * that names freed tables needs no more. Another context keeps what it kept of them until it is
 * entered, and uses it no earlier.
 */
#include "platform/freestanding/instructions.h"
#include "platform/freestanding/machine.h"

#define CR3_NO_FLUSH (UINT64_C(1) << 63)
#define CR4_PGE (UINT64_C(1) << 7)

/* More pages than this are not worth invalidating one by one. */
#define PAGES_LIMIT 32u

static uint64_t *generation_of(struct ntmm_freestanding *machine, ntmm_handle process)
{
    return &machine->generations[(uint32_t)process % NTMM_FREESTANDING_GENERATIONS];
}

/* --- entering --- */

/* The context of a process on this processor, perhaps a new one. */
static uint32_t slot_of(struct ntmm_freestanding_processor *p, ntmm_handle process)
{
    for (uint32_t slot = 0; slot < NTMM_FREESTANDING_CONTEXTS; slot++) {
        if (p->owner[slot] == process)
            return slot;
    }
    uint32_t slot = p->next_slot;
    p->next_slot = (slot + 1) % NTMM_FREESTANDING_CONTEXTS;
    p->owner[slot] = process;
    p->seen[slot] = UINT64_MAX; /* no generation: to be flushed */
    return slot;
}

/* The kernel's own tables: context 0, in which nothing below the upper half is ever walked. */
static void leave(struct ntmm_freestanding *machine, struct ntmm_freestanding_processor *p)
{
    uint64_t cr3 = machine->config.root_frame << NTMM_PAGE_SHIFT;
    write_cr3(p->has_pcid ? cr3 | CR3_NO_FLUSH : cr3);
    __atomic_store_n(&p->active, 0, __ATOMIC_SEQ_CST);
}

NTMM_API void ntmm_freestanding_enter(struct ntmm_freestanding *machine, ntmm_handle process,
                                      uint64_t root_frame)
{
    struct ntmm_freestanding_processor *p = this_processor(machine);
    if (p->active == process)
        return;
    if (process == 0) {
        leave(machine, p);
        return;
    }
    uint32_t slot = slot_of(p, process);
    __atomic_store_n(&p->active, process, __ATOMIC_SEQ_CST);
    uint64_t now = __atomic_load_n(generation_of(machine, process), __ATOMIC_SEQ_CST);
    uint64_t cr3 = root_frame << NTMM_PAGE_SHIFT;
    p->statistics.entries++;
    if (p->has_pcid)
        cr3 |= slot + 1;
    if (p->has_pcid && p->seen[slot] == now) {
        cr3 |= CR3_NO_FLUSH;
        p->statistics.warm_entries++;
    }
    p->slot = slot;
    p->seen[slot] = now;
    write_cr3(cr3);
}

/* --- invalidating on this processor --- */

static void flush_everything(struct ntmm_freestanding_processor *p)
{
    p->statistics.flushes++;
    if (p->has_invpcid) {
        invalidate_context(INVPCID_ALL_AND_GLOBAL, 0);
        return;
    }
    uint64_t cr4 = read_cr4();
    write_cr4(cr4 & ~CR4_PGE);
    write_cr4(cr4);
}

static void flush_active(struct ntmm_freestanding_processor *p,
                         const struct ntmm_shootdown *shootdown)
{
    p->statistics.flushes++;
    if (p->has_invpcid)
        invalidate_context(INVPCID_CONTEXT, p->slot + 1);
    else
        write_cr3(shootdown->root_frame << NTMM_PAGE_SHIFT | (p->has_pcid ? p->slot + 1 : 0));
}

/* System addresses, the self map's, are translated alike in every context. */
static bool is_of_system(const struct ntmm_shootdown *shootdown)
{
    for (uint32_t i = 0; i < shootdown->range_count; i++) {
        if (shootdown->ranges[i].base >> 63)
            return true;
    }
    return false;
}

/* 0: the whole address space, or too many. */
static uint64_t pages_of(const struct ntmm_shootdown *shootdown)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < shootdown->range_count; i++) {
        pages += (shootdown->ranges[i].end - shootdown->ranges[i].base) >> NTMM_PAGE_SHIFT;
        if (pages > PAGES_LIMIT)
            return 0;
    }
    return pages;
}

static void forget(struct ntmm_freestanding_processor *p, const struct ntmm_shootdown *shootdown)
{
    if (is_of_system(shootdown)) {
        flush_everything(p);
        return;
    }
    uint64_t pages = pages_of(shootdown);
    if (pages == 0) {
        flush_active(p, shootdown);
        return;
    }
    p->statistics.pages += pages;
    for (uint32_t i = 0; i < shootdown->range_count; i++) {
        const struct ntmm_address_range *range = &shootdown->ranges[i];
        for (uint64_t va = range->base; va != range->end; va += NTMM_PAGE_SIZE)
            invalidate_page(va);
    }
}

/* Whether this processor has to take part; else its generation tells it when it enters. */
static bool concerns(const struct ntmm_freestanding_processor *p,
                     const struct ntmm_shootdown *shootdown)
{
    return __atomic_load_n(&p->active, __ATOMIC_SEQ_CST) == shootdown->process ||
           is_of_system(shootdown);
}

static void apply(struct ntmm_freestanding *machine, struct ntmm_freestanding_processor *p,
                  const struct ntmm_shootdown *shootdown)
{
    if (!concerns(p, shootdown))
        return;
    forget(p, shootdown);
    uint64_t generation =
        __atomic_load_n(generation_of(machine, shootdown->process), __ATOMIC_RELAXED);
    if (p->active == shootdown->process && p->seen[p->slot] + 1 == generation)
        p->seen[p->slot] = generation;
}

/* --- rounds --- */

NTMM_API void ntmm_freestanding_shootdown(struct ntmm_freestanding *machine)
{
    struct ntmm_freestanding_processor *p = this_processor(machine);
    if (__atomic_load_n(&p->is_asked, __ATOMIC_ACQUIRE) == 0)
        return;
    apply(machine, p, machine->round);
    p->statistics.served++;
    __atomic_store_n(&p->is_asked, 0, __ATOMIC_RELEASE);
}

NTMM_API void ntmm_freestanding_poll(struct ntmm_freestanding *machine)
{
    ntmm_freestanding_shootdown(machine);
}

static void spin(struct ntmm_freestanding *machine)
{
    pause_briefly();
    ntmm_freestanding_shootdown(machine);
}

static void lock_round(struct ntmm_freestanding *machine)
{
    while (__atomic_exchange_n(&machine->round_lock, 1, __ATOMIC_ACQUIRE) != 0)
        spin(machine);
}

/* Ask every other processor that the round concerns. */
static void ask_others(struct ntmm_freestanding *machine, struct ntmm_freestanding_processor *self)
{
    for (uint32_t i = 0; i < machine->config.processor_count; i++) {
        struct ntmm_freestanding_processor *p = &machine->processors[i];
        if (p == self || !concerns(p, machine->round))
            continue;
        __atomic_store_n(&p->is_asked, 1, __ATOMIC_RELEASE);
        machine->config.interrupt(machine, i);
        self->statistics.interrupts++;
    }
}

void shootdown_invalidate(void *context, const struct ntmm_shootdown *shootdown)
{
    struct ntmm_freestanding *machine = context;
    uint32_t were_on = interrupts_off();
    struct ntmm_freestanding_processor *self = this_processor(machine);
    lock_round(machine);
    machine->round = shootdown;
    (void)__atomic_add_fetch(generation_of(machine, shootdown->process), 1, __ATOMIC_SEQ_CST);
    self->statistics.rounds++;
    ask_others(machine, self);
    apply(machine, self, shootdown);
    for (uint32_t i = 0; i < machine->config.processor_count; i++) {
        while (__atomic_load_n(&machine->processors[i].is_asked, __ATOMIC_ACQUIRE) != 0)
            pause_briefly();
    }
    __atomic_store_n(&machine->round_lock, 0, __ATOMIC_RELEASE);
    interrupts_restore(were_on);
}
