/*
 * Public calls on many pages, for the longest hold of each lock.
 *
 * usage: holds PAGES RAM_MEBIBYTES
 *
 * Everything that has a size is PAGES pages large. What is under a label is one call or one kind of
 * call; it is a scenario of the table docs/locks.md.
 */
#include "trace.h"

#include "unit/machine.h"
#include "unit/pe_write.h"

#include "phys/cache.h"

#include <ntmm/file.h>
#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/paging.h>
#include <ntmm/physical.h>
#include <ntmm/query.h>
#include <ntmm/section.h>
#include <ntmm/statistics.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#include <stdio.h>

#define MUST(call) assert_int_equal((call), NTMM_STATUS_SUCCESS)
#define PAGE_FILE_BYTES (256 * MIB)
#define REGIONS 1000u
#define CODE_PAGES 16u
#define FIXUPS 500u /* a page: all that fit, but for the first words */
#define BLOCK_BYTES (8u + 2u * FIXUPS)

static struct machine *m;
static uint64_t size; /* bytes of what has a size */
static uint64_t *frames;

static void add_page_file(void)
{
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = PAGE_FILE_BYTES,
        .flags = NTMM_EMULATED_DISK_INLINE,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file,
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = PAGE_FILE_BYTES,
    };
    trace_label("create a page file");
    MUST(ntmm_emulated_add_disk(m->emu, &disk, &file.device));
    MUST(ntmm_create_paging_file(m->system, &file, NULL));
}

/* Every page leaves the working set, is written, and its frame is taken. */
static void send_out(void)
{
    trace_label("empty a working set");
    MUST(ntmm_empty_working_set(m->system, m->process));
    trace_label("write modified pages");
    while (ntmm_write_modified_pages(m->system, 64) != 0)
        ntmm_emulated_yield(m->emu);
    trace_label("write mapped pages");
    while (ntmm_write_mapped_pages(m->system, 64) != 0)
        ntmm_emulated_yield(m->emu);
    trace_label("purge standby");
    MUST(ntmm_memory_list_command(m->system, m->process, NTMM_MEMORY_PURGE_STANDBY_LIST));
}

static void look(void)
{
    struct ntmm_memory_basic_information record;
    struct ntmm_memory_information memory;
    struct ntmm_region_iterator walk;
    uint64_t counters[NTMM_COUNTER_COUNT];
    trace_label("query a region");
    MUST(ntmm_query_virtual_memory(m->system, m->process, BASE, &record));
    trace_label("walk all regions");
    ntmm_begin_regions(&walk, m->process, NTMM_REGIONS_ALL);
    while (ntmm_next_region(m->system, &walk, &record) == NTMM_STATUS_SUCCESS) {
    }
    trace_label("query the system");
    ntmm_query_memory(m->system, &memory);
    ntmm_query_counters(m->system, counters, NTMM_COUNTER_COUNT);
}

static void lock_and_unlock(void)
{
    uint64_t base = BASE, locked = size;
    trace_label("lock pages");
    MUST(ntmm_set_working_set_limits(m->system, m->process, size + 64 * PAGE, 2 * size + 64 * PAGE,
                                     0));
    MUST(ntmm_lock_virtual_memory(m->system, m->process, &base, &locked, NTMM_MAP_PROCESS));
    trace_label("unlock pages");
    MUST(ntmm_unlock_virtual_memory(m->system, m->process, &base, &locked, NTMM_MAP_PROCESS));
}

static void use_private_memory(void)
{
    trace_label("reserve and commit");
    must_allocate(m, BASE, size, NTMM_PAGE_READWRITE);
    trace_label("demand-zero faults");
    must_fill(m, BASE, size);
    look();
    trace_label("protect");
    (void)must_protect(m, BASE, size, NTMM_PAGE_READONLY);
    (void)must_protect(m, BASE, size, NTMM_PAGE_READWRITE);
    lock_and_unlock();
    trace_label("empty a working set");
    MUST(ntmm_empty_working_set(m->system, m->process));
    trace_label("faults on pages in transition");
    must_hold(m, BASE, size);
    send_out();
    trace_label("faults on pages in a page file");
    must_hold(m, BASE, size);
    trace_label("offer");
    MUST(ntmm_offer_virtual_memory(m->system, m->process, BASE, size, NTMM_OFFER_NORMAL));
    trace_label("reclaim");
    MUST(ntmm_reclaim_virtual_memory(m->system, m->process, BASE, size));
    trace_label("discard");
    MUST(ntmm_discard_virtual_memory(m->system, m->process, BASE, size));
    must_fill(m, BASE, size);
    trace_label("decommit");
    must_decommit(m, BASE, size / 2);
    trace_label("release");
    must_release(m, BASE, size);
}

static void use_many_regions(void)
{
    trace_label("one of many regions");
    for (uint64_t i = 0; i < REGIONS; i++)
        must_reserve(m, BASE + i * 2 * KIB64, KIB64, NTMM_PAGE_READWRITE);
    look();
    trace_label("one of many regions");
    for (uint64_t i = 0; i < REGIONS; i++)
        must_release(m, BASE + i * 2 * KIB64, 0);
}

static void use_write_watch(void)
{
    uint64_t count = size / PAGE;
    uint32_t granularity;
    trace_label("write watch: faults");
    MUST(try_allocate(m, BASE, size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
                      NTMM_PAGE_READWRITE));
    must_fill(m, BASE, size);
    trace_label("get write watch and reset it");
    MUST(ntmm_get_write_watch(m->system, m->process, 1, BASE, size, frames, &count, &granularity));
    assert_int_equal(count, size / PAGE);
    must_fill(m, BASE, size);
    trace_label("reset write watch");
    MUST(ntmm_reset_write_watch(m->system, m->process, BASE, size));
    trace_label("write watch: release");
    must_release(m, BASE, size);
}

static void use_physical_pages(void)
{
    uint64_t count = size / PAGE / 4;
    trace_label("allocate physical pages");
    MUST(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames));
    assert_int_equal(count, size / PAGE / 4);
    MUST(try_allocate(m, BASE, count * PAGE, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL,
                      NTMM_PAGE_READWRITE));
    trace_label("map physical pages");
    MUST(ntmm_map_user_physical_pages(m->system, m->process, BASE, count, frames));
    trace_label("unmap physical pages");
    MUST(ntmm_map_user_physical_pages(m->system, m->process, BASE, count, NULL));
    trace_label("free physical pages");
    MUST(ntmm_free_user_physical_pages(m->system, m->process, &count, frames));
    must_release(m, BASE, 0);
}

/* Views of a section of a file, or of page files if file is 0. */
static void use_section(ntmm_handle file, const char *const names[6])
{
    ntmm_handle section;
    uint64_t base = BASE, offset = 0, bytes = size, maximum = size, flushed = 0;
    struct ntmm_io_status io;
    trace_label(names[0]);
    MUST(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &maximum,
                             NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file));
    trace_label(names[1]);
    MUST(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, &offset, &bytes, 2,
                                  0, NTMM_PAGE_READWRITE));
    trace_label(names[2]);
    must_fill(m, BASE, size);
    (void)must_protect(m, BASE, size, NTMM_PAGE_READONLY);
    (void)must_protect(m, BASE, size, NTMM_PAGE_READWRITE);
    trace_label(names[3]);
    base = BASE;
    MUST(ntmm_flush_virtual_memory(m->system, m->process, &base, &flushed, &io));
    must_fill(m, BASE, size);
    send_out();
    trace_label(names[2]);
    must_hold(m, BASE, size);
    trace_label(names[4]);
    MUST(ntmm_unmap_view_of_section(m->system, m->process, BASE, 0));
    trace_label(names[5]);
    MUST(ntmm_close_section(m->system, section));
}

static ntmm_handle file_of(const void *contents, uint64_t size_bytes, uint64_t maximum_bytes)
{
    struct ntmm_emulated_file_config device = {.size = sizeof device,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .flags = NTMM_EMULATED_FILE_INLINE,
                                               .contents = contents,
                                               .size_bytes = size_bytes,
                                               .maximum_bytes = maximum_bytes};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = size_bytes,
                                      .valid_bytes = size_bytes};
    const uint32_t access = NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE;
    ntmm_handle file;
    MUST(ntmm_emulated_add_file(m->emu, &device, &config.device, &size_bytes));
    trace_label("create a file");
    MUST(ntmm_create_file(m->system, &config, access, &file));
    return file;
}

static void use_file(void)
{
    static const char *const names[6] = {"data section: create", "data section: map",
                                         "data section: faults", "data section: flush",
                                         "data section: unmap",  "data section: close"};
    static char buffer[MIB];
    ntmm_handle file = file_of(NULL, size, 2 * size);
    uint64_t moved;
    use_section(file, names);
    trace_label("write a file");
    for (uint64_t at = 0; at < size; at += sizeof buffer)
        MUST(ntmm_write_file(m->system, file, at, buffer, sizeof buffer, &moved));
    trace_label("flush a file");
    MUST(ntmm_flush_file(m->system, file, 0, 0));
    trace_label("read a file");
    for (uint64_t at = 0; at < size; at += sizeof buffer)
        MUST(ntmm_read_file(m->system, file, at, buffer, sizeof buffer, &moved));
    trace_label("purge a file");
    MUST(ntmm_purge_file(m->system, file));
    trace_label("close a file");
    MUST(ntmm_close_file(m->system, file));
}

/* Pages full of addresses. */
static void make_image(struct pe_file *pe)
{
    pe_begin(pe, true);
    (void)pe_add_section(pe, CODE_PAGES * PAGE, CODE_PAGES * PAGE, PE_READ);
    uint32_t first = pe_get32(pe, pe_section(pe, 0) + 12);
    uint32_t header =
        pe_add_section(pe, CODE_PAGES * BLOCK_BYTES, CODE_PAGES * BLOCK_BYTES, PE_READ);
    uint32_t rva = pe_get32(pe, header + 12), at = pe_get32(pe, header + 20);
    for (uint32_t page = 0; page < CODE_PAGES; page++) {
        pe_set32(pe, at, first + page * (uint32_t)PAGE);
        pe_set32(pe, at + 4, BLOCK_BYTES);
        for (uint32_t i = 0; i < FIXUPS; i++)
            pe_set16(pe, at + 8 + 2 * i, 10u << 12 | (8 * i + 12));
        at += BLOCK_BYTES;
    }
    pe_set_directory(pe, PE_DIRECTORY_RELOCATION, rva, CODE_PAGES * BLOCK_BYTES);
    pe_set16(pe, PE_DLL_CHARACTERISTICS, 0x160);
}

static void use_image(void)
{
    static struct pe_file pe;
    uint64_t base = 0, bytes = 0;
    ntmm_handle section;
    make_image(&pe);
    ntmm_handle file = file_of(pe.bytes, pe.size_bytes, 0);
    trace_label("image: create");
    MUST(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, NULL,
                             NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file));
    trace_label("image: map");
    assert_true(NTMM_SUCCEEDED(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0,
                                                        NULL, &bytes, 1, 0, NTMM_PAGE_READONLY)));
    trace_label("image: faults");
    for (uint32_t page = 0; page <= CODE_PAGES; page++)
        (void)must_read(m, base + page * PAGE);
    trace_label("image: unmap and close");
    MUST(ntmm_unmap_view_of_section(m->system, m->process, base, 0));
    MUST(ntmm_close_section(m->system, section));
    MUST(ntmm_close_file(m->system, file));
}

static void use_large_pages(void)
{
    trace_label("large pages: allocate");
    MUST(try_allocate(m, BASE, size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                      NTMM_PAGE_READWRITE));
    trace_label("large pages: release");
    must_release(m, BASE, 0);
}

static void use_processes(void)
{
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION};
    ntmm_handle child, job;
    must_allocate(m, BASE, size, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, size);
    trace_label("clone a process");
    MUST(ntmm_clone_process(m->system, m->process, &config, &child));
    trace_label("a job");
    MUST(ntmm_create_job(m->system, &job));
    MUST(ntmm_assign_process_to_job(m->system, job, child));
    MUST(ntmm_close_job(m->system, job));
    trace_label("balance set manager");
    for (unsigned i = 0; i < 64; i++)
        ntmm_balance_set_manager(m->system);
    trace_label("shrink a working set");
    MUST(ntmm_set_working_set_limits(m->system, m->process, 50 * PAGE, 100 * PAGE, 0));
    trace_label("zero free pages");
    (void)ntmm_zero_free_pages(m->system, UINT64_MAX);
    trace_label("end a process");
    MUST(ntmm_end_process(m->system, child));
    must_release(m, BASE, size);
}

/* Processors keep frames apart, as once somebody has waited for the node. */
static void use_caches(void)
{
    struct call c = machine_call(m);
    caches_begin(&c);
    must_allocate(m, BASE, size, NTMM_PAGE_READWRITE);
    trace_label("caches of frames: faults");
    must_fill(m, BASE, size);
    trace_label("caches of frames: decommit, page by page");
    for (uint64_t at = 0; at < size; at += PAGE)
        must_decommit(m, BASE + at, PAGE);
    trace_label("caches of frames: query memory");
    (void)machine_memory(m);
    must_release(m, BASE, 0);
}

static void run_all(void **state)
{
    static const char *const names[6] = {"page section: create", "page section: map",
                                         "page section: faults", "page section: flush",
                                         "page section: unmap",  "page section: close"};
    (void)state;
    add_page_file();
    use_private_memory();
    use_many_regions();
    use_write_watch();
    use_physical_pages();
    use_section(0, names);
    use_file();
    use_image();
    use_large_pages();
    use_processes();
    use_caches();
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_all)};
    if (count != 3)
        return 2;
    size = strtoull(arguments[1], NULL, 10) * PAGE;
    frames = calloc(size / PAGE, sizeof *frames);
    trace_label("set-up");
    struct machine_setup setup = {
        .hardware = {.ram_bytes = strtoull(arguments[2], NULL, 10) * MIB}};
    m = machine_open(&setup);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trace_print();
    exit(failed);
}
