// A file as a browser's form sends it.
export function form(content, { name = "scans.csv", field = "file", boundary = "----entrepot-test" } = {}) {
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\n` +
    "Content-Type: application/octet-stream\r\n\r\n";
  const end = `\r\n--${boundary}--\r\n`;
  const body = Buffer.concat([head, content, end].map((piece) => Buffer.from(piece)));
  return { body, headers: { "content-type": `multipart/form-data; boundary=${boundary}` } };
}
