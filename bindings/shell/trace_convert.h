/*
 * From any trace to a binary one. See trace_convert.c.
 */
#ifndef NTMM_SHELL_TRACE_CONVERT_H
#define NTMM_SHELL_TRACE_CONVERT_H

#include "trace.h"

enum trace_form {
    TRACE_FORM_AS_READ, /* folded if the input is */
    TRACE_FORM_EXACT,
    TRACE_FORM_FOLDED,
};

struct trace_conversion {
    enum trace_form form;
    uint64_t limit; /* references to convert; UINT64_MAX: all */
};

/* Reads the trace to its end or the limit and writes the file. summary's runs are the caller's. */
bool trace_convert(struct trace *from, const char *to, const struct trace_conversion *how,
                   struct trace_summary *summary, struct shell_error *error);

#endif
