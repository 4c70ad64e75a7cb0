/*
 * Small PE files made by hand: valid ones, to spoil one field at a time. Nothing here needs a C
 * library or the core, so that a Windows program can be made of it too (tests/wine).
 *
 * The default file, PE32+ or PE32: e_lfanew 0x80, a full optional header, alignments 4096 and 512,
 * SizeOfHeaders 0x400, and as many sections as were added, each of whose raw data has bytes of a
 * pattern of its place in the file.
 */
#ifndef NTMM_TESTS_UNIT_PE_WRITE_H
#define NTMM_TESTS_UNIT_PE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#define PE_FILE_BYTES 0x20000u
#define PE_OFFSET 0x80u
#define PE_HEADERS 0x400u

/* Where fields stand in the default file. */
enum {
    PE_MACHINE = PE_OFFSET + 4,
    PE_SECTION_COUNT = PE_OFFSET + 6,
    PE_OPTIONAL_BYTES = PE_OFFSET + 20,
    PE_CHARACTERISTICS = PE_OFFSET + 22,
    PE_OPTIONAL = PE_OFFSET + 24,
    PE_MAGIC = PE_OPTIONAL,
    PE_CODE_BYTES = PE_OPTIONAL + 4,
    PE_ENTRY = PE_OPTIONAL + 16,
    PE_BASE_64 = PE_OPTIONAL + 24,
    PE_BASE_32 = PE_OPTIONAL + 28,
    PE_SECTION_ALIGNMENT = PE_OPTIONAL + 32,
    PE_FILE_ALIGNMENT = PE_OPTIONAL + 36,
    PE_IMAGE_BYTES = PE_OPTIONAL + 56,
    PE_HEADER_BYTES = PE_OPTIONAL + 60,
    PE_CHECKSUM = PE_OPTIONAL + 64,
    PE_SUBSYSTEM = PE_OPTIONAL + 68,
    PE_DLL_CHARACTERISTICS = PE_OPTIONAL + 70,
    PE_STACK_RESERVE = PE_OPTIONAL + 72,
    PE_STACK_COMMIT_32 = PE_OPTIONAL + 76,
    PE_STACK_COMMIT_64 = PE_OPTIONAL + 80,
    PE_DIRECTORY_COUNT_32 = PE_OPTIONAL + 92,
    PE_DIRECTORIES_32 = PE_OPTIONAL + 96,
    PE_DIRECTORY_COUNT_64 = PE_OPTIONAL + 108,
    PE_DIRECTORIES_64 = PE_OPTIONAL + 112,
};

#define PE_READ 0x40000000u
#define PE_WRITE 0x80000000u
#define PE_EXECUTE 0x20000000u
#define PE_SHARED 0x10000000u
#define PE_DIRECTORY_RELOCATION 5u
#define PE_DIRECTORY_LOAD_CONFIG 10u
#define PE_DIRECTORY_COM 14u
#define PE_GUARD_CF 0x4000u           /* DllCharacteristics */
#define PE_GUARD_TABLE_PRESENT 0x400u /* GuardFlags; bits 31:28: bytes behind each function */

struct pe_file {
    uint8_t bytes[PE_FILE_BYTES];
    uint64_t size_bytes;
    bool is_64;
    uint32_t section_count;
    uint32_t next_rva;
    uint64_t reads;       /* calls of its reader */
    uint64_t fail_at;     /* the read of this number, from 1, returns fail_status; 0: none */
    uint32_t fail_status; /* an ntmm_status */
};

void pe_set16(struct pe_file *file, uint32_t at, uint32_t value);
void pe_set32(struct pe_file *file, uint32_t at, uint32_t value);
void pe_set64(struct pe_file *file, uint32_t at, uint64_t value);
uint32_t pe_get32(const struct pe_file *file, uint32_t at);

/* Headers, no section yet. */
void pe_begin(struct pe_file *file, bool is_64);

/* The next section, at the next page, its raw data at the end of the file. Returns where its header
 * stands. */
uint32_t pe_add_section(struct pe_file *file, uint32_t virtual_bytes, uint32_t raw_bytes,
                        uint32_t characteristics);

/* Two sections: 0x1000 .text 0x1234 bytes, 0x3000 .data 0x2100 bytes of which 0x400 in the file. */
void pe_make(struct pe_file *file, bool is_64);

/* What a load configuration says of control flow guard. */
struct pe_guard {
    uint64_t table; /* address */
    uint64_t count;
    uint32_t flags; /* GuardFlags */
    uint32_t bytes; /* Size of the configuration; 0: up to the flags */
};

#define PE_FUNCTIONS 0x100u /* where functions begin in what pe_add_guard adds */

/* A section for a load configuration and, PE_FUNCTIONS behind it, a table of `room` bytes of zeros.
 * DllCharacteristics gain GUARD_CF. Returns the section's place in the file. */
uint32_t pe_add_guard(struct pe_file *file, uint32_t room);

/* Fills the configuration at a place. */
void pe_set_guard(struct pe_file *file, uint32_t at, const struct pe_guard *guard);

/* The address at which the place of pe_add_guard is mapped, at the preferred base. */
uint64_t pe_guard_address(const struct pe_file *file);

/* Relocations of 64 bits in a section of their own: of a word of .text, and of one that straddles
 * its two pages; and DllCharacteristics. */
void pe_add_relocations(struct pe_file *file, uint16_t characteristics);

void pe_set_directory(struct pe_file *file, uint32_t index, uint32_t rva, uint32_t size);

/* The place of section n's header. */
uint32_t pe_section(const struct pe_file *file, uint32_t n);

#endif
