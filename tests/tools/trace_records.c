/*
 * See trace_records.h. A block of the binary form is decompressed whole; ops, folds and operands
 * are then read from its three parts side by side.
 */
#include "trace_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PREDICTIONS (1u << 14)

struct trace_records {
    FILE *file;
    bool is_binary;
    uint8_t *block; /* the block in reading; NULL: none */
    const uint8_t *op;
    const uint8_t *op_end;
    const uint8_t *fold; /* up to operands_begin; equal: the trace is not folded */
    const uint8_t *operands_begin;
    const uint8_t *operand;
    uint64_t next_fetch;
    unsigned slot;
    uint64_t remembered[PREDICTIONS];
};

_Noreturn void die(const char *what)
{
    fprintf(stderr, "trace: %s\n", what);
    exit(2);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size);
    if (memory == NULL)
        die("no memory");
    return memory;
}

static uint64_t word(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    while (count-- != 0)
        value = value << 8 | bytes[count];
    return value;
}

/* The next block, decompressed; NULL at the end of the file. */
static uint8_t *next_block(FILE *file)
{
    uint8_t head[8];
    size_t got = fread(head, 1, sizeof head, file);
    if (got == 0)
        return NULL;
    if (got != sizeof head)
        die("the head of a block is cut short");
    size_t stored = (size_t)word(head, 4);
    size_t size = (size_t)word(head + 4, 4);
    uint8_t *packed = allocate(stored, 1);
    uint8_t *raw = allocate(size + 8, 1);
    if (fread(packed, 1, stored, file) != stored ||
        ZSTD_decompress(raw, size, packed, stored) != size)
        die("a damaged block");
    free(packed);
    return raw;
}

static void open_binary(struct trace_records *trace)
{
    uint8_t head[16];
    if (fread(head, 1, sizeof head, trace->file) != sizeof head || word(head + 8, 4) != 1)
        die("not version 1 of the binary form");
    free(next_block(trace->file)); /* the summary is not believed */
}

struct trace_records *trace_records_open(const char *path)
{
    struct trace_records *trace = allocate(1, sizeof *trace);
    trace->file = fopen(path, "rb");
    if (trace->file == NULL)
        die("cannot open the file");
    int first = getc(trace->file);
    ungetc(first, trace->file);
    trace->is_binary = first == 0x89;
    if (trace->is_binary)
        open_binary(trace);
    return trace;
}

void trace_records_close(struct trace_records *trace)
{
    fclose(trace->file);
    free(trace->block);
    free(trace);
}

static enum record_kind kind_of_text(const char *line)
{
    static const char letters[] = "ILSM";
    const char *letter = strchr(letters, line[0] == 'I' ? 'I' : line[1]);
    if (line[0] == '\0' || letter == NULL || *letter == '\0')
        die("not a line of lackey");
    return (enum record_kind)(letter - letters);
}

static bool next_of_text(struct trace_records *trace, struct trace_record *record)
{
    char line[4096];
    unsigned long long address;
    unsigned size;
    do {
        if (fgets(line, sizeof line, trace->file) == NULL)
            return false;
    } while (strchr("=-*", line[0]) != NULL);
    record->kind = kind_of_text(line);
    if (sscanf(line + 2, "%llx,%u", &address, &size) != 2 || size == 0)
        die("not a line of lackey");
    record->address = address;
    record->size_bytes = size;
    record->folded = 0;
    return true;
}

static bool take_block(struct trace_records *trace)
{
    free(trace->block);
    trace->block = next_block(trace->file);
    if (trace->block == NULL)
        return false;
    trace->op = trace->block + 8;
    trace->op_end = trace->op + word(trace->block, 4);
    trace->fold = trace->op_end;
    trace->operands_begin = trace->fold + word(trace->block + 4, 4);
    trace->operand = trace->operands_begin;
    return true;
}

static uint32_t take_fold(struct trace_records *trace)
{
    if (trace->fold == trace->operands_begin)
        return 0;
    uint32_t count = *trace->fold++;
    if (count == 255) {
        count = (uint32_t)word(trace->fold, 4);
        trace->fold += 4;
    }
    return count;
}

static uint64_t take_operand(struct trace_records *trace, unsigned length)
{
    uint64_t value = word(trace->operand, length);
    trace->operand += length;
    return value;
}

static bool next_of_binary(struct trace_records *trace, struct trace_record *record)
{
    static const uint8_t sizes[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 32, 64};
    static const uint8_t lengths[4] = {0, 1, 2, 8};
    while (trace->op == trace->op_end)
        if (!take_block(trace))
            return false;
    unsigned op = *trace->op++;
    record->kind = (enum record_kind)(op % 4);
    record->size_bytes = op / 16 == 15 ? (uint32_t)take_operand(trace, 2) : sizes[op / 16];
    uint64_t zigzag = take_operand(trace, lengths[op / 4 % 4]);
    uint64_t difference = zigzag % 2 == 0 ? zigzag / 2 : ~(zigzag / 2);
    if (record->kind == RECORD_FETCH) {
        record->address = trace->next_fetch + difference;
        trace->next_fetch = record->address + record->size_bytes;
        trace->slot = (unsigned)(record->address * 0x9E3779B97F4A7C15u >> 50);
    } else {
        record->address = trace->remembered[trace->slot] + difference;
        trace->remembered[trace->slot] = record->address;
        trace->slot = (trace->slot + 1) % PREDICTIONS;
    }
    record->folded = take_fold(trace);
    return true;
}

bool trace_records_next(struct trace_records *trace, struct trace_record *record)
{
    return trace->is_binary ? next_of_binary(trace, record) : next_of_text(trace, record);
}
