/*
 * The compact binary form of a trace, file names ending in .ntt. Version 1; all words
 * little-endian.
 *
 *   file    = magic[8] version:32 zero:32 block(summary) block(references)...
 *   block   = stored:32 raw:32 then `stored` bytes: one zstd frame, with checksum, of `raw` bytes
 *   summary = flags:32 runs:32 references:64 records:64 fetches:64 loads:64 stores:64 modifies:64
 *             then for each run first_page:64 pages:32 rights:32
 *   references = records:32 folds:32 op[records] fold[folds] operands[the rest]
 *
 * op, one byte a record:  bits 1:0 kind, 3:2 operand length 0, 1, 2 or 8 bytes, 7:4 size, one of
 *   1..12, 16, 32, 64, or 15 = a 16-bit word before the record's operand.
 * operand: the zigzagged difference, modulo 2^64, between the address and its prediction. A fetch
 *   is predicted right behind the fetch before it. The k-th data reference after a fetch is
 *   predicted where the k-th one after the same fetch was last time; a table of 2^14 addresses,
 *   indexed by a hash of the fetch plus k, remembers that. Prediction runs on through all blocks.
 * fold, only with flag TRACE_FLAG_FOLDED, one byte a record: references counted with it; 255 is
 *   followed by them as a 32-bit word.
 *
 * Invariants
 *  - B1 a damaged or shortened file is never read as another trace: the head and lengths are
 *       compared, contents have a frame's checksum (a few bits of a frame mean nothing);
 *  - B2 a block's operands are exactly those that its ops ask for;
 *  - B3 records, references, kinds and pages of the summary are those of the blocks; kinds add up
 *       to references; the runs rise, do not touch with equal rights, and hold every page touched;
 *  - B4 reading what was written gives the same references in the same order.
 */
#ifndef NTMM_SHELL_TRACE_BINARY_H
#define NTMM_SHELL_TRACE_BINARY_H

#include "trace.h"

#include <string.h>

#define TRACE_MAGIC_BYTES 8u
#define TRACE_VERSION 1u
#define TRACE_HEAD_BYTES 16u
#define TRACE_BLOCK_HEAD_BYTES 8u
#define TRACE_SUMMARY_BYTES 56u
#define TRACE_RUN_BYTES 16u
#define TRACE_PAYLOAD_HEAD_BYTES 8u
#define TRACE_FLAG_FOLDED 1u

#define TRACE_BLOCK_RECORDS (1u << 20)
/* op, fold with its word, size, operand. */
#define TRACE_RECORD_BYTES_MAX (1u + 5u + 2u + 8u)
#define TRACE_BLOCK_RAW_MAX                                                                        \
    (TRACE_PAYLOAD_HEAD_BYTES + TRACE_BLOCK_RECORDS * TRACE_RECORD_BYTES_MAX)
#define TRACE_RUNS_MAX (1u << 22)

#define TRACE_SIZE_CODE_OTHER 15u
#define TRACE_FOLD_WORD 255u
#define TRACE_PREDICTOR_SLOTS (1u << 14)

/* Not text: a bit 7, a line end of each kind, an end-of-file of DOS. */
extern const unsigned char trace_magic[TRACE_MAGIC_BYTES];

/* Sizes by code; 0 for TRACE_SIZE_CODE_OTHER. */
extern const uint16_t trace_sizes[16];

/* What writer and reader both remember. */
struct trace_predictor {
    uint64_t next_fetch; /* right behind the last one */
    uint32_t slot;       /* of the next data reference */
    uint64_t data[TRACE_PREDICTOR_SLOTS];
};

static inline uint32_t trace_predictor_slot(uint64_t fetch)
{
    return (uint32_t)((fetch * 0x9E3779B97F4A7C15ull) >> 50);
}

static inline uint64_t trace_get(const unsigned char *bytes, unsigned count)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < count; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static inline void trace_put(unsigned char *bytes, unsigned count, uint64_t word)
{
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (unsigned char)(word >> (8 * i));
}

/* Writing: add references, then finish once; a file appears only then. */
struct binary_writer;

struct binary_writer *binary_create(bool is_folded, struct shell_error *error);
bool binary_add(struct binary_writer *writer, const struct trace_reference *references,
                size_t count, struct shell_error *error);

/* Writes the file whole. The summary's runs stay the caller's. */
bool binary_finish(struct binary_writer *writer, const char *path,
                   const struct trace_summary *summary, struct shell_error *error);
void binary_discard(struct binary_writer *writer);

#endif
