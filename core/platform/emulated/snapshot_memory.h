/*
 * A run of host memory and what it was like at a snapshot: its base.
 *
 *   base   a memory file          |AAAA|BBBB|CCCC|DDDD|       never written while it is shared
 *   run    mapped privately       |AAAA|bbbb|CCCC|DDDD|       a page is copied when first written
 *   back   those copies dropped   |AAAA|BBBB|CCCC|DDDD|
 *
 * Which pages were copied the host says (PAGEMAP_SCAN, else the words of /proc/self/pagemap, when
 * those of pages whose state is known are right); where it cannot, pages are compared. Memory that
 * is not ours to map (an arena of the caller's), or a host without memory files, keeps a copy as
 * its base and is compared.
 *
 * A page that memory_visit_changed leaves out is equal to the base.
 * A base that several machines map is never written.
 */
#ifndef NTMM_EMULATED_SNAPSHOT_MEMORY_H
#define NTMM_EMULATED_SNAPSHOT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Page-aligned in address and size; private and anonymous, or private and of its base. */
struct memory_run {
    uint8_t *bytes;
    size_t size_bytes;
};

/* How changed pages are found, best first. */
enum scan_method {
    SCAN_RANGES,  /* the kernel lists ranges */
    SCAN_WORDS,   /* a word a page */
    SCAN_COMPARE, /* every byte */
};

struct memory_base {
    int file;      /* or -1: `copy`, or all zeros */
    uint8_t *copy; /* or NULL */
    size_t size_bytes;
    enum scan_method method; /* the best that is tried */
    bool is_mapped;          /* the run is mapped from the file */
};

/*
 * A base with the run's contents, which the run is not mapped from yet. `old`: the base that it has
 * now, or NULL: anonymous memory. is_ours: it may be mapped anew. False: no memory; the base is to
 * be freed.
 */
bool memory_base_fill(struct memory_base *base, const struct memory_run *run,
                      const struct memory_base *old, bool is_ours);

/* The run is mapped from its base, which has the same contents. False: it is as it was. */
bool memory_base_map(struct memory_base *base, const struct memory_run *run);

/* The base, which nobody shares, takes the run's contents. False: it is neither old nor new; may
 * be tried again. */
bool memory_base_renew(struct memory_base *base, const struct memory_run *run);

void memory_base_free(struct memory_base *base);

/* Changed bytes [start, end) of the run, whole pages; false stops the visit. */
typedef bool (*memory_visitor)(void *context, size_t start, size_t end);

/* Visit in rising order what may differ from the base; NULL: from zeros. False: stopped, or no
 * memory. */
bool memory_visit_changed(const struct memory_base *base, const struct memory_run *run,
                          memory_visitor visit, void *context);

/* Back to the base. */
bool memory_restore(const struct memory_base *base, const struct memory_run *run);

/* Fresh memory becomes what the base is. */
bool memory_adopt(const struct memory_base *base, const struct memory_run *run);

/* `to`, fresh memory of the same size, becomes what `from` is, which has the base or NULL. */
bool memory_fork(const struct memory_base *base, const struct memory_run *from,
                 const struct memory_run *to);

uint64_t memory_changed_pages(const struct memory_base *base, const struct memory_run *run);

#endif
