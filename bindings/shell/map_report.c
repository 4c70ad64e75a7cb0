/*
 * What `ntmm map` prints.
 */
#include "map.h"

#include <inttypes.h>

#define RANGE "%012" PRIx64 "-%012" PRIx64

static void print_number(FILE *out, const char *name, uint64_t number, const char *unit)
{
    struct shell_digits digits;
    fprintf(out, "  %-15s %s %s\n", name, shell_group_digits(number, &digits), unit);
}

static void print_entry(const struct map *map, FILE *out)
{
    uint64_t rva = map->in_file.entry_rva;
    if (!map->has_headers || rva == 0)
        fprintf(out, "  entry           none\n");
    else
        fprintf(out, "  entry           0x%" PRIx64 " (base + 0x%" PRIx64 ")\n",
                map->image.base + rva, rva);
}

static void print_bases(const struct map *map, FILE *out)
{
    const struct image_view *view = &map->image;
    struct shell_status_name name;
    if (map->has_headers) {
        bool is_moved = map->in_file.base != view->base;
        fprintf(out, "  preferred base  0x%" PRIx64 "\n", map->in_file.base);
        fprintf(out, "  chosen base     0x%" PRIx64 ", %s, %s\n", view->base,
                is_moved ? "relocated" : "the preferred one",
                shell_status_name(view->status, &name));
    } else {
        fprintf(out, "  chosen base     0x%" PRIx64 "\n", view->base);
    }
    fprintf(out, "                  %s\n", image_base_words(map->base_state));
}

static void print_image_head(const struct map *map, FILE *out)
{
    const struct image_information *info = &map->image.information;
    bool has_relocations = (info->characteristics & IMAGE_RELOCS_STRIPPED) == 0;
    struct image_words words;
    fprintf(out, "  machine         %s, %s, %s, relocations %s\n",
            image_machine_name(info->machine),
            info->characteristics & IMAGE_IS_DLL ? "DLL" : "program",
            image_subsystem_name(info->subsystem), has_relocations ? "not stripped" : "stripped");
    print_bases(map, out);
    print_entry(map, out);
    print_number(out, "size", map->image.size_bytes >> NTMM_PAGE_SHIFT, "pages");
    fprintf(out, "  flags           %s\n", image_flag_names(info->dll_characteristics, &words));
}

static const char *part_of(const struct map *map, const struct image_view *view, uint64_t address)
{
    if (view != &map->image)
        return "";
    return map->has_headers ? image_part_name(&map->in_file, address - view->base) : "";
}

static uint32_t protect_of(const struct map *map, const struct image_view *view,
                           const struct ntmm_subsection_information *s)
{
    return view == &map->image ? s->protect : (uint32_t)NTMM_PAGE_READONLY;
}

static void print_subsections(const struct map *map, const struct image_view *view, FILE *out)
{
    struct image_words words;
    bool is_image = view == &map->image;
    fprintf(out, "\n  %-25s %-17s %7s %7s %7s %10s %11s  %-8s %s\n", "subsections", "protection",
            "pages", "file", "zero", "offset", "bytes", "part", "writes");
    for (uint32_t i = 0; i < view->subsection_count; i++) {
        const struct ntmm_subsection_information *s = &view->subsections[i];
        uint64_t start = view->base + (s->first_page << NTMM_PAGE_SHIFT);
        bool is_gap = s->protect == NTMM_PAGE_NOACCESS;
        fprintf(out, "  " RANGE " %-17s %7" PRIu64 " %7" PRIu64 " %7" PRIu64, start,
                start + (s->page_count << NTMM_PAGE_SHIFT),
                image_protect_name(protect_of(map, view, s), &words), s->page_count,
                s->backed_pages, is_gap ? 0 : s->page_count - s->backed_pages);
        if (s->file_bytes != 0)
            fprintf(out, " %#10" PRIx64 " %11" PRIu64, s->file_offset, s->file_bytes);
        else
            fprintf(out, " %10s %11s", "-", "-");
        fprintf(out, "  %-8s %s\n", is_image ? part_of(map, view, start) : "data",
                map_sharing(s, is_image));
    }
}

struct page_counts {
    uint64_t in_set, shared, private;
};

static struct page_counts count_pages(const struct map *map, const struct image_view *view,
                                      const struct ntmm_memory_basic_information *region)
{
    struct page_counts counts = {0};
    for (uint64_t at = 0; at < region->region_size; at += NTMM_PAGE_SIZE) {
        struct map_page page;
        if (!map_ask_page(map, view, region->base_address + at, &page) ||
            (page.attributes & NTMM_PAGE_STATE_VALID) == 0)
            continue;
        counts.in_set++;
        counts.shared += map_page_is_shared(&page);
        counts.private += !map_page_is_shared(&page);
    }
    return counts;
}

static void print_regions(const struct map *map, const struct image_view *view, FILE *out)
{
    struct ntmm_memory_basic_information region;
    struct image_words words;
    uint64_t address = view->base;
    fprintf(out, "\n  %-25s %-17s %7s %7s %7s %7s\n", "regions", "protection", "pages", "in set",
            "shared", "private");
    while (map_next_region(map, view, &address, &region)) {
        struct page_counts counts = count_pages(map, view, &region);
        fprintf(out, "  " RANGE " %-17s %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n",
                region.base_address, address, image_protect_name(region.protect, &words),
                region.region_size >> NTMM_PAGE_SHIFT, counts.in_set, counts.shared,
                counts.private);
    }
}

static void print_source(const struct map_page *page, FILE *out)
{
    char text[32];
    bool is_gap = page->subsection == NULL || page->subsection->protect == NTMM_PAGE_NOACCESS;
    snprintf(text, sizeof text, "file %#" PRIx64 "+%" PRIu32, page->file_offset, page->file_bytes);
    fprintf(out, " %-19s", page->file_bytes != 0 ? text : is_gap ? "nothing" : "zeros");
}

/* The frame, and the prototype by which every process finds it. */
static void print_frame(const struct map_page *page, FILE *out)
{
    const struct ntmm_frame_information *frame = &page->explanation.frame;
    char original[160];
    if (!page->explanation.has_frame) {
        fputs(" -\n", out);
        return;
    }
    ntmm_format_entry(frame->original_pte, 1, original, sizeof original);
    fprintf(out, " 0x%-6" PRIx64 " %s 0x%" PRIx64 ", original: %s\n", frame->frame,
            frame->use == NTMM_USE_SECTION ? "prototype at" : "private, entry at",
            frame->entry_address, original);
}

static void print_pages(const struct map *map, const struct image_view *view, FILE *out)
{
    uint64_t end = view->base + view->size_bytes;
    struct image_words words;
    fprintf(out, "\n  %-12s %-17s %-11s %-9s %-19s %s\n", "pages", "protection", "where", "whose",
            "from", "frame and entry");
    for (uint64_t address = view->base; address < end; address += NTMM_PAGE_SIZE) {
        struct map_page page;
        char whose[16] = "-";
        if (!map_ask_page(map, view, address, &page))
            continue;
        if (page.attributes != 0)
            snprintf(whose, sizeof whose, map_page_is_shared(&page) ? "shared %" PRIu32 : "private",
                     map_page_share_count(&page));
        fprintf(out, "  %012" PRIx64 " %-17s %-11s %-9s", address,
                image_protect_name(page.protect, &words), map_page_place(&page), whose);
        print_source(&page, out);
        print_frame(&page, out);
    }
}

static void print_view(const struct map *map, const struct image_view *view, FILE *out)
{
    print_subsections(map, view, out);
    print_regions(map, view, out);
    if (map->options->wants_pages)
        print_pages(map, view, out);
}

void map_print(const struct map *map, FILE *out)
{
    const struct ntmm_process_information *process = &map->process;
    struct shell_status_name name;
    struct shell_digits digits;
    fprintf(out, "%s: %s bytes\n\ndata\n", map->options->common.path,
            shell_group_digits(map->file.size_bytes, &digits));
    fprintf(out, "  base            0x%" PRIx64 "\n", map->data.base);
    print_number(out, "size", map->data.size_bytes >> NTMM_PAGE_SHIFT, "pages");
    print_view(map, &map->data, out);
    if (map->is_image) {
        fputs("\nimage\n", out);
        print_image_head(map, out);
        print_view(map, &map->image, out);
    } else {
        fprintf(out, "\nimage: none, %s\n", shell_status_name(map->image_status, &name));
    }
    fputs("\nprocess\n", out);
    print_number(out, "working set", process->working_set_pages, "pages");
    print_number(out, "commit", process->commit_pages, "pages, what copies on write may need");
    print_number(out, "tables", process->table_pages, "pages");
}
