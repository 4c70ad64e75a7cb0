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
 *   background  balance set manager, writer, zeroing, trims, frames that go and come; a saboteur
 *               who asks for errors
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
#define SIM_OWNERS 3u /* with memory that stays, with images, with a stack and code */
#define SIM_PARTIES (SIM_WORKERS + SIM_SHARERS + SIM_OWNERS)
#define SIM_CPUS (2 * SIM_WORKERS + SIM_SHARERS + SIM_OWNERS)
#define SIM_CROWD 4u /* members of a crowd, whose processors come after the others */
#define SIM_PAGE_FILES 3u
#define SIM_SHARED_PAGES 96u /* of the sharers' file */

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
    uint32_t owner_count;   /* 0..SIM_OWNERS */
    uint32_t valid_pages;   /* of the sharers' file, at first */
    uint32_t stride;        /* from one page of the sharers' memory to the next, pages */
    uint32_t cut_mask;  /* power goes in a round when the draw has none of these bits; 0: never */
    uint32_t turn_mask; /* the same for turns of snapshots between rounds (turns.c) */
    uint32_t emulated_flags;
    bool is_old_build;
    bool is_crowded;
    uint8_t headers[SIM_WORKERS]; /* of the workers' worlds (compared.h) */
};

/* Records that are left out: bit i of party p. NULL: none. */
struct keep {
    uint8_t *dropped[SIM_PARTIES];
    uint32_t limit; /* of a party's records: the run ends when all have come so far */
};

/* Calls that are counted: a kind of which none succeeded in many seeds was not tested. */
enum service {
    SERVICE_WATCH,
    SERVICE_RESET_WATCH,
    SERVICE_PROBE,
    SERVICE_SECURE,
    SERVICE_UNSECURE,
    SERVICE_JOB,
    SERVICE_CLONE,
    SERVICE_OF_CLONE, /* it changed places with a process */
    SERVICE_LARGE,
    SERVICE_LARGE_SECTION,
    SERVICE_LARGE_VIEW,
    SERVICE_PHYSICAL,
    SERVICE_PHYSICAL_MAP,
    SERVICE_PHYSICAL_SCATTER,
    SERVICE_IMAGE,
    SERVICE_IMAGE_MOVED, /* to another base */
    SERVICE_IMAGE_WRITE,
    SERVICE_STACK,
    SERVICE_STACK_GROWTH,
    SERVICE_CODE,
    SERVICE_CALL_TARGET,
    SERVICE_COPY_PAGES,
    SERVICE_COPY,
    SERVICE_FILE_LOCK,
    SERVICE_REMOVE_FRAMES,
    SERVICE_PROTOTYPE_TRIM, /* tables of prototypes went out, or were freed */
    SERVICE_PROTOTYPE_FREE,
    SERVICE_COUNT,
};

/* What is done with a snapshot. */
enum turn { TURN_RESTORE, TURN_FORK, TURN_LOAD, TURN_COUNT };

struct sim;

#define SIM_SECURES 8u
#define SIM_MEMBERS 3u /* two processes and a child */

/* Pages that somebody secured, by the handles of both sides. */
struct sim_secure {
    ntmm_handle process; /* 0: none */
    uint64_t handle;
    uint64_t of_model;
};

struct worker {
    struct sim *sim;
    struct compared world;
    struct compared_seat child; /* a clone; handle 0: none */
    struct sim_secure secures[SIM_SECURES];
    ntmm_handle job;                  /* 0: not made yet */
    ntmm_handle members[SIM_MEMBERS]; /* processes in it, some perhaps over; 0: none */
    struct operation operation;       /* the last, which the next may go on from */
    uint32_t index;
    uint32_t next_record;
};

struct sharing;
struct crowd;

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
    struct crowd *crowd;     /* NULL: there is none */
    struct prng schedule;
    struct prng errors;
    uint32_t unfinished;    /* workers and sharers of this round */
    bool is_cut;            /* the power went in this round: nothing of the system is left */
    uint64_t steps_before;  /* of machines before this one */
    uint64_t errors_before; /* the same */
    uint64_t boots;         /* machines after the first */
    uint64_t turns[TURN_COUNT];
    uint64_t services[SERVICE_COUNT];
    struct owner *owners[SIM_OWNERS];   /* NULL: it takes no part */
    uint32_t owner_records[SIM_OWNERS]; /* of machines before this one */
    uint64_t image_device; /* of the file of an image; 0: not made yet (0 is a page file) */
    uint64_t owner_steps;
    uint64_t owner_again;
    uint64_t spoils; /* calls of detours that succeeded */
    bool is_running; /* a round is in progress: points may switch, errors may come */
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
    uint64_t boots; /* after power cuts */
    uint64_t turns; /* of snapshots */
    uint64_t points[POINT_COUNT];
    uint64_t services[SERVICE_COUNT];
    uint64_t switches;
    uint64_t hash; /* of the schedule, of RAM now and then and at the end, and of all statuses */
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
/* All seeds from now on have a crowd, and few others; nothing is cut, no snapshots are taken. */
void shape_want_crowd(void);

/* Whether a party's record is part of the run; called once for each, in order. */
bool sim_keeps(struct sim *sim, uint32_t party, uint32_t record);
/* Where the draws of one record of one party begin. */
uint64_t sim_record_state(const struct sim *sim, uint32_t party, uint32_t record);
/* Print what is wrong with the seed, and trap. */
_Noreturn void sim_fail(struct sim *sim, const char *why);

/* The simulation whose points are in force; NULL: none. */
void schedule_begin(struct sim *sim);
void schedule_end(void);

/* Power cuts: who may cut it in this round, and what comes after. */
void power_spawn(struct sim *sim);
void power_come_back(struct sim *sim);

/* Between rounds: snapshots, files of them and forks; the run goes on in what they give. */
void turns_take(struct sim *sim);

/* The system and the workers' worlds of a machine: made, and forgotten as they are. */
void sim_boot(struct sim *sim);
void sim_forget_worlds(struct sim *sim);

/* Services that no record names, in a worker's world (extra.c). */
bool extra_is_due(uint64_t draw);
void extra_run(struct worker *worker, uint64_t *state);
/* Before a world is left, and of a world whose machine is gone. */
void extra_end(struct worker *worker);
void extra_forget(struct worker *worker);

/*
 * Owners: one process with contents that nobody else may change, and rules of its own (owner.c).
 * Made in a system, run in its rounds, checked between them, ended; a power cut takes everything.
 */
struct owner {
    struct sim *sim;
    uint32_t cpu;
    uint32_t party;
    uint32_t next_record;
    ntmm_handle process;
    uint32_t process_flags; /* NTMM_PROCESS_* */
    void (*run_record)(struct owner *owner, uint64_t *state);
    void (*check)(struct owner *owner); /* everything */
    void (*end)(struct owner *owner);   /* what lives outside of the process */
};

void owners_begin(struct sim *sim);
void owners_spawn(struct sim *sim);
void owners_check(struct sim *sim);
void owners_end(struct sim *sim);
void owners_forget(struct sim *sim);
/* Whether a call is to be made once more; anything but success and want is a failure. */
bool owner_repeats(struct owner *owner, ntmm_status status, uint32_t *tries);
uint64_t owner_load(struct owner *owner, uint64_t va);
void owner_store(struct owner *owner, uint64_t va, uint64_t value);

/* An owner of large pages and of physical pages (resident.c), one of images (images.c), and one of
 * a stack, call targets, copied pages and locks (program.c). */
struct owner *resident_make(void);
struct owner *images_make(void);
struct owner *program_make(void);

/* Those who share: made after the system, checked between rounds, ended before it. */
void sharing_begin(struct sim *sim);
void sharing_spawn(struct sim *sim);
void sharing_check(struct sim *sim);
void sharing_end(struct sim *sim);
uint64_t sharing_steps(const struct sim *sim);
uint64_t sharing_again(const struct sim *sim);
uint64_t sharing_device(const struct sim *sim);
/* What a power cut left of their file's device, for the machine after it; NULL: nobody shares. */
void *sharing_take_contents(struct sim *sim);
void sharing_join_again(struct sim *sim, void *contents);

/* A crowd that makes faults collide (crowd.c): made after the system, checked between rounds, ended
 * before it. */
void crowd_begin(struct sim *sim);
void crowd_spawn(struct sim *sim);
void crowd_check(struct sim *sim);
void crowd_end(struct sim *sim);
uint64_t crowd_steps(const struct sim *sim);
uint64_t crowd_device(const struct sim *sim);

/* The trace of frames (frames.c). False: the file cannot be written. */
bool frames_open(const char *path);
/* Threads change rows, and not coroutines alone. */
void frames_have_threads(void);
/* RAM is not what the trace says any more. */
void frames_note_machine(uint64_t seed);
void frames_flush(void);

/* Background work, and who asks for errors: coroutines that end with the round. */
void background_spawn(struct sim *sim);

#endif
