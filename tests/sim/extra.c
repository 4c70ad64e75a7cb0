/*
 * Services that no record names, beside the models of a worker's world: write watch, secured
 * memory, probes, clones, jobs.
 *
 *   process --clone--> child, which waits in a seat; now and then it changes places with one of the
 *   world's processes, whose records it then gets. Before it is ended everything that was ever
 *   written in it is compared: what it had when it was made, and what it wrote since.
 */
#include "sim/sim.h"

#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/process.h>
#include <ntmm/secure.h>
#include <ntmm/virtual.h>
#include <ntmm/write_watch.h>

#include <inttypes.h>
#include <stdio.h>

#define TRIES 1000u
#define CLONE_TRIES 20u /* with few frames no clone is made, however often */
#define MOST_ADDRESSES 8u
#define LARGE_LIMIT_PAGES (UINT64_C(1) << 40)

bool extra_is_due(uint64_t draw) { return draw >> 60 == 0; }

/* --- comparing --- */

static bool is_again(struct worker *worker, uint32_t found, uint32_t expected, uint32_t *tries)
{
    if (found == expected || !compared_is_for_want(found) || ++*tries > TRIES)
        return false;
    worker->world.again++;
    return true;
}

static void expect(const struct worker *worker, const char *what, uint64_t expected, uint64_t found)
{
    if (expected == found)
        return;
    printf("# %s: expected 0x%" PRIX64 " found 0x%" PRIX64 "\n", what, expected, found);
    compared_must(&worker->world, false, "a service that no record names differs");
}

/* A status; a success is counted. */
static void settle(struct worker *worker, const char *what, uint32_t expected, uint32_t found,
                   enum service service)
{
    expect(worker, what, expected, found);
    worker->sim->services[service] += found == NTMM_STATUS_SUCCESS;
}

/* --- where --- */

struct place {
    enum who who;
    ntmm_handle process;
    struct model_process *model;
    uint64_t base;
    uint64_t size;
};

/* Some pages of a region; of a watched one if there is one and it is asked for. */
static struct place draw_place(struct worker *worker, uint64_t *state, bool is_watched)
{
    uint64_t draw = splitmix64(state);
    enum who who = (enum who)(draw & 1);
    struct model_process *model = &worker->world.models[who];
    struct place place = {who, worker->world.handles[who], model, (draw >> 40) * MODEL_PAGE_SIZE,
                          0};
    const struct model_region *region = NULL;
    for (size_t i = 0; i < model->region_count; i++) {
        const struct model_region *other = &model->regions[((draw >> 8) + i) % model->region_count];
        if (region == NULL || (is_watched && other->is_watched && !region->is_watched))
            region = other;
    }
    place.size = ((draw >> 16 & 3) + 1) * MODEL_PAGE_SIZE - (draw >> 18 & 1);
    if (region != NULL)
        place.base = region->base + (draw >> 24) %
                                        ((region->end - region->base) / MODEL_PAGE_SIZE) *
                                        MODEL_PAGE_SIZE;
    return place;
}

/* --- write watch --- */

static void allocate_watched(struct worker *worker, uint64_t *state)
{
    uint64_t draw = splitmix64(state);
    struct operation operation = {
        .verb = VERB_ALLOCATE,
        .who = (enum who)(draw & 1),
        .size = ((draw >> 8 & 15) + 1) * MODEL_PAGE_SIZE,
        .type = MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH,
        .protect = PAGE_READWRITE,
    };
    compared_run_operation(&worker->world, &operation);
}

static void get_watch(struct worker *worker, uint64_t *state)
{
    struct place place = draw_place(worker, state, true);
    uint64_t draw = splitmix64(state);
    uint64_t addresses[MOST_ADDRESSES] = {0}, expected[MOST_ADDRESSES] = {0};
    uint64_t count = 1 + (draw & (MOST_ADDRESSES - 1)), expected_count = count;
    uint32_t flags = draw >> 8 & 1, granularity, tries = 0, found;
    uint32_t status = model_get_write_watch(place.model, flags, place.base, place.size, expected,
                                            &expected_count);
    do {
        found = ntmm_get_write_watch(worker->world.system, place.process, flags, place.base,
                                     place.size, addresses, &count, &granularity);
    } while (is_again(worker, found, status, &tries));
    settle(worker, "get write watch", status, found, SERVICE_WATCH);
    expect(worker, "written pages", expected_count, count);
    for (uint32_t i = 0; i < MOST_ADDRESSES; i++)
        expect(worker, "a written page", expected[i], addresses[i]);
}

static void reset_watch(struct worker *worker, uint64_t *state)
{
    struct place place = draw_place(worker, state, true);
    uint32_t status = model_reset_write_watch(place.model, place.base, place.size), found;
    uint32_t tries = 0;
    do {
        found = ntmm_reset_write_watch(worker->world.system, place.process, place.base, place.size);
    } while (is_again(worker, found, status, &tries));
    settle(worker, "reset write watch", status, found, SERVICE_RESET_WATCH);
}

/* --- probes --- */

static void probe(struct worker *worker, uint64_t *state)
{
    struct place place = draw_place(worker, state, false);
    bool is_write = splitmix64(state) >> 63;
    uint32_t status =
        model_probe(place.model, place.base, place.size, is_write ? MODEL_WRITE : MODEL_READ);
    uint32_t tries = 0, found;
    do {
        found =
            ntmm_probe_virtual_memory(worker->world.system, place.process, place.base, place.size,
                                      is_write ? NTMM_PROBE_WRITE : NTMM_PROBE_READ);
    } while (is_again(worker, found, status, &tries));
    settle(worker, "probe", status, found, SERVICE_PROBE);
}

/* --- secured memory --- */

/* The model of a process that lives, or NULL. */
static struct model_process *model_of(struct worker *worker, ntmm_handle process)
{
    for (enum who who = 0; who < WHO_LIVING; who++) {
        if (worker->world.handles[who] == process)
            return &worker->world.models[who];
    }
    return worker->child.handle != 0 && worker->child.handle == process ? &worker->child.model
                                                                        : NULL;
}

static void unsecure(struct worker *worker, struct sim_secure *secure)
{
    struct model_process *model = secure->process ? model_of(worker, secure->process) : NULL;
    uint32_t tries = 0, status, found;
    if (model != NULL) {
        status = model_unsecure(model, secure->of_model);
        do {
            found =
                ntmm_unsecure_virtual_memory(worker->world.system, secure->process, secure->handle);
        } while (is_again(worker, found, status, &tries));
        settle(worker, "unsecure", status, found, SERVICE_UNSECURE);
    }
    *secure = (struct sim_secure){0};
}

static void unsecure_all(struct worker *worker)
{
    for (uint32_t i = 0; i < SIM_SECURES; i++)
        unsecure(worker, &worker->secures[i]);
}

static void secure(struct worker *worker, uint64_t *state)
{
    struct place place = draw_place(worker, state, false);
    uint64_t draw = splitmix64(state);
    struct sim_secure *to = &worker->secures[draw % SIM_SECURES];
    uint32_t mode = draw >> 8 & 1 ? PAGE_READWRITE : PAGE_READONLY, tries = 0, found;
    uint64_t handle = 0, of_model = 0;
    unsecure(worker, to);
    uint32_t status = model_secure(place.model, place.base, place.size, mode, &of_model);
    do {
        found = ntmm_secure_virtual_memory(worker->world.system, place.process, place.base,
                                           place.size, mode, &handle);
    } while (is_again(worker, found, status, &tries));
    settle(worker, "secure", status, found, SERVICE_SECURE);
    if (status == NTMM_STATUS_SUCCESS)
        *to = (struct sim_secure){place.process, handle, of_model};
}

/* --- jobs --- */

static bool is_member(const struct worker *worker, ntmm_handle process)
{
    for (uint32_t i = 0; i < SIM_MEMBERS; i++) {
        if (worker->members[i] == process)
            return true;
    }
    return false;
}

/* In the place of one that is over: there are as many places as processes that can live. */
static void add_member(struct worker *worker, ntmm_handle process)
{
    for (uint32_t i = 0; i < SIM_MEMBERS; i++) {
        if (worker->members[i] == 0 || model_of(worker, worker->members[i]) == NULL) {
            worker->members[i] = process;
            return;
        }
    }
}

static void make_job(struct worker *worker)
{
    const struct ntmm_job_limits limits = {
        .size = sizeof limits,
        .version = NTMM_JOB_LIMITS_VERSION,
        .flags = NTMM_JOB_LIMIT_PROCESS_MEMORY | NTMM_JOB_LIMIT_JOB_MEMORY,
        .process_memory_pages = LARGE_LIMIT_PAGES,
        .job_memory_pages = LARGE_LIMIT_PAGES,
    };
    uint32_t tries = 0, found;
    do {
        found = ntmm_create_job(worker->world.system, &worker->job);
    } while (is_again(worker, found, NTMM_STATUS_SUCCESS, &tries));
    expect(worker, "create a job", NTMM_STATUS_SUCCESS, found);
    expect(worker, "limits of a job", NTMM_STATUS_SUCCESS,
           ntmm_set_job_limits(worker->world.system, worker->job, &limits));
}

static void check_job(struct worker *worker)
{
    struct ntmm_job_information information;
    uint64_t count = 0, commit_pages = 0;
    for (uint32_t i = 0; i < SIM_MEMBERS; i++) {
        const struct model_process *model =
            worker->members[i] != 0 ? model_of(worker, worker->members[i]) : NULL;
        count += model != NULL;
        commit_pages += model != NULL ? model->commit_pages : 0;
    }
    expect(worker, "query a job", NTMM_STATUS_SUCCESS,
           ntmm_query_job(worker->world.system, worker->job, &information));
    expect(worker, "processes of a job", count, information.process_count);
    expect(worker, "commit of a job", commit_pages, information.commit_pages);
}

static void assign(struct worker *worker, uint64_t *state)
{
    ntmm_handle process = worker->world.handles[splitmix64(state) >> 63];
    bool is_in = is_member(worker, process);
    if (worker->job == 0)
        make_job(worker);
    expect(worker, "assign to a job", is_in ? NTMM_STATUS_ACCESS_DENIED : NTMM_STATUS_SUCCESS,
           ntmm_assign_process_to_job(worker->world.system, worker->job, process));
    if (!is_in)
        add_member(worker, process);
    worker->sim->services[SERVICE_JOB]++;
    check_job(worker);
}

/* --- clones --- */

static void end_child(struct worker *worker)
{
    if (worker->child.handle == 0)
        return;
    for (uint32_t i = 0; i < SIM_SECURES; i++) {
        if (worker->secures[i].process == worker->child.handle)
            unsecure(worker, &worker->secures[i]);
    }
    compared_end_seat(&worker->world, &worker->child);
    worker->child = (struct compared_seat){0};
}

static void change_places(struct worker *worker, enum who who)
{
    if (worker->child.handle != 0)
        compared_change_seats(&worker->world, who, &worker->child);
}

static void clone(struct worker *worker, uint64_t *state)
{
    enum who who = (enum who)(splitmix64(state) >> 63);
    struct compared *world = &worker->world;
    struct compared_seat child = {0};
    uint32_t tries = 0, found;
    end_child(worker);
    uint32_t status = model_process_clone(&world->models[who], &child.model);
    do {
        found = ntmm_clone_process(world->system, world->handles[who], NULL, &child.handle);
    } while (tries < CLONE_TRIES && is_again(worker, found, status, &tries));
    if (found != status && compared_is_for_want(found) && status == NTMM_STATUS_SUCCESS) {
        model_process_end(&child.model); /* no frames for it: nothing was changed */
        return;
    }
    settle(worker, "clone", status, found, SERVICE_CLONE);
    if (status != NTMM_STATUS_SUCCESS)
        return;
    worker->child = child;
    if (is_member(worker, world->handles[who]))
        add_member(worker, child.handle);
    change_places(worker, WHO_OTHER);
    compared_check_processes(world);
    change_places(worker, WHO_OTHER);
}

/* --- all of them --- */

void extra_run(struct worker *worker, uint64_t *state)
{
    uint64_t draw = splitmix64(state);
    switch (draw >> 32 & 15) {
    case 0:
    case 1:
        allocate_watched(worker, state);
        break;
    case 2:
    case 3:
        get_watch(worker, state);
        break;
    case 4:
        reset_watch(worker, state);
        break;
    case 5:
    case 6:
        probe(worker, state);
        break;
    case 7:
    case 8:
        secure(worker, state);
        break;
    case 9:
        unsecure(worker, &worker->secures[draw % SIM_SECURES]);
        break;
    case 10:
        assign(worker, state);
        break;
    case 11:
    case 12:
        clone(worker, state);
        break;
    case 13:
        end_child(worker);
        break;
    default:
        worker->sim->services[SERVICE_OF_CLONE] += worker->child.handle != 0;
        change_places(worker, (enum who)(draw & 1));
        break;
    }
}

void extra_end(struct worker *worker)
{
    unsecure_all(worker);
    end_child(worker);
    if (worker->job != 0)
        expect(worker, "close a job", NTMM_STATUS_SUCCESS,
               ntmm_close_job(worker->world.system, worker->job));
}

void extra_forget(struct worker *worker)
{
    if (worker->child.handle != 0)
        model_process_end(&worker->child.model);
    worker->child = (struct compared_seat){0};
    worker->job = 0;
    for (uint32_t i = 0; i < SIM_SECURES; i++)
        worker->secures[i] = (struct sim_secure){0};
    for (uint32_t i = 0; i < SIM_MEMBERS; i++)
        worker->members[i] = 0;
}
