#include "db/state.h"

#include "base/banned.h"

const struct metric DB_METRIC[] = {
    [GROUPS] = {"entrepot_db_groups_total", METRIC_COUNTER, NULL, "Transactions committed by the lanes."},
    [CLOSURES] = {"entrepot_db_closures_total", METRIC_COUNTER, NULL, "Writes that these transactions held."},
    [GROUP_SIZES] = {"entrepot_db_group_size_total", METRIC_COUNTER, "writes",
                     "Transactions by how many they held."},
    [COMMIT_SECONDS] = {"entrepot_db_commit_seconds", METRIC_HISTOGRAM, NULL, "How long COMMIT took."},
    [RERUNS] = {"entrepot_db_reruns_total", METRIC_COUNTER, NULL,
                "Writes that were run again, alone, because their transaction failed."},
    [POOL_WAITS] = {"entrepot_db_pool_waits_total", METRIC_COUNTER, NULL,
                    "Reads that had to wait for a connection."},
    [RECONNECTS] = {"entrepot_db_connects_total", METRIC_COUNTER, NULL,
                    "Attempts to open a writer's connection after the first."},
};

const struct module DB_MODULE = {.name = "db", .metrics = DB_METRIC, .n_metrics = DB_METRICS};
