/*
 * A second judge: Unicorn's MMU, which walks the guest's tables in software and knows LA57 and
 * protection keys.
 *
 *   1. registers set through a saved context; "mov %rbx, %cr3" run by the guest flushes the TLB
 *   2. privilege and RIP set the same way; one access run
 *   3. the interrupt hook tells the exception; CR2 by the API, the error code from a saved context
 *
 * After the walk Unicorn takes data and code from its own map at the linear address, so every probe
 * maps its page there: a judge of rights and of A and D, not of physical addresses. EFER, hflags
 * (CPL, SMAP) and the error code have no register id; their places in the context are found by
 * calibration and the run is skipped if that fails (another release of Unicorn). The error code of
 * a fetch fault is lost; a locked instruction loads first and so reports a read. Unicorn reserves
 * no address bits below 52 and has 1 GiB pages on every model.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unicorn/unicorn.h>

#include "judge.h"

#define STUB_4 (0xFFFF000000000000ull | (uint64_t)STUB_SLOT << 39)
#define STUB_5 (0xFE00000000000000ull | (uint64_t)STUB_SLOT << 48)
#define CODE_PAGE 0x6000u
#define USER_CODE_PAGE 0x7000u
#define SCRATCH_SIZE 0x2000u
#define FLUSH_OFFSET 0x80u
#define FLUSH_WITH_KEYS_OFFSET 0x90u
#define HFLAGS_AFTER_RIP 48u /* eflags, cc_dst, cc_src, cc_src2, cc_op, df lie between */
#define EFLAGS_AFTER_RIP 8u
#define CR0_BEFORE_CR3 24u
#define CR4_AFTER_CR3 8u
#define HFLAGS_CPL 3u
#define HFLAGS_SMAP (1u << 23)
#define MSR_EFER 0xC0000080u

struct machine {
    struct judge judge; /* first: the judge's functions get it back */
    uc_engine *uc;
    uc_context *clean, *now;
    size_t context_size;
    size_t rip_at, cr3_at, efer_at, error_code_at; /* bytes from the start of a context */
    uint8_t *scratch;                              /* what every linear address shows: NOPs */
    uint64_t stub_va;
    int vector; /* of the last exception; -1: none */
};

static const uint8_t code[ACCESS_COUNT][16] = {
    [LOAD] = {0x48, 0x8B, 0x18, 0x90},               /* mov (%rax), %rbx; nop */
    [STORE] = {0x48, 0x89, 0x18, 0x90},              /* mov %rbx, (%rax); nop */
    [UPDATE] = {0xF0, 0x48, 0x0F, 0xB1, 0x08, 0x90}, /* lock cmpxchg %rcx, (%rax); nop */
};
static const uint8_t code_size[ACCESS_COUNT] = {3, 3, 1, 5};
static const uint8_t flush[] = {0x0F, 0x22, 0xDB, 0x90}; /* mov %rbx, %cr3 */
static const uint8_t flush_with_keys[] = {0x0F, 0x22, 0xDB, 0x0F, 0x01, 0xEF, 0x90}; /* wrpkru */

static void put64(uint8_t *at, uint64_t value) { memcpy(at, &value, 8); }
static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }

static uint32_t get32_at(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

/* Code pages at stub_va + 0x2000 (supervisor) and 0x3000 (user), through tables of each level. */
static void make_stub(struct judge *j)
{
    uint8_t *m = j->memory;
    put64(m + 0x1000, 0x2067);
    put64(m + 0x2000, 0x3067);
    put64(m + 0x3010, CODE_PAGE | 0x63);
    put64(m + 0x3018, USER_CODE_PAGE | 0x67);
    put64(m + 0x4000, 0x1067); /* one level more */
    j->stub_entry = j->levels == 5 ? 0x4067 : 0x1067;
    memcpy(m + CODE_PAGE, code, sizeof code);
    memcpy(m + USER_CODE_PAGE, code, sizeof code);
    memcpy(m + CODE_PAGE + FLUSH_OFFSET, flush, sizeof flush);
    memcpy(m + CODE_PAGE + FLUSH_WITH_KEYS_OFFSET, flush_with_keys, sizeof flush_with_keys);
}

static void note_exception(uc_engine *uc, uint32_t vector, void *user)
{
    struct machine *m = user;
    m->vector = (int)vector;
    uc_emu_stop(uc);
}

static uint8_t *now_at(struct machine *m, size_t at) { return (uint8_t *)m->now + at; }

static bool run(struct machine *m, uint64_t begin, uint64_t until)
{
    m->vector = -1;
    if (uc_context_restore(m->uc, m->now) != UC_ERR_OK)
        return false;
    return uc_emu_start(m->uc, begin, until, 0, 0) == UC_ERR_OK || m->vector >= 0;
}

static bool set_mode_and_flush(struct machine *m, const struct probe *p)
{
    uint64_t zero = 0, pkru = p->pkru, root = p->root;
    uint64_t start = m->stub_va + 0x2000 + (p->pke ? FLUSH_WITH_KEYS_OFFSET : FLUSH_OFFSET);
    uint64_t end = start + (p->pke ? sizeof flush_with_keys : sizeof flush) - 1;
    memcpy(m->now, m->clean, m->context_size);
    uint32_t hflags = get32_at(now_at(m, m->rip_at + HFLAGS_AFTER_RIP)) & ~HFLAGS_CPL;
    put64(now_at(m, m->cr3_at), p->root);
    put64(now_at(m, m->cr3_at - CR0_BEFORE_CR3), 0x80000011 | (p->wp ? 1u << 16 : 0));
    put64(now_at(m, m->cr3_at + CR4_AFTER_CR3),
          0x20 | (p->smep ? 1u << 20 : 0) | (p->smap ? 1u << 21 : 0) | (p->pke ? 1u << 22 : 0) |
              (m->judge.levels == 5 ? 1u << 12 : 0));
    put64(now_at(m, m->efer_at), 0x500 | (p->nxe ? 0x800 : 0));
    put32(now_at(m, m->rip_at + HFLAGS_AFTER_RIP), hflags | (p->smap ? HFLAGS_SMAP : 0));
    if (uc_context_restore(m->uc, m->now) != UC_ERR_OK)
        return false;
    uc_reg_write(m->uc, UC_X86_REG_RAX, &pkru);
    uc_reg_write(m->uc, UC_X86_REG_RBX, &root);
    uc_reg_write(m->uc, UC_X86_REG_RCX, &zero);
    uc_reg_write(m->uc, UC_X86_REG_RDX, &zero);
    m->vector = -1;
    return uc_emu_start(m->uc, start, end, 0, 0) == UC_ERR_OK && m->vector < 0;
}

static bool run_access(struct machine *m, const struct probe *p)
{
    uint64_t ones = ~0ull, value = 0x1122334455667788, va = p->va;
    uint64_t start = m->stub_va + (p->user ? 0x3000 : 0x2000) + 16 * p->access;
    if (p->access == FETCH)
        start = p->va;
    uc_reg_write(m->uc, UC_X86_REG_RAX, &va);
    uc_reg_write(m->uc, UC_X86_REG_RBX, &value);
    uc_reg_write(m->uc, UC_X86_REG_RCX, &ones);
    if (uc_context_save(m->uc, m->now) != UC_ERR_OK)
        return false;
    uint32_t hflags = get32_at(now_at(m, m->rip_at + HFLAGS_AFTER_RIP));
    put32(now_at(m, m->rip_at + HFLAGS_AFTER_RIP), hflags | (p->user ? HFLAGS_CPL : 0));
    put64(now_at(m, m->rip_at + EFLAGS_AFTER_RIP), 2 | (p->ac ? 1u << 18 : 0));
    return run(m, start, start + code_size[p->access]);
}

static struct verdict answer(struct judge *judge, const struct probe *p)
{
    struct machine *m = (struct machine *)judge;
    struct verdict v = {.kind = OTHER};
    uint64_t page = p->va & ~0xFFFull;
    size_t size = (p->va & 0xFFF) > 0xFF8 ? 0x2000 : 0x1000;
    if (uc_mem_map_ptr(m->uc, page, size, UC_PROT_ALL, m->scratch) != UC_ERR_OK)
        return v;
    if (set_mode_and_flush(m, p) && run_access(m, p)) {
        if (m->vector < 0) {
            v.kind = DONE;
        } else if (m->vector == 13) {
            v.kind = GENERAL_PROTECTION;
        } else if (m->vector == 14) {
            v.kind = PAGE_FAULT;
            uc_reg_read(m->uc, UC_X86_REG_CR2, &v.cr2);
            uc_context_save(m->uc, m->now);
            v.error_code = get32_at(now_at(m, m->error_code_at));
        }
    }
    uc_mem_unmap(m->uc, page, size);
    return v;
}

static void memory_changed(struct judge *judge) { (void)judge; } /* every probe flushes */

/* The only place in a context of this 8-byte value, or 0. */
static size_t find64(struct machine *m, uint64_t value)
{
    size_t found = 0;
    uc_context_save(m->uc, m->now);
    for (size_t at = 0; at + 8 <= m->context_size; at += 8)
        if (memcmp(now_at(m, at), &value, 8) == 0) {
            if (found != 0)
                return 0;
            found = at;
        }
    return found;
}

static bool find_registers(struct machine *m)
{
    uint64_t rip = 0x0000123456789ABC, cr3 = 0x0000002233336000;
    uc_x86_msr efer = {.rid = MSR_EFER, .value = 0};
    uc_reg_write(m->uc, UC_X86_REG_RIP, &rip);
    m->rip_at = find64(m, rip);
    uc_reg_write(m->uc, UC_X86_REG_CR3, &cr3);
    m->cr3_at = find64(m, cr3);
    uc_reg_read(m->uc, UC_X86_REG_MSR, &efer);
    m->efer_at = find64(m, efer.value);
    if (m->rip_at == 0 || m->cr3_at == 0 || m->efer_at == 0)
        return false;
    put64(now_at(m, m->efer_at), 0xD00);
    uc_context_restore(m->uc, m->now);
    uc_reg_read(m->uc, UC_X86_REG_MSR, &efer);
    uint32_t hflags = get32_at(now_at(m, m->rip_at + HFLAGS_AFTER_RIP));
    bool is_long_mode = (hflags & 0xC080) == 0xC080 && (hflags & HFLAGS_CPL) == 0;
    return efer.value == 0xD00 && is_long_mode;
}

/* Three user accesses whose error codes are beyond doubt: where do these codes appear? */
static bool find_error_code(struct machine *m)
{
    static const uint32_t codes[3] = {4, 6, 5};
    struct probe p = {.root = TABLES_PA, .user = true, .wp = true, .va = 64ull << 39 | 0x10};
    uint8_t *memory = m->judge.memory;
    uint8_t *seen = calloc(m->context_size, 3);
    unsigned found = 0;
    if (seen == NULL)
        return false;
    memset(memory + TABLES_PA, 0, 4096);
    put64(memory + TABLES_PA + STUB_SLOT * 8, 0x1067);
    put64(memory + TABLES_PA + 65 * 8, 0x1063); /* the stub's tables, without U/S */
    for (unsigned i = 0; i < 3; i++) {
        p.access = i == 1 ? STORE : LOAD;
        p.va = i == 2 ? 65ull << 39 | 0x2010 : 64ull << 39 | 0x10;
        if (answer(&m->judge, &p).kind != PAGE_FAULT)
            goto out;
        memcpy(seen + i * m->context_size, m->now, m->context_size);
    }
    for (size_t at = 0; at + 4 <= m->context_size; at += 4) {
        bool fits = true;
        for (unsigned i = 0; i < 3; i++)
            fits &= get32_at(seen + i * m->context_size + at) == codes[i];
        if (fits && ++found == 1)
            m->error_code_at = at;
    }
out:
    free(seen);
    return found == 1;
}

static const char *open_machine(struct machine *m)
{
    uc_hook hook;
    if (uc_open(UC_ARCH_X86, UC_MODE_64, &m->uc) != UC_ERR_OK ||
        uc_ctl_set_cpu_model(m->uc, UC_CPU_X86_ICELAKE_SERVER) != UC_ERR_OK)
        return "no x86-64 processor with protection keys";
    m->context_size = uc_context_size(m->uc);
    m->scratch =
        mmap(NULL, SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m->judge.memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->scratch == MAP_FAILED || m->judge.memory == MAP_FAILED ||
        uc_context_alloc(m->uc, &m->clean) != UC_ERR_OK ||
        uc_context_alloc(m->uc, &m->now) != UC_ERR_OK)
        return "no memory";
    memset(m->scratch, 0x90, SCRATCH_SIZE);
    if (uc_mem_map_ptr(m->uc, 0, MEMORY_SIZE, UC_PROT_ALL, m->judge.memory) != UC_ERR_OK ||
        uc_mem_map_ptr(m->uc, STUB_4 + 0x2000, 0x2000, UC_PROT_ALL, m->judge.memory + CODE_PAGE) !=
            UC_ERR_OK ||
        uc_mem_map_ptr(m->uc, STUB_5 + 0x2000, 0x2000, UC_PROT_ALL, m->judge.memory + CODE_PAGE) !=
            UC_ERR_OK ||
        uc_hook_add(m->uc, &hook, UC_HOOK_INTR, (void *)(uintptr_t)note_exception, m, 1, 0) !=
            UC_ERR_OK)
        return "cannot map memory";
    uc_context_save(m->uc, m->clean);
    if (!find_registers(m))
        return "registers are not where this test knows them in a context";
    make_stub(&m->judge);
    if (!find_error_code(m))
        return "the error code is not where this test can find it in a context";
    return NULL;
}

int main(int argc, char **argv)
{
    struct machine m = {.stub_va = STUB_4,
                        .judge = {.name = "unicorn",
                                  .max_phys_bits = 52,
                                  .levels = 4,
                                  .has_1gib_pages = true,
                                  .has_keys = true,
                                  .tears_crossings = true,
                                  .answer = answer,
                                  .memory_changed = memory_changed}};
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *reason = open_machine(&m);
    if (reason != NULL) {
        printf("skipped: unicorn: %s\n", reason);
        return SKIPPED;
    }
    unsigned long differences = judge_compare(&m.judge, quick);
    m.stub_va = STUB_5;
    m.judge.name = "unicorn, LA57";
    m.judge.levels = 5;
    make_stub(&m.judge);
    differences += judge_compare(&m.judge, quick);
    return differences == 0 ? 0 : 1;
}
