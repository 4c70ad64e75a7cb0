/*
 * Files while several host threads use the machine: the index grows and shrinks under transfers to
 * other files, and every byte goes where it belongs.
 */
#include "unit/file_world.h"

#include <pthread.h>

#define ROUNDS 600u
#define USERS 2u

struct user {
    struct world *w;
    pthread_t thread;
    uint64_t device; /* its own */
    uint64_t ram;    /* its own page */
    uint32_t failures;
};

/* cmocka's assertions belong to the main thread. */
static ntmm_status move(struct user *user, enum ntmm_io_operation operation, uint64_t size)
{
    struct request r;
    prepare(user->w, &r, user->device, operation, 3);
    r.spans[0] =
        (struct ntmm_content_span){user->ram / WORLD_PAGE, 5, (uint32_t)size}; /* inside its page */
    r.io.span_count = 1;
    ntmm_status status = user->w->platform->submit(user->w->emu, &r.io);
    return status == NTMM_STATUS_SUCCESS && r.completions == 1 ? r.io.status
                                                               : NTMM_STATUS_UNSUCCESSFUL;
}

static void *write_and_read(void *context)
{
    struct user *user = context;
    uint8_t *bytes = user->w->ram + user->ram + 5;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        fill_pattern(bytes, 700, i);
        user->failures += move(user, NTMM_IO_WRITE, 700) != NTMM_STATUS_SUCCESS;
        memset(bytes, 0, 700);
        user->failures += move(user, NTMM_IO_READ, 700) != NTMM_STATUS_SUCCESS;
        user->failures += bytes[0] != pattern(i, 0) || bytes[699] != pattern(i, 699);
        user->failures += ntmm_emulated_file_size(user->w->emu, user->device) != 703;
    }
    return NULL;
}

static uint64_t add_inline_file(struct world *w)
{
    return add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 703,
                                                          .flags = NTMM_EMULATED_FILE_INLINE});
}

static void files_come_and_go_under_transfers(void **state)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = WORLD_PAGES * WORLD_PAGE,
        .flags = NTMM_EMULATED_THREADS,
    };
    struct world w = {.emu = NULL};
    struct user users[USERS];
    (void)state;
    assert_int_equal(ntmm_emulated_create(&config, &w.emu), NTMM_STATUS_SUCCESS);
    w.platform = ntmm_emulated_platform(w.emu);
    w.ram = ntmm_emulated_arena(w.emu, NULL);
    for (uint32_t i = 0; i < USERS; i++) {
        users[i] = (struct user){.w = &w, .device = add_inline_file(&w), .ram = i * WORLD_PAGE};
        assert_int_equal(pthread_create(&users[i].thread, NULL, write_and_read, &users[i]), 0);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t device = add_inline_file(&w);
        if (i % 2 == 0)
            assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    }
    for (uint32_t i = 0; i < USERS; i++) {
        assert_int_equal(pthread_join(users[i].thread, NULL), 0);
        assert_int_equal(users[i].failures, 0);
        assert_int_equal(ntmm_emulated_remove_device(w.emu, users[i].device), NTMM_STATUS_SUCCESS);
    }
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_and_go_under_transfers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
