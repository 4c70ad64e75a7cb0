/*
 * A planted error, to prove that --verify sees one: --corrupt-reference N flips a bit in the arena,
 * behind the memory manager's back, once N references of the run are done. The byte is the first of
 * the next reference that reads a page which is in RAM, so a replay that does not notice is broken.
 */
#include "replay.h"

size_t replay_until_corruption(const struct replay *replay,
                               const struct trace_reference *references, size_t count)
{
    uint64_t total = replay->reference_count;
    size_t before = 0;
    if (replay->is_corrupted || replay->options.corrupt_reference == UINT64_MAX)
        return count;
    while (before < count && total < replay->options.corrupt_reference)
        total += 1 + (uint64_t)references[before++].folded;
    return before;
}

void replay_corrupt(struct replay *replay, const struct replay_program *program,
                    const struct trace_reference *next)
{
    struct ntmm_explanation explanation;
    if (next->kind == TRACE_STORE)
        return;
    ntmm_cpu_leave(replay->cpu); /* Y1 */
    ntmm_status status =
        ntmm_explain(replay->system, program->process, next->address, &explanation);
    ntmm_cpu_enter(replay->cpu);
    if (!NTMM_SUCCEEDED(status) || !explanation.has_frame)
        return;
    unsigned char *arena = ntmm_emulated_arena(replay->emu, NULL);
    uint64_t offset =
        explanation.frame.frame << NTMM_PAGE_SHIFT | (next->address & (NTMM_PAGE_SIZE - 1));
    arena[offset] ^= 0x10;
    replay->is_corrupted = true;
}
