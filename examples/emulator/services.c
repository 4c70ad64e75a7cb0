/*
 * NT's memory services by their numbers: arguments are copied in, the library is called, results
 * are copied out. The numbers are those of Windows 10 build 19041; where we do not know one for
 * sure it is of ours, from NTDLL_OURS on. Programs ask for the name, not for the number.
 */
#include "os.h"

#include <stdlib.h>
#include <string.h>

#define COPY_LIMIT 0x100000u
#define STANDARD_INFORMATION 5u
#define END_OF_FILE_INFORMATION 20u
#define MAPPED_FILENAME 2u

/* An in/out number of the program's: what the library gets, and whether there is one. */
struct number {
    uint64_t address;
    uint64_t value;
    uint32_t bytes;
};

static bool take(struct os *os, struct number *n, uint64_t address, uint32_t bytes)
{
    *n = (struct number){.address = address, .bytes = bytes};
    return address == 0 || os_read(os, address, &n->value, bytes);
}

static uint64_t *pointer(struct number *n) { return n->address ? &n->value : NULL; }

static bool give(struct os *os, const struct number *n)
{
    return n->address == 0 || os_write(os, n->address, &n->value, n->bytes);
}

/* Status of a call whose two numbers go back when it succeeded. */
static uint64_t give_two(struct os *os, uint32_t status, const struct number *a,
                         const struct number *b)
{
    if (NTMM_SUCCEEDED(status) && (!give(os, a) || !give(os, b)))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return status;
}

static uint64_t allocate(struct os *os, const uint64_t *a)
{
    struct number base, size;
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[3], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status =
        ntmm_allocate_virtual_memory(os->system, os_handle(os, a[0]), pointer(&base), a[2],
                                     pointer(&size), (uint32_t)a[4], (uint32_t)a[5]);
    return give_two(os, status, &base, &size);
}

#define PARAMETERS_MAX 8u

struct parameters {
    struct ntmm_mem_extended_parameter rows[PARAMETERS_MAX];
    struct ntmm_mem_address_requirements requirements[PARAMETERS_MAX];
};

/* MEM_EXTENDED_PARAMETERs of the program. */
static bool take_parameters(struct os *os, uint64_t address, uint32_t count, struct parameters *p)
{
    for (uint32_t i = 0; address && i < count && i < PARAMETERS_MAX; i++) {
        struct ntmm_mem_extended_parameter *row = &p->rows[i];
        if (!os_read(os, address + i * sizeof *row, row, sizeof *row))
            return false;
        if ((row->type & 0xFF) != NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS || !row->value)
            continue;
        if (!os_read(os, row->value, &p->requirements[i], sizeof p->requirements[i]))
            return false;
        row->value = 0;
        row->requirements = &p->requirements[i];
    }
    return true;
}

static uint64_t allocate_ex(struct os *os, const uint64_t *a)
{
    struct number base, size;
    static struct parameters p;
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[2], 8) ||
        !take_parameters(os, a[5], (uint32_t)a[6], &p))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_allocate_virtual_memory_ex(
        os->system, os_handle(os, a[0]), pointer(&base), pointer(&size), (uint32_t)a[3],
        (uint32_t)a[4], a[5] ? p.rows : NULL, (uint32_t)a[6]);
    return give_two(os, status, &base, &size);
}

static uint64_t free_memory(struct os *os, const uint64_t *a)
{
    struct number base, size;
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[2], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_free_virtual_memory(os->system, os_handle(os, a[0]), pointer(&base),
                                               pointer(&size), (uint32_t)a[3]);
    return give_two(os, status, &base, &size);
}

static uint64_t protect(struct os *os, const uint64_t *a)
{
    struct number base, size, old;
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[2], 8) || !take(os, &old, a[4], 4))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t before = 0;
    uint32_t status =
        ntmm_protect_virtual_memory(os->system, os_handle(os, a[0]), pointer(&base), pointer(&size),
                                    (uint32_t)a[3], old.address ? &before : NULL);
    old.value = before;
    if (NTMM_SUCCEEDED(status) && !give(os, &old))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return give_two(os, status, &base, &size);
}

static uint64_t query(struct os *os, const uint64_t *a)
{
    uint64_t returned = 0;
    uint64_t length = a[4] < COPY_LIMIT ? a[4] : COPY_LIMIT;
    uint64_t *buffer = calloc(1, length + 8);
    if (!buffer)
        return NTMM_STATUS_NO_MEMORY;
    if (a[3] && !os_read(os, a[3], buffer, length)) {
        free(buffer);
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    uint32_t status =
        ntmm_query_virtual_memory_class(os->system, os_handle(os, a[0]), a[1], (uint32_t)a[2],
                                        a[3] ? buffer : NULL, a[4], &returned);
    /* The pointer of a UNICODE_STRING is one of the program's. */
    if ((uint32_t)a[2] == MAPPED_FILENAME && NTMM_SUCCEEDED(status) && length >= 16)
        buffer[1] = a[3] + (buffer[1] - (uint64_t)(uintptr_t)buffer);
    bool is_given = !a[3] || os_write(os, a[3], buffer, length);
    free(buffer);
    if (!is_given)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (returned && a[5] && !os_write(os, a[5], &returned, 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return status;
}

/* NtReadVirtualMemory and NtWriteVirtualMemory move between two processes. */
static uint64_t move_memory(struct os *os, const uint64_t *a, bool is_read)
{
    uint64_t copied = 0;
    uint64_t size = a[3];
    uint8_t *buffer = size <= COPY_LIMIT ? malloc(size + 1) : NULL;
    uint32_t status;
    if (!is_read && buffer && a[2] && !os_read(os, a[2], buffer, size))
        memset(buffer, 0, size);
    if (is_read)
        status = ntmm_read_virtual_memory(os->system, os_handle(os, a[0]), a[1],
                                          a[2] ? buffer : NULL, size, &copied);
    else
        status = ntmm_write_virtual_memory(os->system, os_handle(os, a[0]), a[1],
                                           a[2] ? buffer : NULL, size, &copied);
    if (is_read && buffer && a[2] && copied && !os_write(os, a[2], buffer, copied))
        status = NTMM_STATUS_ACCESS_VIOLATION;
    if (!is_read && copied)
        guest_bytes_changed(&os->guest, a[1], a[1] + copied);
    free(buffer);
    if (a[4] && !os_write(os, a[4], &copied, 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return status;
}

static uint64_t read_memory(struct os *os, const uint64_t *a) { return move_memory(os, a, true); }
static uint64_t write_memory(struct os *os, const uint64_t *a) { return move_memory(os, a, false); }

static uint64_t lock_or_unlock(struct os *os, const uint64_t *a, bool is_lock)
{
    struct number base, size;
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[2], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = (is_lock ? ntmm_lock_virtual_memory : ntmm_unlock_virtual_memory)(
        os->system, os_handle(os, a[0]), pointer(&base), pointer(&size), (uint32_t)a[3]);
    return give_two(os, status, &base, &size);
}

static uint64_t lock(struct os *os, const uint64_t *a) { return lock_or_unlock(os, a, true); }
static uint64_t unlock(struct os *os, const uint64_t *a) { return lock_or_unlock(os, a, false); }

static uint64_t get_watch(struct os *os, const uint64_t *a)
{
    struct number count;
    uint32_t granularity = 0;
    if (!take(os, &count, a[5], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint64_t room = count.value < COPY_LIMIT / 8 ? count.value : COPY_LIMIT / 8;
    uint64_t *addresses = calloc(room + 1, 8);
    if (!addresses)
        return NTMM_STATUS_NO_MEMORY;
    uint32_t status =
        ntmm_get_write_watch(os->system, os_handle(os, a[0]), (uint32_t)a[1], a[2], a[3],
                             a[4] ? addresses : NULL, pointer(&count), a[6] ? &granularity : NULL);
    if (NTMM_SUCCEEDED(status) && (!os_write(os, a[4], addresses, count.value * 8) ||
                                   !give(os, &count) || !os_write(os, a[6], &granularity, 4)))
        status = NTMM_STATUS_ACCESS_VIOLATION;
    free(addresses);
    return status;
}

static uint64_t reset_watch(struct os *os, const uint64_t *a)
{
    return ntmm_reset_write_watch(os->system, os_handle(os, a[0]), a[1], a[2]);
}

static uint64_t flush_memory(struct os *os, const uint64_t *a)
{
    struct number base, size;
    struct ntmm_io_status io = {0};
    if (!take(os, &base, a[1], 8) || !take(os, &size, a[2], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_flush_virtual_memory(os->system, os_handle(os, a[0]), pointer(&base),
                                                pointer(&size), &io);
    if (NTMM_SUCCEEDED(status) && !os_write(os, a[3], &io, sizeof io))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return give_two(os, status, &base, &size);
}

/* A new handle for the program at `address`. */
static uint64_t give_handle(struct os *os, uint64_t address, uint32_t status, ntmm_handle handle,
                            enum object_kind kind)
{
    if (!NTMM_SUCCEEDED(status))
        return status;
    uint64_t given = os_add_object(os, kind, handle);
    return os_write(os, address, &given, 8) ? status : NTMM_STATUS_ACCESS_VIOLATION;
}

static uint64_t create_section(struct os *os, const uint64_t *a)
{
    struct number size;
    ntmm_handle handle = 0;
    if (!take(os, &size, a[3], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status =
        ntmm_create_section(os->system, a[0] ? &handle : NULL, (uint32_t)a[1], NULL, pointer(&size),
                            (uint32_t)a[4], (uint32_t)a[5], os_handle(os, a[6]));
    return give_handle(os, a[0], status, handle, OBJECT_SECTION);
}

static uint64_t duplicate(struct os *os, const uint64_t *a)
{
    ntmm_handle handle = 0;
    uint32_t status = ntmm_duplicate_section(os->system, os_handle(os, a[1]), (uint32_t)a[4],
                                             a[3] ? &handle : NULL);
    return give_handle(os, a[3], status, handle, OBJECT_SECTION);
}

static uint64_t query_section(struct os *os, const uint64_t *a)
{
    uint8_t buffer[64] = {0};
    uint64_t returned = 0;
    uint32_t status = ntmm_query_section(os->system, os_handle(os, a[0]), (uint32_t)a[1],
                                         a[2] ? buffer : NULL, a[3], &returned);
    if (NTMM_SUCCEEDED(status) &&
        (!os_write(os, a[2], buffer, returned) || (a[4] && !os_write(os, a[4], &returned, 8))))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return status;
}

static uint64_t extend_section(struct os *os, const uint64_t *a)
{
    struct number size;
    if (!take(os, &size, a[1], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_extend_section(os->system, os_handle(os, a[0]), pointer(&size));
    return give_two(os, status, &size, &size);
}

static uint64_t give_view(struct os *os, uint32_t status, const struct number *base,
                          const struct number *offset, const struct number *size)
{
    if (NTMM_SUCCEEDED(status) && !give(os, offset))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return give_two(os, status, base, size);
}

static uint64_t map_view(struct os *os, const uint64_t *a)
{
    struct number base, offset, size;
    if (!take(os, &base, a[2], 8) || !take(os, &offset, a[5], 8) || !take(os, &size, a[6], 8))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_map_view_of_section(
        os->system, os_handle(os, a[0]), os_handle(os, a[1]), pointer(&base), a[3], a[4],
        pointer(&offset), pointer(&size), (uint32_t)a[7], (uint32_t)a[8], (uint32_t)a[9]);
    return give_view(os, status, &base, &offset, &size);
}

static uint64_t map_view_ex(struct os *os, const uint64_t *a)
{
    struct number base, offset, size;
    static struct parameters p;
    if (!take(os, &base, a[2], 8) || !take(os, &offset, a[3], 8) || !take(os, &size, a[4], 8) ||
        !take_parameters(os, a[7], (uint32_t)a[8], &p))
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint32_t status = ntmm_map_view_of_section_ex(
        os->system, os_handle(os, a[0]), os_handle(os, a[1]), pointer(&base), pointer(&offset),
        pointer(&size), (uint32_t)a[5], (uint32_t)a[6], a[7] ? p.rows : NULL, (uint32_t)a[8]);
    return give_view(os, status, &base, &offset, &size);
}

static uint64_t unmap_view(struct os *os, const uint64_t *a)
{
    return ntmm_unmap_view_of_section(os->system, os_handle(os, a[0]), a[1], (uint32_t)a[2]);
}

static uint64_t are_same(struct os *os, const uint64_t *a)
{
    return ntmm_are_mapped_files_the_same(os->system, os->guest.process, a[0], a[1]);
}

static uint64_t close_handle(struct os *os, const uint64_t *a) { return os_close(os, a[0]); }

/* --- files, as far as sections need them --- */

static uint64_t give_io(struct os *os, uint64_t address, uint32_t status, uint64_t moved)
{
    struct ntmm_io_status io = {.information = moved};
    io.status = status;
    return os_write(os, address, &io, sizeof io) ? status : NTMM_STATUS_ACCESS_VIOLATION;
}

static uint64_t move_file(struct os *os, const uint64_t *a, bool is_read)
{
    struct number offset;
    uint64_t moved = 0;
    uint64_t size = (uint32_t)a[6];
    uint8_t *buffer = size <= COPY_LIMIT ? malloc(size + 1) : NULL;
    uint32_t status = NTMM_STATUS_ACCESS_VIOLATION;
    if (take(os, &offset, a[7], 8) &&
        (is_read || !a[5] || (buffer && os_read(os, a[5], buffer, size)))) {
        void *given = a[5] ? buffer : NULL;
        ntmm_handle file = os_handle(os, a[0]);
        status = is_read ? ntmm_read_file(os->system, file, offset.value, given, size, &moved)
                         : ntmm_write_file(os->system, file, offset.value, given, size, &moved);
        if (is_read && moved && !os_write(os, a[5], buffer, moved))
            status = NTMM_STATUS_ACCESS_VIOLATION;
    }
    free(buffer);
    return give_io(os, a[4], status, moved);
}

static uint64_t read_file(struct os *os, const uint64_t *a) { return move_file(os, a, true); }
static uint64_t write_file(struct os *os, const uint64_t *a) { return move_file(os, a, false); }

static uint64_t query_file(struct os *os, const uint64_t *a)
{
    struct ntmm_file_information found;
    uint32_t status = ntmm_query_file(os->system, os_handle(os, a[0]), &found);
    if ((uint32_t)a[4] != STANDARD_INFORMATION || (uint32_t)a[3] < 24)
        status = NTMM_STATUS_INVALID_INFO_CLASS;
    if (NTMM_SUCCEEDED(status)) {
        uint64_t words[3] = {found.size_bytes, found.size_bytes, 1};
        if (!os_write(os, a[2], words, sizeof words))
            status = NTMM_STATUS_ACCESS_VIOLATION;
    }
    return give_io(os, a[1], status, 24);
}

static uint64_t set_file(struct os *os, const uint64_t *a)
{
    uint64_t size;
    uint32_t status = NTMM_STATUS_INVALID_INFO_CLASS;
    if ((uint32_t)a[4] == END_OF_FILE_INFORMATION)
        status = os_read(os, a[2], &size, 8)
                     ? ntmm_set_file_size(os->system, os_handle(os, a[0]), size)
                     : NTMM_STATUS_ACCESS_VIOLATION;
    return give_io(os, a[1], status, 0);
}

static uint64_t flush_file(struct os *os, const uint64_t *a)
{
    return give_io(os, a[1], ntmm_flush_file(os->system, os_handle(os, a[0]), 0, 0), 0);
}

const struct service nt_services[] = {
    {"NtReadFile", 0x06, read_file},
    {"NtWriteFile", 0x08, write_file},
    {"NtClose", 0x0F, close_handle},
    {"NtQueryInformationFile", 0x11, query_file},
    {"NtAllocateVirtualMemory", 0x18, allocate},
    {"NtFreeVirtualMemory", 0x1E, free_memory},
    {"NtQueryVirtualMemory", 0x23, query},
    {"NtSetInformationFile", 0x27, set_file},
    {"NtMapViewOfSection", 0x28, map_view},
    {"NtWriteVirtualMemory", 0x3A, write_memory},
    {"NtDuplicateObject", 0x3C, duplicate},
    {"NtReadVirtualMemory", 0x3F, read_memory},
    {"NtCreateSection", 0x4A, create_section},
    {"NtFlushBuffersFile", 0x4B, flush_file},
    {"NtProtectVirtualMemory", 0x50, protect},
    {"NtQuerySection", 0x51, query_section},
    {"NtAllocateVirtualMemoryEx", 0x76, allocate_ex},
    {"NtAreMappedFilesTheSame", NTDLL_OURS + 0, are_same},
    {"NtExtendSection", NTDLL_OURS + 1, extend_section},
    {"NtFlushVirtualMemory", NTDLL_OURS + 2, flush_memory},
    {"NtGetWriteWatch", NTDLL_OURS + 3, get_watch},
    {"NtLockVirtualMemory", NTDLL_OURS + 4, lock},
    {"NtMapViewOfSectionEx", NTDLL_OURS + 5, map_view_ex},
    {"NtResetWriteWatch", NTDLL_OURS + 6, reset_watch},
    {"NtUnlockVirtualMemory", NTDLL_OURS + 7, unlock},
    {"NtUnmapViewOfSectionEx", NTDLL_OURS + 8, unmap_view},
    {NULL, 0, NULL},
};
