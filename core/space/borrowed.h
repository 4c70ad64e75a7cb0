/*
 * Borrowed frames: the embedder's, mapped into a process. They have no row in the PFN database, so
 * nothing counts, ages, pages or frees them; all that there is of such a page is its entry.
 *
 *   VAD_DEVICE_PHYSICAL, detail = first frame     page i of the region <-> frame first + i
 *
 *   entry    valid       hardware | ENTRY_BORROWED | what of the access in bits 62:60, dirty if it
 *                        may be written: there is no backing to be newer than
 *            no access   software, PROT_NOACCESS
 *
 * Every page has its entry from the beginning, so no fault is ever resolved. Such a page is
 * committed and costs no commit; it is in no working set (W1).
 *
 * Source: VadDevicePhysicalMemory; sections of physical memory, which are mapped whole.
 */
#ifndef NTMM_SPACE_BORROWED_H
#define NTMM_SPACE_BORROWED_H

#include "space/table.h"
#include "space/vad.h"

/* The entry of a page of such a region, without the accessed bit. */
uint64_t borrowed_entry(const struct vad *vad, uint64_t page, uint32_t protection);

static inline bool entry_is_borrowed(uint64_t entry)
{
    const uint64_t bits = FIELD_MASK(HW_VALID) | ENTRY_BORROWED;
    return (entry & bits) == bits;
}

static inline bool vad_is_borrowed(const struct vad *vad)
{
    return vad_type(vad) == VAD_DEVICE_PHYSICAL;
}

/*
 * A new region of frames from first_frame on, in a place that is free and within bounds.
 * NO_MEMORY, COMMITMENT_LIMIT: no table, no VAD. (A) and (W) are held.
 */
ntmm_status borrowed_map(struct call *c, struct process *process, const struct vad_place *place,
                         uint32_t protection, uint32_t win32, uint64_t first_frame);

/* A page of a region, whose table is there, takes a protection that the region allows. (W) is held.
 */
void borrowed_enter(struct call *c, struct process *process, const struct vad *vad, uint64_t page,
                    uint32_t protection);

/*
 * Protect [start, end) of a region, within what it was mapped with: SECTION_PROTECTION otherwise;
 * INVALID_PAGE_PROTECTION: a guard.
 * *old: code of the first page before. WANT_TABLE: a table is out. (A) and (W) are held.
 */
ntmm_status borrowed_protect(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t start, uint64_t end, uint32_t protection, uint32_t *old);

#endif
