#include "core/demo_goods.h"

#include "base/banned.h"

/* Items of a family differ in size and in colour or, of parts, in thread and length. */
struct family {
    const char *code, *name, *category, *brand;
    int64_t cents;
};

static const struct family PRODUCTS[] = {
    {"MUG", "Enamel mug", "Kitchen", "Demo Northlight", 990},
    {"PAN", "Iron pan", "Kitchen", "Demo Northlight", 3400},
    {"POT", "Stew pot", "Kitchen", "Demo Northlight", 5200},
    {"BWL", "Mixing bowl", "Kitchen", "Demo Northlight", 1450},
    {"JAR", "Storage jar", "Kitchen", "Demo Northlight", 790},
    {"KTL", "Water kettle", "Kitchen", "Demo Northlight", 4400},
    {"DLP", "Desk lamp", "Lighting", "Demo Fernway", 5400},
    {"FLP", "Floor lamp", "Lighting", "Demo Fernway", 11900},
    {"LTN", "Lantern", "Lighting", "Demo Fernway", 2400},
    {"BLB", "LED bulb, box of four", "Lighting", "Demo Fernway", 1250},
    {"TNT", "Tent", "Outdoor", "Demo Opengrove", 14900},
    {"MAT", "Sleeping mat", "Outdoor", "Demo Opengrove", 2900},
    {"RPE", "Rope", "Outdoor", "Demo Opengrove", 1400},
    {"BAG", "Dry bag", "Outdoor", "Demo Opengrove", 1900},
    {"HMK", "Hammock", "Outdoor", "Demo Opengrove", 4900},
    {"CHR", "Folding chair", "Outdoor", "Demo Opengrove", 3900},
    {"DRL", "Hand drill", "Tools", "Demo Tarnwerk", 2400},
    {"SAW", "Bow saw", "Tools", "Demo Tarnwerk", 1900},
    {"TPE", "Tape measure", "Tools", "Demo Tarnwerk", 650},
    {"CLP", "Clamp, pair", "Tools", "Demo Tarnwerk", 1700},
    {"HMR", "Hammer", "Tools", "Demo Tarnwerk", 1600},
    {"FIL", "File set", "Tools", "Demo Tarnwerk", 2100},
    {"NTB", "Notebook", "Paper", "Demo Quillon", 590},
    {"FLD", "Folder", "Paper", "Demo Quillon", 320},
    {"PEN", "Pen, pack of ten", "Paper", "Demo Quillon", 480},
    {"BOX", "Gift box", "Paper", "Demo Quillon", 260},
    {"PUZ", "Puzzle", "Games", "Demo Morrowby", 1490},
    {"DIC", "Dice set", "Games", "Demo Morrowby", 890},
    {"KIT", "Kite", "Games", "Demo Morrowby", 2290},
    {"YOY", "Yo-yo", "Games", "Demo Morrowby", 740},
};
static const struct family PARTS[] = {
    {"BLT", "Hex bolt", "Fasteners", "Demo Ironleaf", 12},
    {"SCR", "Machine screw", "Fasteners", "Demo Ironleaf", 8},
    {"CAP", "Socket cap screw", "Fasteners", "Demo Ironleaf", 14},
    {"STD", "Stud", "Fasteners", "Demo Ironleaf", 19},
    {"ROD", "Threaded rod", "Fasteners", "Demo Ironleaf", 95},
    {"SPC", "Spacer", "Fasteners", "Demo Ironleaf", 22},
    {"STF", "Standoff", "Fasteners", "Demo Ironleaf", 31},
    {"EYE", "Eye bolt", "Fasteners", "Demo Ironleaf", 85},
    {"SET", "Set screw", "Fasteners", "Demo Ironleaf", 9},
    {"WNG", "Wing screw", "Fasteners", "Demo Ironleaf", 28},
    {"THB", "Thumb screw", "Fasteners", "Demo Ironleaf", 34},
    {"DWL", "Dowel pin", "Pins", "Demo Ironleaf", 17},
    {"CLV", "Clevis pin", "Pins", "Demo Ironleaf", 42},
    {"ROL", "Roll pin", "Pins", "Demo Ironleaf", 11},
    {"SLV", "Sleeve", "Bearings", "Demo Ironleaf", 120},
    {"BSH", "Bushing", "Bearings", "Demo Ironleaf", 145},
    {"ANC", "Wall anchor", "Fasteners", "Demo Ironleaf", 26},
    {"INS", "Threaded insert", "Fasteners", "Demo Ironleaf", 21},
    {"SPR", "Pressure spring", "Springs", "Demo Ironleaf", 65},
    {"HKE", "Hook", "Fasteners", "Demo Ironleaf", 75},
};
static const struct family GARMENTS[] = {
    {"TEE", "T-shirt", "Tops", "Demo Lindenloom", 1900},
    {"SWT", "Sweatshirt", "Tops", "Demo Lindenloom", 3900},
    {"HOD", "Hooded jacket", "Tops", "Demo Lindenloom", 5400},
    {"SHT", "Shirt", "Tops", "Demo Lindenloom", 4400},
    {"TRS", "Trousers", "Bottoms", "Demo Lindenloom", 5900},
    {"SRT", "Shorts", "Bottoms", "Demo Lindenloom", 3400},
    {"VST", "Work vest", "Workwear", "Demo Lindenloom", 4900},
    {"APR", "Apron", "Workwear", "Demo Lindenloom", 2400},
    {"SCK", "Socks, three pairs", "Basics", "Demo Lindenloom", 1200},
    {"HAT", "Wool hat", "Basics", "Demo Lindenloom", 1700},
};
static const char *const COLOURS[][2] = {
    {"BLU", "blue"}, {"RED", "red"}, {"GRN", "green"}, {"BLK", "black"}, {"WHT", "white"}};
static const char *const SIZES[] = {"XS", "S", "M", "L", "XL", "XXL"};
static const char *const THREADS[] = {"M3", "M4", "M5", "M6", "M8"};
static const char *const LENGTHS[] = {"10", "16", "20", "30", "50"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define COLOUR_N COUNT(COLOURS)
#define NUMBERS 10
#define OF_PRODUCT (NUMBERS * COLOUR_N)
#define OF_PART (COUNT(THREADS) * COUNT(LENGTHS))
#define OF_GARMENT (COUNT(SIZES) * COLOUR_N)
#define PRODUCTS_N (COUNT(PRODUCTS) * OF_PRODUCT)
#define PARTS_N (COUNT(PARTS) * OF_PART)
#define GARMENTS_N (COUNT(GARMENTS) * OF_GARMENT)
_Static_assert(PRODUCTS_N + PARTS_N + GARMENTS_N == DEMO_ITEMS, "the families make up all items");

enum sort { PRODUCT, PART, GARMENT };
static const char *const KINDS[] = {"product", "part", "garment"};

/* Which family, and which of its items. */
struct member {
    enum sort kind;
    const struct family *family;
    size_t at;
};

static struct member find(size_t i) {
    if (i < PRODUCTS_N)
        return (struct member){PRODUCT, &PRODUCTS[i / OF_PRODUCT], i % OF_PRODUCT};
    i -= PRODUCTS_N;
    if (i < PARTS_N)
        return (struct member){PART, &PARTS[i / OF_PART], i % OF_PART};
    i -= PARTS_N;
    return (struct member){GARMENT, &GARMENTS[i / OF_GARMENT], i % OF_GARMENT};
}

struct str demo_sku(struct arena *mem, size_t i) {
    struct member p = find(i);
    const char *code = p.family->code;
    if (p.kind == PRODUCT)
        return str_printf(mem, DEMO_SKU_PREFIX "%s-%02zu-%s", code, p.at / COLOUR_N + 1,
                          COLOURS[p.at % COLOUR_N][0]);
    if (p.kind == PART)
        return str_printf(mem, DEMO_SKU_PREFIX "%s-%sX%s", code, THREADS[p.at / COUNT(LENGTHS)],
                          LENGTHS[p.at % COUNT(LENGTHS)]);
    return str_printf(mem, DEMO_SKU_PREFIX "%s-%s-%s", code, SIZES[p.at / COLOUR_N],
                      COLOURS[p.at % COLOUR_N][0]);
}

static struct str name_of(struct arena *mem, const struct member *p) {
    const char *name = p->family->name;
    if (p->kind == PRODUCT)
        return str_printf(mem, "%s no. %zu, %s", name, p->at / COLOUR_N + 1, COLOURS[p->at % COLOUR_N][1]);
    if (p->kind == PART)
        return str_printf(mem, "%s %s × %s mm", name, THREADS[p->at / COUNT(LENGTHS)],
                          LENGTHS[p->at % COUNT(LENGTHS)]);
    return str_printf(mem, "%s, %s, %s", name, SIZES[p->at / COLOUR_N], COLOURS[p->at % COLOUR_N][1]);
}

/* A number of the range that shops use inside the house (20…), with its check digit. */
static struct str internal_ean(struct arena *mem, size_t i) {
    struct str digits = str_printf(mem, "20%010zu", i * 7919 + 100003);
    int sum = 0;
    for (size_t k = 0; k < digits.n; k++)
        sum += (digits.p[k] - '0') * (k % 2 ? 3 : 1);
    return str_printf(mem, "%.*s%d", STR_FMT(digits), (10 - sum % 10) % 10);
}

void demo_item(struct arena *mem, size_t i, struct item *out) {
    struct member p = find(i);
    int64_t price = p.family->cents + (int64_t)p.at * p.family->cents / 40;
    struct barcode *code = NEW(mem, struct barcode);
    *out = (struct item){.sku = demo_sku(mem, i),
                         .kind = str_of(KINDS[p.kind]),
                         .name = name_of(mem, &p),
                         .brand = str_of(p.family->brand),
                         .category = str_of(p.family->category),
                         .cost = {price * 55 / 100, "USD"},
                         .price = {price, "USD"},
                         .measurements = {str_printf(mem, "{\"weight_g\":%zu}", 20 + i * 37 % 1900)}};
    if (p.kind != PART)
        out->attributes.text = str_printf(mem, "{\"colour\":\"%s\"}", COLOURS[p.at % COLOUR_N][1]);
    if (code) {
        *code = (struct barcode){S("EAN"), internal_ean(mem, i)};
        out->barcodes = (struct list){code, 1};
    }
}

int64_t demo_since(size_t i) {
    size_t mixed = i * 2654435761U >> 7;
    return mixed % 10 < 8 ? 0 : 1 + (int64_t)(mixed / 10 % 45);
}

int64_t demo_target(size_t i) {
    size_t rank = i * 40503U % DEMO_ITEMS;
    return rank < 100 ? 160 : rank < 500 ? 60 : 12 + (int64_t)(rank % 12);
}
