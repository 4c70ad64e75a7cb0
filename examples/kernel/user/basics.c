/*
 * Guard pages, protections, a stack that grows and overflows; and two threads that race.
 */
#include "program.h"

static void check_guard(void)
{
    uint64_t value = 0;
    uint64_t base =
        allocate(PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_GUARD_PAGE_VIOLATION);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_SUCCESS && value == 0);
    EXPECT(call(CALL_FREE, base, 0, NTMM_MEM_RELEASE, 0, 0) == NTMM_STATUS_SUCCESS);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_ACCESS_VIOLATION);
}

/* Protect as far as the hardware goes: reading, writing, executing this program's own pages. */
static void check_rights(void)
{
    uint64_t value = 0;
    EXPECT(probe_write(PROGRAM_BASE, 0) == NTMM_STATUS_ACCESS_VIOLATION);
    EXPECT(probe_read(PROGRAM_BASE, &value) == NTMM_STATUS_SUCCESS && value != 0);
    EXPECT(probe_read(0, &value) == NTMM_STATUS_ACCESS_VIOLATION);
    EXPECT(probe_read(NTMM_SYSTEM_RANGE_START, &value) == NTMM_STATUS_ACCESS_VIOLATION);
    uint64_t base = allocate_pages(2);
    *word_at(base) = 1;
    EXPECT(call(CALL_PROTECT, base, PAGE, NTMM_PAGE_NOACCESS, 0, 0) == NTMM_STATUS_SUCCESS);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_ACCESS_VIOLATION);
    EXPECT(probe_write(base + PAGE, 2) == NTMM_STATUS_SUCCESS);
    EXPECT(call(CALL_PROTECT, base, PAGE, NTMM_PAGE_READONLY, 0, 0) == NTMM_STATUS_SUCCESS);
    EXPECT(probe_read(base, &value) == NTMM_STATUS_SUCCESS && value == 1);
}

/* Each call has a page of its own on the stack. */
static uint64_t __attribute__((noinline)) descend(uint64_t depth)
{
    volatile uint64_t words[PAGE / 8];
    words[0] = depth;
    uint64_t below = depth ? descend(depth - 1) : 0;
    EXPECT(words[0] == depth);
    return below + words[0];
}

static void check_stack(void)
{
    EXPECT(descend(24) == 24 * 25 / 2);
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0) & ~(uint64_t)(PAGE - 1);
    uint32_t status = NTMM_STATUS_SUCCESS;
    for (uint64_t page = 1; page < 128 && status == NTMM_STATUS_SUCCESS; page++)
        status = probe_write(here - page * PAGE, page);
    EXPECT(status == NTMM_STATUS_STACK_OVERFLOW);
}

void run_basics(void)
{
    check_guard();
    check_rights();
    check_stack();
}

/* --- two threads --- */

#define ROUNDS 200u
#define STORES_AT_ONCE 256u

struct race {
    uint64_t page;
    uint64_t is_over;
    uint64_t has_ended;
    uint64_t stored;  /* stores that went through */
    uint64_t refused; /* that did not */
};

static void give_way(void) { (void)call(CALL_YIELD, 0, 0, 0, 0, 0); }

static void count_up(struct race *race)
{
    uint64_t value = 0;
    while (!__atomic_load_n(&race->is_over, __ATOMIC_ACQUIRE)) {
        uint32_t status = probe_write(race->page, ++value);
        EXPECT(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_ACCESS_VIOLATION);
        if (status == NTMM_STATUS_SUCCESS)
            race->stored++;
        else
            race->refused++;
        if (status != NTMM_STATUS_SUCCESS || value % STORES_AT_ONCE == 0)
            give_way();
    }
    __atomic_store_n(&race->has_ended, 1, __ATOMIC_RELEASE);
    leave(0);
}

static void pass_time(void)
{
    give_way();
    for (volatile uint32_t i = 0; i < 5000; i++) {
    }
}

/* Once a page is read-only no other processor writes to it. */
void run_race(void)
{
    uint64_t base = allocate_pages(2);
    struct race *race = (struct race *)(uintptr_t)base;
    race->page = base + PAGE;
    EXPECT(call(CALL_THREAD, (uintptr_t)count_up, base, 0, 0, 0) == NTMM_STATUS_SUCCESS);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        pass_time();
        EXPECT(call(CALL_PROTECT, race->page, PAGE, NTMM_PAGE_READONLY, 0, 0) ==
               NTMM_STATUS_SUCCESS);
        uint64_t before = *word_at(race->page);
        pass_time();
        EXPECT(*word_at(race->page) == before);
        EXPECT(call(CALL_PROTECT, race->page, PAGE, NTMM_PAGE_READWRITE, 0, 0) ==
               NTMM_STATUS_SUCCESS);
    }
    __atomic_store_n(&race->is_over, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&race->has_ended, __ATOMIC_ACQUIRE))
        give_way();
    EXPECT(race->stored != 0 && race->refused != 0 && *word_at(race->page) != 0);
}
