/* Commands: a command is a route plus a printer. Beside a running server it calls the route through the
 * socket in the data folder, else in its own process; what it prints is the same. */
#ifndef NET_COMMAND_H
#define NET_COMMAND_H

#include "net/route.h"

struct option {
    const char *name;  /* "org"; of one letter: "o", given as -o; NULL ends */
    const char *value; /* what stands for its value in the usage; NULL: a flag */
    bool required;
    const char *doc;
};

#define OPTIONS_MAX 8
struct command_line {
    struct str *words; /* positional arguments; those not given have no value */
    size_t n_words;
    struct str
        option[OPTIONS_MAX];      /* in the order of command->options; no value when not given; flags: "1" */
    struct str cursor, page_size; /* of a command that shows pages */
    bool json;
};

struct command {
    const char *name;  /* "ledger verify" */
    const char *words; /* usage of positional arguments: "EMAIL"; NULL: none; in […] when they may be left
                          out; with … behind the last one, as many of it as one likes */
    const struct option *options;
    const char *doc;
    enum method method;
    /* Makes target and body of the route call. */
    enum err (*request)(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body);
    /* Prints the answer's data for people to standard output; with --json it is printed as it is instead. */
    void (*print)(struct ctx *cx, struct str data);
    /* Optional: the exit status of a good answer that is bad news (a ledger that does not verify); else it is
     * 0. */
    int (*judge)(struct ctx *cx, struct str data);
    /* Its answer is a page of a list, and its target ends with ? or &. Without --page-size, all pages are
     * shown. */
    bool pages;
    bool of_rows;    /* a 422 is about stored rows or a file's (exit status 1), not the words (2) */
    bool any_schema; /* runs on a schema of any version, for commands about the schema */
};

#endif
