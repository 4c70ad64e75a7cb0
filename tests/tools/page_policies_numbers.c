/*
 * Numbers for pages: a hash table with open addressing, at most half full.
 */
#include "page_policies.h"

#include <stdlib.h>

#define FIRST_BITS 12u

struct entry {
    uint64_t page;
    uint32_t program;
    uint32_t number; /* plus 1; 0: the entry is empty */
};

struct page_numbers {
    struct entry *entries;
    unsigned bits; /* there are 2^bits entries */
    uint32_t count;
};

struct page_numbers *page_numbers_create(void)
{
    struct page_numbers *numbers = allocate(1, sizeof *numbers);
    numbers->bits = FIRST_BITS;
    numbers->entries = allocate((size_t)1 << FIRST_BITS, sizeof *numbers->entries);
    return numbers;
}

void page_numbers_destroy(struct page_numbers *numbers)
{
    free(numbers->entries);
    free(numbers);
}

static struct entry *find(const struct page_numbers *numbers, uint32_t program, uint64_t page)
{
    uint64_t hash = page * 0x9E3779B97F4A7C15u; /* equal pages of programs lie side by side */
    size_t mask = ((size_t)1 << numbers->bits) - 1;
    size_t i = (size_t)(hash >> (64 - numbers->bits));
    while (numbers->entries[i].number != 0 &&
           (numbers->entries[i].page != page || numbers->entries[i].program != program))
        i = (i + 1) & mask;
    return &numbers->entries[i];
}

static void grow(struct page_numbers *numbers)
{
    struct entry *old = numbers->entries;
    size_t old_size = (size_t)1 << numbers->bits++;
    numbers->entries = allocate(old_size * 2, sizeof *numbers->entries);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].number != 0)
            *find(numbers, old[i].program, old[i].page) = old[i];
    free(old);
}

uint32_t page_number_of(struct page_numbers *numbers, uint32_t program, uint64_t page)
{
    struct entry *entry = find(numbers, program, page);
    if (entry->number != 0)
        return entry->number - 1;
    *entry = (struct entry){page, program, ++numbers->count};
    if (numbers->count * (uint64_t)2 > (uint64_t)1 << numbers->bits)
        grow(numbers);
    return numbers->count - 1;
}

uint32_t page_numbers_count(const struct page_numbers *numbers) { return numbers->count; }
