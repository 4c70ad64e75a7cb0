/*
 * The same random run, elsewhere: beside another system, call by call and in another thread; with
 * several processors in the same processes; in an arena that was saved and moved to another
 * process.
 */
#define _GNU_SOURCE 1
#include "unit/emulated_world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REGIONS 16u
#define PROCESSES 3u

/* A random run; holds no pointer, so that it can move with its arena. */
struct story {
    uint64_t random;
    uint64_t first_cpu;
    uint64_t cpu_count;
    ntmm_handle process[PROCESSES];
    uint64_t base[REGIONS];
    uint64_t pages[REGIONS];
};

static uint64_t draw(struct story *y, uint64_t bound)
{
    y->random = y->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (y->random >> 33) % bound;
}

static void begin_story(struct world *w, struct story *y, uint64_t seed)
{
    memset(y, 0, sizeof *y);
    y->random = seed;
    y->cpu_count = 2;
    make_world(w,
               (struct ntmm_emulated_config){
                   .ram_bytes = 2 * MIB, .base_pa = MIB, .cpu_count = 2, .seed = seed},
               0);
    for (uint32_t i = 0; i < PROCESSES; i++)
        y->process[i] = make_process(w);
}

static void step_story(struct world *w, struct story *y)
{
    uint64_t slot = draw(y, REGIONS), cpu = y->first_cpu + draw(y, y->cpu_count);
    ntmm_handle process = y->process[slot % PROCESSES];
    if (y->base[slot] == 0) {
        y->pages[slot] = 1 + draw(y, 12);
        y->base[slot] = allocate(w, process, y->pages[slot] * PAGE, NTMM_PAGE_READWRITE);
        return;
    }
    uint64_t va = y->base[slot] + draw(y, y->pages[slot]) * PAGE;
    switch (draw(y, 12)) {
    case 0:
        release(w, process, y->base[slot]);
        y->base[slot] = 0;
        break;
    case 1:
        protect_page(w, process, va, NTMM_PAGE_READONLY);
        break;
    case 2:
        protect_page(w, process, va, NTMM_PAGE_READWRITE);
        break;
    case 3:
        (void)ntmm_zero_free_pages(w->system, draw(y, 8));
        break;
    default:
        attach(w, (uint32_t)cpu, process);
        (void)!store64(w, (uint32_t)cpu, va + 8 * draw(y, 512), y->random);
        break;
    }
}

static void run_story(struct world *w, struct story *y, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        step_story(w, y);
}

static uint64_t hash_of_story_alone(uint64_t seed, uint32_t steps)
{
    struct world w;
    struct story y;
    begin_story(&w, &y, seed);
    run_story(&w, &y, steps);
    uint64_t hash = ntmm_emulated_hash(w.emu);
    end_world(&w);
    return hash;
}

static void two_systems_interleaved_are_two_systems(void **state)
{
    (void)state;
    struct world w1, w2;
    struct story y1, y2;
    uint64_t alone1 = hash_of_story_alone(1, 2000), alone2 = hash_of_story_alone(2, 2000);
    assert_true(alone1 != alone2);
    begin_story(&w1, &y1, 1);
    begin_story(&w2, &y2, 2);
    for (uint32_t i = 0; i < 2000; i++) {
        step_story(&w1, &y1);
        step_story(&w2, &y2);
    }
    assert_true(ntmm_emulated_hash(w1.emu) == alone1);
    assert_true(ntmm_emulated_hash(w2.emu) == alone2);
    end_world(&w1);
    end_world(&w2);
}

struct telling {
    struct world w;
    struct story y;
};

static void *tell_story(void *context)
{
    struct telling *t = context;
    run_story(&t->w, &t->y, 2000);
    return NULL;
}

static void two_systems_in_two_threads_are_two_systems(void **state)
{
    (void)state;
    struct telling told[2];
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        begin_story(&told[i].w, &told[i].y, i + 1);
        assert_int_equal(pthread_create(&threads[i], NULL, tell_story, &told[i]), 0);
    }
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(ntmm_emulated_hash(told[i].w.emu) == hash_of_story_alone(i + 1, 2000));
        end_world(&told[i].w);
    }
}

/* --- several processors in the same processes --- */

#define HAMMERS 4u

struct hammer {
    struct world *w;
    struct story y;
};

static void hammer_on(void *context)
{
    struct hammer *h = context;
    run_story(h->w, &h->y, 200);
}

static void *hammer_in_thread(void *context)
{
    struct hammer *h = context;
    ntmm_emulated_bind_thread(h->w->emu, (uint32_t)h->y.first_cpu);
    run_story(h->w, &h->y, 2000);
    return NULL;
}

/* Each has regions of its own, in processes that all share. */
static void make_hammers(struct world *w, struct hammer hammers[HAMMERS], uint64_t seed,
                         uint32_t flags)
{
    struct story shared = {0};
    make_world(w,
               (struct ntmm_emulated_config){
                   .ram_bytes = 8 * MIB, .cpu_count = HAMMERS, .flags = flags, .seed = seed},
               0);
    for (uint32_t i = 0; i < PROCESSES; i++)
        shared.process[i] = make_process(w);
    for (uint32_t i = 0; i < HAMMERS; i++) {
        hammers[i] = (struct hammer){.w = w, .y = shared};
        hammers[i].y.random = seed * HAMMERS + i;
        hammers[i].y.first_cpu = i;
        hammers[i].y.cpu_count = 1;
    }
}

static void coroutines_hammer_shared_processes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t hash[2];
        for (uint32_t again = 0; again < 2; again++) {
            struct world w;
            struct hammer hammers[HAMMERS];
            make_hammers(&w, hammers, seed, NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL);
            for (uint32_t i = 0; i < HAMMERS; i++)
                assert_int_equal(ntmm_emulated_spawn(w.emu, i, hammer_on, &hammers[i], 0), 0);
            assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
            hash[again] = ntmm_emulated_hash(w.emu);
            end_world(&w);
        }
        assert_true(hash[0] == hash[1]);
    }
}

static void threads_hammer_shared_processes(void **state)
{
    (void)state;
    struct world w;
    struct hammer hammers[HAMMERS];
    pthread_t threads[HAMMERS];
    make_hammers(&w, hammers, 1, NTMM_EMULATED_THREADS);
    for (uint32_t i = 0; i < HAMMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_in_thread, &hammers[i]), 0);
    for (uint32_t i = 0; i < HAMMERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    end_world(&w);
}

static void write_story(const char *path, const struct story *y)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(y, sizeof *y, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* The arena in the file is loaded, and not at this address. */
static bool restore_elsewhere(const struct ntmm_emulated_config *c, const void *not_here,
                              struct ntmm_emulated **emu)
{
    struct ntmm_emulated *first;
    if (ntmm_emulated_restore(c, "arena", &first) != NTMM_STATUS_SUCCESS)
        return false;
    *emu = first;
    if (ntmm_emulated_arena(first, NULL) != not_here)
        return true;
    ntmm_status status = ntmm_emulated_restore(c, "arena", emu); /* the first is in its place */
    ntmm_emulated_destroy(first, NULL);
    return status == NTMM_STATUS_SUCCESS;
}

/* The other process: continue the story in directory `where` and print the hash. */
static int continue_elsewhere(const char *where, const void *not_here)
{
    struct ntmm_emulated_config c = {
        .size = sizeof c, .version = NTMM_EMULATED_CONFIG_VERSION, .cpu_count = 2};
    struct world w;
    struct story y;
    if (chdir(where) != 0)
        return 1;
    FILE *file = fopen("story", "rb");
    if (file == NULL || fread(&y, sizeof y, 1, file) != 1 || fclose(file) != 0)
        return 1;
    if (!restore_elsewhere(&c, not_here, &w.emu) ||
        ntmm_emulated_attach_system(w.emu, &w.system) != NTMM_STATUS_SUCCESS)
        return 1;
    run_story(&w, &y, 1000);
    printf("%p %llu\n", ntmm_emulated_arena(w.emu, NULL),
           (unsigned long long)ntmm_emulated_hash(w.emu));
    ntmm_emulated_destroy(w.emu, NULL);
    return 0;
}

static uint64_t hash_from_another_process(const char *where, const void *not_here)
{
    char command[4200], program[4096];
    unsigned long long hash = 0;
    void *arena = NULL;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = 0;
    assert_true(snprintf(command, sizeof command, "'%s' continue %s %llu", program, where,
                         (unsigned long long)(uintptr_t)not_here) > 0);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%p %llu", &arena, &hash), 2);
    assert_int_equal(pclose(pipe), 0);
    assert_ptr_not_equal(arena, not_here);
    return hash;
}

static void a_saved_system_continues_elsewhere_to_the_same_hash(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = {
        .size = sizeof c, .version = NTMM_EMULATED_CONFIG_VERSION, .cpu_count = 2};
    char where[] = "test_system_XXXXXX", path[64];
    struct world w, here;
    struct story y, copy;
    assert_non_null(mkdtemp(where));
    begin_story(&w, &y, 3);
    run_story(&w, &y, 1000);
    assert_true(snprintf(path, sizeof path, "%s/arena", where) > 0);
    assert_int_equal(ntmm_emulated_save(w.emu, path), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore(&c, path, &here.emu), NTMM_STATUS_SUCCESS);
    assert_true(snprintf(path, sizeof path, "%s/story", where) > 0);
    write_story(path, &y);
    copy = y;
    run_story(&w, &y, 1000);
    uint64_t expected = ntmm_emulated_hash(w.emu);
    /* at another address of this process */
    assert_int_equal(ntmm_emulated_attach_system(here.emu, &here.system), NTMM_STATUS_SUCCESS);
    assert_ptr_not_equal(ntmm_emulated_arena(w.emu, NULL), ntmm_emulated_arena(here.emu, NULL));
    run_story(&here, &copy, 1000);
    assert_true(ntmm_emulated_hash(here.emu) == expected);
    /* in another process */
    assert_true(hash_from_another_process(where, ntmm_emulated_arena(w.emu, NULL)) == expected);
    end_world(&here);
    end_world(&w);
    assert_int_equal(unlink(path), 0);
    assert_true(snprintf(path, sizeof path, "%s/arena", where) > 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(where), 0);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "continue") == 0)
        return continue_elsewhere(argv[2], (void *)(uintptr_t)strtoull(argv[3], NULL, 10));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_systems_interleaved_are_two_systems),
        cmocka_unit_test(two_systems_in_two_threads_are_two_systems),
        cmocka_unit_test(coroutines_hammer_shared_processes),
        cmocka_unit_test(threads_hammer_shared_processes),
        cmocka_unit_test(a_saved_system_continues_elsewhere_to_the_same_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
