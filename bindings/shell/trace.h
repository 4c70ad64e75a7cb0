/*
 * Memory traces: the references of a program, in order, one at a time.
 *
 * Two forms are read alike: valgrind's lackey text (trace_lackey.c) and the compact binary form
 * (trace_binary.h), either of them plain or zstd-compressed, from a file or standard input.
 *
 * A folded trace keeps some references and counts the others: `folded` further references followed
 * a kept one, each to the same page and of a kind that this run of references to the page had shown
 * before. trace_fold.c says why faults do not change.
 *
 * Invariants
 *  - R1 a reference has 1..TRACE_SIZE_MAX bytes and does not wrap past the last address;
 *  - R2 folded is 0 for a reference that crosses a page, and everywhere in an exact trace.
 */
#ifndef NTMM_SHELL_TRACE_H
#define NTMM_SHELL_TRACE_H

#include "shell.h"

enum trace_kind {
    TRACE_FETCH,  /* an instruction was fetched */
    TRACE_LOAD,   /* bytes were read */
    TRACE_STORE,  /* bytes were written */
    TRACE_MODIFY, /* bytes were read and written by one instruction */
    TRACE_KINDS,
};

#define TRACE_SIZE_MAX 4096u
#define TRACE_PAGE_SHIFT 12u
#define TRACE_PAGE_SIZE 4096u

struct trace_reference {
    uint64_t address;
    uint32_t folded;     /* references counted with this one (R2) */
    uint16_t size_bytes; /* 1..TRACE_SIZE_MAX */
    uint8_t kind;        /* enum trace_kind */
    uint8_t reserved;    /* 0 */
};

/* What a page was used for, and so what the program was allowed to do with it. */
enum trace_right {
    TRACE_READ = 1,
    TRACE_WRITE = 2,
    TRACE_EXECUTE = 4,
    TRACE_STACK = 8, /* of the stack that the program began with */
};

/* A maximal run of touched pages with equal rights. */
struct trace_run {
    uint64_t first_page; /* address >> 12 */
    uint32_t page_count; /* > 0 */
    uint32_t rights;     /* enum trace_right bits */
};

/* What a binary trace says of itself. */
struct trace_summary {
    uint64_t reference_count;         /* kept and folded */
    uint64_t record_count;            /* kept */
    uint64_t kind_count[TRACE_KINDS]; /* of the references */
    uint64_t page_count;              /* distinct pages: the sum over runs */
    bool is_folded;
    uint32_t run_count;
    struct trace_run *runs; /* rising, disjoint; owned by whoever owns the summary */
};

struct trace;

/*
 * Opens a trace; "-" is standard input. The form is told by its first bytes. NULL with a line in
 * error when there is no such file or its head is damaged. The name must outlive the trace.
 */
struct trace *trace_open(const char *name, struct shell_error *error);

/* The same of an open descriptor, which stays the caller's. */
struct trace *trace_open_descriptor(int descriptor, const char *name, struct shell_error *error);

/* The next references, at most capacity of them; 0 at the end, -1 with a line in error. */
ptrdiff_t trace_read(struct trace *trace, struct trace_reference *references, size_t capacity,
                     struct shell_error *error);

/* What the trace says of itself; NULL for a text. */
const struct trace_summary *trace_summary(const struct trace *trace);

/* The name it was opened with. */
const char *trace_name(const struct trace *trace);

void trace_close(struct trace *trace);

/* Whether a reference touches two pages or more. */
static inline bool trace_is_crossing(const struct trace_reference *reference)
{
    return (reference->address & (TRACE_PAGE_SIZE - 1)) + reference->size_bytes > TRACE_PAGE_SIZE;
}

#endif
