#include "app/modules.h"

#include "app/app.h"
#include "app/schema_commands.h"
#include "core/booking.h"
#include "core/count.h"
#include "core/delivery.h"
#include "core/demo.h"
#include "core/exception.h"
#include "core/flag.h"
#include "core/history.h"
#include "core/inbox.h"
#include "core/ingest.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/order.h"
#include "core/place.h"
#include "core/promise.h"
#include "core/rebuild.h"
#include "core/reservation.h"
#include "core/secrets.h"
#include "core/seed.h"
#include "core/shipment.h"
#include "core/shipment_lot.h"
#include "core/shipping.h"
#include "core/shipstation.h"
#include "core/shipstation_keys.h"
#include "core/smartsheet.h"
#include "core/smartsheet_webhook.h"
#include "core/stock.h"
#include "core/undo.h"
#include "core/upload.h"
#include "core/verify.h"
#include "feeds/download.h"
#include "feeds/feed.h"
#include "feeds/run.h"
#include "feeds/source.h"
#include "feeds/store.h"
#include "identity/audit.h"
#include "identity/identity.h"
#include "jobs/jobs.h"
#include "net/server.h"
#include "services/http.h"
#include "services/quota.h"
#include "services/shipstation.h"

#include "base/banned.h"

/* One a line, so that two additions do not collide. */
/* clang-format off */
const struct module *const MODULES[] = {
    &APP_MODULE,
    &SCHEMA_MODULE,
    &DB_MODULE,
    &NET_MODULE,
    &IDENTITY_MODULE,
    &AUDIT_MODULE,
    &JOBS_MODULE,
    &QUEUE_MODULE,
    &SCHEDULE_MODULE,
    &PLACE_MODULE,
    &ITEM_MODULE,
    &LEDGER_MODULE,
    &RESERVATION_MODULE,
    &STOCK_MODULE,
    &BOOKING_MODULE,
    &FLAG_MODULE,
    &INGEST_MODULE,
    &ORDER_MODULE,
    &INBOX_MODULE,
    &SHIPMENT_MODULE,
    &SHIPMENT_LOT_MODULE,
    &PROMISE_MODULE,
    &SECRETS_MODULE,
    &SHIPPING_MODULE,
    &EXCEPTION_MODULE,
    &VERIFY_MODULE,
    &REBUILD_MODULE,
    &SEED_MODULE,
    &DEMO_MODULE,
    &HTTP_MODULE,
    &DELIVERY_MODULE, &SMARTSHEET_MODULE, &SMARTSHEET_SCAN_MODULE, &SMARTSHEET_FETCH_MODULE,
    &HISTORY_MODULE,
    &UNDO_MODULE,
    &EXCEPTION_RUN_MODULE,
    &EXCEPTION_COMMAND_MODULE,
    &COUNT_MODULE,
    &EXCEPTION_EXPORT_MODULE,
    &UPLOAD_MODULE,
    &UPLOAD_READ_MODULE,
    &UPLOAD_SWEEP_MODULE,
    &QUOTA_MODULE,
    &SHIPSTATION_MODULE,
    &SHIPSTATION_INTAKE_MODULE,
    &SHIPSTATION_ORDER_MODULE,
    &SHIPSTATION_SYNC_MODULE,
    &SHIPSTATION_KEYS_MODULE,
    &FEED_MODULE,
    &SOURCE_MODULE,
    &DOWNLOAD_MODULE,
    &STORE_MODULE,
    &STORE_IMPORT_MODULE,
    &SMARTSHEET_WEBHOOK_MODULE,
    &SMARTSHEET_WEBHOOK_JOB_MODULE,
    &SMARTSHEET_WEBHOOK_ROUTES_MODULE,
    &RUN_STATE_MODULE,
    &RUN_MODULE,
};
/* clang-format on */
const size_t MODULES_N = sizeof(MODULES) / sizeof(MODULES[0]);

const struct alias ALIASES[] = {
    {"/api/catalog", "/api/v1/catalog"},
};
const size_t ALIASES_N = sizeof(ALIASES) / sizeof(ALIASES[0]);
