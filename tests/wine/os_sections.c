/*
 * Files, sections and views through ntdll and kernel32: see os_sections.h. Files lie in the folder
 * for temporary files.
 */
#include "os_sections.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define PAGE_BYTES 0x1000u
#define NAMED_FILES 64u
#define STATUS_IS_NOT_THERE 0xC0000002u
#define STATUS_CANNOT_BE_MADE 0xC0000001u
#define STATUS_IS_SHARED_OTHERWISE 0xC0000043u

/* IO_STATUS_BLOCK. */
struct io {
    uint64_t status;
    uint64_t information;
};

LONG NTAPI NtClose(HANDLE);
LONG NTAPI NtCreateSection(HANDLE *, ULONG, void *, LARGE_INTEGER *, ULONG, ULONG, HANDLE);
LONG NTAPI NtDuplicateObject(HANDLE, HANDLE, HANDLE, HANDLE *, ULONG, ULONG, ULONG);
LONG NTAPI NtQuerySection(HANDLE, int, void *, SIZE_T, SIZE_T *);
LONG NTAPI NtExtendSection(HANDLE, LARGE_INTEGER *);
LONG NTAPI NtMapViewOfSection(HANDLE, HANDLE, PVOID *, ULONG_PTR, SIZE_T, LARGE_INTEGER *, SIZE_T *,
                              int, ULONG, ULONG);
LONG NTAPI NtFlushVirtualMemory(HANDLE, PVOID *, SIZE_T *, struct io *);
LONG NTAPI NtAreMappedFilesTheSame(PVOID, PVOID);
LONG NTAPI NtReadFile(HANDLE, HANDLE, void *, void *, struct io *, void *, ULONG, LARGE_INTEGER *,
                      ULONG *);
LONG NTAPI NtWriteFile(HANDLE, HANDLE, void *, void *, struct io *, const void *, ULONG,
                       LARGE_INTEGER *, ULONG *);
LONG NTAPI NtSetInformationFile(HANDLE, struct io *, void *, ULONG, int);
LONG NTAPI NtQueryInformationFile(HANDLE, struct io *, void *, ULONG, int);
LONG NTAPI NtFlushBuffersFile(HANDLE, struct io *);
typedef LONG(NTAPI *map_ex)(HANDLE, HANDLE, PVOID *, LARGE_INTEGER *, SIZE_T *, ULONG, ULONG,
                            void *, ULONG);
typedef LONG(NTAPI *unmap_ex)(HANDLE, PVOID, ULONG);

#define STANDARD_INFORMATION 5
#define END_OF_FILE_INFORMATION 20

/* Which file a handle is of: it is opened again by its path. */
static struct {
    HANDLE handle;
    char path[MAX_PATH];
} named[NAMED_FILES];
static uint32_t named_count;

static HANDLE handle_of(uint64_t handle) { return (HANDLE)(uintptr_t)handle; }

static void *ntdll(const char *name)
{
    return (void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), name);
}

/* Rights of data, and what every handle of a file needs. */
static HANDLE open_path(const char *path, uint32_t rights, DWORD how)
{
    return CreateFileA(path, rights | SYNCHRONIZE | FILE_READ_ATTRIBUTES | DELETE,
                       FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0, how, 0, 0);
}

static void remember(HANDLE handle, const char *path)
{
    uint32_t at = named_count++ % NAMED_FILES;

    named[at].handle = handle;
    for (uint32_t i = 0; i < MAX_PATH; i++) {
        named[at].path[i] = path[i];
    }
}

static void fill(HANDLE file, const uint8_t *bytes, uint64_t size)
{
    static uint8_t page[PAGE_BYTES];
    DWORD written;

    for (uint64_t first = 0; first < size; first += PAGE_BYTES) {
        uint64_t rest = size - first;

        for (uint32_t i = 0; i < PAGE_BYTES; i++) {
            page[i] = (uint8_t)(first / PAGE_BYTES + 1);
        }
        WriteFile(file, bytes ? bytes + first : page,
                  (DWORD)(rest < PAGE_BYTES ? rest : PAGE_BYTES), &written, 0);
    }
}

uint32_t os_create_file(uint32_t rights, const uint8_t *bytes, uint64_t size, uint64_t *handle)
{
    static char folder[MAX_PATH];
    static char path[MAX_PATH];
    HANDLE maker;
    HANDLE file;

    if (!GetTempPathA(sizeof(folder), folder) || !GetTempFileNameA(folder, "nmm", 0, path)) {
        return STATUS_CANNOT_BE_MADE;
    }
    maker = open_path(path, FILE_WRITE_DATA, OPEN_EXISTING);
    fill(maker, bytes, size);
    file = open_path(path, rights, OPEN_EXISTING);
    CloseHandle(maker);
    if (file == INVALID_HANDLE_VALUE) {
        return STATUS_CANNOT_BE_MADE;
    }
    remember(file, path);
    *handle = (uint64_t)(uintptr_t)file;
    return 0;
}

uint32_t os_open_file(uint64_t file, uint32_t rights, uint64_t *handle)
{
    for (uint32_t i = 0; i < NAMED_FILES; i++) {
        if (named[i].handle == handle_of(file)) {
            HANDLE opened = open_path(named[i].path, rights, OPEN_EXISTING);

            if (opened == INVALID_HANDLE_VALUE) {
                return GetLastError() == ERROR_SHARING_VIOLATION ? STATUS_IS_SHARED_OTHERWISE
                                                                 : STATUS_CANNOT_BE_MADE;
            }
            remember(opened, named[i].path);
            *handle = (uint64_t)(uintptr_t)opened;
            return 0;
        }
    }
    return STATUS_CANNOT_BE_MADE;
}

void os_forget_files(void)
{
    for (uint32_t i = 0; i < NAMED_FILES; i++) {
        if (named[i].path[0]) {
            DeleteFileA(named[i].path);
        }
        named[i].handle = 0;
        named[i].path[0] = 0;
    }
}

uint32_t os_close(uint64_t handle) { return (uint32_t)NtClose(handle_of(handle)); }

uint32_t os_file_size(uint64_t file, uint64_t *size)
{
    static uint64_t standard[3]; /* allocation, end, links and flags */
    struct io io;
    uint32_t status = (uint32_t)NtQueryInformationFile(handle_of(file), &io, standard,
                                                       sizeof(standard), STANDARD_INFORMATION);

    *size = standard[1];
    return status;
}

uint32_t os_set_file_size(uint64_t file, uint64_t size)
{
    struct io io;

    return (uint32_t)NtSetInformationFile(handle_of(file), &io, &size, sizeof(size),
                                          END_OF_FILE_INFORMATION);
}

uint32_t os_read_file(uint64_t file, uint64_t offset, uint8_t *bytes, uint32_t size,
                      uint64_t *moved)
{
    struct io io = {0, 0};
    LARGE_INTEGER at;
    uint32_t status;

    at.QuadPart = (LONGLONG)offset;
    status = (uint32_t)NtReadFile(handle_of(file), 0, 0, 0, &io, bytes, size, &at, 0);
    *moved = status == 0 ? io.information : 0;
    return status;
}

uint32_t os_write_file(uint64_t file, uint64_t offset, const uint8_t *bytes, uint32_t size,
                       uint64_t *moved)
{
    struct io io = {0, 0};
    LARGE_INTEGER at;
    uint32_t status;

    at.QuadPart = (LONGLONG)offset;
    status = (uint32_t)NtWriteFile(handle_of(file), 0, 0, 0, &io, bytes, size, &at, 0);
    *moved = status == 0 ? io.information : 0;
    return status;
}

uint32_t os_flush_file(uint64_t file)
{
    struct io io;

    return (uint32_t)NtFlushBuffersFile(handle_of(file), &io);
}

uint32_t os_create_section(uint64_t *handle, uint32_t rights, uint64_t *size, uint32_t protect,
                           uint32_t attributes, uint64_t file)
{
    return (uint32_t)NtCreateSection((HANDLE *)handle, rights, 0, (LARGE_INTEGER *)size, protect,
                                     attributes, handle_of(file));
}

uint32_t os_duplicate(uint64_t handle, uint32_t rights, uint64_t *duplicate)
{
    return (uint32_t)NtDuplicateObject(GetCurrentProcess(), handle_of(handle), GetCurrentProcess(),
                                       (HANDLE *)duplicate, rights, 0, 0);
}

uint32_t os_query_section(uint64_t section, uint32_t information_class, uint64_t *words,
                          uint64_t length, uint64_t *returned)
{
    return (uint32_t)NtQuerySection(handle_of(section), (int)information_class, words, length,
                                    (SIZE_T *)returned);
}

uint32_t os_extend_section(uint64_t section, uint64_t *size)
{
    if (ntdll("wine_get_version")) { /* whose stub ends the program */
        return STATUS_IS_NOT_THERE;
    }
    return (uint32_t)NtExtendSection(handle_of(section), (LARGE_INTEGER *)size);
}

uint32_t os_map_view(uint64_t section, uint64_t process, uint64_t *base, uint64_t *offset,
                     uint64_t *size, const struct os_view *view)
{
    return (uint32_t)NtMapViewOfSection(
        handle_of(section), handle_of(process), (PVOID *)base, view->zero_bits, view->commit,
        (LARGE_INTEGER *)offset, (SIZE_T *)size, (int)view->inherit, view->type, view->protect);
}

uint32_t os_map_view_ex(uint64_t section, uint64_t process, uint64_t *base, uint64_t *offset,
                        uint64_t *size, uint32_t type, uint32_t protect,
                        const struct parameter *parameters, uint32_t count)
{
    map_ex call = (map_ex)ntdll("NtMapViewOfSectionEx");

    if (!call) {
        return STATUS_IS_NOT_THERE;
    }
    return (uint32_t)call(handle_of(section), handle_of(process), (PVOID *)base,
                          (LARGE_INTEGER *)offset, (SIZE_T *)size, type, protect,
                          os_extended(parameters, count), count);
}

uint32_t os_unmap_view(uint64_t process, uint64_t address, uint32_t flags)
{
    unmap_ex call = (unmap_ex)ntdll("NtUnmapViewOfSectionEx");

    if (!call) {
        return STATUS_IS_NOT_THERE;
    }
    return (uint32_t)call(handle_of(process), (PVOID)(uintptr_t)address, flags);
}

uint32_t os_is_same_file(uint64_t first, uint64_t second)
{
    return (uint32_t)NtAreMappedFilesTheSame((PVOID)(uintptr_t)first, (PVOID)(uintptr_t)second);
}

uint32_t os_flush(uint64_t process, uint64_t *base, uint64_t *size)
{
    struct io io;

    return (uint32_t)NtFlushVirtualMemory(handle_of(process), (PVOID *)base, (SIZE_T *)size, &io);
}
