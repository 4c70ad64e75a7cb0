/*
 * The system calls through ntdll; processes, output and the exception handler through kernel32.
 * No C library: the functions that a compiler calls by itself stand at the end.
 *
 * An access is made by a few instructions at file scope. When one of them raises, the handler takes
 * note and sends the thread on behind them. A fetch runs under the trap flag: the first trap stands
 * at the address itself, before anything is fetched, the second one behind one instruction.
 */
#include "os.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define EXCEPTION_SINGLE_STEP_STATUS 0x80000004u
#define TRAP_FLAG 0x100u

LONG NTAPI NtAllocateVirtualMemory(HANDLE, PVOID *, ULONG_PTR, PSIZE_T, ULONG, ULONG);
LONG NTAPI NtFreeVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG);
LONG NTAPI NtProtectVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG, PULONG);
LONG NTAPI NtQueryVirtualMemory(HANDLE, PVOID, int, PVOID, SIZE_T, PSIZE_T);

LONG NTAPI NtReadVirtualMemory(HANDLE, PVOID, PVOID, SIZE_T, PSIZE_T);
LONG NTAPI NtWriteVirtualMemory(HANDLE, PVOID, const void *, SIZE_T, PSIZE_T);
LONG NTAPI NtLockVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG);
LONG NTAPI NtUnlockVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG);
LONG NTAPI NtGetWriteWatch(HANDLE, ULONG, PVOID, SIZE_T, PVOID *, ULONG_PTR *, ULONG *);
LONG NTAPI NtResetWriteWatch(HANDLE, PVOID, SIZE_T);

/* MEM_EXTENDED_PARAMETER and MEM_ADDRESS_REQUIREMENTS. */
struct extended {
    uint64_t type;
    uint64_t value;
};
struct requirements {
    uint64_t lowest;
    uint64_t highest;
    uint64_t alignment;
};
typedef LONG(NTAPI *allocate_ex)(HANDLE, PVOID *, PSIZE_T, ULONG, ULONG, void *, ULONG);

#define EXTENDED_LIMIT 8u
#define REQUIREMENTS_TYPE 1u
#define STATUS_IS_NOT_THERE 0xC0000002u

static HANDLE handles[CALLER_COUNT];
static PROCESS_INFORMATION other;

/* What the handler knows of the access that is being made. */
static struct {
    struct os_fault fault;
    uint64_t address; /* of a fetch */
    bool is_fetching;
    bool has_reached; /* the trap before the fetch was seen */
} current;

/*
 * access_read(address, bytes, size), access_write(same), access_touch(address),
 * access_fetch(address): return 0, or 1 when
 * the handler sent the thread to access_failed. Leaf functions, so they need no unwind data.
 */
int access_read(uint64_t address, uint8_t *bytes, uint64_t size);
int access_write(uint64_t address, const uint8_t *bytes, uint64_t size);
int access_touch(uint64_t address);
int access_fetch(uint64_t address);
extern const char access_begin[];
extern const char access_fetched[];
extern const char access_failed[];
extern const char access_end[];

__asm__(".text\n"
        ".globl access_begin, access_read, access_write, access_touch, access_fetch\n"
        ".globl access_fetched, access_failed, access_end\n"
        "access_begin:\n"
        "access_read:\n"
        "    cmp $8, %r8\n    je 8f\n    cmp $4, %r8\n    je 4f\n    cmp $2, %r8\n    je 2f\n"
        "1:  test %r8, %r8\n    jz 9f\n"
        "    movb (%rcx), %al\n    movb %al, (%rdx)\n"
        "    inc %rcx\n    inc %rdx\n    dec %r8\n    jmp 1b\n"
        "2:  movw (%rcx), %ax\n    movw %ax, (%rdx)\n    jmp 9f\n"
        "4:  movl (%rcx), %eax\n    movl %eax, (%rdx)\n    jmp 9f\n"
        "8:  movq (%rcx), %rax\n    movq %rax, (%rdx)\n"
        "9:  xor %eax, %eax\n    ret\n"
        "access_write:\n"
        "    cmp $8, %r8\n    je 8f\n    cmp $4, %r8\n    je 4f\n    cmp $2, %r8\n    je 2f\n"
        "1:  test %r8, %r8\n    jz 9f\n"
        "    movb (%rdx), %al\n    movb %al, (%rcx)\n"
        "    inc %rcx\n    inc %rdx\n    dec %r8\n    jmp 1b\n"
        "2:  movw (%rdx), %ax\n    movw %ax, (%rcx)\n    jmp 9f\n"
        "4:  movl (%rdx), %eax\n    movl %eax, (%rcx)\n    jmp 9f\n"
        "8:  movq (%rdx), %rax\n    movq %rax, (%rcx)\n"
        "9:  xor %eax, %eax\n    ret\n"
        "access_touch:\n    lock addb $0, (%rcx)\n    xor %eax, %eax\n    ret\n"
        /* rax points at the stack: what "add %al, (%rax)", two bytes of zero, may write to. */
        "access_fetch:\n"
        "    lea -64(%rsp), %rax\n"
        "    pushfq\n    orl $0x100, (%rsp)\n    popfq\n"
        "    jmp *%rcx\n"
        "access_fetched:\n    xor %eax, %eax\n    ret\n"
        "access_failed:\n    mov $1, %eax\n    ret\n"
        "access_end:\n");

static uint64_t saved_stack;

static void note(const EXCEPTION_RECORD *record)
{
    current.fault.status = (uint32_t)record->ExceptionCode;
    current.fault.parameter_count = record->NumberParameters;
    for (uint32_t i = 0; i < 2 && i < record->NumberParameters; i++) {
        current.fault.parameters[i] = record->ExceptionInformation[i];
    }
}

static void send_to(CONTEXT *context, const char *place)
{
    context->Rip = (DWORD64)(uintptr_t)place;
    context->EFlags &= ~TRAP_FLAG;
}

static LONG on_fetch(const EXCEPTION_RECORD *record, CONTEXT *context)
{
    bool is_trap = (uint32_t)record->ExceptionCode == EXCEPTION_SINGLE_STEP_STATUS;

    if (is_trap && !current.has_reached) {
        current.has_reached = context->Rip == current.address;
        saved_stack = context->Rsp;
        context->EFlags |= TRAP_FLAG;
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    context->Rsp = saved_stack;
    current.is_fetching = false;
    if (is_trap || context->Rip != current.address || record->NumberParameters < 2 ||
        record->ExceptionInformation[0] != EXCEPTION_EXECUTE_FAULT) {
        send_to(context, access_fetched);
    } else {
        note(record);
        send_to(context, access_failed);
    }
    return EXCEPTION_CONTINUE_EXECUTION;
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *pointers)
{
    const char *at = (const char *)(uintptr_t)pointers->ContextRecord->Rip;

    if (current.is_fetching) {
        return on_fetch(pointers->ExceptionRecord, pointers->ContextRecord);
    }
    if (at < access_begin || at >= access_end) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    note(pointers->ExceptionRecord);
    send_to(pointers->ContextRecord, access_failed);
    return EXCEPTION_CONTINUE_EXECUTION;
}

void os_access(uint64_t address, enum os_access access, uint8_t *bytes, uint32_t size,
               struct os_fault *fault)
{
    current.fault.status = 0;
    current.fault.parameter_count = 0;
    current.address = address;
    current.has_reached = false;
    switch (access) {
    case OS_READ:
        access_read(address, bytes, size);
        break;
    case OS_WRITE:
        access_write(address, bytes, size);
        break;
    case OS_TOUCH:
        access_touch(address);
        break;
    case OS_EXECUTE:
        current.is_fetching = true;
        access_fetch(address);
        if (!current.fault.status) {
            struct os_fault fetched = current.fault;

            access_read(address, bytes, size);
            current.fault = fetched;
        }
        break;
    }
    *fault = current.fault;
}

bool os_has_word(const char *word)
{
    const char *line = GetCommandLineA();

    for (; *line; line++) {
        uint32_t length = 0;

        while (word[length] && line[length] == word[length]) {
            length++;
        }
        if (!word[length]) {
            return true;
        }
    }
    return false;
}

bool os_begin(void)
{
    if (os_has_word("--wait")) {
        Sleep(INFINITE);
        return false;
    }
    AddVectoredExceptionHandler(1, on_exception);
    handles[CALLER_LIVE] = GetCurrentProcess();
    handles[CALLER_WRONG_KIND] = CreateEventA(0, TRUE, FALSE, 0);
    return true;
}

_Noreturn void os_end(unsigned status)
{
    if (other.hProcess) {
        TerminateProcess(other.hProcess, 0);
        WaitForSingleObject(other.hProcess, INFINITE);
    }
    ExitProcess(status);
}

void os_print(const char *text, uint32_t length)
{
    DWORD written;

    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, length, &written, 0);
}

static void start_other(void)
{
    static char path[MAX_PATH];
    static char line[] = "cases --wait";
    static STARTUPINFOA startup;

    startup.cb = sizeof(startup);
    GetModuleFileNameA(0, path, sizeof(path));
    if (!CreateProcessA(path, line, 0, 0, FALSE, 0, 0, 0, &startup, &other)) {
        os_print("the other process cannot be started\n", 36);
        ExitProcess(2);
    }
    Sleep(100); /* it makes its own regions first */
    handles[CALLER_OTHER] = other.hProcess;
}

uint64_t os_handle(enum caller who)
{
    if (who == CALLER_OTHER && !handles[CALLER_OTHER]) {
        start_other();
    }
    if (who == CALLER_STALE) {
        DuplicateHandle(GetCurrentProcess(), GetCurrentProcess(), GetCurrentProcess(),
                        &handles[CALLER_STALE], 0, FALSE, DUPLICATE_SAME_ACCESS);
        CloseHandle(handles[CALLER_STALE]);
    }
    return (uint64_t)(uintptr_t)handles[who];
}

static HANDLE handle_of(uint64_t process) { return (HANDLE)(uintptr_t)process; }

uint32_t os_allocate(uint64_t process, uint64_t *base, uint64_t zero_bits, uint64_t *size,
                     uint32_t type, uint32_t protect)
{
    return (uint32_t)NtAllocateVirtualMemory(handle_of(process), (PVOID *)base, zero_bits,
                                             (PSIZE_T)size, type, protect);
}

void *os_extended(const struct parameter *parameters, uint32_t count)
{
    static struct extended filled[EXTENDED_LIMIT];
    static struct requirements requirements[EXTENDED_LIMIT];

    for (uint32_t i = 0; parameters && i < count && i < EXTENDED_LIMIT; i++) {
        filled[i].type = parameters[i].type;
        filled[i].value = parameters[i].value;
        if (parameters[i].type == REQUIREMENTS_TYPE) {
            requirements[i].lowest = parameters[i].value;
            requirements[i].highest = parameters[i].highest;
            requirements[i].alignment = parameters[i].alignment;
            filled[i].value = parameters[i].is_null ? 0 : (uint64_t)(uintptr_t)&requirements[i];
        }
    }
    return parameters ? filled : 0;
}

uint32_t os_allocate_ex(uint64_t process, uint64_t *base, uint64_t *size, uint32_t type,
                        uint32_t protect, const struct parameter *parameters, uint32_t count)
{
    /* Looked up, because it is younger than Windows 10 is. */
    allocate_ex call = (allocate_ex)(void *)GetProcAddress(GetModuleHandleA("ntdll.dll"),
                                                           "NtAllocateVirtualMemoryEx");

    if (!call) {
        return STATUS_IS_NOT_THERE;
    }
    return (uint32_t)call(handle_of(process), (PVOID *)base, (PSIZE_T)size, type, protect,
                          os_extended(parameters, count), count);
}

uint32_t os_query_class(uint64_t process, uint64_t address, uint32_t information_class,
                        uint64_t *buffer, uint64_t length, uint64_t *returned)
{
    return (uint32_t)NtQueryVirtualMemory(handle_of(process), (PVOID)(uintptr_t)address,
                                          (int)information_class, buffer, length, returned);
}

uint32_t os_read_memory(uint64_t process, uint64_t address, uint8_t *buffer, uint64_t size,
                        uint64_t *copied)
{
    return (uint32_t)NtReadVirtualMemory(handle_of(process), (PVOID)(uintptr_t)address, buffer,
                                         size, copied);
}

uint32_t os_write_memory(uint64_t process, uint64_t address, const uint8_t *buffer, uint64_t size,
                         uint64_t *copied)
{
    return (uint32_t)NtWriteVirtualMemory(handle_of(process), (PVOID)(uintptr_t)address, buffer,
                                          size, copied);
}

uint32_t os_lock(uint64_t process, uint64_t *base, uint64_t *size, uint32_t kind)
{
    return (uint32_t)NtLockVirtualMemory(handle_of(process), (PVOID *)base, size, kind);
}

uint32_t os_unlock(uint64_t process, uint64_t *base, uint64_t *size, uint32_t kind)
{
    return (uint32_t)NtUnlockVirtualMemory(handle_of(process), (PVOID *)base, size, kind);
}

uint32_t os_get_watch(uint64_t process, uint32_t flags, uint64_t base, uint64_t size,
                      uint64_t *addresses, uint64_t *count)
{
    ULONG granularity;

    return (uint32_t)NtGetWriteWatch(handle_of(process), flags, (PVOID)(uintptr_t)base, size,
                                     (PVOID *)addresses, count, &granularity);
}

uint32_t os_reset_watch(uint64_t process, uint64_t base, uint64_t size)
{
    return (uint32_t)NtResetWriteWatch(handle_of(process), (PVOID)(uintptr_t)base, size);
}

uint32_t os_free(uint64_t process, uint64_t *base, uint64_t *size, uint32_t type)
{
    return (uint32_t)NtFreeVirtualMemory(handle_of(process), (PVOID *)base, (PSIZE_T)size, type);
}

uint32_t os_protect(uint64_t process, uint64_t *base, uint64_t *size, uint32_t protect,
                    uint32_t *old)
{
    return (uint32_t)NtProtectVirtualMemory(handle_of(process), (PVOID *)base, (PSIZE_T)size,
                                            protect, (PULONG)old);
}

uint32_t os_query(uint64_t process, uint64_t address, struct os_memory *memory)
{
    return (uint32_t)NtQueryVirtualMemory(handle_of(process), (PVOID)(uintptr_t)address, 0, memory,
                                          sizeof(*memory), 0);
}

void *memset(void *to, int value, size_t size)
{
    volatile uint8_t *at = to;

    while (size--) {
        *at++ = (uint8_t)value;
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    volatile uint8_t *at = to;
    const uint8_t *source = from;

    while (size--) {
        *at++ = *source++;
    }
    return to;
}
