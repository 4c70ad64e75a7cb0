/*
 * The processor's word, through /dev/kvm: each probe is run by a guest on the page tables in
 * question.
 *
 *   host: set CR0, CR3, CR4, EFER, CPL, RIP, RAX    guest: one access, then HLT
 *
 * The guest's own pages (code, stack, GDT, IDT, TSS) hang on STUB_SLOT of every root. Handler n is
 * one HLT at HANDLERS + n, so the exit's RIP names the exception; the error code lies on the stack.
 * HLT at CPL 3 raises #GP at a known RIP: that is success. A fetch probe jumps straight to its
 * address, where the data pages hold HLT.
 *
 * KVM without hardware paging keeps shadows of guest tables and does not see the host change them:
 * the memory slot is deleted and made anew for every batch. It interprets what runs at CPL 0, and
 * its interpreter writes the first page of a crossing store whose second page faults. It may keep a
 * root slot for itself where user accesses always fault: found by probes, at most one is accepted.
 * Whether 1 GiB pages exist is asked by a probe, and whether bit 8 of the upper tables' entries is
 * reserved, as on AMD's processors. LA57 and protection keys are left to the other judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "judge.h"

#define MAX_PHYS_BITS 40u
#define RESERVED_BIT_FAULT 8u /* in an error code */
#define STUB_VA (0xFFFF000000000000ull | (uint64_t)STUB_SLOT << 39)
#define SYSTEM_PAGE 0x4000u /* physical: GDT, IDT, TSS, handlers */
#define STACK_PAGE 0x5000u
#define CODE_PAGE 0x6000u
#define USER_CODE_PAGE 0x7000u
#define IDT_OFFSET 0x100u
#define TSS_OFFSET 0x400u
#define HANDLERS_OFFSET 0x500u
#define STACK_VA (STUB_VA + 0x1000)
#define CODE_VA (STUB_VA + 0x2000)
#define USER_CODE_VA (STUB_VA + 0x3000)
#define HLT 0xF4u

enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_DATA = 0x1B, USER_CODE = 0x23, TSS = 0x28 };

struct machine {
    struct judge judge; /* first: the judge's functions get it back */
    int kvm, vm, vcpu;
    struct kvm_run *run;
    size_t run_size;
    struct kvm_sregs sregs;
};

/* One access through RAX and a HLT, 16 bytes apart. */
static const uint8_t code[ACCESS_COUNT][16] = {
    [LOAD] = {0x48, 0x8B, 0x18, HLT},               /* mov (%rax), %rbx */
    [STORE] = {0x48, 0x89, 0x18, HLT},              /* mov %rbx, (%rax) */
    [UPDATE] = {0xF0, 0x48, 0x0F, 0xB1, 0x08, HLT}, /* lock cmpxchg %rcx, (%rax) */
};
static const uint8_t hlt_offset[ACCESS_COUNT] = {[LOAD] = 3, [STORE] = 3, [UPDATE] = 5};

static void put64(uint8_t *at, uint64_t value) { memcpy(at, &value, 8); }

static void make_system_page(uint8_t *page)
{
    put64(page + KERNEL_CODE, 0x00AF9B000000FFFF);
    put64(page + KERNEL_DATA, 0x00CF93000000FFFF);
    put64(page + (USER_DATA & ~7), 0x00CFF3000000FFFF);
    put64(page + (USER_CODE & ~7), 0x00AFFB000000FFFF);
    uint64_t tss = STUB_VA + TSS_OFFSET;
    put64(page + TSS, 0x0000890000000067 | (tss & 0xFFFFFF) << 16 | (tss >> 24 & 0xFF) << 56);
    put64(page + TSS + 8, tss >> 32);
    put64(page + TSS_OFFSET + 4, STACK_VA + 0x1000); /* RSP0 */
    for (unsigned vector = 0; vector < 32; vector++) {
        uint64_t handler = STUB_VA + HANDLERS_OFFSET + vector;
        uint8_t *gate = page + IDT_OFFSET + vector * 16;
        put64(gate, (handler & 0xFFFF) | KERNEL_CODE << 16 | 0x8E0000000000 |
                        (handler >> 16 & 0xFFFF) << 48);
        put64(gate + 8, handler >> 32);
        page[HANDLERS_OFFSET + vector] = HLT;
    }
}

static void make_stub(struct judge *j)
{
    uint8_t *m = j->memory;
    put64(m + 0x1000, 0x2067);
    put64(m + 0x2000, 0x3067);
    put64(m + 0x3000, SYSTEM_PAGE | 0x63);
    put64(m + 0x3008, STACK_PAGE | 0x63);
    put64(m + 0x3010, CODE_PAGE | 0x63);
    put64(m + 0x3018, USER_CODE_PAGE | 0x67);
    j->stub_entry = 0x1067;
    make_system_page(m + SYSTEM_PAGE);
    memcpy(m + CODE_PAGE, code, sizeof code);
    memcpy(m + USER_CODE_PAGE, code, sizeof code);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool is_code)
{
    struct kvm_segment s = {.limit = 0xFFFFFFFF, .selector = selector, .type = type};
    s.present = s.s = s.g = 1;
    s.dpl = selector & 3;
    s.l = is_code;
    s.db = !is_code;
    return s;
}

static void set_sregs(struct machine *m, const struct probe *p)
{
    struct kvm_sregs *s = &m->sregs;
    s->cr0 = 0x80000031 | (p->wp ? 1u << 16 : 0);
    s->cr3 = p->root;
    s->cr4 = 0x20 | (p->smep ? 1u << 20 : 0) | (p->smap ? 1u << 21 : 0);
    s->efer = 0x500 | (p->nxe ? 0x800 : 0);
    s->cs = segment(p->user ? USER_CODE : KERNEL_CODE, 11, true);
    s->ss = segment(p->user ? USER_DATA : KERNEL_DATA, 3, false);
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->gdt.base = STUB_VA;
    s->gdt.limit = TSS + 15;
    s->idt.base = STUB_VA + IDT_OFFSET;
    s->idt.limit = 32 * 16 - 1;
    s->tr = (struct kvm_segment){
        .base = STUB_VA + TSS_OFFSET, .limit = 0x67, .selector = TSS, .type = 11, .present = 1};
}

static uint64_t stack_word(const struct machine *m, uint64_t rsp, unsigned n)
{
    uint64_t value = 0;
    if (rsp - STACK_VA < 0x1000 - n * 8)
        memcpy(&value, m->judge.memory + STACK_PAGE + (rsp - STACK_VA) + n * 8, 8);
    return value;
}

static struct verdict read_verdict(struct machine *m, const struct probe *p, uint64_t hlt)
{
    struct verdict v = {.kind = OTHER};
    struct kvm_regs regs;
    if (m->run->exit_reason != KVM_EXIT_HLT || ioctl(m->vcpu, KVM_GET_REGS, &regs) != 0)
        return v;
    uint64_t vector = regs.rip - 1 - (STUB_VA + HANDLERS_OFFSET);
    bool done =
        regs.rip == hlt + 1 || (vector == 13 && p->user && stack_word(m, regs.rsp, 1) == hlt);
    if (done) {
        v.kind = DONE;
        v.value = p->access == LOAD ? regs.rbx : 0;
    } else if (vector == 13) {
        v.kind = GENERAL_PROTECTION;
    } else if (vector == 14 && ioctl(m->vcpu, KVM_GET_SREGS, &m->sregs) == 0) {
        v.kind = PAGE_FAULT;
        v.error_code = (uint32_t)stack_word(m, regs.rsp, 0);
        v.cr2 = m->sregs.cr2;
    }
    return v;
}

static struct verdict answer(struct judge *judge, const struct probe *p)
{
    struct machine *m = (struct machine *)judge;
    uint64_t start = (p->user ? USER_CODE_VA : CODE_VA) + 16 * p->access;
    uint64_t hlt = p->access == FETCH ? p->va : start + hlt_offset[p->access];
    struct kvm_regs regs = {.rip = p->access == FETCH ? p->va : start,
                            .rax = p->va,
                            .rbx = 0x1122334455667788,
                            .rsp = STACK_VA + 0x1000,
                            .rflags = 2 | (p->ac ? 1u << 18 : 0)};
    if (p->access == UPDATE)
        regs.rcx = ~0ull; /* RAX, an address, is not what memory holds: the exchange fails */
    set_sregs(m, p);
    if (ioctl(m->vcpu, KVM_SET_SREGS, &m->sregs) != 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) != 0 ||
        ioctl(m->vcpu, KVM_RUN, 0) != 0)
        return (struct verdict){.kind = OTHER};
    return read_verdict(m, p, hlt);
}

static int set_slot(struct machine *m, uint64_t size)
{
    struct kvm_userspace_memory_region slot = {.memory_size = size,
                                               .userspace_addr = (uintptr_t)m->judge.memory};
    return ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

static void memory_changed(struct judge *judge)
{
    struct machine *m = (struct machine *)judge;
    if (set_slot(m, 0) != 0 || set_slot(m, MEMORY_SIZE) != 0)
        printf("kvm: the memory slot cannot be made anew: %s\n", strerror(errno));
}

#define CPUID_MAX 256

static int set_cpuid(struct machine *m)
{
    struct kvm_cpuid2 *list;
    int result = -1;
    list = calloc(1, sizeof *list + CPUID_MAX * sizeof list->entries[0]);
    if (list == NULL)
        return -1;
    list->nent = CPUID_MAX;
    if (ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, list) != 0)
        goto out;
    for (unsigned i = 0; i < list->nent; i++) {
        struct kvm_cpuid_entry2 *e = &list->entries[i];
        if (e->function == 7 && e->index == 0)
            e->ebx |= 1u << 7 | 1u << 20; /* SMEP, SMAP: they may work though hidden */
        if (e->function == 0x80000008)
            e->eax = (e->eax & ~0xFFu) | MAX_PHYS_BITS;
    }
    result = ioctl(m->vcpu, KVM_SET_CPUID2, list);
out:
    free(list);
    return result;
}

/* 0, or -1 with *what naming the step that failed. */
static int open_machine(struct machine *m, const char **what)
{
    m->kvm = m->vm = m->vcpu = -1;
    *what = "open /dev/kvm";
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm < 0)
        return -1;
    *what = "create a virtual machine";
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    if (m->vm < 0)
        return -1;
    (void)ioctl(m->vm, KVM_SET_TSS_ADDR, 0xFFFBD000);
    *what = "map guest memory";
    m->judge.memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->judge.memory == MAP_FAILED || set_slot(m, MEMORY_SIZE) != 0)
        return -1;
    *what = "create a virtual processor";
    m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    if (m->vcpu < 0 || set_cpuid(m) != 0)
        return -1;
    m->run_size = (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    *what = "read its registers";
    return m->run == MAP_FAILED ? -1 : ioctl(m->vcpu, KVM_GET_SREGS, &m->sregs);
}

/* Load through a root with the stub and one more entry: what happens? */
static struct verdict try_one(struct machine *m, uint64_t root_entry, uint64_t next_entry)
{
    const struct probe p = {.root = TABLES_PA, .va = 0x10, .access = LOAD, .wp = true};
    memset(m->judge.memory + TABLES_PA, 0, 3 * 4096);
    put64(m->judge.memory + TABLES_PA, root_entry);
    put64(m->judge.memory + TABLES_PA + 4096, next_entry);
    put64(m->judge.memory + TABLES_PA + STUB_SLOT * 8, m->judge.stub_entry);
    memory_changed(&m->judge);
    return answer(&m->judge, &p);
}

/* A user load in every root slot, all of them mapped alike. Returns how many do not work. */
static unsigned find_taken_slots(struct machine *m)
{
    uint8_t *tables = m->judge.memory + TABLES_PA;
    unsigned taken = 0;
    memset(tables, 0, 4 * 4096);
    for (unsigned slot = 0; slot < 512; slot++)
        put64(tables + slot * 8, slot == STUB_SLOT ? m->judge.stub_entry : (TABLES_PA + 4096) | 7);
    put64(tables + 4096, (TABLES_PA + 8192) | 7);
    put64(tables + 8192, DATA_PA | 0x87);
    memory_changed(&m->judge);
    for (unsigned slot = 0; slot < 512; slot++) {
        uint64_t va = (uint64_t)((int64_t)((uint64_t)slot << 55) >> 16);
        const struct probe p = {
            .root = TABLES_PA, .va = va | 0x10, .access = LOAD, .wp = true, .user = true};
        m->judge.is_taken[slot] = slot != STUB_SLOT && answer(&m->judge, &p).kind != DONE;
        if (m->judge.is_taken[slot])
            printf("kvm: root slot %u is not the guest's\n", slot);
        taken += m->judge.is_taken[slot];
    }
    return taken;
}

int main(int argc, char **argv)
{
    struct machine m = {.judge = {.name = "kvm",
                                  .max_phys_bits = MAX_PHYS_BITS,
                                  .levels = 4,
                                  .has_updates = true,
                                  .knows_fetch_codes = true,
                                  .tears_crossings = true,
                                  .sees_physical = true,
                                  .answer = answer,
                                  .memory_changed = memory_changed}};
    const char *what;
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (open_machine(&m, &what) != 0) {
        printf("skipped: cannot %s: %s\n", what, strerror(errno));
        return SKIPPED;
    }
    make_stub(&m.judge);
    if (try_one(&m, 0, 0).kind != PAGE_FAULT) {
        printf("skipped: a guest does not run here (exit reason %u)\n", m.run->exit_reason);
        return SKIPPED;
    }
    m.judge.has_1gib_pages = try_one(&m, (TABLES_PA + 4096) | 7, 0x87).kind == DONE;
    m.judge.reserves_bit_8 =
        (try_one(&m, (TABLES_PA + 4096) | BIT_8 | 7, 0).error_code & RESERVED_BIT_FAULT) != 0;
    printf("kvm: 1 GiB pages: %s; bit 8 above level 2: %s\n", m.judge.has_1gib_pages ? "yes" : "no",
           m.judge.reserves_bit_8 ? "reserved" : "ignored");
    bool is_usable = find_taken_slots(&m) <= 1;
    return judge_compare(&m.judge, quick) == 0 && is_usable ? 0 : 1;
}
