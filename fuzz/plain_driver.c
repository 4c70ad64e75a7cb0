/*
 * Runs a fuzz target without an engine: replays files, or makes inputs from a seed.
 *
 *     fuzz_NAME FILE...                       each file is one input
 *     fuzz_NAME --runs N --seed S [--size B]  N inputs of at most B bytes; input i has seed S + i
 *     ... --write DIRECTORY                   also keep every input made, as DIRECTORY/seed-NUMBER
 *
 * When the target traps, the driver names the input, and writes one that it made to
 * ./crash-<number>.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEFAULT_SIZE 1200u

struct options {
    uint64_t runs;
    uint64_t seed;
    uint64_t size_bytes;
    const char *directory;
};

/* What is running, for the signal handler. */
static const char *current_path;
static uint64_t current_seed;
static const uint8_t *current_data;
static size_t current_size;

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) {
        perror(path);
    }
}

/* The program is lost already: standard output is used from the handler to say why. */
static void on_trap(int number)
{
    char path[64];

    signal(number, SIG_DFL);
    if (current_path) {
        fprintf(stderr, "input: %s\n", current_path);
    } else {
        snprintf(path, sizeof(path), "crash-%" PRIu64, current_seed);
        write_file(path, current_data, current_size);
        fprintf(stderr, "input: --runs 1 --seed %" PRIu64 ", written to %s\n", current_seed, path);
    }
    raise(number);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t value = *state += 0x9E3779B97F4A7C15ull;

    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

static size_t make_input(uint64_t seed, uint8_t *data, uint64_t limit)
{
    uint64_t state = seed;
    size_t size = (size_t)(next_random(&state) % (limit + 1));

    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)next_random(&state);
    }
    return size;
}

static void run_random(const struct options *options)
{
    char path[4096];
    uint8_t *data = malloc(options->size_bytes + 1);

    if (!data) {
        abort();
    }
    current_path = NULL;
    current_data = data;
    for (uint64_t i = 0; i < options->runs; i++) {
        current_seed = options->seed + i;
        current_size = make_input(current_seed, data, options->size_bytes);
        if (options->directory) {
            snprintf(path, sizeof(path), "%s/seed-%" PRIu64, options->directory, current_seed);
            write_file(path, data, current_size);
        }
        LLVMFuzzerTestOneInput(data, current_size);
    }
    free(data);
    printf("%" PRIu64 " inputs made from seed %" PRIu64 "\n", options->runs, options->seed);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (file && !fseek(file, 0, SEEK_END)) {
        size = ftell(file);
        rewind(file);
    }
    data = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    current_path = path;
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

static uint64_t number_of(const char *text)
{
    char *end = NULL;
    uint64_t value = text ? strtoull(text, &end, 0) : 0;

    if (!text || end == text || *end) {
        fprintf(stderr, "usage: FILE... | --runs N --seed S [--size BYTES] [--write DIRECTORY]\n");
        exit(2);
    }
    return value;
}

int main(int count, char **arguments)
{
    struct options options = {.size_bytes = DEFAULT_SIZE};
    int files = 0;

    signal(SIGILL, on_trap);
    signal(SIGTRAP, on_trap);
    signal(SIGABRT, on_trap);
    signal(SIGSEGV, on_trap);
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;

        if (!strcmp(arguments[i], "--runs")) {
            options.runs = number_of(value);
        } else if (!strcmp(arguments[i], "--seed")) {
            options.seed = number_of(value);
        } else if (!strcmp(arguments[i], "--size")) {
            options.size_bytes = number_of(value);
        } else if (!strcmp(arguments[i], "--write")) {
            options.directory = value;
        } else {
            files += run_file(arguments[i]);
            continue;
        }
        i++;
    }
    if (options.runs) {
        run_random(&options);
    }
    if (files) {
        printf("%d files\n", files);
    }
    if (!files && !options.runs) {
        number_of(NULL);
    }
    return 0;
}
