#include "core/scan_heading.h"

#include "base/banned.h"

const char *const SCAN_FIELDS[SCAN_COLUMNS] = {
    [SCAN_SKU] = "sku",
    [SCAN_NAME] = "name",
    [SCAN_QUANTITY] = "quantity",
    [SCAN_LOCATION] = "location",
    [SCAN_BARCODE] = "barcode",
    [SCAN_SCAN_ID] = "scan_id",
    [SCAN_EXCEPTION_ID] = "exception_id",
};

#define BOTH (SCAN_OF_FILE | SCAN_OF_SHEET)
static const struct {
    const char *heading;
    enum scan_column column;
    int of;
} HEADINGS[] = {
    {"sku", SCAN_SKU, BOTH},
    {"itemsku", SCAN_SKU, BOTH},
    {"productsku", SCAN_SKU, BOTH},
    {"skucode", SCAN_SKU, BOTH},
    {"itemcode", SCAN_SKU, SCAN_OF_FILE},
    {"itemnumber", SCAN_SKU, SCAN_OF_FILE},
    {"itemno", SCAN_SKU, SCAN_OF_FILE},
    {"item", SCAN_SKU, SCAN_OF_FILE},
    {"name", SCAN_NAME, BOTH},
    {"itemname", SCAN_NAME, BOTH},
    {"productname", SCAN_NAME, BOTH},
    {"title", SCAN_NAME, BOTH},
    {"description", SCAN_NAME, SCAN_OF_FILE},
    {"producttitle", SCAN_NAME, SCAN_OF_SHEET},
    {"quantity", SCAN_QUANTITY, BOTH},
    {"qty", SCAN_QUANTITY, BOTH},
    {"count", SCAN_QUANTITY, BOTH},
    {"amount", SCAN_QUANTITY, SCAN_OF_FILE},
    {"pieces", SCAN_QUANTITY, SCAN_OF_FILE},
    {"units", SCAN_QUANTITY, BOTH},
    {"qtyreceived", SCAN_QUANTITY, SCAN_OF_SHEET},
    {"quantityreceived", SCAN_QUANTITY, SCAN_OF_SHEET},
    {"qtyscanned", SCAN_QUANTITY, SCAN_OF_SHEET},
    {"location", SCAN_LOCATION, BOTH},
    {"place", SCAN_LOCATION, BOTH},
    {"bin", SCAN_LOCATION, BOTH},
    {"box", SCAN_LOCATION, SCAN_OF_FILE},
    {"shelf", SCAN_LOCATION, SCAN_OF_FILE},
    {"warehouse", SCAN_LOCATION, SCAN_OF_SHEET},
    {"barcode", SCAN_BARCODE, BOTH},
    {"upc", SCAN_BARCODE, BOTH},
    {"ean", SCAN_BARCODE, BOTH},
    {"gtin", SCAN_BARCODE, BOTH},
    {"upcean", SCAN_BARCODE, SCAN_OF_SHEET},
    {"scanid", SCAN_SCAN_ID, SCAN_OF_FILE},
    {"scan", SCAN_SCAN_ID, SCAN_OF_FILE},
    {"exceptionid", SCAN_EXCEPTION_ID, SCAN_OF_FILE},
    {"problems", SCAN_OURS, SCAN_OF_FILE},
    {"row", SCAN_OURS, SCAN_OF_FILE},
    {"state", SCAN_OURS, SCAN_OF_FILE},
};

enum scan_column scan_column_of(struct str heading, int of) {
    char plain[64];
    size_t n = 0;
    for (size_t i = 0; i < heading.n; i++) {
        char c = heading.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) && n < sizeof(plain))
            plain[n++] = c;
    }
    for (size_t i = 0; i < sizeof(HEADINGS) / sizeof(HEADINGS[0]); i++)
        if ((HEADINGS[i].of & of) && str_eq((struct str){plain, n}, str_of(HEADINGS[i].heading)))
            return HEADINGS[i].column;
    return SCAN_NONE;
}
