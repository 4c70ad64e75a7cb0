/*
 * Between the command line of `ntmm replay` and the replay.
 */
#ifndef NTMM_SHELL_COMMAND_REPLAY_H
#define NTMM_SHELL_COMMAND_REPLAY_H

#include "replay.h"

/* Replays, reports; an exit status. */
int replay_traces(const struct replay_options *options, char **names, uint32_t count);

/* Where text goes: standard output, or nowhere but standard error when the JSON takes that. */
FILE *replay_text_output(const struct replay_options *options);

#endif
