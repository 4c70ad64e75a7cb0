/*
 * The harshest memory pressure there is, between two operations: every page and every page table
 * that can leave memory does, and its frame with it.
 */
#ifndef NTMM_TEST_PAGE_OUT_H
#define NTMM_TEST_PAGE_OUT_H

#include <ntmm/emulated.h>

#define PAGE_OUT_FILE_BYTES UINT64_C(0x1000000)

/* A page file on a disk in memory, large enough for what a case or an input touches. */
ntmm_status page_out_add_file(struct ntmm_emulated *emu);

/* Nothing is in progress, and the page files have room. */
void page_out_everything(struct ntmm_emulated *emu);

#endif
