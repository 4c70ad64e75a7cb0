/*
 * Writes the compact binary form. See trace_binary.h for the format.
 *
 * Blocks go to an unnamed temporary file as they fill, because the summary that must stand first is
 * known last; binary_finish writes the head and copies them behind it.
 */
#include "trace_binary.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#define COMPRESSION_LEVEL 19

const unsigned char trace_magic[TRACE_MAGIC_BYTES] = {0x89, 'N', 'T', 'T', '\r', '\n', 0x1a, '\n'};

const uint16_t trace_sizes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 32, 64, 0};

struct binary_writer {
    FILE *blocks;
    ZSTD_CCtx *zstd;
    bool is_folded;
    uint32_t record_count; /* in this block */
    size_t fold_bytes;
    size_t operand_bytes;
    struct trace_predictor predictor;
    unsigned char ops[TRACE_BLOCK_RECORDS];
    unsigned char folds[TRACE_BLOCK_RECORDS * 5];
    unsigned char operands[TRACE_BLOCK_RECORDS * 10];
    unsigned char raw[TRACE_BLOCK_RAW_MAX];
};

void binary_discard(struct binary_writer *writer)
{
    if (writer == NULL)
        return;
    ZSTD_freeCCtx(writer->zstd);
    if (writer->blocks != NULL)
        fclose(writer->blocks);
    free(writer);
}

struct binary_writer *binary_create(bool is_folded, struct shell_error *error)
{
    struct binary_writer *writer = calloc(1, sizeof *writer);
    if (writer != NULL) {
        writer->is_folded = is_folded;
        writer->blocks = tmpfile();
        writer->zstd = ZSTD_createCCtx();
    }
    if (writer == NULL || writer->blocks == NULL || writer->zstd == NULL) {
        shell_set_error(error, "ntmm: cannot make a temporary file: %s", strerror(errno));
        binary_discard(writer);
        return NULL;
    }
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
    return writer;
}

/* One block: its head and the frame. */
static bool write_block(ZSTD_CCtx *zstd, FILE *file, const void *raw, size_t raw_bytes,
                        struct shell_error *error)
{
    size_t bound = ZSTD_compressBound(raw_bytes);
    unsigned char *frame = malloc(TRACE_BLOCK_HEAD_BYTES + bound);
    if (frame == NULL)
        return shell_set_error(error, "ntmm: no memory for compression");
    size_t stored = ZSTD_compress2(zstd, frame + TRACE_BLOCK_HEAD_BYTES, bound, raw, raw_bytes);
    bool is_done = !ZSTD_isError(stored);
    if (is_done) {
        trace_put(frame, 4, stored);
        trace_put(frame + 4, 4, raw_bytes);
        is_done = fwrite(frame, 1, TRACE_BLOCK_HEAD_BYTES + stored, file) ==
                  TRACE_BLOCK_HEAD_BYTES + stored;
    }
    free(frame);
    return is_done || shell_set_error(error, "ntmm: cannot write: %s", strerror(errno));
}

static bool flush_block(struct binary_writer *writer, struct shell_error *error)
{
    if (writer->record_count == 0)
        return true;
    unsigned char *out = writer->raw;
    trace_put(out, 4, writer->record_count);
    trace_put(out + 4, 4, writer->fold_bytes);
    out += TRACE_PAYLOAD_HEAD_BYTES;
    memcpy(out, writer->ops, writer->record_count);
    out += writer->record_count;
    memcpy(out, writer->folds, writer->fold_bytes);
    out += writer->fold_bytes;
    memcpy(out, writer->operands, writer->operand_bytes);
    out += writer->operand_bytes;
    writer->record_count = 0;
    writer->fold_bytes = 0;
    writer->operand_bytes = 0;
    return write_block(writer->zstd, writer->blocks, writer->raw, (size_t)(out - writer->raw),
                       error);
}

static unsigned size_code_of(uint32_t size)
{
    unsigned code = 0;
    while (code < TRACE_SIZE_CODE_OTHER && trace_sizes[code] != size)
        code++;
    return code;
}

/* The prediction for a reference, replaced by what it turned out to be. */
static uint64_t predict(struct trace_predictor *predictor, const struct trace_reference *reference)
{
    uint64_t predicted;
    if (reference->kind == TRACE_FETCH) {
        predicted = predictor->next_fetch;
        predictor->next_fetch = reference->address + reference->size_bytes;
        predictor->slot = trace_predictor_slot(reference->address);
    } else {
        predicted = predictor->data[predictor->slot];
        predictor->data[predictor->slot] = reference->address;
        predictor->slot = (predictor->slot + 1) % TRACE_PREDICTOR_SLOTS;
    }
    return predicted;
}

static unsigned length_code_of(uint64_t zigzag)
{
    return zigzag == 0 ? 0 : zigzag < 0x100 ? 1 : zigzag < 0x10000 ? 2 : 3;
}

static void put_operand(struct binary_writer *writer, unsigned count, uint64_t word)
{
    trace_put(writer->operands + writer->operand_bytes, count, word);
    writer->operand_bytes += count;
}

static void put_fold(struct binary_writer *writer, uint32_t folded)
{
    bool is_word = folded >= TRACE_FOLD_WORD;
    writer->folds[writer->fold_bytes++] = (unsigned char)(is_word ? TRACE_FOLD_WORD : folded);
    if (is_word) {
        trace_put(writer->folds + writer->fold_bytes, 4, folded);
        writer->fold_bytes += 4;
    }
}

static void add_record(struct binary_writer *writer, const struct trace_reference *reference)
{
    static const unsigned lengths[4] = {0, 1, 2, 8};
    uint64_t delta = reference->address - predict(&writer->predictor, reference);
    uint64_t zigzag = delta << 1 ^ (0 - (delta >> 63));
    unsigned size_code = size_code_of(reference->size_bytes);
    unsigned length_code = length_code_of(zigzag);
    writer->ops[writer->record_count++] =
        (unsigned char)(reference->kind | length_code << 2 | size_code << 4);
    if (size_code == TRACE_SIZE_CODE_OTHER)
        put_operand(writer, 2, reference->size_bytes);
    put_operand(writer, lengths[length_code], zigzag);
    if (writer->is_folded)
        put_fold(writer, reference->folded);
}

bool binary_add(struct binary_writer *writer, const struct trace_reference *references,
                size_t count, struct shell_error *error)
{
    for (size_t i = 0; i < count; i++) {
        add_record(writer, &references[i]);
        if (writer->record_count == TRACE_BLOCK_RECORDS && !flush_block(writer, error))
            return false;
    }
    return true;
}

static unsigned char *encode_summary(const struct trace_summary *summary, size_t *size)
{
    *size = TRACE_SUMMARY_BYTES + (size_t)summary->run_count * TRACE_RUN_BYTES;
    unsigned char *raw = malloc(*size);
    if (raw == NULL)
        return NULL;
    trace_put(raw, 4, summary->is_folded ? TRACE_FLAG_FOLDED : 0);
    trace_put(raw + 4, 4, summary->run_count);
    trace_put(raw + 8, 8, summary->reference_count);
    trace_put(raw + 16, 8, summary->record_count);
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        trace_put(raw + 24 + 8 * kind, 8, summary->kind_count[kind]);
    for (uint32_t i = 0; i < summary->run_count; i++) {
        unsigned char *run = raw + TRACE_SUMMARY_BYTES + (size_t)i * TRACE_RUN_BYTES;
        trace_put(run, 8, summary->runs[i].first_page);
        trace_put(run + 8, 4, summary->runs[i].page_count);
        trace_put(run + 12, 4, summary->runs[i].rights);
    }
    return raw;
}

static bool copy_blocks(FILE *from, FILE *to)
{
    char buffer[1 << 16];
    size_t count;
    rewind(from);
    while ((count = fread(buffer, 1, sizeof buffer, from)) != 0)
        if (fwrite(buffer, 1, count, to) != count)
            return false;
    return !ferror(from);
}

static bool write_file(struct binary_writer *writer, FILE *file, const void *summary,
                       size_t summary_bytes, struct shell_error *error)
{
    unsigned char head[TRACE_HEAD_BYTES] = {0};
    memcpy(head, trace_magic, TRACE_MAGIC_BYTES);
    trace_put(head + 8, 4, TRACE_VERSION);
    return fwrite(head, 1, sizeof head, file) == sizeof head &&
           write_block(writer->zstd, file, summary, summary_bytes, error) &&
           copy_blocks(writer->blocks, file) && fflush(file) == 0;
}

bool binary_finish(struct binary_writer *writer, const char *path,
                   const struct trace_summary *summary, struct shell_error *error)
{
    size_t summary_bytes;
    if (!flush_block(writer, error))
        return false;
    unsigned char *raw = encode_summary(summary, &summary_bytes);
    if (raw == NULL)
        return shell_set_error(error, "%s: no memory", path);
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    bool is_written = file != NULL && write_file(writer, file, raw, summary_bytes, error);
    if (file != NULL && file != stdout)
        is_written = fclose(file) == 0 && is_written;
    free(raw);
    return is_written || shell_set_error(error, "%s: cannot write: %s", path, strerror(errno));
}
