/*
 * `ntmm run-image`: a process as a loader would lay it out, with nothing executed.
 *
 *   command_run_image.c options -> run_image.c the program and what it imports, by rising distance
 *     -> run_search.c where a DLL is -> run_space.c the address space, region by region
 *     -> run_report.c, run_json.c
 *
 * Invariants
 *  - L1 a module is loaded once, whatever case its name is written in and whoever imports it;
 *  - L2 a name that was looked for in vain is in `missing`, once, with whoever imports it.
 */
#ifndef NTMM_SHELL_RUN_IMAGE_H
#define NTMM_SHELL_RUN_IMAGE_H

#include "image_machine.h"

#define RUN_NAME_MAX 256u /* bytes of a DLL's name, with its end */
#define RUN_FOLDERS_MAX 64u

struct run_options {
    struct image_options common;
    const char *folders[RUN_FOLDERS_MAX];
    uint32_t folder_count;
};

/* An image that is mapped. */
struct run_module {
    char name[RUN_NAME_MAX];
    char *path;
    struct image_view view;
    struct image_header in_file;
    struct image_header in_view;
    bool has_headers; /* in_file and in_view are filled */
    enum image_base_state base_state;
    ntmm_status import_status; /* of reading its imports */
    uint32_t import_count;
};

/* A name that no module came of. */
struct run_missing {
    char name[RUN_NAME_MAX];
    char why[64];
    uint32_t importer_count;
    char importer[RUN_NAME_MAX]; /* the first one */
};

enum run_kind { RUN_IMAGE, RUN_STACK, RUN_OTHER, RUN_KINDS };

/* Pages of one region, one state and one protection; of an image also of one of its sections. */
struct run_region {
    struct ntmm_memory_basic_information memory;
    enum run_kind kind;
    const struct run_module *module; /* or NULL */
    const char *part;                /* of the module */
    uint64_t in_set_pages;
    uint64_t shared_pages; /* of these, a section's */
};

struct run_image {
    const struct run_options *options;
    struct image_machine machine;
    struct run_module **modules;
    uint32_t module_count;
    struct run_missing *missing;
    uint32_t missing_count;
    bool has_stack;
    struct ntmm_thread_stack stack;
    struct run_region *regions;
    uint32_t region_count;
    struct ntmm_process_information process;
};

/* Loads and looks; the caller reports, then calls run_end. */
bool run_begin(struct run_image *run, const struct run_options *options, struct shell_error *error);

/* Ends what was begun, however far it came. An exit status. */
int run_end(struct run_image *run);

/* run_search.c: the path of a file of a folder by its name without case, or NULL. Of two that
 * differ only in case the one written so, else the first in order. Freed by the caller. */
char *run_find_in(const char *folder, const char *name);

/* The folder that a path names a file of. Freed by the caller; NULL: no memory. */
char *run_folder_of(const char *path);

/* run_space.c: fills regions and process. */
bool run_look(struct run_image *run, struct shell_error *error);

/* run_report.c, run_json.c */
const char *run_kind_name(const struct run_region *region);
const char *run_state_name(uint32_t state);
void run_print(const struct run_image *run, FILE *out);
bool run_write_json(const struct run_image *run, struct shell_error *error);

#endif
