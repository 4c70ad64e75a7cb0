/*
 * The emulated machine without a system: configuration, RAM with a hole, content operations, hash,
 * save and restore, and the shootdown with real threads as processors (T1: no processor uses a
 * withdrawn translation once the invalidating call has returned).
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#define MIB (UINT64_C(1) << 20)

static struct ntmm_emulated_config config_of(uint64_t ram_bytes)
{
    return (struct ntmm_emulated_config){
        .size = sizeof(struct ntmm_emulated_config),
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = ram_bytes,
    };
}

static struct ntmm_emulated *make_machine(struct ntmm_emulated_config config)
{
    struct ntmm_emulated *emu = NULL;
    assert_int_equal(ntmm_emulated_create(&config, &emu), NTMM_STATUS_SUCCESS);
    return emu;
}

static void expect_refused(struct ntmm_emulated_config config, ntmm_status status)
{
    struct ntmm_emulated *emu = NULL;
    assert_int_equal(ntmm_emulated_create(&config, &emu), status);
    assert_null(emu);
}

static void impossible_configurations_are_refused(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = config_of(MIB);
    c.version = 0;
    expect_refused(c, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    expect_refused(config_of(0), NTMM_STATUS_INVALID_PARAMETER_1);
    expect_refused(config_of(4097), NTMM_STATUS_INVALID_PARAMETER_1);
    expect_refused(config_of(UINT64_C(1) << 60), NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.base_pa = 1;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.base_pa = (UINT64_C(1) << 46) - MIB + 4096;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.base_pa -= 4096;
    ntmm_emulated_destroy(make_machine(c), NULL);
    c = config_of(MIB);
    c.physical_address_bits = 53;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.cpu_count = NTMM_EMULATED_MAXIMUM_CPUS + 1;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.flags = NTMM_EMULATED_THREADS | NTMM_EMULATED_CHECK_LEVEL;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.flags = 0x80000000u;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.size--;
    expect_refused(c, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    c = config_of(MIB);
    c.reserved = 1;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.physical_address_bits = 31;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.base_pa = UINT64_C(1) << 47;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c = config_of(MIB);
    c.arena = (void *)(uintptr_t)0x1008;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
}

static void a_hole_must_lie_inside(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = config_of(MIB);
    c.base_pa = 16 * MIB;
    c.hole_bytes = MIB;
    c.hole_base_pa = 16 * MIB;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.hole_base_pa = 17 * MIB;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.hole_base_pa = 18 * MIB; /* behind the end */
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.hole_bytes = UINT64_C(1) << 47;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    c.hole_bytes = MIB;
    c.hole_base_pa = 17 * MIB - 4096;
    struct ntmm_emulated *emu = make_machine(c);
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    assert_int_equal(p->range_count, 2);
    assert_int_equal(p->ranges[0].base_frame, 0x1000);
    assert_int_equal(p->ranges[0].frame_count, 255);
    assert_int_equal(p->ranges[1].base_frame, 0x11ff);
    assert_int_equal(p->ranges[1].frame_count, 1);
    assert_int_equal(p->ranges[1].flags, NTMM_FRAMES_ZEROED);
    ntmm_emulated_destroy(emu, NULL);
}

static void the_direct_map_reaches_every_frame(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = config_of(4 * MIB);
    c.base_pa = 0x123456000;
    c.hole_base_pa = c.base_pa + MIB;
    c.hole_bytes = 64 * MIB;
    struct ntmm_emulated *emu = make_machine(c);
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    uint64_t size, pages = 0;
    uint8_t *arena = ntmm_emulated_arena(emu, &size);
    assert_true(size == 68 * MIB);
    assert_ptr_equal((void *)(p->direct_map + (uintptr_t)c.base_pa), arena);
    for (uint32_t r = 0; r < p->range_count; r++) {
        for (uint64_t i = 0; i < p->ranges[r].frame_count; i++, pages++) {
            uint64_t frame = p->ranges[r].base_frame + i;
            uint8_t *page = (uint8_t *)(p->direct_map + (uintptr_t)(frame << 12));
            assert_int_equal(page[0] | page[4095], 0);
            page[0] = 1;
        }
    }
    assert_int_equal(pages, 1024);
    ntmm_emulated_destroy(emu, NULL);
}

static void a_given_arena_is_used(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = config_of(MIB);
    void *arena = aligned_alloc(4096, MIB);
    assert_non_null(arena);
    memset(arena, 0xaa, MIB);
    c.arena = arena;
    struct ntmm_emulated *emu = make_machine(c);
    assert_ptr_equal(ntmm_emulated_arena(emu, NULL), arena);
    assert_int_equal(ntmm_emulated_platform(emu)->ranges[0].flags, 0);
    ntmm_emulated_destroy(emu, NULL);
    c.flags = NTMM_EMULATED_ARENA_ZEROED;
    emu = make_machine(c);
    assert_int_equal(ntmm_emulated_platform(emu)->ranges[0].flags, NTMM_FRAMES_ZEROED);
    ntmm_emulated_destroy(emu, NULL);
    c.arena = (uint8_t *)arena + 1;
    expect_refused(c, NTMM_STATUS_INVALID_PARAMETER_1);
    free(arena);
}

/* Frames 16..19 and, behind a hole of four, 24..27. */
static struct ntmm_emulated *make_content_machine(void)
{
    struct ntmm_emulated_config c = config_of(8 * 4096);
    c.base_pa = 16 * 4096;
    c.hole_base_pa = 20 * 4096;
    c.hole_bytes = 4 * 4096;
    return make_machine(c);
}

static uint8_t *page_of(struct ntmm_emulated *emu, uint64_t frame)
{
    return (uint8_t *)ntmm_emulated_arena(emu, NULL) + (frame - 16) * 4096;
}

static void contents_are_zeroed_copied_and_compared(void **state)
{
    (void)state;
    struct ntmm_emulated *emu = make_content_machine();
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    const uint64_t a[3] = {16, 19, 24}, b[3] = {27, 18, 25};
    uint64_t equal = 99;
    for (uint32_t i = 0; i < 3; i++)
        memset(page_of(emu, a[i]), (int)(i + 1), 4096);
    assert_int_equal(p->copy(emu, b, a, 3), NTMM_STATUS_SUCCESS);
    assert_int_equal(page_of(emu, 27)[4095], 1);
    assert_int_equal(page_of(emu, 18)[0], 2);
    page_of(emu, 18)[4095] = 0;
    assert_int_equal(p->compare(emu, a, b, 3, &equal), NTMM_STATUS_SUCCESS);
    assert_int_equal(equal, 5);
    assert_int_equal(p->zero(emu, a, 2), NTMM_STATUS_SUCCESS);
    assert_int_equal(page_of(emu, 16)[4095] | page_of(emu, 19)[0], 0);
    assert_int_equal(page_of(emu, 24)[0], 3);
    ntmm_emulated_destroy(emu, NULL);
}

static void spans_are_read_and_written(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= NTMM_EMULATED_THREADS; flags++) {
        struct ntmm_emulated_config c = config_of(8 * 4096);
        c.base_pa = 16 * 4096;
        c.flags = flags;
        struct ntmm_emulated *emu = make_machine(c);
        const struct ntmm_platform *p = ntmm_emulated_platform(emu);
        const struct ntmm_content_span spans[3] = {{16, 4093, 3}, {17, 0, 4096}, {20, 5, 19}};
        uint8_t in[4118], out[4118];
        for (uint32_t i = 0; i < sizeof in; i++)
            in[i] = (uint8_t)(i * 13 + 7);
        assert_int_equal(p->write(emu, spans, 3, in), NTMM_STATUS_SUCCESS);
        assert_memory_equal(page_of(emu, 16) + 4093, in, 3);
        assert_memory_equal(page_of(emu, 17), in + 3, 4096);
        assert_memory_equal(page_of(emu, 20) + 5, in + 4099, 19);
        assert_int_equal(page_of(emu, 20)[4] | page_of(emu, 20)[24], 0);
        assert_int_equal(p->read(emu, spans, 3, out), NTMM_STATUS_SUCCESS);
        assert_memory_equal(in, out, sizeof in);
        ntmm_emulated_destroy(emu, NULL);
    }
}

static void frames_outside_ram_change_nothing(void **state)
{
    (void)state;
    struct ntmm_emulated *emu = make_content_machine();
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    const uint64_t outside[5] = {15, 20, 23, 28, UINT64_MAX};
    uint64_t equal = 99;
    uint8_t buffer[8192] = {0};
    memset(page_of(emu, 16), 0x5a, 4096);
    for (uint32_t i = 0; i < 5; i++) {
        const uint64_t pair[2] = {16, outside[i]}, good[2] = {17, 18};
        const struct ntmm_content_span spans[2] = {{16, 0, 4096}, {outside[i], 0, 4096}};
        assert_int_equal(p->zero(emu, pair, 2), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(p->copy(emu, pair, good, 2), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(p->copy(emu, good, pair, 2), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(p->compare(emu, good, pair, 2, &equal), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(p->write(emu, spans, 2, buffer), NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(p->read(emu, spans, 2, buffer), NTMM_STATUS_INVALID_PARAMETER);
    }
    const struct ntmm_content_span crossing = {16, 4095, 2}, huge = {16, 2, UINT32_MAX};
    assert_int_equal(p->write(emu, &crossing, 1, buffer), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(p->read(emu, &huge, 1, buffer), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(equal, 99);
    assert_int_equal(buffer[0], 0);
    assert_int_equal(page_of(emu, 16)[0], 0x5a);
    assert_int_equal(page_of(emu, 16)[4095], 0x5a);
    assert_int_equal(page_of(emu, 17)[0], 0);
    ntmm_emulated_destroy(emu, NULL);
}

static void content_errors_come_when_asked_for(void **state)
{
    (void)state;
    struct ntmm_emulated *emu = make_content_machine();
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    const uint64_t frame = 16, other = 17;
    struct ntmm_emulated_statistics s;
    memset(page_of(emu, 16), 0x5a, 4096);
    ntmm_emulated_inject_content(emu, NTMM_EMULATED_ZERO, 1, 2, NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(p->zero(emu, &other, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(p->zero(emu, &frame, 1), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(p->copy(emu, &other, &frame, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(page_of(emu, 17)[0], 0x5a);
    assert_int_equal(p->zero(emu, &frame, 1), NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(page_of(emu, 16)[0], 0x5a);
    assert_int_equal(p->zero(emu, &frame, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(page_of(emu, 16)[0], 0);
    ntmm_emulated_query(emu, &s);
    assert_int_equal(s.injected_errors, 2);
    ntmm_emulated_destroy(emu, NULL);
}

static void the_hash_sees_every_byte_but_no_address(void **state)
{
    (void)state;
    struct ntmm_emulated *a = make_content_machine(), *b = make_content_machine();
    uint64_t empty = ntmm_emulated_hash(a);
    assert_true(empty == ntmm_emulated_hash(b));
    page_of(a, 27)[4095] = 1;
    assert_true(empty != ntmm_emulated_hash(a));
    page_of(b, 27)[4094] = 1;
    assert_true(ntmm_emulated_hash(b) != ntmm_emulated_hash(a));
    page_of(b, 27)[4094] = 0;
    page_of(b, 27)[4095] = 1;
    assert_true(ntmm_emulated_hash(b) == ntmm_emulated_hash(a));
    /* worked out by a separate program; every host must agree */
    assert_true(ntmm_emulated_hash(a) == UINT64_C(0x6b2f198163aff0c9));
    ntmm_emulated_destroy(a, NULL);
    ntmm_emulated_destroy(b, NULL);
}

static void a_saved_machine_is_restored(void **state)
{
    (void)state;
    char path[] = "test_machine_XXXXXX";
    uint8_t drawn[16], drawn_again[16];
    struct ntmm_emulated_config empty = config_of(0), wrong = config_of(4096);
    int file = mkstemp(path);
    assert_true(file >= 0);
    struct ntmm_emulated *a = make_content_machine(), *b = NULL;
    const struct ntmm_platform *pa = ntmm_emulated_platform(a);
    for (uint64_t frame = 16; frame < 28; frame = frame == 19 ? 24 : frame + 1)
        page_of(a, frame)[frame] = (uint8_t)frame;
    pa->entropy(a, drawn, sizeof drawn);
    pa->pump(a);
    assert_int_equal(ntmm_emulated_save(a, path), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore(&wrong, path, &b), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_emulated_restore(&empty, path, &b), NTMM_STATUS_SUCCESS);
    const struct ntmm_platform *pb = ntmm_emulated_platform(b);
    assert_true(ntmm_emulated_hash(a) == ntmm_emulated_hash(b));
    assert_true(pa->direct_map != pb->direct_map);
    assert_int_equal(pb->range_count, 2);
    assert_int_equal(pb->ranges[1].base_frame, 24);
    assert_int_equal(pa->now(a), pb->now(b));
    pa->entropy(a, drawn, sizeof drawn);
    pb->entropy(b, drawn_again, sizeof drawn);
    assert_memory_equal(drawn, drawn_again, sizeof drawn);
    ntmm_emulated_destroy(a, NULL);
    ntmm_emulated_destroy(b, NULL);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
}

/* What the caller says must be what the file says, of an arena of the caller's in full. */
static void what_the_caller_says_of_a_saved_machine_must_agree(void **state)
{
    (void)state;
    char path[] = "test_machine_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    struct ntmm_emulated *a = make_content_machine(), *b = NULL;
    assert_int_equal(ntmm_emulated_save(a, path), NTMM_STATUS_SUCCESS);
    struct ntmm_emulated_config c = config_of(0), wrong[5];
    for (size_t i = 0; i < 5; i++)
        wrong[i] = c;
    wrong[0].base_pa = 4096;
    wrong[1].hole_base_pa = 4096;
    wrong[2].hole_bytes = 4096;
    wrong[3].size = wrong[4].version = 0;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ntmm_emulated_restore(&wrong[i], path, &b),
                         i < 3 ? NTMM_STATUS_INVALID_PARAMETER_1
                               : NTMM_STATUS_INFO_LENGTH_MISMATCH);
    c.arena = aligned_alloc(4096, 12 * 4096);
    assert_non_null(c.arena);
    assert_int_equal(ntmm_emulated_restore(&c, path, &b), NTMM_STATUS_INVALID_PARAMETER_1);
    c.ram_bytes = 8 * 4096;
    assert_int_equal(ntmm_emulated_restore(&c, path, &b), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_null(b);
    c.hole_bytes = 4 * 4096;
    assert_int_equal(ntmm_emulated_restore(&c, path, &b), NTMM_STATUS_SUCCESS);
    assert_ptr_equal(ntmm_emulated_arena(b, NULL), c.arena);
    assert_true(ntmm_emulated_hash(a) == ntmm_emulated_hash(b));
    ntmm_emulated_destroy(b, NULL);
    ntmm_emulated_destroy(a, NULL);
    free(c.arena);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
}

static void leave_at_once(void *context) { (void)context; }

static void ignore_completion(struct ntmm_io *io) { (void)io; }

/* In motion: a coroutine that did not finish, a transfer that did not end. */
static void a_machine_in_motion_is_not_saved(void **state)
{
    (void)state;
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = 4096};
    struct ntmm_emulated *a = make_content_machine();
    const struct ntmm_platform *p = ntmm_emulated_platform(a);
    struct ntmm_io io = {.operation = NTMM_IO_FLUSH, .complete = ignore_completion};
    assert_int_equal(ntmm_emulated_spawn(a, 0, leave_at_once, NULL, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_save(a, "test_machine_none"), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_run(a), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_add_disk(a, &disk, &io.device), NTMM_STATUS_SUCCESS);
    assert_int_equal(p->submit(p->context, &io), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_save(a, "test_machine_none"), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(access("test_machine_none", F_OK), -1);
    ntmm_emulated_destroy(a, NULL);
}

static void files_that_are_not_machines_are_refused(void **state)
{
    (void)state;
    char path[] = "test_machine_XXXXXX";
    struct ntmm_emulated_config empty = config_of(0);
    struct ntmm_emulated *b = NULL;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(ntmm_emulated_restore(&empty, path, &b), NTMM_STATUS_FILE_INVALID);
    assert_int_equal(ftruncate(file, 100000), 0);
    assert_int_equal(ntmm_emulated_restore(&empty, path, &b), NTMM_STATUS_FILE_INVALID);
    struct ntmm_emulated *a = make_content_machine();
    assert_int_equal(ntmm_emulated_save(a, path), NTMM_STATUS_SUCCESS);
    assert_int_equal(ftruncate(file, 9 * 4096 - 1), 0);
    assert_int_equal(ntmm_emulated_restore(&empty, path, &b), NTMM_STATUS_FILE_INVALID);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ntmm_emulated_restore(&empty, path, &b), NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(ntmm_emulated_save(a, "/nonexistent-directory/ram"), NTMM_STATUS_UNSUCCESSFUL);
    assert_null(b);
    ntmm_emulated_destroy(a, NULL);
}

static void count_log(void *context, uint32_t level, const char *text)
{
    *(uint32_t *)context += level + (uint32_t)strlen(text);
}

static void count_event(void *context, const struct ntmm_event *event)
{
    *(uint32_t *)context += event->kind;
}

static void sinks_are_called(void **state)
{
    (void)state;
    struct ntmm_emulated *emu = make_content_machine();
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    const struct ntmm_event event = {.kind = NTMM_EVENT_COMMIT};
    uint32_t seen = 0;
    p->log(emu, 1, "nobody listens");
    p->event(emu, &event);
    ntmm_emulated_set_log(emu, count_log, &seen);
    ntmm_emulated_set_event(emu, count_event, &seen);
    p->log(emu, 100, "four");
    assert_int_equal(seen, 104);
    p->event(emu, &event);
    assert_int_equal(seen, 104 + NTMM_EVENT_COMMIT);
    ntmm_emulated_destroy(emu, NULL);
}

static void accesses_need_a_process(void **state)
{
    (void)state;
    struct ntmm_emulated *emu = make_content_machine();
    uint8_t byte = 0;
    assert_int_equal(ntmm_emulated_load(emu, 0, 0x10000, &byte, 1, NULL, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_load(emu, 1, 0x10000, &byte, 1, NULL, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_attach(emu, 0, 1), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_null(ntmm_emulated_cpu(emu, 1));
    assert_non_null(ntmm_emulated_cpu(emu, 0));
    ntmm_emulated_destroy(emu, NULL);
}

/* --- the shootdown --- */

#define READERS 2u
#define ROUNDS 40u
#define UNPOLLED 5000u /* reads between polls */
#define TABLE_VA UINT64_C(0x10000)
#define GOOD UINT64_C(0x600d600d600d600d)
#define DEAD UINT64_C(0xdeaddeaddeaddead)

/* Tables of four levels in frames 1..4 of RAM at 0; the page of TABLE_VA is in frame 5 or 6. */
struct shooting {
    struct ntmm_emulated *emu;
    const struct ntmm_platform *platform;
    uint8_t *ram;
    uint32_t stop;
    uint32_t started;
    uint32_t stale[READERS];
    uint64_t reads[READERS];
    uint64_t faults[READERS];
};

struct reader {
    struct shooting *s;
    uint32_t index;
};

static uint64_t *entry_of(struct shooting *s, uint64_t frame, uint64_t index)
{
    return (uint64_t *)(void *)(s->ram + frame * 4096) + index;
}

static uint64_t in_guest_order(uint64_t value)
{
    const uint16_t probe = 1;
    return *(const uint8_t *)&probe ? value : __builtin_bswap64(value);
}

static void store_word(uint64_t *where, uint64_t value)
{
    __atomic_store_n(where, in_guest_order(value), __ATOMIC_RELEASE);
}

static void make_shooting(struct shooting *s, uint32_t flags)
{
    struct ntmm_emulated_config c = config_of(64 * 4096);
    memset(s, 0, sizeof *s);
    c.cpu_count = READERS;
    c.flags = flags;
    s->emu = make_machine(c);
    s->platform = ntmm_emulated_platform(s->emu);
    s->ram = ntmm_emulated_arena(s->emu, NULL);
    for (uint64_t level = 1; level <= 3; level++)
        store_word(entry_of(s, level, 0), (level + 1) << 12 | 0x7);
    store_word(entry_of(s, 4, TABLE_VA >> 12), 5 << 12 | 0x7);
    for (uint32_t i = 0; i < READERS; i++)
        assert_int_equal(ntmm_cpu_set_cr3(ntmm_emulated_cpu(s->emu, i), 1 << 12 | 1), NTMM_CPU_OK);
}

static struct ntmm_shootdown page_of_process_0(void)
{
    return (struct ntmm_shootdown){
        .root_frame = 1,
        .range_count = 1,
        .ranges = {{TABLE_VA, TABLE_VA + 4096}},
    };
}

/* Frame `from` is withdrawn and then used for something else; frame `to` takes its place. */
static void replace_frame(struct shooting *s, uint64_t from, uint64_t to)
{
    const struct ntmm_shootdown shootdown = page_of_process_0();
    store_word(entry_of(s, to, 0), GOOD);
    __atomic_exchange_n(entry_of(s, 4, TABLE_VA >> 12), in_guest_order(to << 12 | 0x7),
                        __ATOMIC_SEQ_CST);
    s->platform->invalidate(s->emu, &shootdown);
    store_word(entry_of(s, from, 0), DEAD);
}

static void *read_until_told(void *context)
{
    struct reader *r = context;
    struct shooting *s = r->s;
    struct ntmm_cpu *cpu = ntmm_emulated_cpu(s->emu, r->index);
    ntmm_cpu_enter(cpu);
    __atomic_fetch_add(&s->started, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
        for (uint32_t i = 0; i < UNPOLLED; i++) {
            uint64_t value = GOOD;
            if (ntmm_cpu_read64(cpu, TABLE_VA, &value) != NTMM_CPU_OK)
                s->faults[r->index]++;
            s->stale[r->index] += value != GOOD;
            __atomic_store_n(&s->reads[r->index], s->reads[r->index] + 1, __ATOMIC_RELEASE);
        }
        ntmm_cpu_poll(cpu);
        if (s->reads[r->index] % (8 * UNPOLLED) == 0) { /* now and then outside */
            ntmm_cpu_leave(cpu);
            ntmm_cpu_enter(cpu);
        }
    }
    ntmm_cpu_leave(cpu);
    return NULL;
}

/* Give every reader the time to read a stale frame if it could. */
static void let_readers_read(struct shooting *s)
{
    for (uint32_t i = 0; i < READERS; i++) {
        uint64_t before = __atomic_load_n(&s->reads[i], __ATOMIC_ACQUIRE);
        while (__atomic_load_n(&s->reads[i], __ATOMIC_ACQUIRE) - before < 3)
            s->platform->relax(s->emu);
    }
}

static void t1_threads_never_use_a_withdrawn_translation(void **state)
{
    (void)state;
    struct shooting s;
    pthread_t threads[READERS];
    struct reader readers[READERS];
    struct ntmm_emulated_statistics statistics;
    make_shooting(&s, NTMM_EMULATED_THREADS);
    store_word(entry_of(&s, 5, 0), GOOD);
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){&s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_told, &readers[i]), 0);
    }
    while (__atomic_load_n(&s.started, __ATOMIC_ACQUIRE) != READERS)
        s.platform->relax(s.emu);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        replace_frame(&s, 5 + i % 2, 6 - i % 2);
        let_readers_read(&s);
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(s.stale[i], 0);
        assert_int_equal(s.faults[i], 0);
        assert_true(s.reads[i] > 0);
    }
    ntmm_emulated_query(s.emu, &statistics);
    assert_int_equal(statistics.shootdowns, ROUNDS);
    ntmm_emulated_destroy(s.emu, NULL);
}

/* Without the invalidation the TLB still serves the old frame: so the test above can fail. */
static void a_tlb_keeps_what_nobody_withdrew(void **state)
{
    (void)state;
    struct shooting s;
    uint64_t value = 0;
    make_shooting(&s, 0);
    struct ntmm_cpu *cpu = ntmm_emulated_cpu(s.emu, 0);
    store_word(entry_of(&s, 5, 0), DEAD);
    store_word(entry_of(&s, 6, 0), GOOD);
    ntmm_cpu_enter(cpu);
    assert_int_equal(ntmm_cpu_read64(cpu, TABLE_VA, &value), NTMM_CPU_OK);
    assert_true(value == DEAD);
    store_word(entry_of(&s, 4, TABLE_VA >> 12), 6 << 12 | 0x7);
    assert_int_equal(ntmm_cpu_read64(cpu, TABLE_VA, &value), NTMM_CPU_OK);
    assert_true(value == DEAD);
    const struct ntmm_shootdown shootdown = page_of_process_0();
    s.platform->invalidate(s.emu, &shootdown);
    assert_int_equal(ntmm_cpu_read64(cpu, TABLE_VA, &value), NTMM_CPU_OK);
    assert_true(value == GOOD);
    ntmm_cpu_leave(cpu);
    ntmm_emulated_destroy(s.emu, NULL);
}

/* What each form of shootdown withdraws: the page, the process whole, nothing of another one. */
static void a_shootdown_has_its_extent(void **state)
{
    (void)state;
    const struct {
        ntmm_handle process;
        uint32_t range_count;
        uint64_t base;
        bool withdraws;
    } cases[] = {
        {0, 1, TABLE_VA, true}, {0, 1, TABLE_VA + 4096, false}, {0, 0, 0, true}, {1, 0, 0, false},
        {4094, 0, 0, true}, /* index 4094 shares PCID 1 with index 0 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct shooting s;
        uint64_t value = 0;
        make_shooting(&s, 0);
        struct ntmm_cpu *cpu = ntmm_emulated_cpu(s.emu, 1);
        store_word(entry_of(&s, 6, 0), GOOD);
        ntmm_cpu_enter(cpu);
        assert_int_equal(ntmm_cpu_read64(cpu, TABLE_VA, &value), NTMM_CPU_OK);
        store_word(entry_of(&s, 4, TABLE_VA >> 12), 6 << 12 | 0x7);
        struct ntmm_shootdown shootdown = {
            .process = cases[i].process,
            .range_count = cases[i].range_count,
            .ranges = {{cases[i].base, cases[i].base + 4096}},
        };
        s.platform->invalidate(s.emu, &shootdown);
        assert_int_equal(ntmm_cpu_read64(cpu, TABLE_VA, &value), NTMM_CPU_OK);
        assert_true(value == (cases[i].withdraws ? GOOD : 0));
        ntmm_cpu_leave(cpu);
        ntmm_emulated_destroy(s.emu, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_configurations_are_refused),
        cmocka_unit_test(a_hole_must_lie_inside),
        cmocka_unit_test(the_direct_map_reaches_every_frame),
        cmocka_unit_test(a_given_arena_is_used),
        cmocka_unit_test(contents_are_zeroed_copied_and_compared),
        cmocka_unit_test(spans_are_read_and_written),
        cmocka_unit_test(frames_outside_ram_change_nothing),
        cmocka_unit_test(content_errors_come_when_asked_for),
        cmocka_unit_test(the_hash_sees_every_byte_but_no_address),
        cmocka_unit_test(a_saved_machine_is_restored),
        cmocka_unit_test(what_the_caller_says_of_a_saved_machine_must_agree),
        cmocka_unit_test(a_machine_in_motion_is_not_saved),
        cmocka_unit_test(files_that_are_not_machines_are_refused),
        cmocka_unit_test(sinks_are_called),
        cmocka_unit_test(accesses_need_a_process),
        cmocka_unit_test(a_tlb_keeps_what_nobody_withdrew),
        cmocka_unit_test(a_shootdown_has_its_extent),
        cmocka_unit_test(t1_threads_never_use_a_withdrawn_translation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
