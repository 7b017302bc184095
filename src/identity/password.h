/* Passwords: Argon2id by libsodium, 19 MiB and two passes (OWASP's least), so about 25 ms and 19 MiB each:
 * for SLOW routes and commands, never on a thread that serves others. */
#ifndef IDENTITY_PASSWORD_H
#define IDENTITY_PASSWORD_H

#include "base/ctx.h"

#define PASSWORD_MIN 12 /* code points */
#define PASSWORD_MAX 256

MUST_USE enum err password_hash(struct ctx *cx, struct str password, struct str *hash);
/* hash without value (unknown user, no password set): takes the same time as any other, and is false. */
bool password_verify(struct str password, struct str hash);
/* A new one of 120 random bits that people can copy. */
struct str password_random(struct ctx *cx);

#endif
