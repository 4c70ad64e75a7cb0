/*
 * A planted error, to prove that --verify sees one: --corrupt-reference N flips a bit in the arena,
 * behind the memory manager's back, once N references of the run are done. The byte is the first of
 * the next reference that reads, and its page is brought into RAM before, so a replay that does not
 * notice is broken.
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
    unsigned char byte;
    const uint8_t *host;
    if (next->kind == TRACE_STORE)
        return;
    /* No other processor runs between the load and the flip, so the page stays where it is. */
    ntmm_status status = ntmm_emulated_load(replay->emu, program->cpu_index, next->address, &byte,
                                            sizeof byte, NULL, NULL);
    if (!NTMM_SUCCEEDED(status) ||
        !ntmm_cpu_probe_read(program->cpu, next->address, sizeof byte, &host))
        return;
    unsigned char *arena = ntmm_emulated_arena(replay->emu, NULL);
    arena[host - arena] ^= 0x10;
    replay->is_corrupted = true;
}
