/*
 * The operations of operations.c on ntmm, beside what they cost under Wine, where it is installed.
 * For orientation only: Wine asks the host's kernel for each of them, and its processes have real
 * pages. Both sides are timed on the wall; Wine's rounds are those that windows/program.c prints.
 */
#include "operations.h"
#include "world.h"

#include <ntmm/section.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM_BYTES (32u * 1024 * 1024)
#define SMOKE_CALLS 20u
#define WATCH_ROOM 64u
#define COMMAND_BYTES 4096u

static struct world world; /* the operations take no context */

void nt_must(int is_true) { bench_must(is_true, "an operation gave another result"); }

uint64_t nt_allocate(uint64_t base, uint64_t size_bytes, uint32_t type)
{
    return world_allocate(&world, base, size_bytes, type);
}

void nt_free(uint64_t base, uint64_t size_bytes, uint32_t type)
{
    bench_must(ntmm_free_virtual_memory(world.system, world.process, &base, &size_bytes, type) ==
                   NTMM_STATUS_SUCCESS,
               "a free failed");
}

void nt_protect(uint64_t base, uint64_t size_bytes, uint32_t protect)
{
    uint32_t old;
    bench_must(ntmm_protect_virtual_memory(world.system, world.process, &base, &size_bytes, protect,
                                           &old) == NTMM_STATUS_SUCCESS,
               "a change of protection failed");
}

uint64_t nt_query(uint64_t address)
{
    struct ntmm_memory_basic_information found;
    bench_must(ntmm_query_virtual_memory(world.system, world.process, address, &found) ==
                   NTMM_STATUS_SUCCESS,
               "a query failed");
    return found.region_size;
}

uint64_t nt_take_write_watch(uint64_t base, uint64_t size_bytes, uint64_t room)
{
    uint64_t addresses[WATCH_ROOM], count = room;
    uint32_t granularity;
    bench_must(ntmm_get_write_watch(world.system, world.process, NTMM_WRITE_WATCH_FLAG_RESET, base,
                                    size_bytes, addresses, &count,
                                    &granularity) == NTMM_STATUS_SUCCESS,
               "a write watch failed");
    return count;
}

uint64_t nt_create_section(uint64_t size_bytes)
{
    ntmm_handle section;
    bench_must(ntmm_create_section(world.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                   &size_bytes, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT,
                                   0) == NTMM_STATUS_SUCCESS,
               "no section");
    return section;
}

void nt_close_section(uint64_t section)
{
    bench_must(ntmm_close_section(world.system, section) == NTMM_STATUS_SUCCESS,
               "a section was not closed");
}

uint64_t nt_map_view(uint64_t section, uint32_t protect)
{
    uint64_t base = 0, size = 0;
    bench_must(ntmm_map_view_of_section(world.system, section, world.process, &base, 0, 0, NULL,
                                        &size, NTMM_VIEW_UNMAP, 0, protect) == NTMM_STATUS_SUCCESS,
               "no view");
    return base;
}

void nt_unmap_view(uint64_t base)
{
    bench_must(ntmm_unmap_view_of_section(world.system, world.process, base, 0) ==
                   NTMM_STATUS_SUCCESS,
               "a view was not unmapped");
}

void nt_touch(uint64_t address) { world_touch(&world, address, 1); }

uint64_t nt_clock_ns(void) { return bench_clock_ns(); }

struct subject {
    const struct operation *operation;
    uint32_t calls;
};

static double ours(void *context)
{
    const struct subject *s = context;
    return (double)s->operation->run(s->calls) / s->calls;
}

/* Whether Wine and the program are there; NULL, or what is missing. */
static const char *missing_of(const struct bench *b)
{
    if (b->wine_path == NULL || access(b->wine_path, X_OK) != 0)
        return "no Wine (--wine FILE)";
    if (access(b->operations_path, R_OK) != 0)
        return "operations.exe was not built: there is no mingw-w64";
    return NULL;
}

/* Wine wants a home of its own, with an absolute path, no display, and silence. */
static FILE *start_wine(const struct bench *b)
{
    char command[COMMAND_BYTES], calls[16] = "";
    char *folder = realpath(b->disk_path, NULL);
    bench_must(folder != NULL, "the folder of the files is not there");
    if (b->is_smoke)
        snprintf(calls, sizeof calls, "%u", SMOKE_CALLS);
    int length =
        snprintf(command, sizeof command,
                 "h='%s/wine-home'; mkdir -p \"$h\" && export HOME=\"$h\" WINEPREFIX=\"$h/prefix\" "
                 "WINEDEBUG=-all WINEDLLOVERRIDES='mscoree=;mshtml=' && unset DISPLAY && "
                 "'%s' cmd /c exit </dev/null >/dev/null 2>&1; '%s' '%s' %s </dev/null 2>/dev/null",
                 folder, b->wine_path, b->wine_path, b->operations_path, calls);
    free(folder);
    bench_must(length > 0 && (size_t)length < sizeof command, "a path is too long");
    return popen(command, "r");
}

static void keep_round(struct bench_figure *figure, double ns)
{
    if (figure->host.count < BENCH_ROUNDS_MAX)
        figure->host.values[figure->host.count++] = ns;
}

static void read_wine(const struct bench *b, struct bench_figure *const figures[OPERATION_COUNT])
{
    unsigned number;
    unsigned long long picoseconds;
    FILE *wine = start_wine(b);
    bench_must(wine != NULL, "Wine cannot be started");
    while (fscanf(wine, "%u %llu", &number, &picoseconds) == 2) {
        bench_must(number < OPERATION_COUNT, "operations.exe speaks of other operations");
        keep_round(figures[number], (double)picoseconds / 1000);
    }
    bool is_whole = pclose(wine) == 0;
    for (unsigned i = 0; i < OPERATION_COUNT; i++) {
        if (is_whole)
            snprintf(figures[i]->host_name, sizeof figures[i]->host_name, "Wine");
        else
            figures[i]->host.count = 0;
    }
    bench_note(figures[0], is_whole ? "the rows of NT: time on the wall; Wine's rounds follow ours"
                                    : "operations.exe failed under Wine");
}

void bench_wine(struct bench *b)
{
    struct bench_figure *figures[OPERATION_COUNT];
    const char *missing = missing_of(b);

    for (unsigned i = 0; i < OPERATION_COUNT; i++) {
        struct subject subject = {&operations[i], b->is_smoke ? SMOKE_CALLS : operations[i].calls};
        figures[i] = bench_add(b, "ns", "NT: %s", operations[i].name);
        world_open(&world, RAM_BYTES);
        bench_run(b, figures[i], ours, NULL, NULL, &subject);
        world_close(&world);
    }
    if (missing)
        bench_note(figures[0], "nothing to compare with: %s", missing);
    else
        read_wine(b, figures);
}
