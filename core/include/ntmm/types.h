/**
 * @file
 * Basic types of the public contract.
 *
 * Sizes and addresses of the managed machine are uint64_t on every host. A handle is an index and a
 * generation with the kind of object in its top byte; it is never a pointer, and a stale one is
 * refused with NTMM_STATUS_INVALID_HANDLE.
 */
#ifndef NTMM_TYPES_H
#define NTMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(SWIG)
#define NTMM_API
#define NTMM_MUST_USE
#elif defined(_WIN32) && defined(NTMM_SHARED)
#if defined(NTMM_BUILDING)
#define NTMM_API __declspec(dllexport)
#else
#define NTMM_API __declspec(dllimport)
#endif
#define NTMM_MUST_USE __attribute__((warn_unused_result))
#else
#define NTMM_API __attribute__((visibility("default")))
#define NTMM_MUST_USE __attribute__((warn_unused_result))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** An NTSTATUS: bits 31:30 are the severity (0 success, 1 informational, 2 warning, 3 error). */
typedef uint32_t ntmm_status;

/** A handle to an object of one system: kind 63:56, generation 55:32, index 31:0. 0 names nothing.
 * */
typedef uint64_t ntmm_handle;

/** Bytes of a page of the managed machine. */
#define NTMM_PAGE_SIZE 4096u
/** log2 of NTMM_PAGE_SIZE. */
#define NTMM_PAGE_SHIFT 12u
/** Bytes of the granularity at which address space is reserved. */
#define NTMM_ALLOCATION_GRANULARITY 65536u
/** Bytes of a large page. */
#define NTMM_LARGE_PAGE_SIZE 0x200000u
/** Entries of one page table at any level. */
#define NTMM_ENTRIES_PER_TABLE 512u

/** Whether a status is a success: severity success or informational. */
#define NTMM_SUCCEEDED(status) ((ntmm_status)(status) < 0x80000000u)

#ifdef __cplusplus
}
#endif

#endif
