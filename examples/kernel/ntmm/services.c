/*
 * Programs: a process, the image copied in, a stack; and system calls to ntmm's services.
 *
 * The kernel never follows a pointer of a program's: arguments and results are in registers.
 */
#include "seam.h"

extern const uint8_t user_image_begin[], user_image_end[];

static struct program_thread threads[THREADS];
static uint32_t thread_count;

static ntmm_status start_thread(struct process *process, uint64_t function, uint64_t first,
                                uint64_t second)
{
    uint32_t number = __atomic_fetch_add(&thread_count, 1, __ATOMIC_RELAXED);
    const struct ntmm_stack_request request = {.reserve = 256 << 10,
                                               .commit_alignment = NTMM_PAGE_SIZE,
                                               .reserve_alignment = NTMM_ALLOCATION_GRANULARITY};
    if (number >= THREADS)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    struct program_thread *user = &threads[number];
    ntmm_status status = ntmm_create_user_stack(mm, process->handle, &request, &user->stack);
    if (status == NTMM_STATUS_SUCCESS)
        program_thread_start(process, function, first, second, user->stack.stack_base, user);
    return status;
}

void start_program(uint32_t slot, uint32_t number, uint64_t share)
{
    struct process *process = &programs[slot];
    struct ntmm_process_information information;
    uint64_t base = PROGRAM_BASE, bytes = (uint64_t)(user_image_end - user_image_begin);
    uint64_t size = bytes;
    uint32_t old;
    must(ntmm_create_process(mm, NULL, &process->handle), "process");
    must(ntmm_query_process(mm, process->handle, &information), "process query");
    process->root_frame = information.root_frame;
    process->number = number;
    must(ntmm_allocate_virtual_memory(mm, process->handle, &base, 0, &size,
                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
         "image");
    must(ntmm_write_virtual_memory(mm, process->handle, base, user_image_begin, bytes, NULL),
         "image copy");
    must(ntmm_protect_virtual_memory(mm, process->handle, &base, &size, NTMM_PAGE_EXECUTE_READ,
                                     &old),
         "image protection");
    must(start_thread(process, PROGRAM_BASE, number, share), "first thread");
}

/* Sections have names of one letter. */
static ntmm_status section(uint64_t letter, uint64_t bytes, uint64_t *handle)
{
    const uint16_t name = (uint16_t)letter;
    const struct ntmm_section_config config = {.size = sizeof config,
                                               .version = NTMM_SECTION_CONFIG_VERSION,
                                               .name = &name,
                                               .name_units = 1};
    if (bytes == 0)
        return ntmm_open_section(mm, handle, NTMM_SECTION_ALL_ACCESS, &name, 1);
    return ntmm_create_section(mm, handle, NTMM_SECTION_ALL_ACCESS, &config, &bytes,
                               NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
}

static ntmm_status trim(ntmm_handle process, bool is_to_page_file)
{
    ntmm_status status = ntmm_empty_working_set(mm, process);
    if (status != NTMM_STATUS_SUCCESS || !is_to_page_file)
        return status;
    status = ntmm_memory_list_command(mm, process, NTMM_MEMORY_FLUSH_MODIFIED_LIST);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    (void)thread_wait(NULL, now_100ns() + 2000000); /* the last transfers */
    return ntmm_memory_list_command(mm, process, NTMM_MEMORY_PURGE_STANDBY_LIST);
}

static ntmm_status serve(struct process *process, struct frame *f)
{
    const struct program_thread *user = current_thread()->user;
    uint64_t base = f->rdi, size = f->rsi, view_size = 0;
    uint32_t old = 0;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    switch (f->rax) {
    case CALL_ALLOCATE:
        status = ntmm_allocate_virtual_memory(mm, process->handle, &base, 0, &size,
                                              (uint32_t)f->rdx, (uint32_t)f->r10);
        f->rdx = base;
        return status;
    case CALL_FREE:
        return ntmm_free_virtual_memory(mm, process->handle, &base, &size, (uint32_t)f->rdx);
    case CALL_PROTECT:
        status =
            ntmm_protect_virtual_memory(mm, process->handle, &base, &size, (uint32_t)f->rdx, &old);
        f->rdx = old;
        return status;
    case CALL_SECTION:
        return section(f->rdi, f->rsi, &f->rdx);
    case CALL_MAP:
        f->rdx = 0;
        return ntmm_map_view_of_section(mm, f->rdi, process->handle, &f->rdx, 0, 0, NULL,
                                        &view_size, NTMM_VIEW_UNMAP, 0, (uint32_t)f->rsi);
    case CALL_THREAD:
        return start_thread(process, f->rdi, f->rsi, 0);
    case CALL_LAST_FAULT:
        f->rdx = user->last_away;
        return (ntmm_status)(user->faults * FAULT_KINDS + user->last_kind);
    case CALL_TRIM:
        return trim(process->handle, f->rdi != 0);
    case CALL_REPORT:
        report_memory();
        return status;
    default:
        return NTMM_STATUS_INVALID_PARAMETER;
    }
}

void memory_call(struct frame *frame) { frame->rax = serve(current_thread()->process, frame); }
