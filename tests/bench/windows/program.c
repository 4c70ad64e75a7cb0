/*
 * The operations of ../operations.c on Windows or Wine, through ntdll; no C library.
 *
 *     operations.exe [CALLS]      CALLS instead of each operation's own number of calls
 *
 * Prints a line for each round, "OPERATION PICOSECONDS": its number in the table, and what a call
 * took. The first round of each is not printed.
 */
#include "../operations.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define ROUNDS 31u
#define WATCH_ROOM 64u

LONG NTAPI NtAllocateVirtualMemory(HANDLE, PVOID *, ULONG_PTR, PSIZE_T, ULONG, ULONG);
LONG NTAPI NtFreeVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG);
LONG NTAPI NtProtectVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG, PULONG);
LONG NTAPI NtQueryVirtualMemory(HANDLE, PVOID, int, PVOID, SIZE_T, PSIZE_T);
LONG NTAPI NtGetWriteWatch(HANDLE, ULONG, PVOID, SIZE_T, PVOID *, ULONG_PTR *, ULONG *);
LONG NTAPI NtCreateSection(PHANDLE, ULONG, PVOID, PLARGE_INTEGER, ULONG, ULONG, HANDLE);
LONG NTAPI NtMapViewOfSection(HANDLE, HANDLE, PVOID *, ULONG_PTR, SIZE_T, PLARGE_INTEGER, PSIZE_T,
                              ULONG, ULONG, ULONG);
LONG NTAPI NtUnmapViewOfSection(HANDLE, PVOID);
LONG NTAPI NtClose(HANDLE);

#define VIEW_UNMAP 2u
#define THIS_PROCESS ((HANDLE)(LONG_PTR) - 1)

static LARGE_INTEGER frequency;

void nt_must(int is_true)
{
    if (!is_true)
        ExitProcess(1);
}

uint64_t nt_allocate(uint64_t base, uint64_t size_bytes, uint32_t type)
{
    PVOID address = (PVOID)base;
    SIZE_T size = size_bytes;
    nt_must(NtAllocateVirtualMemory(THIS_PROCESS, &address, 0, &size, type, PAGE_READWRITE) == 0);
    return (uint64_t)address;
}

void nt_free(uint64_t base, uint64_t size_bytes, uint32_t type)
{
    PVOID address = (PVOID)base;
    SIZE_T size = size_bytes;
    nt_must(NtFreeVirtualMemory(THIS_PROCESS, &address, &size, type) == 0);
}

void nt_protect(uint64_t base, uint64_t size_bytes, uint32_t protect)
{
    PVOID address = (PVOID)base;
    SIZE_T size = size_bytes;
    ULONG old;
    nt_must(NtProtectVirtualMemory(THIS_PROCESS, &address, &size, protect, &old) == 0);
}

uint64_t nt_query(uint64_t address)
{
    MEMORY_BASIC_INFORMATION found;
    nt_must(NtQueryVirtualMemory(THIS_PROCESS, (PVOID)address, 0, &found, sizeof found, NULL) == 0);
    return found.RegionSize;
}

uint64_t nt_take_write_watch(uint64_t base, uint64_t size_bytes, uint64_t room)
{
    PVOID addresses[WATCH_ROOM];
    ULONG_PTR count = room;
    ULONG granularity;
    nt_must(NtGetWriteWatch(THIS_PROCESS, WRITE_WATCH_FLAG_RESET, (PVOID)base, size_bytes,
                            addresses, &count, &granularity) == 0);
    return count;
}

uint64_t nt_create_section(uint64_t size_bytes)
{
    HANDLE section;
    LARGE_INTEGER size = {.QuadPart = (LONGLONG)size_bytes};
    nt_must(NtCreateSection(&section, SECTION_ALL_ACCESS, NULL, &size, PAGE_READWRITE, SEC_COMMIT,
                            NULL) == 0);
    return (uint64_t)section;
}

void nt_close_section(uint64_t section) { nt_must(NtClose((HANDLE)section) == 0); }

uint64_t nt_map_view(uint64_t section, uint32_t protect)
{
    PVOID address = NULL;
    SIZE_T size = 0;
    nt_must(NtMapViewOfSection((HANDLE)section, THIS_PROCESS, &address, 0, 0, NULL, &size,
                               VIEW_UNMAP, 0, protect) == 0);
    return (uint64_t)address;
}

void nt_unmap_view(uint64_t base) { nt_must(NtUnmapViewOfSection(THIS_PROCESS, (PVOID)base) == 0); }

void nt_touch(uint64_t address) { *(volatile uint64_t *)address = address; }

uint64_t nt_clock_ns(void)
{
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    return (uint64_t)now.QuadPart * (1000000000u / (uint64_t)frequency.QuadPart);
}

static char *put_number(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

static void print_round(uint32_t number, uint64_t picoseconds)
{
    char line[64], *end = line + sizeof line, *text = end;
    DWORD written;
    *--text = '\n';
    text = put_number(text, picoseconds);
    *--text = ' ';
    text = put_number(text, number);
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, (DWORD)(end - text), &written, NULL);
}

/* The number behind the last space of the command line; 0: none. */
static uint32_t last_number(void)
{
    const char *text = GetCommandLineA();
    uint32_t value = 0;
    int is_number = 0;
    for (; *text; text++) {
        if (*text == ' ') {
            value = 0;
            is_number = 1;
        } else if (*text >= '0' && *text <= '9') {
            value = value * 10 + (uint32_t)(*text - '0');
        } else {
            is_number = 0;
        }
    }
    return is_number ? value : 0;
}

_Noreturn void program(void);

_Noreturn void program(void)
{
    uint32_t given = last_number();
    QueryPerformanceFrequency(&frequency);
    nt_must(frequency.QuadPart > 0 && frequency.QuadPart <= 1000000000);
    for (uint32_t i = 0; i < OPERATION_COUNT; i++) {
        uint32_t calls = given ? given : operations[i].calls;
        operations[i].run(calls);
        for (uint32_t round = 0; round < ROUNDS; round++)
            print_round(i, operations[i].run(calls) * 1000 / calls);
    }
    ExitProcess(0);
}

/* What a compiler calls by itself. */
void *memset(void *to, int value, size_t size);

void *memset(void *to, int value, size_t size)
{
    volatile unsigned char *bytes = to;
    while (size--)
        bytes[size] = (unsigned char)value;
    return to;
}
