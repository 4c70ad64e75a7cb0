/*
 * A file mapped as data and as an image. See map.h.
 */
#include "map.h"

/* --- touching --- */

static bool can_read(uint32_t protect)
{
    uint32_t access = protect & 0xFF;
    return (protect & NTMM_PAGE_GUARD) == 0 && access != 0 && access != NTMM_PAGE_NOACCESS;
}

static bool can_write(uint32_t protect)
{
    uint32_t writes = NTMM_PAGE_READWRITE | NTMM_PAGE_WRITECOPY | NTMM_PAGE_EXECUTE_READWRITE |
                      NTMM_PAGE_EXECUTE_WRITECOPY;
    return (protect & writes) != 0;
}

/* A byte of each page is read, and written back where the touch and the page allow it. */
static ntmm_status touch_region(struct map *map, const struct ntmm_memory_basic_information *region)
{
    struct image_machine *m = &map->machine;
    bool writes = map->options->touch == MAP_TOUCH_WRITE && can_write(region->protect);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint64_t at = 0; at < region->region_size && NTMM_SUCCEEDED(status);
         at += NTMM_PAGE_SIZE) {
        uint64_t address = region->base_address + at;
        uint8_t byte;
        status = ntmm_read_virtual_memory(m->system, m->process, address, &byte, 1, NULL);
        if (NTMM_SUCCEEDED(status) && writes)
            status = ntmm_write_virtual_memory(m->system, m->process, address, &byte, 1, NULL);
    }
    return status;
}

static bool touch_view(struct map *map, const struct image_view *view, struct shell_error *error)
{
    struct ntmm_memory_basic_information region;
    struct shell_status_name name;
    uint64_t address = view->base;
    while (map->options->touch != MAP_TOUCH_NOTHING &&
           map_next_region(map, view, &address, &region)) {
        ntmm_status status =
            can_read(region.protect) ? touch_region(map, &region) : NTMM_STATUS_SUCCESS;
        if (!NTMM_SUCCEEDED(status))
            return shell_set_error(
                error, "%s: a page of %#llx cannot be touched: %s", map->options->common.path,
                (unsigned long long)region.base_address, shell_status_name(status, &name));
    }
    return true;
}

/* --- mapping --- */

static bool refuse(const struct map *map, const char *what, ntmm_status status,
                   struct shell_error *error)
{
    struct shell_status_name name;
    return shell_set_error(error, "%s: cannot be mapped as %s: %s", map->options->common.path, what,
                           shell_status_name(status, &name));
}

static bool map_image(struct map *map, ntmm_handle section, struct shell_error *error)
{
    struct image_machine *m = &map->machine;
    ntmm_status status = image_section_map(m, section, &map->image);
    if (!NTMM_SUCCEEDED(status))
        return refuse(map, "an image", status, error);
    map->has_headers = image_header_of_file(m, &map->file, &map->in_file);
    map->has_view_headers = image_header_of_view(m, map->image.base, &map->in_view);
    map->base_state = image_check_base(&map->image, map->has_view_headers ? &map->in_view : NULL);
    return touch_view(map, &map->image, error);
}

static bool map_both(struct map *map, struct shell_error *error)
{
    struct image_machine *m = &map->machine;
    ntmm_handle data;
    ntmm_handle image = 0;
    ntmm_status status = image_section_make(m, &map->file, NTMM_SEC_COMMIT, &data, &map->data);
    if (!NTMM_SUCCEEDED(status))
        return refuse(map, "data", status, error);
    map->image_status = image_section_make(m, &map->file, NTMM_SEC_IMAGE, &image, &map->image);
    map->is_image = NTMM_SUCCEEDED(map->image_status);
    if (!map->is_image && map->image_status != NTMM_STATUS_INVALID_IMAGE_NOT_MZ) {
        (void)!ntmm_close_section(m->system, data);
        return refuse(map, "an image", map->image_status, error);
    }
    if (!image_machine_make_process(m, &map->image.information, error))
        return false;
    status = image_section_map(m, data, &map->data);
    if (!NTMM_SUCCEEDED(status))
        return refuse(map, "data", status, error);
    return touch_view(map, &map->data, error) && (!map->is_image || map_image(map, image, error));
}

bool map_begin(struct map *map, const struct map_options *options, struct shell_error *error)
{
    *map = (struct map){.options = options};
    if (!image_machine_make(&map->machine, options->common.ram_bytes, options->common.seed,
                            error) ||
        !image_file_open(&map->machine, options->common.path, &map->file, error) ||
        !map_both(map, error))
        return false;
    ntmm_status status =
        ntmm_query_process(map->machine.system, map->machine.process, &map->process);
    return NTMM_SUCCEEDED(status) || refuse(map, "data", status, error);
}

int map_end(struct map *map)
{
    bool is_wrong = map->is_image && map->base_state == IMAGE_BASE_IS_WRONG;
    image_view_free(&map->data);
    image_view_free(&map->image);
    if (map->machine.system != NULL)
        image_file_close(&map->machine, &map->file);
    int status = image_machine_end(&map->machine);
    return is_wrong ? SHELL_WRONG : status;
}

/* --- looking --- */

bool map_next_region(const struct map *map, const struct image_view *view, uint64_t *address,
                     struct ntmm_memory_basic_information *region)
{
    uint64_t end = view->base + view->size_bytes;
    if (*address >= end || !NTMM_SUCCEEDED(ntmm_query_virtual_memory(
                               map->machine.system, map->machine.process, *address, region)))
        return false;
    *address = region->base_address + region->region_size;
    return true;
}

static void take_source(const struct image_view *view, struct map_page *page)
{
    const struct ntmm_subsection_information *s = page->subsection;
    if (s == NULL)
        return;
    uint64_t at = ((page->address - view->base) & ~(uint64_t)(NTMM_PAGE_SIZE - 1)) -
                  (s->first_page << NTMM_PAGE_SHIFT);
    if (at >= s->file_bytes)
        return;
    uint64_t left = s->file_bytes - at;
    page->file_offset = s->file_offset + at;
    page->file_bytes = left < NTMM_PAGE_SIZE ? (uint32_t)left : NTMM_PAGE_SIZE;
}

bool map_ask_page(const struct map *map, const struct image_view *view, uint64_t address,
                  struct map_page *page)
{
    const struct image_machine *m = &map->machine;
    struct ntmm_memory_page_information state = {.virtual_address = address};
    *page = (struct map_page){.address = address, .subsection = image_subsection_at(view, address)};
    take_source(view, page);
    ntmm_status status = ntmm_query_virtual_memory_class(m->system, m->process, address,
                                                         NTMM_MEMORY_WORKING_SET_EX_INFORMATION,
                                                         &state, sizeof state, NULL);
    if (NTMM_SUCCEEDED(status))
        status = ntmm_explain(m->system, m->process, address, &page->explanation);
    page->attributes = state.attributes;
    page->protect = page->explanation.memory.protect;
    return NTMM_SUCCEEDED(status);
}

const char *map_page_place(const struct map_page *page)
{
    static const char *const places[] = {"nowhere", "memory", "page file", "unknown"};
    if (page->attributes & NTMM_PAGE_STATE_VALID)
        return "working set";
    return places[page->attributes >> NTMM_PAGE_STATE_LOCATION_SHIFT & 3];
}

bool map_page_is_shared(const struct map_page *page)
{
    return (page->attributes & NTMM_PAGE_STATE_SHARED) != 0;
}

uint32_t map_page_share_count(const struct map_page *page)
{
    bool is_valid = (page->attributes & NTMM_PAGE_STATE_VALID) != 0;
    return is_valid ? page->attributes >> NTMM_PAGE_STATE_SHARE_COUNT_SHIFT & 7 : 0;
}

const char *map_sharing(const struct ntmm_subsection_information *subsection, bool is_image)
{
    if (subsection->protect == NTMM_PAGE_NOACCESS)
        return "no access";
    if (is_image && !subsection->is_shared && can_write(subsection->protect))
        return "copy on write";
    return is_image && subsection->is_shared ? "shared, written in place" : "shared";
}
