/*
 * Counts the distinct 4 KiB pages that a memory trace touches: the judge of `ntmm replay`'s
 * demand-zero faults. It shares no code with ntmm; it was written from docs/traces.md.
 *
 *   count_pages FILE     valgrind's lackey text, or the binary form (.ntt), told by the first byte
 *
 * Prints one line: pages, references. Exit status 2 when the file makes no sense.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Sets of page numbers: a bit for each page of a 1 GiB chunk, chunks in a list. */
#define CHUNK_PAGES (1u << 18)
struct chunk {
    struct chunk *next;
    uint64_t number;
    uint8_t bits[CHUNK_PAGES / 8];
};

static struct chunk *chunks;
static struct chunk *latest;
static uint64_t page_count;
static uint64_t reference_count;

static void die(const char *what)
{
    fprintf(stderr, "count_pages: %s\n", what);
    exit(2);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size != 0 ? size : 1);
    if (memory == NULL)
        die("no memory");
    return memory;
}

static struct chunk *chunk_of(uint64_t number)
{
    if (latest != NULL && latest->number == number)
        return latest;
    for (latest = chunks; latest != NULL; latest = latest->next)
        if (latest->number == number)
            return latest;
    latest = allocate(sizeof *latest);
    latest->number = number;
    latest->next = chunks;
    chunks = latest;
    return latest;
}

static void touch(uint64_t address, uint64_t size)
{
    for (uint64_t page = address / 4096; page <= (address + size - 1) / 4096; page++) {
        struct chunk *chunk = chunk_of(page / CHUNK_PAGES);
        uint8_t *byte = &chunk->bits[page % CHUNK_PAGES / 8];
        uint8_t bit = (uint8_t)(1u << page % 8);
        page_count += (*byte & bit) == 0;
        *byte |= bit;
    }
}

static void count_text(FILE *file)
{
    char line[4096];
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long address;
        unsigned size;
        if (strchr("=-*", line[0]) != NULL)
            continue;
        if (sscanf(line + 2, "%llx,%u", &address, &size) != 2 || size == 0)
            die("not a line of lackey");
        touch(address, size);
        reference_count++;
    }
}

static uint64_t word(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    while (count-- != 0)
        value = value << 8 | bytes[count];
    return value;
}

/* The next block, decompressed; NULL at the end of the file. */
static uint8_t *next_block(FILE *file, size_t *size)
{
    uint8_t head[8];
    size_t got = fread(head, 1, sizeof head, file);
    if (got == 0)
        return NULL;
    size_t stored = (size_t)word(head, 4);
    uint8_t *packed = allocate(stored);
    *size = (size_t)word(head + 4, 4);
    uint8_t *raw = allocate(*size + 8);
    if (got != sizeof head || fread(packed, 1, stored, file) != stored ||
        ZSTD_decompress(raw, *size, packed, stored) != *size)
        die("a damaged block");
    free(packed);
    return raw;
}

static uint64_t next_fetch;
static uint64_t remembered[1 << 14];
static unsigned remembered_at;

static void count_record(unsigned op, const uint8_t **operand)
{
    static const unsigned sizes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 32, 64, 0};
    static const unsigned lengths[4] = {0, 1, 2, 8};
    uint64_t size = sizes[op / 16];
    if (op / 16 == 15) {
        size = word(*operand, 2);
        *operand += 2;
    }
    unsigned length = lengths[op / 4 % 4];
    uint64_t zigzag = word(*operand, length);
    *operand += length;
    uint64_t difference = zigzag % 2 == 0 ? zigzag / 2 : ~(zigzag / 2);
    uint64_t address;
    if (op % 4 == 0) {
        address = next_fetch + difference;
        next_fetch = address + size;
        remembered_at = (unsigned)(address * 0x9E3779B97F4A7C15u >> 50);
    } else {
        address = remembered[remembered_at] + difference;
        remembered[remembered_at] = address;
        remembered_at = (remembered_at + 1) % (1 << 14);
    }
    touch(address, size);
}

static void count_block(const uint8_t *raw)
{
    uint64_t records = word(raw, 4);
    uint64_t folds = word(raw + 4, 4);
    const uint8_t *fold = raw + 8 + records;
    const uint8_t *operand = fold + folds;
    reference_count += records;
    for (uint64_t i = 0; i < records; i++)
        count_record(raw[8 + i], &operand);
    for (const uint8_t *end = fold + folds; fold < end; fold += *fold == 255 ? 5 : 1)
        reference_count += *fold == 255 ? word(fold + 1, 4) : *fold;
}

static void count_binary(FILE *file)
{
    uint8_t head[16];
    size_t size;
    if (fread(head, 1, sizeof head, file) != sizeof head || word(head + 8, 4) != 1)
        die("not version 1 of the binary form");
    uint8_t *raw = next_block(file, &size); /* the summary is not believed */
    while (raw != NULL) {
        free(raw);
        raw = next_block(file, &size);
        if (raw != NULL)
            count_block(raw);
    }
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL)
        die("usage: count_pages FILE");
    int first = getc(file);
    ungetc(first, file);
    if (first == 0x89)
        count_binary(file);
    else
        count_text(file);
    printf("%llu %llu\n", (unsigned long long)page_count, (unsigned long long)reference_count);
    return 0;
}
