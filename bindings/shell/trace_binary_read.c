/*
 * Reads the compact binary form. See trace_binary.h for the format and its invariants.
 *
 * A block is decompressed whole; its ops are summed against its operands (B2) once, so that the
 * loop over records needs no bound check. Errors name the offset of the block that is at fault.
 */
#include "trace_binary.h"

#include "trace_forms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>

/* An operand is loaded as 8 bytes whatever its length. */
#define SLACK_BYTES 8u

/* What an op says, so that a record costs a look and no decisions. */
struct op_meaning {
    struct trace_reference reference; /* but for its address; size 0: a word before the operand */
    uint64_t operand_mask;
    uint32_t operand_bytes;
    uint32_t all_bytes; /* operand and size word */
};

struct binary_reader {
    struct trace_input *input;
    ZSTD_DCtx *zstd;
    struct trace_summary summary;
    uint64_t record_count;    /* given out so far */
    uint64_t reference_count; /* given out so far, folded ones included */
    uint64_t block_offset;    /* of the block in raw */
    const unsigned char *op;  /* next record's, up to op_end */
    const unsigned char *op_end;
    const unsigned char *fold;    /* next record's */
    const unsigned char *operand; /* next record's */
    unsigned char *raw;
    size_t raw_capacity;
    unsigned char *stored;
    size_t stored_capacity;
    struct op_meaning meanings[256];
    struct trace_predictor predictor;
};

static bool fail(const struct binary_reader *reader, uint64_t offset, struct shell_error *error,
                 const char *what)
{
    return shell_set_error(error, "%s: offset %" PRIu64 ": %s", trace_input_name(reader->input),
                           offset, what);
}

static bool read_exactly(struct binary_reader *reader, void *buffer, size_t size,
                         struct shell_error *error)
{
    ptrdiff_t got = trace_input_read(reader->input, buffer, size, error);
    if (got < 0)
        return false;
    return (size_t)got == size ||
           fail(reader, trace_input_offset(reader->input), error, "the trace is cut off here");
}

static bool grow(unsigned char **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity)
        return true;
    free(*buffer);
    *buffer = malloc(size);
    *capacity = *buffer != NULL ? size : 0;
    return *buffer != NULL;
}

/* Reads one block into raw. */
static bool read_block(struct binary_reader *reader, size_t raw_max, size_t *raw_bytes,
                       struct shell_error *error)
{
    unsigned char head[TRACE_BLOCK_HEAD_BYTES];
    reader->block_offset = trace_input_offset(reader->input);
    if (!read_exactly(reader, head, sizeof head, error))
        return false;
    size_t stored = (size_t)trace_get(head, 4);
    size_t raw = (size_t)trace_get(head + 4, 4);
    if (raw > raw_max || stored > ZSTD_compressBound(raw_max))
        return fail(reader, reader->block_offset, error, "damaged: the block is too large");
    if (!grow(&reader->stored, &reader->stored_capacity, stored) ||
        !grow(&reader->raw, &reader->raw_capacity, raw + SLACK_BYTES))
        return fail(reader, reader->block_offset, error, "no memory for the block");
    if (!read_exactly(reader, reader->stored, stored, error))
        return false;
    size_t got = ZSTD_decompressDCtx(reader->zstd, reader->raw, raw, reader->stored, stored);
    if (ZSTD_isError(got) || got != raw)
        return fail(reader, reader->block_offset, error, "damaged: the block does not decompress");
    memset(reader->raw + raw, 0, SLACK_BYTES);
    *raw_bytes = raw;
    return true;
}

static bool decode_runs(struct trace_summary *summary, const unsigned char *raw)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < summary->run_count; i++, raw += TRACE_RUN_BYTES) {
        struct trace_run *run = &summary->runs[i];
        run->first_page = trace_get(raw, 8);
        run->page_count = (uint32_t)trace_get(raw + 8, 4);
        run->rights = (uint32_t)trace_get(raw + 12, 4);
        if (run->first_page < end || run->page_count == 0 || run->rights >= 2 * TRACE_STACK ||
            run->first_page >> (64 - TRACE_PAGE_SHIFT) != 0)
            return false;
        end = run->first_page + run->page_count;
        summary->page_count += run->page_count;
    }
    return end <= 1ull << (64 - TRACE_PAGE_SHIFT);
}

/* B3, as far as the summary alone can tell. */
static bool decode_summary(struct trace_summary *summary, const unsigned char *raw, size_t size)
{
    uint32_t flags = size >= TRACE_SUMMARY_BYTES ? (uint32_t)trace_get(raw, 4) : UINT32_MAX;
    if ((flags & ~TRACE_FLAG_FOLDED) != 0)
        return false;
    summary->is_folded = (flags & TRACE_FLAG_FOLDED) != 0;
    summary->run_count = (uint32_t)trace_get(raw + 4, 4);
    summary->reference_count = trace_get(raw + 8, 8);
    summary->record_count = trace_get(raw + 16, 8);
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++) {
        summary->kind_count[kind] = trace_get(raw + 24 + 8 * kind, 8);
        sum += summary->kind_count[kind];
    }
    if (sum != summary->reference_count || summary->record_count > sum ||
        (!summary->is_folded && summary->record_count != sum) ||
        size != TRACE_SUMMARY_BYTES + (size_t)summary->run_count * TRACE_RUN_BYTES)
        return false;
    summary->runs = calloc((size_t)summary->run_count + 1, sizeof *summary->runs);
    return summary->runs != NULL && decode_runs(summary, raw + TRACE_SUMMARY_BYTES);
}

static bool read_head(struct binary_reader *reader, struct shell_error *error)
{
    unsigned char head[TRACE_HEAD_BYTES];
    size_t size;
    if (!read_exactly(reader, head, sizeof head, error))
        return false;
    if (memcmp(head, trace_magic, TRACE_MAGIC_BYTES) != 0)
        return fail(reader, 0, error, "damaged: not the first bytes of a trace");
    if (trace_get(head + 8, 4) != TRACE_VERSION || trace_get(head + 12, 4) != 0)
        return fail(reader, 8, error, "a version of the format that this ntmm does not know");
    if (!read_block(reader, TRACE_SUMMARY_BYTES + TRACE_RUNS_MAX * TRACE_RUN_BYTES, &size, error))
        return false;
    return decode_summary(&reader->summary, reader->raw, size) ||
           fail(reader, reader->block_offset, error, "damaged: the summary contradicts itself");
}

static void fill_meanings(struct op_meaning *meanings)
{
    static const uint64_t masks[4] = {0, 0xff, 0xffff, ~0ull};
    static const unsigned char lengths[4] = {0, 1, 2, 8};
    for (unsigned op = 0; op < 256; op++) {
        struct op_meaning *meaning = &meanings[op];
        meaning->reference.kind = (uint8_t)(op & 3);
        meaning->reference.size_bytes = trace_sizes[op >> 4];
        meaning->operand_mask = masks[op >> 2 & 3];
        meaning->operand_bytes = lengths[op >> 2 & 3];
        meaning->all_bytes = meaning->operand_bytes + (op >> 4 == TRACE_SIZE_CODE_OTHER ? 2u : 0u);
    }
}

struct binary_reader *binary_open(struct trace_input *input, struct shell_error *error)
{
    struct binary_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        shell_set_error(error, "%s: no memory", trace_input_name(input));
        return NULL;
    }
    reader->input = input;
    reader->zstd = ZSTD_createDCtx();
    fill_meanings(reader->meanings);
    if (reader->zstd != NULL && read_head(reader, error))
        return reader;
    binary_close(reader);
    return NULL;
}

void binary_close(struct binary_reader *reader)
{
    if (reader == NULL)
        return;
    ZSTD_freeDCtx(reader->zstd);
    free(reader->summary.runs);
    free(reader->stored);
    free(reader->raw);
    free(reader);
}

const struct trace_summary *binary_summary(const struct binary_reader *reader)
{
    return &reader->summary;
}

/* Bytes of operands, size words included, that ops ask for. */
static uint64_t operand_bytes_of(const struct binary_reader *reader, const unsigned char *ops,
                                 size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += reader->meanings[ops[i]].all_bytes;
    return sum;
}

/* Whether there is exactly one fold a record. */
static bool are_folds_whole(const unsigned char *folds, size_t bytes, size_t records)
{
    size_t i = 0;
    for (; i < bytes && records != 0; records--)
        i += folds[i] == TRACE_FOLD_WORD ? 5 : 1;
    return i == bytes && records == 0;
}

/* Points the reader at a block's parts (B2). */
static bool open_block(struct binary_reader *reader, size_t size)
{
    if (size < TRACE_PAYLOAD_HEAD_BYTES)
        return false;
    size_t records = (size_t)trace_get(reader->raw, 4);
    size_t folds = (size_t)trace_get(reader->raw + 4, 4);
    size_t rest = size - TRACE_PAYLOAD_HEAD_BYTES;
    if (records == 0 || records > rest || folds > rest - records ||
        records > reader->summary.record_count - reader->record_count)
        return false;
    reader->op = reader->raw + TRACE_PAYLOAD_HEAD_BYTES;
    reader->op_end = reader->op + records;
    reader->fold = reader->op_end;
    reader->operand = reader->fold + folds;
    return operand_bytes_of(reader, reader->op, records) == rest - records - folds &&
           are_folds_whole(reader->fold, folds, reader->summary.is_folded ? records : 0);
}

static bool check_end(struct binary_reader *reader, struct shell_error *error)
{
    unsigned char byte;
    uint64_t offset = trace_input_offset(reader->input);
    if (reader->reference_count != reader->summary.reference_count)
        return fail(reader, offset, error, "damaged: the references are not as many as promised");
    ptrdiff_t got = trace_input_read(reader->input, &byte, 1, error);
    if (got < 0)
        return false;
    return got == 0 || fail(reader, offset, error, "damaged: bytes follow the last block");
}

/* Eight bytes, little-endian; one load where the host is. */
static uint64_t load_word(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : trace_get(bytes, 8);
}

/* Decodes records; false when one breaks R1. */
static bool decode_records(struct binary_reader *reader, struct trace_reference *out, size_t count)
{
    struct trace_predictor *predictor = &reader->predictor;
    const unsigned char *operand = reader->operand;
    uint64_t next_fetch = predictor->next_fetch;
    uint32_t slot = predictor->slot;
    bool is_broken = false;
    for (size_t i = 0; i < count; i++) {
        const struct op_meaning *meaning = &reader->meanings[reader->op[i]];
        struct trace_reference reference = meaning->reference;
        if (__builtin_expect(reference.size_bytes == 0, 0)) {
            reference.size_bytes = (uint16_t)trace_get(operand, 2);
            operand += 2;
            is_broken |= (uint32_t)reference.size_bytes - 1 >= TRACE_SIZE_MAX;
        }
        uint64_t zigzag = load_word(operand) & meaning->operand_mask;
        uint64_t address = zigzag >> 1 ^ (0 - (zigzag & 1));
        operand += meaning->operand_bytes;
        if (reference.kind == TRACE_FETCH) {
            address += next_fetch;
            next_fetch = address + reference.size_bytes;
            slot = trace_predictor_slot(address);
        } else {
            address += predictor->data[slot];
            predictor->data[slot] = address;
            slot = (slot + 1) % TRACE_PREDICTOR_SLOTS;
        }
        is_broken |= address + reference.size_bytes - 1 < address;
        reference.address = address;
        out[i] = reference;
    }
    reader->op += count;
    reader->operand = operand;
    predictor->next_fetch = next_fetch;
    predictor->slot = slot;
    return !is_broken;
}

/* Decodes the folds of records just decoded; false when one breaks R2. */
static bool decode_folds(struct binary_reader *reader, struct trace_reference *out, size_t count)
{
    bool is_broken = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t folded = *reader->fold++;
        if (folded == TRACE_FOLD_WORD) {
            folded = (uint32_t)trace_get(reader->fold, 4);
            reader->fold += 4;
        }
        out[i].folded = folded;
        reader->reference_count += folded;
        is_broken |= folded != 0 && trace_is_crossing(&out[i]);
    }
    return !is_broken;
}

ptrdiff_t binary_read(struct binary_reader *reader, struct trace_reference *references,
                      size_t capacity, struct shell_error *error)
{
    size_t size;
    if (reader->record_count == reader->summary.record_count)
        return check_end(reader, error) ? 0 : -1;
    if (reader->op == reader->op_end) {
        if (!read_block(reader, TRACE_BLOCK_RAW_MAX, &size, error))
            return -1;
        if (!open_block(reader, size)) {
            fail(reader, reader->block_offset, error, "damaged: the block contradicts itself");
            return -1;
        }
    }
    size_t count = (size_t)(reader->op_end - reader->op);
    if (count > capacity)
        count = capacity;
    if (!decode_records(reader, references, count) ||
        (reader->summary.is_folded && !decode_folds(reader, references, count))) {
        fail(reader, reader->block_offset, error, "damaged: the block holds an impossible record");
        return -1;
    }
    reader->record_count += count;
    reader->reference_count += count;
    return (ptrdiff_t)count;
}
