/*
 * NtFlushVirtualMemory.
 *
 * Only a view of a file's data has anything to flush. Private memory, and an address without a
 * region, is no view; a view of an image has no data; what page files back needs no flush.
 *
 * Source: nt_semantics 3.6; where it doubts, docs/fidelity.md.
 */
#include "base/bits.h"
#include "services/area_flush.h"
#include "services/capture.h"
#include "services/section_make.h"

#include <ntmm/memory.h>

/* What is to be flushed. */
struct flush_request {
    struct control_area *area; /* referred to, or NULL: nothing is to be done */
    struct flush_view view;
    struct page_range range; /* of the process */
    uint64_t start, end;     /* pages of the area */
};

bool flush_view_lock(struct call *c, const struct flush_view *view)
{
    struct process *process;
    if (process_lock_working_set(c, view->handle, 0, &process) != NTMM_STATUS_SUCCESS)
        return false;
    const struct vad *vad = vad_find(c, process, view->page);
    if (vad == view->vad && vad && vad_is_view(vad) && get64(&vad->detail) == view->area)
        return true;
    process_unlock_working_set(c, process);
    return false;
}

/* (W) is held. */
static ntmm_status find_pages(struct call *c, struct process *process, uint64_t base, uint64_t size,
                              struct flush_request *request)
{
    uint64_t page = base >> NTMM_PAGE_SHIFT;
    struct vad *vad = vad_find(c, process, page);
    if (!vad || !vad_is_view(vad))
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    if (vad_type(vad) == VAD_IMAGE_MAP)
        return NTMM_STATUS_NOT_MAPPED_DATA;
    request->range = (struct page_range){.start = page, .end = vad_end(vad)};
    if (size != 0)
        request->range = capture_range(base, size);
    if (request->range.end > vad_end(vad))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    struct control_area *area = view_area(c, vad);
    if (!area_is(area, AREA_OF_FILE))
        return NTMM_STATUS_SUCCESS;
    request->area = area;
    request->view.process = process;
    request->view.vad = vad;
    request->view.page = page;
    request->view.area = get64(&vad->detail);
    request->start = view_prototype(vad, request->range.start);
    request->end = view_prototype(vad, request->range.end);
    objects_lock(c);
    area_refer(area, AREA_CALL);
    objects_unlock(c);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_flush_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                      uint64_t *base, uint64_t *size,
                                      struct ntmm_io_status *io_status)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    if (!base || !size || !io_status)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (*base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (reaches_past(*base, *size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    struct flush_request request = {.view = {.handle = handle}};
    ntmm_status status = process_lock_working_set(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = find_pages(&c, process, *base, *size, &request);
    process_unlock_working_set(&c, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (request.area) {
        status = area_flush_view(&c, request.area, &request.view, request.start, request.end);
        area_give_up(&c, request.area, AREA_CALL);
    }
    io_status->status = status;
    io_status->information = 0;
    if (NTMM_SUCCEEDED(status))
        give_range(request.range, base, size);
    return status;
}
