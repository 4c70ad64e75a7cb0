/*
 * Programs: their threads, exceptions and ends; and what the boot loader says of memory.
 */
#include "program.h"

#include "../user/calls.h"

/* The PVH start information, as far as it is read. */
struct start_information {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};
struct memory_map_entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

/* Where a thread of a program begins. */
struct start {
    uint64_t function, first, second, stack;
};

struct process programs[PROGRAMS];
struct memory_run memory_runs[MEMORY_RUNS];
uint32_t memory_run_count;
uint64_t ram_pages;
bool is_measuring;

extern uint8_t kernel_end[];

static struct start starts[THREADS];
static uint32_t start_count;

/* The kernel lies below all RAM but the first MiB. */
void read_start_information(uint64_t start_information)
{
    const struct start_information *start = physical(start_information);
    const struct memory_map_entry *map = physical(start->memory_map);
    const char *line = physical(start->command_line);
    uint64_t kernel = ((uint64_t)(uintptr_t)kernel_end - KERNEL_BASE) >> 12;
    is_measuring = start->command_line != 0 && line[0] == 'm';
    for (uint32_t i = 0; i < start->memory_map_entries && memory_run_count < MEMORY_RUNS; i++) {
        uint64_t first = (map[i].base + 4095) >> 12;
        uint64_t end = (map[i].base + map[i].size) >> 12;
        if (map[i].type != 1 || first >= end)
            continue;
        ram_pages += end - first;
        first = first < kernel ? kernel : first;
        if (first < end)
            memory_runs[memory_run_count++] = (struct memory_run){first, end - first};
    }
}

static void run_thread(void *argument)
{
    const struct start *start = argument;
    struct frame frame = {.rip = start->function,
                          .cs = 0x23,
                          .rflags = 0x202,
                          .rsp = start->stack - 8,
                          .ss = 0x1B,
                          .rdi = start->first,
                          .rsi = start->second};
    interrupts_off();
    enter_user(&frame);
}

void program_thread_start(struct process *process, uint64_t function, uint64_t first,
                          uint64_t second, uint64_t stack, void *user)
{
    uint32_t number = __atomic_fetch_add(&start_count, 1, __ATOMIC_RELAXED);
    if (number >= THREADS)
        panic("too many threads", number, 0);
    starts[number] = (struct start){function, first, second, stack};
    (void)__atomic_add_fetch(&process->threads, 1, __ATOMIC_RELAXED);
    if (thread_create(run_thread, &starts[number], process, user) == NULL)
        panic("no thread", number, 0);
}

/* The last thread ends the process; then no processor is in its address space. */
void end_thread(uint32_t status)
{
    struct thread *self = current_thread();
    struct process *process = self->process;
    if (status != 0)
        process->status = status;
    interrupts_off();
    self->process = NULL;
    enter_address_space(NULL);
    interrupts_on();
    if (__atomic_sub_fetch(&process->threads, 1, __ATOMIC_ACQ_REL) == 0) {
        end_address_space(process);
        print("program %u ended with %u\n", (uint64_t)process->number, (uint64_t)process->status);
        __atomic_store_n(&process->has_ended, 1, __ATOMIC_RELEASE);
    }
    thread_exit();
}

/* It goes on at the program's handler, or ends the thread. */
void raise_exception(struct frame *frame, uint32_t status, uint64_t address)
{
    const struct process *process = current_thread()->process;
    if (frame->rip < process->handled_begin || frame->rip >= process->handled_end) {
        print("program %u: exception %x at %x, address %x\n", (uint64_t)process->number,
              (uint64_t)status, frame->rip, address);
        end_thread(status);
    }
    frame->rip = process->handler;
    frame->rdi = status;
}

bool programs_run(void)
{
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        if (programs[i].handle && !__atomic_load_n(&programs[i].has_ended, __ATOMIC_ACQUIRE))
            return true;
    }
    return false;
}

uint32_t programs_failed(void)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < PROGRAMS; i++)
        failed += programs[i].status != 0;
    return failed;
}

/* Calls that have nothing to do with memory are served here. */
void system_call(struct frame *frame)
{
    struct process *process = current_thread()->process;
    uint64_t number = frame->rax;
    if (number == CALL_EXIT)
        end_thread((uint32_t)frame->rdi);
    frame->rax = 0;
    switch (number) {
    case CALL_HANDLE:
        process->handled_begin = frame->rdi;
        process->handled_end = frame->rsi;
        process->handler = frame->rdx;
        return;
    case CALL_YIELD:
        thread_yield();
        return;
    case CALL_MEASURED:
        print("instructions kind %u least %u mean %u most %u\n", frame->rdi, frame->rsi, frame->rdx,
              frame->r10);
        return;
    default:
        frame->rax = number;
        memory_call(frame);
        return;
    }
}
