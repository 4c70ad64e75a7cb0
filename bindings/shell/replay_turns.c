/*
 * Whose turn it is: slices of references, in an order that depends on the seed alone.
 *
 * Without --cpus one processor runs one program after the other. With it each processor is a
 * coroutine of the machine, which picks a program that no other processor has (Y4), runs a slice of
 * it and picks again. A coroutine loses the host where a fault waits for a page or a frame, and
 * anywhere in the memory manager where another processor could be faster (NTMM_EMULATED_PREEMPT);
 * so the others meet pages in every state.
 *
 *   processor 0   [cc1 ....][perl ..| fault: waits for a read |....][cc1 ...
 *   processor 1        [perl ...][sqlite3 ....| waits |..][cc1 ....][perl ...
 *                                      ^ every TICK_SLICES slices: ntmm_balance_set_manager
 *
 * What a coroutine keeps in struct replay it changes between two places where it may lose the host;
 * whoever reads one of these fields after such a place reads it anew.
 */
#include "replay.h"

/* A slice has 1 to twice this many records, less one: the seed says. */
#define SLICE_RECORDS 16384u
/* Slices that stand for the second between two ticks of the balance set manager. */
#define TICK_SLICES 8u

/* What the processors share during a run. */
struct turns {
    struct replay *replay;
    struct replay_progress progress;
    struct shell_error *error; /* of whoever failed first */
    int status;
};

/* One processor's coroutine. */
struct processor {
    struct turns *turns;
    uint32_t index;
};

static uint64_t next_random(struct replay *replay)
{
    uint64_t z = replay->random += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* Reads references when the batch is used up. */
static bool fill_batch(struct replay_program *program, struct shell_error *error)
{
    if (program->batch_next != program->batch_count)
        return true;
    ptrdiff_t got = trace_read(program->trace, program->batch, REPLAY_BATCH, error);
    if (got < 0)
        return false;
    program->batch_next = 0;
    program->batch_count = (size_t)got;
    program->is_finished = got == 0;
    if (!program->has_regions)
        for (ptrdiff_t i = 0; i < got; i++)
            program->kind_count[program->batch[i].kind]++;
    return true;
}

static int run_records(struct replay *replay, struct replay_program *program, size_t count,
                       struct shell_error *error)
{
    const struct trace_reference *next = &program->batch[program->batch_next];
    size_t allowed = replay_until_corruption(replay, next, count);
    if (allowed == 0) {
        replay_corrupt(replay, program, next);
        allowed = 1;
    }
    int status = replay->options.is_verified
                     ? replay_run_verified(replay, program, next, allowed, error)
                     : replay_run_plain(replay, program, next, allowed, error);
    uint64_t references = allowed;
    for (size_t i = 0; i < allowed; i++)
        references += next[i].folded;
    program->batch_next += allowed;
    program->record_count += allowed;
    program->reference_count += references;
    replay->reference_count += references;
    return status;
}

/* A slice on the processor that the program is attached to. */
static int run_slice(struct replay *replay, struct replay_program *program, size_t records,
                     struct shell_error *error)
{
    int status = SHELL_OK;
    ntmm_cpu_enter(program->cpu);
    while (records != 0 && status == SHELL_OK && !program->is_finished) {
        if (!fill_batch(program, error)) {
            status = SHELL_USAGE;
            break;
        }
        size_t before = program->batch_next;
        size_t count = program->batch_count - before;
        if (count > records)
            count = records;
        if (count != 0)
            status = run_records(replay, program, count, error);
        records -= program->batch_next - before;
    }
    ntmm_cpu_leave(program->cpu);
    return status;
}

/* The n-th program that is not finished and that nobody runs; NULL: there are not so many. */
static struct replay_program *pick(struct replay *replay, uint64_t n)
{
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        if (!program->is_finished && !program->is_running && n-- == 0)
            return program;
    }
    return NULL;
}

static uint64_t count_idle(const struct replay *replay)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < replay->program_count; i++)
        count += !replay->programs[i].is_finished && !replay->programs[i].is_running;
    return count;
}

/* What happens between two slices: time passes. */
static void tick(struct replay *replay)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(replay->emu);
    replay->slice_count++;
    replay_chart_sample(replay);
    if (replay->options.page_file_count == 0)
        return;
    if (replay->slice_count % TICK_SLICES == 0)
        ntmm_balance_set_manager(replay->system);
    platform->pump(platform->context);
}

/* A slice of a program on a processor, and what follows it. */
static int take_turn(struct turns *turns, struct replay_program *program, uint32_t cpu_index,
                     struct shell_error *error)
{
    struct replay *replay = turns->replay;
    size_t records = 1 + (size_t)(next_random(replay) % (2 * SLICE_RECORDS - 1));
    struct shell_status_name name;
    program->is_running = true;
    program->cpu_index = cpu_index;
    program->cpu = ntmm_emulated_cpu(replay->emu, cpu_index);
    ntmm_status attached = ntmm_emulated_attach(replay->emu, cpu_index, program->process);
    if (!NTMM_SUCCEEDED(attached)) {
        shell_set_error(error, "ntmm: cannot attach: %s", shell_status_name(attached, &name));
        return SHELL_WRONG;
    }
    int status = run_slice(replay, program, records, error);
    if (status != SHELL_OK)
        return status; /* the program stays taken: nobody goes on with it behind the error */
    program->is_running = false;
    replay->alive_count -= program->is_finished;
    tick(replay);
    replay_progress_draw(&turns->progress, replay);
    return SHELL_OK;
}

static void run_processor(void *context)
{
    const struct processor *processor = context;
    struct turns *turns = processor->turns;
    struct replay *replay = turns->replay;
    while (replay->alive_count != 0 && turns->status == SHELL_OK) {
        struct shell_error error = {""};
        uint64_t idle = count_idle(replay);
        int status = SHELL_OK;
        if (idle != 0) {
            struct replay_program *program = pick(replay, next_random(replay) % idle);
            status = take_turn(turns, program, processor->index, &error);
        }
        if (status != SHELL_OK && turns->status == SHELL_OK) {
            turns->status = status;
            *turns->error = error;
        }
        ntmm_emulated_yield(replay->emu);
    }
}

/* One processor, no coroutines. */
static void run_alone(struct turns *turns)
{
    struct replay *replay = turns->replay;
    while (replay->alive_count != 0 && turns->status == SHELL_OK) {
        struct replay_program *program = pick(replay, next_random(replay) % replay->alive_count);
        turns->status = take_turn(turns, program, 0, turns->error);
    }
}

/* What the scheduler has to say when all are done. */
static int judge_schedule(struct replay *replay, ntmm_status status, struct shell_error *error)
{
    struct ntmm_emulated_statistics statistics;
    struct shell_status_name name;
    ntmm_emulated_query(replay->emu, &statistics);
    if (statistics.violations != 0) {
        shell_set_error(error, "ntmm: %llu waits or transfers were begun with a lock held",
                        (unsigned long long)statistics.violations);
        return SHELL_WRONG;
    }
    if (NTMM_SUCCEEDED(status) && status != NTMM_STATUS_TIMEOUT)
        return SHELL_OK;
    shell_set_error(error, "ntmm: the processors stopped: %s", shell_status_name(status, &name));
    return SHELL_WRONG;
}

static void run_together(struct turns *turns)
{
    struct replay *replay = turns->replay;
    struct processor processors[REPLAY_CPUS_MAX];
    struct shell_status_name name;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t i = 0; i < replay->options.cpu_count && NTMM_SUCCEEDED(status); i++) {
        processors[i] = (struct processor){turns, i};
        status = ntmm_emulated_spawn(replay->emu, i, run_processor, &processors[i], 0);
    }
    if (!NTMM_SUCCEEDED(status)) {
        shell_set_error(turns->error, "ntmm: no coroutine for a processor: %s",
                        shell_status_name(status, &name));
        turns->status = SHELL_USAGE;
        return;
    }
    status = ntmm_emulated_run(replay->emu);
    if (turns->status == SHELL_OK)
        turns->status = judge_schedule(replay, status, turns->error);
}

int replay_run_turns(struct replay *replay, struct shell_error *error)
{
    struct turns turns = {.replay = replay, .error = error, .status = SHELL_OK};
    uint64_t processor_ns = replay_processor_ns();
    replay->random = replay->options.seed;
    replay->alive_count = replay->program_count;
    replay_chart_begin(replay);
    replay_progress_begin(&turns.progress);
    if (replay->options.cpu_count != 0)
        run_together(&turns);
    else
        run_alone(&turns);
    replay->elapsed_ns = replay_now_ns() - turns.progress.begun_ns;
    replay->processor_ns = replay_processor_ns() - processor_ns;
    replay_progress_end(&turns.progress);
    if (turns.status == SHELL_OK && replay->options.corrupt_reference != UINT64_MAX &&
        !replay->is_corrupted) {
        shell_set_error(error, "ntmm: --corrupt-reference: nothing in RAM is read after it");
        return SHELL_USAGE;
    }
    return turns.status;
}
