/*
 * Which statuses a step may give when something fails: those of shortages and of devices that the
 * docstring of its function lists. The list is a file that statuses.py --sweep writes when the
 * program is built.
 */
#ifndef CONFORMANCE_SWEEP_STATUSES_H
#define CONFORMANCE_SWEEP_STATUSES_H

#include <stdbool.h>
#include <stdint.h>

#define SWEEP_STATUSES_SIZE 0x4000u

struct sweep_statuses {
    char text[SWEEP_STATUSES_SIZE]; /* a line a verb: " VERB STATUS... [device] \n" */
};

/* False: it cannot be read. */
bool sweep_statuses_read(struct sweep_statuses *statuses, const char *path);

/* Whether a step may give a status, by its word. */
bool sweep_statuses_allow(const struct sweep_statuses *statuses, const char *verb,
                          const char *status);

/* The status that a step gave back, by the first word of it; 0 when it has none. */
uint32_t sweep_status_of(const char *actual);

#endif
