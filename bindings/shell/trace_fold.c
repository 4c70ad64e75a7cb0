/*
 * Folding, and why it changes no fault.
 *
 *   I I S L L S   I ...        one page                  another page
 *   I . S . . .   I            kept: I+1, S+3            I
 *
 * A run is a longest series of references to one page in which none crosses into another. Of a run,
 * the first reference of each need is kept, in its place; the needs are execute, read and write (an
 * instruction that reads and writes asks to write), and a write stands for reads that come after
 * it. After a kept reference has been done, the page is mapped with what it needs, and nothing else
 * of this program happens before the run ends; so a later reference of the run with the same need
 * finds a translation that grants it and cannot fault. What is left keeps its order, so the first
 * reference to a page is still the first and of the same kind (demand-zero, by a read or a write),
 * and a write that follows reads is kept (make-dirty). Rights, accessed and dirty bits come out the
 * same; only when something takes the page away within the run can the numbers differ.
 */
#include "trace_fold.h"

unsigned trace_need_of(unsigned kind)
{
    static const unsigned needs[TRACE_KINDS] = {TRACE_EXECUTE, TRACE_READ, TRACE_WRITE,
                                                TRACE_WRITE};
    return needs[kind];
}

static bool is_same_run(const struct trace_fold *fold, const struct trace_reference *reference)
{
    return fold->has_kept && !trace_is_crossing(&fold->kept) && !trace_is_crossing(reference) &&
           fold->kept.address >> TRACE_PAGE_SHIFT == reference->address >> TRACE_PAGE_SHIFT;
}

bool trace_fold_add(struct trace_fold *fold, const struct trace_reference *reference,
                    struct trace_reference *out)
{
    unsigned need = trace_need_of(reference->kind);
    bool is_same = is_same_run(fold, reference);
    uint64_t count = 1 + (uint64_t)reference->folded;
    if (is_same && (fold->granted & need) != 0 && fold->kept.folded <= UINT32_MAX - count) {
        fold->kept.folded += (uint32_t)count;
        return false;
    }
    bool has_out = fold->has_kept;
    *out = fold->kept;
    fold->granted = is_same ? fold->granted : 0;
    fold->granted |= need == TRACE_WRITE ? TRACE_WRITE | TRACE_READ : need;
    fold->kept = *reference;
    fold->has_kept = true;
    return has_out;
}

bool trace_fold_finish(struct trace_fold *fold, struct trace_reference *out)
{
    *out = fold->kept;
    bool has_out = fold->has_kept;
    fold->has_kept = false;
    return has_out;
}
