/*
 * The memory report, and the end: the system is destroyed, and nothing may be left.
 */
#include "seam.h"

void report_memory(void)
{
    struct ntmm_memory_information m;
    struct ntmm_paging_file_information file;
    struct ntmm_process_information p;
    uint64_t standby = 0;
    ntmm_query_memory(mm, &m);
    must(ntmm_query_paging_file(mm, 0, &file), "page file query");
    for (uint32_t i = 0; i < 8; i++)
        standby += m.standby_pages[i];
    print("ram %u ", ram_pages);
    print("pages %u metadata %u zeroed %u free %u standby %u modified %u active %u transition %u\n",
          m.total_pages, m.metadata_pages, m.zeroed_pages, m.free_pages, standby, m.modified_pages,
          m.active_pages, m.transition_pages);
    print("commit %u of %u, tables %u\n", m.commit_pages, m.commit_limit_pages, m.table_pages);
    print("page file pages %u used %u most %u written %u read %u\n", file.size_pages,
          file.used_pages, file.peak_pages, file.pages_written, file.pages_read);
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        if (programs[i].handle && !programs[i].has_ended &&
            NTMM_SUCCEEDED(ntmm_query_process(mm, programs[i].handle, &p)))
            print("process %u working set %u most %u commit %u hard faults %u\n",
                  (uint64_t)programs[i].number, p.working_set_pages, p.peak_working_set_pages,
                  p.commit_pages, p.counters[NTMM_COUNTER_HARD_FAULTS]);
    }
}

static void report_processors(void)
{
    struct ntmm_freestanding_statistics s;
    for (uint32_t i = 0; i < count_processors(); i++) {
        ntmm_freestanding_query(&machine, i, &s);
        print("processor %u shootdowns %u interrupts %u served %u pages %u flushes %u entered %u "
              "warm %u\n",
              (uint64_t)i, s.rounds, s.interrupts, s.served, s.pages, s.flushes, s.entries,
              s.warm_entries);
    }
}

void report_end(void)
{
    struct ntmm_teardown t;
    uint32_t failures = programs_failed();
    report_memory();
    report_processors();
    ntmm_destroy_system(mm, &t);
    print("left: pages %u commit %u objects %u processes %u waits %u transfers %u\n", t.lost_pages,
          t.outstanding_commit, t.live_objects, t.processes_ended, t.waiters, t.transfers);
    print("deepest kernel stack %u bytes\n", deepest_stack());
    failures += (t.lost_pages | t.outstanding_commit | t.live_objects | t.processes_ended |
                 t.waiters | t.transfers) != 0;
    print(failures ? "failed\n" : "all is well\n");
    power_off(failures ? 2 : 16);
}
