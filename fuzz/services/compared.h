/*
 * A system and the page-array model side by side: operations are run on both, and everything that
 * comes back is compared; at intervals the whole maps, the accounting and the invariants; at the
 * end every byte written, and what is left after tear-down.
 *
 * On a difference the operations are printed as a case that tests/conformance/run_cases runs, with
 * the model's results as expectations, and the program traps.
 *
 * The model knows no page tables and no frames, so commit is ample, RAM holds all that one run can
 * touch, and commits are at most 4 MiB or at least 1 TiB, which both refuse.
 */
#ifndef FUZZ_SERVICES_COMPARED_H
#define FUZZ_SERVICES_COMPARED_H

#include "model/operation.h"

#include <ntmm/emulated.h>

/* One record: one operation, with two accesses before it and two after. */
#define COMPARED_RECORD_OPERATIONS 5u

/* Bits of the header byte. The low three say how many records pass between whole comparisons. */
#define HEADER_OLD_BUILD 0x80u
#define HEADER_COMMIT_LIMIT 0x40u
#define HEADER_BOUNDED 0x20u    /* bounds of its own for the other process */
#define HEADER_ZEROED_RAM 0x10u /* otherwise RAM begins full of garbage */
#define HEADER_PAGED 0x08u      /* everything that can leaves memory after each operation */
/* What HEADER_OLD_BUILD says. */
#define COMPARED_OLD_BUILD 16299u
#define CHECK_EVERY_MASK 0x07u

struct compared {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle handles[WHO_COUNT];
    ntmm_handle sections[MODEL_SECTION_SLOTS]; /* those that operations name */
    ntmm_handle files[MODEL_FILE_SLOTS];
    void *arena;
    void *scratch;
    size_t scratch_size;
    struct model_system model_system;
    struct model_process models[WHO_COUNT];
    struct operation *log;
    struct outcome *outcomes; /* the model's */
    size_t ram_bytes;
    unsigned limit; /* operations that the log holds */
    unsigned count;
    unsigned succeeded; /* operations whose status was SUCCESS */
    uint8_t header;

    /* Of a world that shares its machine with others (compared_join). */
    void (*on_difference)(void *context, const char *why); /* before it traps; NULL: nothing */
    void *context;
    uint32_t first_cpu; /* the processors are this one and the next */
    unsigned tries;     /* of an operation that fails as injected errors make it fail; 0: one */
    uint64_t again;     /* operations that were tried again */
};

/* A process that waits for its turn. */
struct compared_seat {
    ntmm_handle handle;
    struct model_process model;
};

/* limit and ram_bytes are filled in, the rest is zero. */
void compared_begin(struct compared *world, uint8_t header);
/* Compares everything, and frees it. */
void compared_end(struct compared *world);

/* The same in a machine and system that others use too: limit, emu, system, and what is said above
 * of such worlds are filled in, the rest is zero. */
void compared_join(struct compared *world, uint8_t header);
/* Compares everything but the system's invariants, and ends the processes and the model. */
void compared_leave(struct compared *world);
/* Frees the model, of a machine whose power is gone. */
void compared_abandon(struct compared *world);
/* What a call returns when memory, commit or a device fails it, with nothing changed. */
bool compared_is_for_want(uint32_t status);

/* Maps and accounts alone. */
void compared_check_processes(struct compared *world);

/* Whether one more record finds room in the log, and frames for its pages and tables. */
bool compared_has_room(struct compared *world);
/* Decodes and runs one record. *operation holds the one before, or zeros. */
void compared_run_record(struct compared *world, const uint8_t *record,
                         struct operation *operation);
/* Runs one operation that somebody made. */
void compared_run_operation(struct compared *world, const struct operation *operation);
/* Maps, accounts and invariants. */
void compared_check(struct compared *world);

/* What differs is printed, and the program traps. */
void compared_must(const struct compared *world, bool holds, const char *why);

/* The library's side of operations on sections, views and files (sections.c). */
void compared_run_section(struct compared *world, const struct operation *operation,
                          struct outcome *outcome);
/* Every file that is open, and what is on its device after a flush. */
void compared_check_files(struct compared *world);

/* Another process of the same system. */
void compared_make_seat(struct compared *world, struct compared_seat *seat);
/* It and one of the two that operations name change places. */
void compared_change_seats(struct compared *world, enum who who, struct compared_seat *seat);
/* Compares every byte that it wrote and ends it. */
void compared_end_seat(struct compared *world, struct compared_seat *seat);

#endif
