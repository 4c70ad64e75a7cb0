/*
 * Random choices of the system: where processes and images begin. The platform gives bytes; as a
 * number they are little-endian, as everything is that stands in frames: a host of the other order
 * chooses alike. Without entropy the configuration's seed alone decides.
 */
#include "base/prng.h"
#include "phys/anchor.h"

uint64_t system_random(const struct call *c, uint64_t salt)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t state = get64(&anchor_of(c)->seed) ^ salt;
    le64 word;
    set64(&word, splitmix64(&state));
    if (platform->entropy)
        platform->entropy(platform->context, &word, sizeof word);
    return get64(&word);
}
