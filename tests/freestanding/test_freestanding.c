/*
 * The freestanding platform on processors of our own, which keep a translation until an instruction
 * drops it: contexts, rounds, what a processor is made ready with.
 *
 * Every page of every process has a version; a change raises it and begins a round, as the core
 * does. T1: no access finds an older version.
 */
#include "base/prng.h"
#include "freestanding/instructions.h"

#include <ntmm/freestanding.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CPUS 3u
#define PROCESSES 12u /* more than there are contexts */
#define PAGES 64u
#define ENTRIES (4096u)
#define BASE 0x40000000ull
#define CR4_PCIDE (1ull << 17)
#define CR4_PGE (1ull << 7)
#define CR3_NO_FLUSH (1ull << 63)
#define KERNEL_ROOT 77u

struct cached {
    bool is_valid;
    uint16_t pcid;
    uint64_t page, version;
};

struct cpu {
    uint64_t cr0, cr3, cr4, efer, pat;
    uint64_t process; /* that the test entered */
    struct cached tlb[ENTRIES];
};

static struct cpu cpus[CPUS];
static uint32_t running; /* the processor that executes */
static bool has_pcid, has_invpcid;
static uint32_t interrupts; /* sent */
static uint64_t versions[PROCESSES][PAGES];
static struct ntmm_freestanding machine;
static struct ntmm_platform platform;

/* --- the instructions --- */

static struct cpu *here(void) { return &cpus[running]; }

static uint16_t current_pcid(void)
{
    return here()->cr4 & CR4_PCIDE ? (uint16_t)(here()->cr3 & 0xFFF) : 0;
}

static void drop(bool is_all, uint16_t pcid)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (is_all || here()->tlb[i].pcid == pcid)
            here()->tlb[i].is_valid = false;
    }
}

struct cpuid_result read_cpuid(uint32_t leaf)
{
    struct cpuid_result r = {.eax = 7};
    if (leaf == 1 && has_pcid)
        r.ecx = 1u << 17;
    if (leaf == 7)
        r.ebx = 1u << 7 | 1u << 20 | (has_invpcid ? 1u << 10 : 0);
    return r;
}

uint64_t read_cr0(void) { return here()->cr0; }
void write_cr0(uint64_t value) { here()->cr0 = value; }

void write_cr3(uint64_t value)
{
    bool has_contexts = (here()->cr4 & CR4_PCIDE) != 0;
    here()->cr3 = value & ~CR3_NO_FLUSH;
    assert_true(has_contexts || (value & (CR3_NO_FLUSH | 0xFFF)) == 0); /* else #GP */
    if (!has_contexts || !(value & CR3_NO_FLUSH))
        drop(!has_contexts, (uint16_t)(value & 0xFFF));
}

uint64_t read_cr4(void) { return here()->cr4; }

void write_cr4(uint64_t value)
{
    uint64_t changed = value ^ here()->cr4;
    assert_true(!(changed & value & CR4_PCIDE) || (here()->cr3 & 0xFFF) == 0); /* else #GP */
    if (changed & (CR4_PGE | CR4_PCIDE))
        drop(true, 0);
    here()->cr4 = value;
}

uint64_t read_msr(uint32_t number) { return number == 0x277 ? here()->pat : here()->efer; }

void write_msr(uint32_t number, uint64_t value)
{
    assert_true(number == 0x277 || number == 0xC0000080);
    *(number == 0x277 ? &here()->pat : &here()->efer) = value;
}

void invalidate_page(uint64_t va)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (here()->tlb[i].pcid == current_pcid() && here()->tlb[i].page == va >> 12)
            here()->tlb[i].is_valid = false;
    }
}

void invalidate_context(uint64_t kind, uint64_t pcid)
{
    assert_true(has_invpcid);
    drop(kind == INVPCID_ALL_AND_GLOBAL, (uint16_t)pcid);
}

uint32_t interrupts_off(void) { return 0; }
bool interrupts_are_on(void) { return true; }
void interrupts_restore(uint32_t were_on) { (void)were_on; }
void pause_briefly(void) {}

/* --- the kernel --- */

static uint32_t processor(void *context)
{
    (void)context;
    return running;
}

static void interrupt(void *context, uint32_t number)
{
    uint32_t sender = running;
    interrupts++;
    running = number;
    ntmm_freestanding_shootdown(context);
    running = sender;
}

static struct ntmm_freestanding_config good_config(void)
{
    static const uint64_t root[512] = {[256] = 0x1003, [511] = 0x2003};
    static const struct ntmm_frame_range range = {.base_frame = 16, .frame_count = 16};
    return (struct ntmm_freestanding_config){
        .size = sizeof(struct ntmm_freestanding_config),
        .version = NTMM_FREESTANDING_VERSION,
        .ranges = &range,
        .range_count = 1,
        .processor_count = CPUS,
        .processor = processor,
        .root = root,
        .root_frame = KERNEL_ROOT,
        .interrupt = interrupt,
    };
}

static void start(bool with_pcid, bool with_invpcid)
{
    struct ntmm_freestanding_config config = good_config();
    memset(cpus, 0, sizeof cpus);
    memset(&machine, 0, sizeof machine);
    memset(versions, 0, sizeof versions);
    has_pcid = with_pcid;
    has_invpcid = with_invpcid;
    interrupts = 0;
    assert_int_equal(ntmm_freestanding_init(&machine, &config, &platform), NTMM_STATUS_SUCCESS);
    for (running = 0; running < CPUS; running++)
        ntmm_freestanding_start_processor(&machine);
    running = 0;
}

static void enter(uint32_t cpu, uint64_t process)
{
    running = cpu;
    cpus[cpu].process = process;
    ntmm_freestanding_enter(&machine, process, 100 + process);
    assert_int_equal(here()->cr3 >> 12, process ? 100 + process : KERNEL_ROOT);
}

/* An access: through the TLB if it holds the page, else by a walk that fills it. */
static void touch(uint32_t cpu, uint64_t page)
{
    running = cpu;
    uint64_t process = here()->process;
    struct cached *entry = &here()->tlb[(current_pcid() * PAGES + page) % ENTRIES];
    if (!entry->is_valid || entry->pcid != current_pcid() || entry->page != (BASE >> 12) + page)
        *entry =
            (struct cached){true, current_pcid(), (BASE >> 12) + page, versions[process - 1][page]};
    assert_int_equal(entry->version, versions[process - 1][page]);
}

/* Change `count` pages from `page` on and begin a round; 0: the whole address space. */
static void change(uint32_t cpu, uint64_t process, uint64_t page, uint64_t count)
{
    struct ntmm_shootdown round = {.root_frame = 100 + process, .process = process};
    running = cpu;
    for (uint64_t i = count ? page : 0; i < (count ? page + count : PAGES); i++)
        versions[process - 1][i]++;
    if (count != 0) {
        round.range_count = 1;
        round.ranges[0] =
            (struct ntmm_address_range){BASE + page * 4096, BASE + (page + count) * 4096};
    }
    platform.invalidate(&machine, &round);
    assert_int_equal(running, cpu);
}

/* --- tests --- */

static void test_config(void **state)
{
    (void)state;
    struct ntmm_platform unused = {0};
    struct ntmm_freestanding_config config = good_config();
    config.version++;
    assert_int_equal(ntmm_freestanding_init(&machine, &config, &unused),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    config = good_config();
    config.interrupt = NULL;
    assert_int_equal(ntmm_freestanding_init(&machine, &config, &unused),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    config.processor_count = 1;
    assert_int_equal(ntmm_freestanding_init(&machine, &config, &unused), NTMM_STATUS_SUCCESS);
    assert_int_equal(unused.root_template[0], 0x1003);
    assert_int_equal(unused.root_template[255], 0x2003);
    config.processor_count = NTMM_FREESTANDING_PROCESSORS + 1;
    assert_int_equal(ntmm_freestanding_init(&machine, &config, &unused),
                     NTMM_STATUS_INVALID_PARAMETER_2);
}

static void test_processor_is_made_ready(void **state)
{
    (void)state;
    start(true, true);
    assert_int_equal(cpus[1].pat & 0xFFFFFF, 0x070106); /* cached, write combining, uncached */
    assert_int_equal(cpus[1].efer, 1u << 11);
    assert_int_equal(cpus[1].cr0, 1u << 16);
    assert_int_equal(cpus[1].cr4, CR4_PCIDE | CR4_PGE | 1u << 20 | 1u << 21);
    assert_int_equal(cpus[1].cr3, (uint64_t)KERNEL_ROOT << 12);
}

static void test_kept_translations(void **state)
{
    (void)state;
    struct ntmm_freestanding_statistics s;
    start(true, false);
    enter(0, 1);
    touch(0, 3);
    enter(0, 2);
    enter(0, 1);
    ntmm_freestanding_query(&machine, 0, &s);
    assert_int_equal(s.warm_entries, 1);
    enter(0, 2);
    change(1, 1, 3, 1); /* nobody runs it: nobody is interrupted */
    assert_int_equal(interrupts, 0);
    enter(0, 1);
    touch(0, 3);
    ntmm_freestanding_query(&machine, 0, &s);
    assert_int_equal(s.warm_entries, 2); /* of process 2; process 1 was flushed */
}

static void test_only_who_runs_it_is_interrupted(void **state)
{
    (void)state;
    start(false, false);
    enter(0, 1);
    enter(1, 1);
    enter(2, 2);
    touch(1, 5);
    change(0, 1, 5, 1);
    assert_int_equal(interrupts, 1);
    touch(1, 5);
    enter(1, 0);
    change(0, 1, 5, 1);
    assert_int_equal(interrupts, 1);
}

static void run_random(bool with_pcid, bool with_invpcid)
{
    struct prng prng;
    prng_seed(&prng, 20);
    start(with_pcid, with_invpcid);
    for (uint32_t step = 0; step < 25000; step++) {
        uint32_t cpu = (uint32_t)(prng_next(&prng) % CPUS);
        uint64_t page = prng_next(&prng) % PAGES, count = prng_next(&prng) % (PAGES - page + 1);
        uint64_t what = prng_next(&prng) % 8;
        if (what == 0)
            enter(cpu, prng_next(&prng) % (PROCESSES + 1));
        else if (what == 1)
            change(cpu, 1 + prng_next(&prng) % PROCESSES, page, count % 3 ? count % 3 : count);
        else if (cpus[cpu].process != 0)
            touch(cpu, page);
    }
}

static void test_no_access_sees_what_was_withdrawn(void **state)
{
    (void)state;
    run_random(false, false);
    run_random(true, false);
    run_random(true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_processor_is_made_ready),
        cmocka_unit_test(test_kept_translations),
        cmocka_unit_test(test_only_who_runs_it_is_interrupted),
        cmocka_unit_test(test_no_access_sees_what_was_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
