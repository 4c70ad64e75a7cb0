/*
 * Maps PE files through the whole library and reads them through their views.
 *
 *   image_map [--ram MEBIBYTES] FILE...               pages of each, as a processor loads them
 *   image_map [--ram MEBIBYTES] --share PROCESSES FILE...
 *   image_map [--ram MEBIBYTES] --mutate COUNT --seed NUMBER FILE...
 *
 * Prints a line of JSON a file: statuses of the section and of the view, the base, and the CRC-32
 * (zlib's) of every page, null for one that cannot be read. Each is read twice, in order and
 * backwards, all pages repurposed in between; there is memory for a part of a large image only.
 *
 * With --share so many processes map all files, and each page has one frame in all of them.
 *
 * With --mutate it spoils COUNT files drawn from those named, maps what can be mapped, touches the
 * pages, and prints how often each status was seen. It ends with status 3 at the first page, check
 * or teardown that is not as it should be.
 */
#include "image_map.h"

#include "crc32.h"

#include <ntmm/inspect.h>
#include <ntmm/working_set.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNREADABLE UINT64_MAX

void must(bool is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "image_map: %s\n", what);
        exit(3);
    }
}

/* --- a machine with one process --- */

void machine_open(struct machine *m, uint64_t ram_bytes)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = ram_bytes};
    /* copies of large images are charged, and there is no page file */
    const struct ntmm_config system = {
        .size = sizeof system, .version = NTMM_CONFIG_VERSION, .extra_commit_pages = 0x10000};
    must(ntmm_emulated_create(&config, &m->emu) == 0, "no machine");
    must(ntmm_emulated_create_system(m->emu, &system, &m->system) == 0, "no system");
    must(ntmm_create_process(m->system, NULL, &m->process) == 0, "no process");
    must(ntmm_emulated_attach(m->emu, 0, m->process) == 0, "no processor");
}

void machine_check(struct machine *m)
{
    struct ntmm_check_report report = {0};
    size_t size = ntmm_check_scratch_size(m->system);
    void *scratch = malloc(size);
    must(scratch != NULL, "out of memory");
    ntmm_status status =
        ntmm_check_with_storage(m->system, scratch, size, ntmm_emulated_read_disk, m->emu, &report);
    free(scratch);
    must(status == NTMM_STATUS_SUCCESS, report.invariant);
}

void machine_close(struct machine *m)
{
    struct ntmm_teardown left;
    must(ntmm_end_process(m->system, m->process) == 0, "the process does not end");
    machine_check(m);
    ntmm_emulated_destroy(m->emu, &left);
    must(left.lost_pages == 0 && left.outstanding_commit == 0 && left.live_objects == 0 &&
             left.waiters == 0,
         "something is left at the end");
}

ntmm_status machine_map(struct machine *m, const struct ntmm_emulated_file_config *config,
                        struct view *view)
{
    struct ntmm_file_config file = {.size = sizeof file, .version = NTMM_FILE_CONFIG_VERSION};
    *view = (struct view){.map_status = NTMM_STATUS_UNSUCCESSFUL};
    must(ntmm_emulated_add_file(m->emu, config, &file.device, &file.size_bytes) == 0, "no file");
    file.valid_bytes = file.size_bytes;
    must(ntmm_create_file(m->system, &file, NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE, &view->file) ==
             0,
         "no file");
    view->status = ntmm_create_section(m->system, &view->section, NTMM_SECTION_ALL_ACCESS, NULL,
                                       NULL, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, view->file);
    if (NTMM_SUCCEEDED(view->status))
        view->map_status =
            ntmm_map_view_of_section(m->system, view->section, m->process, &view->base, 0, 0, NULL,
                                     &view->size_bytes, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY);
    return view->status;
}

void machine_unmap(struct machine *m, struct view *view)
{
    if (NTMM_SUCCEEDED(view->map_status))
        must(ntmm_unmap_view_of_section(m->system, m->process, view->base, 0) == 0, "unmap");
    if (NTMM_SUCCEEDED(view->status))
        must(ntmm_close_section(m->system, view->section) == 0, "close of the section");
    must(ntmm_close_file(m->system, view->file) == 0, "close of the file");
}

/* --- pages --- */

/* The CRC of a page as a processor loads it, or UNREADABLE. */
static uint64_t load_page(struct machine *m, uint64_t va)
{
    uint8_t page[NTMM_PAGE_SIZE];
    for (uint32_t at = 0; at < NTMM_PAGE_SIZE; at += 64) {
        ntmm_status status = ntmm_emulated_load(m->emu, 0, va + at, page + at, 64, NULL, NULL);
        if (status == NTMM_STATUS_ACCESS_VIOLATION && at == 0)
            return UNREADABLE;
        must(status == NTMM_STATUS_SUCCESS, "a page cannot be read");
    }
    return crc32_of(page, sizeof page);
}

static void drop_pages(struct machine *m)
{
    must(ntmm_empty_working_set(m->system, m->process) == 0, "trimming");
    must(ntmm_memory_list_command(m->system, m->process, NTMM_MEMORY_PURGE_STANDBY_LIST) == 0,
         "purging");
}

static void print_pages(struct machine *m, const struct view *view)
{
    uint64_t pages = view->size_bytes / NTMM_PAGE_SIZE;
    uint64_t *crc = calloc((size_t)pages + 1, sizeof *crc);
    must(crc != NULL, "out of memory");
    for (uint64_t i = 0; i < pages; i++)
        crc[i] = load_page(m, view->base + i * NTMM_PAGE_SIZE);
    drop_pages(m);
    for (uint64_t i = pages; i-- > 0;)
        must(load_page(m, view->base + i * NTMM_PAGE_SIZE) == crc[i], "a page came back different");
    printf(", \"base\": %" PRIu64 ", \"crc\": [", view->base);
    for (uint64_t i = 0; i < pages; i++) {
        if (crc[i] == UNREADABLE)
            printf("%snull", i ? ", " : "");
        else
            printf("%s%" PRIu64, i ? ", " : "", crc[i]);
    }
    printf("]");
    free(crc);
}

static void show(const char *path, uint64_t ram_bytes)
{
    const struct ntmm_emulated_file_config config = {.size = sizeof config,
                                                     .version = NTMM_EMULATED_FILE_VERSION,
                                                     .path = path,
                                                     .flags = NTMM_EMULATED_FILE_READ_ONLY};
    uint64_t counters[NTMM_COUNTER_COUNT];
    struct machine m;
    struct view view;
    machine_open(&m, ram_bytes);
    (void)machine_map(&m, &config, &view);
    printf("{\"status\": %" PRIu32 ", \"map_status\": %" PRIu32, view.status, view.map_status);
    if (NTMM_SUCCEEDED(view.map_status)) {
        print_pages(&m, &view);
        ntmm_query_counters(m.system, counters, NTMM_COUNTER_COUNT);
        printf(", \"repurposed\": %" PRIu64, counters[NTMM_COUNTER_PAGES_REPURPOSED]);
    }
    printf("}\n");
    machine_check(&m);
    machine_unmap(&m, &view);
    machine_close(&m);
}

int main(int count, char **arguments)
{
    uint64_t ram_bytes = 2ull << 20, seed = 1;
    uint32_t mutations = 0, sharers = 0;
    int first = 1;
    for (; first + 1 < count && arguments[first][0] == '-'; first += 2) {
        uint64_t value = strtoull(arguments[first + 1], NULL, 0);
        if (strcmp(arguments[first], "--ram") == 0)
            ram_bytes = value << 20;
        else if (strcmp(arguments[first], "--mutate") == 0)
            mutations = (uint32_t)value;
        else if (strcmp(arguments[first], "--share") == 0)
            sharers = (uint32_t)value;
        else if (strcmp(arguments[first], "--seed") == 0)
            seed = value;
        else
            break;
    }
    if (first >= count || arguments[first][0] == '-') {
        fputs(
            "usage: image_map [--ram MEBIBYTES] [--share PROCESSES | --mutate COUNT --seed NUMBER] "
            "FILE...\n",
            stderr);
        return 2;
    }
    if (mutations)
        mutate_files(arguments + first, (uint32_t)(count - first), mutations, seed, ram_bytes);
    if (sharers)
        share_files(arguments + first, (uint32_t)(count - first), sharers, ram_bytes);
    for (int i = first; i < count && !mutations && !sharers; i++)
        show(arguments[i], ram_bytes);
    return 0;
}
