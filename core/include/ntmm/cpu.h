/**
 * @file
 * The memory side of an emulated x86-64 processor: registers that steer paging, TLB, table walk,
 * loads, stores, fetches and locked updates, page faults, invalidation. It executes no instructions
 * and knows nothing of the memory manager: asked for an access, it gives the bytes or the
 * exception.
 *
 * Invariants
 *  - M1 nothing is written before every page of an access is known to allow it;
 *  - M2 a cached translation was present, without reserved bits and accessed at every level then;
 *  - M3 the dirty bit of a leaf is set before the first byte is written through it;
 *  - M4 rights follow the registers at the time of access, never those at the time of caching;
 *  - M5 an acknowledged invalidation is in force: no later access uses what it covers;
 *  - M6 a fast tag lets an access pass only if the slow path would allow that access unchanged.
 *
 * Threads: a processor belongs to one thread or coroutine at a time, which alone may call all but
 * ntmm_cpu_post_invalidation and ntmm_cpu_acknowledged. Processors that share memory may run on
 * different threads. Nothing allocates or blocks; locked updates and the mailbox spin, for bounded
 * times.
 *
 * Where the manuals leave a choice: a faulting access sets no accessed bit; a fault may come from a
 * cached translation that the tables have since relaxed (it is dropped, so the retry succeeds);
 * large pages are cached whole and in 4 KiB slices, dropped together; upper-level entries are not
 * cached; bit 8 of a table entry is ignored (Intel). Implicit accesses are those that the processor
 * makes for itself as a supervisor at any CPL. Source: the processor manuals' paging chapters.
 */
#ifndef NTMM_CPU_H
#define NTMM_CPU_H

#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Register bits that steer paging */
/** @{ */
#define NTMM_CR0_PE 0x00000001ull      /**< protected mode; always 1 here */
#define NTMM_CR0_WP 0x00010000ull      /**< supervisor writes obey read-only pages */
#define NTMM_CR0_PG 0x80000000ull      /**< paging; always 1 here */
#define NTMM_CR4_PAE 0x00000020ull     /**< 8-byte entries; always 1 here */
#define NTMM_CR4_PGE 0x00000080ull     /**< global pages */
#define NTMM_CR4_LA57 0x00001000ull    /**< five levels; only ntmm_cpu_init sets it */
#define NTMM_CR4_PCIDE 0x00020000ull   /**< process-context identifiers */
#define NTMM_CR4_SMEP 0x00100000ull    /**< no supervisor fetches from user pages */
#define NTMM_CR4_SMAP 0x00200000ull    /**< no supervisor data accesses to user pages unless AC */
#define NTMM_CR4_PKE 0x00400000ull     /**< protection keys for user pages */
#define NTMM_CR4_CET 0x00800000ull     /**< refused: shadow stacks are not modelled */
#define NTMM_CR4_PKS 0x01000000ull     /**< protection keys for supervisor pages */
#define NTMM_CR3_NO_FLUSH (1ull << 63) /**< with PCIDE: keep what is cached of the new PCID */
#define NTMM_EFER_LME 0x00000100ull    /**< long mode enable; always 1 here */
#define NTMM_EFER_LMA 0x00000400ull    /**< long mode active; always 1 here */
#define NTMM_EFER_NXE 0x00000800ull    /**< execute-disable bit of entries */
/** @} */

/** Cached 4 KiB translations of a processor. */
#define NTMM_CPU_LINES 1024u
/** Cached 2 MiB translations. */
#define NTMM_CPU_LINES_2M 64u
/** Cached 1 GiB translations. */
#define NTMM_CPU_LINES_1G 8u
/** Invalidations a mailbox holds; one more turns them all into "everything". */
#define NTMM_CPU_MAILBOX_SLOTS 16u
/** Ranges of one invalidation. */
#define NTMM_INVALIDATION_RANGES 8u
/** Largest access in bytes. */
#define NTMM_CPU_ACCESS_MAX 64u
/** Locks over memory for locked updates, one for every 64 bytes modulo this many. */
#define NTMM_CPU_BUS_LOCKS 64u

/** What became of an access or a register write. */
enum ntmm_cpu_result {
    NTMM_CPU_OK = 0,    /**< done */
    NTMM_CPU_FAULT = 1, /**< page fault: cpu->fault and cpu->cr2 tell; nothing written */
    NTMM_CPU_GENERAL_PROTECTION = 2, /**< vector 13: cpu->fault tells; cr2 and all else unchanged */
    NTMM_CPU_BUS_ERROR = 3,          /**< a table or the page lies outside memory or in its hole:
                                          cpu->fault.address is that physical address; nothing
                                          changed but accessed bits of another page of the
                                          access */
    NTMM_CPU_INVALID_SIZE = 4, /**< caller's error: 0 or more than NTMM_CPU_ACCESS_MAX bytes */
};

/**
 * Read from a device.
 *
 * @param context  of the run
 * @param address  physical, naturally aligned
 * @param size     bytes: 1, 2, 4 or 8
 * @return the bytes, the one at `address` lowest; those above `size` are not looked at
 */
typedef uint64_t (*ntmm_cpu_device_read)(void *context, uint64_t address, uint32_t size);

/**
 * Write to a device.
 *
 * @param context  of the run
 * @param address  physical, naturally aligned
 * @param size     bytes: 1, 2, 4 or 8
 * @param value    the bytes, the one for `address` lowest; zeros above `size`
 */
typedef void (*ntmm_cpu_device_write)(void *context, uint64_t address, uint32_t size,
                                      uint64_t value);

/**
 * Physical addresses beside memory: bytes of the host's, or a device. Accesses to a device are cut
 * into the largest naturally aligned words, in rising order; a locked update reads, then writes,
 * under its bus locks. Page tables cannot lie in a run. Its functions must not call the processor.
 */
struct ntmm_cpu_run {
    uint64_t base_pa;            /**< physical address of its first byte; a multiple of 4,096 */
    uint64_t size;               /**< bytes, a multiple of 4,096 */
    uint8_t *host;               /**< where its first byte lies, aligned to 4,096; NULL: a device */
    ntmm_cpu_device_read read;   /**< of a device */
    ntmm_cpu_device_write write; /**< of a device */
    void *context;               /**< handed to both */
};

/**
 * Physical memory that processors share: one run of bytes, with a hole in it or none, and perhaps
 * runs beside it. What lies in the hole and in no run is outside memory: processors never touch
 * those bytes of the host's, whatever table entries say. The owner fills in the fields before the
 * private ones and zeroes the rest, keeps it alive and in place while a processor uses it, and
 * changes nothing after ntmm_cpu_init but runs: while no processor of it is inside, after which
 * each forgets everything.
 */
struct ntmm_cpu_memory {
    uint8_t *host;         /**< where its first byte lies; aligned to 4,096 */
    uint64_t base_pa;      /**< physical address of its first byte; a multiple of 4,096 */
    uint64_t size;         /**< bytes, the hole's too; a multiple of 4,096 */
    uint64_t hole_base_pa; /**< where the hole begins, within memory; a multiple of 4,096 */
    uint64_t hole_size;    /**< bytes, all of them within memory; a multiple of 4,096; 0: none */
    const struct ntmm_cpu_run *runs; /**< apart from memory and each other; NULL: none */
    uint32_t run_count;              /**< of them */
    /** Private: spin locks of locked updates; 0 is free. */
    uint32_t bus_locks[NTMM_CPU_BUS_LOCKS];
};

/** What a processor is, fixed at ntmm_cpu_init. */
struct ntmm_cpu_config {
    uint32_t max_phys_bits; /**< MAXPHYADDR, 32..52; higher address bits of entries are reserved */
    bool has_1gib_pages;    /**< whether a level-3 entry may be a leaf */
    uint64_t cr4;           /**< initial CR4; PAE is added; the only way to set LA57 */
};

/** An exception. */
struct ntmm_cpu_fault {
    uint32_t vector;     /**< 14 page fault, 13 general protection, 18 bus error */
    uint32_t error_code; /**< of a page fault, else 0 */
    uint64_t address; /**< faulting linear address, byte-exact; of a bus error the physical one */
};

/** Counters of the slow path; hits of the inline path are not counted. */
struct ntmm_cpu_statistics {
    uint64_t slow_hits; /**< accesses that a cached translation served outside the inline path */
    uint64_t misses;    /**< accesses that none served */
    uint64_t walks;     /**< walks of the tables, those that set a dirty bit included */
    uint64_t faults;    /**< page faults */
    uint64_t flushes;   /**< invalidations of more than a page */
};

/** Half-open range of linear addresses. end 0 means 2^64. */
struct ntmm_cpu_range {
    uint64_t base; /**< bytes; rounded down to a page */
    uint64_t end;  /**< bytes; rounded up to a page */
};

/** @name Flags of struct ntmm_invalidation */
/** @{ */
#define NTMM_INVALIDATE_GLOBAL 1u    /**< global translations too */
#define NTMM_INVALIDATE_ALL_PCIDS 2u /**< of every PCID; the field pcid is not looked at */
/** @} */

/** What to forget. range_count 0: all addresses. Both flags and no range: everything. */
struct ntmm_invalidation {
    uint32_t flags;       /**< NTMM_INVALIDATE_* bits */
    uint16_t pcid;        /**< 0..4095; 0 unless CR4.PCIDE */
    uint16_t range_count; /**< of ranges, 0..NTMM_INVALIDATION_RANGES */
    struct ntmm_cpu_range
        ranges[NTMM_INVALIDATION_RANGES]; /**< a large page they meet goes whole */
};

/**
 * Private: one line of the inline path.
 *
 * The page of an address chooses the line, so bits 21:12 of a tag need not tell pages apart; they
 * tell modes apart. A tag is made so that, for every address that chooses its line,
 *
 *     address ^ tag  =  difference of the pages 63:22 | marks of the tag's mode 21:12 | offset 11:0
 *
 * A mode has five of the ten marks, an empty tag all ten, and the bits miss_bits of the processor
 * are the pages', the alignment's and the five marks that the current mode has not: none is left
 * only for the page, in that mode, aligned. All tags of a line are of one mode.
 */
struct ntmm_cpu_line {
    uint64_t read_tag;  /**< Private. */
    uint64_t write_tag; /**< Private: not empty only with dirty set. */
    uint64_t fetch_tag; /**< Private. */
    uint64_t addend;    /**< Private: host address = (uintptr_t)(addend + (address ^ tag)). */
};
/** Private: log2 of the bytes of a line. */
#define NTMM_CPU_LINE_SHIFT 5

/** Private: a cached translation. */
struct ntmm_cpu_translation {
    uint64_t page;    /**< Private: first linear address, | 1; 0 for an unused one. */
    uint64_t address; /**< Private: physical address of its first byte. */
    uint16_t pcid;    /**< Private. */
    uint8_t rights;   /**< Private: combined over the levels. */
    uint8_t key;      /**< Private: protection key, 0..15. */
    uint8_t level;    /**< Private: level of the leaf; a slice has its page's. */
    uint16_t marks;   /**< Private: of the mode that its line's tags and addend are made for. */
};

/** Private: everything that access rights depend on besides the translation. */
struct ntmm_cpu_mode {
    uint32_t flags; /**< Private. */
    uint32_t pkru;  /**< Private. */
    uint32_t pkrs;  /**< Private. */
    uint16_t pcid;  /**< Private. */
    uint16_t marks; /**< Private: 5 of 10 bits, unique among modes since tags were last emptied; 0
                                  for unused. */
};

/**
 * A virtual processor. The caller provides it, zeroed or not, and passes it to ntmm_cpu_init.
 * Fields marked "public" may be read and written by the owner at any time; the others are here only
 * for the inline path. It may not be moved or copied while it is posted to.
 */
struct ntmm_cpu {
    uint64_t miss_bits[4]; /**< Private: by log2 of the access's bytes; follows the mode. */
    struct ntmm_cpu_line lines[NTMM_CPU_LINES]; /**< Private. */

    uint64_t cr2;                          /**< Public: address of the last page fault. */
    struct ntmm_cpu_fault fault;           /**< Public: the last exception. */
    struct ntmm_cpu_statistics statistics; /**< Public. */

    struct ntmm_cpu_memory *memory;       /**< Private. */
    uint64_t low_size;                    /**< Private: bytes of memory below its hole. */
    uint64_t cr0;                         /**< Private: read only; ntmm_cpu_set_cr0 writes. */
    uint64_t cr3;                         /**< Private: read only; ntmm_cpu_set_cr3 writes. */
    uint64_t cr4;                         /**< Private: read only; ntmm_cpu_set_cr4 writes. */
    uint64_t efer;                        /**< Private: read only; ntmm_cpu_set_efer writes. */
    uint64_t reserved_address_bits;       /**< Private: 51:MAXPHYADDR. */
    struct ntmm_cpu_mode mode;            /**< Private: the current one. */
    struct ntmm_cpu_mode recent_modes[8]; /**< Private: marks that may come back. */
    uint32_t recent_mode_next;            /**< Private: slot to replace. */
    uint32_t marks_next;                  /**< Private: of the next new mode. */
    uint32_t max_phys_bits;               /**< Private. */
    uint32_t levels;                      /**< Private: 4 or 5. */
    bool has_1gib_pages;                  /**< Private. */
    bool has_large_lines;                 /**< Private: large pages may be cached. */
    bool ac;                              /**< Private: EFLAGS.AC. */
    uint8_t cpl;                          /**< Private: 0..3. */
    struct ntmm_cpu_translation translations[NTMM_CPU_LINES];       /**< Private. */
    struct ntmm_cpu_translation translations_2m[NTMM_CPU_LINES_2M]; /**< Private. */
    struct ntmm_cpu_translation translations_1g[NTMM_CPU_LINES_1G]; /**< Private. */

    uint8_t padding[64];        /**< Private: other threads write below. */
    uint32_t inside;            /**< Private: owner writes, posters read. */
    uint32_t drained;           /**< Private: last ticket applied; owner writes, posters read. */
    uint8_t padding_posted[64]; /**< Private. */
    uint32_t posted;            /**< Private: last ticket given; posters write, owner reads. */
    uint32_t mailbox_lock;      /**< Private: spin lock of the two below; 0 is free. */
    uint32_t mailbox_count;     /**< Private: slots in use; above the slots means everything. */
    struct ntmm_invalidation mailbox[NTMM_CPU_MAILBOX_SLOTS]; /**< Private. */
};

/**
 * Make a processor: long mode, CR0.WP and EFER.NXE set, CR3 0, CPL 0, AC clear, no key denies,
 * nothing cached, outside, its mailbox empty, statistics zero.
 *
 * @param cpu     written whole
 * @param memory  shared with other processors; must outlive the processor
 * @param config  NULL means 46 physical-address bits, 1 GiB pages, CR4 = PAE | PGE
 * @return NTMM_CPU_OK, or with *cpu undefined NTMM_CPU_GENERAL_PROTECTION: max_phys_bits out of
 *         range, memory or its hole not aligned to pages, a hole that is not all within memory, or
 *         CR4 bits that ntmm_cpu_set_cr4 refuses
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_init(struct ntmm_cpu *cpu,
                                                          struct ntmm_cpu_memory *memory,
                                                          const struct ntmm_cpu_config *config);

/**
 * MOV to CR0. Only WP matters; nothing is flushed.
 *
 * @param cpu    the processor; the call is its owner's
 * @param value  the new value
 * @return NTMM_CPU_OK, or unchanged NTMM_CPU_GENERAL_PROTECTION: PE or PG clear (this processor is
 *         always in long mode)
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_set_cr0(struct ntmm_cpu *cpu, uint64_t value);

/**
 * MOV to CR3. Without PCIDE forgets all non-global translations; with it, those of the new PCID
 * unless NTMM_CR3_NO_FLUSH is set in value (it is not stored).
 *
 * @param cpu    the processor; the call is its owner's
 * @param value  physical address of the root in 51:12, PCID in 11:0 with PCIDE
 * @return NTMM_CPU_OK, or unchanged NTMM_CPU_GENERAL_PROTECTION: a bit at or above MAXPHYADDR
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_set_cr3(struct ntmm_cpu *cpu, uint64_t value);

/**
 * MOV to CR4. A change of PGE, or clearing PCIDE, forgets everything; setting SMEP forgets what the
 * current PCID uses, global translations included. Bits without a meaning for paging are kept.
 *
 * @param cpu    the processor; the call is its owner's
 * @param value  the new value
 * @return NTMM_CPU_OK, or unchanged NTMM_CPU_GENERAL_PROTECTION: PAE clear, LA57 changed, CET set,
 *         a bit above 31, or PCIDE set while CR3[11:0] is not 0
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_set_cr4(struct ntmm_cpu *cpu, uint64_t value);

/**
 * WRMSR of EFER. Only NXE matters; as on a processor nothing is flushed: software must.
 *
 * @param cpu    the processor; the call is its owner's
 * @param value  the new value
 * @return NTMM_CPU_OK, or unchanged NTMM_CPU_GENERAL_PROTECTION: LME or LMA clear
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_set_efer(struct ntmm_cpu *cpu, uint64_t value);

/**
 * Set privilege level (0..3; 3 is user, all others supervisor) and EFLAGS.AC. Nothing is
 * flushed.
 *
 * @param cpu  the processor; the call is its owner's
 * @param cpl  0..3
 * @param ac   EFLAGS.AC
 */
NTMM_API void ntmm_cpu_set_privilege(struct ntmm_cpu *cpu, uint32_t cpl, bool ac);

/**
 * Set PKRU (user pages) and PKRS (supervisor pages): bit 2k denies data accesses to key k, 2k+1
 * writes. They matter with CR4.PKE and CR4.PKS. Nothing is flushed.
 *
 * @param cpu   the processor; the call is its owner's
 * @param pkru  of user pages
 * @param pkrs  of supervisor pages
 */
NTMM_API void ntmm_cpu_set_keys(struct ntmm_cpu *cpu, uint32_t pkru, uint32_t pkrs);

/**
 * INVLPG: forget the page that va lies in, whatever its size, of the current PCID and global ones.
 * Does nothing for an address that is not canonical.
 *
 * @param cpu  the processor; the call is its owner's
 * @param va   any linear address of the page
 */
NTMM_API void ntmm_cpu_invlpg(struct ntmm_cpu *cpu, uint64_t va);

/**
 * INVPCID.
 *
 * @param cpu         the processor; the call is its owner's
 * @param type        0 non-global translations of va in pcid; 1 all non-global ones of pcid; 2 all,
 *                    global included; 3 all but global
 * @param descriptor  first quadword: PCID in 11:0, the rest 0
 * @param va          second quadword; looked at for type 0 only
 * @return NTMM_CPU_OK, or unchanged NTMM_CPU_GENERAL_PROTECTION: type above 3, descriptor above
 *         4095, PCID not 0 without PCIDE for types 0 and 1, va not canonical for type 0
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_invpcid(struct ntmm_cpu *cpu, uint64_t type,
                                                             uint64_t descriptor, uint64_t va);

/**
 * Forget what an invalidation names; what a drained one does. Never fails.
 *
 * @param cpu   the processor; the call is its owner's
 * @param what  what to forget; copied
 */
NTMM_API void ntmm_cpu_invalidate(struct ntmm_cpu *cpu, const struct ntmm_invalidation *what);

/**
 * Read bytes, as a load instruction does. A naturally aligned access of 1, 2, 4 or 8 bytes is one
 * atomic (relaxed) host access; others are made of the largest aligned ones.
 *
 * @param cpu     the processor; the call is its owner's
 * @param va      linear address of the first byte; any alignment, may cross a page boundary
 * @param buffer  size bytes in memory order; written only on success
 * @param size    bytes, 1..NTMM_CPU_ACCESS_MAX
 * @return NTMM_CPU_OK; NTMM_CPU_FAULT with cr2 = first byte on the failing page, of two
 *         failing pages the first;
 *         NTMM_CPU_GENERAL_PROTECTION if a byte's address is not canonical; NTMM_CPU_BUS_ERROR
 *         after all other checks; NTMM_CPU_INVALID_SIZE
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_load(struct ntmm_cpu *cpu, uint64_t va,
                                                          void *buffer, uint32_t size);

/**
 * Write bytes, as a store instruction does; otherwise as ntmm_cpu_load. Nothing is written unless
 * all is. @see ntmm_cpu_load for parameters and results.
 *
 * @param cpu     the processor; the call is its owner's
 * @param va      linear address of the first byte
 * @param buffer  size bytes in memory order
 * @param size    bytes, 1..NTMM_CPU_ACCESS_MAX
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_store(struct ntmm_cpu *cpu, uint64_t va,
                                                           const void *buffer, uint32_t size);

/**
 * Read bytes as an instruction fetch. @see ntmm_cpu_load for parameters and results.
 *
 * @param cpu     the processor; the call is its owner's
 * @param va      linear address of the first byte
 * @param buffer  size bytes in memory order
 * @param size    bytes, 1..NTMM_CPU_ACCESS_MAX
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch(struct ntmm_cpu *cpu, uint64_t va,
                                                           void *buffer, uint32_t size);

/**
 * An implicit supervisor load, at any CPL. @see ntmm_cpu_load for parameters and results.
 *
 * @param cpu     the processor; the call is its owner's
 * @param va      linear address of the first byte
 * @param buffer  size bytes in memory order
 * @param size    bytes, 1..NTMM_CPU_ACCESS_MAX
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_load_implicit(struct ntmm_cpu *cpu,
                                                                   uint64_t va, void *buffer,
                                                                   uint32_t size);

/**
 * An implicit supervisor store, at any CPL. @see ntmm_cpu_load for parameters and results.
 *
 * @param cpu     the processor; the call is its owner's
 * @param va      linear address of the first byte
 * @param buffer  size bytes in memory order
 * @param size    bytes, 1..NTMM_CPU_ACCESS_MAX
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_store_implicit(struct ntmm_cpu *cpu,
                                                                    uint64_t va, const void *buffer,
                                                                    uint32_t size);

/**
 * The middle of a locked read-modify-write. May be called several times for one update; must touch
 * nothing but bytes and context, and no processor.
 *
 * @param bytes    in: what memory holds, in memory order; out: what it shall hold
 * @param size     of bytes
 * @param context  the caller's
 * @return whether to write; false leaves memory as it is (a failed compare-exchange)
 */
typedef bool (*ntmm_cpu_update_function)(void *bytes, uint32_t size, void *context);

/**
 * A locked read-modify-write of 1..64 bytes. For rights, dirty bit and error code it is a write
 * even if the function declines to write. It is atomic against the updates of all processors of the
 * same struct ntmm_cpu_memory, and when naturally aligned and of 1, 2, 4 or 8 bytes against their
 * plain stores too.
 *
 * Locks: spins on one or two bus locks, held only while function runs.
 * @see ntmm_cpu_load for the other parameters and results.
 *
 * @param cpu       the processor; the call is its owner's
 * @param va        linear address of the first byte
 * @param size      bytes, 1..NTMM_CPU_ACCESS_MAX
 * @param function  makes the new bytes of the old
 * @param context   handed to function
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_update(struct ntmm_cpu *cpu, uint64_t va,
                                                            uint32_t size,
                                                            ntmm_cpu_update_function function,
                                                            void *context);

/** @name Shootdown
 *
 * Post to every processor, then wait until ntmm_cpu_acknowledged says yes of each; then no access
 * of any of them uses what the invalidations cover. A poster whose own processor is inside must
 * poll it or leave it while waiting. Being inside costs nothing; enter, leave and poll have the
 * atomics.
 */
/** @{ */

/**
 * Enter: drains the mailbox, then accesses may be made until ntmm_cpu_leave. Not nested. Without
 * enter, accesses are allowed only while no other thread posts to this processor.
 *
 * @param cpu  the processor; the call is its owner's
 */
NTMM_API void ntmm_cpu_enter(struct ntmm_cpu *cpu);

/**
 * Leave: all accesses made are complete; no poster need wait for this processor.
 *
 * @param cpu  the processor; the call is its owner's
 */
NTMM_API void ntmm_cpu_leave(struct ntmm_cpu *cpu);

/**
 * Drain the mailbox, between two accesses. Inside or outside.
 *
 * @param cpu  the processor; the call is its owner's
 */
NTMM_API void ntmm_cpu_drain(struct ntmm_cpu *cpu);

/**
 * Post an invalidation into a processor's mailbox, from any thread.
 *
 * @param cpu   any processor
 * @param what  what to forget; copied
 * @return a ticket for ntmm_cpu_acknowledged. Tickets wrap after 2^32
 */
NTMM_API uint32_t ntmm_cpu_post_invalidation(struct ntmm_cpu *cpu,
                                             const struct ntmm_invalidation *what);

/**
 * Whether the posted invalidation is in force: drained, or the processor is outside and will drain
 * it before its next access. From any thread.
 *
 * @param cpu     any processor
 * @param ticket  as posted
 * @return whether it is in force; the first true holds for good
 */
NTMM_API bool ntmm_cpu_acknowledged(struct ntmm_cpu *cpu, uint32_t ticket);

/** @} */

#ifdef __cplusplus
}
#endif

#ifndef SWIG
#include <ntmm/cpu_inline.h>
#endif

#endif
