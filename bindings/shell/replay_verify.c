/*
 * The loop over references with --verify: every byte read is compared with the shadow, every store
 * writes a value made of its address, size and number, to memory and to the shadow.
 *
 *   fetch, load   memory == shadow
 *   store         memory = shadow = value
 *   modify        memory == shadow, then memory = shadow = value
 *
 * A page that no one wrote must read as zeros; pages that a program never writes got contents from
 * replay_regions.c, so that a fetch is checked against more than zeros. References of up to 16
 * bytes that hit are checked in place; all others, page-crossing ones included, go through
 * replay_access into a buffer that is compared byte by byte. References that were folded away are
 * counted, not made.
 */
#include "replay.h"
#include "replay_hit.h"
#include "shadow.h"

/* The value that store `number` leaves at an address; larger stores go on with further words. */
static inline uint64_t value_of(uint64_t address, uint32_t size, uint64_t number)
{
    uint64_t mixed =
        (address ^ (uint64_t)size << 56) * 0x9E3779B97F4A7C15ull + number * 0xD1B54A32D192ED03ull;
    return mixed ^ mixed >> 31;
}

static void fill(unsigned char *bytes, uint64_t address, uint32_t size, uint64_t number)
{
    for (uint32_t done = 0; done < size; done += 8) {
        uint64_t word = value_of(address + done, size, number);
        memcpy(bytes + done, &word, size - done < 8 ? size - done : 8);
    }
}

static int report_wrong(const struct replay_program *program,
                        const struct trace_reference *references, size_t index, uint32_t at,
                        unsigned expected, unsigned found, struct shell_error *error)
{
    const struct trace_reference *reference = &references[index];
    uint64_t number = replay_number(program, references, index);
    static const char *const verbs[TRACE_KINDS] = {"fetch", "load", "store", "modify"};
    shell_set_error(error,
                    "%s: reference %llu: %s of %u bytes at %#llx: byte %u at %#llx is 0x%02x, "
                    "expected 0x%02x",
                    trace_name(program->trace), (unsigned long long)number, verbs[reference->kind],
                    reference->size_bytes, (unsigned long long)reference->address, at,
                    (unsigned long long)(reference->address + at), found, expected);
    return SHELL_WRONG;
}

static int out_of_memory(struct shell_error *error)
{
    shell_set_error(error, "ntmm: no memory for the record that --verify keeps");
    return SHELL_USAGE;
}

/* Compares bytes read with the shadow, page by page. */
static int compare(struct replay_program *program, const struct trace_reference *references,
                   size_t index, const unsigned char *bytes, struct shell_error *error)
{
    const struct trace_reference *reference = &references[index];
    for (uint32_t i = 0; i < reference->size_bytes; i++) {
        const unsigned char *expected = shadow_at(program->shadow, reference->address + i);
        if (expected == NULL)
            return out_of_memory(error);
        if (bytes[i] != *expected)
            return report_wrong(program, references, index, i, *expected, bytes[i], error);
    }
    return SHELL_OK;
}

static int record(struct replay_program *program, const struct trace_reference *reference,
                  const unsigned char *bytes, struct shell_error *error)
{
    for (uint32_t i = 0; i < reference->size_bytes; i++) {
        unsigned char *to = shadow_at(program->shadow, reference->address + i);
        if (to == NULL)
            return out_of_memory(error);
        *to = bytes[i];
    }
    return SHELL_OK;
}

/* Any reference, through the slow way. */
static int run_slowly(struct replay *replay, struct replay_program *program,
                      const struct trace_reference *references, size_t index,
                      struct shell_error *error)
{
    unsigned char bytes[TRACE_SIZE_MAX];
    unsigned char written[TRACE_SIZE_MAX];
    const struct trace_reference *reference = &references[index];
    bool is_write = reference->kind >= TRACE_STORE;
    if (is_write) {
        fill(written, reference->address, reference->size_bytes, program->store_count++);
        memcpy(bytes, written, reference->size_bytes);
    }
    int status = replay_access(replay, program, references, index, bytes, error);
    if (status == SHELL_OK && reference->kind != TRACE_STORE)
        status = compare(program, references, index, bytes, error);
    if (status == SHELL_OK && is_write)
        status = record(program, reference, written, error);
    return status;
}

/* Bits in which two runs of up to 16 bytes differ. */
static inline uint64_t difference(const unsigned char *a, const unsigned char *b, uint32_t size)
{
    static const uint64_t masks[9] = {
        0,     0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
        ~0ull,
    };
    if (__builtin_expect(size <= 8, 1))
        return (hit_word(a) ^ hit_word(b)) & masks[size];
    return (hit_word(a) ^ hit_word(b)) | ((hit_word(a + 8) ^ hit_word(b + 8)) & masks[size - 8]);
}

/* A fetch or a load that hits and finds what it should; false: look again, slowly. */
static inline bool read_fast(struct replay_program *program, const unsigned char *from,
                             const struct trace_reference *reference)
{
    if (from == NULL || reference->size_bytes > HIT_BYTES)
        return false;
    const unsigned char *expected = shadow_at(program->shadow, reference->address);
    return expected != NULL && difference(from, expected, reference->size_bytes) == 0;
}

/* A store or modify that hits and finds what it should. */
static inline bool write_fast(struct replay_program *program, unsigned char *to,
                              const struct trace_reference *reference)
{
    uint32_t size = reference->size_bytes;
    if (to == NULL || size > 8)
        return false;
    unsigned char *copy = shadow_at(program->shadow, reference->address);
    if (copy == NULL || (reference->kind == TRACE_MODIFY && difference(to, copy, size) != 0))
        return false;
    uint64_t value = value_of(reference->address, size, program->store_count);
    if (!hit_store(to, value, size) || !hit_store(copy, value, size))
        return false;
    program->store_count++;
    return true;
}

int replay_run_verified(struct replay *replay, struct replay_program *program,
                        const struct trace_reference *references, size_t count,
                        struct shell_error *error)
{
    const struct ntmm_cpu *cpu = program->cpu;
    int status = SHELL_OK;
    for (size_t i = 0; i < count && status == SHELL_OK; i++) {
        const struct trace_reference *reference = &references[i];
        bool is_done;
        if (reference->kind == TRACE_FETCH)
            is_done = read_fast(program, hit_fetch(cpu, reference->address), reference);
        else if (reference->kind == TRACE_LOAD)
            is_done = read_fast(program, hit_read(cpu, reference->address), reference);
        else
            is_done = write_fast(program, hit_write(cpu, reference->address), reference);
        if (__builtin_expect(!is_done, 0))
            status = run_slowly(replay, program, references, i, error);
    }
    return status;
}
