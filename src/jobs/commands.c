#include "jobs/routes.h"

#include "base/json.h"
#include "jobs/jobs.h"
#include "net/listing.h"
#include "net/path.h"

#include <inttypes.h>

#include "base/banned.h"

#define TARGET_MAX 4096

static enum err set_target(struct ctx *cx, const struct buf *b, struct str *target) {
    if (b->failed)
        return fail(cx, ERR_USAGE, "The words of the command are too long.");
    *target = buf_str(b);
    return OK;
}

enum { LIST_STATE, LIST_QUEUE, LIST_OPTIONS };
static const struct option LISTED_OPTIONS[] = {
    [LIST_STATE] = {"state", "S", false,
                    "Only those waiting, ready, running, paused, done, cancelled or dead."},
    [LIST_QUEUE] = {"queue", "Q", false, "Only those of one queue."},
    [LIST_OPTIONS] = {NULL, NULL, false, NULL},
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    (void)body;
    buf_add(&b, S("/operator/jobs?"));
    query_put(&b, "filter[state]", line->option[LIST_STATE]);
    query_put(&b, "filter[queue]", line->option[LIST_QUEUE]);
    return set_target(cx, &b, target);
}

static void print_job(const struct job *job) {
    char id[36], due[32];
    struct str due_at = instant_format(job->due_at, due);
    uuid_format(job->id, id);
    printf("%.36s  %-8.*s %-10.*s %-24.*s %2" PRId64 "/%-2" PRId64 "  %.*s%s%.*s\n", id, STR_FMT(job->state),
           STR_FMT(job->queue), STR_FMT(job->name), job->attempts, job->attempts_max, STR_FMT(due_at),
           job->last_error.p ? "  " : "", (int)job->last_error.n, job->last_error.p ? job->last_error.p : "");
}

static void list_print(struct ctx *cx, struct str data) {
    struct list jobs;
    struct fault *faults;
    if (schema_decode_array(cx, &JOB, OUT, data, PAGE_SIZE_MAX, &jobs, &faults))
        return;
    if (!jobs.n)
        printf("No jobs.\n");
    for (size_t i = 0; i < jobs.n; i++)
        print_job((const struct job *)jobs.items + i);
}

static enum err id_request(struct ctx *cx, const struct command_line *line, const char *after,
                           struct str *target) {
    struct uuid id;
    if (!uuid_parse(line->words[0], &id))
        return fail(cx, ERR_USAGE, "%.*s is not the id of a job; see `entrepot jobs list`.",
                    STR_FMT(line->words[0]));
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    buf_printf(&b, "/operator/jobs/%.*s%s", STR_FMT(line->words[0]), after);
    return set_target(cx, &b, target);
}

static enum err retry_request(struct ctx *cx, const struct command_line *line, struct str *target,
                              struct str *body) {
    (void)body;
    return id_request(cx, line, "/retry", target);
}

static enum err cancel_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    (void)body;
    return id_request(cx, line, "/cancel", target);
}

static enum err drop_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)body;
    return id_request(cx, line, "", target);
}

static void retry_print(struct ctx *cx, struct str data) {
    (void)cx, (void)data;
    printf("It is ready to run.\n");
}

static void cancel_print(struct ctx *cx, struct str data) {
    struct job job;
    if (!schema_decode(cx, &JOB, OUT, REFUSE_UNKNOWN, data, &job, NULL))
        printf(str_eq(job.state, S("running")) ? "It runs, and is told to break off.\n" : "Cancelled.\n");
}

static void drop_print(struct ctx *cx, struct str data) {
    (void)cx, (void)data;
    printf("Dropped.\n");
}

enum { RUN_ARGS, RUN_ORG, RUN_OPTIONS };
static const struct option RUN_BY_HAND_OPTIONS[] = {
    [RUN_ARGS] = {"args", "JSON", false, "Its arguments, an object."},
    [RUN_ORG] = {"org", "NAME", false, "For which organisation, by name or slug; else for the oldest."},
    [RUN_OPTIONS] = {NULL, NULL, false, NULL},
};

static enum err run_request(struct ctx *cx, const struct command_line *line, struct str *target,
                            struct str *body) {
    struct buf b = buf_new(cx->mem, JOB_ARGS_MAX + TARGET_MAX);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("name"));
    json_put_string(&b, line->words[0]);
    if (line->option[RUN_ARGS].p) {
        json_put_key(&b, &first, S("args"));
        buf_add(&b, line->option[RUN_ARGS]);
    }
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[RUN_ORG]);
    buf_byte(&b, '}');
    *target = S("/operator/jobs/run");
    return set_target(cx, &b, body);
}

static void run_print(struct ctx *cx, struct str data) {
    (void)cx;
    (void)data;
    printf("Done.\n");
}

const struct command JOB_COMMANDS[] = {
    {.name = "jobs list",
     .options = LISTED_OPTIONS,
     .doc = "Shows jobs, by organisation and then the newest first.",
     .method = GET,
     .request = list_request,
     .print = list_print,
     .pages = true},
    {.name = "jobs retry",
     .words = "ID",
     .doc = "Runs a dead or waiting job at once.",
     .method = POST,
     .request = retry_request,
     .print = retry_print},
    {.name = "jobs cancel",
     .words = "ID",
     .doc = "Cancels a job; one that runs is told to break off.",
     .method = POST,
     .request = cancel_request,
     .print = cancel_print},
    {.name = "jobs drop",
     .words = "ID",
     .doc = "Drops a job that is not being run.",
     .method = DELETE,
     .request = drop_request,
     .print = drop_print},
    {.name = "jobs run",
     .words = "NAME",
     .options = RUN_BY_HAND_OPTIONS,
     .doc = "Runs one job at once in the foreground, without the queue.",
     .method = POST,
     .request = run_request,
     .print = run_print},
};
_Static_assert(sizeof JOB_COMMANDS / sizeof JOB_COMMANDS[0] == JOB_COMMANDS_N, "all commands are counted");
