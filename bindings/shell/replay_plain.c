/*
 * The loop over references without --verify. Every reference is an access: up to 16 bytes are
 * loaded as two words, the value stored depends on the address; larger and rarer ones take the slow
 * way.
 */
#include "replay.h"
#include "replay_hit.h"

static int run_slowly(struct replay *replay, struct replay_program *program,
                      const struct trace_reference *references, size_t index,
                      struct shell_error *error)
{
    unsigned char bytes[TRACE_SIZE_MAX];
    const struct trace_reference *reference = &references[index];
    memset(bytes, (int)(reference->address & 0xff), reference->size_bytes);
    return replay_access(replay, program, references, index, bytes, error);
}

/* Stores when the processor allows it at once. */
static inline bool write_fast(unsigned char *at, const struct trace_reference *reference)
{
    return at != NULL && hit_store(at, reference->address, reference->size_bytes);
}

int replay_run_plain(struct replay *replay, struct replay_program *program,
                     const struct trace_reference *references, size_t count,
                     struct shell_error *error)
{
    struct ntmm_cpu *cpu = program->cpu;
    uint64_t seen = program->bytes_seen;
    int status = SHELL_OK;
    for (size_t i = 0; i < count && status == SHELL_OK; i++) {
        const struct trace_reference *reference = &references[i];
        const unsigned char *from;
        bool is_done = false;
        if (reference->kind <= TRACE_LOAD) {
            from = reference->kind == TRACE_FETCH ? hit_fetch(cpu, reference->address)
                                                  : hit_read(cpu, reference->address);
            is_done = from != NULL && reference->size_bytes <= HIT_BYTES;
            if (is_done)
                seen += hit_word(from) ^ hit_word(from + reference->size_bytes / 2);
        } else {
            unsigned char *to = hit_write(cpu, reference->address);
            if (reference->kind == TRACE_MODIFY && to != NULL)
                seen += hit_word(to);
            is_done = write_fast(to, reference);
        }
        if (!is_done)
            status = run_slowly(replay, program, references, i, error);
    }
    program->bytes_seen = seen;
    return status;
}
