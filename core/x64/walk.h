/*
 * The table walk, without rights.
 *
 *   root --index(levels)--> entry --...--> entry(2) --> entry(1)
 *                           stops at the first entry not valid, a large leaf, or level 1
 *
 * The core asks it where the entry of an address is and how far the tables go; what the processor
 * would allow is the business of the MMU, real or emulated. It sets no accessed bit.
 *
 * entry is one atomic load with acquire order: whoever sees a valid entry also sees the contents of
 * the table that it names. It may be stale as soon as it is read unless the caller holds the lock
 * that owns the entry.
 */
#ifndef NTMM_X64_WALK_H
#define NTMM_X64_WALK_H

#include "base/le.h"
#include "x64/formats.h"

struct x64_walk {
    uint64_t entry_ref; /* core address of the entry at which the walk stopped */
    uint64_t entry;     /* its raw value: not swizzle-decoded */
    uint32_t level;     /* its level: 1 PTE, 2 PDE, 3 PPE, 4 PXE, 5 */
};

/* core_base: core address of physical address 0. root_frame: frame of the root. levels: 4 or 5. */
static inline void x64_walk(uintptr_t bias, uint64_t core_base, uint64_t root_frame,
                            uint32_t levels, uint64_t va, struct x64_walk *w)
{
    uint64_t table = root_frame << 12;
    for (uint32_t level = levels;; level--) {
        w->entry_ref = core_base + table + x64_index(va, level) * 8ull;
        w->entry = load64_acquire((const le64 *)core_at(bias, w->entry_ref));
        w->level = level;
        if (level == 1 || !(w->entry & FIELD_MASK(HW_VALID)))
            return;
        if (pte_kind(w->entry, level, 0) == PTE_LARGE)
            return;
        table = x64_entry_address(w->entry);
    }
}

#endif
