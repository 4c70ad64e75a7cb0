/**
 * @file
 * NT's memory constants, to the bit. Source: public SDK headers.
 */
#ifndef NTMM_CONSTANTS_H
#define NTMM_CONSTANTS_H

/** @name Page protections
 * One base value, and at most the modifiers that NT allows with it.
 * @{ */
#define NTMM_PAGE_NOACCESS 0x01u          /**< No access; the page stays committed. */
#define NTMM_PAGE_READONLY 0x02u          /**< Read. */
#define NTMM_PAGE_READWRITE 0x04u         /**< Read and write. */
#define NTMM_PAGE_WRITECOPY 0x08u         /**< Read; a write makes a private copy. Views only. */
#define NTMM_PAGE_EXECUTE 0x10u           /**< Execute (x64 hardware reads it too). */
#define NTMM_PAGE_EXECUTE_READ 0x20u      /**< Execute and read. */
#define NTMM_PAGE_EXECUTE_READWRITE 0x40u /**< Execute, read and write. */
#define NTMM_PAGE_EXECUTE_WRITECOPY 0x80u /**< Execute and copy on write. Views only. */
#define NTMM_PAGE_GUARD 0x100u            /**< Modifier: the first access raises, once. */
#define NTMM_PAGE_NOCACHE 0x200u          /**< Modifier: not cached. */
#define NTMM_PAGE_WRITECOMBINE 0x400u     /**< Modifier: write-combined. */
/** With an executable protection, of Allocate and Map: no address becomes a call target. */
#define NTMM_PAGE_TARGETS_INVALID 0x40000000u
/** With an executable protection, of Protect: call targets stay as they are. */
#define NTMM_PAGE_TARGETS_NO_UPDATE 0x40000000u
/** Protecting a view: pages that were copied on write are the section's again. */
#define NTMM_PAGE_REVERT_TO_FILE_MAP 0x80000000u
/** @} */

/** @name Allocation types, free types, states and types of memory
 * @{ */
#define NTMM_MEM_COALESCE_PLACEHOLDERS 0x00000001u /**< Free: join adjacent placeholders. */
#define NTMM_MEM_PRESERVE_PLACEHOLDER 0x00000002u  /**< Free: leave or split a placeholder. */
#define NTMM_MEM_COMMIT 0x00001000u                /**< Allocate; also a state. */
#define NTMM_MEM_RESERVE 0x00002000u               /**< Allocate; also a state. */
#define NTMM_MEM_DECOMMIT 0x00004000u              /**< Free the pages, keep the reservation. */
#define NTMM_MEM_REPLACE_PLACEHOLDER 0x00004000u   /**< Allocate over a placeholder. */
#define NTMM_MEM_RELEASE 0x00008000u               /**< Free pages and reservation. */
#define NTMM_MEM_FREE 0x00010000u                  /**< State: free. */
#define NTMM_MEM_PRIVATE 0x00020000u               /**< Type: private. */
#define NTMM_MEM_MAPPED 0x00040000u                /**< Type: a view of a data section. */
#define NTMM_MEM_RESERVE_PLACEHOLDER 0x00040000u   /**< Allocate a placeholder. */
#define NTMM_MEM_RESET 0x00080000u                 /**< Contents are disposable. */
#define NTMM_MEM_TOP_DOWN 0x00100000u              /**< Choose the highest address. */
#define NTMM_MEM_WRITE_WATCH 0x00200000u           /**< Track written pages. */
#define NTMM_MEM_PHYSICAL 0x00400000u              /**< A window for user physical pages. */
#define NTMM_MEM_RESET_UNDO 0x01000000u            /**< Undo a reset. */
#define NTMM_MEM_IMAGE 0x01000000u                 /**< Type: a view of an image section. */
#define NTMM_MEM_LARGE_PAGES 0x20000000u           /**< Large pages. */
/** @} */

/** @name User address space of a 48-bit process, bytes
 * The last 64 KiB below NTMM_USER_PROBE_ADDRESS are a permanent no-access reservation.
 * @{ */
#define NTMM_LOWEST_USER_ADDRESS 0x0000000000010000ull      /**< Lowest that can be reserved. */
#define NTMM_HIGHEST_USER_ADDRESS 0x00007FFFFFFEFFFFull     /**< Highest user byte. */
#define NTMM_HIGHEST_VAD_ADDRESS 0x00007FFFFFFDFFFFull      /**< Highest byte of a reservation. */
#define NTMM_HIGHEST_VAD_ADDRESS_2G 0x000000007FFDFFFFull   /**< The same below 2 GiB. */
#define NTMM_HIGHEST_VAD_ADDRESS_4G 0x00000000FFFDFFFFull   /**< The same below 4 GiB. */
#define NTMM_SHARED_USER_DATA_ADDRESS 0x000000007FFE0000ull /**< KUSER_SHARED_DATA. */
#define NTMM_USER_PROBE_ADDRESS 0x00007FFFFFFF0000ull       /**< First byte that no user owns. */
#define NTMM_SYSTEM_RANGE_START 0xFFFF800000000000ull       /**< First system byte. */
/** @} */

#endif
