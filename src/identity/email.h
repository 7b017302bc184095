/* E-mail addresses as the names of users: compared in lower case. The form is that of the HTML standard's
 * `<input type=email>` (4.10.5.1.5), narrower than RFC 5321: no quoting, no comments, ASCII only, at most 254
 * bytes. */
#ifndef IDENTITY_EMAIL_H
#define IDENTITY_EMAIL_H

#include "base/str.h"

#define EMAIL_MAX 254
#define EMAIL_RULE "must be an e-mail address"

bool email_valid(struct str s);
struct str email_normal(struct arena *mem, struct str s); /* lower case; no value when memory is out */

#endif
