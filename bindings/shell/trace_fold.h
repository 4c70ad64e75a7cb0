/*
 * Folding: keep the references of a trace that can fault, count the others. See trace_fold.c.
 */
#ifndef NTMM_SHELL_TRACE_FOLD_H
#define NTMM_SHELL_TRACE_FOLD_H

#include "trace.h"

struct trace_fold {
    struct trace_reference kept; /* not yet handed on: more may fold into it */
    bool has_kept;
    unsigned granted; /* TRACE_READ, WRITE, EXECUTE shown in this run of references to one page */
};

/* Takes a reference; true when a finished record was written to *out. */
bool trace_fold_add(struct trace_fold *fold, const struct trace_reference *reference,
                    struct trace_reference *out);

/* The last record; false when there is none. */
bool trace_fold_finish(struct trace_fold *fold, struct trace_reference *out);

/* What an access of a kind asks of its page: TRACE_READ, TRACE_WRITE or TRACE_EXECUTE. */
unsigned trace_need_of(unsigned kind);

#endif
