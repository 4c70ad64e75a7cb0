/*
 * What an image keeps beside its pages.
 */
#include "section/area.h"

void image_describe(const struct call *c, const struct control_area *area, void *buffer)
{
    (void)c, (void)area;
    __builtin_memset(buffer, 0, IMAGE_INFORMATION_BYTES);
}

void image_free(struct call *c, struct control_area *area)
{
    (void)c;
    NTMM_ASSERT(get64(&area->image) == 0);
    (void)area;
}
