/* The fields of a delivery that every view of it shows, said once: for inbox.c and delivery.c alone. A view's
 * struct begins with a struct delivery. */
#ifndef CORE_DELIVERY_FIELDS_H
#define CORE_DELIVERY_FIELDS_H

#include "core/inbox.h"

/* clang-format off */
#define DELIVERY_ARRIVAL                                                                                     \
    FIELD(struct delivery, id, OUT | ROW, "The delivery's own id."),                                         \
    FIELD(struct delivery, source, OUT | ROW, "Which service sent it."),                                     \
    FIELD(struct delivery, event_id, OUT | ROW,                                                              \
          "The event's name; a second delivery of it changes nothing."),                                     \
    FIELD(struct delivery, received_at, OUT | ROW, "When it arrived.")
#define DELIVERY_OUTCOME                                                                                     \
    FIELD(struct delivery, state, OUT | ROW, "pending, applied, exception (needs a look) or ignored.",       \
          .one_of = DELIVERY_STATES),                                                                        \
    FIELD(struct delivery, problem, OUT | ROW, "Why it is an exception, or why it has no effect."),          \
    FIELD(struct delivery, settled_at, OUT | ROW, "When that was decided."),                                 \
    FIELD(struct delivery, request_id, OUT | ROW, "The request that brought it.")
#define DELIVERY_LINKS                                                                                       \
    FIELD(struct delivery, verdict, OUT | ROW,                                                               \
          "How it was proven: the scheme, and which of the active secrets, counted from 1."),                \
    FIELD(struct delivery, job_id, OUT | ROW, "The newest job that applies it; done jobs are gone."),        \
    FIELD(struct delivery, cause_id, OUT | ROW, "The delivery that it was fetched for."),                    \
    FIELD(struct delivery, conflicts_with, OUT | ROW,                                                        \
          "The delivery that said something else under the same name; this one has no effect."),             \
    FIELD(struct delivery, forgotten_at, OUT | ROW, "When its body was dropped.")
/* clang-format on */

#endif
