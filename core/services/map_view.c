/*
 * NtMapViewOfSection and NtUnmapViewOfSection, in both forms.
 *
 * The order of the checks is nt_semantics 4.4: arguments, the process, the section's handle,
 * alignment, protection, sizes, commit, place. The process's locks are held while the section is
 * looked up, so that the view and its reference to the control area come together.
 */
#include "services/map_view.h"
#include "base/bits.h"
#include "section/image_functions.h"
#include "section/large_area.h"
#include "section/view.h"
#include "services/relief.h"
#include "services/section_make.h"
#include "services/space_search.h"
#include "space/call_targets.h"
#include "space/placeholder.h"
#include "space/protection.h"
#include "space/secure.h"

#include <ntmm/section.h>

#define KNOWN_TYPES                                                                                \
    (NTMM_MEM_RESERVE | NTMM_MEM_TOP_DOWN | NTMM_MEM_LARGE_PAGES |                                 \
     NTMM_MEM_DIFFERENT_IMAGE_BASE_OK | NTMM_SEC_NO_CHANGE)

/* What was found for a request, under the locks. */
struct mapping {
    struct section *section;
    struct control_area *area;
    enum area_user user;
    uint64_t first_page; /* of the section */
    uint64_t pages;
    struct vad_place place;
    struct vad *placeholder; /* or NULL */
    struct view_config view;
};

/* --- arguments --- */

ntmm_status map_check_arguments(struct map_request *m, const uint64_t *base,
                                const uint64_t *view_size, const uint64_t *offset)
{
    m->has_no_targets = protection_take_targets_flag(&m->protect);
    if (!protection_of_view(m->protect, &m->protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!base || !view_size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    m->base = *base;
    m->view_size = *view_size;
    m->offset = offset ? *offset : 0;
    if (m->base > NTMM_HIGHEST_VAD_ADDRESS || m->view_size > NTMM_HIGHEST_VAD_ADDRESS - m->base + 1)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (m->base != 0 && m->base >> NTMM_PAGE_SHIFT >= m->bounds.end)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return NTMM_STATUS_SUCCESS;
}

/* Step 6: what the section's handle must grant. */
static uint32_t section_rights(uint32_t protect)
{
    switch (protect & 0xFFu) {
    case NTMM_PAGE_READWRITE:
        return NTMM_SECTION_MAP_WRITE;
    case NTMM_PAGE_EXECUTE:
        return NTMM_SECTION_MAP_EXECUTE;
    case NTMM_PAGE_EXECUTE_READ:
    case NTMM_PAGE_EXECUTE_WRITECOPY:
        return NTMM_SECTION_MAP_EXECUTE | NTMM_SECTION_MAP_READ;
    case NTMM_PAGE_EXECUTE_READWRITE:
        return NTMM_SECTION_MAP_EXECUTE | NTMM_SECTION_MAP_WRITE;
    default:
        return NTMM_SECTION_MAP_READ;
    }
}

/* --- the section --- */

static bool is_replacing(const struct map_request *m)
{
    return (m->type & NTMM_MEM_REPLACE_PLACEHOLDER) != 0;
}

/* Step 3, as far as it needs the section, and 7. */
static ntmm_status check_kind(const struct map_request *m, const struct control_area *area)
{
    bool is_large = area_is(area, AREA_LARGE_PAGES);
    uint64_t granule = is_large          ? NTMM_LARGE_PAGE_SIZE
                       : is_replacing(m) ? NTMM_PAGE_SIZE
                                         : NTMM_ALLOCATION_GRANULARITY;
    if (m->type & NTMM_MEM_LARGE_PAGES && !is_large)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (m->type & NTMM_MEM_RESERVE && !area_is(area, AREA_OF_FILE))
        return NTMM_STATUS_INVALID_PARAMETER_9;
    if (is_large && !large_view_is_protection(m->protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!is_multiple(m->base, granule) || !is_multiple(m->offset, granule))
        return NTMM_STATUS_MAPPED_ALIGNMENT;
    return NTMM_STATUS_SUCCESS;
}

/* Step 8. */
static ntmm_status check_protection(const struct map_request *m, const struct section *section,
                                    const struct control_area *area)
{
    uint32_t protect = get32(&section->protection);
    bool can_write = protect == NTMM_PAGE_READWRITE || protect == NTMM_PAGE_EXECUTE_READWRITE;
    if (area_is(area, AREA_IMAGE))
        return NTMM_STATUS_SUCCESS;
    if (!view_is_allowed(protect, m->protect))
        return NTMM_STATUS_SECTION_PROTECTION;
    if (m->type & NTMM_MEM_RESERVE && !can_write)
        return NTMM_STATUS_SECTION_PROTECTION;
    return NTMM_STATUS_SUCCESS;
}

/* Steps 9 and 10. */
static ntmm_status check_sizes(const struct map_request *m, struct mapping *found)
{
    uint64_t size = get64(&found->section->size_bytes);
    uint64_t view = m->view_size;
    bool may_exceed = (m->type & NTMM_MEM_RESERVE) && !area_is(found->area, AREA_IMAGE);
    if (m->offset >= size)
        return NTMM_STATUS_INVALID_VIEW_SIZE;
    if (view == 0)
        view = size - m->offset;
    else if (view > size - m->offset && !may_exceed)
        return NTMM_STATUS_INVALID_VIEW_SIZE;
    if (area_is(found->area, AREA_LARGE_PAGES) && !is_multiple(view, NTMM_LARGE_PAGE_SIZE))
        return NTMM_STATUS_INVALID_VIEW_SIZE;
    if (m->commit_size > view)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    found->first_page = m->offset >> NTMM_PAGE_SHIFT;
    found->pages = pages_of_bytes(view);
    return NTMM_STATUS_SUCCESS;
}

static bool is_written_through(const struct map_request *m, const struct control_area *area)
{
    uint32_t access = m->protection & PROT_ACCESS_MASK;
    return !area_is(area, AREA_IMAGE) &&
           (access == PROT_READWRITE || access == PROT_EXECUTE_READWRITE);
}

static void choose_view(const struct map_request *m, struct mapping *found)
{
    const struct control_area *area = found->area;
    struct view_config *view = &found->view;
    bool has_modifier = (m->protection & PROT_MODIFIER_MASK) != 0;
    bool is_plain = !has_modifier && (m->protection & PROT_ACCESS_MASK) != 0;
    uint32_t attributes = get32(&found->section->attributes);
    bool is_data_only = false; /* SEC_IMAGE_NO_EXECUTE */
    *view = (struct view_config){.area = found->area,
                                 .first_prototype = found->first_page,
                                 .protection = m->protection,
                                 .win32 = m->protect};
    if (area_is(area, AREA_IMAGE)) {
        view->protection = PROT_EXECUTE_WRITECOPY;
        view->win32 = NTMM_PAGE_EXECUTE_WRITECOPY;
        is_data_only = (attributes & NTMM_SEC_NOCACHE) != 0;
    } else if (is_plain && attributes & NTMM_SEC_NOCACHE) {
        view->protection |= PROT_NOCACHE;
        view->win32 |= NTMM_PAGE_NOCACHE;
    } else if (is_plain && attributes & NTMM_SEC_WRITECOMBINE) {
        view->protection |= PROT_WRITECOMBINE;
        view->win32 |= NTMM_PAGE_WRITECOMBINE;
    }
    bool is_fixed = ((m->type | attributes) & NTMM_SEC_NO_CHANGE) != 0;
    view->flags = (m->inherit == NTMM_VIEW_UNMAP ? VAD_UNMAP_IN_CLONE : 0u) |
                  (is_fixed ? VAD_SECTION_NO_CHANGE : 0u) |
                  (is_data_only ? VAD_NOT_EXECUTABLE : 0u) |
                  (found->user == AREA_WRITING_VIEW ? VAD_WRITES_FILE : 0u);
}

/* The section, looked at in order, and a view's reference to its area. (A) and (W) are held. */
static ntmm_status find_section(struct call *c, const struct map_request *m, struct mapping *found)
{
    uint64_t ref;
    objects_lock(c);
    ntmm_status status =
        object_find(c, m->section, HANDLE_KIND_SECTION, section_rights(m->protect), &ref);
    if (status == NTMM_STATUS_SUCCESS) {
        found->section = section_at(c, ref);
        found->area = area_at(c, get64(&found->section->area));
        status = check_kind(m, found->area);
    }
    if (status == NTMM_STATUS_SUCCESS)
        status = check_protection(m, found->section, found->area);
    if (status == NTMM_STATUS_SUCCESS)
        status = check_sizes(m, found);
    if (status == NTMM_STATUS_SUCCESS) {
        found->user = is_written_through(m, found->area) ? AREA_WRITING_VIEW : AREA_VIEW;
        choose_view(m, found);
        area_refer(found->area, found->user);
    } else {
        found->area = NULL;
    }
    objects_unlock(c);
    return status;
}

/* --- the place --- */

static bool fits(struct call *c, struct process *process, uint64_t start, uint64_t pages,
                 const struct space_bounds *bounds, struct vad_place *place)
{
    uint64_t end = start + pages;
    place->start = start;
    place->end = end;
    if (start < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT ||
        end > get64(&process->highest_page) || end > bounds->end || start < bounds->lowest)
        return false;
    return space_is_free(c, process, place);
}

/* NULL: not of an image. */
static const struct image_record *image_of(const struct call *c, const struct control_area *area)
{
    return area_is(area, AREA_IMAGE) ? image_record_at(c, get64(&area->image)) : NULL;
}

/* Whether a policy keeps an image away from its base, as if something were there. One that can be
 * nowhere else then has no place, which is a policy of its own. */
static bool is_kept_away(const struct process *process, const struct image_record *image)
{
    uint32_t flags = get32(&process->flags);
    if (!(flags & NTMM_PROCESS_FORCE_RELOCATE_IMAGES) || image_is_dynamic(image->information))
        return false;
    return !get32(&image->is_stripped) || (flags & NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES);
}

/* At its base, or else where there is room. */
static ntmm_status find_place_of_image(struct call *c, struct process *process,
                                       const struct map_request *m, struct mapping *found,
                                       const struct image_record *image)
{
    uint64_t base = get64(&found->area->base_page);
    const struct page_range own = {.start = base + found->first_page,
                                   .end = base + found->first_page + found->pages};
    bool is_away = is_kept_away(process, image);
    if (base != 0 && !is_away &&
        fits(c, process, own.start, found->pages, &m->bounds, &found->place))
        return NTMM_STATUS_SUCCESS;
    if (get32(&image->is_stripped))
        return NTMM_STATUS_CONFLICTING_ADDRESSES; /* it can be nowhere else */
    return search_around(c, process, found->pages, &m->bounds, is_away ? &own : NULL,
                         &found->place);
}

static ntmm_status find_place(struct call *c, struct process *process, const struct map_request *m,
                              struct mapping *found)
{
    const struct image_record *image = image_of(c, found->area);
    uint64_t based = image ? 0 : get64(&found->section->based_page);
    uint64_t asked = m->base >> NTMM_PAGE_SHIFT;
    if (based != 0 && asked != 0 && asked != based)
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (based != 0)
        asked = based;
    if (asked != 0)
        return fits(c, process, asked, found->pages, &m->bounds, &found->place)
                   ? NTMM_STATUS_SUCCESS
                   : NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (image)
        return find_place_of_image(c, process, m, found, image);
    struct space_bounds bounds = m->bounds;
    if (area_is(found->area, AREA_LARGE_PAGES))
        bounds.align = max_u64(bounds.align, PAGES_PER_TABLE);
    return search_space(c, process, found->pages, &bounds, &found->place);
}

static ntmm_status find_placeholder(struct call *c, struct process *process,
                                    const struct map_request *m, struct mapping *found)
{
    uint64_t start = m->base >> NTMM_PAGE_SHIFT;
    found->place.start = start;
    found->place.end = start + found->pages;
    found->placeholder = placeholder_find(c, process, start, start + found->pages);
    return found->placeholder ? NTMM_STATUS_SUCCESS : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

/* --- mapping --- */

/* What a new view has from the beginning: leaves, or pages that are committed for it. */
static ntmm_status equip(struct call *c, struct process *process, const struct map_request *m,
                         const struct mapping *found, const struct vad *vad)
{
    uint64_t end = found->first_page + pages_of_bytes(m->commit_size);
    if (!area_is(found->area, AREA_LARGE_PAGES))
        return area_commit(c, found->area, found->first_page, end);
    return large_view_enter(c, process, vad) ? NTMM_STATUS_SUCCESS : want_status(c);
}

static ntmm_status make_view(struct call *c, struct process *process, const struct map_request *m,
                             struct mapping *found)
{
    bool is_plain = m->commit_size == 0 && !area_is(found->area, AREA_LARGE_PAGES);
    ntmm_status status = found->placeholder
                             ? view_replace(c, process, found->placeholder, &found->view)
                             : view_map(c, process, &found->place, &found->view);
    if (status != NTMM_STATUS_SUCCESS || is_plain)
        return status;
    struct vad *vad = vad_find(c, process, found->place.start);
    status = equip(c, process, m, found, vad);
    if (status != NTMM_STATUS_SUCCESS) {
        struct want want = c->want;
        view_remove(c, process, vad, found->placeholder != NULL);
        c->want = want;
    }
    return status;
}

/* Of an image that says which functions are targets its record, else NULL. */
static const struct image_record *functions_of(const struct call *c,
                                               const struct control_area *area)
{
    const struct image_record *record = image_of(c, area);
    return record && get32(&record->has_functions) ? record : NULL;
}

/* What of a new view is executable holds targets: the functions that its image names, or all. */
static void mark_targets(struct call *c, struct process *process, const struct mapping *found)
{
    const struct vad *vad = vad_find(c, process, found->place.start);
    const struct image_record *record = functions_of(c, found->area);
    uint8_t bits[TARGETS_PAGE_BYTES];
    for (uint64_t page = found->place.start; page < found->place.end; page++) {
        bool is_code = protection_can_execute(view_default_protection(c, vad, page));
        if (is_code && record) {
            image_function_bits(c, record, (uint32_t)view_prototype(vad, page), bits);
            targets_set_page(c, process, page, bits);
        } else {
            targets_set(c, process, page, page + 1, is_code);
        }
    }
}

static ntmm_status make_view_with_targets(struct call *c, struct process *process,
                                          const struct map_request *m, struct mapping *found)
{
    uint64_t start = found->place.start;
    uint64_t end = found->place.end;
    bool is_code = targets_are_kept(process) && !m->has_no_targets &&
                   protection_can_execute(found->view.protection);
    ntmm_status status = is_code ? targets_prepare(c, process, start, end) : NTMM_STATUS_SUCCESS;
    if (status == NTMM_STATUS_SUCCESS)
        status = make_view(c, process, m, found);
    if (is_code && status == NTMM_STATUS_SUCCESS)
        mark_targets(c, process, found);
    if (is_code)
        targets_prune(c, process, start, end);
    return status;
}

/* A success of an image says what is unusual about it. */
static ntmm_status image_status(const struct call *c, const struct process *process,
                                const struct map_request *m, const struct mapping *found)
{
    bool is_elsewhere = found->place.start - found->first_page != get64(&found->area->base_page);
    bool is_narrow = (get32(&process->flags) & NTMM_PROCESS_WOW64) != 0;
    uint32_t native = is_narrow ? IMAGE_MACHINE_I386 : IMAGE_MACHINE_AMD64;
    const struct image_record *image = image_of(c, found->area);
    if (!image)
        return NTMM_STATUS_SUCCESS;
    if (get32(&image->machine) != native)
        return NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH;
    if (is_elsewhere && !(m->type & NTMM_MEM_DIFFERENT_IMAGE_BASE_OK))
        return NTMM_STATUS_IMAGE_NOT_AT_BASE;
    return NTMM_STATUS_SUCCESS;
}

/* (A) and (W) are held. */
static ntmm_status map(struct call *c, struct process *process, const struct map_request *m,
                       struct mapping *found)
{
    ntmm_status status = find_section(c, m, found);
    if (status == NTMM_STATUS_SUCCESS && !area_is(found->area, AREA_IMAGE) &&
        process_forbids_code(process, m->protection))
        status = NTMM_STATUS_DYNAMIC_CODE_BLOCKED;
    if (status == NTMM_STATUS_SUCCESS)
        status = is_replacing(m) ? find_placeholder(c, process, m, found)
                                 : find_place(c, process, m, found);
    if (status == NTMM_STATUS_SUCCESS)
        status = make_view_with_targets(c, process, m, found);
    return status == NTMM_STATUS_SUCCESS ? image_status(c, process, m, found) : status;
}

ntmm_status map_run(struct call *c, const struct map_request *m, uint64_t *base, uint64_t *offset,
                    uint64_t *view_size)
{
    struct relief relief = relief_begin();
    struct mapping found;
    struct process *process;
    ntmm_status status;
    do {
        found = (struct mapping){.area = NULL};
        status = process_lock_address(c, m->process, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = map(c, process, m, &found);
        process_unlock_address(c, process);
        if (found.area && !NTMM_SUCCEEDED(status)) {
            struct want want = c->want;
            area_give_up(c, found.area, found.user);
            c->want = want;
        }
    } while (relieve(c, &relief, process, &status));
    if (!NTMM_SUCCEEDED(status))
        return status;
    *base = found.place.start << NTMM_PAGE_SHIFT;
    *view_size = found.pages << NTMM_PAGE_SHIFT;
    if (offset)
        *offset = found.first_page << NTMM_PAGE_SHIFT;
    event_note(c, NTMM_EVENT_MAP, m->process, *base, *view_size, m->protect);
    return status;
}

ntmm_status ntmm_map_view_of_section(struct ntmm_system *system, ntmm_handle section,
                                     ntmm_handle process, uint64_t *base, uint64_t zero_bits,
                                     uint64_t commit_size, uint64_t *offset, uint64_t *view_size,
                                     uint32_t inherit, uint32_t type, uint32_t protect)
{
    struct call c = call_begin_to_wait(system);
    struct map_request m = {.section = section,
                            .process = process,
                            .commit_size = commit_size,
                            .inherit = inherit,
                            .type = type,
                            .protect = protect,
                            .bounds = space_bounds_none()};
    if (inherit != NTMM_VIEW_SHARE && inherit != NTMM_VIEW_UNMAP)
        return NTMM_STATUS_INVALID_PARAMETER_8;
    if (zero_bits > 21 && zero_bits < 32)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (type & ~KNOWN_TYPES)
        return NTMM_STATUS_INVALID_PARAMETER_9;
    m.bounds.end = space_end_of_zero_bits(zero_bits);
    m.bounds.is_top_down = (type & NTMM_MEM_TOP_DOWN) != 0;
    ntmm_status status = map_check_arguments(&m, base, view_size, offset);
    return status == NTMM_STATUS_SUCCESS ? map_run(&c, &m, base, offset, view_size) : status;
}

/* --- unmapping --- */

static enum view_parting parting_of(uint32_t flags)
{
    return flags & NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST ? VIEW_PAGES_BOOSTED
                                                       : VIEW_PAGES_AS_THEY_ARE;
}

/* The view that an address is in, emptied and removed; its area is the caller's to give up. */
static ntmm_status unmap(struct call *c, struct process *process, uint64_t address, uint32_t flags,
                         struct mapping *found)
{
    struct vad *vad = vad_find(c, process, address >> NTMM_PAGE_SHIFT);
    bool is_kept = (flags & NTMM_MEM_PRESERVE_PLACEHOLDER) != 0;
    if (!vad || !vad_is_view(vad))
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    if (is_kept && !(get32(&vad->flags) & VAD_REPLACED))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (vad_is_secured(vad))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    ntmm_status status = view_empty(c, process, vad, parting_of(flags));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    found->area = view_area(c, vad);
    found->user = view_user(vad);
    found->place.start = vad_start(vad);
    found->place.end = vad_end(vad);
    view_remove(c, process, vad, is_kept);
    targets_clear(c, process, found->place.start, found->place.end);
    return status;
}

/* The tables of the view do not fit into memory together: what is there of it is emptied, and its
 * tables need not come again. */
static void unmap_in_parts(struct call *c, struct process *process, struct relief *relief,
                           uint64_t address, uint32_t flags)
{
    if (!relief_wants_parts(c, relief))
        return;
    struct vad *vad = vad_find(c, process, address >> NTMM_PAGE_SHIFT);
    uint64_t tables = get64(&process->table_pages);
    view_discard(c, process, vad, relief_end_of_part(c, relief, vad_end(vad)), parting_of(flags));
    if (get64(&process->table_pages) < tables)
        relief_part_is_done(relief);
}

ntmm_status ntmm_unmap_view_of_section(struct ntmm_system *system, ntmm_handle handle,
                                       uint64_t base, uint32_t flags)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct mapping found = {.area = NULL};
    struct process *process;
    ntmm_status status;
    if (flags & ~(NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST | NTMM_MEM_PRESERVE_PLACEHOLDER))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    do {
        status = process_lock_address(&c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = unmap(&c, process, base, flags, &found);
        unmap_in_parts(&c, process, &relief, base, flags);
        process_unlock_address(&c, process);
    } while (relieve(&c, &relief, process, &status));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    area_give_up(&c, found.area, found.user);
    event_note(&c, NTMM_EVENT_UNMAP, handle, found.place.start << NTMM_PAGE_SHIFT,
               (found.place.end - found.place.start) << NTMM_PAGE_SHIFT, 0);
    return status;
}

/* --- the end of a process --- */

bool views_run_down(struct call *c, struct process *process, uint64_t *reached)
{
    struct gap_range range;
    uint64_t page = 0;
    while (gap_tree_find_at_or_after(c->bias, &process->vads, page, &range)) {
        struct vad *vad = vad_at(c, range.ref);
        page = range.end;
        if (!vad_is_view(vad))
            continue;
        secure_remove_all(c, vad);
        if (!view_run_down(c, process, vad, reached))
            return false;
        struct control_area *area = view_area(c, vad);
        enum area_user user = view_user(vad);
        view_remove(c, process, vad, false);
        process_unlock_address(c, process);
        area_give_up(c, area, user);
        process_relock_ending(c, process);
    }
    return true;
}

/* --- comparing --- */

/* What a process shows at an address: a view, private memory, or nothing. */
static ntmm_status find_view(struct call *c, struct process *process, uint64_t address,
                             struct vad **vad)
{
    *vad = NULL;
    if (address <= NTMM_HIGHEST_USER_ADDRESS)
        *vad = vad_find(c, process, address >> NTMM_PAGE_SHIFT);
    if (!*vad)
        return NTMM_STATUS_INVALID_ADDRESS;
    return vad_is_view(*vad) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

static ntmm_status compare_views(struct call *c, const struct vad *first, const struct vad *second)
{
    const struct control_area *image = view_area(c, first);
    const struct control_area *other = view_area(c, second);
    if (first == second)
        return NTMM_STATUS_SUCCESS;
    bool is_same = area_is(image, AREA_IMAGE) && get64(&image->file) == get64(&other->file);
    return is_same ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NOT_SAME_DEVICE;
}

ntmm_status ntmm_are_mapped_files_the_same(struct ntmm_system *system, ntmm_handle handle,
                                           uint64_t image, uint64_t other)
{
    struct call c = call_begin(system);
    struct process *process;
    struct vad *first, *second;
    ntmm_status status = process_lock_working_set(&c, handle, 0, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = find_view(&c, process, image, &first);
    if (status == NTMM_STATUS_SUCCESS)
        status = find_view(&c, process, other, &second);
    if (status == NTMM_STATUS_SUCCESS)
        status = compare_views(&c, first, second);
    process_unlock_working_set(&c, process);
    return status;
}
