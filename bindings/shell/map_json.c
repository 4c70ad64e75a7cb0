/*
 * The report of `ntmm map`, as JSON.
 *
 *   { version, file, file_bytes, data: VIEW, image: VIEW or null, image_status,
 *     process: {working_set_pages, commit_pages, table_pages} }
 *
 *   VIEW: { base, size_bytes, status, subsections: [ {base, pages, protection, file_offset,
 *     file_bytes, backed_pages, zero_pages, writes, part} ],
 *     regions: [ {base, bytes, protection} ], pages: [ {address, protection, where, is_shared,
 *     share_count, file_offset, file_bytes, frame, entry_address, original} ] }
 *
 * An image has also machine, is_dll, subsystem, preferred_base, header_base, base_check, entry,
 * flags. Pages are there with --pages alone.
 */
#include "map.h"
#include "shell_json.h"

static void put_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, shell_json_string(text));
}

static json_t *subsections_of(const struct map *map, const struct image_view *view)
{
    bool is_image = view == &map->image;
    struct image_words words;
    json_t *array = json_array();
    for (uint32_t i = 0; i < view->subsection_count; i++) {
        const struct ntmm_subsection_information *s = &view->subsections[i];
        bool is_gap = s->protect == NTMM_PAGE_NOACCESS;
        uint64_t offset = s->first_page << NTMM_PAGE_SHIFT;
        json_t *row = json_object();
        shell_json_put(row, "base", view->base + offset);
        shell_json_put(row, "pages", s->page_count);
        put_text(row, "protection",
                 image_protect_name(is_image ? s->protect : NTMM_PAGE_READONLY, &words));
        shell_json_put(row, "file_offset", s->file_offset);
        shell_json_put(row, "file_bytes", s->file_bytes);
        shell_json_put(row, "backed_pages", s->backed_pages);
        shell_json_put(row, "zero_pages", is_gap ? 0 : s->page_count - s->backed_pages);
        put_text(row, "writes", map_sharing(s, is_image));
        if (is_image && map->has_headers)
            put_text(row, "part", image_part_name(&map->in_file, offset));
        json_array_append_new(array, row);
    }
    return array;
}

static json_t *regions_of(const struct map *map, const struct image_view *view)
{
    struct ntmm_memory_basic_information region;
    struct image_words words;
    uint64_t address = view->base;
    json_t *array = json_array();
    while (map_next_region(map, view, &address, &region)) {
        json_t *row = json_object();
        shell_json_put(row, "base", region.base_address);
        shell_json_put(row, "bytes", region.region_size);
        put_text(row, "protection", image_protect_name(region.protect, &words));
        json_array_append_new(array, row);
    }
    return array;
}

static json_t *page_of(const struct map_page *page)
{
    const struct ntmm_frame_information *frame = &page->explanation.frame;
    struct image_words words;
    char original[160];
    json_t *row = json_object();
    shell_json_put(row, "address", page->address);
    put_text(row, "protection", image_protect_name(page->protect, &words));
    put_text(row, "where", map_page_place(page));
    json_object_set_new(row, "is_shared", json_boolean(map_page_is_shared(page)));
    shell_json_put(row, "share_count", map_page_share_count(page));
    shell_json_put(row, "file_offset", page->file_offset);
    shell_json_put(row, "file_bytes", page->file_bytes);
    if (!page->explanation.has_frame)
        return row;
    ntmm_format_entry(frame->original_pte, 1, original, sizeof original);
    shell_json_put(row, "frame", frame->frame);
    shell_json_put(row, "entry_address", frame->entry_address);
    put_text(row, "original", original);
    return row;
}

static json_t *pages_of(const struct map *map, const struct image_view *view)
{
    json_t *array = json_array();
    for (uint64_t at = 0; at < view->size_bytes; at += NTMM_PAGE_SIZE) {
        struct map_page page;
        if (map_ask_page(map, view, view->base + at, &page))
            json_array_append_new(array, page_of(&page));
    }
    return array;
}

static json_t *view_of(const struct map *map, const struct image_view *view)
{
    struct shell_status_name name;
    json_t *object = json_object();
    shell_json_put(object, "base", view->base);
    shell_json_put(object, "size_bytes", view->size_bytes);
    put_text(object, "status", shell_status_name(view->status, &name));
    json_object_set_new(object, "subsections", subsections_of(map, view));
    json_object_set_new(object, "regions", regions_of(map, view));
    if (map->options->wants_pages)
        json_object_set_new(object, "pages", pages_of(map, view));
    return object;
}

static json_t *image_of(const struct map *map)
{
    const struct image_information *info = &map->image.information;
    struct image_words words;
    json_t *object = view_of(map, &map->image);
    put_text(object, "machine", image_machine_name(info->machine));
    json_object_set_new(object, "is_dll", json_boolean(info->characteristics & IMAGE_IS_DLL));
    put_text(object, "subsystem", image_subsystem_name(info->subsystem));
    put_text(object, "flags", image_flag_names(info->dll_characteristics, &words));
    put_text(object, "base_check", image_base_words(map->base_state));
    if (map->has_view_headers)
        shell_json_put(object, "header_base", map->in_view.base);
    if (map->has_headers) {
        shell_json_put(object, "preferred_base", map->in_file.base);
        shell_json_put(object, "entry",
                       map->in_file.entry_rva ? map->image.base + map->in_file.entry_rva : 0);
    }
    return object;
}

bool map_write_json(const struct map *map, struct shell_error *error)
{
    struct shell_status_name name;
    if (map->options->common.json_path == NULL)
        return true;
    json_t *report = json_object();
    json_t *process = json_object();
    put_text(report, "version", NTMM_VERSION);
    put_text(report, "file", map->options->common.path);
    shell_json_put(report, "file_bytes", map->file.size_bytes);
    json_object_set_new(report, "data", view_of(map, &map->data));
    json_object_set_new(report, "image", map->is_image ? image_of(map) : json_null());
    put_text(report, "image_status", shell_status_name(map->image_status, &name));
    shell_json_put(process, "working_set_pages", map->process.working_set_pages);
    shell_json_put(process, "commit_pages", map->process.commit_pages);
    shell_json_put(process, "table_pages", map->process.table_pages);
    json_object_set_new(report, "process", process);
    return shell_write_json(report, map->options->common.json_path, error);
}
