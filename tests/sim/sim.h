/*
 * A whole system under one seed: processors as coroutines that may be switched at every lock,
 * atomic word and completion, devices that fail, allocations that fail, and random operations over
 * all services beside the page-array model.
 *
 *   seed --> shape     RAM, processors, page files, latencies, error rates, chance of a switch
 *        --> schedule  who runs next; at which points somebody else may (core/base/schedule.h)
 *        --> records   what each worker does
 *        --> errors    which transfers, allocations and charges fail
 *
 *   worker    two processes, two processors, a model of its own        compared after every call
 *   sharer    own bytes in every page of a file and of a section       no store may be lost
 *   background  balance set manager, writer, zeroing, trims; a saboteur who asks for errors
 *
 * A run goes in rounds: all coroutines end, then the invariants, the maps and the accounts are
 * checked with the devices, and the next round begins. At the end every byte written is compared,
 * and nothing may be left allocated.
 *
 * A step is a public call, a door entry or a completion. Records can be left out of a run without
 * changing the others (struct keep): that is how a failing run is made smaller.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/instance.h"
#include "base/prng.h"
#include "services/records.h"

#include <ntmm/emulated.h>
#include <ntmm/system.h>

#include <stdbool.h>
#include <stdint.h>

#define SIM_WORKERS 4u
#define SIM_SHARERS 3u
#define SIM_PARTIES (SIM_WORKERS + SIM_SHARERS)
#define SIM_PAGE_FILES 3u

/* What the seed decides once. */
struct shape {
    uint64_t ram_bytes;
    uint32_t worker_count;    /* 1..SIM_WORKERS */
    uint32_t sharer_count;    /* 0..SIM_SHARERS */
    uint32_t page_file_count; /* 1..SIM_PAGE_FILES */
    uint32_t latency_pumps;   /* of devices, at most */
    uint32_t read_cluster;
    uint32_t write_cluster;
    uint32_t switch_mask;   /* a point switches when the draw has none of these bits */
    uint32_t error_period;  /* yields between two errors, about; 0: none */
    uint32_t refusal_mask;  /* a charge fails when the draw has none of these bits; 0: none */
    uint32_t round_records; /* of a party in a round */
    uint32_t emulated_flags;
    bool is_old_build;
    uint8_t headers[SIM_WORKERS]; /* of the workers' worlds (compared.h) */
};

/* Records that are left out: bit i of party p. NULL: none. */
struct keep {
    uint8_t *dropped[SIM_PARTIES];
    uint32_t limit; /* of a party's records: the run ends when all have come so far */
};

struct sim;

struct worker {
    struct sim *sim;
    struct compared world;
    struct operation operation; /* the last, which the next may go on from */
    uint32_t index;
    uint32_t next_record;
};

struct sharing;

struct sim {
    uint64_t seed;
    uint64_t step_limit;
    const struct keep *keep;
    struct shape shape;
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    uint64_t page_files[SIM_PAGE_FILES]; /* devices */
    struct worker workers[SIM_WORKERS];
    struct sharing *sharing; /* NULL: nobody shares */
    struct prng schedule;
    struct prng errors;
    uint32_t unfinished; /* workers and sharers of this round */
    bool is_running;     /* a round is in progress: points may switch, errors may come */
    uint64_t background_calls;
    uint64_t points[POINT_COUNT];
    uint64_t switches[POINT_COUNT]; /* of these, so many let another one run */
    uint64_t refused_charges;
    uint64_t write_errors;     /* asked for: each may cost a page file a slot */
    struct sim_result *result; /* `records` and `steps` are kept up to date */
};

/* What a run was. */
struct sim_result {
    uint64_t steps;
    uint64_t again; /* calls that an error failed, and that were made again */
    uint64_t errors;
    uint64_t refused_charges;
    uint64_t points[POINT_COUNT];
    uint64_t switches;
    uint64_t hash; /* of the schedule, of RAM at the end of each round, and of all statuses */
    uint32_t records[SIM_PARTIES];
    const char *why; /* of a run that failed, a text of the program; NULL: not known */
};

/* One run, at least `steps` long, or to the end of what may be left out. What is wrong is printed,
 * and the program traps; *result then says how far the parties came. */
void sim_run(uint64_t seed, uint64_t steps, const struct keep *keep, struct sim_result *result);

/* --- between the files of this folder --- */

/* The shape of a seed; and for people. */
void shape_draw(uint64_t seed, struct shape *shape);
void shape_print(const struct shape *shape);

/* Whether a party's record is part of the run; called once for each, in order. */
bool sim_keeps(struct sim *sim, uint32_t party, uint32_t record);
/* Where the draws of one record of one party begin. */
uint64_t sim_record_state(const struct sim *sim, uint32_t party, uint32_t record);
/* Print what is wrong with the seed, and trap. */
_Noreturn void sim_fail(struct sim *sim, const char *why);

/* The simulation whose points are in force; NULL: none. */
void schedule_begin(struct sim *sim);
void schedule_end(void);

/* Those who share: made after the system, checked between rounds, ended before it. */
void sharing_begin(struct sim *sim);
void sharing_spawn(struct sim *sim);
void sharing_check(struct sim *sim);
void sharing_end(struct sim *sim);
uint64_t sharing_steps(const struct sim *sim);
uint64_t sharing_again(const struct sim *sim);
uint64_t sharing_device(const struct sim *sim);

/* Background work, and who asks for errors: coroutines that end with the round. */
void background_spawn(struct sim *sim);

#endif
