/*
 * Many processes that map the same files: one frame a clean page, told by its number.
 */
#include "image_map.h"

#include <ntmm/inspect.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX 64u

/* The frame of a page of a process, brought in; NO_FRAME: it cannot be read. */
#define NO_FRAME UINT64_MAX
#define READ_FAULT NTMM_FAULT_USER

static uint64_t frame_of(struct machine *m, ntmm_handle process, uint64_t va)
{
    struct ntmm_explanation found;
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {
        .process = process, .address = va, .error_code = READ_FAULT};
    ntmm_status status = ntmm_page_fault(m->system, &request, &result);
    if (status == NTMM_STATUS_ACCESS_VIOLATION)
        return NO_FRAME;
    must(status == NTMM_STATUS_SUCCESS, "a page cannot be read");
    must(ntmm_explain(m->system, process, va, &found) == 0 && found.has_frame, "no frame");
    must(found.frame.location == NTMM_FRAME_ACTIVE && found.frame.use == NTMM_USE_SECTION,
         "a page is not its section's");
    return found.frame.frame;
}

static void map_again(struct machine *m, const struct view *view, ntmm_handle process)
{
    uint64_t base = 0, size_bytes = 0;
    must(NTMM_SUCCEEDED(ntmm_map_view_of_section(m->system, view->section, process, &base, 0, 0,
                                                 NULL, &size_bytes, NTMM_VIEW_SHARE, 0,
                                                 NTMM_PAGE_READONLY)),
         "a view");
    must(base == view->base, "a view is elsewhere");
}

/* Readable pages, each of them in one frame for all. */
static uint64_t compare_frames(struct machine *m, const struct view *view,
                               const ntmm_handle *others, uint32_t count)
{
    uint64_t pages = 0;
    for (uint64_t va = view->base; va < view->base + view->size_bytes; va += NTMM_PAGE_SIZE) {
        struct ntmm_frame_information row;
        uint64_t frame = frame_of(m, m->process, va);
        for (uint32_t i = 0; i < count; i++)
            must(frame_of(m, others[i], va) == frame, "two frames for one page");
        if (frame == NO_FRAME)
            continue;
        must(ntmm_query_frame(m->system, frame, &row) == 0, "no row");
        must(row.share_count == count + 1, "a process is not counted");
        pages++;
    }
    return pages;
}

void share_files(char **paths, uint32_t count, uint32_t process_count, uint64_t ram_bytes)
{
    struct view views[FILES_MAX];
    ntmm_handle others[SHARERS_MAX];
    struct machine m;
    uint64_t pages = 0;
    must(count <= FILES_MAX && process_count <= SHARERS_MAX, "too many");
    machine_open(&m, ram_bytes);
    for (uint32_t i = 0; i + 1 < process_count; i++)
        must(ntmm_create_process(m.system, NULL, &others[i]) == 0, "a process");
    for (uint32_t n = 0; n < count; n++) {
        const struct ntmm_emulated_file_config config = {.size = sizeof config,
                                                         .version = NTMM_EMULATED_FILE_VERSION,
                                                         .path = paths[n],
                                                         .flags = NTMM_EMULATED_FILE_READ_ONLY};
        (void)machine_map(&m, &config, &views[n]);
        must(NTMM_SUCCEEDED(views[n].map_status), paths[n]);
        for (uint32_t i = 0; i + 1 < process_count; i++)
            map_again(&m, &views[n], others[i]);
    }
    for (uint32_t n = 0; n < count; n++)
        pages += compare_frames(&m, &views[n], others, process_count - 1);
    machine_check(&m);
    printf("{\"files\": %" PRIu32 ", \"processes\": %" PRIu32 ", \"pages\": %" PRIu64 "}\n", count,
           process_count, pages);
    for (uint32_t i = 0; i + 1 < process_count; i++)
        must(ntmm_end_process(m.system, others[i]) == 0, "a process does not end");
    for (uint32_t n = 0; n < count; n++)
        machine_unmap(&m, &views[n]);
    machine_close(&m);
}
