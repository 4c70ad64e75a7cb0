/*
 * `ntmm map`: one file, mapped as data and, when it is one, as an image.
 *
 *   command_map.c options -> map.c sections, views, touches -> map_report.c, map_json.c
 */
#ifndef NTMM_SHELL_MAP_H
#define NTMM_SHELL_MAP_H

#include "image_machine.h"

enum map_touch { MAP_TOUCH_NOTHING, MAP_TOUCH_READ, MAP_TOUCH_WRITE };

struct map_options {
    struct image_options common;
    enum map_touch touch;
    bool wants_pages;
};

struct map {
    const struct map_options *options;
    struct image_machine machine;
    struct image_file file;
    struct image_view data;
    struct image_view image;
    bool is_image;
    ntmm_status image_status; /* of making its section */
    bool has_headers;         /* in_file is filled */
    bool has_view_headers;    /* in_view is */
    struct image_header in_file;
    struct image_header in_view;
    enum image_base_state base_state;
    struct ntmm_process_information process; /* at the end */
};

/* A page as public queries tell it. */
struct map_page {
    uint64_t address;
    uint32_t protect;
    uint64_t attributes; /* NTMM_PAGE_STATE_* */
    struct ntmm_explanation explanation;
    const struct ntmm_subsection_information *subsection;
    uint64_t file_offset; /* with file_bytes */
    uint32_t file_bytes;  /* that the file has for it; 0: zeros */
};

/* Maps, touches, looks; the caller reports, then calls map_end. */
bool map_begin(struct map *map, const struct map_options *options, struct shell_error *error);

/* Ends what was begun, however far it came. An exit status. */
int map_end(struct map *map);

/* The run of equal pages at an address of a view; it ends with the view. */
bool map_next_region(const struct map *map, const struct image_view *view, uint64_t *address,
                     struct ntmm_memory_basic_information *region);

bool map_ask_page(const struct map *map, const struct image_view *view, uint64_t address,
                  struct map_page *page);

/* Where a page is: "working set", "memory", "page file", "nowhere"; whose: "shared", "private". */
const char *map_page_place(const struct map_page *page);
bool map_page_is_shared(const struct map_page *page);
uint32_t map_page_share_count(const struct map_page *page);
/* How a write to a subsection's pages of a view is seen. */
const char *map_sharing(const struct ntmm_subsection_information *subsection, bool is_image);

/* map_report.c, map_json.c */
void map_print(const struct map *map, FILE *out);
bool map_write_json(const struct map *map, struct shell_error *error);

#endif
