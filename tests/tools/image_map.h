/*
 * What image_map is made of.
 *
 *   image_map.c         the program; a machine, a view, the pages of a file
 *   image_map_mutate.c  files that were spoiled
 *   image_map_share.c   many processes that map the same files
 */
#ifndef NTMM_TESTS_TOOLS_IMAGE_MAP_H
#define NTMM_TESTS_TOOLS_IMAGE_MAP_H

#include <ntmm.h>
#include <ntmm/emulated.h>
#include <ntmm/file.h>
#include <ntmm/section.h>

struct machine {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle process;
};

struct view {
    ntmm_handle file, section;
    ntmm_status status;     /* of the section */
    ntmm_status map_status; /* UNSUCCESSFUL without section */
    uint64_t base, size_bytes;
};

/* Ends the program with status 3. */
void must(bool is_true, const char *what);

void machine_open(struct machine *m, uint64_t ram_bytes);
void machine_check(struct machine *m);
void machine_close(struct machine *m);

/* The image of a file, mapped where the library puts it. Returns the section's status. */
ntmm_status machine_map(struct machine *m, const struct ntmm_emulated_file_config *config,
                        struct view *view);
void machine_unmap(struct machine *m, struct view *view);

/* Spoil so many files, drawn from those named; prints how often each status was seen. */
void mutate_files(char **paths, uint32_t path_count, uint32_t count, uint64_t seed,
                  uint64_t ram_bytes);

#define SHARERS_MAX 64u

/* Map the files in so many processes; each readable page must have one frame. */
void share_files(char **paths, uint32_t count, uint32_t process_count, uint64_t ram_bytes);

#endif
