/* The shipping webhook in its direct form: `POST /webhooks/shipstation`, signed with X-ShipStation-Signature.
 * Checks in this order: signature header (none 401, two 400), Content-Length (411, 413), throttle (429),
 * signature (403), JSON (400), fields (422), a known event (200 duplicate), replay window (403). 200 means
 * that the event is on disk. */
#ifndef CORE_SHIPPING_H
#define CORE_SHIPPING_H

#include "base/module.h"
#include "core/shipment.h"

/* Reads a body: shared by the webhook and by the job that applies what was stored. ERR_MALFORMED,
 * ERR_INVALID. */
MUST_USE enum err shipping_read(struct ctx *cx, struct str body, struct shipment_event *out);

extern const struct module SHIPPING_MODULE;

#endif
