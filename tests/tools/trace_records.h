/*
 * Reads memory traces for the judges of this folder: written from docs/traces.md, it shares no code
 * with ntmm. A file is lackey's text or the binary form (.ntt), told by its first byte; neither may
 * be compressed as a whole. Whoever calls is a judge: what makes no sense ends the program with a
 * line on standard error and status 2.
 */
#ifndef NTMM_TESTS_TRACE_RECORDS_H
#define NTMM_TESTS_TRACE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u

enum record_kind { RECORD_FETCH, RECORD_LOAD, RECORD_STORE, RECORD_MODIFY };

struct trace_record {
    uint64_t address;
    uint32_t size_bytes; /* > 0 */
    uint32_t folded;     /* further references counted with this one */
    enum record_kind kind;
};

struct trace_records;

struct trace_records *trace_records_open(const char *path);

/* The next record; false at the end, then and ever after. */
bool trace_records_next(struct trace_records *trace, struct trace_record *record);

void trace_records_close(struct trace_records *trace);

/* Ends the program with status 2 and a line on standard error that says what is wrong. */
_Noreturn void die(const char *what);

/* Zeroed memory, or the end. */
void *allocate(size_t count, size_t size);

#endif
