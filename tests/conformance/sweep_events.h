/*
 * What a sweep makes fail in a system of the library: events, counted from 1 in the order in which
 * they come, of one kind.
 *
 *   allocation   a frame is asked for
 *   platform     zero, copy, compare, read, write; a transfer is submitted, and refused
 *   io           a transfer is submitted, and completes with an error
 *   commit       no event: pages of commit that are left, set with events->room
 *
 * Failed is event `at` alone or, onward, that and all behind it. (Zeroing fails only as event `at`:
 * a frame that cannot be zeroed is not used again, and without any frame nothing else would be
 * tried.) Events come and count only while they are switched on. One system at a time, one thread.
 */
#ifndef CONFORMANCE_SWEEP_EVENTS_H
#define CONFORMANCE_SWEEP_EVENTS_H

#include "conformance/subject_core.h"

/* What the platform's operations and devices fail with. */
#define SWEEP_FAILURE NTMM_STATUS_DEVICE_DATA_ERROR
#define SWEEP_ROOM_AMPLE UINT64_MAX

enum sweep_kind {
    SWEEP_ALLOCATION,
    SWEEP_PLATFORM,
    SWEEP_IO,
    SWEEP_COMMIT,
    SWEEP_KIND_COUNT,
};

struct sweep_events {
    enum sweep_kind kind;
    bool is_onward;
    uint64_t at;    /* the first that fails; 0: none */
    uint64_t seen;  /* so far */
    uint64_t given; /* of these failed, or may have */
    uint64_t room;  /* pages of commit left while switched on; SWEEP_ROOM_AMPLE: as many as are */
    bool is_on;
    struct core_self *core;
    struct ntmm_platform platform; /* the machine's own */
    uint64_t commit_limit;         /* outside */
    uint64_t commit_reserve;
    uint64_t left; /* allocations that were to succeed, when switched on */
};

/* Takes over the platform of a fresh system, whose frames are no longer zeroed from now on. */
void sweep_events_begin(struct sweep_events *events, struct core_self *core);

/* Returns whether they were on. NULL: nothing. */
bool sweep_events_switch(struct sweep_events *events, bool is_on);

#endif
