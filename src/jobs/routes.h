/* Jobs over HTTP and on the command line: seeing them, retrying and dropping them, running one by hand. */
#ifndef JOBS_ROUTES_H
#define JOBS_ROUTES_H

#include "net/command.h"
#include "net/route.h"

enum { JOB_ROUTES_N = 12, JOB_COMMANDS_N = 5 };
extern const struct route JOB_ROUTES[JOB_ROUTES_N];
extern const struct command JOB_COMMANDS[JOB_COMMANDS_N];
extern const char *const JOB_STATES[]; /* NULL-terminated, for field.one_of */

#endif
