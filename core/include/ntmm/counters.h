/**
 * @file
 * Counters as data: one table that every reader uses (reports, JSON, Python, performance counters).
 *
 * A counter that a process owns is kept by the process and summed over processes, ended ones
 * included, for the system. Counts only rise.
 */
#ifndef NTMM_COUNTERS_H
#define NTMM_COUNTERS_H

#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The table: identifier, name in reports, NT's class, unit, owner. */
#define NTMM_COUNTER_TABLE(X)                                                                      \
    X(PAGE_FAULTS, "page_faults", "Memory\\Page Faults", "faults", PROCESS)                        \
    X(DEMAND_ZERO_FAULTS, "demand_zero_faults", "Memory\\Demand Zero Faults", "faults", PROCESS)   \
    X(TRANSITION_FAULTS, "transition_faults", "Memory\\Transition Faults", "faults", PROCESS)      \
    X(HARD_FAULTS, "hard_faults", "ours", "faults", PROCESS)                                       \
    X(COLLIDED_FAULTS, "collided_faults", "ours", "faults", PROCESS)                               \
    X(IN_PAGE_ERRORS, "in_page_errors", "ours", "faults", PROCESS)                                 \
    X(TABLE_READS, "table_reads", "ours", "pages", PROCESS)                                        \
    X(PAGES_READ, "pages_read", "Memory\\Pages Input/sec", "pages", PROCESS)                       \
    X(PAGES_AGED, "pages_aged", "ours", "pages", PROCESS)                                          \
    X(PAGES_TRIMMED, "pages_trimmed", "ours", "pages", PROCESS)                                    \
    X(TABLES_TRIMMED, "tables_trimmed", "ours", "pages", PROCESS)                                  \
    X(COPY_ON_WRITE_FAULTS, "copy_on_write_faults", "Memory\\Write Copies/sec", "faults", PROCESS) \
    X(MAKE_DIRTY_FAULTS, "make_dirty_faults", "ours", "faults", PROCESS)                           \
    X(GUARD_FAULTS, "guard_faults", "ours", "faults", PROCESS)                                     \
    X(STACK_GROWTHS, "stack_growths", "ours", "faults", PROCESS)                                   \
    X(SPURIOUS_FAULTS, "spurious_faults", "ours", "faults", PROCESS)                               \
    X(ACCESS_VIOLATIONS, "access_violations", "ours", "faults", PROCESS)                           \
    X(FAULT_WAITS, "fault_waits", "ours", "waits", PROCESS)                                        \
    X(FRAMES_ZEROED_INLINE, "frames_zeroed_inline", "ours", "pages", PROCESS)                      \
    X(TABLES_CREATED, "tables_created", "ours", "pages", PROCESS)                                  \
    X(TABLES_FREED, "tables_freed", "ours", "pages", PROCESS)                                      \
    X(PAGES_FREED, "pages_freed", "ours", "pages", PROCESS)                                        \
    X(INVALIDATIONS, "invalidations", "ours", "rounds", PROCESS)                                   \
    X(COMMIT_OVERDRAFTS, "commit_overdrafts", "ours", "pages", PROCESS)                            \
    X(PAGE_READS, "page_reads", "Memory\\Page Reads/sec", "transfers", SYSTEM)                     \
    X(READ_AHEAD_PAGES, "read_ahead_pages", "ours", "pages", SYSTEM)                               \
    X(READ_AHEAD_HITS, "read_ahead_hits", "ours", "faults", SYSTEM)                                \
    X(DUMMY_PAGES_READ, "dummy_pages_read", "ours", "pages", SYSTEM)                               \
    X(PAGE_WRITES, "page_writes", "Memory\\Page Writes/sec", "transfers", SYSTEM)                  \
    X(PAGES_WRITTEN, "pages_written", "Memory\\Pages Output/sec", "pages", SYSTEM)                 \
    X(MAPPED_PAGE_WRITES, "mapped_page_writes", "ours", "transfers", SYSTEM)                       \
    X(MAPPED_PAGES_WRITTEN, "mapped_pages_written", "ours", "pages", SYSTEM)                       \
    X(ZERO_PAGES_NOT_WRITTEN, "zero_pages_not_written", "ours", "pages", SYSTEM)                   \
    X(PAGES_REPURPOSED, "pages_repurposed", "Memory\\Transition Pages RePurposed/sec", "pages",    \
      SYSTEM)                                                                                      \
    X(FRAMES_ZEROED_BACKGROUND, "frames_zeroed_background", "ours", "pages", SYSTEM)               \
    X(PROCESSES_CREATED, "processes_created", "ours", "processes", SYSTEM)                         \
    X(PROCESSES_ENDED, "processes_ended", "ours", "processes", SYSTEM)                             \
    X(PROTOTYPE_TABLES_FREED, "prototype_tables_freed", "ours", "pages", SYSTEM)                   \
    X(PROTOTYPE_TABLES_TRIMMED, "prototype_tables_trimmed", "ours", "pages", SYSTEM)

/** Who keeps a counter. */
enum ntmm_counter_owner {
    NTMM_OWNER_SYSTEM,  /**< The system. */
    NTMM_OWNER_PROCESS, /**< Each process; the system's value is the sum. */
};

/** One identifier a row of the table, and their number. */
enum ntmm_counter {
/** Makes an enumerator of a row. */
#define NTMM_COUNTER_ENUM(id, name, nt_class, unit, owner) NTMM_COUNTER_##id,
    NTMM_COUNTER_TABLE(NTMM_COUNTER_ENUM) NTMM_COUNTER_COUNT, /**< Rows of the table. */
#undef NTMM_COUNTER_ENUM
};

/** A row of the table. */
struct ntmm_counter_description {
    const char *name;              /**< Name in reports and JSON. */
    const char *nt_class;          /**< NT's performance counter, or "ours". */
    const char *unit;              /**< Unit of the value. */
    enum ntmm_counter_owner owner; /**< Who keeps it. */
};

/**
 * The row of a counter.
 *
 * @param counter  0..NTMM_COUNTER_COUNT-1
 * @return the row, constant for the life of the program; NULL outside the table.
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API const struct ntmm_counter_description *ntmm_describe_counter(uint32_t counter);

#ifdef __cplusplus
}
#endif

#endif
