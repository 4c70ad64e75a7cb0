/*
 * A scenario of services and faults whose every step says, by hand, what it takes: frames and
 * commit. Sweeps run it with too little of either, and expect each failed step to have changed
 * nothing.
 *
 *   ROW   one 2 MiB span | next | next      a commit across three spans makes three leaf tables
 *
 * What a step takes, worked out from the tables it has to make: a leaf table for each 2 MiB span it
 * enters for the first time, one table above for each new 1 GiB, one above that for each new 512
 * GiB; a frame for the first VAD of a slab; three for the first process (directory, slots, root).
 */
#ifndef NTMM_TEST_SCENARIO_H
#define NTMM_TEST_SCENARIO_H

#include "unit/machine.h"

struct step {
    const char *what;
    ntmm_status (*run)(struct machine *m);
    uint32_t frames;      /* frames it takes, all at once */
    uint32_t commit;      /* pages of commit it has to be able to charge */
    ntmm_status expected; /* when it has them */
};

extern const struct step scenario[];
extern const uint32_t scenario_steps;

/* What a caller can see of the machine: every region, page, byte and charge. */
struct view {
    uint64_t regions;  /* hash of a whole query walk */
    uint64_t contents; /* hash of every page in memory that is not zero, and where it is */
    uint64_t free_frames;
    uint64_t commit;
    uint64_t process_commit;
    uint64_t virtual_bytes;
    uint64_t tables;
    uint64_t working_set;
    uint64_t counted_regions;
};

struct view scenario_view(struct machine *m);

/* Fails the test unless both are the same. */
void scenario_assert_same(const struct step *step, const struct view *before,
                          const struct view *after);

#endif
