/*
 * Snapshots of a machine, private.
 *
 *   snapshot_memory.c  a run of host memory and its base     snapshot.c       take, go back, fork
 *   snapshot_state.c   everything but RAM                    snapshot_file.c  save and load
 *
 *   machine --> snapshot (counted) <-- fork
 *                  | bases of RAM | state | bases and state of each disk
 *
 * A machine's RAM and disks are mapped from its snapshot's bases, or not mapped from any.
 * A snapshot with more than one user does not change.
 */
#ifndef NTMM_EMULATED_SNAPSHOT_H
#define NTMM_EMULATED_SNAPSHOT_H

#include "platform/emulated/disk.h"
#include "platform/emulated/machine.h"
#include "platform/emulated/snapshot_memory.h"

/* The registers of a processor, and what runs on it. */
struct processor_state {
    ntmm_handle process;
    uint64_t cr0, cr2, cr3, cr4, efer;
    uint32_t pkru, pkrs;
    uint32_t cpl, ac;
    struct ntmm_cpu_fault fault;
    struct ntmm_cpu_statistics statistics;
};

/* What a machine is besides memory and disks. */
struct machine_state {
    uint64_t now_100ns;
    uint32_t disk_count;
    uint32_t has_system;
    struct prng entropy;
    struct prng io_prng;
    struct prng scheduler_prng;
    uint64_t switches;
    uint64_t schedule_hash;
    uint32_t next_index;
    uint32_t level;
    struct injection content_errors;
    struct statistics statistics;
    struct processor_state *processors; /* config.cpu_count of them */
};

/* A disk: its numbers (pointers and file of `disk` mean nothing) and its memory. */
struct disk_state {
    struct disk disk;
    struct memory_base image;
    struct memory_base durable; /* with a cache */
    uint64_t *cached;           /* with a cache */
};

struct snapshot {
    _Atomic(uint32_t) users;
    uint32_t is_broken; /* a renewal failed half way: nothing to go back to */
    struct machine_state state;
    struct memory_base ram[2]; /* one a range */
    struct disk_state *disks;
    uint32_t disk_states; /* entries at disks */
};

/* snapshot_state.c */

bool state_is_quiet(struct ntmm_emulated *emu);
/* Empty what a snapshot leaves out, so that a machine that was copied and its copy are the same. */
ntmm_status state_normalise(struct ntmm_emulated *emu);
bool state_capture(struct ntmm_emulated *emu, struct machine_state *state);
/* Memory and disks are those of the state already. */
ntmm_status state_adopt(struct ntmm_emulated *emu, const struct machine_state *state);
void state_free(struct machine_state *state);
struct memory_run state_ram(const struct ntmm_emulated *emu, uint32_t range);
struct memory_run state_image(const struct disk *disk);
struct memory_run state_durable(const struct disk *disk);
uint64_t state_cached_bytes(const struct disk *disk);
bool state_has_files(const struct ntmm_emulated *emu);
/* A disk of the same numbers, empty; NULL: no memory. */
struct disk *state_add_disk(struct ntmm_emulated *emu, const struct disk *like);
void state_copy_numbers(struct disk *to, const struct disk *from);

/* snapshot.c */

void snapshot_leave(struct snapshot *s);

#endif
