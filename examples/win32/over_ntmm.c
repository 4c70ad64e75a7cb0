/*
 * ntmm's public calls as the services of win32.h.
 */
#include "win32.h"

static ntmm_status free_memory(void *system, uint64_t process, uint64_t *base, uint64_t *size,
                               uint32_t type)
{
    return ntmm_free_virtual_memory(system, process, base, size, type);
}

static ntmm_status protect(void *system, uint64_t process, uint64_t *base, uint64_t *size,
                           uint32_t protection, uint32_t *old)
{
    return ntmm_protect_virtual_memory(system, process, base, size, protection, old);
}

static ntmm_status query(void *system, uint64_t process, uint64_t address,
                         struct ntmm_memory_basic_information *information)
{
    return ntmm_query_virtual_memory(system, process, address, information);
}

static ntmm_status write(void *system, uint64_t process, uint64_t address, const void *data,
                         uint64_t size, uint64_t *copied)
{
    return ntmm_write_virtual_memory(system, process, address, data, size, copied);
}

static ntmm_status map_view(void *system, uint64_t section, uint64_t process, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t protection)
{
    return ntmm_map_view_of_section(system, section, process, base, 0, 0, offset, size,
                                    NTMM_VIEW_SHARE, 0, protection);
}

struct win32_services win32_over_ntmm(struct ntmm_system *system)
{
    return (struct win32_services){.context = system,
                                   .free = free_memory,
                                   .protect = protect,
                                   .query = query,
                                   .write = write,
                                   .map_view = map_view};
}
