/*
 * Snapshots of a machine: going back equals a deep copy, forks go their own way, and the same
 * operations give the same results in all of them.
 *
 *   steps --> snapshot --> steps A --> restore --> steps A again    same digest, same bytes
 *                 \--> fork --> steps A                             the same too
 */
#include "unit/storage.h"

#include "base/prng.h"

#include <ntmm/snapshot.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGES 128u
#define SPAN (2 * MIB)
#define RAM_BYTES (1 * MIB)
#define DISK_BYTES (2 * MIB)

/* --- operations --- */

static uint64_t page_va(uint64_t page) { return BASE + page / 40 * SPAN + page % 40 * PAGE; }

static void digest(uint64_t *sum, uint64_t value) { *sum = (*sum ^ value) * 0x100000001b3u + 1; }

struct subject {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle process[2];
};

static ntmm_status serve(const struct subject *s, uint64_t kind, ntmm_handle process, uint64_t va)
{
    uint64_t size = PAGE;
    uint32_t old;
    switch (kind) {
    case 0:
        return ntmm_free_virtual_memory(s->system, process, &va, &size, NTMM_MEM_DECOMMIT);
    case 1:
        return ntmm_protect_virtual_memory(s->system, process, &va, &size, NTMM_PAGE_READONLY,
                                           &old);
    case 2:
        ntmm_balance_set_manager(s->system);
        return NTMM_STATUS_SUCCESS;
    case 3:
        return (ntmm_status)ntmm_write_modified_pages(s->system, 16);
    default:
        return ntmm_allocate_virtual_memory(s->system, process, &va, 0, &size, NTMM_MEM_COMMIT,
                                            NTMM_PAGE_READWRITE);
    }
}

/* Random steps; returns a digest of everything that they gave back. */
static uint64_t run_steps(const struct subject *s, uint64_t seed, uint32_t steps)
{
    struct prng prng;
    uint64_t sum = 0;
    prng_seed(&prng, seed);
    for (uint32_t i = 0; i < steps; i++) {
        uint64_t va = page_va(prng_below(&prng, PAGES)) + 8 * prng_below(&prng, 512);
        uint32_t who = (uint32_t)prng_below(&prng, 2);
        uint64_t kind = prng_below(&prng, 64), value = prng_next(&prng);
        ntmm_status status;
        if (kind < 6) {
            status = serve(s, kind, s->process[who], va & ~(PAGE - 1));
        } else if (kind & 1) {
            status = ntmm_emulated_store(s->emu, who, va, &value, 8, NULL, NULL);
        } else {
            value = 0;
            status = ntmm_emulated_load(s->emu, who, va, &value, 8, NULL, NULL);
        }
        digest(&sum, status);
        digest(&sum, value);
    }
    return sum;
}

/* Completions that are due. */
static void settle(const struct subject *s)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(s->emu);
    for (uint32_t i = 0; i < 64; i++)
        platform->pump(platform->context);
}

/* --- what a machine is --- */

struct image {
    uint8_t *ram;
    uint8_t *disk;
    struct ntmm_emulated_statistics statistics;
    struct ntmm_cpu_statistics of_processors[2];
};

static struct image take_image(const struct subject *s)
{
    struct image image = {.ram = malloc(RAM_BYTES), .disk = malloc(DISK_BYTES)};
    assert_non_null(image.ram);
    assert_non_null(image.disk);
    memcpy(image.ram, ntmm_emulated_arena(s->emu, NULL), RAM_BYTES);
    memcpy(image.disk, ntmm_emulated_disk_image(s->emu, 0, NULL), DISK_BYTES);
    ntmm_emulated_query(s->emu, &image.statistics);
    for (uint32_t i = 0; i < 2; i++)
        image.of_processors[i] = ntmm_emulated_cpu(s->emu, i)->statistics;
    return image;
}

static void free_image(struct image *image)
{
    free(image->ram);
    free(image->disk);
}

static void must_be(const struct subject *s, const struct image *image)
{
    struct ntmm_emulated_statistics now;
    ntmm_emulated_query(s->emu, &now);
    assert_memory_equal(&now, &image->statistics, sizeof now);
    for (uint32_t i = 0; i < 2; i++)
        assert_memory_equal(&ntmm_emulated_cpu(s->emu, i)->statistics, &image->of_processors[i],
                            sizeof image->of_processors[i]);
    assert_memory_equal(ntmm_emulated_arena(s->emu, NULL), image->ram, RAM_BYTES);
    assert_memory_equal(ntmm_emulated_disk_image(s->emu, 0, NULL), image->disk, DISK_BYTES);
}

static void must_be_sound(const struct subject *s)
{
    struct ntmm_check_report report = {0};
    size_t size = ntmm_check_scratch_size(s->system);
    void *scratch = malloc(size);
    assert_non_null(scratch);
    ntmm_status status =
        ntmm_check_with_storage(s->system, scratch, size, ntmm_emulated_read_disk, s->emu, &report);
    free(scratch);
    assert_string_equal(report.invariant, "");
    assert_int_equal(status, NTMM_STATUS_SUCCESS);
}

static ntmm_handle add_process(const struct subject *s)
{
    ntmm_handle process;
    assert_int_equal(ntmm_create_process(s->system, NULL, &process), NTMM_STATUS_SUCCESS);
    for (uint64_t page = 0; page < PAGES; page += 40) {
        uint64_t base = page_va(page), size = 40 * PAGE;
        assert_int_equal(ntmm_allocate_virtual_memory(s->system, process, &base, 0, &size,
                                                      NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                      NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
    }
    return process;
}

static void add_file(const struct subject *s, uint32_t flags)
{
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = DISK_BYTES,
        .flags = flags,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file,
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = DISK_BYTES,
    };
    assert_int_equal(ntmm_emulated_add_disk(s->emu, &disk, &file.device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_create_paging_file(s->system, &file, NULL), NTMM_STATUS_SUCCESS);
}

static struct ntmm_emulated_config machine_config(uint64_t seed)
{
    return (struct ntmm_emulated_config){
        .size = sizeof(struct ntmm_emulated_config),
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = RAM_BYTES,
        .cpu_count = 2,
        .seed = seed,
    };
}

static struct subject open_subject(const struct ntmm_emulated_config *config, uint32_t disk_flags)
{
    struct subject s = {0};
    assert_int_equal(ntmm_emulated_create(config, &s.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_create_system(s.emu, NULL, &s.system), NTMM_STATUS_SUCCESS);
    add_file(&s, disk_flags);
    for (uint32_t i = 0; i < 2; i++) {
        s.process[i] = add_process(&s);
        assert_int_equal(ntmm_emulated_attach(s.emu, i, s.process[i]), NTMM_STATUS_SUCCESS);
    }
    return s;
}

static void close_subject(const struct subject *s)
{
    struct ntmm_teardown teardown;
    settle(s);
    must_be_sound(s);
    ntmm_emulated_destroy(s->emu, &teardown);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
    assert_int_equal(teardown.live_objects, 0);
}

static struct subject must_fork(const struct subject *s)
{
    struct subject fork = *s;
    assert_int_equal(ntmm_emulated_fork(s->emu, &fork.emu), NTMM_STATUS_SUCCESS);
    fork.system = ntmm_emulated_system(fork.emu);
    assert_ptr_not_equal(fork.system, s->system);
    return fork;
}

static void must_snapshot(const struct subject *s)
{
    assert_int_equal(ntmm_emulated_snapshot(s->emu), NTMM_STATUS_SUCCESS);
}

static void must_restore(const struct subject *s)
{
    assert_int_equal(ntmm_emulated_restore_snapshot(s->emu), NTMM_STATUS_SUCCESS);
    assert_ptr_equal(ntmm_emulated_system(s->emu), s->system);
}

static struct ntmm_snapshot_information query(const struct subject *s)
{
    struct ntmm_snapshot_information information = {.size = sizeof information};
    assert_int_equal(ntmm_emulated_query_snapshot(s->emu, &information), NTMM_STATUS_SUCCESS);
    return information;
}

/* --- tests --- */

static void same_steps_same_machine(const struct ntmm_emulated_config *config, uint32_t disk_flags)
{
    struct subject s = open_subject(config, disk_flags);
    (void)run_steps(&s, config->seed, 2000);
    settle(&s);
    must_snapshot(&s);
    struct image base = take_image(&s);
    struct subject fork = must_fork(&s);
    must_be(&fork, &base);
    must_be(&s, &base);
    uint64_t first = run_steps(&s, 7, 1500);
    settle(&s);
    struct image after = take_image(&s);
    assert_memory_not_equal(after.ram, base.ram, RAM_BYTES);
    assert_memory_not_equal(after.disk, base.disk, DISK_BYTES);

    for (uint32_t round = 0; round < 3; round++) {
        must_restore(&s);
        must_be(&s, &base);
        must_be_sound(&s);
        assert_true(run_steps(&s, 7, 1500) == first);
        settle(&s);
        must_be(&s, &after);
    }
    must_be(&fork, &base);
    assert_true(run_steps(&fork, 7, 1500) == first);
    settle(&fork);
    must_be(&fork, &after);
    free_image(&base);
    free_image(&after);
    close_subject(&s);
    (void)run_steps(&fork, 8, 500);
    close_subject(&fork);
}

static void restore_equals_a_deep_copy(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        const struct ntmm_emulated_config config = machine_config(seed);
        same_steps_same_machine(&config, seed & 1 ? NTMM_EMULATED_DISK_WRITE_CACHE : 0);
    }
}

static void memory_with_a_hole_is_restored(void **state)
{
    struct ntmm_emulated_config config = machine_config(11);
    (void)state;
    config.base_pa = 16 * MIB;
    config.hole_base_pa = 16 * MIB + 100 * PAGE;
    config.hole_bytes = 64 * PAGE;
    struct subject s = open_subject(&config, 0);
    (void)run_steps(&s, 1, 1000);
    settle(&s);
    must_snapshot(&s);
    uint64_t hash = ntmm_emulated_hash(s.emu);
    struct subject fork = must_fork(&s);
    uint64_t first = run_steps(&s, 2, 1000);
    assert_true(run_steps(&fork, 2, 1000) == first);
    settle(&s);
    settle(&fork);
    assert_true(ntmm_emulated_hash(fork.emu) == ntmm_emulated_hash(s.emu));
    must_restore(&s);
    must_restore(&fork);
    assert_true(ntmm_emulated_hash(s.emu) == hash);
    assert_true(ntmm_emulated_hash(fork.emu) == hash);
    close_subject(&s);
    close_subject(&fork);
}

/* An arena of the caller's cannot be mapped anew: it is compared. */
static void an_arena_of_the_caller_is_restored(void **state)
{
    struct ntmm_emulated_config config = machine_config(5);
    (void)state;
    config.arena = aligned_alloc(PAGE, RAM_BYTES);
    assert_non_null(config.arena);
    memset(config.arena, 0xA5, RAM_BYTES);
    same_steps_same_machine(&config, 0);
    struct subject s = open_subject(&config, 0);
    must_snapshot(&s);
    assert_int_equal(query(&s).is_compared, 1);
    close_subject(&s);
    free(config.arena);
}

/* The base is the latest; forks keep the one they were made with. */
static void a_new_base_replaces_the_old_one(void **state)
{
    const struct ntmm_emulated_config config = machine_config(6);
    struct subject s = open_subject(&config, 0);
    (void)state;
    assert_int_equal(query(&s).has_base, 0);
    must_snapshot(&s);
    assert_int_equal(query(&s).sharers, 1);
    struct image zero = take_image(&s);
    (void)run_steps(&s, 1, 700);
    settle(&s);
    struct subject fork = must_fork(&s); /* of its base, and what changed since */
    struct image one = take_image(&s);
    assert_int_equal(query(&fork).sharers, 2);
    (void)run_steps(&s, 2, 700);
    settle(&s);
    must_snapshot(&s); /* the old base is shared */
    assert_int_equal(query(&fork).sharers, 1);
    assert_int_equal(query(&s).sharers, 1);
    struct image two = take_image(&s);
    (void)run_steps(&s, 3, 700);
    settle(&s);
    must_snapshot(&s); /* and this one is not */
    struct image three = take_image(&s);
    (void)run_steps(&s, 4, 700);
    settle(&s);
    must_restore(&s);
    must_be(&s, &three);
    must_be(&fork, &one);
    must_restore(&fork);
    must_be(&fork, &zero);
    assert_memory_not_equal(two.ram, three.ram, RAM_BYTES);
    (void)run_steps(&fork, 5, 700);
    settle(&fork);
    close_subject(&s);
    must_restore(&fork);
    must_be(&fork, &zero);
    close_subject(&fork);
    free_image(&zero);
    free_image(&one);
    free_image(&two);
    free_image(&three);
}

/* What was written is what costs: pages, not RAM. */
static void only_written_pages_count(void **state)
{
    const struct ntmm_emulated_config config = machine_config(7);
    struct subject s = open_subject(&config, 0);
    (void)state;
    (void)run_steps(&s, 1, 500);
    settle(&s);
    must_snapshot(&s);
    uint64_t before = query(&s).changed_pages;
    uint8_t *arena = ntmm_emulated_arena(s.emu, NULL);
    if (query(&s).is_compared)
        skip();
    uint64_t read = 0;
    for (uint64_t at = 0; at < RAM_BYTES; at += PAGE)
        read += arena[at];
    assert_int_equal(query(&s).changed_pages, before);
    arena[RAM_BYTES - 1] = (uint8_t)read;
    arena[RAM_BYTES - 1 - 20 * PAGE] = 1;
    assert_int_equal(query(&s).changed_pages, before + 2);
    must_restore(&s);
    assert_int_equal(query(&s).changed_pages, before);
    close_subject(&s);
}

static void disks_added_since_are_gone(void **state)
{
    const struct ntmm_emulated_config config = machine_config(8);
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = MIB};
    struct subject s = open_subject(&config, 0);
    uint64_t device, size;
    (void)state;
    must_snapshot(&s);
    assert_int_equal(ntmm_emulated_add_disk(s.emu, &disk, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(device, 1);
    memset(ntmm_emulated_disk_image(s.emu, 1, NULL), 0x77, MIB);
    struct subject fork = must_fork(&s);
    const uint8_t *copy = ntmm_emulated_disk_image(fork.emu, 1, &size);
    assert_int_equal(size, MIB);
    assert_int_equal(copy[0], 0x77);
    assert_int_equal(copy[MIB - 1], 0x77);
    must_restore(&s);
    assert_null(ntmm_emulated_disk_image(s.emu, 1, NULL));
    assert_int_equal(ntmm_emulated_add_disk(s.emu, &disk, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(device, 1);
    must_snapshot(&s); /* with a disk that the base did not have */
    memset(ntmm_emulated_disk_image(s.emu, 1, NULL), 0x55, MIB);
    must_restore(&s);
    assert_int_equal(*(uint8_t *)ntmm_emulated_disk_image(s.emu, 1, NULL), 0);
    close_subject(&s);
    close_subject(&fork);
}

/* What a power cut takes is part of it. */
static void the_write_cache_is_restored(void **state)
{
    const struct ntmm_emulated_config config = machine_config(9);
    struct subject s = open_subject(&config, NTMM_EMULATED_DISK_WRITE_CACHE);
    (void)state;
    (void)run_steps(&s, 1, 2000);
    settle(&s);
    must_snapshot(&s);
    struct image base = take_image(&s);
    struct subject fork = must_fork(&s);
    assert_int_equal(ntmm_emulated_cut_power(s.emu, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_cut_power(fork.emu, 0, 0), NTMM_STATUS_SUCCESS);
    const uint8_t *left = ntmm_emulated_disk_image(s.emu, 0, NULL);
    assert_memory_not_equal(left, base.disk, DISK_BYTES);
    assert_memory_equal(left, ntmm_emulated_disk_image(fork.emu, 0, NULL), DISK_BYTES);
    must_restore(&s);
    must_be(&s, &base);
    uint8_t *lost = malloc(DISK_BYTES);
    assert_non_null(lost);
    memcpy(lost, ntmm_emulated_disk_image(fork.emu, 0, NULL), DISK_BYTES);
    assert_int_equal(ntmm_emulated_cut_power(s.emu, 0, 0), NTMM_STATUS_SUCCESS);
    assert_memory_equal(left, lost, DISK_BYTES);
    must_restore(&s);
    must_restore(&fork);
    free(lost);
    free_image(&base);
    close_subject(&s);
    close_subject(&fork);
}

static void do_nothing(void *context) { (void)context; }
static void ignore_completion(struct ntmm_io *io) { (void)io; }

/* Status and effect of each function on a machine that is not quiet. */
static void must_be_refused(const struct subject *s, ntmm_status status)
{
    struct ntmm_emulated *fork = NULL;
    assert_int_equal(ntmm_emulated_snapshot(s->emu), status);
    assert_int_equal(ntmm_emulated_fork(s->emu, &fork), status);
    assert_int_equal(ntmm_emulated_save_snapshot(s->emu, "snapshot.refused"), status);
    assert_int_not_equal(access("snapshot.refused", F_OK), 0);
    assert_null(fork);
}

static void machines_in_motion_are_refused(void **state)
{
    const struct ntmm_emulated_config config = machine_config(10);
    struct subject s = open_subject(&config, 0);
    struct ntmm_snapshot_information wrong = {.size = 4};
    (void)state;
    assert_int_equal(ntmm_emulated_query_snapshot(s.emu, &wrong), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(ntmm_emulated_restore_snapshot(s.emu), NTMM_STATUS_INVALID_PARAMETER_1);
    must_snapshot(&s);
    ntmm_cpu_enter(ntmm_emulated_cpu(s.emu, 1));
    must_be_refused(&s, NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_restore_snapshot(s.emu), NTMM_STATUS_CANT_WAIT);
    ntmm_cpu_leave(ntmm_emulated_cpu(s.emu, 1));
    assert_int_equal(ntmm_emulated_spawn(s.emu, 0, do_nothing, NULL, 0), NTMM_STATUS_SUCCESS);
    must_be_refused(&s, NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_run(s.emu), NTMM_STATUS_SUCCESS);

    const struct ntmm_platform *platform = ntmm_emulated_platform(s.emu);
    struct ntmm_io io = {.operation = NTMM_IO_FLUSH, .complete = ignore_completion};
    assert_int_equal(platform->submit(platform->context, &io), NTMM_STATUS_SUCCESS);
    must_be_refused(&s, NTMM_STATUS_CANT_WAIT);
    settle(&s);
    must_snapshot(&s);
    close_subject(&s);
}

static void files_of_the_host_are_refused(void **state)
{
    const struct ntmm_emulated_config config = machine_config(12);
    const struct ntmm_emulated_disk_config disk = {.size = sizeof disk,
                                                   .version = NTMM_EMULATED_DISK_VERSION,
                                                   .size_bytes = MIB,
                                                   .path = "snapshot.disk"};
    struct subject s = open_subject(&config, 0);
    uint64_t device;
    (void)state;
    assert_int_equal(ntmm_emulated_add_disk(s.emu, &disk, &device), NTMM_STATUS_SUCCESS);
    must_be_refused(&s, NTMM_STATUS_NOT_SUPPORTED);
    (void)unlink("snapshot.disk");
    close_subject(&s);
}

/* No file may grow, those in memory neither; the previous limit. */
static rlim_t limit_files(rlim_t size)
{
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t previous = limit.rlim_cur;
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return previous;
}

/* The host refuses memory: the machine goes on as it was, and a later snapshot succeeds. Where
 * the host's pages are not of 4 KiB, no file is made that could be limited. */
static void a_host_without_memory_is_survived(void **state)
{
    const struct ntmm_emulated_config config = machine_config(15);
    (void)state;
    if (sysconf(_SC_PAGESIZE) != PAGE)
        skip();
    struct subject s = open_subject(&config, 0);
    struct ntmm_emulated *fork = NULL;
    (void)run_steps(&s, 1, 700);
    settle(&s);
    struct image image = take_image(&s);
    rlim_t previous = limit_files(16 * PAGE);
    assert_int_equal(ntmm_emulated_snapshot(s.emu), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(ntmm_emulated_fork(s.emu, &fork), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_null(fork);
    (void)limit_files(previous);
    must_be(&s, &image);
    must_snapshot(&s);
    (void)run_steps(&s, 2, 700);
    settle(&s);
    free_image(&image);
    image = take_image(&s);
    (void)limit_files(16 * PAGE); /* now what changed cannot be written to the base */
    assert_int_equal(ntmm_emulated_snapshot(s.emu), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    (void)limit_files(previous);
    must_be(&s, &image);
    assert_int_equal(query(&s).has_base, 0);
    assert_int_equal(ntmm_emulated_restore_snapshot(s.emu), NTMM_STATUS_INVALID_PARAMETER_1);
    must_snapshot(&s);
    (void)run_steps(&s, 3, 700);
    settle(&s);
    must_restore(&s);
    must_be(&s, &image);
    free_image(&image);
    close_subject(&s);
}

/* Registers, clocks and random numbers are part of it: coroutines interleave the same way. */
static void wander(void *context)
{
    const struct subject *s = context;
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t value = i;
        ntmm_status status = ntmm_emulated_store(s->emu, 0, page_va(i), &value, 8, NULL, NULL);
        if (status != NTMM_STATUS_SUCCESS)
            return;
        ntmm_emulated_yield(s->emu);
    }
}

static uint64_t run_coroutines(struct subject *s)
{
    struct ntmm_emulated_statistics statistics;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ntmm_emulated_spawn(s->emu, i, wander, s, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(s->emu), NTMM_STATUS_SUCCESS);
    settle(s);
    ntmm_emulated_query(s->emu, &statistics);
    return statistics.schedule_hash ^ statistics.now_100ns ^ ntmm_emulated_hash(s->emu);
}

static void coroutines_interleave_the_same_way(void **state)
{
    struct ntmm_emulated_config config = machine_config(13);
    (void)state;
    config.flags = NTMM_EMULATED_PREEMPT;
    struct subject s = open_subject(&config, 0);
    (void)run_coroutines(&s);
    must_snapshot(&s);
    struct subject fork = must_fork(&s);
    uint64_t first = run_coroutines(&s);
    assert_true(run_coroutines(&s) != first);
    must_restore(&s);
    assert_true(run_coroutines(&s) == first);
    assert_true(run_coroutines(&fork) == first);
    close_subject(&s);
    close_subject(&fork);
}

static void a_machine_without_a_system_is_restored(void **state)
{
    const struct ntmm_emulated_config config = machine_config(14);
    struct ntmm_emulated *emu, *fork;
    struct ntmm_system *system;
    (void)state;
    assert_int_equal(ntmm_emulated_create(&config, &emu), NTMM_STATUS_SUCCESS);
    uint8_t *arena = ntmm_emulated_arena(emu, NULL);
    arena[5] = 9;
    assert_int_equal(ntmm_emulated_snapshot(emu), NTMM_STATUS_SUCCESS);
    arena[5] = 8;
    assert_int_equal(ntmm_emulated_fork(emu, &fork), NTMM_STATUS_SUCCESS);
    assert_null(ntmm_emulated_system(fork));
    assert_int_equal(((uint8_t *)ntmm_emulated_arena(fork, NULL))[5], 8);
    assert_int_equal(ntmm_emulated_create_system(emu, NULL, &system), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore_snapshot(emu), NTMM_STATUS_SUCCESS);
    assert_null(ntmm_emulated_system(emu));
    assert_int_equal(arena[5], 9);
    ntmm_emulated_destroy(emu, NULL);
    ntmm_emulated_destroy(fork, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restore_equals_a_deep_copy),
        cmocka_unit_test(memory_with_a_hole_is_restored),
        cmocka_unit_test(an_arena_of_the_caller_is_restored),
        cmocka_unit_test(a_new_base_replaces_the_old_one),
        cmocka_unit_test(only_written_pages_count),
        cmocka_unit_test(disks_added_since_are_gone),
        cmocka_unit_test(the_write_cache_is_restored),
        cmocka_unit_test(machines_in_motion_are_refused),
        cmocka_unit_test(files_of_the_host_are_refused),
        cmocka_unit_test(a_host_without_memory_is_survived),
        cmocka_unit_test(coroutines_interleave_the_same_way),
        cmocka_unit_test(a_machine_without_a_system_is_restored),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
