/*
 * See win32.h.
 */
#include "win32.h"

#define WRITABLE                                                                                   \
    (NTMM_PAGE_READWRITE | NTMM_PAGE_WRITECOPY | NTMM_PAGE_EXECUTE_READWRITE |                     \
     NTMM_PAGE_EXECUTE_WRITECOPY)
#define EXECUTABLE_ONLY (NTMM_PAGE_EXECUTE | NTMM_PAGE_EXECUTE_READ)

/* --- errors --- */

static const struct {
    ntmm_status status;
    uint32_t error;
} ERRORS[] = {
    {NTMM_STATUS_UNSUCCESSFUL, 31},
    {NTMM_STATUS_NOT_IMPLEMENTED, 1},
    {NTMM_STATUS_INVALID_INFO_CLASS, 87},
    {NTMM_STATUS_INFO_LENGTH_MISMATCH, 24},
    {NTMM_STATUS_PARTIAL_COPY, 299},
    {NTMM_STATUS_ACCESS_VIOLATION, 998},
    {NTMM_STATUS_IN_PAGE_ERROR, 999},
    {NTMM_STATUS_PAGEFILE_QUOTA, 1454},
    {NTMM_STATUS_INVALID_HANDLE, 6},
    {NTMM_STATUS_BAD_INITIAL_STACK, 1001},
    {NTMM_STATUS_INVALID_PARAMETER, 87},
    {NTMM_STATUS_END_OF_FILE, 38},
    {NTMM_STATUS_NO_MEMORY, 8},
    {NTMM_STATUS_CONFLICTING_ADDRESSES, 487},
    {NTMM_STATUS_NOT_MAPPED_VIEW, 487},
    {NTMM_STATUS_UNABLE_TO_FREE_VM, 87},
    {NTMM_STATUS_UNABLE_TO_DELETE_SECTION, 87},
    {NTMM_STATUS_INVALID_VIEW_SIZE, 5},
    {NTMM_STATUS_INVALID_FILE_FOR_SECTION, 193},
    {NTMM_STATUS_ALREADY_COMMITTED, 5},
    {NTMM_STATUS_ACCESS_DENIED, 5},
    {NTMM_STATUS_BUFFER_TOO_SMALL, 122},
    {NTMM_STATUS_OBJECT_TYPE_MISMATCH, 6},
    {NTMM_STATUS_NOT_LOCKED, 158},
    {NTMM_STATUS_UNABLE_TO_DECOMMIT_VM, 487},
    {NTMM_STATUS_NOT_COMMITTED, 487},
    {NTMM_STATUS_INVALID_PARAMETER_MIX, 87},
    {NTMM_STATUS_OBJECT_NAME_NOT_FOUND, 2},
    {NTMM_STATUS_OBJECT_NAME_COLLISION, 183},
    {NTMM_STATUS_SECTION_TOO_BIG, 8},
    {NTMM_STATUS_SHARING_VIOLATION, 32},
    {NTMM_STATUS_QUOTA_EXCEEDED, 1816},
    {NTMM_STATUS_INVALID_PAGE_PROTECTION, 87},
    {NTMM_STATUS_BAD_WORKING_SET_LIMIT, 87},
    {NTMM_STATUS_INCOMPATIBLE_FILE_MAP, 87},
    {NTMM_STATUS_SECTION_PROTECTION, 87},
    {NTMM_STATUS_FILE_LOCK_CONFLICT, 33},
    {NTMM_STATUS_PRIVILEGE_NOT_HELD, 1314},
    {NTMM_STATUS_INVALID_IMAGE_FORMAT, 193},
    {NTMM_STATUS_DISK_FULL, 112},
    {NTMM_STATUS_SECTION_NOT_EXTENDED, 14},
    {NTMM_STATUS_NOT_MAPPED_DATA, 487},
    {NTMM_STATUS_TOO_MANY_PAGING_FILES, 8},
    {NTMM_STATUS_FILE_INVALID, 1006},
    {NTMM_STATUS_INSUFFICIENT_RESOURCES, 1450},
    {NTMM_STATUS_DEVICE_DATA_ERROR, 23},
    {NTMM_STATUS_FREE_VM_NOT_AT_BASE, 487},
    {NTMM_STATUS_MEMORY_NOT_ALLOCATED, 487},
    {NTMM_STATUS_WORKING_SET_QUOTA, 1453},
    {NTMM_STATUS_NOT_SUPPORTED, 50},
    {NTMM_STATUS_NOT_SAME_DEVICE, 17},
    {NTMM_STATUS_INTERNAL_ERROR, 1359},
    {NTMM_STATUS_INVALID_USER_BUFFER, 1784},
    {NTMM_STATUS_STACK_OVERFLOW, 1001},
    {NTMM_STATUS_PROCESS_IS_TERMINATING, 5},
    {NTMM_STATUS_INVALID_IMAGE_NE_FORMAT, 193},
    {NTMM_STATUS_MAPPED_FILE_SIZE_ZERO, 1006},
    {NTMM_STATUS_CANNOT_DELETE, 5},
    {NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED, 567},
    {NTMM_STATUS_COMMITMENT_LIMIT, 1455},
    {NTMM_STATUS_INVALID_IMAGE_LE_FORMAT, 193},
    {NTMM_STATUS_INVALID_IMAGE_NOT_MZ, 193},
    {NTMM_STATUS_INVALID_IMAGE_PROTECT, 193},
    {NTMM_STATUS_INVALID_IMAGE_WIN_16, 193},
    {NTMM_STATUS_INVALID_ADDRESS, 59},
    {NTMM_STATUS_NO_PAGEFILE, 578},
    {NTMM_STATUS_REGISTRY_CORRUPT, 1009},
    {NTMM_STATUS_MAPPED_ALIGNMENT, 1132},
    {NTMM_STATUS_IMAGE_CHECKSUM_MISMATCH, 193},
    {NTMM_STATUS_USER_MAPPED_FILE, 1224},
    {NTMM_STATUS_COMMITMENT_MINIMUM, 635},
    {NTMM_STATUS_INVALID_IMAGE_WIN_32, 193},
    {NTMM_STATUS_INVALID_IMAGE_WIN_64, 193},
    {NTMM_STATUS_INVALID_IMAGE_HASH, 577},
    {NTMM_STATUS_DYNAMIC_CODE_BLOCKED, 1655},
};

uint32_t win32_error_of(ntmm_status status)
{
    if (NTMM_SUCCEEDED(status))
        return 0;
    if (status >= NTMM_STATUS_INVALID_PARAMETER_1 && status <= NTMM_STATUS_INVALID_PARAMETER_12)
        return WIN32_ERROR_INVALID_PARAMETER;
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; i++)
        if (ERRORS[i].status == status)
            return ERRORS[i].error;
    return WIN32_ERROR_MR_MID_NOT_FOUND;
}

/* --- VirtualFreeEx --- */

uint32_t win32_virtual_free(const struct win32_services *nt, uint64_t process, uint64_t address,
                            uint64_t size, uint32_t type)
{
    if (type == NTMM_MEM_RELEASE && size)
        return WIN32_ERROR_INVALID_PARAMETER;
    return win32_error_of(nt->free(nt->context, process, &address, &size, type));
}

/* --- WriteProcessMemory --- */

static uint32_t write_as_it_is(const struct win32_services *nt, uint64_t process, uint64_t address,
                               const void *data, uint64_t size, uint64_t *written)
{
    uint64_t copied = 0;
    ntmm_status status = nt->write(nt->context, process, address, data, size, &copied);
    if (written)
        *written = copied;
    return win32_error_of(status);
}

static ntmm_status protect(const struct win32_services *nt, uint64_t process, uint64_t base,
                           uint64_t size, uint32_t protection)
{
    uint32_t old;
    return nt->protect(nt->context, process, &base, &size, protection, &old);
}

/* A view that may not be written itself can still be copied. */
static ntmm_status make_writable(const struct win32_services *nt, uint64_t process, uint64_t base,
                                 uint64_t size)
{
    ntmm_status status = protect(nt, process, base, size, NTMM_PAGE_EXECUTE_READWRITE);
    if (status == NTMM_STATUS_SECTION_PROTECTION)
        status = protect(nt, process, base, size, NTMM_PAGE_EXECUTE_WRITECOPY);
    return status;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint32_t win32_write_process_memory(const struct win32_services *nt, uint64_t process,
                                    uint64_t address, const void *data, uint64_t size,
                                    uint64_t *written)
{
    struct ntmm_memory_basic_information run;
    if (!size)
        return write_as_it_is(nt, process, address, data, size, written);
    ntmm_status status = nt->query(nt->context, process, address, &run);
    if (!NTMM_SUCCEEDED(status))
        return win32_error_of(status);
    if (run.state != NTMM_MEM_COMMIT)
        return WIN32_ERROR_INVALID_ADDRESS;
    if ((run.protect & WRITABLE) || (run.protect & NTMM_PAGE_GUARD))
        return write_as_it_is(nt, process, address, data, size, written);
    if (!(run.protect & EXECUTABLE_ONLY))
        return WIN32_ERROR_NOACCESS;
    /* Pages behind the run keep what they have: they are no business of one protection. */
    uint64_t alike = least(size, run.base_address + run.region_size - address);
    status = make_writable(nt, process, address, alike);
    if (!NTMM_SUCCEEDED(status))
        return win32_error_of(status);
    uint32_t error = write_as_it_is(nt, process, address, data, size, written);
    status = protect(nt, process, address, alike, run.protect);
    return NTMM_SUCCEEDED(status) ? error : win32_error_of(status);
}

/* --- MapViewOfFileEx --- */

/* The right to query is the bit of a copy, and in every full access: it counts when alone. */
uint32_t win32_protection_of_map_access(uint32_t access)
{
    bool is_executable = access & WIN32_FILE_MAP_EXECUTE;
    if (access & WIN32_FILE_MAP_WRITE)
        return is_executable ? NTMM_PAGE_EXECUTE_READWRITE : NTMM_PAGE_READWRITE;
    if (access & WIN32_FILE_MAP_READ)
        return is_executable ? NTMM_PAGE_EXECUTE_READ : NTMM_PAGE_READONLY;
    if (access & WIN32_FILE_MAP_COPY)
        return is_executable ? NTMM_PAGE_EXECUTE_WRITECOPY : NTMM_PAGE_WRITECOPY;
    return NTMM_PAGE_NOACCESS;
}

uint32_t win32_map_view_of_file(const struct win32_services *nt, uint64_t section, uint64_t process,
                                uint32_t access, uint64_t offset, uint64_t size, uint64_t *base)
{
    return win32_error_of(nt->map_view(nt->context, section, process, base, &offset, &size,
                                       win32_protection_of_map_access(access)));
}
