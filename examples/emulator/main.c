/*
 * emulator PROGRAM.exe: runs a program of 64-bit Windows that needs nothing but the services of
 * services.c and kernel32.c, under Unicorn, over ntmm.
 */
#include "os.h"

#include <ntmm/inspect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES 0x8000000u
#define EXTRA_COMMIT_PAGES 0x100000u
#define KIND_SHIFT 56
#define TRAP_FLAG 0x100u
#define CONTEXT_BYTES 0x4D0u
#define CONTEXT_FLAGS 0x44u
#define CONTEXT_RIP 0xF8u
#define RECORD_BYTES 0x98u
#define CONTINUE_EXECUTION UINT32_MAX
#define VECTOR_DEBUG 1
#define VECTOR_BREAKPOINT 3
#define VECTOR_PROTECTION 13
#define STATUS_BREAKPOINT 0x80000003u
#define STATUS_SINGLE_STEP 0x80000004u
#define STATUS_ILLEGAL_INSTRUCTION 0xC000001Du

/* In the order of CONTEXT, from offset 0x78 on. */
static const int registers[] = {
    UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RSP, UC_X86_REG_RBP,
    UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15, UC_X86_REG_RIP,
};
#define REGISTER_COUNT (sizeof registers / sizeof *registers)
#define FIRST_REGISTER 0x78u

/* --- memory and handles --- */

bool os_read(struct os *os, uint64_t address, void *buffer, uint64_t size)
{
    uint64_t copied;
    return size == 0 || ntmm_read_virtual_memory(os->system, os->guest.process, address, buffer,
                                                 size, &copied) == NTMM_STATUS_SUCCESS;
}

bool os_write(struct os *os, uint64_t address, const void *buffer, uint64_t size)
{
    uint64_t copied;
    return size == 0 || ntmm_write_virtual_memory(os->system, os->guest.process, address, buffer,
                                                  size, &copied) == NTMM_STATUS_SUCCESS;
}

void os_read_text(struct os *os, uint64_t address, char *text, uint32_t size)
{
    uint32_t at = 0;
    while (at + 1 < size && os_read(os, address + at, &text[at], 1) && text[at])
        at++;
    text[at] = 0;
}

uint64_t os_add_object(struct os *os, enum object_kind kind, ntmm_handle handle)
{
    for (uint32_t i = 0; i < OBJECTS_MAX; i++)
        if (os->objects[i].kind == OBJECT_NONE) {
            os->objects[i] = (struct object){.kind = kind, .handle = handle};
            return 4ull * (i + 1);
        }
    return 0;
}

static bool is_index(uint64_t handle)
{
    return handle != 0 && handle % 4 == 0 && handle / 4 <= OBJECTS_MAX;
}

struct object *os_object(struct os *os, uint64_t handle)
{
    if (!is_index(handle))
        return NULL;
    struct object *object = &os->objects[handle / 4 - 1];
    return object->kind == OBJECT_NONE ? NULL : object;
}

ntmm_handle os_handle(struct os *os, uint64_t handle)
{
    if (handle == NT_CURRENT_PROCESS)
        return os->guest.process;
    if (!is_index(handle))
        return 0;
    const struct object *object = &os->objects[handle / 4 - 1];
    if (object->kind == OBJECT_EVENT || object->kind == OBJECT_OUTPUT)
        return os->guest.process ^ ((ntmm_handle)0x80 << KIND_SHIFT);
    return object->handle;
}

/* Who made a file leaves none of its pages in memory. */
static uint32_t close_file(struct os *os, const struct object *object)
{
    if (object->position && (ntmm_flush_file(os->system, object->handle, 0, 0) ||
                             ntmm_purge_file(os->system, object->handle)))
        fprintf(stderr, "emulator: a new file is in use already\n");
    return ntmm_close_file(os->system, object->handle);
}

uint32_t os_close(struct os *os, uint64_t handle)
{
    struct object *object = os_object(os, handle);
    uint32_t status = NTMM_STATUS_SUCCESS;
    if (!object)
        return NTMM_STATUS_INVALID_HANDLE;
    if (object->kind == OBJECT_FILE)
        status = close_file(os, object);
    if (object->kind == OBJECT_SECTION)
        status = ntmm_close_section(os->system, object->handle);
    if (object->kind == OBJECT_PROCESS)
        object->handle = os->ended_process;
    object->kind = OBJECT_NONE;
    return status;
}

/* --- exceptions --- */

struct exception {
    uint32_t code;
    uint32_t count;
    uint64_t parameters[3];
};

/* CONTEXT, EXCEPTION_RECORD and EXCEPTION_POINTERS on the stack; the handler is called. */
static bool raise(struct os *os, const struct exception *e)
{
    uint8_t context[CONTEXT_BYTES] = {0};
    uint64_t record[RECORD_BYTES / 8] = {0};
    uint64_t at = (guest_register(&os->guest, UC_X86_REG_RSP) - 0x1000) & ~63ull;
    uint64_t pointers[2] = {at + CONTEXT_BYTES, at};
    uint32_t flags = (uint32_t)guest_register(&os->guest, UC_X86_REG_EFLAGS);
    if (!os->handler || os->handler_context)
        return false;
    for (uint32_t i = 0; i < REGISTER_COUNT; i++) {
        uint64_t value = guest_register(&os->guest, registers[i]);
        memcpy(context + FIRST_REGISTER + 8 * i, &value, 8);
    }
    memcpy(context + CONTEXT_FLAGS, &flags, 4);
    record[0] = e->code;
    record[2] = guest_register(&os->guest, UC_X86_REG_RIP);
    record[3] = e->count;
    memcpy(&record[4], e->parameters, sizeof e->parameters);
    uc_context_save(os->guest.uc, os->interrupted);
    uint64_t top = at - 0x48, back = 0; /* nobody is there: the return is a fetch fault at 0 */
    uint64_t frame = at + CONTEXT_BYTES + RECORD_BYTES;
    if (!os_write(os, at, context, sizeof context) ||
        !os_write(os, pointers[0], record, sizeof record) ||
        !os_write(os, frame, pointers, sizeof pointers) || !os_write(os, top, &back, 8))
        return false;
    os->handler_context = at;
    guest_set_register(&os->guest, UC_X86_REG_RSP, top);
    guest_set_register(&os->guest, UC_X86_REG_RCX, frame);
    guest_set_register(&os->guest, UC_X86_REG_EFLAGS, flags & ~TRAP_FLAG);
    guest_set_register(&os->guest, UC_X86_REG_RIP, os->handler);
    return true;
}

/* The handler has returned: go on as its CONTEXT says. */
static bool go_on(struct os *os)
{
    uint8_t context[CONTEXT_BYTES];
    uint32_t answer = (uint32_t)guest_register(&os->guest, UC_X86_REG_RAX);
    uint32_t flags;
    bool is_read = os_read(os, os->handler_context, context, sizeof context);
    os->handler_context = 0;
    if (!is_read || answer != CONTINUE_EXECUTION)
        return false;
    uc_context_restore(os->guest.uc, os->interrupted);
    for (uint32_t i = 0; i < REGISTER_COUNT; i++) {
        uint64_t value;
        memcpy(&value, context + FIRST_REGISTER + 8 * i, 8);
        guest_set_register(&os->guest, registers[i], value);
    }
    memcpy(&flags, context + CONTEXT_FLAGS, 4);
    guest_set_register(&os->guest, UC_X86_REG_EFLAGS, flags);
    return true;
}

static bool raise_access(struct os *os)
{
    const struct guest *g = &os->guest;
    struct exception e = {.code = g->status, .count = g->fault.parameter_count};
    if (os->handler_context && guest_register(g, UC_X86_REG_RIP) == 0)
        return go_on(os);
    memcpy(e.parameters, g->fault.parameters, sizeof e.parameters);
    return raise(os, &e);
}

static bool raise_trap(struct os *os)
{
    struct exception e = {.code = STATUS_ILLEGAL_INSTRUCTION};
    if (os->guest.vector == VECTOR_DEBUG)
        e.code = STATUS_SINGLE_STEP;
    if (os->guest.vector == VECTOR_BREAKPOINT)
        e.code = STATUS_BREAKPOINT;
    if (os->guest.vector == VECTOR_PROTECTION)
        e = (struct exception){NTMM_STATUS_ACCESS_VIOLATION, 2, {0, UINT64_MAX}};
    return raise(os, &e);
}

/* --- system calls --- */

static const struct service *find_service(uint32_t number)
{
    const struct service *at = number >= KERNEL32_FIRST ? kernel32_services : nt_services;
    while (at->name && at->number != number)
        at++;
    return at->name ? at : NULL;
}

static void system_call(struct os *os)
{
    uint64_t a[ARGUMENTS];
    uint64_t stack = guest_register(&os->guest, UC_X86_REG_RSP);
    uint32_t number = (uint32_t)guest_register(&os->guest, UC_X86_REG_RAX);
    const struct service *service = find_service(number);
    uint64_t result = NTMM_STATUS_ACCESS_VIOLATION;
    a[0] = guest_register(&os->guest, UC_X86_REG_R10);
    a[1] = guest_register(&os->guest, UC_X86_REG_RDX);
    a[2] = guest_register(&os->guest, UC_X86_REG_R8);
    a[3] = guest_register(&os->guest, UC_X86_REG_R9);
    if (!service)
        result = NTMM_STATUS_NOT_IMPLEMENTED;
    else if (os_read(os, stack + 0x28, &a[4], sizeof a - 4 * sizeof *a))
        result = service->call(os, a);
    guest_set_register(&os->guest, UC_X86_REG_RAX, result);
}

/* False: an exception that nobody handles. */
static bool run(struct os *os)
{
    while (!os->has_ended) {
        enum guest_stop stop = guest_run(&os->guest);
        bool is_handled = true;
        if (stop == GUEST_SYSTEM_CALL)
            system_call(os);
        else if (stop == GUEST_EXCEPTION)
            is_handled = raise_access(os);
        else
            is_handled = raise_trap(os);
        if (!is_handled)
            return false;
    }
    return true;
}

static void forget(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                   enum ntmm_shootdown_reason reason)
{
    struct guest *guest = context;
    (void)reason;
    if (process == guest->process)
        guest_forget(guest, base, end);
}

static bool make_machine(struct os *os)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof machine, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = RAM_BYTES};
    struct ntmm_config config = {.size = sizeof config,
                                 .version = NTMM_CONFIG_VERSION,
                                 .extra_commit_pages = EXTRA_COMMIT_PAGES};
    ntmm_handle process;
    if (ntmm_emulated_create(&machine, &os->machine) ||
        ntmm_emulated_create_system(os->machine, &config, &os->system) ||
        ntmm_create_process(os->system, NULL, &os->ended_process) ||
        ntmm_end_process(os->system, os->ended_process) ||
        ntmm_create_process(os->system, NULL, &process))
        return false;
    if (!guest_open(&os->guest, os->system, process, ntmm_emulated_arena(os->machine, NULL)) ||
        uc_context_alloc(os->guest.uc, &os->interrupted))
        return false;
    ntmm_set_invalidation_sink(os->system, forget, &os->guest);
    return true;
}

int main(int count, char **arguments)
{
    static struct os os;
    if (count != 2) {
        fprintf(stderr, "usage: emulator PROGRAM.exe\n");
        return 2;
    }
    if (!make_machine(&os)) {
        fprintf(stderr, "emulator: the machine cannot be made\n");
        return 2;
    }
    os_load(&os, arguments[1]);
    if (!run(&os)) {
        fprintf(stderr, "emulator: exception 0x%08x at 0x%llx\n", os.guest.status,
                (unsigned long long)guest_register(&os.guest, UC_X86_REG_RIP));
        os.exit_status = 3;
    }
    ntmm_set_invalidation_sink(os.system, NULL, NULL);
    uc_context_free(os.interrupted);
    guest_close(&os.guest);
    ntmm_emulated_destroy(os.machine, NULL);
    return os.exit_status;
}
