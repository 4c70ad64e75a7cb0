/*
 * A processor made ready for the core's tables.
 *
 * The entries mean by (write-through, cache-disable): 00 cached, 10 write combining, 01 uncached;
 * the attribute table below says so in NT's way. Age and lock bits of the entries lie where
 * protection keys would, so those stay off.
 */
#include "platform/freestanding/instructions.h"
#include "platform/freestanding/machine.h"

#define CR0_WP (UINT64_C(1) << 16)
#define CR4_PGE (UINT64_C(1) << 7)
#define CR4_PCIDE (UINT64_C(1) << 17)
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)
#define CR4_PKE (UINT64_C(1) << 22)
#define CR4_PKS (UINT64_C(1) << 24)

#define MSR_PAT 0x277u
#define MSR_EFER 0xC0000080u
#define EFER_NXE (UINT64_C(1) << 11)

/* By index, from the lowest byte: write back, write combining, uncached minus, uncached; again. */
#define PAGE_ATTRIBUTES UINT64_C(0x0007010600070106)

#define LEAF1_ECX_PCID (1u << 17)
#define LEAF7_EBX_SMEP (1u << 7)
#define LEAF7_EBX_INVPCID (1u << 10)
#define LEAF7_EBX_SMAP (1u << 20)

NTMM_API void ntmm_freestanding_start_processor(struct ntmm_freestanding *machine)
{
    struct ntmm_freestanding_processor *p = this_processor(machine);
    uint32_t extended = read_cpuid(0).eax >= 7 ? read_cpuid(7).ebx : 0;
    uint64_t cr4 = (read_cr4() & ~(CR4_PKE | CR4_PKS)) | CR4_PGE;

    p->has_pcid = (read_cpuid(1).ecx & LEAF1_ECX_PCID) != 0;
    p->has_invpcid = p->has_pcid && (extended & LEAF7_EBX_INVPCID) != 0;
    if (extended & LEAF7_EBX_SMEP)
        cr4 |= CR4_SMEP;
    if (extended & LEAF7_EBX_SMAP)
        cr4 |= CR4_SMAP;
    write_msr(MSR_PAT, PAGE_ATTRIBUTES);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
    write_cr0(read_cr0() | CR0_WP);
    /* identifiers may be turned on only while the loaded one is 0 */
    write_cr3(machine->config.root_frame << NTMM_PAGE_SHIFT);
    write_cr4(p->has_pcid ? cr4 | CR4_PCIDE : cr4);
}
