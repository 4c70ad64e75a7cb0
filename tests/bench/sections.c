/*
 * Sections beside the host's shared mappings of as many bytes.
 *
 *   a life       create, map, touch each page, unmap, close; the host: memfd, mmap, touch, munmap,
 *                close
 *   a file       map, read a word of each page, unmap, of a file that is in memory already; the
 *                host: the same of a memfd
 *
 * Reads and stores of ours are an emulated processor's.
 */
#include "world.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#include <sys/mman.h>
#include <unistd.h>

#define LAPS 200u

struct sections {
    struct world world;
    uint64_t pages;
    uint64_t laps;
    ntmm_handle file_section;
    int host_file;
};

static uint64_t bytes_of(const struct sections *s) { return s->pages * NTMM_PAGE_SIZE; }

static ntmm_handle make_section(struct sections *s, uint64_t bytes, ntmm_handle file)
{
    ntmm_handle section;
    bench_must(ntmm_create_section(s->world.system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                   NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT,
                                   file) == NTMM_STATUS_SUCCESS,
               "no section");
    return section;
}

static uint64_t map(struct sections *s, ntmm_handle section)
{
    uint64_t base = 0, size = 0;
    bench_must(ntmm_map_view_of_section(s->world.system, section, s->world.process, &base, 0, 0,
                                        NULL, &size, NTMM_VIEW_SHARE, 0,
                                        NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS,
               "no view");
    return base;
}

static void unmap(struct sections *s, uint64_t base)
{
    bench_must(ntmm_unmap_view_of_section(s->world.system, s->world.process, base, 0) ==
                   NTMM_STATUS_SUCCESS,
               "no unmapping");
}

static double ours_life(void *context)
{
    struct sections *s = context;
    uint64_t elapsed = 0;
    for (uint64_t lap = 0; lap < s->laps; lap++) {
        uint64_t begin = bench_now_ns();
        ntmm_handle section = make_section(s, bytes_of(s), 0);
        uint64_t base = map(s, section);
        world_touch(&s->world, base, s->pages);
        unmap(s, base);
        bench_must(ntmm_close_section(s->world.system, section) == NTMM_STATUS_SUCCESS, "close");
        elapsed += bench_now_ns() - begin;
        world_zero_frames(&s->world);
    }
    return (double)elapsed / (double)s->laps;
}

static volatile uint8_t *map_host(const struct sections *s, int file)
{
    void *memory = mmap(NULL, bytes_of(s), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    bench_must(memory != MAP_FAILED, "mmap failed");
    return memory;
}

static int make_host_file(const struct sections *s)
{
    int file = memfd_create("ntmm-bench", 0);
    bench_must(file >= 0 && ftruncate(file, (off_t)bytes_of(s)) == 0, "no memfd");
    return file;
}

static double host_life(void *context)
{
    const struct sections *s = context;
    uint64_t begin = bench_now_ns();
    for (uint64_t lap = 0; lap < s->laps; lap++) {
        int file = make_host_file(s);
        volatile uint8_t *memory = map_host(s, file);
        for (uint64_t i = 0; i < bytes_of(s); i += NTMM_PAGE_SIZE)
            memory[i] = 1;
        munmap((void *)(uintptr_t)memory, bytes_of(s));
        close(file);
    }
    return (double)(bench_now_ns() - begin) / (double)s->laps;
}

static double ours_file(void *context)
{
    struct sections *s = context;
    uint64_t begin = bench_now_ns();
    for (uint64_t lap = 0; lap < s->laps; lap++) {
        uint64_t value, base = map(s, s->file_section);
        for (uint64_t i = 0; i < bytes_of(s); i += NTMM_PAGE_SIZE)
            bench_must(ntmm_emulated_load(s->world.emu, 0, base + i, &value, sizeof value, NULL,
                                          NULL) == NTMM_STATUS_SUCCESS,
                       "a load failed");
        unmap(s, base);
    }
    return (double)(bench_now_ns() - begin) / (double)s->laps;
}

static double host_file(void *context)
{
    const struct sections *s = context;
    uint64_t begin = bench_now_ns();
    for (uint64_t lap = 0; lap < s->laps; lap++) {
        volatile uint8_t *memory = map_host(s, s->host_file);
        for (uint64_t i = 0; i < bytes_of(s); i += NTMM_PAGE_SIZE)
            (void)memory[i];
        munmap((void *)(uintptr_t)memory, bytes_of(s));
    }
    return (double)(bench_now_ns() - begin) / (double)s->laps;
}

static ntmm_handle open_file(struct sections *s)
{
    const struct ntmm_emulated_file_config device = {
        .size = sizeof device, .version = NTMM_EMULATED_FILE_VERSION, .size_bytes = bytes_of(s)};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = bytes_of(s),
                                      .valid_bytes = bytes_of(s)};
    ntmm_handle file = 0;
    bench_must(ntmm_emulated_add_file(s->world.emu, &device, &config.device, NULL) ==
                       NTMM_STATUS_SUCCESS &&
                   ntmm_create_file(s->world.system, &config,
                                    NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA,
                                    &file) == NTMM_STATUS_SUCCESS,
               "no file");
    return file;
}

static void measure(struct bench *b, uint64_t pages)
{
    struct sections s = {.pages = pages, .laps = bench_scale(b, LAPS, 2)};
    unsigned kibibytes = (unsigned)(pages * NTMM_PAGE_SIZE >> 10);
    world_open(&s.world, 64ull << 20);
    world_zero_frames(&s.world);
    struct bench_figure *figure = bench_add(b, "ns", "section's life, touched, %u KiB", kibibytes);
    bench_run(b, figure, ours_life, "memfd, MAP_SHARED", host_life, &s);
    ntmm_handle file = open_file(&s);
    s.file_section = make_section(&s, 0, file);
    s.host_file = make_host_file(&s);
    figure = bench_add(b, "ns", "cached file: map, read, unmap, %u KiB", kibibytes);
    bench_run(b, figure, ours_file, "memfd, MAP_SHARED", host_file, &s);
    close(s.host_file);
    bench_must(ntmm_close_section(s.world.system, s.file_section) == NTMM_STATUS_SUCCESS &&
                   ntmm_close_file(s.world.system, file) == NTMM_STATUS_SUCCESS,
               "close");
    world_close(&s.world);
}

void bench_sections(struct bench *b)
{
    measure(b, 16);
    measure(b, 256);
}
