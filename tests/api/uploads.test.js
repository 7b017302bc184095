// W1: files of scans are looked at row by row before anything happens, then every row counts once.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { form } from "../lib/form.js";
import { refused } from "../lib/refused.js";
import { sheet, workbook } from "../lib/xlsx.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp({ RATE_LIMIT: "0", UPLOAD_MAX: "8000000" });
const UPLOADS = "/api/v1/catalog/uploads";
const EXCEPTIONS = "/api/v1/catalog/exceptions";

function send(content, options, client = app.owner) {
  const { body, headers } = form(content, options);
  return client.post(UPLOADS, body, { headers });
}
const upload = async (content, options) => (await send(content, options)).expect(201).data;
const show = async (id) => (await app.owner.get(`${UPLOADS}/${id}`)).expect(200).data;
const rows = (id, filter = "") => app.owner.all(`${UPLOADS}/rows?upload_id=${id}${filter}`);
const apply = (id, body = {}) => app.owner.post(`${UPLOADS}/${id}/apply`, body);
const applied = (id, within = 60_000) =>
  eventually(
    async () => {
      const u = await show(id);
      expect(u.state).toBe("applied");
      return u;
    },
    { within },
  );
const sums = (u) => [
  u.to_create + u.to_receive + u.to_touch + u.to_repair + u.to_reject + u.to_skip,
  u.accepted + u.rejected + u.duplicate,
];
const CRLF = (...lines) => `${lines.join("\r\n")}\r\n`;

describe("W1 the preview says of each row what it would do", () => {
  test("and changes nothing", async () => {
    const known = await app.item(fresh("KNOWN"));
    const [a, b] = [fresh("NEW"), fresh("NEW")];
    const text = CRLF(
      "Item SKU,Qty,Product name,Bin,Scan-ID,Colour",
      `${a},3,"A ""fine"" thing, blue",,,red`,
      `${known},2,,,,`,
      `${a},1,,,,`,
      `${known},0,,,,`,
      `a b,-1,,,,`,
      "",
      `${b},1,,nowhere,,`,
      `${b},1,,,gun-77,`,
      `${b},1,,,gun-77,`,
      `${b},1.0,,warehouse,,`,
      `${b},"1`,
    );
    const u = await upload(text);
    expect(u).toMatchObject({ format: "csv", encoding: "UTF-8", state: "ready", name: "scans.csv" });
    expect(u).toMatchObject({ total_rows: 10, to_create: 2, to_receive: 3, to_touch: 1 });
    expect(u).toMatchObject({ to_reject: 3, to_skip: 1, same_as: null });
    expect(sums(u)[0]).toBe(u.total_rows);
    expect(u.columns).toEqual({
      "Item SKU": "sku",
      Qty: "quantity",
      "Product name": "name",
      Bin: "location",
      "Scan-ID": "scan_id",
    });
    expect(u.warnings).toEqual(["The column Colour is not read."]);
    const all = await rows(u.id);
    expect(all.map(({ row_number, verdict }) => [row_number, verdict])).toEqual([
      [2, "create"],
      [3, "receive"],
      [4, "receive"],
      [5, "touch"],
      [6, "rejected"],
      [8, "rejected"],
      [9, "create"],
      [10, "duplicate"],
      [11, "receive"],
      [12, "rejected"],
    ]);
    const name = 'A "fine" thing, blue';
    expect(JSON.parse(all[0].original)).toMatchObject({ Colour: "red", "Product name": name });
    expect(JSON.parse(all[0].scan)).toEqual({ sku: a, quantity: 3, name });
    const row = (n) => all.find(({ row_number }) => row_number === n);
    const wrong = (n) => row(n).problems.map(({ field }) => field).sort();
    expect([wrong(6), wrong(8), wrong(12)]).toEqual([["quantity", "sku"], ["location"], ["quantity", "row"]]);
    expect((await rows(u.id, "&filter[verdict]=rejected")).length).toBe(3);
    refused(await app.owner.get(`/api/v1/catalog/${a}`), 404);
    expect(await app.onHand(known)).toBe(0);
  });

  test.each([
    ["UTF-8 with a mark", (s) => Buffer.from(`\ufeff${s}`), "UTF-8"],
    ["UTF-16LE with a mark", (s) => Buffer.from(`\ufeff${s}`, "utf16le"), "UTF-16LE"],
    ["UTF-16LE without one", (s) => Buffer.from(s, "utf16le"), "UTF-16LE"],
    ["UTF-16BE with a mark", (s) => Buffer.from(`\ufeff${s}`, "utf16le").swap16(), "UTF-16BE"],
    ["Windows-1252", (s) => Buffer.from(s, "latin1"), "Windows-1252"],
  ])("%s", async (_, encode, encoding) => {
    const sku = fresh("CODED");
    const u = await upload(encode(`sku;quantity;name\n${sku};1;Größe é\n`));
    expect(u).toMatchObject({ encoding, total_rows: 1, to_create: 1 });
    expect(JSON.parse((await rows(u.id))[0].scan).name).toBe("Größe é");
  });

  test.each([
    ["commas", "sku,quantity\nX-1,1\n"],
    ["semicolons", "sku;quantity\nX-1;1\n"],
    ["tabs and lone CR", "sku\tquantity\rX-1\t1\r"],
    ["bars without a last line end", "sku|quantity\nX-1|1"],
    ["a sep line", "sep=|\r\nsku|quantity\r\nX-1|1\r\n"],
    ["quoted headings and a line break in a cell", '"SKU","Quantity","Name"\n"X-1","1","two\nlines"\n'],
  ])("separated by %s", async (_, text) => {
    const u = await upload(text);
    expect(u).toMatchObject({ total_rows: 1, to_reject: 0 });
    expect(JSON.parse((await rows(u.id))[0].scan)).toMatchObject({ sku: "X-1", quantity: 1 });
  });

  test("F10 a line of megabytes is one refused row, and the others count", async () => {
    const [a, b] = [fresh("LONG"), fresh("LONG")];
    for (const [huge, problem] of [
      ["x".repeat(2_000_000), "longer than"],
      [`"${"y\n".repeat(1_500_000)}"`, "longer than"],
      [Array.from({ length: 20_000 }, () => "z").join(), "cells"],
    ]) {
      const u = await upload(`sku,quantity,name\n${a},1,\nHUGE,1,${huge}\n${b},1,\n`);
      expect(u).toMatchObject({ total_rows: 3, to_reject: 1, to_create: 2, state: "ready" });
      const [bad] = await rows(u.id, "&filter[verdict]=rejected");
      expect(bad.row_number).toBe(3);
      expect(bad.problems).toMatchObject([{ field: "row", problem: expect.stringContaining(problem) }]);
    }
  });

  test("F10 rows of many long cells are read piece by piece", async () => {
    const cell = "x".repeat(120_000);
    const lines = Array.from({ length: 60 }, (_, i) => `L-${i},1,${cell}\n`);
    const u = await upload(`sku,quantity,note\n${lines.join("")}`);
    expect(u).toMatchObject({ total_rows: 60, to_create: 60, state: "ready" });
  });

  test("a barcode that a spreadsheet has shortened is refused", async () => {
    const u = await upload("sku,quantity,barcode\nLONG,1,4.00638E+12\n1E+12,1,\n");
    expect(u).toMatchObject({ to_reject: 2 });
    const all = await rows(u.id);
    expect(all.map(({ problems }) => problems.map(({ field }) => field))).toEqual([["barcode"], ["sku"]]);
  });

  test("a cell too many is refused, not lost", async () => {
    const u = await upload("sku,quantity\nRAGGED,1,what\nRAGGED\n");
    const all = await rows(u.id);
    expect(all.map(({ verdict }) => verdict)).toEqual(["rejected", "rejected"]);
    expect(JSON.parse(all[0].original)).toEqual({ sku: "RAGGED", quantity: "1", "column 3": "what" });
  });
});

describe("W1 a workbook", () => {
  test("is read as it shows: numbers, leading zeros, shared and inline texts", async () => {
    const sku = fresh("BOOK");
    const rows = [
      ["SKU", "Qty", "Barcode", "Name"],
      [sku, 3, { v: "4.006381333931E+12" }, { inline: "In <line>" }],
      [{ v: "123", s: 1 }, { v: "2.0" }, null, "Plain"],
      [],
      [`${sku}-D`, { v: "45000", s: 2 }, null, null],
      [`${sku}-F`, { v: "2", f: "1+1" }, null, null],
      [`${sku}-H`, { v: "1.5" }, null, null],
    ];
    const u = await upload(workbook(rows), { name: "scans.xlsx" });
    expect(u).toMatchObject({ format: "xlsx", encoding: null, total_rows: 5, to_create: 2, to_reject: 3 });
    const all = await app.owner.all(`${UPLOADS}/rows?upload_id=${u.id}`);
    expect(all.map(({ row_number }) => row_number)).toEqual([2, 3, 5, 6, 7]);
    const first = { sku, quantity: 3, barcode: "4006381333931", name: "In <line>" };
    expect(JSON.parse(all[0].scan)).toEqual(first);
    expect(JSON.parse(all[1].scan)).toEqual({ sku: "00123", quantity: 2, name: "Plain" });
    const wrong = all.slice(2).map(({ problems }) => problems.map(({ problem }) => problem).join());
    expect(wrong[0]).toContain("date");
    expect(wrong[1]).toContain("formula");
    expect((await apply(u.id)).expect(200).data).toMatchObject({ accepted: 2, rejected: 3 });
    expect(await app.onHand("00123")).toBe(2);
  });

  test("true and false are words, no numbers; a text that the file does not have is told", async () => {
    const sku = fresh("BOOL");
    const lost = { v: 99, t: "s" };
    const cells = [[sku, true, "x"], [sku, 1, true], [sku, 1, lost], [true, 1, "x"]];
    const u = await upload(workbook([["SKU", "Qty", "Name"], ...cells]), { name: "scans.xlsx" });
    expect(u).toMatchObject({ total_rows: 4, to_reject: 2 });
    const [one, two, three, four] = await rows(u.id);
    expect(one).toMatchObject({ verdict: "rejected", problems: [{ field: "quantity" }] });
    expect(JSON.parse(one.original).Qty).toBe("TRUE");
    expect(JSON.parse(two.scan)).toMatchObject({ name: "TRUE", quantity: 1 });
    const problem = expect.stringContaining("not in the file");
    expect(three).toMatchObject({ verdict: "rejected", problems: [{ field: "name", problem }] });
    expect(four.sku).toBe("TRUE");
  });

  const good = () => [["SKU", "Qty"], [fresh("X"), 1]];
  const entities = `<!DOCTYPE x [<!ENTITY a "b">]>${sheet([])}`;
  const beyond = sheet([["sku", "quantity"], ["A", 1]]).replace('<row r="2">', `<row r="${2n ** 63n - 1n}">`);
  const bomb = `<sst>${" ".repeat(40_000_000)}</sst>`;
  test.each([
    ["macros", workbook(good(), { "xl/vbaProject.bin": "x" }), "macros"],
    ["entities", workbook(good(), { "xl/worksheets/sheet1.xml": entities }), "document type"],
    ["a bomb", workbook(good(), { "xl/sharedStrings.xml": bomb }), "inflates"],
    ["half a file", workbook(good()).subarray(0, 300), "damaged"],
    ["broken XML", workbook(good(), { "xl/worksheets/sheet1.xml": "<worksheet><row>" }), "damaged"],
    ["a row beyond any sheet", workbook(good(), { "xl/worksheets/sheet1.xml": beyond }), "1,048,576"],
    ["no workbook part", workbook(good(), { "xl/workbook.xml": null }), "no XLSX"],
    ["no sheet", workbook(good(), { "xl/worksheets/sheet1.xml": null }), "no XLSX"],
  ])("with %s is refused", async (_, file, words) => {
    const error = refused(await send(file, { name: "scans.xlsx" }), 422, "file");
    expect(error.details[0].problem).toContain(words);
  });
});

describe("a file that cannot be read says why", () => {
  test.each([
    ["no SKU", "name,quantity\nx,1\n", "SKU"],
    ["no quantity", "sku,name\nx,1\n", "Quantity"],
    ["a heading twice", "sku,qty,quantity\nx,1,1\n", "quantity"],
    ["nothing", "", "empty"],
    ["blank lines", "\n\n", "no rows"],
    ["an old workbook", Buffer.from("d0cf11e0a1b11ae1", "hex"), ".xls"],
    ["a PDF", "%PDF-1.4", "not a table"],
  ])("%s", async (_, content, words) => {
    const error = refused(await send(content), 422, "file");
    expect(error.details.map(({ problem }) => problem).join()).toContain(words);
  });

  test("what is no form is refused", async () => {
    const csv = { headers: { "content-type": "text/csv" } };
    refused(await app.owner.post(UPLOADS, "sku,quantity\n", csv), 415);
    refused(await app.owner.post(UPLOADS, { file: 1 }), 415);
    const multipart = { headers: { "content-type": "multipart/form-data; boundary=x" } };
    refused(await app.owner.post(UPLOADS, "--y\r\n\r\n--y--", multipart), 400);
    const open = '--x\r\nContent-Disposition: form-data; name="file"';
    refused(await app.owner.post(UPLOADS, open, multipart), 400);
    refused(await send("sku,quantity\n", { field: "datei" }), 422, "datei");
    refused(await send(Buffer.alloc(8_000_001, "x")), 413);
  });

  test("a viewer may look, not upload", async () => {
    const viewer = await app.as("viewer");
    refused(await send("sku,quantity\nV,1\n", {}, viewer), 403);
    (await viewer.get(UPLOADS)).expect(200);
    (await send(`sku,quantity\n${fresh("CLERK")},1\n`, {}, await app.as("clerk"))).expect(201);
  });
});

describe("W1 applying", () => {
  test("good rows count, bad ones become exceptions that name their row", async () => {
    const [sku, other] = [fresh("APPLY"), fresh("APPLY")];
    const u = await upload(`sku,quantity,location\n${sku},3,\n${sku},-1,\n${sku},2,\n${other},1,nowhere\n`);
    const done = (await apply(u.id)).expect(200).data;
    expect(done).toMatchObject({ state: "applied", accepted: 2, rejected: 2, duplicate: 0 });
    expect(sums(done)[1]).toBe(done.total_rows);
    expect(await app.onHand(sku)).toBe(5);
    const all = await rows(u.id);
    expect(all.map(({ outcome }) => outcome)).toEqual(["accepted", "rejected", "accepted", "rejected"]);
    const moves = await app.moves(sku);
    expect(moves.map(({ id }) => id).sort()).toEqual([all[0].move_id, all[2].move_id].sort());
    for (const { source, source_ref } of moves)
      expect([source, source_ref.split(":")[0]]).toEqual(["upload", done.ref_prefix]);
    const kept = await app.owner.all(`${EXCEPTIONS}?filter[upload_id]=${u.id}`);
    expect(kept.map(({ row_number }) => row_number).sort()).toEqual([3, 5]);
    expect(kept[0]).toMatchObject({ kind: "scan", source: "upload", state: "open" });
    const bad = kept.find(({ row_number }) => row_number === 3);
    (await app.owner.patch(`${EXCEPTIONS}/${bad.id}`, { quantity: 4 })).expect(200);
    (await app.owner.post(`${EXCEPTIONS}/${bad.id}/replay`)).expect(201);
    expect(await app.onHand(sku)).toBe(9);
    refused(await apply(u.id), 409);
    refused(await app.owner.delete(`${UPLOADS}/${u.id}`), 409);
  });

  test("the same file again is refused and, when two race, counts once", async () => {
    const sku = fresh("SAME");
    const text = `sku,quantity\n${sku},1\n${sku},1\n`;
    const [first, second] = [await upload(text), await upload(text)];
    expect(second.same_as).toBeNull();
    const answers = await Promise.all([apply(first.id), apply(second.id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await app.onHand(sku)).toBe(2);
    const third = await upload(text);
    expect(third.same_as).toMatch(/^[0-9a-f-]{36}$/);
    expect(third).toMatchObject({ to_skip: 2 });
    refused(await apply(third.id), 409);
    const forced = (await apply(third.id, { force: true })).expect(200).data;
    expect(forced).toMatchObject({ accepted: 2 });
    expect(await app.onHand(sku)).toBe(4);
  });

  test("a scan_id counts once, whichever way it comes", async () => {
    const [sku, scan_id] = [fresh("ONCE"), fresh("gun-9")];
    (await app.owner.post("/api/v1/catalog/ingest", { sku, quantity: 1, scan_id })).expect(201);
    const u = await upload(`sku,quantity,scan id\n${sku},1,${scan_id}\n${sku},1,\n`);
    expect(u).toMatchObject({ to_skip: 1, to_receive: 1 });
    expect((await apply(u.id)).expect(200).data).toMatchObject({ accepted: 1, duplicate: 1 });
    expect(await app.onHand(sku)).toBe(2);
  });

  test("all or none", async () => {
    const sku = fresh("WHOLE");
    const bad = await upload(`sku,quantity\n${sku},1\n${sku},x\n`);
    refused(await apply(bad.id, { all_or_none: true }), 422, "all_or_none");
    expect((await show(bad.id)).state).toBe("ready");
    refused(await app.owner.get(`/api/v1/catalog/${sku}`), 404);
    const good = await upload(`sku,quantity\n${sku},1\n${sku},2\n`);
    expect((await apply(good.id, { all_or_none: true })).expect(200).data).toMatchObject({ accepted: 2 });
    expect(await app.onHand(sku)).toBe(3);
    (await app.owner.delete(`${UPLOADS}/${bad.id}`)).expect(204);
    refused(await app.owner.get(`${UPLOADS}/${bad.id}`), 404);
  });

  test("a large file goes on in the background and adds up", async () => {
    const mark = fresh("LARGE");
    const lines = Array.from({ length: 3000 }, (_, i) => `${mark}.${i % 50},${i % 100 === 7 ? "x" : 1}`);
    const u = await upload(`sku,quantity\n${lines.join("\n")}\n`);
    expect(u).toMatchObject({ total_rows: 3000, to_create: 50, to_reject: 30, to_receive: 2920 });
    expect((await apply(u.id)).expect(200).data).toMatchObject({ state: "applying", cursor_row: 51 });
    const done = await applied(u.id);
    expect(done).toMatchObject({ accepted: 2970, rejected: 30, duplicate: 0, cursor_row: 3001 });
    const levels = await Promise.all(Array.from({ length: 50 }, (_, i) => app.onHand(`${mark}.${i}`)));
    expect(levels.reduce((a, b) => a + b, 0)).toBe(2970);
    const run = { action: "patch", patch: { quantity: 1 }, upload_id: u.id };
    (await app.owner.post(`${EXCEPTIONS}/runs`, run)).expect(201);
    const replay = await app.owner.post(`${EXCEPTIONS}/runs`, { action: "replay", upload_id: u.id });
    expect(replay.expect(201).data).toMatchObject({ succeeded: 30, failed: 0 });
  });
});

describe("there and back in a spreadsheet", () => {
  test("the template is a file that an upload understands", async () => {
    const { text, headers } = (await app.owner.get(`${UPLOADS}/template`)).expect(200);
    expect(headers["content-disposition"]).toContain("attachment");
    const u = await upload(`${text}${fresh("TEMPLATE")},1,,,,\r\n`);
    expect(u).toMatchObject({ to_create: 1, warnings: [] });
  });

  test("exceptions are exported, corrected, uploaded, and end", async () => {
    const mark = fresh("BACK");
    const formula = `=HYPERLINK("x")${mark}`;
    const scans = [
      { sku: `${mark}.1`, quantity: -1, name: formula },
      { sku: `-${mark}`, quantity: 1, location: "nowhere" },
    ];
    (await app.owner.post("/api/v1/catalog/ingest", scans)).expect(200);
    const target = `${EXCEPTIONS}/export?text=${mark}`;
    const { text } = (await app.owner.get(target)).expect(200);
    expect(text).toContain(`"'=HYPERLINK(""x"")${mark}"`);
    expect(text).toContain("quantity must be at least 0");
    const corrected = text.replace(",-1,", ",4,").replace(",nowhere,", ",warehouse,");
    const u = await upload(corrected, { name: "exceptions.csv" });
    expect(u).toMatchObject({ total_rows: 2, to_repair: 2, warnings: [] });
    expect((await apply(u.id)).expect(200).data).toMatchObject({ accepted: 2, rejected: 0 });
    expect(await app.onHand(`${mark}.1`)).toBe(4);
    expect(await app.onHand(`-${mark}`)).toBe(1);
    expect((await app.owner.get(`/api/v1/catalog/${mark}.1`)).data.name).toBe(formula);
    const kept = await app.owner.all(`${EXCEPTIONS}?filter[text]=${mark}`);
    expect(kept.map(({ state }) => state)).toEqual(["resolved", "resolved"]);
    const again = await upload(`${corrected}\r\n`);
    expect((await apply(again.id)).expect(200).data).toMatchObject({ accepted: 0, duplicate: 2 });
    expect(await app.onHand(`${mark}.1`)).toBe(4);
  });

  test("a row that names the exception of a delivery is refused, and the others count", async () => {
    const event = shipment({ items: [{ sku: fresh("NOT-THERE"), quantity: 2 }] });
    (await app.hook(event)).expect(200);
    const { id } = await app.delivery(`${event.shipmentId}:shipped`);
    const sku = fresh("BESIDE");
    const u = await upload(`exception_id,sku,quantity\n${id},${sku},1\n,${sku},2\n`);
    const done = (await apply(u.id)).expect(200).data;
    expect(done).toMatchObject({ state: "applied", accepted: 1, rejected: 1 });
    expect(await app.onHand(sku)).toBe(2);
    expect((await app.owner.get(`${EXCEPTIONS}/${id}`)).expect(200).data.state).toBe("open");
  });
});
