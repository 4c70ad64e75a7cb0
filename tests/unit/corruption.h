/*
 * Breaking one field at a time, and expecting the checker to name the invariant and the object.
 *
 * All corruptions of a program run in one machine, whose state is put back after each. Unless the
 * program brings another, it is:
 *
 *   COMMITTED  64 pages, RESERVE|COMMIT, READWRITE:  0 1 written, 2 on modified, 3 on standby, 4
 *              read, 8 guard, 10 decommitted, 12 READONLY and read; the others never touched
 *   SPARSE     4 MiB reserved, its pages 511 to 513 committed and written: two leaf tables
 *   MANY       80 regions of 64 KiB: one slab of VADs is full, one has room; the tree has a root
 *              and two leaves
 *   other      a second process with a region, in a job; a third has ended
 *
 * Some free frames are zeroed, one frame is on the bad list.
 */
#ifndef NTMM_TEST_CORRUPTION_H
#define NTMM_TEST_CORRUPTION_H

#include "unit/machine.h"

#define COMMITTED BASE
#define SPARSE (BASE + 16 * MIB)
#define SPARSE_PAGES (SPARSE + 511 * PAGE)
#define MANY (BASE + 64 * MIB)
#define MANY_COUNT 80u
#define MANY_STEP (2 * KIB64)

struct corruption {
    const char *invariant;                  /* number expected */
    const char *what;                       /* what is broken */
    uint64_t (*corrupt)(struct machine *m); /* returns the object expected */
};

/* Where they happen: RAM, disks in memory and the system's own storage are put back. */
struct corruption_scene {
    struct machine *(*open)(void);
    void (*close)(struct machine *m);
    bool is_blind; /* the checker does not read page files */
};

/* The second process of the scenario. */
ntmm_handle corruption_other_process(void);

/* Run them as the tests of a program; returns its exit status. */
int corruption_run(const char *group, const struct corruption *corruptions, size_t count);
int corruption_run_in(const struct corruption_scene *scene, const char *group,
                      const struct corruption *corruptions, size_t count);

#endif
