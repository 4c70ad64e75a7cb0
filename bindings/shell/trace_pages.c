/*
 * Which pages a trace touches and what for, as runs of equal rights.
 *
 * A page that is written is also readable: the processor has no other. The stack that the program
 * began with is found by the first store of the trace, which pushes onto it: the pages that are not
 * executed and touch each other around that store get TRACE_STACK.
 */
#include "trace_pages.h"

#include "trace_binary.h"
#include "trace_fold.h"

#include <stdlib.h>

#define FIRST_CAPACITY 4096u
#define RIGHTS_BITS 4u
#define RIGHTS_MASK 15u

static uint64_t slot_of(const struct trace_pages *pages, uint64_t page)
{
    uint64_t slot = (page * 0x9E3779B97F4A7C15ull >> 20) & (pages->capacity - 1);
    while (pages->slots[slot] != 0 && (pages->slots[slot] - 1) >> RIGHTS_BITS != page)
        slot = (slot + 1) & (pages->capacity - 1);
    return slot;
}

static bool grow(struct trace_pages *pages)
{
    struct trace_pages larger = *pages;
    larger.capacity = pages->capacity != 0 ? 2 * pages->capacity : FIRST_CAPACITY;
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (uint64_t i = 0; i < pages->capacity; i++)
        if (pages->slots[i] != 0)
            larger.slots[slot_of(&larger, (pages->slots[i] - 1) >> RIGHTS_BITS)] = pages->slots[i];
    free(pages->slots);
    *pages = larger;
    return true;
}

static bool add_page(struct trace_pages *pages, uint64_t page, uint32_t rights)
{
    if (pages->last_page == page && (pages->last_rights & rights) == rights)
        return true;
    if (2 * pages->count >= pages->capacity && !grow(pages))
        return false;
    uint64_t slot = slot_of(pages, page);
    if (pages->slots[slot] == 0) {
        pages->slots[slot] = (page << RIGHTS_BITS) + 1;
        pages->count++;
    }
    pages->slots[slot] = ((pages->slots[slot] - 1) | rights) + 1;
    pages->last_page = page;
    pages->last_rights = (uint32_t)(pages->slots[slot] - 1) & RIGHTS_MASK;
    return true;
}

bool trace_pages_add(struct trace_pages *pages, const struct trace_reference *reference,
                     struct shell_error *error)
{
    uint32_t rights = trace_need_of(reference->kind);
    if (rights == TRACE_WRITE) {
        rights |= TRACE_READ;
        if (!pages->has_store)
            pages->first_store_page = reference->address >> TRACE_PAGE_SHIFT;
        pages->has_store = true;
    }
    uint64_t last = reference->address + (reference->size_bytes - 1);
    for (uint64_t page = reference->address >> TRACE_PAGE_SHIFT; page <= last >> TRACE_PAGE_SHIFT;
         page++)
        if (!add_page(pages, page, rights))
            return shell_set_error(error, "ntmm: no memory for the table of pages");
    return true;
}

static int compare_slots(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The slots in use, sorted by page; the caller frees them. */
static uint64_t *sorted_pages(const struct trace_pages *pages)
{
    uint64_t *sorted = malloc((pages->count + 1) * sizeof *sorted);
    uint64_t count = 0;
    for (uint64_t i = 0; sorted != NULL && i < pages->capacity; i++)
        if (pages->slots[i] != 0)
            sorted[count++] = pages->slots[i] - 1;
    if (sorted != NULL)
        qsort(sorted, count, sizeof *sorted, compare_slots);
    return sorted;
}

static void mark_stack(const struct trace_pages *pages, uint64_t *sorted)
{
    uint64_t middle = 0;
    while (middle < pages->count && sorted[middle] >> RIGHTS_BITS != pages->first_store_page)
        middle++;
    if (!pages->has_store || middle == pages->count || (sorted[middle] & TRACE_EXECUTE) != 0)
        return;
    uint64_t begin = middle;
    uint64_t end = middle + 1;
    while (begin > 0 && (sorted[begin - 1] & TRACE_EXECUTE) == 0 &&
           (sorted[begin - 1] >> RIGHTS_BITS) + 1 == sorted[begin] >> RIGHTS_BITS)
        begin--;
    while (end < pages->count && (sorted[end] & TRACE_EXECUTE) == 0 &&
           sorted[end] >> RIGHTS_BITS == (sorted[end - 1] >> RIGHTS_BITS) + 1)
        end++;
    for (uint64_t i = begin; i < end; i++)
        sorted[i] |= TRACE_STACK;
}

static uint32_t join_runs(const uint64_t *sorted, uint64_t page_count, struct trace_run *runs)
{
    uint32_t count = 0;
    for (uint64_t i = 0; i < page_count; i++) {
        uint64_t page = sorted[i] >> RIGHTS_BITS;
        uint32_t rights = (uint32_t)(sorted[i] & RIGHTS_MASK);
        struct trace_run *last = &runs[count - (count != 0)];
        if (count != 0 && last->rights == rights && last->first_page + last->page_count == page)
            last->page_count++;
        else
            runs[count++] = (struct trace_run){page, 1, rights};
    }
    return count;
}

bool trace_pages_runs(const struct trace_pages *pages, struct trace_run **runs, uint32_t *count,
                      struct shell_error *error)
{
    if (pages->count > TRACE_RUNS_MAX)
        return shell_set_error(error, "ntmm: the trace touches more than 16 GiB");
    uint64_t *sorted = sorted_pages(pages);
    *runs = malloc((pages->count + 1) * sizeof **runs);
    bool is_done = sorted != NULL && *runs != NULL;
    if (is_done) {
        mark_stack(pages, sorted);
        *count = join_runs(sorted, pages->count, *runs);
    } else {
        free(*runs);
        *runs = NULL;
    }
    free(sorted);
    return is_done || shell_set_error(error, "ntmm: no memory for the table of pages");
}

void trace_pages_free(struct trace_pages *pages)
{
    free(pages->slots);
    *pages = (struct trace_pages){0};
}
