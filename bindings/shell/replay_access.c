/*
 * One access with everything that can happen to it: page crossing, faults, regions made on demand.
 *
 *   reference -> pieces of <= 64 bytes -> ntmm_emulated_* (processor, door)
 *                     ^                        | access violation of a text's program
 *                     +--- 64 KiB committed ---+
 *
 * A modify is one access that needs the right to write, as the processor does it, not a load and
 * then a store: so the first touch of a page by one is a write fault.
 */
#include "replay.h"

#include <string.h>

/* A modify in flight; the processor may call for it more than once. */
struct exchange {
    const unsigned char *wanted;
    unsigned char *found;
};

static bool exchange_bytes(void *bytes, uint32_t size, void *context)
{
    const struct exchange *exchange = context;
    memcpy(exchange->found, bytes, size);
    memcpy(bytes, exchange->wanted, size);
    return true;
}

static ntmm_status modify(struct ntmm_emulated *emu, uint32_t cpu, uint64_t address,
                          unsigned char *bytes, uint32_t size, struct ntmm_fault_result *fault)
{
    unsigned char found[NTMM_CPU_ACCESS_MAX];
    struct exchange exchange = {bytes, found};
    ntmm_status status =
        ntmm_emulated_update(emu, cpu, address, size, exchange_bytes, &exchange, NULL, fault);
    if (NTMM_SUCCEEDED(status))
        memcpy(bytes, found, size);
    return status;
}

static ntmm_status try_piece(struct ntmm_emulated *emu, uint32_t cpu, unsigned kind,
                             uint64_t address, unsigned char *bytes, uint32_t size,
                             struct ntmm_fault_result *fault)
{
    switch ((enum trace_kind)kind) {
    case TRACE_FETCH:
        return ntmm_emulated_fetch(emu, cpu, address, bytes, size, NULL, fault);
    case TRACE_LOAD:
        return ntmm_emulated_load(emu, cpu, address, bytes, size, NULL, fault);
    case TRACE_STORE:
        return ntmm_emulated_store(emu, cpu, address, bytes, size, NULL, fault);
    case TRACE_MODIFY:
        return modify(emu, cpu, address, bytes, size, fault);
    case TRACE_KINDS:
        break;
    }
    return NTMM_STATUS_INVALID_PARAMETER;
}

/* Runs a piece, making what a text's program lacks; the last status. */
static ntmm_status do_piece(struct replay *replay, struct replay_program *program, unsigned kind,
                            uint64_t address, unsigned char *bytes, uint32_t size)
{
    struct ntmm_fault_result fault;
    for (;;) {
        ntmm_status status =
            try_piece(replay->emu, program->cpu_index, kind, address, bytes, size, &fault);
        if (status != NTMM_STATUS_ACCESS_VIOLATION || program->has_regions)
            return status;
        ntmm_cpu_leave(program->cpu); /* Y1 */
        ntmm_status made = replay_make_region_at(replay, program, fault.parameters[1]);
        ntmm_cpu_enter(program->cpu);
        if (!NTMM_SUCCEEDED(made)) /* a second violation at one place is a conflict here */
            return made == NTMM_STATUS_CONFLICTING_ADDRESSES ? status : made;
    }
}

uint64_t replay_number(const struct replay_program *program,
                       const struct trace_reference *references, size_t index)
{
    uint64_t number = program->reference_count + 1;
    for (size_t i = 0; i < index; i++)
        number += 1 + (uint64_t)references[i].folded;
    return number;
}

static int fail(const struct replay *replay, const struct replay_program *program, uint64_t number,
                uint64_t address, ntmm_status status, struct shell_error *error)
{
    struct shell_status_name name;
    char what[512];
    snprintf(what, sizeof what, "reference %llu of %s", (unsigned long long)number,
             trace_name(program->trace));
    if (status == NTMM_STATUS_COMMITMENT_LIMIT || status == NTMM_STATUS_NO_MEMORY)
        replay_refuse_shortage(replay, status, what, error);
    else
        shell_set_error(error, "%s: reference %llu: address %#llx: %s", trace_name(program->trace),
                        (unsigned long long)number, (unsigned long long)address,
                        shell_status_name(status, &name));
    return SHELL_USAGE;
}

int replay_access(struct replay *replay, struct replay_program *program,
                  const struct trace_reference *references, size_t index, unsigned char *bytes,
                  struct shell_error *error)
{
    const struct trace_reference *reference = &references[index];
    uint32_t size = reference->size_bytes;
    for (uint32_t done = 0; done < size; done += NTMM_CPU_ACCESS_MAX) {
        uint32_t left = size - done;
        uint32_t piece = left < NTMM_CPU_ACCESS_MAX ? left : NTMM_CPU_ACCESS_MAX;
        ntmm_status status = do_piece(replay, program, reference->kind, reference->address + done,
                                      bytes + done, piece);
        if (!NTMM_SUCCEEDED(status))
            return fail(replay, program, replay_number(program, references, index),
                        reference->address + done, status, error);
    }
    return SHELL_OK;
}
