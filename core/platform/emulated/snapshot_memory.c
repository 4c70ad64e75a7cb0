/*
 * Bases of host memory. See snapshot_memory.h.
 *
 * A private mapping of a file has a page of its own, an anonymous one, exactly where it was written
 * since it was mapped; such a page is present or swapped and not "of a file". Anonymous memory that
 * was never mapped from a base has the same pages where it was touched, so one scan serves both.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/snapshot_memory.h"
#include "platform/emulated/file_bytes.h"
#include "platform/emulated/host.h"

#include <string.h>

#define HOST_PAGE 4096u
#define RANGES_AT_ONCE 256u
#define WORDS_AT_ONCE 512u
#define PAGES_ASKED 16u

/* linux/fs.h since 6.7, spelt out for older headers. */
struct scan_range {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct scan_argument {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vector;
    uint64_t vector_length;
    uint64_t maximum_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_any_of;
    uint64_t return_mask;
};

#define SCAN_REQUEST _IOWR('f', 16, struct scan_argument)
#define IS_OF_FILE (UINT64_C(1) << 2)
#define IS_PRESENT (UINT64_C(1) << 3)
#define IS_SWAPPED (UINT64_C(1) << 4)

#define WORD_OF_FILE (UINT64_C(1) << 61)
#define WORD_STATE_SHIFT 57 /* below: the frame's number, and bits that vary */
#define WORD_ONLY_PRESENT (UINT64_C(1) << (63 - WORD_STATE_SHIFT))
#define WORD_IN_MEMORY (UINT64_C(3) << 62) /* present or swapped */

/* A visit in progress: everything below `at` has been visited. */
struct visit {
    const struct memory_run *run;
    const struct memory_base *base; /* or NULL */
    memory_visitor visitor;
    void *context;
    size_t at;
    bool is_stopped;
};

static bool visit_range(struct visit *v, size_t start, size_t end)
{
    if (start < end && !v->visitor(v->context, start, end))
        v->is_stopped = true;
    v->at = end;
    return !v->is_stopped;
}

/* Whether all was visited, or the visitor stopped it: nothing is left for another method. */
static bool is_over(const struct visit *v) { return v->is_stopped || v->at == v->run->size_bytes; }

static void visit_by_ranges(struct visit *v, int pagemap)
{
    struct scan_range ranges[RANGES_AT_ONCE];
    uint64_t origin = (uint64_t)(uintptr_t)v->run->bytes;
    while (!is_over(v)) {
        struct scan_argument a = {
            .size = sizeof a,
            .start = origin + v->at,
            .end = origin + v->run->size_bytes,
            .vector = (uint64_t)(uintptr_t)ranges,
            .vector_length = RANGES_AT_ONCE,
            .category_inverted = IS_OF_FILE,
            .category_mask = IS_OF_FILE,
            .category_any_of = IS_PRESENT | IS_SWAPPED,
            .return_mask = IS_PRESENT | IS_SWAPPED,
        };
        long count = ioctl(pagemap, SCAN_REQUEST, &a);
        if (count < 0)
            return;
        for (long i = 0; i < count; i++) {
            if (!visit_range(v, (size_t)(ranges[i].start - origin),
                             (size_t)(ranges[i].end - origin)))
                return;
        }
        v->at = (size_t)(a.walk_end - origin);
    }
}

static bool is_word_changed(uint64_t word)
{
    return (word & WORD_IN_MEMORY) != 0 && (word & WORD_OF_FILE) == 0;
}

static bool read_words(int pagemap, const uint8_t *page, uint64_t *words, size_t count)
{
    uint64_t first = (uint64_t)(uintptr_t)page / HOST_PAGE;
    ssize_t size = (ssize_t)(count * sizeof *words);
    return pread(pagemap, words, (size_t)size, (off_t)(first * sizeof *words)) == size;
}

/* Whether the words speak of this process: qemu's user mode shows those of its own addresses, in
 * the byte order of the machine below. Pages that were written, and pages that cannot be, tell: the
 * frame numbers of pages may follow each other, so all bits above them are looked at. */
static bool are_words_ours(int pagemap)
{
    uint64_t words[2 * PAGES_ASKED];
    uint8_t *pages = mmap(NULL, 2 * PAGES_ASKED * HOST_PAGE, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return false;
    bool is_right = mprotect(pages, PAGES_ASKED * HOST_PAGE, PROT_READ | PROT_WRITE) == 0;
    for (size_t i = 0; is_right && i < PAGES_ASKED; i++)
        pages[i * HOST_PAGE] = 1;
    is_right = is_right && read_words(pagemap, pages, words, 2 * PAGES_ASKED);
    for (size_t i = 0; is_right && i < 2 * PAGES_ASKED; i++)
        is_right = words[i] >> WORD_STATE_SHIFT == (i < PAGES_ASKED ? WORD_ONLY_PRESENT : 0);
    (void)munmap(pages, 2 * PAGES_ASKED * HOST_PAGE);
    return is_right;
}

static void visit_by_words(struct visit *v, int pagemap)
{
    uint64_t words[WORDS_AT_ONCE];
    if (!are_words_ours(pagemap))
        return;
    while (!is_over(v)) {
        size_t left = (v->run->size_bytes - v->at) / HOST_PAGE;
        size_t count = left < WORDS_AT_ONCE ? left : WORDS_AT_ONCE;
        if (!read_words(pagemap, v->run->bytes + v->at, words, count))
            return;
        size_t origin = v->at;
        for (size_t i = 0; i < count; i++) {
            size_t at = origin + i * HOST_PAGE;
            if (is_word_changed(words[i]) && !visit_range(v, at, at + HOST_PAGE))
                return;
        }
        v->at = origin + count * HOST_PAGE;
    }
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, HOST_PAGE - 1) == 0;
}

/* The base's bytes to look at, perhaps mapped for this; NULL: zeros, or *is_failed. */
static const uint8_t *view_base(const struct memory_base *base, bool *is_failed)
{
    *is_failed = false;
    if (base == NULL || base->file < 0)
        return base != NULL ? base->copy : NULL;
    void *view = mmap(NULL, base->size_bytes, PROT_READ, MAP_SHARED, base->file, 0);
    *is_failed = view == MAP_FAILED;
    return *is_failed ? NULL : view;
}

static void end_view(const struct memory_base *base, const uint8_t *view)
{
    if (base != NULL && base->file >= 0 && view != NULL)
        (void)munmap((void *)(uintptr_t)view, base->size_bytes);
}

static bool visit_by_comparing(struct visit *v)
{
    bool is_failed;
    const uint8_t *view = view_base(v->base, &is_failed);
    while (!is_failed && !is_over(v)) {
        const uint8_t *page = v->run->bytes + v->at;
        bool is_same = view != NULL ? memcmp(page, view + v->at, HOST_PAGE) == 0 : is_zero(page);
        (void)visit_range(v, is_same ? v->at + HOST_PAGE : v->at, v->at + HOST_PAGE);
    }
    end_view(v->base, view);
    return !is_failed;
}

bool memory_visit_changed(const struct memory_base *base, const struct memory_run *run,
                          memory_visitor visitor, void *context)
{
    struct visit v = {.run = run, .base = base, .visitor = visitor, .context = context};
    enum scan_method method = base != NULL ? base->method : SCAN_RANGES;
    bool can_compare = true;
    int pagemap = method < SCAN_COMPARE && sysconf(_SC_PAGESIZE) == HOST_PAGE
                      ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
                      : -1;
    if (pagemap >= 0 && method == SCAN_RANGES)
        visit_by_ranges(&v, pagemap);
    if (pagemap >= 0 && !is_over(&v))
        visit_by_words(&v, pagemap);
    if (pagemap >= 0)
        (void)close(pagemap);
    if (!is_over(&v))
        can_compare = visit_by_comparing(&v);
    return can_compare && !v.is_stopped;
}

/* --- making --- */

struct transfer_to_base {
    const struct memory_run *run;
    struct memory_base *base;
    bool keeps_zeros; /* a page of zeros is written like any other */
};

static bool write_base(void *context, size_t start, size_t end)
{
    struct transfer_to_base *t = context;
    for (size_t at = start; at < end; at += HOST_PAGE) {
        const uint8_t *page = t->run->bytes + at;
        if (!t->keeps_zeros && is_zero(page))
            continue;
        if (t->base->copy != NULL)
            memcpy(t->base->copy + at, page, HOST_PAGE);
        else if (!file_write_all(t->base->file, page, HOST_PAGE, at))
            return false;
    }
    return true;
}

/* What the run has from its old base: the parts of that file that hold data. */
static bool write_inherited(struct transfer_to_base *t, const struct memory_base *old)
{
    off_t size = (off_t)old->size_bytes;
    off_t at = lseek(old->file, 0, SEEK_DATA);
    while (at >= 0 && at < size) {
        off_t end = lseek(old->file, at, SEEK_HOLE);
        if (end < 0 || !write_base(t, (size_t)at & ~(size_t)(HOST_PAGE - 1), (size_t)end))
            return false;
        at = lseek(old->file, end, SEEK_DATA);
    }
    return at >= 0 || errno == ENXIO;
}

static bool open_base(struct memory_base *base, size_t size_bytes, bool is_ours)
{
    *base = (struct memory_base){.file = -1, .size_bytes = size_bytes};
    if (is_ours && sysconf(_SC_PAGESIZE) == HOST_PAGE)
        base->file = memfd_create("ntmm", MFD_CLOEXEC);
    if (base->file >= 0)
        return ftruncate(base->file, (off_t)size_bytes) == 0;
    void *copy = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base->method = SCAN_COMPARE;
    if (copy == MAP_FAILED)
        return false;
    base->copy = copy;
    return true;
}

bool memory_base_fill(struct memory_base *base, const struct memory_run *run,
                      const struct memory_base *old, bool is_ours)
{
    struct transfer_to_base t = {.run = run, .base = base};
    if (!open_base(base, run->size_bytes, is_ours))
        return false;
    if (!is_ours)
        return write_base(&t, 0, run->size_bytes);
    bool is_old_file = old != NULL && old->file >= 0;
    t.keeps_zeros = is_old_file; /* over what was inherited */
    if (is_old_file && !write_inherited(&t, old))
        return false;
    return memory_visit_changed(is_old_file ? old : NULL, run, write_base, &t);
}

static bool map_file(const struct memory_base *base, const struct memory_run *run)
{
    return mmap(run->bytes, run->size_bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, base->file, 0) != MAP_FAILED;
}

bool memory_base_map(struct memory_base *base, const struct memory_run *run)
{
    base->is_mapped = base->file >= 0 && map_file(base, run);
    return base->is_mapped || base->file < 0;
}

bool memory_base_renew(struct memory_base *base, const struct memory_run *run)
{
    struct transfer_to_base t = {.run = run, .base = base, .keeps_zeros = true};
    if (!memory_visit_changed(base, run, write_base, &t))
        return false;
    return base->is_mapped ? memory_restore(base, run) : memory_base_map(base, run);
}

void memory_base_free(struct memory_base *base)
{
    if (base->file >= 0)
        (void)close(base->file);
    if (base->copy != NULL)
        (void)munmap(base->copy, base->size_bytes);
}

/* --- going back --- */

struct copying {
    uint8_t *to;
    const uint8_t *from;
};

static bool copy_range(void *context, size_t start, size_t end)
{
    const struct copying *c = context;
    memcpy(c->to + start, c->from + start, end - start);
    return true;
}

/* Everything mapped is dropped: that costs what was touched since, and finding out what was written
 * would cost what is mapped. */
bool memory_restore(const struct memory_base *base, const struct memory_run *run)
{
    struct copying c = {.to = run->bytes, .from = base->copy};
    if (base->file < 0)
        return memory_visit_changed(base, run, copy_range, &c);
    return madvise(run->bytes, run->size_bytes, MADV_DONTNEED) == 0;
}

bool memory_adopt(const struct memory_base *base, const struct memory_run *run)
{
    return (base->file < 0 || map_file(base, run)) && memory_restore(base, run);
}

bool memory_fork(const struct memory_base *base, const struct memory_run *from,
                 const struct memory_run *to)
{
    const struct memory_base zeros = {.file = -1, .method = SCAN_COMPARE};
    struct copying c = {.to = to->bytes, .from = from->bytes};
    if (base != NULL && base->file >= 0)
        return map_file(base, to) && memory_visit_changed(base, from, copy_range, &c);
    return memory_visit_changed(base != NULL ? &zeros : NULL, from, copy_range, &c);
}

static bool count_range(void *context, size_t start, size_t end)
{
    uint64_t *pages = context;
    *pages += (end - start) / HOST_PAGE;
    return true;
}

uint64_t memory_changed_pages(const struct memory_base *base, const struct memory_run *run)
{
    uint64_t pages = 0;
    (void)memory_visit_changed(base, run, count_range, &pages);
    return pages;
}
