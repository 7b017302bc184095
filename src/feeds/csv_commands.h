/* `entrepot csv count` and `entrepot csv merge`: the CSV engine by hand, on files of this machine, without a
 * server or a database. */
#ifndef FEEDS_CSV_COMMANDS_H
#define FEEDS_CSV_COMMANDS_H

#include "base/ctx.h"
#include "net/command.h"

extern const struct option CSV_MERGE_OPTIONS[];

/* The exit status: 0 all well, 1 some file failed, 2 nothing could be done. */
int csv_count_command(struct ctx *cx, const struct command_line *line);
int csv_merge_command(struct ctx *cx, const struct command_line *line);

#endif
