/*
 * The ground of most tests: an emulated machine, a system in it, and a process on processor 0.
 *
 * machine_open expects a fresh system to be sound; machine_close expects it to be sound still, ends
 * it, and expects that nothing is left: no frame, no charge, no object, no waiter. The machine_...
 * accessors below reach the core's own structures, for tests that look at them or break them.
 */
#ifndef NTMM_TEST_MACHINE_H
#define NTMM_TEST_MACHINE_H

#include "phys/slab.h"
#include "space/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ntmm/constants.h>
#include <ntmm/emulated.h>
#include <ntmm/fault.h>
#include <ntmm/inspect.h>
#include <ntmm/process.h>
#include <ntmm/virtual.h>

#define PAGE UINT64_C(0x1000)
#define KIB64 UINT64_C(0x10000)
#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)
#define BASE UINT64_C(0x10000000) /* where tests like to put a region */

/* Zero is the default: 4 MiB of RAM, one processor, and the core's own defaults. */
struct machine_setup {
    struct ntmm_emulated_config hardware; /* size and version are filled in */
    struct ntmm_config core;              /* the same */
    struct ntmm_process_config process;   /* the same */
};

struct machine {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle process; /* attached to processor 0; 0: ended by the test */
    void *scratch;       /* of the checker */
    size_t scratch_size;
    struct ntmm_check_report report; /* of the last check */
    struct ntmm_fault_result fault;  /* of the last access */
    struct ntmm_thread_stack *stack; /* of the accesses, or NULL */
};

/* setup: NULL for the defaults. */
struct machine *machine_open(const struct machine_setup *setup);

/* As machine_open, without a process. */
struct machine *machine_open_bare(const struct machine_setup *setup);
void machine_close(struct machine *m);

/* The tests write and read words in the order of this host. Where the processor looks into one, it
 * must be little-endian: this host's word whose bytes are so ordered, and back. */
static inline uint64_t machine_word(uint64_t value)
{
    le64 word;
    set64(&word, value);
    memcpy(&value, &word, sizeof value);
    return value;
}

/* A process more; it is not attached. */
ntmm_handle machine_add_process(struct machine *m);

/* --- the checker --- */

/* The first reads tables out of page files, the second does not. */
ntmm_status machine_check(struct machine *m);
ntmm_status machine_check_without_storage(struct machine *m);
void machine_assert_sound(struct machine *m);
void machine_assert_broken(struct machine *m, const char *invariant, uint64_t object);
void machine_assert_broken_blind(struct machine *m, const char *invariant, uint64_t object);

/* --- services on m->process that must succeed; sizes in bytes --- */

void must_reserve(struct machine *m, uint64_t base, uint64_t size, uint32_t protect);
void must_commit(struct machine *m, uint64_t base, uint64_t size, uint32_t protect);
void must_allocate(struct machine *m, uint64_t base, uint64_t size, uint32_t protect);
void must_decommit(struct machine *m, uint64_t base, uint64_t size);
void must_release(struct machine *m, uint64_t base, uint64_t size);
uint32_t must_protect(struct machine *m, uint64_t base, uint64_t size, uint32_t protect);
struct ntmm_memory_basic_information must_query(struct machine *m, uint64_t va);

/* The same with their status; base and size are not given back. */
ntmm_status try_allocate(struct machine *m, uint64_t base, uint64_t size, uint32_t type,
                         uint32_t protect);
ntmm_status try_free(struct machine *m, uint64_t base, uint64_t size, uint32_t type);
ntmm_status try_protect(struct machine *m, uint64_t base, uint64_t size, uint32_t protect);

/* --- accesses on processor 0; m->fault is the outcome of the last fault --- */

ntmm_status try_read(struct machine *m, uint64_t va, uint64_t *value);
ntmm_status try_write(struct machine *m, uint64_t va, uint64_t value);
ntmm_status try_execute(struct machine *m, uint64_t va);
uint64_t must_read(struct machine *m, uint64_t va);
void must_write(struct machine *m, uint64_t va, uint64_t value);

/* Write its own address into each page of a range, or expect to find it there. */
void must_fill(struct machine *m, uint64_t base, uint64_t size);
void must_hold(struct machine *m, uint64_t base, uint64_t size);

/* --- state --- */

uint64_t machine_counter(struct machine *m, enum ntmm_counter counter);
struct ntmm_process_information machine_process(struct machine *m);
struct ntmm_memory_information machine_memory(struct machine *m);

/* --- the core's own structures --- */

struct call machine_call(struct machine *m);
struct anchor *machine_anchor(struct machine *m);
struct partition *machine_partition(struct machine *m);
struct process *machine_object(struct machine *m);
struct vad *machine_vad(struct machine *m, uint64_t va);

/* Let the commit limit be something else, as if the configuration had said so. */
void machine_set_commit_limit(struct machine *m, uint64_t pages);

/* The entry of an address at a level, 1..4; the tables exist. */
le64 *machine_entry(struct machine *m, uint64_t va, uint32_t level);
uint64_t machine_table_frame(struct machine *m, uint64_t va, uint32_t level);

/* The frame of a page that is valid or in transition, and its row. */
uint64_t machine_frame(struct machine *m, uint64_t va);
struct pfn *machine_row(struct machine *m, uint64_t frame);

#endif
