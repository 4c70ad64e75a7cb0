/*
 * The event stream's only producer. Records go straight to the platform's sink: the core buffers
 * none.
 */
#include "base/instance.h"

void event_send(struct call *c, enum ntmm_event_kind kind, ntmm_handle process, uint64_t a,
                uint64_t b, uint32_t detail)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (!platform->event)
        return;
    struct ntmm_event record = {
        .time_100ns = platform->now ? platform->now(platform->context) : 0,
        .a = a,
        .b = b,
        .process = (uint32_t)process,
        .kind = (uint16_t)kind,
        .detail = (uint16_t)detail,
    };
    platform->event(platform->context, &record);
}
