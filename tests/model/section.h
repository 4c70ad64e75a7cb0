/*
 * Sections and files of the page-array model.
 *
 * A control area is an array of shared pages, numbered from 0 in a region of its own that no
 * process has: one a file for its data, one for each section that the page files back. A section
 * is a control area with a size, a name and a protection, and lives as long as handles of it. A
 * view is a region with its control area and an offset; its pages have protections and locks of
 * their own, and hold bytes only when they were copied on write. Which of its pages are committed
 * it learns late, when it is next looked at: the control area counts its generations.
 *
 *     process A   view  [w][w][c]        c: copied, its bytes are the view's
 *                        |  |
 *     control area      [0][1][2][3]     bytes of a file, or zeros at first
 *                           |  |  |
 *     process B   view     [r][r][r]
 *
 * A handle is its place in the system's array plus 1, and is never given out again.
 *
 * Charges: a section of the page files for each committed page, to the system alone; a view for
 * each page that is copied or may be (WRITECOPY), to its process and the system.
 *
 * Bytes of the last page behind a file's end can be written and read in memory, but may turn zero
 * at any time: they are loose. Images are not modelled: no file is one.
 */
#ifndef MODEL_SECTION_H
#define MODEL_SECTION_H

#include "model/model.h"

/* A file or section is at most this large; from MODEL_LARGEST_RESERVE on SEC_RESERVE has no room
 * for its entries. */
#define MODEL_LARGEST_SIZE 0x800000000000ull
#define MODEL_LARGEST_RESERVE 0x80000000000ull

/* As a handle of a file or section: that of a process, which is of another kind. */
#define MODEL_PROCESS_HANDLE UINT64_MAX

/* Names of sections, with their end. */
#define MODEL_NAME_SIZE 64u

struct model_file {
    struct model_control *data;
    uint64_t size_bytes;
    uint64_t valid_bytes; /* those from here on were zero at first */
    uint32_t references;  /* handles, sections and views */
    bool has_no_sections; /* a pipe or console */
};

struct model_control {
    struct model_region shared; /* committed pages, or of a file those that were looked at */
    struct model_file *file;    /* NULL: backed by the page files */
    uint64_t charge_pages;
    uint64_t generation; /* counts changes of what is committed */
    uint64_t *reaches;   /* where each of its sections and views ends, in any order */
    size_t reach_count;
    uint32_t views;
    bool is_reserve; /* pages are committed one by one */
};

struct model_section {
    struct model_control *control;
    uint64_t size_bytes;
    uint32_t protect;
    uint32_t attributes;
    uint32_t handles;
    char name[MODEL_NAME_SIZE]; /* "": none */
};

/* What a handle names. All zero: it is closed. */
struct model_object {
    struct model_file *file;
    struct model_section *section;
    uint32_t access;
};

struct model_section_information {
    uint64_t base;
    uint32_t attributes;
    uint64_t size_bytes;
};

/* As nt_semantics 4.2 numbers its arguments; NULL: the pointer is. name: "" for none. */
struct model_section_request {
    uint32_t access;
    const char *name;
    bool opens_existing;
    const uint64_t *size;
    uint32_t protect;
    uint32_t attributes;
    uint64_t file;
};

struct model_view_request {
    uint64_t zero_bits;
    uint64_t commit_size;
    uint32_t inherit;
    uint32_t type;
    uint32_t protect;
};

/* Every handle is closed. After it, and the end of all processes, nothing is charged. */
void model_system_end(struct model_system *system);

/* Files. A new file holds, in each of its first valid_bytes bytes, its page's number plus 1. */
uint32_t model_create_file(struct model_system *system, uint32_t access, uint64_t size_bytes,
                           uint64_t valid_bytes, bool has_no_sections, uint64_t *handle);
uint32_t model_open_file(struct model_system *system, uint64_t file, uint32_t access,
                         uint64_t *handle);
uint32_t model_close_file(struct model_system *system, uint64_t file);
uint32_t model_query_file(struct model_system *system, uint64_t file, uint64_t *size_bytes);
uint32_t model_set_file_size(struct model_system *system, uint64_t file, uint64_t size_bytes);
uint32_t model_can_delete_file(struct model_system *system, uint64_t file);
uint32_t model_read_file(struct model_system *system, uint64_t file, uint64_t offset, uint8_t *data,
                         uint64_t size, uint64_t *moved);
uint32_t model_write_file(struct model_system *system, uint64_t file, uint64_t offset,
                          const uint8_t *data, uint64_t size, uint64_t *moved);
uint32_t model_flush_file(struct model_system *system, uint64_t file);
/* Only the status: what a purge loses was never flushed, and nobody knows what that is. */
uint32_t model_purge_file(struct model_system *system, uint64_t file);

/* Sections. */
uint32_t model_create_section(struct model_system *system, uint64_t *handle,
                              const struct model_section_request *request);
uint32_t model_open_section(struct model_system *system, uint64_t *handle, uint32_t access,
                            const char *name);
uint32_t model_duplicate_section(struct model_system *system, uint64_t section, uint32_t access,
                                 uint64_t *handle);
uint32_t model_close_section(struct model_system *system, uint64_t section);
uint32_t model_query_section(struct model_system *system, uint64_t section,
                             struct model_section_information *information);
uint32_t model_extend_section(struct model_system *system, uint64_t section, uint64_t *size);

/* Views. */
uint32_t model_map_view(struct model_process *process, uint64_t section, uint64_t *base,
                        uint64_t *offset, uint64_t *size, const struct model_view_request *request);
uint32_t model_map_view_ex(struct model_process *process, uint64_t section, uint64_t *base,
                           uint64_t *offset, uint64_t *size, uint32_t type, uint32_t protect,
                           const struct model_parameter *parameters, uint32_t count);
uint32_t model_unmap_view(struct model_process *process, uint64_t address, uint32_t flags);
uint32_t model_flush(struct model_process *process, uint64_t *base, uint64_t *size);
uint32_t model_is_same_file(struct model_process *process, uint64_t first, uint64_t second);

/* Between the model's files. */

/* The object of a handle, which is a file or a section; NULL, and *status says why. */
struct model_file *model_section_file_of(struct model_system *system, uint64_t handle,
                                         uint32_t access, uint32_t *status);
struct model_section *model_section_of(struct model_system *system, uint64_t handle,
                                       uint32_t access, uint32_t *status);
uint64_t model_section_make_handle(struct model_system *system, const struct model_object *object);
/* A control area for a file, or for pages of the page files. */
struct model_control *model_control_make(struct model_file *file);
void model_control_free(struct model_control *control);
/* One section or view more, and one fewer; with the last one its pages and charges go. */
void model_control_hold(struct model_control *control, uint64_t reach);
void model_control_release(struct model_system *system, struct model_control *control,
                           uint64_t reach);
void model_file_release(struct model_file *file);
/* A file's end moves; new bytes are zeros. */
void model_file_resize(struct model_file *file, uint64_t size_bytes);
/* Whether sections and views leave that end to a file. */
bool model_file_can_shrink(const struct model_file *file, uint64_t size_bytes);
/* The contents of a page, made when first asked for. */
struct model_page *model_control_page(struct model_control *control, uint64_t number);
/* Pages [from, to) of SEC_RESERVE are committed. */
uint32_t model_control_commit(struct model_system *system, struct model_control *control,
                              uint64_t from, uint64_t to);

/* A view's pages become those that its section has committed since it was last looked at. */
void model_view_sync(struct model_region *region);
/* Charges and copies go; the region is an empty one of private memory. */
void model_view_detach(struct model_process *process, struct model_region *region);
/* Whether a view with one protection may have a page with another. */
bool model_view_allows(uint32_t view, uint32_t page);
/* Whether pages [start, end) of a view of large pages may be given a protection. */
uint32_t model_view_check_protect_of_large(const struct model_region *region, uint64_t start,
                                           uint64_t end, uint32_t protect);
/* Commit through a view; [start, end) lies in it. */
uint32_t model_view_commit(struct model_process *process, struct model_region *region,
                           uint64_t start, uint64_t end, uint32_t protect);

#endif
