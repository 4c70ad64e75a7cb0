/*
 * A whole machine in a file, and out of it.
 *
 *   header page | words: layout, state, processors, disks | cached bits | RAM | disks
 *                                                           each part begins with a page
 *
 * Little-endian words; pages of zeros are holes of the file. One list of fields serves both ways:
 * a stream either puts a word or takes it. What comes out of a file is checked before it is used:
 * whoever wrote it may have been somebody else.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/file_bytes.h"
#include "platform/emulated/host.h"
#include "platform/emulated/snapshot.h"

#include <ntmm/snapshot.h>

#include <stdlib.h>
#include <string.h>

#define MAGIC UINT64_C(0x32504e534d4d544e) /* "NTMMSNP2" */
#define HEADER_BYTES 4096u
#define WORDS_MAXIMUM (1u << 20)

/* Words on their way to a file or from it. */
struct stream {
    le64 *words;
    size_t count; /* words there are */
    size_t at;
    bool is_putting;
    bool is_wrong; /* too few words, or no memory */
};

static void pass64(struct stream *s, uint64_t *value)
{
    if (s->is_putting && s->at == s->count && !s->is_wrong) {
        size_t count = s->count != 0 ? 2 * s->count : 256;
        le64 *grown = realloc(s->words, count * sizeof *grown);
        s->is_wrong = grown == NULL;
        s->words = grown != NULL ? grown : s->words;
        s->count = grown != NULL ? count : s->count;
    }
    if (s->at >= s->count || s->is_wrong) {
        s->is_wrong = true;
        return;
    }
    if (s->is_putting)
        set64(&s->words[s->at], *value);
    else
        *value = get64(&s->words[s->at]);
    s->at++;
}

static void pass32(struct stream *s, uint32_t *value)
{
    uint64_t word = *value;
    pass64(s, &word);
    *value = (uint32_t)word;
}

static void pass_counter(struct stream *s, _Atomic(uint64_t) *counter)
{
    uint64_t word = atomic_load(counter);
    pass64(s, &word);
    atomic_store(counter, word);
}

static void pass_prng(struct stream *s, struct prng *prng)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t word = get64(&prng->state[i]);
        pass64(s, &word);
        set64(&prng->state[i], word);
    }
}

static void pass_injection(struct stream *s, struct injection *injection)
{
    pass32(s, &injection->operations);
    pass32(s, &injection->status);
    pass64(s, &injection->after);
    pass64(s, &injection->count);
}

static void pass_statistics(struct stream *s, struct statistics *statistics)
{
    pass_counter(s, &statistics->shootdowns);
    pass_counter(s, &statistics->flushes);
    pass_counter(s, &statistics->attach_flushes);
    pass_counter(s, &statistics->pumps);
    pass_counter(s, &statistics->transfers);
    pass_counter(s, &statistics->completions);
    pass_counter(s, &statistics->broken_waits);
    pass_counter(s, &statistics->violations);
    pass_counter(s, &statistics->injected_errors);
}

static void pass_processor(struct stream *s, struct processor_state *p)
{
    uint64_t *const words[] = {&p->process,
                               &p->cr0,
                               &p->cr2,
                               &p->cr3,
                               &p->cr4,
                               &p->efer,
                               &p->fault.address,
                               &p->statistics.slow_hits,
                               &p->statistics.misses,
                               &p->statistics.walks,
                               &p->statistics.faults,
                               &p->statistics.flushes};
    uint32_t *const halves[] = {&p->pkru, &p->pkrs,         &p->cpl,
                                &p->ac,   &p->fault.vector, &p->fault.error_code};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        pass64(s, words[i]);
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++)
        pass32(s, halves[i]);
}

static void pass_state(struct stream *s, struct machine_state *state, uint32_t cpu_count)
{
    pass64(s, &state->now_100ns);
    pass32(s, &state->disk_count);
    pass32(s, &state->has_system);
    pass_prng(s, &state->entropy);
    pass_prng(s, &state->io_prng);
    pass_prng(s, &state->scheduler_prng);
    pass64(s, &state->switches);
    pass64(s, &state->schedule_hash);
    pass32(s, &state->next_index);
    pass32(s, &state->level);
    pass_injection(s, &state->content_errors);
    pass_statistics(s, &state->statistics);
    for (uint32_t i = 0; i < cpu_count; i++)
        pass_processor(s, &state->processors[i]);
}

static void pass_disk(struct stream *s, struct disk *disk)
{
    pass64(s, &disk->number);
    pass64(s, &disk->size_bytes);
    pass64(s, &disk->maximum_bytes);
    pass32(s, &disk->flags);
    pass32(s, &disk->minimum_latency_pumps);
    pass32(s, &disk->maximum_latency_pumps);
    pass32(s, &disk->is_on);
    pass32(s, &disk->error_flags);
    pass_injection(s, &disk->errors);
    pass64(s, &disk->errors_base);
    pass64(s, &disk->errors_end);
    pass64(s, &disk->stale_seed);
}

static void pass_cached(struct stream *s, const struct disk *disk)
{
    for (size_t i = 0; disk->cached != NULL && i < state_cached_bytes(disk) / 8; i++)
        pass64(s, &disk->cached[i]);
}

static void pass_layout(struct stream *s, struct ntmm_emulated_config *c)
{
    pass64(s, &c->ram_bytes);
    pass64(s, &c->base_pa);
    pass64(s, &c->hole_base_pa);
    pass64(s, &c->hole_bytes);
    pass32(s, &c->cpu_count);
    pass32(s, &c->physical_address_bits);
}

/* --- bytes of the file --- */

/* The parts of the file that hold data; the run is all zero. */
static bool read_run(int file, const struct memory_run *run, uint64_t offset)
{
    const off_t end = (off_t)(offset + run->size_bytes);
    off_t at = lseek(file, (off_t)offset, SEEK_DATA);
    while (at >= 0 && at < end) {
        off_t stop = lseek(file, at, SEEK_HOLE);
        if (stop < 0 || stop > end)
            stop = end;
        if (!file_read_all(file, run->bytes + ((uint64_t)at - offset), (size_t)(stop - at),
                           (uint64_t)at))
            return false;
        at = lseek(file, stop, SEEK_DATA);
    }
    return at >= 0 || errno == ENXIO;
}

/* What is done with each run of a machine: written, read, or just counted. */
struct runs {
    int file;
    bool is_writing;
    uint64_t offset;
};

static bool pass_run(struct runs *r, struct memory_run run)
{
    uint64_t offset = r->offset;
    r->offset += run.size_bytes;
    if (r->is_writing)
        return file_write_pages(r->file, run.bytes, run.size_bytes, offset);
    return read_run(r->file, &run, offset);
}

static bool pass_runs(struct runs *r, const struct ntmm_emulated *emu)
{
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        if (!pass_run(r, state_ram(emu, i)))
            return false;
    }
    for (const struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (!pass_run(r, state_image(disk)) ||
            (disk->durable != NULL && !pass_run(r, state_durable(disk))))
            return false;
    }
    return true;
}

static uint64_t runs_offset(size_t words)
{
    uint64_t bytes = HEADER_BYTES + words * sizeof(le64);
    return (bytes + NTMM_PAGE_SIZE - 1) & ~(uint64_t)(NTMM_PAGE_SIZE - 1);
}

/* --- saving --- */

static void put_words(struct ntmm_emulated *emu, struct machine_state *state, struct stream *s)
{
    uint64_t disks = 0;
    pass_layout(s, &emu->config);
    pass_state(s, state, emu->config.cpu_count);
    for (const struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1))
        disks++;
    pass64(s, &disks);
    for (struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        pass_disk(s, disk);
        pass_cached(s, disk);
    }
}

static bool write_machine(struct ntmm_emulated *emu, const struct stream *s, int file)
{
    le64 header[2];
    struct runs r = {.file = file, .is_writing = true, .offset = runs_offset(s->at)};
    set64(&header[0], MAGIC);
    set64(&header[1], s->at);
    return file_write_all(file, header, sizeof header, 0) &&
           file_write_all(file, s->words, s->at * sizeof *s->words, HEADER_BYTES) &&
           pass_runs(&r, emu) && ftruncate(file, (off_t)r.offset) == 0;
}

static ntmm_status save_words(struct ntmm_emulated *emu, const struct stream *s, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return NTMM_STATUS_UNSUCCESSFUL;
    bool is_written = write_machine(emu, s, file);
    if (close(file) != 0)
        is_written = false;
    return is_written ? NTMM_STATUS_SUCCESS : NTMM_STATUS_UNSUCCESSFUL;
}

NTMM_API ntmm_status ntmm_emulated_save_snapshot(struct ntmm_emulated *emu, const char *path)
{
    struct machine_state state = {.processors = NULL};
    struct stream s = {.is_putting = true};
    if (!state_is_quiet(emu))
        return NTMM_STATUS_CANT_WAIT;
    if (state_has_files(emu))
        return NTMM_STATUS_NOT_SUPPORTED;
    ntmm_status status = state_normalise(emu);
    if (status == NTMM_STATUS_SUCCESS && !state_capture(emu, &state))
        status = NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (status == NTMM_STATUS_SUCCESS) {
        put_words(emu, &state, &s);
        status = s.is_wrong ? NTMM_STATUS_INSUFFICIENT_RESOURCES : save_words(emu, &s, path);
    }
    free(s.words);
    state_free(&state);
    return status;
}

/* --- loading --- */

static ntmm_status read_words(int file, struct stream *s)
{
    le64 header[2];
    if (!file_read_all(file, header, sizeof header, 0) || get64(&header[0]) != MAGIC ||
        get64(&header[1]) > WORDS_MAXIMUM || get64(&header[1]) == 0)
        return NTMM_STATUS_FILE_INVALID;
    s->count = (size_t)get64(&header[1]);
    s->words = calloc(s->count, sizeof *s->words);
    if (s->words == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    bool is_read = file_read_all(file, s->words, s->count * sizeof *s->words, HEADER_BYTES);
    return is_read ? NTMM_STATUS_SUCCESS : NTMM_STATUS_FILE_INVALID;
}

static bool agrees(uint64_t asked, uint64_t stored) { return asked == 0 || asked == stored; }

/* The file's layout, where the caller does not say something else. */
static ntmm_status adopt_layout(struct stream *s, struct ntmm_emulated_config *config)
{
    struct ntmm_emulated_config stored = *config;
    pass_layout(s, &stored);
    if (s->is_wrong)
        return NTMM_STATUS_FILE_INVALID;
    bool is_same = arena_has_size(config, stored.ram_bytes, stored.hole_bytes) &&
                   agrees(config->ram_bytes, stored.ram_bytes) &&
                   agrees(config->base_pa, stored.base_pa) &&
                   agrees(config->hole_base_pa, stored.hole_base_pa) &&
                   agrees(config->hole_bytes, stored.hole_bytes) &&
                   agrees(config->cpu_count, stored.cpu_count) &&
                   agrees(config->physical_address_bits, stored.physical_address_bits);
    *config = stored;
    return is_same ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_1;
}

static bool is_disk_sound(const struct disk *disk, uint32_t disk_count)
{
    return disk->number < disk_count && disk->size_bytes <= disk->maximum_bytes &&
           !(disk->maximum_bytes >> 46) && disk->minimum_latency_pumps != 0 &&
           disk->minimum_latency_pumps <= disk->maximum_latency_pumps;
}

/* Whether the words of its cache are there: a disk of the largest size would have 2^31. */
static bool has_words(const struct stream *s, const struct disk *disk)
{
    return !(disk->flags & NTMM_EMULATED_DISK_WRITE_CACHE) ||
           state_cached_bytes(disk) / sizeof(le64) <= s->count - s->at;
}

static ntmm_status take_disks(struct ntmm_emulated *emu, struct stream *s, uint32_t disk_count)
{
    uint64_t disks = 0;
    pass64(s, &disks);
    if (s->is_wrong || disks > disk_count || disk_count > DEVICES_MAXIMUM)
        return NTMM_STATUS_FILE_INVALID;
    for (uint64_t i = 0; i < disks; i++) {
        struct disk numbers = {.file = -1};
        pass_disk(s, &numbers);
        if (s->is_wrong || !is_disk_sound(&numbers, disk_count) || !has_words(s, &numbers) ||
            device_at(emu, numbers.number) != NULL)
            return NTMM_STATUS_FILE_INVALID;
        struct disk *disk = state_add_disk(emu, &numbers);
        if (disk == NULL)
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
        pass_cached(s, disk);
    }
    return s->is_wrong ? NTMM_STATUS_FILE_INVALID : NTMM_STATUS_SUCCESS;
}

static bool has_size(int file, uint64_t size_bytes)
{
    struct stat information;
    return fstat(file, &information) == 0 && (uint64_t)information.st_size == size_bytes;
}

static bool is_processor_sound(const struct processor_state *p, uint32_t physical_bits)
{
    return p->cr3 >> physical_bits == 0 && p->cpl <= 3;
}

/* The rest of the file into a machine of its layout. */
static ntmm_status fill_machine(struct ntmm_emulated *emu, struct stream *s, int file)
{
    struct machine_state state = {.processors = NULL};
    struct runs r = {.file = file, .offset = runs_offset(s->count)};
    if (!state_capture(emu, &state))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    pass_state(s, &state, emu->config.cpu_count);
    ntmm_status status =
        s->is_wrong ? NTMM_STATUS_FILE_INVALID : take_disks(emu, s, state.disk_count);
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        if (!is_processor_sound(&state.processors[i], emu->config.physical_address_bits))
            status = NTMM_STATUS_FILE_INVALID;
    }
    if (status == NTMM_STATUS_SUCCESS && (!pass_runs(&r, emu) || !has_size(file, r.offset)))
        status = NTMM_STATUS_FILE_INVALID;
    if (status == NTMM_STATUS_SUCCESS && state_adopt(emu, &state) != NTMM_STATUS_SUCCESS)
        status = NTMM_STATUS_FILE_INVALID;
    for (uint32_t i = 0; i < emu->platform.range_count; i++)
        emu->ranges[i].flags = 0;
    state_free(&state);
    return status;
}

static ntmm_status load_machine(struct ntmm_emulated_config config, struct stream *s, int file,
                                struct ntmm_emulated **out)
{
    struct ntmm_emulated *emu;
    ntmm_status status = read_words(file, s);
    if (status == NTMM_STATUS_SUCCESS)
        status = adopt_layout(s, &config);
    if (status == NTMM_STATUS_SUCCESS)
        status = ntmm_emulated_create(&config, &emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = fill_machine(emu, s, file);
    if (status == NTMM_STATUS_SUCCESS)
        *out = emu;
    else
        ntmm_emulated_destroy(emu, NULL);
    return status;
}

NTMM_API ntmm_status ntmm_emulated_load_snapshot(const struct ntmm_emulated_config *config,
                                                 const char *path, struct ntmm_emulated **emu)
{
    struct stream s = {.words = NULL};
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NTMM_STATUS_OBJECT_NAME_NOT_FOUND;
    ntmm_status status = load_machine(*config, &s, file, emu);
    free(s.words);
    (void)close(file);
    return status;
}
