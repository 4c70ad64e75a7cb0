/*
 * Counts the distinct 4 KiB pages that a memory trace touches: the judge of `ntmm replay`'s
 * demand-zero faults. It shares no code with ntmm; it was written from docs/traces.md.
 *
 *   count_pages FILE     valgrind's lackey text, or the binary form (.ntt), told by the first byte
 *
 * Prints one line: pages, references. Exit status 2 when the file makes no sense.
 */
#include "trace_records.h"

#include <stdio.h>

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

static struct chunk *chunk_of(uint64_t number)
{
    if (latest != NULL && latest->number == number)
        return latest;
    for (latest = chunks; latest != NULL; latest = latest->next)
        if (latest->number == number)
            return latest;
    latest = allocate(1, sizeof *latest);
    latest->number = number;
    latest->next = chunks;
    chunks = latest;
    return latest;
}

static void touch(uint64_t address, uint64_t size)
{
    for (uint64_t page = address / PAGE_BYTES; page <= (address + size - 1) / PAGE_BYTES; page++) {
        struct chunk *chunk = chunk_of(page / CHUNK_PAGES);
        uint8_t *byte = &chunk->bits[page % CHUNK_PAGES / 8];
        uint8_t bit = (uint8_t)(1u << page % 8);
        page_count += (*byte & bit) == 0;
        *byte |= bit;
    }
}

int main(int argc, char **argv)
{
    struct trace_record record;
    uint64_t reference_count = 0;
    if (argc != 2)
        die("usage: count_pages FILE");
    struct trace_records *trace = trace_records_open(argv[1]);
    while (trace_records_next(trace, &record)) {
        touch(record.address, record.size_bytes);
        reference_count += 1 + (uint64_t)record.folded;
    }
    trace_records_close(trace);
    printf("%llu %llu\n", (unsigned long long)page_count, (unsigned long long)reference_count);
    return 0;
}
