/* What can be asked about the schema, beside a running server and without one: `db current`, `db history`,
 * `db check`. */
#ifndef APP_SCHEMA_COMMANDS_H
#define APP_SCHEMA_COMMANDS_H

#include "net/command.h"

/* Prepares the statements of all modules. */
MUST_USE enum err schema_check_stmts(struct ctx *cx);

/* The tables of all modules that no migration makes. */
MUST_USE enum err schema_tables(struct ctx *cx, bool make);

extern const struct module SCHEMA_MODULE;

#endif
