/* Exceptions: the one list of everything that a person must look at. A row or event that was refused is kept
 * as it came, with what is wrong with it field by field and where it came from, until it is repaired and
 * applied, made good by itself, or dismissed with a reason.
 *
 * A kind of exception is a row of a module (struct exception_kind): it says what a repaired row looks like
 * and how it is applied again. An exception whose kind nobody has can be looked at and dismissed. A delivery
 * that waits for a person has an exception with its own id, written and ended in the transactions that settle
 * the delivery (core/inbox.c). */
#ifndef CORE_EXCEPTION_H
#define CORE_EXCEPTION_H

#include "base/module.h"
#include "net/route.h"

struct exception {
    struct uuid id;
    struct str kind, source, body, repaired;
    struct json problems; /* [{"field", "problem"}] */
    struct str state;     /* open, resolved, dismissed */
    struct str ref;       /* the source's own name for it: scan id, event id */
    struct uuid delivery_id, upload_id;
    struct optional_int row_number;
    int64_t seen; /* how often it came */
    struct instant created_at;
    struct str actor;
    struct instant resolved_at;
    struct str resolved_by, resolution;
    struct uuid run_id;
    struct json result; /* of a replay just now */
};
extern const struct schema EXCEPTION;

/* Where a refused row came from. kind and source have a value; the rest may have none. */
struct exception_origin {
    struct str kind, source;
    struct str ref; /* with it, the same refused row sent again is the same exception */
    struct uuid delivery_id, upload_id;
    struct optional_int row_number;
};

/* A row of a module: how refused rows of a kind are repaired and applied again. */
struct exception_kind {
    const char *name;
    const struct schema *row; /* what a repaired row is checked by, in CREATE use; NULL: cannot be edited */
    /* In a transaction; text is the row as it came or as it was repaired. result, if set, becomes the
     * answer's result. ERR_INVALID, ERR_CONFLICT and ERR_INSUFFICIENT are refusals that leave everything as
     * it was; any other error fails the closure. */
    enum err (*replay)(struct ctx *cx, const struct exception *x, struct str text, struct json *result);
    /* Optional: what else a dismissal means; the delivery is ignored. */
    enum err (*dismissed)(struct ctx *cx, const struct exception *x, struct str reason);
    const char *doc;
};
bool exception_refusal(enum err e);
const struct exception_kind *exception_kind(const struct ctx *cx, struct str name); /* NULL: nobody has it */

/* Keeps a refused row with the context's fault, which stays as it is. Known by its ref: counts once more, and
 * takes another text of an open one as its repair. */
MUST_USE enum err exception_add(struct ctx *cx, const struct exception_origin *from, struct str body,
                                struct uuid *id);
/* The same with problems that were found before; exception_problems gives those of the context's fault. */
MUST_USE enum err exception_add_with(struct ctx *cx, const struct exception_origin *from, struct str body,
                                     struct json problems, struct uuid *id);
struct json exception_problems(struct ctx *cx);
/* The row of this source and ref has come again and was taken: an open exception of it has ended. */
MUST_USE enum err exception_made_good(struct ctx *cx, struct str source, struct str ref);

/* As steps: a delivery waits for a person, or no longer does. */
void exception_of_delivery(struct steps *steps, struct uuid delivery, struct str problem);
void exception_delivery_settled(struct steps *steps, struct uuid delivery, struct str state);

MUST_USE enum err exception_find(struct ctx *cx, struct str id, struct exception *out); /* ERR_NOT_FOUND */

/* Applies it again. repaired: the row that takes the place of what came, or no value. A refusal is told by
 * *refused with the fault set, and stands in the exception's problems; run: the bulk run that does it, or
 * nil. ERR_CONFLICT with refused false when it is not open. */
MUST_USE enum err exception_replay(struct ctx *cx, struct exception *x, struct str repaired, struct uuid run,
                                   bool *refused);
MUST_USE enum err exception_dismiss(struct ctx *cx, struct exception *x, struct str reason, struct uuid run);
/* Lays the members of patch over the row; null takes one away. ERR_INVALID when what it brings is wrong; what
 * else is wrong stays in its problems. */
MUST_USE enum err exception_repair(struct ctx *cx, struct exception *x, struct str patch, struct uuid run);

/* For routes that may read through all exceptions (a text or a field is looked for in each; all are counted):
 * they do not hold up who asks for one row. */
bool exception_search(struct ctx *cx, const struct request *rq);

/* What a list or a run picks; no value: any. */
struct exception_filter {
    struct str kind, source, state, field, text;
    struct uuid upload_id;
};

#define EXCEPTION_COLUMNS                                                                                \
    "id, kind, source, body, repaired, problems, state, ref, delivery_id, upload_id, row_number, seen, " \
    "created_at, actor, resolved_at, resolved_by, resolution, run_id"
/* Conditions on the six values of a filter as $5 to $10; they differ where the databases do. */
#define EXCEPTION_LIKE                                                                           \
    " AND (CAST($5 AS text) IS NULL OR kind = $5) AND (CAST($6 AS text) IS NULL OR source = $6)" \
    " AND (CAST($7 AS text) IS NULL OR state = $7)"
#define EXCEPTION_LIKE_SQLITE                                                                           \
    EXCEPTION_LIKE " AND ($8 IS NULL OR EXISTS (SELECT 1 FROM json_each(problems) p"                    \
                   " WHERE json_extract(p.value, '$.field') = $8))"                                     \
                   " AND ($9 IS NULL OR instr(lower(COALESCE(ref, '') || ' ' || COALESCE(repaired, '')" \
                   " || body || problems), lower($9)) > 0) AND ($10 IS NULL OR upload_id = $10)"
#define EXCEPTION_LIKE_POSTGRES                                                                  \
    EXCEPTION_LIKE " AND (CAST($8 AS text) IS NULL OR problems @>"                               \
                   " jsonb_build_array(jsonb_build_object('field', CAST($8 AS text))))"          \
                   " AND (CAST($9 AS text) IS NULL OR strpos(lower(COALESCE(ref, '') || ' ' ||"  \
                   " COALESCE(repaired, '') || body || CAST(problems AS text)), lower($9)) > 0)" \
                   " AND (CAST($10 AS uuid) IS NULL OR upload_id = $10)"

extern const struct module EXCEPTION_MODULE;
extern const struct module EXCEPTION_RUN_MODULE;     /* bulk, in exception_run.c */
extern const struct module EXCEPTION_EXPORT_MODULE;  /* for spreadsheets, in exception_export.c */
extern const struct module EXCEPTION_COMMAND_MODULE; /* commands, in exception_commands.c */

#endif
