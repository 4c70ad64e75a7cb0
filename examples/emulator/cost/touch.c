/*
 * What mapping on demand costs: 4 processes touch 20,000 pages in random order, PASSES times each
 * page, by a load and a store; first over ntmm, then the same accesses in processors that have
 * everything mapped beforehand, by one map and without a hook. Both sides in turn, ROUNDS times,
 * each time with a machine and processors of its own; processor time of the thread; medians.
 *
 *   touch PASSES [ROUNDS [BAR [AROUND]]]    status 1 when the median of the ratios is above the bar
 *                                           (0: none); AROUND is guest.around_pages
 */
#define _POSIX_C_SOURCE 200809L
#include "../adapter.h"

#include <ntmm/emulated.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROCESSES 4u
#define PAGES 5000u /* of each process */
#define CODE_BASE 0x10000u
#define DATA_BASE 0x100000000u
#define RAM_BYTES 0x8000000u
#define ROUNDS_MAXIMUM 101u
#define AS_OPENED UINT32_MAX

/*
 *   again: mov (%rsi), %eax ; lea (%rdi,%rax), %rbx ; add (%rbx), %rdx ; mov %rdx, 8(%rbx)
 *          add $4, %rsi ; dec %rcx ; jne again ; syscall
 */
static const uint8_t code[] = {0x8B, 0x06, 0x48, 0x8D, 0x1C, 0x07, 0x48, 0x03,
                               0x13, 0x48, 0x89, 0x53, 0x08, 0x48, 0x83, 0xC6,
                               0x04, 0x48, 0xFF, 0xC9, 0x75, 0xEA, 0x0F, 0x05};
#define ORDER_BASE (CODE_BASE + 0x10000u)
#define PASSES_MAXIMUM 64u
#define ORDER_BYTES (PASSES_MAXIMUM * PAGES * 4u / NTMM_PAGE_SIZE * NTMM_PAGE_SIZE)

static uint32_t passes;
static uint32_t all_orders[ORDER_BYTES / 4]; /* offsets of the pages, pass by pass */

static void make_pass(uint32_t *order, uint64_t seed)
{
    for (uint32_t i = 0; i < PAGES; i++)
        order[i] = i * NTMM_PAGE_SIZE;
    for (uint32_t i = PAGES - 1; i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t other = (uint32_t)(seed >> 33) % (i + 1);
        uint32_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

static void make_order(uint32_t process)
{
    for (uint32_t i = 0; i < passes; i++)
        make_pass(all_orders + i * PAGES, (uint64_t)process << 32 | (i + 1));
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(const char *what, uint32_t status)
{
    if (status) {
        fprintf(stderr, "touch: %s: 0x%08x\n", what, status);
        exit(2);
    }
}

static void set(struct guest *g)
{
    guest_set_register(g, UC_X86_REG_RIP, CODE_BASE);
    guest_set_register(g, UC_X86_REG_RSI, ORDER_BASE);
    guest_set_register(g, UC_X86_REG_RDI, DATA_BASE);
    guest_set_register(g, UC_X86_REG_RCX, (uint64_t)PAGES * passes);
    guest_set_register(g, UC_X86_REG_RDX, 1);
}

static void put(struct ntmm_system *system, ntmm_handle process, uint64_t base, uint64_t size,
                const void *bytes, uint64_t count)
{
    uint64_t moved;
    must("memory", ntmm_allocate_virtual_memory(
                       system, process, &base, 0, &size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                       bytes == code ? NTMM_PAGE_EXECUTE_READWRITE : NTMM_PAGE_READWRITE));
    if (count)
        must("bytes", ntmm_write_virtual_memory(system, process, base, bytes, count, &moved));
}

static struct guest guests[PROCESSES];

static void forget(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                   enum ntmm_shootdown_reason reason)
{
    (void)context;
    (void)reason;
    for (uint32_t i = 0; i < PROCESSES; i++)
        if (guests[i].uc && guests[i].process == process)
            guest_forget(&guests[i], base, end);
}

/* Seconds over ntmm; *maps: runs that were mapped. */
static double on_demand(uint32_t around, uint64_t sums[PROCESSES], uint64_t *maps)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof machine, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = RAM_BYTES};
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    double spent = 0;
    must("machine", ntmm_emulated_create(&machine, &emu));
    memset(ntmm_emulated_arena(emu, NULL), 0, RAM_BYTES); /* the host's first touches */
    must("system", ntmm_emulated_create_system(emu, NULL, &system));
    for (uint32_t i = 0; i < PROCESSES; i++) {
        ntmm_handle process;
        make_order(i + 1);
        must("process", ntmm_create_process(system, NULL, &process));
        put(system, process, CODE_BASE, NTMM_PAGE_SIZE, code, sizeof code);
        put(system, process, ORDER_BASE, ORDER_BYTES, all_orders, sizeof all_orders);
        put(system, process, DATA_BASE, PAGES * (uint64_t)NTMM_PAGE_SIZE, NULL, 0);
        if (!guest_open(&guests[i], system, process, ntmm_emulated_arena(emu, NULL)))
            exit(2);
        if (around != AS_OPENED)
            guests[i].around_pages = around;
        set(&guests[i]);
    }
    ntmm_set_invalidation_sink(system, forget, NULL);
    *maps = 0;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        double begin = seconds();
        if (guest_run(&guests[i]) != GUEST_SYSTEM_CALL)
            must("run", guests[i].status | 1);
        spent += seconds() - begin;
        sums[i] = guest_register(&guests[i], UC_X86_REG_RDX);
        *maps += guests[i].maps;
    }
    ntmm_set_invalidation_sink(system, NULL, NULL);
    for (uint32_t i = 0; i < PROCESSES; i++)
        guest_close(&guests[i]);
    ntmm_emulated_destroy(emu, NULL);
    return spent;
}

static double mapped_beforehand(uint64_t sums[PROCESSES])
{
    uint64_t size = PAGES * (uint64_t)NTMM_PAGE_SIZE;
    double spent = 0;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        struct guest g = {0};
        uint8_t *data = aligned_alloc(NTMM_PAGE_SIZE, size);
        uint8_t *text = aligned_alloc(NTMM_PAGE_SIZE, NTMM_PAGE_SIZE);
        uint8_t *list = aligned_alloc(NTMM_PAGE_SIZE, ORDER_BYTES);
        if (!data || !text || !list)
            exit(2);
        make_order(i + 1);
        memset(data, 0, size);
        memcpy(text, code, sizeof code);
        memcpy(list, all_orders, sizeof all_orders);
        if (uc_open(UC_ARCH_X86, UC_MODE_64, &g.uc) ||
            uc_mem_map_ptr(g.uc, CODE_BASE, NTMM_PAGE_SIZE, UC_PROT_ALL, text) ||
            uc_mem_map_ptr(g.uc, ORDER_BASE, ORDER_BYTES, UC_PROT_READ, list) ||
            uc_mem_map_ptr(g.uc, DATA_BASE, size, UC_PROT_READ | UC_PROT_WRITE, data))
            exit(2);
        set(&g);
        double begin = seconds();
        must("plain run",
             (uint32_t)uc_emu_start(g.uc, CODE_BASE, CODE_BASE + sizeof code - 2, 0, 0));
        spent += seconds() - begin;
        sums[i] = guest_register(&g, UC_X86_REG_RDX);
        uc_close(g.uc);
        free(data);
        free(text);
        free(list);
    }
    return spent;
}

static int is_greater(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? 1 : x < y ? -1 : 0;
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, is_greater);
    return values[count / 2];
}

/* Returns the median of the ratios. */
static double compare(uint32_t around, uint32_t rounds)
{
    static double demand[ROUNDS_MAXIMUM], beforehand[ROUNDS_MAXIMUM], ratio[ROUNDS_MAXIMUM];
    uint64_t maps = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t ours[PROCESSES], plain[PROCESSES];
        demand[i] = on_demand(around, ours, &maps) * 1e3;
        beforehand[i] = mapped_beforehand(plain) * 1e3;
        ratio[i] = demand[i] / beforehand[i];
        must("what was read differs", memcmp(ours, plain, sizeof ours) != 0);
    }
    double middle = median(ratio, rounds);
    printf("%u passes, %u pages, %u rounds: on demand %.2f ms (%llu maps), beforehand %.2f ms, "
           "ratio %.2f (%.2f to %.2f)\n",
           passes, PROCESSES * PAGES, rounds, median(demand, rounds), (unsigned long long)maps,
           median(beforehand, rounds), middle, ratio[0], ratio[rounds - 1]);
    return middle;
}

int main(int count, char **arguments)
{
    uint32_t rounds = count > 2 ? (uint32_t)atoi(arguments[2]) : 1;
    double bar = count > 3 ? atof(arguments[3]) : 0;
    uint32_t around = count > 4 ? (uint32_t)atoi(arguments[4]) : AS_OPENED;
    passes = count > 1 ? (uint32_t)atoi(arguments[1]) : 0;
    if (passes < 1 || passes > PASSES_MAXIMUM - 1 || rounds < 1 || rounds > ROUNDS_MAXIMUM ||
        (around != AS_OPENED && around > GUEST_AROUND_MAXIMUM)) {
        fprintf(stderr, "usage: touch PASSES [ROUNDS [BAR [AROUND]]]\n");
        return 2;
    }
    double ratio = compare(around, rounds);
    return bar > 0 && ratio > bar ? 1 : 0;
}
