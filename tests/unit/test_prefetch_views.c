/*
 * Prefetch of what views show: to standby as pages of the section, in large reads, whatever this
 * view grants, into no working set. Expectations: nt_semantics 3.7.
 */
#include "mapped_file_fixture.h"

#include "base/instance.h"
#include "pe_file.h"
#include "pe_flat.h"

#include "paging/page_out.h"

#include <ntmm/statistics.h>
#include <ntmm/working_set.h>

static void open_fixture(struct fixture *f, uint64_t ram, uint64_t pages, uint32_t build)
{
    begin_fixture(f, ram, pages, (struct ntmm_config){.windows_build = build});
}

static void finish_transfers(struct fixture *f)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(f->w.emu);
    for (uint32_t i = 0; i < 200; i++)
        platform->pump(platform->context);
}

static void prefetch(struct fixture *f, uint64_t base, uint64_t size, uint32_t flags)
{
    const struct ntmm_memory_range_entry range = {base, size};
    check_ok(ntmm_set_information_virtual_memory(
        f->w.system, f->process, NTMM_VM_PREFETCH_INFORMATION, 1, &range, &flags, sizeof flags));
    check_world(&f->w);
    finish_transfers(f);
    check_world(&f->w);
}

static uint64_t counter(struct fixture *f, enum ntmm_counter which)
{
    uint64_t values[NTMM_COUNTER_COUNT];
    ntmm_query_counters(f->w.system, values, NTMM_COUNTER_COUNT);
    return values[which];
}

static void expect_pattern(struct fixture *f, uint64_t base, uint64_t first, uint64_t pages)
{
    for (uint64_t page = first; page < first + pages; page++) {
        uint8_t byte;
        check_ok(ntmm_emulated_load(f->w.emu, 0, base + page * PAGE + 3, &byte, 1, NULL, NULL));
        assert_int_equal(byte, pattern(page * PAGE + 3));
    }
}

static uint64_t on_standby(struct fixture *f)
{
    struct ntmm_memory_information m;
    ntmm_query_memory(f->w.system, &m);
    uint64_t pages = 0;
    for (uint32_t i = 0; i < 8; i++)
        pages += m.standby_pages[i];
    return pages;
}

/* 600 pages in 1 MiB a read, no table of two at once: 256, 256, 88. */
static void file_pages_come_in_large_reads(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 64 * MIB, 600, 0);
    uint64_t reads = counter(&f, NTMM_COUNTER_PAGE_READS);
    uint64_t set = about(&f.w, f.process).working_set_pages;
    prefetch(&f, f.base, 600 * PAGE, 0);
    assert_int_equal(counter(&f, NTMM_COUNTER_PAGE_READS) - reads, 3);
    assert_int_equal(about(&f.w, f.process).working_set_pages, set);
    assert_int_equal(on_standby(&f), 600);
    uint64_t hard = counter(&f, NTMM_COUNTER_HARD_FAULTS);
    uint64_t soft = counter(&f, NTMM_COUNTER_TRANSITION_FAULTS);
    expect_pattern(&f, f.base, 0, 600);
    assert_int_equal(counter(&f, NTMM_COUNTER_HARD_FAULTS), hard);
    assert_int_equal(counter(&f, NTMM_COUNTER_TRANSITION_FAULTS) - soft, 600);
    assert_int_equal(counter(&f, NTMM_COUNTER_PAGE_READS) - reads, 3);
    prefetch(&f, f.base, 600 * PAGE, 0); /* all is there */
    assert_int_equal(counter(&f, NTMM_COUNTER_PAGE_READS) - reads, 3);
    close_fixture(&f);
}

/* Only what was asked for, whatever the view grants; what is not mapped is passed over. */
static void access_does_not_matter(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t old;
    open_fixture(&f, 16 * MIB, 40, 0);
    uint64_t base = f.base + 4 * PAGE, size = 4 * PAGE;
    check_ok(
        ntmm_protect_virtual_memory(f.w.system, f.process, &base, &size, NTMM_PAGE_NOACCESS, &old));
    base = f.base + 8 * PAGE;
    check_ok(ntmm_protect_virtual_memory(f.w.system, f.process, &base, &size,
                                         NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD, &old));
    prefetch(&f, f.base + 4 * PAGE, 8 * PAGE, 0);
    assert_int_equal(on_standby(&f), 8);
    assert_int_equal(query(&f.w, f.process, f.base + 8 * PAGE).protect,
                     NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    prefetch(&f, 0, UINT64_MAX, 0);
    assert_int_equal(on_standby(&f), 40);
    check_ok(
        ntmm_protect_virtual_memory(f.w.system, f.process, &base, &size, NTMM_PAGE_READONLY, &old));
    uint64_t hard = counter(&f, NTMM_COUNTER_HARD_FAULTS);
    expect_pattern(&f, f.base, 8, 32);
    assert_int_equal(counter(&f, NTMM_COUNTER_HARD_FAULTS), hard);
    close_fixture(&f);
}

/* Copies of a view come from the page file, as do pages of sections of page files. */
static void what_lies_in_page_files_comes_too(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16 * MIB, 8, 0);
    (void)add_page_file(&f.w, 4 * MIB);
    ntmm_handle pages = make_section(&f.w, 64 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t shared = map(&f.w, pages, f.process, NTMM_PAGE_READWRITE);
    uint64_t copy = map(&f.w, f.section, f.process, NTMM_PAGE_WRITECOPY);
    for (uint8_t i = 0; i < 64; i++)
        check_ok(ntmm_emulated_store(f.w.emu, 0, shared + i * PAGE, &i, 1, NULL, NULL));
    for (uint8_t i = 0; i < 4; i++)
        check_ok(ntmm_emulated_store(f.w.emu, 0, copy + i * PAGE, &i, 1, NULL, NULL));
    for (uint32_t i = 0; i < 3; i++) { /* pages, then tables */
        check_ok(ntmm_memory_list_command(f.w.system, f.process, NTMM_MEMORY_EMPTY_WORKING_SETS));
        check_ok(ntmm_memory_list_command(f.w.system, f.process, NTMM_MEMORY_FLUSH_MODIFIED_LIST));
        finish_transfers(&f);
        check_ok(ntmm_memory_list_command(f.w.system, f.process, NTMM_MEMORY_PURGE_STANDBY_LIST));
    }
    check_world(&f.w);
    assert_int_equal(on_standby(&f), 0);
    prefetch(&f, shared, 64 * PAGE, 0);
    assert_int_equal(on_standby(&f), 64);
    prefetch(&f, copy, 8 * PAGE, 0);
    uint64_t hard = counter(&f, NTMM_COUNTER_HARD_FAULTS);
    for (uint8_t i = 0; i < 64; i++) {
        uint8_t byte;
        check_ok(ntmm_emulated_load(f.w.emu, 0, shared + i * PAGE, &byte, 1, NULL, NULL));
        assert_int_equal(byte, i);
        if (i < 4) {
            check_ok(ntmm_emulated_load(f.w.emu, 0, copy + i * PAGE, &byte, 1, NULL, NULL));
            assert_int_equal(byte, i);
        }
    }
    assert_int_equal(counter(&f, NTMM_COUNTER_HARD_FAULTS), hard);
    unmap(&f.w, f.process, shared);
    unmap(&f.w, f.process, copy);
    close_section(&f.w, pages);
    close_fixture(&f);
}

static void pages_may_go_into_the_working_set(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t old;
    open_fixture(&f, 16 * MIB, 20, 26100);
    uint64_t base = f.base + PAGE, size = PAGE;
    check_ok(
        ntmm_protect_virtual_memory(f.w.system, f.process, &base, &size, NTMM_PAGE_NOACCESS, &old));
    uint64_t set = about(&f.w, f.process).working_set_pages;
    prefetch(&f, f.base, 20 * PAGE, NTMM_PREFETCH_TO_WORKING_SET);
    assert_int_equal(about(&f.w, f.process).working_set_pages, set + 19);
    close_fixture(&f);
}

static void store(struct fixture *f, uint64_t va, uint64_t value)
{
    check_ok(ntmm_emulated_store(f->w.emu, 0, va, &value, sizeof value, NULL, NULL));
}

static void expect(struct fixture *f, uint64_t va, uint64_t expected)
{
    uint64_t value = ~expected;
    check_ok(ntmm_emulated_load(f->w.emu, 0, va, &value, sizeof value, NULL, NULL));
    assert_int_equal(value, expected);
}

/* Private pages behind a span without a table; a view, some pages of which are in memory; one with
 * a copy of its own; one of a section that is committed in part. What has contents comes, the rest
 * stays what it was. */
static void pages_of_all_kinds_come(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16 * MIB, 20, 26100);
    (void)add_page_file(&f.w, 4 * MIB);
    uint64_t base = 0x40000000, size = 4 * MIB, at;
    check_ok(ntmm_allocate_virtual_memory(f.w.system, f.process, &base, 0, &size,
                                          NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    uint64_t copy = map(&f.w, f.section, f.process, NTMM_PAGE_WRITECOPY);
    ntmm_handle reserved = make_section(&f.w, 8 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_RESERVE, 0);
    uint64_t part = map(&f.w, reserved, f.process, NTMM_PAGE_READWRITE);
    at = part + 2 * PAGE;
    size = 2 * PAGE;
    check_ok(ntmm_allocate_virtual_memory(f.w.system, f.process, &at, 0, &size, NTMM_MEM_COMMIT,
                                          NTMM_PAGE_READWRITE));
    store(&f, base + 2 * MIB + PAGE, 11);
    store(&f, copy + 3 * PAGE, 12);
    store(&f, part + 2 * PAGE, 13);
    page_out_everything(f.w.emu);
    check_world(&f.w);
    expect_pattern(&f, f.base, 7, 1);
    expect_pattern(&f, f.base, 15, 1);
    prefetch(&f, 0, UINT64_MAX, NTMM_PREFETCH_TO_WORKING_SET);
    uint64_t hard = counter(&f, NTMM_COUNTER_HARD_FAULTS);
    uint64_t soft = counter(&f, NTMM_COUNTER_TRANSITION_FAULTS);
    uint64_t zero = counter(&f, NTMM_COUNTER_DEMAND_ZERO_FAULTS);
    expect(&f, base + 2 * MIB + PAGE, 11);
    expect(&f, copy + 3 * PAGE, 12);
    expect(&f, part + 2 * PAGE, 13);
    expect_pattern(&f, f.base, 0, 20);
    expect_pattern(&f, copy, 4, 16);
    assert_int_equal(counter(&f, NTMM_COUNTER_HARD_FAULTS), hard);
    assert_int_equal(counter(&f, NTMM_COUNTER_TRANSITION_FAULTS), soft);
    assert_int_equal(counter(&f, NTMM_COUNTER_DEMAND_ZERO_FAULTS), zero);
    expect(&f, base + 2 * MIB, 0); /* had none: it came now */
    assert_int_equal(counter(&f, NTMM_COUNTER_DEMAND_ZERO_FAULTS), zero + 1);
    expect(&f, part + 3 * PAGE, 0);
    assert_int_equal(query(&f.w, f.process, part).state, NTMM_MEM_RESERVE);
    unmap(&f.w, f.process, copy);
    unmap(&f.w, f.process, part);
    close_section(&f.w, reserved);
    close_fixture(&f);
}

/* A file larger than memory: one call reads no more than there was room for. */
static void a_prefetch_ends_where_memory_does(void **state)
{
    (void)state;
    struct fixture f;
    struct ntmm_memory_information m;
    open_fixture(&f, 4 * MIB, 8192, 0);
    ntmm_query_memory(f.w.system, &m);
    uint64_t available = m.zeroed_pages + m.free_pages + on_standby(&f);
    uint64_t before = about(&f.w, f.process).counters[NTMM_COUNTER_PAGES_READ];
    prefetch(&f, f.base, 8192 * PAGE, 0);
    uint64_t pages = about(&f.w, f.process).counters[NTMM_COUNTER_PAGES_READ] - before;
    assert_in_range(pages, available / 2, available + 256);
    expect_pattern(&f, f.base, 0, 40);
    close_fixture(&f);
}

/* Reads fail one after the other, frames too: the call succeeds, and what is touched is right. */
static void failures_are_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 16 * MIB, 600, 0);
    for (uint64_t count = 1; count <= 4; count++) {
        const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                         .count = count,
                                                         .status = NTMM_STATUS_DEVICE_DATA_ERROR};
        check_ok(ntmm_emulated_inject_disk(f.w.emu, f.device, &errors));
        prefetch(&f, f.base, 600 * PAGE, 0);
        check_ok(ntmm_emulated_inject_disk(f.w.emu, f.device, NULL));
        const uint64_t lost[] = {0, 256, 512, 600, 600};
        assert_int_equal(on_standby(&f), 600 - lost[count]);
        check_ok(ntmm_memory_list_command(f.w.system, f.process, NTMM_MEMORY_PURGE_STANDBY_LIST));
    }
    for (uint64_t after = 0; after < 12; after++) {
        f.w.system->failures = (struct allocation_failures){.after = after, .count = UINT64_MAX};
        prefetch(&f, f.base, 600 * PAGE, 0);
        f.w.system->failures = (struct allocation_failures){0};
        check_ok(ntmm_memory_list_command(f.w.system, f.process, NTMM_MEMORY_PURGE_STANDBY_LIST));
        check_world(&f.w);
    }
    expect_pattern(&f, f.base, 0, 600);
    close_fixture(&f);
}

/* Pages of an image are what they are when faulted: relocated for all. */
static void image_pages_are_relocated(void **state)
{
    (void)state;
    struct fixture f;
    struct pe_file pe = {0};
    struct image image;
    uint8_t directory[64];
    uint64_t base = 0, size = 0;
    open_fixture(&f, 16 * MIB, 4, 0);
    pe_make(&pe, true);
    pe_add_relocations(&pe, 0x160);
    ntmm_handle file = open_contents(&f.w, pe.bytes, pe.size_bytes);
    ntmm_handle section = make_section(&f.w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    check_ok(ntmm_map_view_of_section(f.w.system, section, f.process, &base, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY));
    prefetch(&f, base, size, 0);
    uint64_t hard = counter(&f, NTMM_COUNTER_HARD_FAULTS);
    struct image_source source = pe_source(&pe);
    check_ok(pe_parse(&pe, &image));
    check_ok(
        image_read_rva(&source, &image, image.relocation_rva, directory, image.relocation_bytes));
    uint8_t *flat = calloc(image.image_pages, PAGE);
    assert_non_null(flat);
    check_ok(pe_flat_image(&source, &image, directory, base, flat));
    for (uint32_t page = 0; page < image.image_pages; page++) {
        uint8_t bytes[4096];
        check_ok(ntmm_emulated_load(f.w.emu, 0, base + page * PAGE, bytes, PAGE, NULL, NULL));
        assert_memory_equal(bytes, flat + page * PAGE, PAGE);
    }
    free(flat);
    assert_int_equal(counter(&f, NTMM_COUNTER_HARD_FAULTS), hard);
    unmap(&f.w, f.process, base);
    close_section(&f.w, section);
    close_file(&f.w, file);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_pages_come_in_large_reads),
        cmocka_unit_test(access_does_not_matter),
        cmocka_unit_test(what_lies_in_page_files_comes_too),
        cmocka_unit_test(pages_may_go_into_the_working_set),
        cmocka_unit_test(pages_of_all_kinds_come),
        cmocka_unit_test(a_prefetch_ends_where_memory_does),
        cmocka_unit_test(failures_are_passed_over),
        cmocka_unit_test(image_pages_are_relocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
