/*
 * The record of what a program's memory must hold, kept outside the memory manager: pages of bytes
 * in a hash table, zero until written, with a small direct-mapped cache before it.
 */
#ifndef NTMM_SHELL_SHADOW_H
#define NTMM_SHELL_SHADOW_H

#include <stddef.h>
#include <stdint.h>

#define SHADOW_PAGE_BYTES 4096u
#define SHADOW_LINES 1024u
/* A word may be read at any offset of a page. */
#define SHADOW_SLACK_BYTES 16u

struct shadow_line {
    uint64_t tag; /* page number + 1; 0: empty */
    unsigned char *bytes;
};

struct shadow {
    struct shadow_line lines[SHADOW_LINES];
    struct shadow_line *slots; /* an open hash table */
    size_t capacity;           /* a power of two, at least twice `count` */
    size_t count;
};

struct shadow *shadow_create(void);
void shadow_destroy(struct shadow *shadow);

/* The bytes of a page, made zero when new; NULL when the host has no memory. */
unsigned char *shadow_find(struct shadow *shadow, uint64_t page);

/* Where the shadow of an address lies, good to the end of its page; NULL as above. */
static inline unsigned char *shadow_at(struct shadow *shadow, uint64_t address)
{
    uint64_t page = address / SHADOW_PAGE_BYTES;
    const struct shadow_line *line = &shadow->lines[page % SHADOW_LINES];
    unsigned char *bytes = line->bytes;
    if (__builtin_expect(line->tag != page + 1, 0))
        bytes = shadow_find(shadow, page);
    return bytes != NULL ? bytes + address % SHADOW_PAGE_BYTES : NULL;
}

#endif
