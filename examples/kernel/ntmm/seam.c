/*
 * The seam: memory handed over, the platform's operations, page faults, the start.
 *
 * A fault that must wait blocks its thread on the thread's own kernel stack, inside
 * ntmm_page_fault; others run, and the disk's interrupt completes the transfer and wakes it.
 */
#include "seam.h"

#define SECOND 10000000u
struct ntmm_freestanding machine;
struct ntmm_system *mm;

extern uint64_t kernel_root[512];

static struct ntmm_frame_range ranges[MEMORY_RUNS];
static uint8_t system_storage[128 << 10] __attribute__((aligned(64)));

void must(ntmm_status status, const char *what)
{
    if (!NTMM_SUCCEEDED(status))
        panic(what, status, 0);
}

/* --- the platform's operations --- */

static uint32_t processor(void *context)
{
    (void)context;
    return current_thread()->processor;
}

static void interrupt(void *context, uint32_t number)
{
    (void)context;
    send_interrupt(number, VECTOR_SHOOTDOWN);
}

static ntmm_status wait(void *context, struct ntmm_wait *wait, uint64_t deadline)
{
    (void)context;
    return thread_wait(&wait->is_woken, deadline) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_TIMEOUT;
}

/* The wait may be gone already: whoever waits looks for itself. */
static void wake(void *context, struct ntmm_wait *wait)
{
    (void)context, (void)wait;
    threads_wake();
}

static uint64_t now(void *context)
{
    (void)context;
    return now_100ns();
}

static void pump(void *context)
{
    (void)context;
    disk_poll();
}

static ntmm_status submit(void *context, struct ntmm_io *io)
{
    (void)context;
    disk_submit(io);
    return NTMM_STATUS_SUCCESS;
}

/* --- what the machine calls --- */

void kernel_start(void)
{
    struct ntmm_platform platform;
    const struct ntmm_freestanding_config x64 = {
        .size = sizeof x64,
        .version = NTMM_FREESTANDING_VERSION,
        .ranges = ranges,
        .range_count = memory_run_count,
        .processor_count = count_processors(),
        .direct_map = DIRECT_MAP,
        .processor = processor,
        .root = kernel_root,
        .root_frame = ((uint64_t)(uintptr_t)kernel_root - KERNEL_BASE) >> NTMM_PAGE_SHIFT,
        .interrupt = interrupt,
    };
    const struct ntmm_config config = {
        .size = sizeof config, .version = NTMM_CONFIG_VERSION, .core_base = DIRECT_MAP};
    for (uint32_t i = 0; i < memory_run_count; i++)
        ranges[i] = (struct ntmm_frame_range){.base_frame = memory_runs[i].first_page,
                                              .frame_count = memory_runs[i].pages};
    must(ntmm_freestanding_init(&machine, &x64, &platform), "freestanding");
    ntmm_freestanding_start_processor(&machine);
    platform.wait = wait;
    platform.wake = wake;
    platform.now = now;
    platform.pump = pump;
    platform.submit = submit;
    must(ntmm_create_system(system_storage, sizeof system_storage, &config, &platform, &mm),
         "system");
}

void kernel_start_processor(void) { ntmm_freestanding_start_processor(&machine); }
void shootdown(void) { ntmm_freestanding_shootdown(&machine); }
void poll_in_spin(void) { ntmm_freestanding_poll(&machine); }

void enter_address_space(struct process *process)
{
    ntmm_freestanding_enter(&machine, process ? process->handle : 0,
                            process ? process->root_frame : 0);
}

void end_address_space(struct process *process)
{
    must(ntmm_end_process(mm, process->handle), "end of a process");
}

void page_fault(struct frame *frame, uint64_t address)
{
    struct thread *self = current_thread();
    struct program_thread *user = self->user;
    uint64_t away = self->away;
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {.process = self->process->handle,
                                               .address = address,
                                               .error_code = (uint32_t)frame->error,
                                               .stack = &user->stack,
                                               .instruction = frame->rip};
    ntmm_status status = ntmm_page_fault(mm, &request, &result);
    user->faults++;
    user->last_kind = result.kind;
    user->last_away = self->away - away;
    if (status != NTMM_STATUS_SUCCESS)
        raise_exception(frame, status, address);
}

void kernel_thread(void *unused)
{
    const struct ntmm_paging_file_config file = {
        .size = sizeof file, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = disk_bytes()};
    uint32_t count = is_measuring ? 1 : FILLERS + 1;
    (void)unused;
    start_other_processors();
    must(ntmm_create_paging_file(mm, &file, NULL), "page file");
    for (uint32_t i = 0; i < count; i++)
        start_program(i, is_measuring ? PROGRAM_MEASURE : i, 3 * ram_pages / FILLERS);
    while (programs_run()) { /* what NT's own threads do when they have time */
        (void)ntmm_zero_free_pages(mm, 64);
        ntmm_balance_set_manager(mm);
        (void)thread_wait(NULL, now_100ns() + SECOND / 4);
    }
    report_end();
}
