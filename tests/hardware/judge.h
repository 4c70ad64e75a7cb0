/*
 * Comparing the emulated processor's paging with a judge that no one here wrote.
 *
 * A judge owns memory and answers probes: one access by one processor in one mode through given
 * page tables. The comparison fills the memory with tables, copies it, lets the judge and the
 * emulated processor answer the same probes on their copies, and compares verdict, error code, CR2,
 * the value read, after success the entries of the path (accessed and dirty bits at all levels),
 * and at the end of a batch the data pages and every dirty bit. Accessed bits after a fault are not
 * compared: processors differ.
 *
 *   0         1 MiB             2 MiB                               8 MiB
 *   | judge's | tables          | data: 0xF4 (HLT), page number at 0x10 |
 */
#ifndef NTMM_TESTS_HARDWARE_JUDGE_H
#define NTMM_TESTS_HARDWARE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_SIZE 0x800000ull
#define TABLES_PA 0x100000ull
#define DATA_PA 0x200000ull
#define BIT_8 0x100ull /* G in a leaf */
#define STUB_SLOT 300u /* root slot that is the judge's: its code, stack, descriptor tables */
#define SKIPPED 77     /* exit status of a test whose judge is missing */

enum access {
    LOAD,
    STORE,
    FETCH,
    UPDATE,
    ACCESS_COUNT
}; /* UPDATE: a compare-exchange that fails */

struct probe {
    uint64_t root; /* physical address */
    uint64_t va;
    uint32_t pkru;
    enum access access;
    bool user, wp, smep, smap, ac, nxe, pke;
};

enum kind { DONE, PAGE_FAULT, GENERAL_PROTECTION, OTHER };

struct verdict {
    enum kind kind;
    uint32_t error_code; /* of a page fault */
    uint64_t cr2;        /* of a page fault */
    uint64_t value;      /* of a load that is done: 8 bytes */
};

struct judge {
    const char *name;
    uint8_t *memory;        /* MEMORY_SIZE bytes, physical address 0 first */
    uint64_t stub_entry;    /* for STUB_SLOT of every root; 0: none needed */
    unsigned max_phys_bits; /* address bits from here on are reserved */
    unsigned levels;        /* 4 or 5 */
    bool has_1gib_pages;
    bool reserves_bit_8; /* of entries above level 2 that name a table; ours ignores it, as Intel */
    bool has_keys;
    bool has_updates;       /* its locked instructions are writes from the start */
    bool knows_fetch_codes; /* error codes of fetch faults */
    bool tears_crossings;   /* a store across pages that faults may be half done */
    bool is_taken[512];     /* root slots in which user accesses never succeed: a hypervisor's */
    bool sees_physical;     /* values and data pages mean something */
    struct verdict (*answer)(struct judge *judge, const struct probe *probe);
    void (*memory_changed)(struct judge *judge); /* tables were rewritten from outside */
};

/* Run the full product and the random part; prints counts and up to 20 differences. Returns the
 * number of differences. */
unsigned long judge_compare(struct judge *judge, bool quick);

#endif
