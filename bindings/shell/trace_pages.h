/*
 * The pages that a trace touches and what for. See trace_pages.c.
 */
#ifndef NTMM_SHELL_TRACE_PAGES_H
#define NTMM_SHELL_TRACE_PAGES_H

#include "trace.h"

struct trace_pages {
    uint64_t *slots;           /* (page << 4 | rights) + 1, or 0: an open hash table */
    uint64_t capacity;         /* a power of two, at least twice `count` */
    uint64_t count;            /* distinct pages */
    uint64_t first_store_page; /* the stack that the program began with is around it */
    bool has_store;
    uint64_t last_page; /* already entered with last_rights */
    uint32_t last_rights;
};

bool trace_pages_add(struct trace_pages *pages, const struct trace_reference *reference,
                     struct shell_error *error);

/* The runs, rising; the caller frees them. */
bool trace_pages_runs(const struct trace_pages *pages, struct trace_run **runs, uint32_t *count,
                      struct shell_error *error);
void trace_pages_free(struct trace_pages *pages);

#endif
