/*
 * Sections of files and their views. See image_machine.h.
 */
#include "image_machine.h"

#include <stdlib.h>

static ntmm_status ask_section(struct image_machine *m, ntmm_handle section, bool is_image,
                               struct image_view *view)
{
    _Static_assert(sizeof view->information == 64, "SECTION_IMAGE_INFORMATION");
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (is_image)
        status = ntmm_query_section(m->system, section, NTMM_SECTION_IMAGE_INFORMATION,
                                    &view->information, sizeof view->information, NULL);
    if (NTMM_SUCCEEDED(status))
        status = ntmm_query_subsections(m->system, section, NULL, 0, &view->subsection_count);
    if (!NTMM_SUCCEEDED(status))
        return status;
    view->subsections = calloc(view->subsection_count, sizeof *view->subsections);
    if (view->subsections == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    return ntmm_query_subsections(m->system, section, view->subsections, view->subsection_count,
                                  &view->subsection_count);
}

ntmm_status image_section_make(struct image_machine *m, const struct image_file *file,
                               uint32_t attributes, ntmm_handle *section, struct image_view *view)
{
    bool is_image = attributes == NTMM_SEC_IMAGE;
    uint32_t protect = is_image ? NTMM_PAGE_EXECUTE_READ : NTMM_PAGE_READONLY;
    *view = (struct image_view){0};
    ntmm_status status = ntmm_create_section(m->system, section, NTMM_SECTION_ALL_ACCESS, NULL,
                                             NULL, protect, attributes, file->file);
    if (!NTMM_SUCCEEDED(status))
        return status;
    status = ask_section(m, *section, is_image, view);
    if (NTMM_SUCCEEDED(status))
        return status;
    image_view_free(view);
    ntmm_status closed = ntmm_close_section(m->system, *section);
    return NTMM_SUCCEEDED(closed) ? status : closed;
}

ntmm_status image_section_map(struct image_machine *m, ntmm_handle section, struct image_view *view)
{
    view->status =
        ntmm_map_view_of_section(m->system, section, m->process, &view->base, 0, 0, NULL,
                                 &view->size_bytes, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY);
    ntmm_status closed = ntmm_close_section(m->system, section);
    return NTMM_SUCCEEDED(view->status) ? closed : view->status;
}

void image_view_free(struct image_view *view)
{
    free(view->subsections);
    *view = (struct image_view){0};
}

const struct ntmm_subsection_information *image_subsection_at(const struct image_view *view,
                                                              uint64_t address)
{
    uint64_t page = (address - view->base) >> NTMM_PAGE_SHIFT;
    for (uint32_t i = 0; i < view->subsection_count; i++)
        if (page - view->subsections[i].first_page < view->subsections[i].page_count)
            return &view->subsections[i];
    return NULL;
}

enum image_base_state image_check_base(const struct image_view *view,
                                       const struct image_header *in_view)
{
    if (in_view == NULL)
        return IMAGE_BASE_NOT_IN_VIEW;
    bool is_told = view->status == NTMM_STATUS_IMAGE_NOT_AT_BASE;
    if (in_view->base == view->base)
        return is_told ? IMAGE_BASE_IS_WRONG : IMAGE_AT_HEADER_BASE;
    return is_told ? IMAGE_NOT_AT_BASE : IMAGE_BASE_IS_WRONG;
}
