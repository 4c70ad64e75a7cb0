/*
 * What kind of system a seed is: swarm testing, each run with its own mixture.
 */
#include "sim/sim.h"

#include <inttypes.h>
#include <stdio.h>

/* One of the values, all alike. */
#define DRAW(prng, ...)                                                                            \
    draw_of(prng, (const uint32_t[]){__VA_ARGS__}, sizeof(uint32_t[]){__VA_ARGS__} / 4)

static uint32_t draw_of(struct prng *prng, const uint32_t *values, size_t count)
{
    return values[prng_below(prng, count)];
}

static bool wants_crowd;

void shape_want_crowd(void) { wants_crowd = true; }

/* Slow devices and processors that take turns often, so that who faults meets who waits. */
static void make_crowded(struct shape *shape)
{
    shape->is_crowded = true;
    shape->worker_count = 1;
    shape->sharer_count = shape->owner_count = 0;
    shape->cut_mask = shape->turn_mask = 0;
    shape->latency_pumps = 16;
    shape->switch_mask &= 7;
}

void shape_draw(uint64_t seed, struct shape *shape)
{
    struct prng prng;
    prng_seed(&prng, seed ^ 0x5348415045u);
    shape->worker_count = 1 + (uint32_t)prng_below(&prng, SIM_WORKERS);
    shape->sharer_count = DRAW(&prng, 0, 2, SIM_SHARERS);
    shape->page_file_count = 1 + (uint32_t)prng_below(&prng, SIM_PAGE_FILES);
    shape->latency_pumps = DRAW(&prng, 1, 4, 16);
    shape->read_cluster = DRAW(&prng, 1, 4, 8, 16);
    shape->write_cluster = DRAW(&prng, 1, 8, 64);
    shape->switch_mask = DRAW(&prng, 0, 1, 3, 7, 15, 31, 63);
    shape->error_period = DRAW(&prng, 0, 4, 20, 100);
    shape->refusal_mask = DRAW(&prng, 0, 0, 63, 255);
    shape->round_records = DRAW(&prng, 10, 40, 160);
    shape->emulated_flags = DRAW(&prng, 0, NTMM_EMULATED_PREEMPT);
    shape->is_old_build = prng_next(&prng) >> 62 == 0;
    for (uint32_t i = 0; i < SIM_WORKERS; i++) {
        uint64_t bits = prng_next(&prng) & ~(uint64_t)(HEADER_PAGED | HEADER_OLD_BUILD);
        shape->headers[i] = (uint8_t)(bits | (shape->is_old_build ? HEADER_OLD_BUILD : 0));
    }
    shape->valid_pages = DRAW(&prng, SIM_SHARED_PAGES, SIM_SHARED_PAGES / 3, 0);
    shape->cut_mask = DRAW(&prng, 0, 0, 3, 7);
    shape->turn_mask = DRAW(&prng, 0, 0, 3, 15);
    shape->owner_count = DRAW(&prng, 0, 1, 2, SIM_OWNERS);
    uint64_t pages = 96 + (uint64_t)shape->worker_count * DRAW(&prng, 96, 160, 1024);
    if (shape->owner_count != 0)
        pages += DRAW(&prng, 32, 1536); /* the latter hold a large page */
    shape->ram_bytes = pages * NTMM_PAGE_SIZE;
    shape->stride = DRAW(&prng, 1, 512); /* then each has a table of its own */
    if (wants_crowd)
        make_crowded(shape);
}

void shape_print(const struct shape *shape)
{
    printf("  RAM %" PRIu64
           " KiB, %u workers, %u sharers, %u owners, %u page files, latency up to %u\n"
           "  pumps, clusters of %u and %u pages, a switch at 1 of %u points, %s,\n"
           "  an error each %u yields, 1 of %u charges refused, %u records a round,\n"
           "  power cut in 1 of %u rounds, a snapshot after 1 of %u\n",
           shape->ram_bytes / 1024, shape->worker_count, shape->sharer_count, shape->owner_count,
           shape->page_file_count, shape->latency_pumps, shape->read_cluster, shape->write_cluster,
           shape->switch_mask + 1,
           shape->emulated_flags & NTMM_EMULATED_PREEMPT ? "preempted" : "not preempted",
           shape->error_period, shape->refusal_mask != 0 ? shape->refusal_mask + 1 : 0,
           shape->round_records, shape->cut_mask != 0 ? shape->cut_mask + 1 : 0,
           shape->turn_mask != 0 ? shape->turn_mask + 1 : 0);
}
