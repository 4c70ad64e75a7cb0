/**
 * @file
 * Everything public at once. See the header of each subject for its contract.
 */
#ifndef NTMM_H
#define NTMM_H

#include <ntmm/access.h>
#include <ntmm/borrow.h>
#include <ntmm/call_target.h>
#include <ntmm/constants.h>
#include <ntmm/counters.h>
#include <ntmm/event.h>
#include <ntmm/fault.h>
#include <ntmm/file.h>
#include <ntmm/frames.h>
#include <ntmm/inspect.h>
#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/paging.h>
#include <ntmm/physical.h>
#include <ntmm/platform.h>
#include <ntmm/process.h>
#include <ntmm/query.h>
#include <ntmm/section.h>
#include <ntmm/secure.h>
#include <ntmm/stack.h>
#include <ntmm/statistics.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>
#include <ntmm/virtual.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#endif
