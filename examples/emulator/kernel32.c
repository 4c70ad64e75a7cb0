/*
 * What the program takes from kernel32: output, files in memory, handles, the second process. In
 * Windows these are functions of user mode above NT's services; here each is a system call of ours.
 */
#include "os.h"
#include "win32.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 0x400000u
#define TRUE_VALUE 1u
#define INVALID_HANDLE UINT64_MAX
#define ERROR_SHARING_VIOLATION 32u
#define ERROR_FILE_NOT_FOUND 2u
#define NTDLL_MODULE 1u
#define FILE_RIGHTS (NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE)
#define PATH "\\Device\\HarddiskVolume1\\"

static struct disk_file *find_file(struct os *os, const char *name)
{
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (strcmp(os->files[i].name, name) == 0)
            return &os->files[i];
    return NULL;
}

/* An empty file on a device in memory. */
static bool make_file(struct os *os, const char *name)
{
    struct disk_file *file = find_file(os, "");
    struct ntmm_emulated_file_config device = {.size = sizeof device,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .maximum_bytes = FILE_BYTES_MAX,
                                               .flags = NTMM_EMULATED_FILE_STALE};
    uint16_t units[NAME_BYTES + sizeof PATH];
    uint32_t count = 0;
    if (!file || ntmm_emulated_add_file(os->machine, &device, &file->device, NULL))
        return false;
    for (const char *at = PATH; *at; at++)
        units[count++] = (uint8_t)*at;
    for (const char *at = name; *at; at++)
        units[count++] = (uint8_t)*at;
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .device = file->device,
                                      .name_units = count,
                                      .name = units};
    if (ntmm_create_file(os->system, &config, NTMM_FILE_READ_DATA, &file->keeper))
        return false;
    snprintf(file->name, sizeof file->name, "%s", name);
    return true;
}

static uint64_t get_temp_path(struct os *os, const uint64_t *a)
{
    return os_write(os, a[1], "T:", 3) ? 2 : 0;
}

static uint64_t get_temp_file_name(struct os *os, const uint64_t *a)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%c", 'A' + (int)(os->names_given++ % 26));
    return !find_file(os, name) && make_file(os, name) && os_write(os, a[3], name, strlen(name) + 1)
               ? TRUE_VALUE
               : 0;
}

static uint64_t create_file(struct os *os, const uint64_t *a)
{
    char name[NAME_BYTES];
    ntmm_handle handle;
    os_read_text(os, a[0], name, sizeof name);
    struct disk_file *file = find_file(os, name);
    os->last_error = ERROR_FILE_NOT_FOUND;
    if (!file || !name[0])
        return INVALID_HANDLE;
    uint32_t status =
        ntmm_open_file(os->system, file->keeper, (uint32_t)a[1] & FILE_RIGHTS, &handle);
    if (status == NTMM_STATUS_SHARING_VIOLATION)
        os->last_error = ERROR_SHARING_VIOLATION;
    return NTMM_SUCCEEDED(status) ? os_add_object(os, OBJECT_FILE, handle) : INVALID_HANDLE;
}

static uint64_t delete_file(struct os *os, const uint64_t *a)
{
    char name[NAME_BYTES];
    os_read_text(os, a[0], name, sizeof name);
    struct disk_file *file = find_file(os, name);
    if (!file || !name[0])
        return 0;
    if (ntmm_close_file(os->system, file->keeper) ||
        ntmm_emulated_remove_device(os->machine, file->device))
        fprintf(stderr, "%s is still in use\n", name);
    memset(file, 0, sizeof *file);
    return TRUE_VALUE;
}

static uint64_t write_handle(struct os *os, const uint64_t *a)
{
    struct object *object = os_object(os, a[0]);
    uint32_t size = (uint32_t)a[2];
    uint64_t moved = 0;
    uint8_t *bytes = malloc(size + 1ull);
    if (bytes && object && os_read(os, a[1], bytes, size)) {
        if (object->kind == OBJECT_OUTPUT)
            moved = fwrite(bytes, 1, size, stdout);
        else if (ntmm_write_file(os->system, object->handle, object->position, bytes, size, &moved))
            moved = 0;
        object->position += moved;
    }
    free(bytes);
    uint32_t written = (uint32_t)moved;
    return os_write(os, a[3], &written, 4) && moved == size ? TRUE_VALUE : 0;
}

static uint64_t create_process(struct os *os, const uint64_t *a)
{
    ntmm_handle handle;
    if (ntmm_create_process(os->system, NULL, &handle))
        return 0;
    uint64_t words[2] = {os_add_object(os, OBJECT_PROCESS, handle), 0}; /* it never runs */
    return os_write(os, a[9], words, sizeof words) ? TRUE_VALUE : 0;
}

static uint64_t terminate_process(struct os *os, const uint64_t *a)
{
    return ntmm_end_process(os->system, os_handle(os, a[0])) ? 0 : TRUE_VALUE;
}

static uint64_t duplicate_handle(struct os *os, const uint64_t *a)
{
    uint64_t given = os_add_object(os, OBJECT_PROCESS, os_handle(os, a[1]));
    return os_write(os, a[3], &given, 8) ? TRUE_VALUE : 0;
}

static uint64_t close_handle(struct os *os, const uint64_t *a)
{
    return NTMM_SUCCEEDED(os_close(os, a[0])) ? TRUE_VALUE : 0;
}

static uint64_t create_event(struct os *os, const uint64_t *a)
{
    (void)a;
    return os_add_object(os, OBJECT_EVENT, 0);
}

static uint64_t get_current_process(struct os *os, const uint64_t *a)
{
    (void)os;
    (void)a;
    return NT_CURRENT_PROCESS;
}

static uint64_t get_output(struct os *os, const uint64_t *a)
{
    (void)a;
    for (uint32_t i = 0; i < OBJECTS_MAX; i++)
        if (os->objects[i].kind == OBJECT_OUTPUT)
            return 4ull * (i + 1);
    return os_add_object(os, OBJECT_OUTPUT, 0);
}

/* --- memory: what Windows composes of NT's services in user mode --- */

static uint64_t told(struct os *os, uint32_t error)
{
    if (error)
        os->last_error = error;
    return error ? 0 : TRUE_VALUE;
}

static uint64_t virtual_free(struct os *os, const uint64_t *a)
{
    struct win32_services nt = win32_over_ntmm(os->system);
    return told(os, win32_virtual_free(&nt, os_handle(os, a[0]), a[1], a[2], (uint32_t)a[3]));
}

static uint64_t write_process_memory(struct os *os, const uint64_t *a)
{
    struct win32_services nt = win32_over_ntmm(os->system);
    uint64_t size = a[3];
    uint64_t written = UINT64_MAX;
    uint8_t *bytes = size <= FILE_BYTES_MAX ? malloc(size + 1) : NULL;
    uint32_t error = WIN32_ERROR_NOACCESS;
    if (bytes && os_read(os, a[2], bytes, size))
        error = win32_write_process_memory(&nt, os_handle(os, a[0]), a[1], bytes, size, &written);
    free(bytes);
    if (written == UINT64_MAX)
        return told(os, error);
    if (written)
        guest_bytes_changed(&os->guest, a[1], a[1] + written);
    if (a[4] && !os_write(os, a[4], &written, 8))
        error = WIN32_ERROR_NOACCESS;
    return told(os, error);
}

static uint64_t map_view_of_file(struct os *os, const uint64_t *a)
{
    struct win32_services nt = win32_over_ntmm(os->system);
    uint64_t base = a[5];
    uint64_t offset = (uint64_t)(uint32_t)a[2] << 32 | (uint32_t)a[3];
    bool is_mapped = told(os, win32_map_view_of_file(&nt, os_handle(os, a[0]), os->guest.process,
                                                     (uint32_t)a[1], offset, a[4], &base));
    return is_mapped ? base : 0;
}

/* RtlNtStatusToDosError */
static uint64_t error_of(struct os *os, const uint64_t *a)
{
    (void)os;
    return win32_error_of((uint32_t)a[0]);
}

static uint64_t get_last_error(struct os *os, const uint64_t *a)
{
    (void)a;
    return os->last_error;
}

/* An empty line: no words. The stubs end with a byte of zero. */
static uint64_t get_command_line(struct os *os, const uint64_t *a)
{
    (void)a;
    return os->stubs + NTMM_PAGE_SIZE - 1;
}

static uint64_t get_module_file_name(struct os *os, const uint64_t *a)
{
    return os_write(os, a[1], "cases.exe", 10) ? 9 : 0;
}

static uint64_t get_module(struct os *os, const uint64_t *a)
{
    (void)os;
    (void)a;
    return NTDLL_MODULE;
}

static uint64_t get_address(struct os *os, const uint64_t *a)
{
    char name[NAME_BYTES];
    os_read_text(os, a[1], name, sizeof name);
    return os_stub_of(os, name);
}

static uint64_t add_handler(struct os *os, const uint64_t *a)
{
    os->handler = a[1];
    return a[1];
}

static uint64_t do_nothing(struct os *os, const uint64_t *a)
{
    (void)os;
    (void)a;
    return 0;
}

static uint64_t exit_process(struct os *os, const uint64_t *a)
{
    os->has_ended = true;
    os->exit_status = (int)a[0];
    return 0;
}

const struct service kernel32_services[] = {
    {"AddVectoredExceptionHandler", KERNEL32_FIRST + 0, add_handler},
    {"CloseHandle", KERNEL32_FIRST + 1, close_handle},
    {"CreateEventA", KERNEL32_FIRST + 2, create_event},
    {"CreateFileA", KERNEL32_FIRST + 3, create_file},
    {"CreateProcessA", KERNEL32_FIRST + 4, create_process},
    {"DeleteFileA", KERNEL32_FIRST + 5, delete_file},
    {"DuplicateHandle", KERNEL32_FIRST + 6, duplicate_handle},
    {"ExitProcess", KERNEL32_FIRST + 7, exit_process},
    {"GetCommandLineA", KERNEL32_FIRST + 8, get_command_line},
    {"GetCurrentProcess", KERNEL32_FIRST + 9, get_current_process},
    {"GetLastError", KERNEL32_FIRST + 10, get_last_error},
    {"GetModuleFileNameA", KERNEL32_FIRST + 11, get_module_file_name},
    {"GetModuleHandleA", KERNEL32_FIRST + 12, get_module},
    {"GetProcAddress", KERNEL32_FIRST + 13, get_address},
    {"GetStdHandle", KERNEL32_FIRST + 14, get_output},
    {"GetTempFileNameA", KERNEL32_FIRST + 15, get_temp_file_name},
    {"GetTempPathA", KERNEL32_FIRST + 16, get_temp_path},
    {"Sleep", KERNEL32_FIRST + 17, do_nothing},
    {"TerminateProcess", KERNEL32_FIRST + 18, terminate_process},
    {"WaitForSingleObject", KERNEL32_FIRST + 19, do_nothing},
    {"WriteFile", KERNEL32_FIRST + 20, write_handle},
    {"VirtualFreeEx", KERNEL32_FIRST + 21, virtual_free},
    {"WriteProcessMemory", KERNEL32_FIRST + 22, write_process_memory},
    {"MapViewOfFileEx", KERNEL32_FIRST + 23, map_view_of_file},
    {"RtlNtStatusToDosError", KERNEL32_FIRST + 24, error_of},
    {NULL, 0, NULL},
};
