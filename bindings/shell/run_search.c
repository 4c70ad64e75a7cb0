/*
 * Where a DLL is. See run_image.h.
 */
#include "run_image.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Whether `name` goes before what was found so far. */
static bool is_better(const char *name, const char *found, const char *wanted)
{
    if (strcasecmp(name, wanted) != 0 || (found != NULL && strcmp(found, wanted) == 0))
        return false;
    return found == NULL || strcmp(name, wanted) == 0 || strcmp(name, found) < 0;
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

char *run_find_in(const char *folder, const char *name)
{
    char found[RUN_NAME_MAX] = "";
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return NULL;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (is_better(entry->d_name, found[0] != '\0' ? found : NULL, name))
            snprintf(found, sizeof found, "%s", entry->d_name);
    closedir(listing);
    return found[0] != '\0' ? join(folder, found) : NULL;
}

char *run_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}
