/*
 * What `ntmm map` and `ntmm run-image` have in common: a machine, host files in it, views of them,
 * and the headers of PE files as they stand in a file or in a view.
 */
#ifndef NTMM_SHELL_IMAGE_MACHINE_H
#define NTMM_SHELL_IMAGE_MACHINE_H

#include "shell.h"

#include <ntmm.h>
#include <ntmm/emulated.h>

#define IMAGE_SECTIONS_MAX 96u

enum {
    IMAGE_MACHINE_I386 = 0x14C,
    IMAGE_MACHINE_AMD64 = 0x8664,
    IMAGE_RELOCS_STRIPPED = 0x1,
    IMAGE_LARGE_ADDRESS_AWARE = 0x20,
    IMAGE_IS_DLL = 0x2000,
    IMAGE_HIGH_ENTROPY_VA = 0x20,
    IMAGE_DYNAMIC_BASE = 0x40,
    IMAGE_FORCE_INTEGRITY = 0x80,
    IMAGE_NX_COMPAT = 0x100,
    IMAGE_GUARD_CF = 0x4000,
};

/* What both commands are told. */
struct image_options {
    const char *path;
    const char *json_path; /* NULL: text alone */
    uint64_t ram_bytes;
    uint64_t seed;
};

struct image_machine {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle process; /* or 0 */
};

/* A host file, read-only, open in the machine. */
struct image_file {
    ntmm_handle file;
    uint64_t size_bytes;
};

/* A row of the section table. */
struct image_part {
    char name[9]; /* printable */
    uint32_t rva;
    uint32_t virtual_bytes;
    uint32_t raw_offset;
    uint32_t raw_bytes;
};

/* What headers say. */
struct image_header {
    uint64_t base;
    uint32_t entry_rva;
    uint32_t image_bytes;
    uint32_t import_rva; /* 0: imports nothing */
    uint16_t machine;
    uint16_t characteristics;
    uint16_t dll_characteristics;
    uint16_t subsystem;
    bool is_64;
    uint32_t part_count;
    struct image_part parts[IMAGE_SECTIONS_MAX];
};

/* SECTION_IMAGE_INFORMATION of a 64-bit caller. */
struct image_information {
    uint64_t transfer_address;
    uint32_t zero_bits;
    uint32_t reserved;
    uint64_t maximum_stack_bytes;
    uint64_t committed_stack_bytes;
    uint32_t subsystem;
    uint16_t subsystem_minor, subsystem_major;
    uint16_t system_major, system_minor;
    uint16_t characteristics;
    uint16_t dll_characteristics;
    uint16_t machine;
    uint8_t contains_code;
    uint8_t flags;
    uint32_t loader_flags;
    uint32_t file_bytes;
    uint32_t checksum;
};

/* A view of a section, and what the section says of itself. */
struct image_view {
    uint64_t base;
    uint64_t size_bytes;
    ntmm_status status; /* of mapping it: IMAGE_NOT_AT_BASE is a success */
    struct image_information information;
    uint32_t subsection_count;
    struct ntmm_subsection_information *subsections; /* given up by image_view_free */
};

/* What the base in the headers of a view says about where the view is. */
enum image_base_state {
    IMAGE_AT_HEADER_BASE,   /* they are equal */
    IMAGE_NOT_AT_BASE,      /* they are not, and mapping it said so */
    IMAGE_BASE_NOT_IN_VIEW, /* the headers cannot be read there */
    IMAGE_BASE_IS_WRONG,    /* they are not, and nobody said so: an error of the memory manager */
};

/* --- image_machine.c --- */

bool image_machine_make(struct image_machine *m, uint64_t ram_bytes, uint64_t seed,
                        struct shell_error *error);

/* A process for an image of this machine, with its layout; 64 bits for a file that is none. */
bool image_machine_make_process(struct image_machine *m, const struct image_information *image,
                                struct shell_error *error);

/* Checks every invariant, ends the process and the machine. SHELL_WRONG with a line when something
 * is broken or was lost. */
int image_machine_end(struct image_machine *m);

/* Makes a host file known. The line of a failure names it. */
bool image_file_open(struct image_machine *m, const char *path, struct image_file *file,
                     struct shell_error *error);
void image_file_close(struct image_machine *m, struct image_file *file);

/* --- image_view.c --- */

/* A section of the file, with what it says of itself; NTMM_SEC_IMAGE or NTMM_SEC_COMMIT. */
ntmm_status image_section_make(struct image_machine *m, const struct image_file *file,
                               uint32_t attributes, ntmm_handle *section, struct image_view *view);

/* Maps it whole into the process; the section is closed, however that ends. */
ntmm_status image_section_map(struct image_machine *m, ntmm_handle section,
                              struct image_view *view);

void image_view_free(struct image_view *view);

/* The pages of a view that are in the subsection. */
const struct ntmm_subsection_information *image_subsection_at(const struct image_view *view,
                                                              uint64_t address);

enum image_base_state image_check_base(const struct image_view *view,
                                       const struct image_header *in_view);

/* --- image_header.c --- */

/* Headers as the file has them, or as a view shows them; false: they cannot be read. */
bool image_header_of_file(struct image_machine *m, const struct image_file *file,
                          struct image_header *header);
bool image_header_of_view(struct image_machine *m, uint64_t base, struct image_header *header);

/* The name of what is at an offset of the image: "headers", or a section's. */
const char *image_part_name(const struct image_header *header, uint64_t offset);

/* Where the next part begins behind an offset; UINT64_MAX: nowhere. */
uint64_t image_next_part(const struct image_header *header, uint64_t offset);

/* --- image_words.c --- */

/* --ram, --seed and --json, by the letters r, s and j: SHELL_OK, or SHELL_USAGE, with a line unless
 * it is none of them. */
int image_take_option(int option, const char *argument, struct image_options *options);

/* What a command returns, when its output was good and ending gave a status; else reports. */
int image_finish(bool is_good, int ended, const struct shell_error *error);

/* Where text goes: not where JSON does. */
FILE *image_text_output(const char *json_path);

struct image_words {
    char text[96];
};

/* "EXECUTE_READ", "READWRITE+GUARD", "-" for none. */
const char *image_protect_name(uint32_t protect, struct image_words *words);
const char *image_machine_name(uint16_t machine);
const char *image_subsystem_name(uint32_t subsystem);
/* "DYNAMIC_BASE NX_COMPAT": the bits of DllCharacteristics that matter to memory. */
const char *image_flag_names(uint16_t dll_characteristics, struct image_words *words);
const char *image_base_words(enum image_base_state state);

#endif
