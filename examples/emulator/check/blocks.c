/*
 * Which pages come when a guest touches some: E5 of adapter.h, block by block.
 *
 *   touched:   . . . T . . . . T . .      resident:   . . . R . . . .     after the first
 *                                                     R R R R R R R R     after the second
 */
#include "../adapter.h"

#include <ntmm/emulated.h>
#include <ntmm/memory.h>
#include <ntmm/write_watch.h>
#include <stdio.h>
#include <stdlib.h>

#define CODE_BASE 0x10000u
#define BASE 0x100000000u
#define BLOCK GUEST_AROUND_MAXIMUM
#define PAGES (3u * BLOCK)
#define PLENTY (64ull << 20)
#define FEW (8ull << 20) /* four blocks, less what the system takes */

/* mov (%rdi), %rax ; syscall        mov %rax, (%rdi) ; syscall */
static const uint8_t code[] = {0x48, 0x8B, 0x07, 0x0F, 0x05, 0x48, 0x89, 0x07, 0x0F, 0x05};
#define LOAD CODE_BASE
#define STORE (CODE_BASE + 5u)

static struct ntmm_emulated *machine;
static struct ntmm_system *manager;
static ntmm_handle process;
static struct guest guest;

static void check_at(bool is_true, const char *what, int line)
{
    if (!is_true) {
        fprintf(stderr, "blocks.c:%d: %s\n", line, what);
        exit(1);
    }
}
#define CHECK(condition) check_at(condition, #condition, __LINE__)

static void forget(void *context, ntmm_handle of, uint64_t base, uint64_t end,
                   enum ntmm_shootdown_reason reason)
{
    (void)context;
    (void)reason;
    if (of == process)
        guest_forget(&guest, base, end);
}

static void allocate(uint64_t base, uint64_t pages, uint32_t type, uint32_t protect)
{
    uint64_t size = pages * NTMM_PAGE_SIZE;
    CHECK(!ntmm_allocate_virtual_memory(manager, process, &base, 0, &size, type, protect));
}

static void begin(uint64_t ram_bytes)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = ram_bytes};
    uint64_t moved;
    CHECK(!ntmm_emulated_create(&config, &machine));
    CHECK(!ntmm_emulated_create_system(machine, NULL, &manager));
    CHECK(!ntmm_create_process(manager, NULL, &process));
    allocate(CODE_BASE, 1, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_EXECUTE_READWRITE);
    CHECK(!ntmm_write_virtual_memory(manager, process, CODE_BASE, code, sizeof code, &moved));
    CHECK(guest_open(&guest, manager, process, ntmm_emulated_arena(machine, NULL)));
    ntmm_set_invalidation_sink(manager, forget, NULL);
}

static void end(void)
{
    ntmm_set_invalidation_sink(manager, NULL, NULL);
    guest_close(&guest);
    ntmm_emulated_destroy(machine, NULL);
}

static void run(uint64_t page, uint64_t instruction)
{
    guest_set_register(&guest, UC_X86_REG_RIP, instruction);
    guest_set_register(&guest, UC_X86_REG_RDI, BASE + page * NTMM_PAGE_SIZE);
    CHECK(guest_run(&guest) == GUEST_SYSTEM_CALL);
}

static uint64_t load(uint64_t page)
{
    run(page, LOAD);
    return guest_register(&guest, UC_X86_REG_RAX);
}

static void store(uint64_t page, uint64_t value)
{
    guest_set_register(&guest, UC_X86_REG_RAX, value);
    run(page, STORE);
}

static bool is_resident(uint64_t page)
{
    struct ntmm_translation t = {.size = sizeof t};
    return !ntmm_translate(manager, process, BASE + page * NTMM_PAGE_SIZE, NTMM_TRANSLATE_READ, &t);
}

static uint32_t resident(uint64_t first, uint64_t pages)
{
    uint32_t count = 0;
    for (uint64_t i = first; i < first + pages; i++)
        count += is_resident(i);
    return count;
}

static void test_the_second_page_of_a_block_brings_the_rest(void)
{
    begin(PLENTY);
    allocate(BASE, PAGES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    store(BLOCK + 7, 77);
    CHECK(resident(0, PAGES) == 1);
    store(BLOCK + 7, 78); /* the same page again is no second one */
    CHECK(load(BLOCK + 7) == 78 && resident(0, PAGES) == 1);
    CHECK(load(2 * BLOCK) == 0); /* another block's first */
    CHECK(resident(0, PAGES) == 2);
    CHECK(load(BLOCK + 100) == 0);
    CHECK(resident(BLOCK, BLOCK) == BLOCK && resident(0, BLOCK) == 0);
    CHECK(resident(2 * BLOCK, BLOCK) == 1);
    uint64_t maps = guest.maps;
    for (uint64_t i = 0; i < BLOCK; i++)
        store(BLOCK + i, i); /* what came is mapped, to be written too */
    for (uint64_t i = 0; i < BLOCK; i++)
        CHECK(load(BLOCK + i) == i);
    CHECK(guest.maps <= maps + 1);
    end();
}

static void test_only_what_is_committed_and_alike_comes(void)
{
    uint64_t base = BASE + 40 * NTMM_PAGE_SIZE, size = 10 * NTMM_PAGE_SIZE;
    uint32_t before;
    begin(PLENTY);
    allocate(BASE, PAGES, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
    allocate(BASE, 100, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    CHECK(
        !ntmm_protect_virtual_memory(manager, process, &base, &size, NTMM_PAGE_READONLY, &before));
    load(60);
    load(70); /* behind the pages that are only read: upwards from the fault */
    CHECK(resident(0, 100) == 31 && resident(70, 30) == 30);
    load(10); /* before them */
    CHECK(resident(0, 40) == 40 && resident(40, 10) == 0);
    load(45);
    load(46);
    CHECK(resident(40, 10) == 2);
    allocate(BASE + PAGES * NTMM_PAGE_SIZE, BLOCK, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
             NTMM_PAGE_EXECUTE_READWRITE);
    load(PAGES + 1);
    load(PAGES + 2); /* code that is written comes page by page */
    CHECK(resident(PAGES, BLOCK) == 2);
    end();
}

static void test_watched_writes_are_the_programs(void)
{
    uint64_t found[8], count = 8;
    uint32_t granularity;
    begin(PLENTY);
    allocate(BASE, PAGES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
             NTMM_PAGE_READWRITE);
    load(1);
    load(2);
    store(3, 3);
    CHECK(resident(0, PAGES) == 3);
    CHECK(!ntmm_get_write_watch(manager, process, 0, BASE, PAGES * NTMM_PAGE_SIZE, found, &count,
                                &granularity));
    CHECK(count == 1 && found[0] == BASE + 3 * NTMM_PAGE_SIZE);
    end();
}

static void test_a_page_with_contents_ends_it(void)
{
    uint64_t base = BASE + 5 * NTMM_PAGE_SIZE, size = NTMM_PAGE_SIZE;
    begin(PLENTY);
    allocate(BASE, PAGES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    store(5, 55);
    CHECK(ntmm_unlock_virtual_memory(manager, process, &base, &size, NTMM_MAP_PROCESS) ==
          NTMM_STATUS_NOT_LOCKED); /* it leaves the working set */
    CHECK(!is_resident(5));
    load(9);
    load(11);
    CHECK(resident(0, 6) == 6 && resident(0, PAGES) == 8);
    load(20);
    CHECK(resident(0, PAGES) == 9);
    CHECK(load(5) == 55);
    end();
}

static void test_what_was_freed_is_forgotten(void)
{
    uint64_t base = BASE, size = 0;
    begin(PLENTY);
    allocate(BASE, PAGES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    store(1, 1);
    CHECK(!ntmm_free_virtual_memory(manager, process, &base, &size, NTMM_MEM_RELEASE));
    allocate(BASE, PAGES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    CHECK(load(1) == 0 && resident(0, PAGES) == 1);
    load(2);
    CHECK(resident(0, PAGES) == BLOCK);
    end();
}

static void test_pages_come_one_by_one(uint64_t ram_bytes, uint32_t around_pages)
{
    begin(ram_bytes);
    guest.around_pages = around_pages;
    allocate(BASE, BLOCK, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 20; i++) {
        store(i * 7, i);
        CHECK(resident(0, BLOCK) == i + 1);
    }
    for (uint32_t i = 0; i < 20; i++)
        CHECK(load(i * 7) == i);
    end();
}

/* Code over the border of two pages: nop... ; mov $VALUE, %eax ; syscall */
#define OTHER_BASE 0x200000u
#define OTHER_START (OTHER_BASE + NTMM_PAGE_SIZE - 8u)

static uint64_t run_other(void)
{
    guest_set_register(&guest, UC_X86_REG_RIP, OTHER_START);
    CHECK(guest_run(&guest) == GUEST_SYSTEM_CALL);
    return guest_register(&guest, UC_X86_REG_RAX);
}

static void put_other(uint8_t value)
{
    uint8_t bytes[24] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
                         0x90, 0x90, 0xB8, 0,    0,    0,    0,    0x0F, 0x05};
    uint64_t moved;
    bytes[13] = value;
    CHECK(!ntmm_write_virtual_memory(manager, process, OTHER_START, bytes, sizeof bytes, &moved));
}

static void test_translated_code_follows_its_bytes(void)
{
    uint64_t base = OTHER_BASE, size = 0;
    begin(PLENTY);
    for (uint8_t i = 0; i < 3; i++) {
        allocate(OTHER_BASE, 2, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_EXECUTE_READWRITE);
        put_other(i);
        CHECK(run_other() == i);
        put_other(100 + i);
        guest_bytes_changed(&guest, OTHER_BASE + NTMM_PAGE_SIZE, OTHER_BASE + 2 * NTMM_PAGE_SIZE);
        CHECK(run_other() == 100u + i);
        CHECK(!ntmm_free_virtual_memory(manager, process, &base, &size, NTMM_MEM_RELEASE));
        size = 0;
    }
    end();
}

int main(void)
{
    test_the_second_page_of_a_block_brings_the_rest();
    test_only_what_is_committed_and_alike_comes();
    test_watched_writes_are_the_programs();
    test_a_page_with_contents_ends_it();
    test_what_was_freed_is_forgotten();
    test_pages_come_one_by_one(PLENTY, 0);
    test_pages_come_one_by_one(FEW, BLOCK);
    test_translated_code_follows_its_bytes();
    printf("blocks: all right\n");
    return 0;
}
