/*
 * See hand_made.h. Entries are written as the processor's manual has them: present, writable, user,
 * accessed, dirty.
 */
#include "hand_made.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define ENTRY_BITS 0x67u
#define FIRST_LEAF 3u /* frame of the first leaf table */

static le64 *table_of(struct hand_made *made, uint64_t frame)
{
    return (le64 *)(void *)(made->memory.host + frame * NTMM_PAGE_SIZE);
}

static void map(struct hand_made *made, uint64_t table, uint64_t index, uint64_t frame)
{
    set64(&table_of(made, table)[index], frame * NTMM_PAGE_SIZE | ENTRY_BITS);
}

struct hand_made *hand_made_open(uint64_t page_count)
{
    struct hand_made *made = bench_allocate(1, sizeof *made);
    uint64_t leaves = page_count / NTMM_ENTRIES_PER_TABLE;
    uint64_t data = FIRST_LEAF + leaves;

    made->memory.size = (data + 1) * NTMM_PAGE_SIZE;
    made->memory.host = aligned_alloc(NTMM_PAGE_SIZE, (size_t)made->memory.size);
    bench_must(made->memory.host != NULL, "out of memory");
    memset(made->memory.host, 0, (size_t)made->memory.size);
    map(made, 0, 0, 1);
    map(made, 1, 0, 2);
    for (uint64_t i = 0; i < leaves; i++)
        map(made, 2, i, FIRST_LEAF + i);
    for (uint64_t i = 0; i < page_count; i++)
        map(made, FIRST_LEAF + i / NTMM_ENTRIES_PER_TABLE, i % NTMM_ENTRIES_PER_TABLE, data);
    bench_must(ntmm_cpu_init(&made->cpu, &made->memory, NULL) == NTMM_CPU_OK, "no processor");
    return made;
}

void hand_made_close(struct hand_made *made)
{
    free(made->memory.host);
    free(made);
}
