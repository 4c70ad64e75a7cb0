/*
 * One run: the system of a seed, its rounds, and its end. See sim.h.
 */
#include "sim/sim.h"

#include "platform/emulated/machine.h"

#include <ntmm/counters.h>
#include <ntmm/inspect.h>
#include <ntmm/paging.h>
#include <ntmm/process.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMIT_PAGES 0x1000000u /* as much as the workers' models believe in */
#define PAGE_FILE_BYTES UINT64_C(0x2000000)
#define PAGE_FILE_INITIAL UINT64_C(0x400000)
#define TRIES 1000u                  /* of a call that errors fail */
#define SWITCHES_OF_ROUND 400000000u /* until a round is held to be stuck */
#define ROUNDS_OF_HASH 8u            /* between two hashes of RAM */
#define FNV_PRIME UINT64_C(0x100000001b3)

_Noreturn void sim_fail(struct sim *sim, const char *why)
{
    sim->result->why = why;
    printf("# seed %" PRIu64 ": %s\n", sim->seed, why);
    fflush(stdout);
    __builtin_trap();
}

bool sim_keeps(struct sim *sim, uint32_t party, uint32_t record)
{
    const struct keep *keep = sim->keep;
    sim->result->records[party] = record + 1;
    return keep == NULL || record >= keep->limit ||
           !(keep->dropped[party][record / 8] >> record % 8 & 1);
}

uint64_t sim_record_state(const struct sim *sim, uint32_t party, uint32_t record)
{
    uint64_t state = sim->seed * FNV_PRIME ^ (uint64_t)party << 32 ^ record;
    (void)splitmix64(&state);
    return state ^ sim->seed << 17;
}

static void must(struct sim *sim, bool holds, const char *why)
{
    if (!holds)
        sim_fail(sim, why);
}

/* --- the workers --- */

static void note_difference(void *context, const char *why)
{
    struct worker *worker = context;
    worker->sim->result->why = why;
    printf("# seed %" PRIu64 ", worker %u, record %u\n", worker->sim->seed, worker->index,
           worker->next_record - 1);
}

static void run_worker(void *context)
{
    struct worker *worker = context;
    struct sim *sim = worker->sim;
    struct compared *world = &worker->world;
    uint8_t record[OPERATION_RECORD_SIZE];
    for (uint32_t i = 0; i < sim->shape.round_records; i++) {
        uint32_t number = worker->next_record++;
        uint64_t state = sim_record_state(sim, worker->index, number);
        if (!sim_keeps(sim, worker->index, number) ||
            world->count + COMPARED_RECORD_OPERATIONS > world->limit)
            continue;
        if (extra_is_due(splitmix64(&state))) {
            extra_run(worker, &state);
        } else {
            records_draw(world, &state, record);
            compared_run_record(world, record, &worker->operation);
        }
    }
    sim->unfinished--;
}

static void begin_worker(struct sim *sim, uint32_t index)
{
    struct worker *worker = &sim->workers[index];
    worker->sim = sim;
    worker->index = index;
    worker->world = (struct compared){
        .limit = (unsigned)(sim->step_limit + 8 * COMPARED_RECORD_OPERATIONS),
        .emu = sim->emu,
        .system = sim->system,
        .on_difference = note_difference,
        .context = worker,
        .first_cpu = 2 * index,
        .tries = TRIES,
    };
    worker->operation = (struct operation){0};
    compared_join(&worker->world, sim->shape.headers[index]);
}

static void spawn_workers(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        sim->unfinished++;
        must(sim,
             ntmm_emulated_spawn(sim->emu, 2 * i, run_worker, &sim->workers[i], 0) ==
                 NTMM_STATUS_SUCCESS,
             "no memory for coroutines");
    }
}

/* --- the system --- */

static void begin_page_file(struct sim *sim, uint32_t index)
{
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = PAGE_FILE_INITIAL,
        .maximum_bytes = PAGE_FILE_BYTES,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file,
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = PAGE_FILE_INITIAL,
        .maximum_bytes = PAGE_FILE_BYTES,
    };
    must(sim,
         ntmm_emulated_add_disk(sim->emu, &disk, &file.device) == NTMM_STATUS_SUCCESS &&
             ntmm_create_paging_file(sim->system, &file, NULL) == NTMM_STATUS_SUCCESS,
         "no page file");
    sim->page_files[index] = file.device;
}

static void begin_system(struct sim *sim)
{
    const struct ntmm_emulated_config machine = {
        .size = sizeof machine,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = sim->shape.ram_bytes,
        .cpu_count = SIM_CPUS + (sim->shape.is_crowded ? SIM_CROWD : 0),
        .seed = sim->seed,
        .flags = sim->shape.emulated_flags | NTMM_EMULATED_CHECK_LEVEL,
        .step_limit = SWITCHES_OF_ROUND,
    };
    const struct ntmm_config config = {
        .size = sizeof config,
        .version = NTMM_CONFIG_VERSION,
        .windows_build = sim->shape.is_old_build ? COMPARED_OLD_BUILD : 0,
        .read_cluster_pages = sim->shape.read_cluster,
        .write_cluster_pages = sim->shape.write_cluster,
        .extra_commit_pages = COMMIT_PAGES,
    };
    must(sim,
         ntmm_emulated_create(&machine, &sim->emu) == NTMM_STATUS_SUCCESS &&
             ntmm_emulated_create_system(sim->emu, &config, &sim->system) == NTMM_STATUS_SUCCESS,
         "no machine");
    for (uint32_t i = 0; i < sim->shape.page_file_count; i++)
        begin_page_file(sim, i);
}

/* --- rounds --- */

static void heal(struct sim *sim, uint64_t device)
{
    must(sim, ntmm_emulated_inject_disk(sim->emu, device, NULL) == NTMM_STATUS_SUCCESS,
         "a device is unknown");
}

void sim_boot(struct sim *sim)
{
    frames_note_machine(sim->seed);
    begin_system(sim);
    for (uint32_t i = 0; i < sim->shape.worker_count; i++)
        begin_worker(sim, i);
    owners_begin(sim);
}

static void mix(struct sim_result *result, uint64_t value)
{
    result->hash = (result->hash ^ value) * FNV_PRIME;
}

/* Statuses of the models are the workers' own, and equal to what was found. */
static void mix_statuses(struct sim *sim, const struct compared *world)
{
    for (unsigned i = 0; i < world->count; i++)
        mix(sim->result, world->outcomes[i].status);
}

/* Of the last machine: one whose power went is not asked. */
static void take_counters(struct sim *sim)
{
    uint64_t counters[NTMM_COUNTER_COUNT];
    ntmm_query_counters(sim->system, counters, NTMM_COUNTER_COUNT);
    sim->services[SERVICE_PROTOTYPE_TRIM] += counters[NTMM_COUNTER_PROTOTYPE_TABLES_TRIMMED];
    sim->services[SERVICE_PROTOTYPE_FREE] += counters[NTMM_COUNTER_PROTOTYPE_TABLES_FREED];
}

void sim_forget_worlds(struct sim *sim)
{
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(sim->emu, &statistics);
    mix(sim->result, statistics.schedule_hash);
    sim->steps_before += statistics.completions;
    sim->errors_before += statistics.injected_errors;
    owners_forget(sim);
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        struct compared *world = &sim->workers[i].world;
        sim->steps_before += world->count + world->again;
        sim->result->again += world->again;
        mix_statuses(sim, world);
        extra_forget(&sim->workers[i]);
        compared_abandon(world);
    }
}

static void stop_errors(struct sim *sim)
{
    sim->is_running = false;
    sim->system->failures = (struct allocation_failures){0};
    for (uint64_t device = 0; device < sim->emu->disk_count; device++)
        heal(sim, device);
}

static void check_system(struct sim *sim)
{
    struct ntmm_check_report report;
    size_t size = ntmm_check_scratch_size(sim->system);
    void *scratch = malloc(size);
    must(sim, scratch != NULL, "no memory");
    if (ntmm_check_with_storage(sim->system, scratch, size, ntmm_emulated_read_disk, sim->emu,
                                &report) != NTMM_STATUS_SUCCESS) {
        printf("# invariant %.8s: process 0x%" PRIX64 " object 0x%" PRIX64 " expected 0x%" PRIX64
               " found 0x%" PRIX64 "\n",
               report.invariant, report.process, report.object, report.expected, report.found);
        sim_fail(sim, "an invariant is broken");
    }
    free(scratch);
}

static void run_round(struct sim *sim)
{
    struct ntmm_emulated_statistics statistics;
    spawn_workers(sim);
    sharing_spawn(sim);
    crowd_spawn(sim);
    owners_spawn(sim);
    background_spawn(sim);
    power_spawn(sim);
    sim->is_running = true;
    ntmm_status status = ntmm_emulated_run(sim->emu);
    if (sim->is_cut) {
        power_come_back(sim);
        return;
    }
    stop_errors(sim);
    must(sim, status != NTMM_STATUS_CANT_WAIT, "a round does not end");
    must(sim, status == NTMM_STATUS_SUCCESS, "everybody waits for somebody");
    ntmm_emulated_query(sim->emu, &statistics);
    must(sim, statistics.violations == 0, "a call waited with a lock held");
    check_system(sim);
    for (uint32_t i = 0; i < sim->shape.worker_count; i++)
        compared_check_processes(&sim->workers[i].world);
    sharing_check(sim);
    crowd_check(sim);
    owners_check(sim);
}

static uint64_t steps_of(struct sim *sim)
{
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(sim->emu, &statistics);
    uint64_t steps = sim->steps_before + statistics.completions + sim->background_calls;
    steps += sharing_steps(sim) + crowd_steps(sim) + sim->owner_steps;
    for (uint32_t i = 0; i < sim->shape.worker_count; i++)
        steps += sim->workers[i].world.count + sim->workers[i].world.again;
    return steps;
}

static bool is_over(struct sim *sim)
{
    const uint32_t *records = sim->result->records;
    if (sim->keep == NULL)
        return steps_of(sim) >= sim->step_limit;
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        if (records[i] < sim->keep->limit)
            return false;
    }
    for (uint32_t i = 0; i < sim->shape.sharer_count; i++) {
        if (records[SIM_WORKERS + i] < sim->keep->limit)
            return false;
    }
    for (uint32_t i = 0; i < sim->shape.owner_count; i++) {
        if (records[SIM_WORKERS + SIM_SHARERS + i] < sim->keep->limit)
            return false;
    }
    return true;
}

static void take_result(struct sim *sim, struct sim_result *result)
{
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(sim->emu, &statistics);
    mix(result, statistics.schedule_hash);
    result->steps = steps_of(sim);
    result->again += sharing_again(sim) + sim->owner_again;
    take_counters(sim);
    for (uint32_t i = 0; i < SERVICE_COUNT; i++)
        result->services[i] = sim->services[i];
    result->errors = sim->errors_before + statistics.injected_errors;
    result->boots = sim->boots;
    for (uint32_t i = 0; i < TURN_COUNT; i++)
        result->turns += sim->turns[i];
    result->refused_charges = sim->refused_charges;
    for (uint32_t i = 0; i < POINT_COUNT; i++) {
        result->points[i] = sim->points[i];
        result->switches += sim->switches[i];
    }
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        const struct compared *world = &sim->workers[i].world;
        result->again += world->again;
        mix_statuses(sim, world);
    }
}

static void end(struct sim *sim)
{
    struct ntmm_teardown left;
    for (uint32_t i = 0; i < sim->shape.worker_count; i++) {
        extra_end(&sim->workers[i]);
        compared_leave(&sim->workers[i].world);
    }
    sharing_end(sim);
    crowd_end(sim);
    owners_end(sim);
    ntmm_emulated_destroy(sim->emu, &left);
    must(sim,
         left.lost_pages == 0 && left.outstanding_commit == 0 && left.live_objects == 0 &&
             left.waiters == 0 && left.transfers == 0,
         "something was left allocated at the end");
}

void sim_run(uint64_t seed, uint64_t steps, const struct keep *keep, struct sim_result *result)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        abort();
    *result = (struct sim_result){0};
    sim->seed = seed;
    sim->step_limit = steps;
    sim->keep = keep;
    sim->result = result;
    prng_seed(&sim->schedule, seed ^ 0x5343484544u);
    prng_seed(&sim->errors, seed ^ 0x4552524F52u);
    shape_draw(seed, &sim->shape);
    schedule_begin(sim);
    sim_boot(sim);
    sharing_begin(sim);
    crowd_begin(sim);
    for (uint64_t round = 1; !is_over(sim); round++) {
        run_round(sim);
        if (round % ROUNDS_OF_HASH == 0)
            mix(result, ntmm_emulated_hash(sim->emu));
        turns_take(sim);
    }
    mix(result, ntmm_emulated_hash(sim->emu));
    take_result(sim, result);
    end(sim);
    schedule_end();
    frames_flush();
    free(sim);
}
