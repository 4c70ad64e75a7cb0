/*
 * The program: its image is a view of an ntmm section, its imports are stubs that are system calls,
 *
 *     mov %rcx, %r10 ; mov $NUMBER, %eax ; syscall ; ret
 *
 * as ntdll's are, and the addresses of the stubs stand in its import table.
 */
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB_BYTES 16u
#define STACK_BYTES 0x100000u
#define STACK_BASE 0x7FF000000000u
#define STUBS_BASE 0x7FF100000000u
#define IMPORT_DIRECTORY 1u
#define DESCRIPTOR_BYTES 20u

_Noreturn static void fail(const char *what, uint32_t status)
{
    fprintf(stderr, "emulator: %s: 0x%08x\n", what, status);
    exit(2);
}

static void must(const char *what, uint32_t status)
{
    if (!NTMM_SUCCEEDED(status))
        fail(what, status);
}

static uint64_t allocate(struct os *os, uint64_t base, uint64_t size)
{
    must("memory for the program",
         ntmm_allocate_virtual_memory(os->system, os->guest.process, &base, 0, &size,
                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                      NTMM_PAGE_EXECUTE_READWRITE));
    return base;
}

/* The stub of a service is the one of its place in both tables, one behind the other. */
static void make_stubs(struct os *os)
{
    uint8_t page[NTMM_PAGE_SIZE] = {0};
    uint32_t at = 0;
    const struct service *tables[2] = {nt_services, kernel32_services};
    for (uint32_t i = 0; i < 2; i++)
        for (const struct service *s = tables[i]; s->name; s++, at += STUB_BYTES) {
            memcpy(page + at, "\x49\x89\xCA\xB8\0\0\0\0\x0F\x05\xC3", 11);
            memcpy(page + at + 4, &s->number, 4);
        }
    os->stubs = allocate(os, STUBS_BASE, sizeof page);
    if (!os_write(os, os->stubs, page, sizeof page))
        fail("stubs", 0);
}

uint64_t os_stub_of(const struct os *os, const char *name)
{
    uint64_t at = os->stubs;
    const struct service *tables[2] = {nt_services, kernel32_services};
    for (uint32_t i = 0; i < 2; i++)
        for (const struct service *s = tables[i]; s->name; s++, at += STUB_BYTES)
            if (strcmp(s->name, name) == 0)
                return at;
    return 0;
}

static uint64_t map_image(struct os *os, const char *path)
{
    struct ntmm_emulated_file_config file = {.size = sizeof file,
                                             .version = NTMM_EMULATED_FILE_VERSION,
                                             .path = path,
                                             .flags = NTMM_EMULATED_FILE_READ_ONLY};
    struct ntmm_file_config config = {.size = sizeof config, .version = NTMM_FILE_CONFIG_VERSION};
    ntmm_handle opened, section;
    uint64_t base = 0, size = 0;
    must(path, ntmm_emulated_add_file(os->machine, &file, &config.device, &config.size_bytes));
    config.valid_bytes = config.size_bytes;
    must(path,
         ntmm_create_file(os->system, &config, NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE, &opened));
    must(path, ntmm_create_section(os->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, NULL,
                                   NTMM_PAGE_EXECUTE, NTMM_SEC_IMAGE, opened));
    must(path, ntmm_map_view_of_section(os->system, section, os->guest.process, &base, 0, 0, NULL,
                                        &size, NTMM_VIEW_UNMAP, 0, NTMM_PAGE_EXECUTE));
    must(path, ntmm_close_section(os->system, section));
    must(path, ntmm_close_file(os->system, opened));
    return base;
}

static uint32_t word_at(struct os *os, uint64_t address)
{
    uint32_t value = 0;
    if (!os_read(os, address, &value, 4))
        fail("a header of the image", 0);
    return value;
}

static void write_import(struct os *os, uint64_t slot, const char *name)
{
    uint64_t stub = os_stub_of(os, name), base = slot, size = 8;
    uint32_t old;
    if (!stub) {
        fprintf(stderr, "emulator: nobody has %s\n", name);
        exit(2);
    }
    must(name, ntmm_protect_virtual_memory(os->system, os->guest.process, &base, &size,
                                           NTMM_PAGE_READWRITE, &old));
    if (!os_write(os, slot, &stub, 8))
        fail(name, 0);
    must(name, ntmm_protect_virtual_memory(os->system, os->guest.process, &base, &size, old, &old));
}

static void bind_imports(struct os *os, uint64_t image, uint64_t optional)
{
    uint64_t at = image + word_at(os, optional + 112 + 8 * IMPORT_DIRECTORY);
    for (; word_at(os, at + 12); at += DESCRIPTOR_BYTES) {
        uint64_t names = image + word_at(os, at);
        uint64_t slots = image + word_at(os, at + 16);
        for (uint32_t i = 0; word_at(os, names + 8 * i); i++) {
            char name[NAME_BYTES];
            os_read_text(os, image + word_at(os, names + 8 * i) + 2, name, sizeof name);
            write_import(os, slots + 8 * i, name);
        }
    }
}

void os_load(struct os *os, const char *path)
{
    uint64_t image = map_image(os, path);
    uint64_t optional = image + word_at(os, image + 0x3C) + 24;
    make_stubs(os);
    bind_imports(os, image, optional);
    uint64_t stack = allocate(os, STACK_BASE, STACK_BYTES);
    guest_set_register(&os->guest, UC_X86_REG_RSP, stack + STACK_BYTES - 0x28);
    guest_set_register(&os->guest, UC_X86_REG_RIP, image + word_at(os, optional + 16));
}
