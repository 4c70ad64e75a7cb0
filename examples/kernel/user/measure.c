/*
 * Instructions from exception entry to return, by kind of fault.
 *
 * Under QEMU's instruction counting (-icount shift=0) the time stamp counts instructions. One store
 * or load between two stamps, less the same with no fault, is the exception: the processor's entry,
 * the kernel, the core, IRET. What the thread was switched out is taken off.
 */
#include "program.h"

#define SAMPLES 64u
/* Pages from one hard fault to the next: twice what a fault reads ahead. */
#define STEP 16u

struct figure {
    uint64_t kind;   /* of the last fault of an access */
    uint64_t faults; /* of each access */
    uint64_t before; /* the thread's faults up to the access */
    uint64_t count, least, sum, greatest;
};

/* How often the thread has faulted; the last time: what kind, and for how long it was away. */
static uint64_t last_fault(uint64_t *kind, uint64_t *away)
{
    uint64_t answer = call(CALL_LAST_FAULT, 0, 0, 0, 0, away);
    *kind = answer % FAULT_KINDS;
    return answer / FAULT_KINDS;
}

static struct figure begin(uint64_t kind, uint64_t faults)
{
    return (struct figure){.kind = kind, .faults = faults, .least = ~0ull};
}

static uint64_t baseline(uint64_t address)
{
    uint64_t least = ~0ull;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        uint64_t stamps = timed_write(address, 1);
        least = stamps < least ? stamps : least;
    }
    return least;
}

static void note_faults(struct figure *f)
{
    uint64_t unused;
    f->before = last_fault(&unused, &unused);
}

static void add(struct figure *f, uint64_t stamps)
{
    uint64_t away = 0, kind;
    uint64_t faults = last_fault(&kind, &away) - f->before;
    EXPECT(kind == f->kind && faults == f->faults);
    stamps -= away;
    f->least = stamps < f->least ? stamps : f->least;
    f->greatest = stamps > f->greatest ? stamps : f->greatest;
    f->sum += stamps;
    f->count++;
}

static void tell(uint64_t kind, const struct figure *f)
{
    (void)call(CALL_MEASURED, kind, f->least, f->sum / f->count, f->greatest, 0);
}

static void measure_writes(uint64_t kind, uint64_t base, uint64_t step, uint64_t nothing)
{
    struct figure f = begin(kind, 1);
    for (uint64_t page = 0; page < SAMPLES * step; page += step) {
        note_faults(&f);
        add(&f, timed_write(base + page * PAGE, page) - nothing);
    }
    tell(kind, &f);
}

static void measure_reads(uint64_t kind, uint64_t base, uint64_t step, uint64_t nothing)
{
    struct figure f = begin(kind, 1);
    for (uint64_t page = 0; page < SAMPLES * step; page += step) {
        note_faults(&f);
        add(&f, timed_read(base + page * PAGE) - nothing);
    }
    tell(kind, &f);
}

static void measure_copies(uint64_t nothing)
{
    uint64_t handle = 0, base = 0;
    EXPECT(call(CALL_SECTION, 'M', SAMPLES * PAGE, 0, 0, &handle) == NTMM_STATUS_SUCCESS);
    EXPECT(call(CALL_MAP, handle, NTMM_PAGE_WRITECOPY, 0, 0, &base) == NTMM_STATUS_SUCCESS);
    for (uint64_t page = 0; page < SAMPLES; page++)
        EXPECT(*word_at(base + page * PAGE) == 0);
    measure_writes(NTMM_FAULT_KIND_COPY_ON_WRITE, base, 1, nothing);
}

/* The stack's guard moves a page down with each access: two faults, of which the second maps the
 * page. The stack's top is committed and not yet touched. */
static void measure_growth(uint64_t nothing)
{
    struct figure f = begin(NTMM_FAULT_KIND_DEMAND_ZERO, 2);
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0) & ~(uint64_t)(PAGE - 1);
    for (uint64_t page = 1; page <= 4; page++)
        *word_at(here - page * PAGE) = page;
    for (uint64_t page = 5; page < 37; page++) {
        note_faults(&f);
        add(&f, timed_write(here - page * PAGE, page) - nothing);
    }
    tell(NTMM_FAULT_KIND_GUARD, &f);
}

/* The first pages of the region stay out of it: reads of the stack, below it, bring them along. */
void run_measure(void)
{
    uint64_t base = allocate_pages((STEP + 2) * SAMPLES) + STEP * PAGE;
    uint64_t used = base + STEP * SAMPLES * PAGE;
    *word_at(used) = 1;
    uint64_t nothing = baseline(used);
    measure_growth(nothing);
    for (uint64_t page = SAMPLES; page < STEP * SAMPLES; page++)
        *word_at(base + page * PAGE) = page;
    measure_writes(NTMM_FAULT_KIND_DEMAND_ZERO, base, 1, nothing);
    EXPECT(call(CALL_TRIM, 0, 0, 0, 0, 0) == NTMM_STATUS_SUCCESS);
    (void)timed_read(used);
    measure_reads(NTMM_FAULT_KIND_TRANSITION, base, 1, nothing);
    for (uint32_t i = 0; i < 4; i++) /* each time what the last one had still in flight */
        EXPECT(call(CALL_TRIM, 1, 0, 0, 0, 0) == NTMM_STATUS_SUCCESS);
    (void)timed_read(used);
    measure_reads(NTMM_FAULT_KIND_HARD, base, STEP, nothing);
    measure_writes(NTMM_FAULT_KIND_MAKE_DIRTY, base, STEP, nothing);
    measure_copies(nothing);
}
