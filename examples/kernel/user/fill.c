/*
 * The program that fills memory: four of it together touch three times the RAM there is.
 *
 *   basics --> share a section --> fill --> all have filled --> verify --> rewrite --> verify
 *          --> protect --> verify --> decommit
 */
#include "program.h"

#define SHARED_PAGES 64u

/* What the section that all share begins with. */
struct shared {
    uint64_t ready;  /* filler 0 wrote the rest */
    uint64_t filled; /* fillers that have */
};

static void fill_page(uint64_t base, uint64_t filler, uint64_t generation, uint64_t page)
{
    volatile uint64_t *words = word_at(base + page * PAGE);
    uint64_t first = first_word(filler, generation, page);
    for (uint64_t k = 0; k < PAGE / 8; k++)
        words[k] = first * (2 * k + 1);
}

static void verify_page(uint64_t base, uint64_t filler, uint64_t generation, uint64_t page)
{
    volatile uint64_t *words = word_at(base + page * PAGE);
    uint64_t first = first_word(filler, generation, page);
    for (uint64_t k = 0; k < PAGE / 8; k++)
        EXPECT(words[k] == first * (2 * k + 1));
}

/* Every third page has been written again. */
static void verify_all(uint64_t base, uint64_t filler, uint64_t pages, uint64_t later)
{
    for (uint64_t page = 0; page < pages; page++)
        verify_page(base, filler, page % 3 == 0 ? later : 1, page);
}

static uint64_t map_shared(uint64_t filler)
{
    uint64_t handle = 0, base = 0;
    uint32_t status;
    do {
        status = call(CALL_SECTION, 'S', filler == 0 ? SHARED_PAGES * PAGE : 0, 0, 0, &handle);
        (void)call(CALL_YIELD, 0, 0, 0, 0, 0);
    } while (status == NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    EXPECT(status == NTMM_STATUS_SUCCESS);
    EXPECT(call(CALL_MAP, handle, NTMM_PAGE_READWRITE, 0, 0, &base) == NTMM_STATUS_SUCCESS);
    return base;
}

/* A view that is copied on write shows the section, and what is stored stays here. */
static void check_private_copy(uint64_t filler, uint64_t shared)
{
    uint64_t handle = 0, copy = 0;
    EXPECT(call(CALL_SECTION, 'S', 0, 0, 0, &handle) == NTMM_STATUS_SUCCESS);
    EXPECT(call(CALL_MAP, handle, NTMM_PAGE_WRITECOPY, 0, 0, &copy) == NTMM_STATUS_SUCCESS);
    EXPECT(*word_at(copy + PAGE) == first_word(7, 1, 1));
    *word_at(copy + PAGE) = filler;
    EXPECT(*word_at(copy + PAGE) == filler);
    EXPECT(*word_at(shared + PAGE) == first_word(7, 1, 1));
}

static struct shared *share(uint64_t filler)
{
    uint64_t base = map_shared(filler);
    struct shared *shared = (struct shared *)(uintptr_t)base;
    for (uint64_t page = 1; filler == 0 && page < SHARED_PAGES; page++)
        fill_page(base, 7, 1, page);
    if (filler == 0)
        __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE))
        (void)call(CALL_YIELD, 0, 0, 0, 0, 0);
    for (uint64_t page = 1; page < SHARED_PAGES; page++)
        verify_page(base, 7, 1, page);
    check_private_copy(filler, base);
    return shared;
}

/* The last to fill makes the report: all pages are there at once. */
static void wait_for_all(struct shared *shared)
{
    if (__atomic_add_fetch(&shared->filled, 1, __ATOMIC_ACQ_REL) == FILLERS)
        (void)call(CALL_REPORT, 0, 0, 0, 0, 0);
    while (__atomic_load_n(&shared->filled, __ATOMIC_ACQUIRE) < FILLERS)
        (void)call(CALL_YIELD, 0, 0, 0, 0, 0);
}

static void check_protection(uint64_t base, uint64_t filler, uint64_t pages)
{
    uint64_t old = 0;
    EXPECT(call(CALL_PROTECT, base, pages / 2 * PAGE, NTMM_PAGE_READONLY, 0, &old) ==
           NTMM_STATUS_SUCCESS);
    EXPECT(old == NTMM_PAGE_READWRITE);
    for (uint64_t page = 0; page < pages; page += 64) {
        uint32_t expected = page < pages / 2 ? NTMM_STATUS_ACCESS_VIOLATION : NTMM_STATUS_SUCCESS;
        EXPECT(probe_write(base + page * PAGE, *word_at(base + page * PAGE)) == expected);
    }
    verify_all(base, filler, pages, 2);
}

static void check_decommit(uint64_t base, uint64_t pages)
{
    uint64_t value = 1;
    EXPECT(call(CALL_FREE, base, pages * PAGE, NTMM_MEM_DECOMMIT, 0, 0) == NTMM_STATUS_SUCCESS);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_ACCESS_VIOLATION);
    EXPECT(call(CALL_ALLOCATE, base, pages * PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE, 0) ==
           NTMM_STATUS_SUCCESS);
    for (uint64_t page = 0; page < pages; page++)
        EXPECT(*word_at(base + page * PAGE + 8) == 0);
}

static void run_fill(uint64_t filler, uint64_t pages)
{
    run_basics();
    struct shared *shared = share(filler);
    uint64_t base = allocate_pages(pages);
    for (uint64_t page = 0; page < pages; page++)
        fill_page(base, filler, 1, page);
    wait_for_all(shared);
    verify_all(base, filler, pages, 1);
    for (uint64_t page = 0; page < pages; page += 3)
        fill_page(base, filler, 2, page);
    verify_all(base, filler, pages, 2);
    check_protection(base, filler, pages);
    for (uint64_t page = 1; page < SHARED_PAGES; page++)
        verify_page((uint64_t)(uintptr_t)shared, 7, 1, page);
    check_decommit(base + pages / 2 * PAGE, 64);
}

void program(uint64_t number, uint64_t pages)
{
    (void)call(CALL_HANDLE, (uintptr_t)probe_begin, (uintptr_t)probe_end, (uintptr_t)probe_handler,
               0, 0);
    if (number == PROGRAM_RACE)
        run_race();
    else if (number == PROGRAM_MEASURE)
        run_measure();
    else
        run_fill(number, pages);
    leave(0);
}
