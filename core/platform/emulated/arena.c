/*
 * RAM: an arena of host memory, its frame ranges, its hash, its file.
 *
 *   physical   base_pa            hole_base_pa     + hole_bytes
 *              |   RAM            |   hole         |   RAM          |
 *   arena      0                                                    ram_bytes + hole_bytes
 *   file       header | RAM | RAM, the hole left out; pages that are zero are holes of the file
 *
 * An arena that is allocated here is congruent to its physical addresses modulo 2 MiB, so that the
 * host may back it with huge pages, and the host pages of its hole are inaccessible: touching them
 * is a fault of the core. For processors it is a bus error. The file is little-endian everywhere.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/file_bytes.h"
#include "platform/emulated/host.h"
#include "platform/emulated/machine.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAGIC UINT64_C(0x314d41524d4d544e) /* "NTMMRAM1" */
#define FILE_HEADER_BYTES 4096u

struct file_header {
    le64 magic;
    le64 ram_bytes;
    le64 base_pa;
    le64 hole_base_pa;
    le64 hole_bytes;
    le64 now_100ns;
    struct prng scheduler_prng;
    struct prng io_prng;
    struct prng entropy;
};

NTMM_STATIC_ASSERT(sizeof(struct file_header) <= FILE_HEADER_BYTES, "the header fits its page");

/* A run of RAM, without a hole. */
struct run {
    uint8_t *bytes;
    size_t size_bytes;
};

static bool is_aligned(uint64_t value) { return (value & (NTMM_PAGE_SIZE - 1)) == 0; }

static bool is_hole_inside(const struct ntmm_emulated_config *c)
{
    uint64_t end = c->base_pa + c->ram_bytes + c->hole_bytes;
    return c->hole_base_pa > c->base_pa && c->hole_base_pa < end &&
           end - c->hole_base_pa > c->hole_bytes;
}

static bool is_layout_valid(const struct ntmm_emulated_config *c)
{
    uint64_t limit = UINT64_C(1) << c->physical_address_bits;
    if (!is_aligned(c->ram_bytes | c->base_pa | c->hole_base_pa | c->hole_bytes))
        return false;
    if (c->ram_bytes == 0 || c->ram_bytes > limit || c->hole_bytes > limit || c->base_pa > limit)
        return false;
    uint64_t span_bytes = c->ram_bytes + c->hole_bytes;
    if (c->base_pa + span_bytes > limit || span_bytes > SIZE_MAX / 2)
        return false;
    return c->hole_bytes == 0 || is_hole_inside(c);
}

/* Fill in defaults and check every value. */
ntmm_status arena_check_config(struct ntmm_emulated_config *c)
{
    const uint32_t known = NTMM_EMULATED_THREADS | NTMM_EMULATED_HOST_CLOCK |
                           NTMM_EMULATED_ARENA_ZEROED | NTMM_EMULATED_CHECK_LEVEL |
                           NTMM_EMULATED_HUGE_PAGES | NTMM_EMULATED_PREEMPT |
                           NTMM_EMULATED_UPPER_ABSENT;
    const uint32_t alone = NTMM_EMULATED_CHECK_LEVEL | NTMM_EMULATED_PREEMPT;
    if (c->cpu_count == 0)
        c->cpu_count = 1;
    if (c->physical_address_bits == 0)
        c->physical_address_bits = 46;
    if (c->cpu_count > NTMM_EMULATED_MAXIMUM_CPUS || c->reserved != 0 || (c->flags & ~known) ||
        ((c->flags & NTMM_EMULATED_THREADS) && (c->flags & alone)) ||
        ((c->flags & NTMM_EMULATED_UPPER_ABSENT) && c->hole_bytes == 0) ||
        c->physical_address_bits < 32 || c->physical_address_bits > 52 || !is_layout_valid(c) ||
        !is_aligned((uintptr_t)c->arena))
        return NTMM_STATUS_INVALID_PARAMETER_1;
    if (c->flags & NTMM_EMULATED_THREADS)
        c->flags |= NTMM_EMULATED_HOST_CLOCK;
    return NTMM_STATUS_SUCCESS;
}

/* Map address space congruent to base_pa modulo a large page. */
static ntmm_status map_arena(struct ntmm_emulated *emu)
{
    size_t size = emu->arena_bytes + NTMM_LARGE_PAGE_SIZE;
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    uintptr_t want = (uintptr_t)emu->config.base_pa - (uintptr_t)mapping;
    emu->mapping = mapping;
    emu->mapping_bytes = size;
    emu->owns_arena = 1;
    emu->arena = (uint8_t *)mapping + (want & (NTMM_LARGE_PAGE_SIZE - 1));
    if (emu->config.flags & NTMM_EMULATED_HUGE_PAGES)
        (void)madvise(emu->arena, emu->arena_bytes, MADV_HUGEPAGE);
    return NTMM_STATUS_SUCCESS;
}

size_t host_page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* Of a host page that RAM shares with the hole nothing can be hidden. */
static void hide_hole(struct ntmm_emulated *emu)
{
    size_t page = host_page_bytes();
    uintptr_t arena = (uintptr_t)emu->arena;
    uintptr_t base = arena + (uintptr_t)(emu->config.hole_base_pa - emu->config.base_pa);
    uintptr_t end = base + (uintptr_t)emu->config.hole_bytes;
    uintptr_t first = (base + page - 1) & ~(page - 1);
    uintptr_t behind = end & ~(page - 1);
    if (first < behind)
        (void)mprotect(emu->arena + (first - arena), behind - first, PROT_NONE);
}

static void fill_ranges(struct ntmm_emulated *emu)
{
    const struct ntmm_emulated_config *c = &emu->config;
    bool is_zero = c->arena == NULL || (c->flags & NTMM_EMULATED_ARENA_ZEROED);
    uint64_t end = c->base_pa + emu->arena_bytes;
    uint64_t first_end = c->hole_bytes != 0 ? c->hole_base_pa : end;
    emu->ranges[0].base_frame = c->base_pa >> NTMM_PAGE_SHIFT;
    emu->ranges[0].frame_count = (first_end - c->base_pa) >> NTMM_PAGE_SHIFT;
    emu->ranges[0].flags = is_zero ? NTMM_FRAMES_ZEROED : 0;
    emu->platform.range_count = 1;
    if (c->hole_bytes == 0)
        return;
    emu->ranges[1].base_frame = (first_end + c->hole_bytes) >> NTMM_PAGE_SHIFT;
    emu->ranges[1].frame_count = (end - first_end - c->hole_bytes) >> NTMM_PAGE_SHIFT;
    emu->ranges[1].flags = emu->ranges[0].flags;
    if (c->flags & NTMM_EMULATED_UPPER_ABSENT)
        emu->ranges[1].flags |= NTMM_FRAMES_ABSENT;
    emu->platform.range_count = 2;
}

ntmm_status arena_create(struct ntmm_emulated *emu)
{
    emu->arena_bytes = (size_t)(emu->config.ram_bytes + emu->config.hole_bytes);
    emu->arena = emu->config.arena;
    if (emu->arena == NULL) {
        ntmm_status status = map_arena(emu);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (emu->config.hole_bytes != 0)
            hide_hole(emu);
    }
    fill_ranges(emu);
    emu->memory.host = emu->arena;
    emu->memory.base_pa = emu->config.base_pa;
    emu->memory.size = emu->arena_bytes;
    emu->memory.hole_base_pa = emu->config.hole_base_pa;
    emu->memory.hole_size = emu->config.hole_bytes;
    emu->memory.runs = emu->runs;
    return NTMM_STATUS_SUCCESS;
}

void arena_destroy(struct ntmm_emulated *emu)
{
    if (emu->owns_arena)
        (void)munmap(emu->mapping, emu->mapping_bytes);
}

static struct run run_at(const struct ntmm_emulated *emu, uint32_t index)
{
    const struct ntmm_frame_range *range = &emu->ranges[index];
    return (struct run){
        .bytes = frame_at(emu, range->base_frame),
        .size_bytes = (size_t)(range->frame_count << NTMM_PAGE_SHIFT),
    };
}

/* Four lanes of words, so that the multiplications overlap. */
static void hash_page(uint64_t lanes[4], const uint8_t *page)
{
    const le64 *words = (const le64 *)(const void *)page;
    for (uint32_t i = 0; i < NTMM_PAGE_SIZE / 8; i += 4) {
        for (uint32_t lane = 0; lane < 4; lane++) {
            uint64_t word = get64(&words[i + lane]) * UINT64_C(0xc2b2ae3d27d4eb4f);
            lanes[lane] = prng_rotate_left(lanes[lane] + word, 31) * UINT64_C(0x9e3779b185ebca87);
        }
    }
}

NTMM_API uint64_t ntmm_emulated_hash(const struct ntmm_emulated *emu)
{
    uint64_t lanes[4] = {1, 2, 3, 4};
    for (uint32_t r = 0; r < emu->platform.range_count; r++) {
        struct run run = run_at(emu, r);
        for (size_t at = 0; at < run.size_bytes; at += NTMM_PAGE_SIZE)
            hash_page(lanes, run.bytes + at);
    }
    uint64_t hash = emu->config.ram_bytes;
    for (uint32_t lane = 0; lane < 4; lane++) {
        hash ^= lanes[lane];
        hash = splitmix64(&hash);
    }
    return hash;
}

static struct file_header make_header(struct ntmm_emulated *emu)
{
    struct file_header header = {
        .scheduler_prng = emu->scheduler.prng,
        .io_prng = emu->io_prng,
        .entropy = emu->entropy,
    };
    set64(&header.magic, FILE_MAGIC);
    set64(&header.ram_bytes, emu->config.ram_bytes);
    set64(&header.base_pa, emu->config.base_pa);
    set64(&header.hole_base_pa, emu->config.hole_base_pa);
    set64(&header.hole_bytes, emu->config.hole_bytes);
    set64(&header.now_100ns, atomic_load(&emu->now_100ns));
    return header;
}

static bool write_file(struct ntmm_emulated *emu, int file)
{
    struct file_header header = make_header(emu);
    uint64_t offset = FILE_HEADER_BYTES;
    if (ftruncate(file, (off_t)(offset + emu->config.ram_bytes)) != 0 ||
        !file_write_all(file, &header, sizeof header, 0))
        return false;
    for (uint32_t r = 0; r < emu->platform.range_count; r++) {
        struct run run = run_at(emu, r);
        if (!file_write_pages(file, run.bytes, run.size_bytes, offset))
            return false;
        offset += run.size_bytes;
    }
    return true;
}

NTMM_API ntmm_status ntmm_emulated_save(struct ntmm_emulated *emu, const char *path)
{
    if (emu->scheduler.unfinished != 0 || atomic_load(&emu->in_flight) != 0)
        return NTMM_STATUS_CANT_WAIT;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return NTMM_STATUS_UNSUCCESSFUL;
    bool is_written = write_file(emu, file);
    if (close(file) != 0)
        is_written = false;
    return is_written ? NTMM_STATUS_SUCCESS : NTMM_STATUS_UNSUCCESSFUL;
}

/* Pages that are zero already are not written, so that the host need not back them. */
static bool read_run(int file, struct run run, uint64_t offset)
{
    uint8_t page[NTMM_PAGE_SIZE];
    for (size_t at = 0; at < run.size_bytes; at += NTMM_PAGE_SIZE) {
        if (!file_read_all(file, page, sizeof page, offset + at))
            return false;
        if (memcmp(run.bytes + at, page, sizeof page) != 0)
            memcpy(run.bytes + at, page, sizeof page);
    }
    return true;
}

static bool read_ram(struct ntmm_emulated *emu, int file)
{
    uint64_t offset = FILE_HEADER_BYTES;
    for (uint32_t r = 0; r < emu->platform.range_count; r++) {
        struct run run = run_at(emu, r);
        if (!read_run(file, run, offset))
            return false;
        offset += run.size_bytes;
        emu->ranges[r].flags = 0;
    }
    return true;
}

bool arena_has_size(const struct ntmm_emulated_config *c, uint64_t ram_bytes, uint64_t hole_bytes)
{
    return c->arena == NULL || (c->ram_bytes == ram_bytes && c->hole_bytes == hole_bytes);
}

static bool adopt(uint64_t *value, const le64 *stored)
{
    bool agrees = *value == 0 || *value == get64(stored);
    *value = get64(stored);
    return agrees;
}

static ntmm_status restore_file(struct ntmm_emulated_config config, int file,
                                struct ntmm_emulated **out)
{
    struct file_header header;
    if (!file_read_all(file, &header, sizeof header, 0) || get64(&header.magic) != FILE_MAGIC)
        return NTMM_STATUS_FILE_INVALID;
    bool agrees = arena_has_size(&config, get64(&header.ram_bytes), get64(&header.hole_bytes));
    agrees = adopt(&config.ram_bytes, &header.ram_bytes) && agrees;
    agrees = adopt(&config.base_pa, &header.base_pa) && agrees;
    agrees = adopt(&config.hole_base_pa, &header.hole_base_pa) && agrees;
    agrees = adopt(&config.hole_bytes, &header.hole_bytes) && agrees;
    struct stat status_of_file;
    if (!agrees)
        return NTMM_STATUS_INVALID_PARAMETER_1;
    if (fstat(file, &status_of_file) != 0 ||
        (uint64_t)status_of_file.st_size - FILE_HEADER_BYTES != config.ram_bytes)
        return NTMM_STATUS_FILE_INVALID;
    struct ntmm_emulated *emu;
    ntmm_status status = ntmm_emulated_create(&config, &emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!read_ram(emu, file)) {
        ntmm_emulated_destroy(emu, NULL);
        return NTMM_STATUS_FILE_INVALID;
    }
    atomic_store(&emu->now_100ns, get64(&header.now_100ns));
    emu->scheduler.prng = header.scheduler_prng;
    emu->io_prng = header.io_prng;
    emu->entropy = header.entropy;
    *out = emu;
    return NTMM_STATUS_SUCCESS;
}

NTMM_API ntmm_status ntmm_emulated_restore(const struct ntmm_emulated_config *config,
                                           const char *path, struct ntmm_emulated **emu)
{
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NTMM_STATUS_OBJECT_NAME_NOT_FOUND;
    ntmm_status status = restore_file(*config, file, emu);
    (void)close(file);
    return status;
}
