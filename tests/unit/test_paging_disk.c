/*
 * A page written out lies on the device: found through the entry that names its slot, by who knows
 * nothing but the public contract and NT's format of a page file entry (file in bits 15:12, slot in
 * bits 63:32), in the image of a simulated disk and in a file that the host reads.
 */
#define _GNU_SOURCE 1
#include "emulated_world.h"

#include <ntmm/paging.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RAM_BYTES (1 * MIB)
#define FILE_BYTES (2 * MIB)
/* More than RAM, so the first ones are out when the last ones were written. */
#define PAGE_COUNT 400u
#define ENTRY_VALID 1u

static void fill_page(unsigned char *bytes, uint32_t page)
{
    for (uint32_t i = 0; i < PAGE; i++)
        bytes[i] = (unsigned char)(page * 37 + i * 11 + (i >> 8));
}

static void add_page_file(struct world *w, const char *path, uint32_t expected_number)
{
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = FILE_BYTES,
        .path = path,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = FILE_BYTES};
    uint32_t number = UINT32_MAX;
    assert_int_equal(ntmm_emulated_add_disk(w->emu, &disk, &file.device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_create_paging_file(w->system, &file, &number), NTMM_STATUS_SUCCESS);
    assert_int_equal(number, expected_number);
}

static uint64_t write_pages(struct world *w, ntmm_handle process)
{
    unsigned char bytes[PAGE];
    uint64_t base = allocate(w, process, PAGE_COUNT * PAGE, NTMM_PAGE_READWRITE);
    attach(w, 0, process);
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        fill_page(bytes, page);
        assert_int_equal(
            ntmm_emulated_store(w->emu, 0, base + page * PAGE, bytes, PAGE, NULL, NULL),
            NTMM_STATUS_SUCCESS);
    }
    return base;
}

static void assert_in_image(struct world *w, uint64_t device, uint64_t slot, uint32_t page)
{
    unsigned char expected[PAGE];
    uint64_t size_bytes = 0;
    const unsigned char *image = ntmm_emulated_disk_image(w->emu, device, &size_bytes);
    assert_non_null(image);
    assert_true((slot + 1) * PAGE <= size_bytes);
    fill_page(expected, page);
    assert_memory_equal(image + slot * PAGE, expected, PAGE);
}

static void assert_in_host_file(const char *path, uint64_t slot, uint32_t page)
{
    unsigned char expected[PAGE];
    unsigned char found[PAGE];
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(pread(file, found, PAGE, (off_t)(slot * PAGE)), PAGE);
    (void)close(file);
    fill_page(expected, page);
    assert_memory_equal(found, expected, PAGE);
}

/* Device 0 is in memory, device 1 the file; both hold pages, each what its program stored. */
static void a_page_written_out_lies_in_its_slot_on_the_device(void **state)
{
    struct world w;
    struct ntmm_emulated_config machine = {.ram_bytes = RAM_BYTES};
    struct ntmm_explanation e;
    uint32_t found[2] = {0, 0};
    char path[] = "page_file_XXXXXX";
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    (void)close(file);
    make_world(&w, machine, 0);
    add_page_file(&w, NULL, 0);
    add_page_file(&w, path, 1);
    ntmm_handle process = make_process(&w);
    uint64_t base = write_pages(&w, process);
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        assert_int_equal(ntmm_explain(w.system, process, base + page * PAGE, &e),
                         NTMM_STATUS_SUCCESS);
        uint64_t entry = e.entry[0];
        if (e.stopped_level != 1 || e.has_frame || (entry & ENTRY_VALID) || entry >> 32 == 0)
            continue;
        uint32_t number = (uint32_t)(entry >> 12 & 15);
        assert_in_range(number, 0, 1);
        found[number]++;
        if (number == 0)
            assert_in_image(&w, 0, entry >> 32, page);
        else
            assert_in_host_file(path, entry >> 32, page);
    }
    assert_true(found[0] > 0 && found[1] > 0);
    assert_true(found[0] + found[1] >= PAGE_COUNT - RAM_BYTES / PAGE);
    assert_int_equal(ntmm_end_process(w.system, process), NTMM_STATUS_SUCCESS);
    end_world(&w);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_written_out_lies_in_its_slot_on_the_device),
    };
    return cmocka_run_group_tests_name("paging_disk", tests, NULL, NULL);
}
