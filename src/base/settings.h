/* Settings: one table of rows says what can be set; it drives reading, checking, --help, `config example` and
 * the docs. Order of sources: environment, then NAME_FILE, then .env.<ENVIRONMENT>, then .env; within one
 * source the main name before its alias, and a name and its alias that differ in one source are an error. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/ctx.h"
#include "base/list.h"

enum setting_type { SETTING_TEXT, SETTING_INT, SETTING_BOOL, SETTING_CHOICE, SETTING_RATE, SETTING_LIST };

struct setting {
    const char *name, *alias;
    enum setting_type type;
    const char *fallback; /* as it would be written; "" for none */
    int64_t min, max;     /* INT, and the bytes of TEXT, of a secret in production only; both 0: no limit */
    const char *const *choices;
    bool secret; /* never printed; NAME_FILE is read; with a min, weak values are refused in production */
    bool production_required;
    const char *doc;
    bool (*check)(struct str text); /* TEXT, and each item of a LIST: further rule, told by rule */
    const char *rule;
    bool (*check_all)(const struct list *items); /* a LIST as a whole, told by rule_all */
    const char *rule_all;
};

struct settings;

/* tables: n pointers to arrays of counts[i] rows. dir is where .env files are looked for. All problems are
 * reported at once as fields of the fault (ERR_USAGE). The result lives in mem. */
MUST_USE enum err settings_load(struct ctx *cx, const struct setting *const *tables, const size_t *counts,
                                size_t n, char *const *environ, struct str dir, struct settings **out);
/* Asking for a name that no table has is a bug and asserts. */
struct str setting_text(const struct settings *s, const char *name); /* "" if not set */
int64_t setting_int(const struct settings *s, const char *name);
bool setting_bool(const struct settings *s, const char *name);
/* Comma-separated values, trimmed, empty ones dropped; for secrets the lines of NAME_FILE are added. */
struct list setting_list(const struct settings *s, const char *name); /* of struct str */
/* "100", "100/s", "100/min" → events per second as count and period; 0 is off. */
struct rate {
    int64_t count, period_us;
};
struct rate setting_rate(const struct settings *s, const char *name);
bool settings_production(const struct settings *s);
bool settings_local(const struct settings *s);
/* An .env with every setting, its doc and fallback; values only where show is given and the row is no
 * secret. */
void settings_print(const struct setting *const *tables, const size_t *counts, size_t n,
                    const struct settings *show, struct buf *out);

#endif
