/*
 * The little of an operating system that the program needs: handles, system calls, kernel32's
 * functions, exceptions. services.c has NT's memory services, kernel32.c what is ours, loader.c
 * the image and its imports.
 */
#ifndef EMULATOR_OS_H
#define EMULATOR_OS_H

#include "adapter.h"

#include <ntmm/emulated.h>

#define OBJECTS_MAX 4096u
#define FILES_MAX 26u
#define ARGUMENTS 10u
#define NAME_BYTES 64u
#define NT_CURRENT_PROCESS UINT64_MAX
/* kernel32's functions have numbers of ours, above all of NT's. */
#define KERNEL32_FIRST 0x3000u
#define NTDLL_OURS 0x2000u

enum object_kind {
    OBJECT_NONE,
    OBJECT_PROCESS,
    OBJECT_FILE,
    OBJECT_SECTION,
    OBJECT_EVENT,
    OBJECT_OUTPUT
};

/* A handle of the program is 4 * (index + 1). */
struct object {
    enum object_kind kind;
    ntmm_handle handle; /* ntmm's; of a closed one it stays, and is stale */
    uint64_t position;  /* of a file: where WriteFile writes */
};

struct disk_file {
    char name[NAME_BYTES]; /* "": free */
    uint64_t device;
    ntmm_handle keeper; /* a handle of ours, while the name exists */
};

struct os {
    struct ntmm_emulated *machine;
    struct ntmm_system *system;
    struct guest guest;
    ntmm_handle ended_process; /* what handles of processes are when they are closed */
    struct object objects[OBJECTS_MAX];
    struct disk_file files[FILES_MAX];
    uint32_t last_error;
    uint32_t names_given;
    uint64_t stubs;   /* where the stubs of imports lie */
    uint64_t handler; /* the vectored exception handler */
    uint64_t handler_context;
    uc_context *interrupted; /* the registers, while the handler runs */
    bool has_ended;
    int exit_status;
};

/* A function that the program may import, or ask for by its name. */
struct service {
    const char *name;
    uint32_t number; /* of the system call */
    uint64_t (*call)(struct os *os, const uint64_t *arguments);
};

extern const struct service nt_services[];       /* ends with a name NULL */
extern const struct service kernel32_services[]; /* the same */

/* Memory of the program. False: it cannot be read or written. */
bool os_read(struct os *os, uint64_t address, void *buffer, uint64_t size);
bool os_write(struct os *os, uint64_t address, const void *buffer, uint64_t size);
void os_read_text(struct os *os, uint64_t address, char *text, uint32_t size);

/* 0: no room. */
uint64_t os_add_object(struct os *os, enum object_kind kind, ntmm_handle handle);
struct object *os_object(struct os *os, uint64_t handle);
/* What ntmm takes for a handle of the program: none for none, another kind for an event. */
ntmm_handle os_handle(struct os *os, uint64_t handle);
uint32_t os_close(struct os *os, uint64_t handle);

/* Exits with a message when the image cannot be loaded; then the guest's RIP is its entry. */
void os_load(struct os *os, const char *path);
uint64_t os_stub_of(const struct os *os, const char *name);

#endif
