/*
 * kernel32's own functions: see os_win32.h.
 */
#include "os_win32.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

ULONG NTAPI RtlNtStatusToDosError(LONG);

static HANDLE handle_of(uint64_t handle) { return (HANDLE)(uintptr_t)handle; }

static void *pointer_to(uint64_t address) { return (void *)(uintptr_t)address; }

uint32_t os_virtual_free(uint64_t process, uint64_t address, uint64_t size, uint32_t type)
{
    return VirtualFreeEx(handle_of(process), pointer_to(address), size, type) ? 0 : GetLastError();
}

uint32_t os_write_process_memory(uint64_t process, uint64_t address, const uint8_t *bytes,
                                 uint64_t size, uint64_t *written)
{
    return WriteProcessMemory(handle_of(process), pointer_to(address), bytes, size, written)
               ? 0
               : GetLastError();
}

uint32_t os_map_view_of_file(uint64_t section, uint32_t access, uint64_t offset, uint64_t size,
                             uint64_t *base)
{
    void *view = MapViewOfFileEx(handle_of(section), access, (DWORD)(offset >> 32), (DWORD)offset,
                                 size, pointer_to(*base));

    if (!view) {
        return GetLastError();
    }
    *base = (uint64_t)(uintptr_t)view;
    return 0;
}

uint32_t os_error_of(uint32_t status) { return RtlNtStatusToDosError((LONG)status); }
