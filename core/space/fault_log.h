/*
 * The log of a process's faults that brought a page in, kept while somebody watches its working
 * set.
 *
 *   process --> block --> 168 records      three blocks, or none; the first `count` records are
 *           --> block                      used, and what came when all were is counted as lost
 *           --> block
 *
 *   W4 a process has all blocks of its log or none, each its own; count is at most what they hold,
 *      and nothing was lost while there was room
 *
 * Everything here needs (W).
 * Source: GetWsChanges, InitializeProcessForWsWatch, Microsoft documentation; the size is ours.
 */
#ifndef NTMM_SPACE_FAULT_LOG_H
#define NTMM_SPACE_FAULT_LOG_H

#include "space/process.h"

#define FAULT_LOG_TAG                                                                              \
    ((uint32_t)'W' | (uint32_t)'s' << 8 | (uint32_t)'W' << 16 | (uint32_t)'c' << 24)
#define FAULT_LOG_BLOCK_RECORDS 168u
#define FAULT_LOG_RECORDS (FAULT_LOG_BLOCKS * FAULT_LOG_BLOCK_RECORDS)

struct fault_record {
    le64 pc;     /* address of the instruction, or FAULT_PC_UNKNOWN; never 0 */
    le64 va;     /* address accessed, bit 0 replaced: set when the fault needed no transfer */
    le64 thread; /* its id, 0: not known */
};

#define FAULT_PC_UNKNOWN (~0ull)

struct fault_log_block {
    struct fault_record records[FAULT_LOG_BLOCK_RECORDS];
};

static inline bool fault_log_is_kept(const struct process *process)
{
    return get64(&process->fault_log[0]) != 0;
}

/* Begin a log, or empty the one that is kept. False with c->want set. Takes (S), (C), (N). */
bool fault_log_begin(struct call *c, struct process *process);

/* No log is kept any more. Takes (S), perhaps (C), (N), (Q). */
void fault_log_end(struct call *c, struct process *process);

/* A fault brought a page in; pc 0: not known. */
void fault_log_add(struct call *c, struct process *process, uint64_t pc, uint64_t va,
                   uint64_t thread);

/* The record of a number below the log's count. */
const struct fault_record *fault_log_at(const struct call *c, const struct process *process,
                                        uint32_t number);

void fault_log_empty(struct process *process);

#endif
