#include "identity/email.h"

#include "base/arena.h"

#include "base/banned.h"

#define LOCAL_MAX 64
#define LABEL_MAX 63

static bool alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool local_valid(struct str s) {
    if (s.n == 0 || s.n > LOCAL_MAX || s.p[0] == '.' || s.p[s.n - 1] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && s.p[i - 1] == '.')
            return false;
        if (!alphanumeric(s.p[i]) && (!s.p[i] || !strchr(".!#$%&'*+/=?^_`{|}~-", s.p[i])))
            return false;
    }
    return true;
}

static bool label_valid(struct str s) {
    if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!alphanumeric(s.p[i]) && s.p[i] != '-')
            return false;
    return true;
}

bool email_valid(struct str s) {
    struct str local, domain, label;
    if (s.n > EMAIL_MAX || !str_cut(s, '@', &local, &domain) || !local_valid(local))
        return false;
    while (str_cut(domain, '.', &label, &domain))
        if (!label_valid(label))
            return false;
    return label_valid(domain);
}

struct str email_normal(struct arena *mem, struct str s) {
    char *p = arena_alloc(mem, s.n ? s.n : 1);
    if (!p)
        return (struct str){0};
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
    return (struct str){p, s.n};
}
