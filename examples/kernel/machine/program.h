/*
 * Programs in user mode, and the memory there is; nothing of this knows who manages it.
 */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include "machine.h"

#define PROGRAMS 8u
#define MEMORY_RUNS 8u

/* A program that runs. Its address space is ../ntmm's to make and to end. */
struct process {
    uint64_t handle, root_frame;
    uint32_t number, threads, status, has_ended;
    uint64_t handled_begin, handled_end, handler; /* of exceptions, by the instruction's address */
};

extern struct process programs[PROGRAMS];

/* A run of usable RAM above the kernel. */
struct memory_run {
    uint64_t first_page, pages;
};

extern struct memory_run memory_runs[MEMORY_RUNS];
extern uint32_t memory_run_count;
extern uint64_t ram_pages; /* all RAM, the kernel's included */
extern bool is_measuring;  /* the command line says so */

void read_start_information(uint64_t start_information);
void program_thread_start(struct process *process, uint64_t function, uint64_t first,
                          uint64_t second, uint64_t stack, void *user);
void end_thread(uint32_t status) __attribute__((noreturn));
void raise_exception(struct frame *frame, uint32_t status, uint64_t address);
bool programs_run(void);
uint32_t programs_failed(void);

/* What ../ntmm supplies. */
void end_address_space(struct process *process);
void memory_call(struct frame *frame); /* number in RAX; the status too */

#endif
