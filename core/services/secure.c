/*
 * MmSecureVirtualMemory and MmUnsecureVirtualMemory.
 *
 * Order: the arguments, the process, the region, then each page. Source: nt_semantics 11.3; the
 * order and the statuses are ours.
 */
#include "space/secure.h"
#include "services/capture.h"
#include "services/query.h"
#include "services/relief.h"

#include <ntmm/secure.h>

/* Whether every page grants an access now. WANT_TABLE: a table is out. */
static bool is_accessible(struct call *c, struct process *process, struct page_range range,
                          enum secure_access access)
{
    for (uint64_t page = range.start; page < range.end;) {
        struct ntmm_memory_basic_information found;
        uint32_t code;
        query_describe_until(c, process, page, range.end, &found);
        if (c->want.kind != WANT_NOTHING)
            return false;
        if (found.state != NTMM_MEM_COMMIT || !protection_of_view(found.protect, &code) ||
            !secure_is_granted(access, code))
            return false;
        page += found.region_size >> NTMM_PAGE_SHIFT;
    }
    return true;
}

/* Windows map what others give and take, by calls of their own. */
static bool can_be_secured(const struct vad *vad)
{
    return vad_type(vad) != VAD_AWE && vad_type(vad) != VAD_DEVICE_PHYSICAL;
}

static ntmm_status secure_range(struct call *c, struct process *process, struct page_range range,
                                enum secure_access access, uint64_t *name)
{
    struct vad *vad = vad_find(c, process, range.start);
    if (!vad || range.end > vad_end(vad) || !can_be_secured(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (!is_accessible(c, process, range, access))
        return c->want.kind != WANT_NOTHING ? want_status(c) : NTMM_STATUS_ACCESS_VIOLATION;
    *name = secure_add(c, process, vad, range.start, range.end, access);
    return *name ? NTMM_STATUS_SUCCESS : want_status(c);
}

ntmm_status ntmm_secure_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                       uint64_t base, uint64_t size, uint32_t mode,
                                       uint64_t *secured)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct process *process;
    uint64_t name = 0;
    ntmm_status status;
    if (mode != NTMM_PAGE_READONLY && mode != NTMM_PAGE_READWRITE)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (!secured)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (size == 0 || reaches_past(base, size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    enum secure_access access = mode == NTMM_PAGE_READONLY ? SECURE_READ : SECURE_WRITE;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = secure_range(&c, process, capture_range(base, size), access, &name);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status == NTMM_STATUS_SUCCESS)
        *secured = name;
    return status;
}

ntmm_status ntmm_unsecure_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                         uint64_t secured)
{
    struct call c = call_begin(system);
    struct process *process;
    ntmm_status status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct vad *vad = vad_find(&c, process, secure_page(secured));
    if (!vad || !secure_remove(&c, vad, secured))
        status = NTMM_STATUS_INVALID_PARAMETER_2;
    process_unlock_address(&c, process);
    return status;
}
