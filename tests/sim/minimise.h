/*
 * A failing run made smaller: records are left out while it still fails.
 */
#ifndef SIM_MINIMISE_H
#define SIM_MINIMISE_H

#include "sim/sim.h"

/* A run in a process of its own; *result, shared with it, is filled as far as it came. Whether it
 * passed. Not printed: what it prints is thrown away. */
bool run_apart(uint64_t seed, uint64_t steps, const struct keep *keep, struct sim_result *result,
               bool is_printed);

/* Print a smaller run that fails, with the operations of those that differ. *result is that of the
 * run that failed, and is used. */
void minimise(uint64_t seed, uint64_t steps, struct sim_result *result, uint64_t seconds);

/* "PARTY:FIRST-LAST,...,LIMIT" as minimise prints it. */
bool keep_parse(struct keep *keep, const char *text);

#endif
