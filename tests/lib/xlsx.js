// Workbooks made by hand: what a spreadsheet writes, and what it never would.
import { crc32, deflateRawSync } from "node:zlib";

const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");

// A cell is null, a text (shared), a number, true or false, or {v, s, f, t} as in the file, or {inline}.
function cell(value, ref, shared) {
  if (value === null) return "";
  if (typeof value === "string") return `<c r="${ref}" t="s"><v>${shared.push(value) - 1}</v></c>`;
  if (typeof value === "number") return `<c r="${ref}"><v>${value}</v></c>`;
  if (typeof value === "boolean") return `<c r="${ref}" t="b"><v>${value ? 1 : 0}</v></c>`;
  if (value.inline) return `<c r="${ref}" t="inlineStr"><is><t>${escape(value.inline)}</t></is></c>`;
  const formula = value.f ? `<f>${escape(value.f)}</f>` : "";
  return `<c r="${ref}" s="${value.s ?? 0}" t="${value.t ?? "n"}">${formula}<v>${value.v}</v></c>`;
}

export function sheet(rows, shared = []) {
  const line = (row, i) =>
    `<row r="${i + 1}">${row.map((v, k) => cell(v, `${"ABCDEFG"[k]}${i + 1}`, shared)).join("")}</row>`;
  return `<worksheet><sheetData>${rows.map(line).join("")}</sheetData></worksheet>`;
}

// Style 1 shows five digits, style 2 is a date. Entries that are null are left out.
const STYLES =
  '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="00000"/></numFmts>' +
  '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="14"/></cellXfs></styleSheet>';

export function workbook(rows, more = {}) {
  const shared = [];
  const first = sheet(rows, shared);
  const strings = shared.map((text) => `<si><t>${escape(text)}</t></si>`).join("");
  return zip({
    "[Content_Types].xml": "<Types/>",
    "xl/workbook.xml": "<workbook/>",
    "xl/styles.xml": STYLES,
    "xl/sharedStrings.xml": `<sst>${strings}</sst>`,
    "xl/worksheets/sheet1.xml": first,
    ...more,
  });
}

function zip(entries) {
  const files = [];
  const directory = [];
  let at = 0;
  for (const [name, text] of Object.entries(entries)) {
    if (text === null) continue;
    const data = Buffer.from(text);
    const packed = deflateRawSync(data);
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0);
    head.writeUInt16LE(8, 4);
    head.writeUInt32LE(crc32(data), 10);
    head.writeUInt32LE(packed.length, 14);
    head.writeUInt32LE(data.length, 18);
    head.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), head, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    files.push(local);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), head, tail, Buffer.from(name)]));
    at += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, list, end]);
}
