/*
 * Setting call targets, for NtSetInformationVirtualMemory.
 */
#ifndef NTMM_SERVICES_CALL_TARGETS_H
#define NTMM_SERVICES_CALL_TARGETS_H

#include "base/instance.h"
#include "services/capture.h"

#include <ntmm/memory.h>

/*
 * `pages`: those of the range. On success the targets are marked as processed, and counted.
 * INVALID_PARAMETER: not all of it is executable, or a target is misaligned, outside, or has other
 * flags; statuses of a handle, of a charge, of a table that is out; NO_MEMORY.
 */
ntmm_status call_targets_set(struct call *c, ntmm_handle handle, struct page_range pages,
                             const struct ntmm_memory_range_entry *range,
                             struct ntmm_cfg_call_target_list *list);

#endif
