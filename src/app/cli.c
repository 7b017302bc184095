#include "app/cli.h"

#include "app/modules.h"
#include "app/remote.h"
#include "base/json.h"
#include "net/listing.h"
#include "net/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

/* A command of either sort, as far as the command line is concerned. */
struct entry {
    const char *name, *words, *doc;
    const struct option *options;
    const struct command *command;
    const struct tool *tool;
};

typedef bool entry_fn(const struct entry *en, void *arg);

/* Calls fn for every command until it returns true. */
static bool each_entry(entry_fn *fn, void *arg) {
    for (size_t i = 0; i < TOOLS_N; i++) {
        const struct tool *t = &TOOLS[i];
        if (fn(&(struct entry){t->name, t->words, t->doc, t->options, NULL, t}, arg))
            return true;
    }
    for (size_t m = 0; m < MODULES_N; m++)
        for (size_t i = 0; i < MODULES[m]->n_commands; i++) {
            const struct command *c = &MODULES[m]->commands[i];
            if (fn(&(struct entry){c->name, c->words, c->doc, c->options, c, NULL}, arg))
                return true;
        }
    return false;
}

static bool widen(const struct entry *en, void *arg) {
    int *width = arg, n = (int)strlen(en->name);
    *width = n > *width ? n : *width;
    return false;
}

struct overview {
    struct buf text;
    int width;
};

static bool print_summary(const struct entry *en, void *arg) {
    struct overview *o = arg;
    buf_printf(&o->text, "  %-*s  %s\n", o->width, en->name, en->doc);
    return false;
}

static void print_overview(struct app *app, FILE *to) {
    struct overview o = {.text = buf_new(app->mem, 1 << 16)};
    struct buf *b = &o.text;
    buf_printf(b, "entrepot %s: inventory and order operations\n\nusage: entrepot COMMAND [ARGUMENTS]\n\n",
               ENTREPOT_VERSION);
    (void)each_entry(widen, &o.width);
    (void)each_entry(print_summary, &o);
    buf_add(b, S("\nEvery command takes --help, and --json where it prints data. Settings come from the "
                 "environment and"
                 "\n.env: see `entrepot config example`.\n"));
    fprintf(to, "%.*s", STR_FMT(buf_str(b)));
}

static const char *dashes(const struct option *o) { return o->name[1] ? "--" : "-"; }

static void print_help(const struct entry *en) {
    printf("usage: entrepot %s%s%s", en->name, en->words ? " " : "", en->words ? en->words : "");
    for (const struct option *o = en->options; o && o->name; o++)
        printf(o->required ? " %s%s%s%s" : " [%s%s%s%s]", dashes(o), o->name, o->value ? " " : "",
               o->value ? o->value : "");
    bool pages = en->command && en->command->pages;
    printf("%s%s\n\n%s\n", pages ? " [--page-size N] [--cursor C]" : "", en->command ? " [--json]" : "",
           en->doc);
    for (const struct option *o = en->options; o && o->name; o++)
        printf("  %s%s%s%s\n      %s\n", dashes(o), o->name, o->value ? " " : "", o->value ? o->value : "",
               o->doc);
    if (pages)
        printf("  --page-size N\n      One page of 1 to %d rows; all pages if not given.\n"
               "  --cursor C\n      The page that comes after; the page before names it.\n",
               PAGE_SIZE_MAX);
}

struct search {
    char **argv;
    int argc, taken;
    struct entry best;
};

/* The command whose words the arguments begin with; the longest name wins. */
static bool match(const struct entry *en, void *arg) {
    struct search *s = arg;
    struct str rest = str_of(en->name), word;
    int n = 0;
    while (rest.n > 0) {
        if (!str_cut(rest, ' ', &word, &rest)) {
            word = rest;
            rest.n = 0;
        }
        if (n >= s->argc || !str_eq(word, str_of(s->argv[n])))
            return false;
        n++;
    }
    if (n > s->taken) {
        s->taken = n;
        s->best = *en;
    }
    return false;
}

static enum err usage(struct app *app, const struct entry *en, const char *problem, struct str what) {
    return fail(&app->cx, ERR_USAGE, "%s %.*s; see `entrepot %s --help`.", problem, STR_FMT(what), en->name);
}

static enum err take_value(struct app *app, const struct entry *en, struct str arg, struct str value,
                           int argc, char **argv, int *i, struct str *out) {
    if (!value.p && ++*i < argc)
        value = str_of(argv[*i]);
    *out = value;
    return value.p ? OK : usage(app, en, "A value is missing after", arg);
}

static enum err take_option(struct app *app, const struct entry *en, int argc, char **argv, int *i,
                            struct command_line *line) {
    struct str arg = str_of(argv[*i]), name, value = {0};
    arg = name = str_sub(arg, str_starts(arg, S("--")) ? 2 : 1, SIZE_MAX);
    if (str_cut(arg, '=', &name, &value))
        arg = name;
    if (str_eq(name, S("json"))) {
        line->json = true;
        return OK;
    }
    for (size_t o = 0; en->options && en->options[o].name; o++) {
        if (!str_eq(name, str_of(en->options[o].name)))
            continue;
        if (!en->options[o].value) {
            line->option[o] = S("1");
            return value.p ? usage(app, en, "No value goes with", arg) : OK;
        }
        return take_value(app, en, arg, value, argc, argv, i, &line->option[o]);
    }
    if (en->command && en->command->pages && str_eq(name, S("cursor")))
        return take_value(app, en, arg, value, argc, argv, i, &line->cursor);
    if (en->command && en->command->pages && str_eq(name, S("page-size")))
        return take_value(app, en, arg, value, argc, argv, i, &line->page_size);
    return usage(app, en, "There is no option", str_of(argv[*i]));
}

/* -o, where the command has such an option. */
static bool is_letter(const struct entry *en, struct str arg) {
    for (const struct option *o = en->options; o && o->name; o++)
        if (!o->name[1] && arg.n == 2 && arg.p[0] == '-' && arg.p[1] == o->name[0])
            return true;
    return false;
}

static size_t words_wanted(const char *words, bool least) {
    size_t n = 0;
    if (words && !least && str_ends(str_of(words), S("…")))
        return SIZE_MAX;
    for (struct str rest = str_of(words), word; rest.n > 0;) {
        if (!str_cut(rest, ' ', &word, &rest)) {
            word = rest;
            rest.n = 0;
        }
        n += !(least && word.p[0] == '[');
    }
    return n;
}

static enum err parse(struct app *app, const struct entry *en, int argc, char **argv,
                      struct command_line *line) {
    line->words = NEW_N(app->mem, struct str, (size_t)argc + 4);
    if (!line->words)
        return fail(&app->cx, ERR_MEMORY, "Memory is out.");
    for (int i = 0; i < argc; i++) {
        struct str arg = str_of(argv[i]);
        if (str_starts(arg, S("--")) || is_letter(en, arg)) {
            enum err e = take_option(app, en, argc, argv, &i, line);
            if (e)
                return e;
        } else if (line->n_words == words_wanted(en->words, false)) {
            return usage(app, en, "One argument is too many:", arg);
        } else {
            line->words[line->n_words++] = arg;
        }
    }
    int64_t rows = 1;
    if (line->page_size.p && (!str_int(line->page_size, &rows) || rows < 1 || rows > PAGE_SIZE_MAX))
        return usage(app, en, "A page has from 1 to 500 rows, not", line->page_size);
    if (line->n_words < words_wanted(en->words, true))
        return usage(app, en, "Something is missing:", str_of(en->words));
    for (size_t o = 0; en->options && en->options[o].name; o++)
        if (en->options[o].required && !line->option[o].p)
            return usage(app, en, "An option is missing:", str_of(en->options[o].name));
    return OK;
}

/* {"data": …, "error": …} → the part asked for, as its text. */
static bool member(struct ctx *cx, struct str json, struct str name, struct str *out) {
    struct json_reader r;
    struct str key, value;
    bool first = true;
    json_begin(&r, cx->mem, json);
    if (!json_enter(&r, JSON_OBJECT))
        return false;
    while (json_next(&r, &key, &first)) {
        if (!json_skip(&r, &value))
            return false;
        if (str_eq(key, name)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static const struct field PROBLEM_FIELDS[] = {
    FIELD(struct problem, field, OUT, "Where."),
    FIELD(struct problem, problem, OUT, "What is wrong there."),
};
static const struct schema PROBLEM = SCHEMA(struct problem, "Problem", PROBLEM_FIELDS);

/* The error object of an answer as this process's own fault. */
static enum err take_fault(struct ctx *cx, int64_t status, struct str answer) {
    struct str error, code, message, details, text = {0};
    struct list problems = {0};
    struct fault *faults;
    struct json_reader r;
    enum err e = status == 404 ? ERR_NOT_FOUND : ERR_INVALID;
    if (!member(cx, answer, S("error"), &error) || !member(cx, error, S("message"), &message))
        return fail(cx, ERR_INTERNAL, "The server answered %d without saying why.", (int)status);
    if (member(cx, error, S("code"), &code))
        for (int i = 1; i < ERR_COUNT; i++)
            if (str_eq(str_sub(code, 1, code.n - 2), str_of(err_info((enum err)i)->code)))
                e = (enum err)i;
    json_begin(&r, cx->mem, message);
    (void)json_string(&r, &text);
    if (member(cx, error, S("details"), &details))
        (void)!schema_decode_array(cx, &PROBLEM, OUT, details, PROBLEMS_MAX, &problems, &faults);
    fault_clear(cx);
    e = fail(cx, e, "%.*s", STR_FMT(text));
    cx->fault.problems = problems.items;
    cx->fault.n = cx->fault.cap = problems.n;
    return e;
}

static enum err call(struct app *app, const struct command *c, struct str target, struct str body,
                     int64_t *status, struct str *answer) {
    struct ctx *cx = &app->cx;
    struct answer an = {0};
    bool there;
    enum err e = remote_call(cx, app->data, c->method, target, body, &there, status, answer);
    if (e || there)
        return e;
    if (!app->router &&
        ((e = app_open_db(app)) || (e = app_start(app, c->any_schema ? SCHEMA_UNSEEN : SCHEMA_CURRENT))))
        return e;
    if ((e = router_call(app->router, cx, c->method, target, body, &an)))
        return e;
    *status = an.status;
    *answer = buf_str(&an.body);
    return OK;
}

/* The target of the page that begins at this cursor. */
static struct str page_target(struct ctx *cx, const struct command_line *line, struct str target,
                              struct str cursor) {
    struct buf b = buf_new(cx->mem, 8192);
    buf_add(&b, target);
    query_put(&b, "page_size",
              line->page_size.p ? line->page_size : str_printf(cx->mem, "%d", PAGE_SIZE_MAX));
    query_put(&b, "cursor", cursor);
    return buf_str(&b);
}

/* No value after the last page. */
static struct str next_cursor(struct ctx *cx, struct str answer) {
    struct str page, text, cursor = {0};
    struct json_reader r;
    if (!member(cx, answer, S("page"), &page) || !member(cx, page, S("next_cursor"), &text))
        return cursor;
    json_begin(&r, cx->mem, text);
    if (json_peek(&r) == JSON_STRING)
        (void)json_string(&r, &cursor);
    return cursor;
}

/* What the server finds invalid is what was typed, unless the command is about rows that are stored. */
static enum err ask(struct app *app, const struct command *c, struct str target, struct str body,
                    struct str *answer) {
    int64_t status = 0;
    enum err e = call(app, c, target, body, &status, answer);
    if (!e && status >= 300)
        e = take_fault(&app->cx, status, *answer);
    if ((e == ERR_INVALID || e == ERR_MALFORMED) && !c->of_rows)
        e = app->cx.fault.code = ERR_USAGE;
    return e;
}

/* A list, page by page: all of it, or the one page that was asked for. */
static int run_pages(struct app *app, const struct command *c, const struct command_line *line,
                     struct str target) {
    struct ctx *cx = &app->cx;
    struct str cursor = line->cursor, answer, data = S("[]");
    bool first = true;
    do {
        if (ask(app, c, page_target(cx, line, target, cursor), S(""), &answer))
            return app_report(cx);
        (void)member(cx, answer, S("data"), &data);
        cursor = next_cursor(cx, answer);
        if (!line->json)
            c->print(cx, data);
        else /* one array of all pages */
            printf("%s%.*s", first ? "[" : ",", STR_FMT(str_sub(data, 1, data.n - 2)));
        first = false;
    } while (cursor.p && !line->page_size.p);
    if (line->json)
        puts("]");
    if (cursor.p)
        fprintf(stderr, "entrepot: there is more: --cursor %.*s\n", STR_FMT(cursor));
    return 0;
}

static int run_command(struct app *app, const struct command *c, const struct command_line *line) {
    struct ctx *cx = &app->cx;
    struct str target = S(""), body = S(""), answer, data = S("null");
    if (c->request(cx, line, &target, &body))
        return app_report(cx);
    if (c->pages)
        return run_pages(app, c, line, target);
    if (ask(app, c, target, body, &answer))
        return app_report(cx);
    (void)member(cx, answer, S("data"), &data);
    if (line->json)
        printf("%.*s\n", STR_FMT(data));
    else
        c->print(cx, data);
    return c->judge ? c->judge(cx, data) : 0;
}

static int run(struct app *app, int argc, char **argv) {
    struct search s = {.argv = argv + 1, .argc = argc - 1};
    struct command_line line = {0};
    (void)each_entry(match, &s);
    bool help = argc >= 2 && !strcmp(argv[1], "help");
    for (int i = 1; i < argc; i++)
        help = help || !strcmp(argv[i], "--help");
    if (argc < 2 || (help && s.taken == 0)) {
        print_overview(app, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    if (s.taken == 0) {
        (void)fail(&app->cx, ERR_USAGE, "There is no command %s; see `entrepot --help`.", argv[1]);
        return app_report(&app->cx);
    }
    if (help) {
        print_help(&s.best);
        return 0;
    }
    if (parse(app, &s.best, argc - 1 - s.taken, argv + 1 + s.taken, &line))
        return app_report(&app->cx);
    if (!(s.best.tool && s.best.tool->bare) && app_begin(app))
        return app_report(&app->cx);
    return s.best.tool ? s.best.tool->run(app, &line) : run_command(app, s.best.command, &line);
}

int cli_main(int argc, char **argv) {
    struct app app;
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        puts("entrepot " ENTREPOT_VERSION);
        return 0;
    }
    app_init(&app);
    int status = run(&app, argc, argv);
    app_end(&app);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fputs("entrepot: The output could not be written; is the disk full, or the reader gone?\n", stderr);
    return status ? status : 1;
}
