/*
 * The kernel that knows nothing of ntmm: processors, threads, a disk, a serial line.
 *
 * Locks are spin locks with interrupts off; order: threads, then nothing. Processors have the
 * numbers of their local APICs, as QEMU gives them. A thread's kernel stack is aligned to its size,
 * with struct thread at the bottom, so the stack pointer tells the thread, and that the processor.
 *
 * What other code supplies stands last: it is in ../ntmm.
 */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_BASE 0xFFFFFFFF80000000ull
#define DIRECT_MAP 0xFFFF800000000000ull
#define PROCESSORS 2u
#define THREADS 16u
#define STACK_BYTES 32768u
#define VECTOR_PAGE_FAULT 14u
#define VECTOR_PIC 0x20u
#define VECTOR_TICK 0x40u
#define VECTOR_SHOOTDOWN 0x41u
#define VECTOR_SYSTEM_CALL 0x80u
#define TICKS_PER_SECOND 100u

/* What an interrupt leaves on the kernel stack. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

enum thread_state { THREAD_FREE, THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_DEAD };

struct process; /* of ../ntmm */

struct thread {
    uint64_t stack_pointer;
    enum thread_state state;
    uint32_t processor;
    struct thread *next;      /* in the queue of those that are ready */
    const uint32_t *woken;    /* WAITING: the word that ends it */
    uint64_t deadline;        /* WAITING: 100 ns */
    void (*function)(void *); /* with this argument */
    void *argument;           /* of the function */
    struct process *process;  /* NULL: a thread of the kernel's */
    void *user;               /* what ../ntmm keeps of a thread of a program */
    uint64_t switched_out;    /* time stamp */
    uint64_t away;            /* stamps spent switched out */
};

static inline struct thread *current_thread(void)
{
    uint64_t stack;
    __asm__ volatile("mov %%rsp, %0" : "=r"(stack));
    return (struct thread *)(stack & ~(uint64_t)(STACK_BYTES - 1));
}

static inline void *physical(uint64_t address) { return (void *)(uintptr_t)(DIRECT_MAP + address); }
static inline uint64_t time_stamp(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
static inline void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline void out16(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline void out32(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static inline uint8_t in8(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint16_t in16(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint32_t in32(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

/* A spin lock with interrupts off; the old flag stands in it. */
struct spin {
    uint32_t held;
    uint32_t were_on;
};
void spin_lock(struct spin *lock);
void spin_unlock(struct spin *lock);
static inline bool interrupts_are_on(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return (flags & 0x200) != 0;
}
static inline void interrupts_on(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void interrupts_off(void) { __asm__ volatile("cli" ::: "memory"); }

/* serial.c */
void serial_start(void);
void print(const char *format, ...);                      /* %s, %u and %x of uint64_t */
void power_off(uint32_t value) __attribute__((noreturn)); /* QEMU ends with (value << 1) | 1 */
void panic(const char *what, uint64_t a, uint64_t b) __attribute__((noreturn));

/* processor.c */
void processor_tables_start(uint32_t processor);
void set_kernel_stack(uint32_t processor, uint64_t top);
void interrupts_start(void);
void local_apic_start(void);
void send_interrupt(uint32_t processor, uint32_t vector);
uint32_t count_processors(void);
void start_other_processors(void);
uint64_t now_100ns(void);

/* thread.c */
void threads_start(uint32_t processor) __attribute__((noreturn));
uint64_t idle_stack(uint32_t processor);
struct thread *thread_create(void (*function)(void *), void *argument, struct process *process,
                             void *user);
void thread_exit(void) __attribute__((noreturn));
void thread_yield(void);
bool thread_wait(const uint32_t *woken, uint64_t deadline); /* false: the deadline passed */
void threads_wake(void);
void threads_tick(void);
uint64_t deepest_stack(void);
void system_call(struct frame *frame); /* program.c */
void enter_user(struct frame *frame) __attribute__((noreturn));

/* disk.c */
struct ntmm_io;
bool disk_start(void);
uint64_t disk_bytes(void);
void disk_submit(struct ntmm_io *io);
void disk_poll(void);
bool disk_owns(uint32_t irq);

/* What ../ntmm supplies. */
void kernel_start(void);           /* on the first processor, before all threads */
void kernel_start_processor(void); /* on each other one */
void kernel_thread(void *unused);  /* the first thread */
void enter_address_space(struct process *process);
void page_fault(struct frame *frame, uint64_t address);
void shootdown(void);
void poll_in_spin(void);

#endif
