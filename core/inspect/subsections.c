/*
 * What a section is made of: its subsections, as plain records.
 */
#include "base/bits.h"
#include "section/area.h"
#include "services/section_make.h"
#include "space/protection.h"

#include <ntmm/constants.h>
#include <ntmm/inspect.h>

/* Bytes that the file has for a subsection. (O) is held. */
static uint64_t file_bytes_of(const struct call *c, const struct control_area *area,
                              const struct subsection *s)
{
    if (area_is(area, AREA_IMAGE))
        return get64(&s->file_bytes);
    if (!area_is(area, AREA_OF_FILE))
        return 0;
    uint64_t size = get64(&file_at(c, get64(&area->file))->size_bytes);
    uint64_t bytes = size - min_u64(size, get64(&s->file_offset));
    return min_u64(bytes, get64(&s->page_count) << NTMM_PAGE_SHIFT);
}

/* (O) and (X) are held. */
static struct ntmm_subsection_information describe(const struct call *c,
                                                   const struct control_area *area,
                                                   const struct subsection *s)
{
    bool is_image = area_is(area, AREA_IMAGE);
    uint64_t bytes = file_bytes_of(c, area, s);
    return (struct ntmm_subsection_information){
        .first_page = get64(&s->first_page),
        .page_count = get64(&s->page_count),
        .file_offset = bytes != 0 ? get64(&s->file_offset) : 0,
        .file_bytes = bytes,
        .backed_pages = is_image ? get32(&s->backed_pages) : pages_of_bytes(bytes),
        .protect = protection_to_win32(is_image ? get32(&s->protection) : get32(&area->protection)),
        .is_shared = !is_image || get32(&s->is_shared) != 0,
    };
}

ntmm_status ntmm_query_subsections(struct ntmm_system *system, ntmm_handle section,
                                   struct ntmm_subsection_information *records, uint32_t capacity,
                                   uint32_t *count)
{
    struct call c = call_begin(system);
    uint64_t ref;
    if (!count || (capacity != 0 && !records))
        return NTMM_STATUS_ACCESS_VIOLATION;
    objects_lock(&c);
    ntmm_status status = object_find(&c, section, HANDLE_KIND_SECTION, NTMM_SECTION_QUERY, &ref);
    if (status == NTMM_STATUS_SUCCESS) {
        struct control_area *area = area_at(&c, get64(&section_at(&c, ref)->area));
        uint32_t found = 0;
        area_lock(&c, area);
        for (uint64_t s = get64(&area->subsections); s; found++) {
            const struct subsection *subsection = subsection_at(&c, s);
            if (found < capacity)
                records[found] = describe(&c, area, subsection);
            s = get64(&subsection->next);
        }
        area_unlock(&c, area);
        *count = found;
    }
    objects_unlock(&c);
    return status;
}
