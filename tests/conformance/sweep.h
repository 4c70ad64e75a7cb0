/*
 * The sweep of faults: each case first runs with nothing failing, and its events are counted; then
 * it runs again for each event, which fails: once, or that and all from there on (sweep_events.h).
 *
 * Rules, after each call that a failure may have met:
 *
 *   1 what it gives back is what the case expects, or a status of shortage or of a device that the
 *     function's docstring lists (sweep_statuses.h), and then nothing else
 *   2 a call that failed changed nothing (sweep_picture.h), except what the docstrings say: a
 *     guard page is consumed, a file is closed though its pages could not be written
 *   3 the checker finds no broken invariant
 *   4 once: the same call, made again, gives what the case expects, and so do all behind it
 *   5 onward: once a call has failed, those behind it only keep rules 2 and 3; the processes can be
 *     ended, if their tables can be read
 *   6 at the end nothing is left: no frame, slot, page of commit, object
 *
 * Of commit nothing is counted. Once: each call is made with 0, 1, 2, 4 ... pages left until it
 * gives what the case expects. Onward: from a call on there is no commit.
 *
 * Each finding is printed with the command that runs it again.
 */
#ifndef CONFORMANCE_SWEEP_H
#define CONFORMANCE_SWEEP_H

#include "conformance/runner.h"
#include "conformance/sweep_events.h"
#include "conformance/sweep_picture.h"
#include "conformance/sweep_statuses.h"

#define SWEEP_STEPS 256u
#define SWEEP_COMMAND_SIZE 1024u
#define SWEEP_USAGE                                                                                \
    "       run_cases --sweep [--kind allocation|platform|io|commit] [--once|--onward]\n"          \
    "                 [--case NAME [--event N]] [--from CASE] [--seconds N]\n"                     \
    "                 [--sample N [--seed N]] core|paged FILE...\n"

struct sweep {
    struct sweep_events events;
    struct sweep_statuses statuses;
    uint64_t ram_bytes;               /* 0: the subject's own */
    bool is_counting;                 /* nothing fails */
    bool is_quiet;                    /* findings are not printed */
    bool has_diverged;                /* what the case expects is void from here on */
    bool is_broken;                   /* there was a finding in this run */
    unsigned steps;                   /* made in this run */
    uint64_t seen_after[SWEEP_STEPS]; /* events up to the end of a step; of the counting run */
    struct sweep_picture before;      /* the step in progress */
    char command[SWEEP_COMMAND_SIZE]; /* which runs this again */
    uint64_t findings;
};

/* run_cases.c calls these; without a sweep they do nothing. */
void sweep_begin_case(struct runner *runner);   /* the subject was opened */
void sweep_before_map(struct runner *runner);   /* the steps are over */
void sweep_before_close(struct runner *runner); /* the subject is about to be closed */

/* In place of a step. */
void sweep_step(struct runner *runner, const struct line *line, const char *text);

void sweep_report(struct runner *runner, const char *what, const char *expected,
                  const char *actual);

/* The program. */
int sweep_main(int count, char **arguments);

#endif
