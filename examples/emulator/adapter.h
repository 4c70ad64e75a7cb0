/*
 * Guest code of x86-64 under Unicorn, over the memory of an ntmm process: all that an emulator adds
 * to run over ntmm. docs/emulators.md has it as a difference.
 *
 *   access --> nothing of ours is mapped there, or not for it --> Unicorn's memory hook --> stop
 *     guest_run: ntmm_translate --granted--> map the run, straight from the arena --> go on
 *                      +--denied--> ntmm_page_fault --SUCCESS--> again
 *                                         +--anything else--> GUEST_EXCEPTION
 *
 * Invariants.
 *  E1  What Unicorn has mapped of the process are the runs, and each was granted by ntmm_translate
 *      with NTMM_TRANSLATE_MARK. So a page is mapped writable only when it is dirty already.
 *  E2  A run goes when the invalidation sink names a page of it, before the sink returns.
 *  E3  Faults, services and the sink run while the processor stands: never inside a hook.
 *  E4  At most GUEST_RUNS runs: the cost of each map grows with their number, and Unicorn 2.0
 *      ends the program at 4,096. The oldest gives way.
 *  E5  Plain private memory comes in blocks of around_pages pages, aligned. The first page of zeros
 *      of a block comes alone; the second brings all that are committed there and that nobody
 *      touched, dirty, in the order of their addresses, so that their frames make a run. Never
 *      where writes are watched, nor when frames are few, nor past a page that has contents.
 *
 * The instruction pointer is exact in a hook only while hooks of loads and of stores exist, so
 * there is one of loads that nothing ever calls. The one of stores is for those that cross into
 * another page: Unicorn makes them byte by byte, and what it stored before the fault is taken back.
 */
#ifndef EMULATOR_ADAPTER_H
#define EMULATOR_ADAPTER_H

#include <ntmm.h>
#include <ntmm/borrow.h>

#include <stdbool.h>
#include <unicorn/unicorn.h>

#define GUEST_RUNS 128u
#define GUEST_LONG_RUN 16u /* pages: worth a map before one of them is asked for */
#define GUEST_BLOCKS 64u

/* Most pages of guest.around_pages: those of a leaf table. */
#define GUEST_AROUND_MAXIMUM NTMM_ENTRIES_PER_TABLE

enum guest_stop {
    GUEST_SYSTEM_CALL, /* RIP stands behind the instruction */
    GUEST_TRAP,        /* an interrupt or trap of the processor: `vector` */
    GUEST_EXCEPTION,   /* the door refused an access: `status` and `fault` */
    GUEST_ILLEGAL,     /* an instruction that Unicorn does not take */
};

/* Pages that Unicorn has mapped, one behind the other in the guest and in the arena. */
struct guest_run {
    uint64_t base;
    uint64_t end;
    uint32_t rights; /* NTMM_TRANSLATE_* */
    uint64_t age;    /* when it was mapped */
};

enum guest_block_state {
    GUEST_BLOCK_NEW,     /* the next page of zeros comes alone */
    GUEST_BLOCK_TOUCHED, /* the next one brings the rest */
    GUEST_BLOCK_CLOSED,  /* pages come one by one: others than of zeros are in it */
};

/* What a block of around_pages pages has seen. */
struct guest_block {
    uint64_t base;
    enum guest_block_state state;
};

struct guest {
    struct ntmm_system *system;
    ntmm_handle process;
    uc_engine *uc;
    uint8_t *arena; /* what physical address 0 has */
    struct guest_run runs[GUEST_RUNS];
    uint32_t run_count;
    uint64_t maps; /* how many runs were ever mapped */
    /* A power of two, or 0: pages come one by one, as a processor asks for them. guest_open sets
     * GUEST_AROUND_MAXIMUM: see E5. */
    uint32_t around_pages;
    struct guest_block blocks[GUEST_BLOCKS];

    /* What a hook said. */
    bool has_fault;
    bool has_call;
    uint64_t address;
    uint32_t access;
    int vector; /* -1: none */

    /* The last store across pages: what the first page held, and whose store it was. */
    uint64_t torn_at;
    uint64_t torn_by;
    uint32_t torn_bytes; /* 0: none */
    uint8_t torn[64];

    ntmm_status status;
    struct ntmm_fault_result fault;
};

/* Prints why and returns false when Unicorn refuses. */
bool guest_open(struct guest *guest, struct ntmm_system *system, ntmm_handle process, void *arena);
void guest_close(struct guest *guest);
/* Runs from RIP until something happens that is not ntmm's. */
enum guest_stop guest_run(struct guest *guest);
/* Withdraws pages: what the invalidation sink is told. */
void guest_forget(struct guest *guest, uint64_t base, uint64_t end);
/* The bytes of a range were changed from outside: forgets what was translated of them. */
void guest_bytes_changed(struct guest *guest, uint64_t base, uint64_t end);

uint64_t guest_register(const struct guest *guest, int id);
void guest_set_register(struct guest *guest, int id, uint64_t value);

#endif
