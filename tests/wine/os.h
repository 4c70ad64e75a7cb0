/*
 * What the program asks of the system under test, and all of it. The services take and return what
 * NT's system calls of like names do; os_windows.c calls ntdll. Who has no ntdll writes this file
 * anew with system calls of their own.
 */
#ifndef WINE_OS_H
#define WINE_OS_H

#include "case_table.h"

#include <stdbool.h>

/* MEMORY_BASIC_INFORMATION of a 64-bit process. */
struct os_memory {
    uint64_t base;
    uint64_t allocation_base;
    uint32_t allocation_protect;
    uint32_t partition;
    uint64_t size;
    uint32_t state;
    uint32_t protect;
    uint32_t type;
    uint32_t unused;
};

/* The exception that an access raised; status 0: none. */
struct os_fault {
    uint32_t status;
    uint32_t parameter_count;
    uint64_t parameters[2];
};

enum os_access {
    OS_READ,
    OS_WRITE,
    OS_EXECUTE,
    OS_TOUCH, /* a write of one byte that changes nothing */
};

/* Called once. Returns false in a process that is only there to be somebody else. */
bool os_begin(void);
_Noreturn void os_end(unsigned status);
void os_print(const char *text, uint32_t length);
bool os_has_word(const char *word); /* in the command line */

/* A handle of each kind; the other process is started when it is first asked for. */
uint64_t os_handle(enum caller who);

uint32_t os_allocate(uint64_t process, uint64_t *base, uint64_t zero_bits, uint64_t *size,
                     uint32_t type, uint32_t protect);
uint32_t os_allocate_ex(uint64_t process, uint64_t *base, uint64_t *size, uint32_t type,
                        uint32_t protect, const struct parameter *parameters, uint32_t count);
/* The parameters as the system wants them; NULL for NULL. */
void *os_extended(const struct parameter *parameters, uint32_t count);
uint32_t os_free(uint64_t process, uint64_t *base, uint64_t *size, uint32_t type);
uint32_t os_protect(uint64_t process, uint64_t *base, uint64_t *size, uint32_t protect,
                    uint32_t *old);
uint32_t os_query(uint64_t process, uint64_t address, struct os_memory *memory);

uint32_t os_query_class(uint64_t process, uint64_t address, uint32_t information_class,
                        uint64_t *buffer, uint64_t length, uint64_t *returned);
/* buffer: NULL for no buffer; *copied is left as it was when the system leaves it. */
uint32_t os_read_memory(uint64_t process, uint64_t address, uint8_t *buffer, uint64_t size,
                        uint64_t *copied);
uint32_t os_write_memory(uint64_t process, uint64_t address, const uint8_t *buffer, uint64_t size,
                         uint64_t *copied);
uint32_t os_lock(uint64_t process, uint64_t *base, uint64_t *size, uint32_t kind);
uint32_t os_unlock(uint64_t process, uint64_t *base, uint64_t *size, uint32_t kind);
uint32_t os_get_watch(uint64_t process, uint32_t flags, uint64_t base, uint64_t size,
                      uint64_t *addresses, uint64_t *count);
uint32_t os_reset_watch(uint64_t process, uint64_t base, uint64_t size);

/*
 * One access of an instruction of this process. Sizes of 1, 2, 4 and 8 bytes are one instruction,
 * others a row of single bytes. A fetch executes one instruction and leaves its effects behind.
 */
void os_access(uint64_t address, enum os_access access, uint8_t *bytes, uint32_t size,
               struct os_fault *fault);

#endif
