/*
 * The longest hold of each lock: see trace.c. One host thread.
 */
#ifndef NTMM_TESTS_TABLES_TRACE_H
#define NTMM_TESTS_TABLES_TRACE_H

#include <stdint.h>

/* What follows is counted under this name, which stays where it is. */
void trace_label(const char *name);

/* A line a kind of lock and label: "hold KIND INSTRUCTIONS HOLDS ACQUIRED RELEASED LABEL". */
void trace_print(void);

/* Instructions of the core so far. */
uint64_t trace_count(void);

#endif
