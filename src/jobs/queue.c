/* Queues: how full they are, pausing and resuming them, and the operator's limit on how many of their jobs
 * run at a time. Each organisation pauses for its own jobs; the operator for all. */
#include "base/json.h"
#include "identity/audit.h"
#include "identity/identity.h"
#include "jobs/routes.h"
#include "jobs/statements.h"
#include "jobs/work.h"
#include "net/listing.h"
#include "net/path.h"

#include <inttypes.h>

#include "base/banned.h"

#define COUNT_MAX 100000 /* as in the statement */
#define QUEUES_MAX 500

struct queue {
    struct str name, state;
    bool held_by_operator;
    struct optional_int concurrency;
    int64_t ready, waiting, retrying, running, set_aside, dead;
    struct instant oldest_ready;
};
static const char *const STATES[] = {"open", "paused", "resuming", NULL};
static const struct field FIELDS[] = {
    FIELD(struct queue, name, OUT | ROW | REQUIRED, "The queue."),
    FIELD(struct queue, state, OUT | REQUIRED,
          "open, paused, or resuming while what was set aside is let go.", .one_of = STATES),
    FIELD(struct queue, held_by_operator, OUT | REQUIRED, "Whether the operator has paused it for all."),
    FIELD(struct queue, concurrency, OUT, "How many of its jobs run at a time at most, in all processes."),
    FIELD(struct queue, ready, OUT | ROW | REQUIRED, "Jobs that are due. Counts go to 100000 jobs in all."),
    FIELD(struct queue, waiting, OUT | ROW | REQUIRED, "Jobs that are due later."),
    FIELD(struct queue, retrying, OUT | ROW | REQUIRED, "Of those, the ones whose last attempt failed."),
    FIELD(struct queue, running, OUT | ROW | REQUIRED, "Jobs that are being run."),
    FIELD(struct queue, set_aside, OUT | ROW | REQUIRED, "Jobs that wait for the queue to be resumed."),
    FIELD(struct queue, dead, OUT | ROW | REQUIRED, "Dead letters."),
    FIELD(struct queue, oldest_ready, OUT | ROW, "Since when the longest-waiting of the due jobs is due."),
};
static const struct schema QUEUE = SCHEMA(struct queue, "Queue", FIELDS);

/* What was said about a queue, without its counts. */
struct queue_rule {
    struct str name, state;
    bool held_by_operator;
    struct optional_int concurrency;
};
static const struct field QUEUE_RULE_FIELDS[] = {
    FIELD(struct queue_rule, name, OUT | REQUIRED, "The queue."),
    FIELD(struct queue_rule, state, OUT | REQUIRED,
          "open, paused, or resuming while what was set aside is let go.", .one_of = STATES),
    FIELD(struct queue_rule, held_by_operator, OUT | REQUIRED, "Whether the operator has paused it for all."),
    FIELD(struct queue_rule, concurrency, OUT | PATCH,
          "How many of its jobs run at a time at most, in all processes; null for any number.", .min = 1,
          .max = 10000),
};
static const struct schema QUEUE_RULE = SCHEMA(struct queue_rule, "QueueRule", QUEUE_RULE_FIELDS);

#define COUNT(condition, name) " count(CASE WHEN " condition " THEN 1 END) AS " name ","
#define COUNTS                                                                                              \
    "SELECT queue AS name," COUNT("state = 'ready'", "ready") COUNT("state = 'waiting'", "waiting")         \
        COUNT("state = 'waiting' AND attempts > 0", "retrying") COUNT("state = 'running'", "running")       \
            COUNT("state = 'paused'", "set_aside") COUNT(                                                   \
                "state = 'dead'", "dead") " min(CASE WHEN state = 'ready' THEN due_at END) AS oldest_ready" \
                                          " FROM (SELECT queue, state, attempts, due_at FROM job"
#define COUNTED " LIMIT 100000) AS counted GROUP BY queue"

enum { COUNT_OWN, COUNT_ALL, PAUSE, RESUME, LIMIT };
static const struct stmt SQL[] = {
    [COUNT_OWN] = {"queue_counts", TENANT, COUNTS " WHERE org_id = $org" COUNTED, NULL, &QUEUE},
    [COUNT_ALL] = {"queue_counts_all", SYSTEM, COUNTS COUNTED, NULL, &QUEUE},
    [PAUSE] = {"queue_pause", TENANT,
               "INSERT INTO job_queue (org_id, name, state, changed_at, changed_by)"
               " VALUES ($org, $1, 'paused', $2, $3) ON CONFLICT (org_id, name)"
               " DO UPDATE SET state = 'paused', changed_at = $2, changed_by = $3",
               NULL, NULL},
    [RESUME] = {"queue_resume", TENANT,
                "UPDATE job_queue SET state = 'resuming', changed_at = $2, changed_by = $3"
                " WHERE org_id = $org AND name = $1 AND state = 'paused'",
                NULL, NULL},
    [LIMIT] = {"queue_limit", TENANT,
               "INSERT INTO job_queue (org_id, name, state, concurrency, changed_at, changed_by)"
               " VALUES ($org, $1, 'open', $4, $2, $3) ON CONFLICT (org_id, name)"
               " DO UPDATE SET concurrency = $4, changed_at = $2, changed_by = $3",
               NULL, NULL},
};

static const struct listing_sort SORTS[] = {{"name", &SQL[COUNT_OWN], "name", NULL}};
static const struct listing LISTING = {.row = &QUEUE, .sorts = SORTS, .n_sorts = 1};

struct queues {
    struct queue *v;
    size_t n;
};

/* The queue of the name, added if it is not there; NULL when there are too many. */
static struct queue *queue_of(struct queues *all, struct str name) {
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->v[i].name, name))
            return &all->v[i];
    if (all->n == QUEUES_MAX)
        return NULL;
    all->v[all->n] = (struct queue){.name = name, .state = S("open")};
    return &all->v[all->n++];
}

static int by_name(const void *a, const void *b) {
    return str_cmp(((const struct queue *)a)->name, ((const struct queue *)b)->name);
}

static bool add_counts(struct queues *all, struct list counts) {
    const struct queue *rows = counts.items;
    for (size_t i = 0; i < counts.n; i++) {
        struct queue *q = queue_of(all, rows[i].name);
        if (!q)
            return false;
        struct queue with = rows[i];
        with.state = q->state;
        *q = with;
    }
    return true;
}

/* What holds for the organisation: its own rule, and the operator's. */
static bool add_rules(struct queues *all, struct list rules, struct uuid org) {
    const struct job_rule *rows = rules.items;
    for (size_t i = 0; i < rules.n; i++) {
        bool operators = uuid_is_nil(rows[i].org_id);
        if (!operators && !uuid_eq(rows[i].org_id, org))
            continue;
        struct queue *q = queue_of(all, rows[i].name);
        if (!q)
            return false;
        if (operators) {
            q->held_by_operator = str_eq(rows[i].state, S("paused"));
            q->concurrency = rows[i].concurrency;
        } else {
            q->state = rows[i].state;
        }
    }
    return true;
}

static enum err list(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct modules *m = cx->modules;
    struct queues all = {.v = NEW_N(cx->mem, struct queue, QUEUES_MAX)};
    struct list counts, rules;
    bool operators = cx->actor.role == ROLE_OPERATOR;
    if (!all.v)
        return fail(cx, ERR_MEMORY, "There is no memory for the queues.");
    enum err e = listing_check(cx, rq);
    if (e)
        return e;
    (void)queue_of(&all, S(JOB_QUEUE_DEFAULT));
    bool fits = true;
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->list[i]->n_jobs; k++)
            fits &= queue_of(&all, job_type_queue(&m->list[i]->jobs[k])) != NULL;
    if ((e = db_list(cx, &SQL[operators ? COUNT_ALL : COUNT_OWN], ARGS(), &counts)) ||
        (e = JOB_DRIVER_DB.rules(cx, &rules)))
        return e;
    if (!fits || !add_counts(&all, counts) || !add_rules(&all, rules, cx->actor.org))
        return fail(cx, ERR_INTERNAL, "There are more than %d queues.", QUEUES_MAX);
    qsort(all.v, all.n, sizeof *all.v, by_name);
    return answer_list(cx, an, &QUEUE, (struct list){all.v, all.n}, 1, QUEUES_MAX, (struct str){0});
}

/* Queues are those of the types of jobs. */
static enum err require(struct ctx *cx, struct str name) {
    const struct modules *m = cx->modules;
    bool known = str_eq(name, S(JOB_QUEUE_DEFAULT));
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->list[i]->n_jobs; k++)
            known |= str_eq(job_type_queue(&m->list[i]->jobs[k]), name);
    return known ? OK : fail(cx, ERR_NOT_FOUND, "There is no such queue.");
}

static enum err answer_queue(struct ctx *cx, struct answer *an, struct str name) {
    struct queues all = {.v = NEW_N(cx->mem, struct queue, QUEUES_MAX)};
    struct list rules;
    enum err e = JOB_DRIVER_DB.rules(cx, &rules);
    if (e)
        return e;
    struct queue *q = all.v ? queue_of(&all, name) : NULL;
    if (!q || !add_rules(&all, rules, cx->actor.org))
        return fail(cx, ERR_MEMORY, "There is no memory for the queues.");
    const struct queue_rule out = {q->name, q->state, q->held_by_operator, q->concurrency};
    return answer_object(cx, an, 200, &QUEUE_RULE, &out);
}

static enum err set(struct ctx *cx, const struct request *rq, struct answer *an, int st, struct str action) {
    struct str name = rq->param[0];
    enum err e = require(cx, name);
    if (e || (e = db_exec(cx, &SQL[st], ARGS(A(name), A(cx->now), A(cx->actor.name)), NULL)))
        return e;
    cx->after |= AFTER_WAKE_JOBS;
    if (!uuid_is_nil(cx->actor.org) &&
        (e = audit_write(cx, action, name, (struct json){0}, (struct json){0})))
        return e;
    return answer_queue(cx, an, name);
}

static enum err pause(struct ctx *cx, struct request *rq, struct answer *an) {
    return set(cx, rq, an, PAUSE, S("queue.pause"));
}
static enum err resume(struct ctx *cx, struct request *rq, struct answer *an) {
    return set(cx, rq, an, RESUME, S("queue.resume"));
}

/* For which organisation the operator speaks; for all if he names none. */
struct for_whom {
    struct str organisation;
};
static const struct field FOR_WHOM_FIELDS[] = {
    FIELD(struct for_whom, organisation, CREATE, "By slug or name; all if not given.", .min = 1, .max = 200),
};
static const struct schema FOR_WHOM = SCHEMA(struct for_whom, "QueueOf", FOR_WHOM_FIELDS);

static enum err act_for(struct ctx *cx, const struct request *rq) {
    const struct for_whom *in = rq->in;
    struct organisation org = {0};
    enum err e = in->organisation.p ? organisation_find(cx, in->organisation, &org) : OK;
    if (!e)
        cx->actor.org = org.id;
    return e;
}

static enum err operator_pause(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for(cx, rq);
    return e ? e : pause(cx, rq, an);
}
static enum err operator_resume(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for(cx, rq);
    return e ? e : resume(cx, rq, an);
}

static enum err operator_limit(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct queue_rule *in = rq->in;
    struct str name = rq->param[0];
    cx->actor.org = (struct uuid){0};
    enum err e = require(cx, name);
    if (e || (e = db_exec(cx, &SQL[LIMIT], ARGS(A(name), A(cx->now), A(cx->actor.name), A(in->concurrency)),
                          NULL)))
        return e;
    cx->after |= AFTER_WAKE_JOBS;
    return answer_queue(cx, an, name);
}

static const enum err NOT_THERE[] = {ERR_NOT_FOUND, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/queues", READ, AREA_JOBS, NEED_READ, list,
          "The queues, with how many jobs of the organisation are where.", .flags = ROUTE_LIST, .out = &QUEUE,
          .listing = &LISTING),
    ROUTE(POST, "/api/v1/queues/{name}/pause", WRITE, AREA_JOBS, NEED_WRITE, pause,
          "Begins no more jobs of the organisation in a queue; what runs ends.", .out = &QUEUE_RULE,
          .errors = NOT_THERE),
    ROUTE(POST, "/api/v1/queues/{name}/resume", WRITE, AREA_JOBS, NEED_WRITE, resume, "Lets a queue go on.",
          .out = &QUEUE_RULE, .errors = NOT_THERE),
    ROUTE(GET, "/operator/queues", READ, AREA_OPERATOR, NEED_READ, list,
          "The queues, with how many jobs of all organisations are where.", .flags = ROUTE_LIST,
          .out = &QUEUE, .listing = &LISTING),
    ROUTE(POST, "/operator/queues/{name}/pause", WRITE, AREA_OPERATOR, NEED_WRITE, operator_pause,
          "Begins no more jobs in a queue, of one organisation or of all.", .in = &FOR_WHOM, .in_use = CREATE,
          .out = &QUEUE_RULE, .errors = NOT_THERE),
    ROUTE(POST, "/operator/queues/{name}/resume", WRITE, AREA_OPERATOR, NEED_WRITE, operator_resume,
          "Lets a queue go on, for one organisation or for all.", .in = &FOR_WHOM, .in_use = CREATE,
          .out = &QUEUE_RULE, .errors = NOT_THERE),
    ROUTE(PATCH_, "/operator/queues/{name}", WRITE, AREA_OPERATOR, NEED_WRITE, operator_limit,
          "Says how many jobs of a queue run at a time at most, in all processes together.",
          .in = &QUEUE_RULE, .in_use = PATCH, .out = &QUEUE_RULE, .errors = NOT_THERE),
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)cx, (void)line, (void)body;
    *target = S("/operator/queues");
    return OK;
}

static void print_state(struct str name, struct str state, bool held, struct optional_int limit) {
    printf("%-16.*s %s", STR_FMT(name), held ? "paused for all" : "");
    if (!held)
        printf("%.*s", STR_FMT(state));
    if (limit.has)
        printf(", at most %" PRId64 " at a time", limit.v);
}

static void list_print(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &QUEUE, OUT, data, QUEUES_MAX, &rows, &faults))
        return;
    for (size_t i = 0; i < rows.n; i++) {
        const struct queue *q = (const struct queue *)rows.items + i;
        char text[32];
        print_state(q->name, q->state, q->held_by_operator, q->concurrency);
        printf("  ready %" PRId64 " waiting %" PRId64 " (retrying %" PRId64 ") running %" PRId64
               " set aside %" PRId64 " dead %" PRId64,
               q->ready, q->waiting, q->retrying, q->running, q->set_aside, q->dead);
        if (q->oldest_ready.us)
            printf("  oldest due %.*s", STR_FMT(instant_format(q->oldest_ready, text)));
        printf("\n");
    }
}

static enum err queue_request(struct ctx *cx, const struct command_line *line, const char *after,
                              struct str *target) {
    struct buf b = buf_new(cx->mem, 4096);
    buf_add(&b, S("/operator/queues/"));
    path_encode(&b, line->words[0]);
    buf_add(&b, str_of(after));
    *target = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The words of the command are too long.") : OK;
}

static enum err whose_request(struct ctx *cx, const struct command_line *line, const char *after,
                              struct str *target, struct str *body) {
    struct buf b = buf_new(cx->mem, 4096);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[0]);
    buf_byte(&b, '}');
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The words of the command are too long.")
                    : queue_request(cx, line, after, target);
}
static enum err pause_request(struct ctx *cx, const struct command_line *line, struct str *target,
                              struct str *body) {
    return whose_request(cx, line, "/pause", target, body);
}
static enum err resume_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    return whose_request(cx, line, "/resume", target, body);
}

static enum err limit_request(struct ctx *cx, const struct command_line *line, struct str *target,
                              struct str *body) {
    int64_t n = 0;
    bool some = line->n_words > 1;
    if (some && !str_int(line->words[1], &n))
        return fail(cx, ERR_USAGE, "%.*s is no number of jobs.", STR_FMT(line->words[1]));
    *body = some ? str_printf(cx->mem, "{\"concurrency\":%" PRId64 "}", n) : S("{\"concurrency\":null}");
    return queue_request(cx, line, "", target);
}

static void rule_print(struct ctx *cx, struct str data) {
    struct queue_rule q;
    if (schema_decode(cx, &QUEUE_RULE, OUT, REFUSE_UNKNOWN, data, &q, NULL))
        return;
    print_state(q.name, q.state, q.held_by_operator, q.concurrency);
    printf("\n");
}

static const struct option OF_ORG[] = {
    {"org", "NAME", false, "Of which organisation, by name or slug; of all if not given."}, {0}};
static const struct command COMMANDS[] = {
    {.name = "jobs queues",
     .doc = "Shows the queues: what waits, runs, fails, and since when.",
     .method = GET,
     .request = list_request,
     .print = list_print},
    {.name = "jobs pause",
     .words = "QUEUE",
     .options = OF_ORG,
     .doc = "Begins no more jobs in a queue; what runs ends.",
     .method = POST,
     .request = pause_request,
     .print = rule_print},
    {.name = "jobs resume",
     .words = "QUEUE",
     .options = OF_ORG,
     .doc = "Lets a paused queue go on.",
     .method = POST,
     .request = resume_request,
     .print = rule_print},
    {.name = "jobs limit",
     .words = "QUEUE [N]",
     .doc = "Says how many jobs of a queue run at a time at most, in all processes; any number without N.",
     .method = PATCH_,
     .request = limit_request,
     .print = rule_print},
};

const struct module QUEUE_MODULE = {
    .name = "queues", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(commands, COMMANDS)};
