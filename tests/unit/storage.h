/*
 * Disks and page files of a machine, and pages on their way to them.
 */
#ifndef NTMM_TEST_STORAGE_H
#define NTMM_TEST_STORAGE_H

#include "paging/transfers.h"
#include "unit/machine.h"

#include <ntmm/paging.h>

/* A disk of memory. maximum 0: it does not grow; flags: NTMM_EMULATED_DISK_*. */
uint64_t must_add_disk(struct machine *m, uint64_t size, uint64_t maximum, uint32_t flags);

/* A page file on a disk of its own that is just large enough; its number, and the disk's. */
uint32_t must_add_file(struct machine *m, uint64_t initial, uint64_t maximum, uint64_t *device);

ntmm_status try_create_file(struct machine *m, uint64_t device, uint64_t initial, uint64_t maximum,
                            uint32_t *number);
struct ntmm_paging_file_information must_query_file(struct machine *m, uint32_t number);

/* Make a disk's transfers fail; end 0: anywhere. count 0: no more. */
void must_fail_disk(struct machine *m, uint64_t device, enum ntmm_io_operation operation,
                    uint64_t count, ntmm_status status, uint64_t base, uint64_t end);

/* Pump until no block is in use. */
void must_finish_transfers(struct machine *m);

/* Touched pages of a range leave the working set for the modified or standby list. */
void must_trim(struct machine *m, uint64_t base, uint64_t size);

/* Let the virtual clock go on. */
void must_wait(struct machine *m, uint64_t time_100ns);

/* Start writing, at most so many pages. */
uint64_t must_write_modified(struct machine *m, uint64_t budget);

/* The slot of a page in transition; 0: none. */
uint64_t machine_slot(struct machine *m, uint64_t va, uint32_t *file);
enum ntmm_frame_location machine_location(struct machine *m, uint64_t va);

#endif
