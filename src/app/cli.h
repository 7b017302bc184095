/* The command line. A module's command is a route plus a printer and goes to the running server where there
 * is one; a tool is a command of the process itself (serve, db upgrade, config). Both are rows, and help is
 * printed from them. */
#ifndef APP_CLI_H
#define APP_CLI_H

#include "app/app.h"
#include "net/command.h"

struct tool {
    const char *name, *words;
    const struct option *options;
    const char *doc;
    int (*run)(struct app *app, const struct command_line *line);
    bool bare; /* runs without settings */
};
extern const struct tool TOOLS[];
extern const size_t TOOLS_N;

int cli_main(int argc, char **argv);

int tool_serve(struct app *app, const struct command_line *line);
int tool_worker(struct app *app, const struct command_line *line);
int tool_schedule(struct app *app, const struct command_line *line);

#endif
