/*
 * A DLL full of pointers at odd places, so that fixups straddle pages: test_images.py builds it,
 * as PE32+ and as PE32, and relocates it. Its entries have 11 and 7 bytes.
 */
struct __attribute__((packed)) entry {
    char tag[3];
    void *pointer;
};

static int targets[4];

#define ONE {"ab", &targets[1]}
#define EIGHT ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE
#define SIXTY_FOUR EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT
#define MANY SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR

struct entry table[] = {MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY};

__declspec(dllexport) int count_entries(void)
{
    return targets[0] + (int)(sizeof(table) / sizeof(table[0]));
}
