/*
 * The array itself: regions, pages and charges, without any rule of NT.
 *
 * Invariants, checked by model_is_valid: regions rise and do not meet; each is a whole number of
 * pages above 64 KiB; pages rise, lie inside their region and hold a legal protection;
 * commit_pages is what the pages in the arrays cost (pages_cost) and within the limit.
 */
#include "model/pages.h"
#include "model/section.h"

#include <stdlib.h>
#include <string.h>

/* The model serves tests: without memory there is nothing to compare. */
static void *must_allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);

    if (!memory) {
        abort();
    }
    return memory;
}

struct model_region *model_region_of(struct model_process *process, uint64_t address)
{
    for (size_t i = 0; i < process->region_count; i++) {
        if (address >= process->regions[i].base && address < process->regions[i].end) {
            model_view_sync(&process->regions[i]);
            return &process->regions[i];
        }
    }
    return NULL;
}

size_t model_page_index(const struct model_region *region, uint64_t number)
{
    size_t low = 0;
    size_t high = region->page_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (region->pages[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t pages_committed(const struct model_region *region, uint64_t base, uint64_t end)
{
    return model_page_index(region, end / MODEL_PAGE_SIZE) -
           model_page_index(region, base / MODEL_PAGE_SIZE);
}

/* pages[from..to) become the `count` pages at `fresh`. */
static void splice(struct model_region *region, size_t from, size_t to,
                   const struct model_page *fresh, size_t count)
{
    size_t tail = region->page_count - to;
    struct model_page *pages = must_allocate((from + count + tail) * sizeof(*pages));

    if (from) {
        memcpy(pages, region->pages, from * sizeof(*pages));
    }
    if (count) {
        memcpy(pages + from, fresh, count * sizeof(*pages));
    }
    if (tail) {
        memcpy(pages + from + count, region->pages + to, tail * sizeof(*pages));
    }
    free(region->pages);
    region->pages = pages;
    region->page_count = from + count + tail;
}

static void charge(struct model_process *process, uint64_t pages)
{
    process->commit_pages += pages;
    process->system->commit_pages += pages;
}

static void uncharge(struct model_process *process, uint64_t pages)
{
    process->commit_pages -= pages;
    process->system->commit_pages -= pages;
}

static bool is_inaccessible(uint32_t protect)
{
    return (protect & PAGE_GUARD) || (protect & 0xFFu) == PAGE_NOACCESS;
}

bool pages_lose_locks(const struct model_region *region, uint64_t base, uint64_t end,
                      uint32_t protect)
{
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        if (region->pages[i].locks && is_inaccessible(protect)) {
            return true;
        }
    }
    return false;
}

static bool is_copy(uint32_t protect)
{
    return (protect & (PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY)) != 0;
}

/* What a page that is private already has in place of copy-on-write. */
static uint32_t without_copy(uint32_t protect)
{
    uint32_t rest = protect & ~(PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY);

    return rest | (protect & PAGE_WRITECOPY ? PAGE_READWRITE : 0) |
           (protect & PAGE_EXECUTE_WRITECOPY ? PAGE_EXECUTE_READWRITE : 0);
}

uint64_t pages_cost(const struct model_region *region, uint64_t base, uint64_t end)
{
    size_t from = model_page_index(region, base / MODEL_PAGE_SIZE);
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);
    uint64_t absent = (end - base) / MODEL_PAGE_SIZE - (to - from);
    uint64_t cost = 0;

    if (!region->control) {
        return to - from;
    }
    for (size_t i = from; i < to; i++) {
        cost += region->pages[i].is_copied || is_copy(region->pages[i].protect);
    }
    return cost + (is_copy(region->protect) ? absent : 0);
}

void pages_fill(struct model_region *region, uint64_t base, uint64_t end, uint32_t protect)
{
    uint64_t first = base / MODEL_PAGE_SIZE;
    size_t count = (size_t)((end - base) / MODEL_PAGE_SIZE);
    size_t from = model_page_index(region, first);
    size_t to = model_page_index(region, first + count);
    struct model_page *fresh = must_allocate(count * sizeof(*fresh));

    for (size_t i = 0; i < count; i++) {
        fresh[i].number = first + i;
        fresh[i].protect = protect;
    }
    for (size_t i = from; i < to; i++) {
        struct model_page *page = &fresh[region->pages[i].number - first];

        *page = region->pages[i];
        page->protect = page->is_copied ? without_copy(protect) : protect;
        page->locks = is_inaccessible(protect) ? 0 : page->locks;
    }
    splice(region, from, to, fresh, count);
    free(fresh);
}

void pages_commit(struct model_process *process, struct model_region *region, uint64_t base,
                  uint64_t end, uint32_t protect)
{
    uint64_t before = pages_cost(region, base, end);

    pages_fill(region, base, end, protect);
    uncharge(process, before);
    charge(process, pages_cost(region, base, end));
}

void pages_copy(const struct model_region *region, struct model_page *page)
{
    const struct model_page *shared = model_contents(region, page);

    if (shared->bytes) {
        memcpy(pages_bytes(page), shared->bytes, MODEL_PAGE_SIZE);
    }
    if (shared->loose) {
        page->loose = must_allocate(MODEL_PAGE_SIZE);
        memcpy(page->loose, shared->loose, MODEL_PAGE_SIZE);
    }
    page->is_copied = true;
    page->protect = without_copy(page->protect);
}

void pages_uncopy(struct model_process *process, struct model_region *region, uint64_t base,
                  uint64_t end)
{
    uint64_t before = pages_cost(region, base, end);
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        struct model_page *page = &region->pages[i];

        free(page->bytes);
        free(page->loose);
        page->bytes = NULL;
        page->loose = NULL;
        page->is_reset = false;
        page->is_vague = false;
        page->is_copied = false;
    }
    uncharge(process, before);
    charge(process, pages_cost(region, base, end));
}

void pages_decommit(struct model_process *process, struct model_region *region, uint64_t base,
                    uint64_t end)
{
    size_t from = model_page_index(region, base / MODEL_PAGE_SIZE);
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = from; i < to; i++) {
        free(region->pages[i].bytes);
        free(region->pages[i].loose);
    }
    uncharge(process, pages_cost(region, base, end));
    splice(region, from, to, NULL, 0);
}

void pages_charge(struct model_process *process, uint64_t pages) { charge(process, pages); }

uint8_t *pages_loose(struct model_page *page)
{
    if (!page->loose) {
        page->loose = must_allocate(MODEL_PAGE_SIZE);
    }
    return page->loose;
}

uint8_t *pages_bytes(struct model_page *page)
{
    if (!page->bytes) {
        page->bytes = must_allocate(MODEL_PAGE_SIZE);
    }
    return page->bytes;
}

struct model_region *regions_insert(struct model_process *process, uint64_t base, uint64_t end,
                                    uint32_t protect)
{
    size_t at = 0;
    size_t count = process->region_count;
    struct model_region *regions = must_allocate((count + 1) * sizeof(*regions));

    while (at < count && process->regions[at].base < base) {
        at++;
    }
    if (count) {
        memcpy(regions, process->regions, at * sizeof(*regions));
        memcpy(regions + at + 1, process->regions + at, (count - at) * sizeof(*regions));
    }
    regions[at].base = base;
    regions[at].end = end;
    regions[at].protect = protect;
    regions[at].is_watched = false;
    regions[at].is_large = false;
    regions[at].is_small = false;
    regions[at].is_window = false;
    free(process->regions);
    process->regions = regions;
    process->region_count = count + 1;
    return &regions[at];
}

static void regions_remove(struct model_process *process, struct model_region *region)
{
    size_t at = (size_t)(region - process->regions);

    free(region->pages);
    process->region_count--;
    memmove(region, region + 1, (process->region_count - at) * sizeof(*region));
}

/* The part of the region from `end` on becomes a region of its own. */
static void split(struct model_process *process, struct model_region *region, uint64_t end)
{
    uint64_t base = region->base;
    size_t from = model_page_index(region, end / MODEL_PAGE_SIZE);
    struct model_region copied = *region;
    struct model_region *upper = regions_insert(process, end, region->end, region->protect);
    struct model_region *lower = model_region_of(process, base);

    upper->is_watched = copied.is_watched;
    upper->is_placeholder = copied.is_placeholder;
    upper->is_replaced = copied.is_replaced;
    if (from < lower->page_count)
        splice(upper, 0, 0, lower->pages + from, lower->page_count - from);
    splice(lower, from, lower->page_count, NULL, 0);
    lower->end = end;
}

void regions_cut(struct model_process *process, struct model_region *region, uint64_t at)
{
    split(process, region, at);
}

void regions_join(struct model_process *process, struct model_region *lower)
{
    uint64_t end = lower[1].end;

    regions_remove(process, lower + 1);
    lower->end = end;
}

static void reset_page(struct model_page *page)
{
    page->is_reset = true;
    page->is_vague = page->loose != NULL;
    if (page->bytes && !page->loose) {
        page->loose = must_allocate(MODEL_PAGE_SIZE);
    }
    if (page->loose) {
        memset(page->loose, 1, MODEL_PAGE_SIZE);
    }
}

static void discard_page(struct model_page *page)
{
    free(page->bytes);
    free(page->loose);
    page->bytes = NULL;
    page->loose = NULL;
    page->is_reset = false;
    page->is_vague = false;
}

void pages_reset(struct model_region *region, uint64_t base, uint64_t end)
{
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        reset_page(model_contents(region, &region->pages[i]));
    }
}

void pages_discard(struct model_region *region, uint64_t base, uint64_t end)
{
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    /* a locked page stays in memory, as if it had been reset */
    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        (region->pages[i].locks ? reset_page : discard_page)(&region->pages[i]);
    }
}

bool pages_are_reset(const struct model_region *region, uint64_t base, uint64_t end)
{
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        if (model_contents(region, &region->pages[i])->is_reset) {
            return true;
        }
    }
    return false;
}

void pages_settle(struct model_region *region, uint64_t base, uint64_t end, bool is_lost)
{
    size_t to = model_page_index(region, end / MODEL_PAGE_SIZE);

    for (size_t i = model_page_index(region, base / MODEL_PAGE_SIZE); i < to; i++) {
        struct model_page *page = model_contents(region, &region->pages[i]);

        if (page->is_reset && !is_lost && !page->is_vague) {
            free(page->loose);
            page->loose = NULL;
        }
        page->is_reset = false;
    }
}

void regions_release(struct model_process *process, struct model_region *region, uint64_t base,
                     uint64_t end)
{
    if (region->control) {
        model_view_detach(process, region);
    }
    pages_decommit(process, region, base, end);
    marks_remove(process, base, end, true);
    if (base == region->base && end == region->end) {
        regions_remove(process, region);
    } else if (base == region->base) {
        region->base = end;
    } else if (end == region->end) {
        region->end = base;
    } else {
        uint64_t start = region->base;

        split(process, region, end);
        model_region_of(process, start)->end = base;
    }
}

void model_process_begin(struct model_process *process, struct model_system *system)
{
    memset(process, 0, sizeof(*process));
    process->system = system;
    process->handle_status = NTMM_STATUS_SUCCESS;
    process->bottom_up_start = LOWEST_USER_ADDRESS;
    process->highest_address = HIGHEST_VAD_ADDRESS;
    process->commit_limit_pages = MODEL_NO_LIMIT;
}

void model_process_end(struct model_process *process)
{
    while (process->region_count) {
        struct model_region *region = &process->regions[process->region_count - 1];

        regions_release(process, region, region->base, region->end);
    }
    free(process->regions);
    free(process->marks);
    free(process->secures);
    process->secures = NULL;
    process->secure_count = 0;
    process->regions = NULL;
    process->marks = NULL;
    process->handle_status = NTMM_STATUS_INVALID_HANDLE;
}

static bool region_is_valid(const struct model_region *region)
{
    uint32_t legal = region->control ? 0xFFu : 0x77u;

    if (region->base < LOWEST_USER_ADDRESS || region->base >= region->end ||
        region->end - 1 > HIGHEST_VAD_ADDRESS || (region->base | region->end) % MODEL_PAGE_SIZE) {
        return false;
    }
    for (size_t i = 0; i < region->page_count; i++) {
        uint64_t number = region->pages[i].number;

        if (number < region->base / MODEL_PAGE_SIZE || number >= region->end / MODEL_PAGE_SIZE ||
            (i && number <= region->pages[i - 1].number) || region->is_placeholder ||
            (region->pages[i].protect & ~(legal | PAGE_GUARD))) {
            return false;
        }
    }
    return true;
}

bool model_is_valid(const struct model_process *process)
{
    uint64_t pages = 0;

    for (size_t i = 0; i < process->region_count; i++) {
        const struct model_region *region = &process->regions[i];

        if (!region_is_valid(region) || (i && region->base < process->regions[i - 1].end)) {
            return false;
        }
        pages += pages_cost(region, region->base, region->end);
    }
    return pages == process->commit_pages && pages <= process->commit_limit_pages &&
           process->system->commit_pages <= process->system->commit_limit_pages;
}
