// The server's own /openapi.json as a judge: every answer must be one that the document promises.
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ERROR = {
  type: "object",
  required: ["data", "error"],
  additionalProperties: false,
  properties: {
    data: { type: "null" },
    error: {
      type: "object",
      required: ["code", "message", "details", "request_id"],
      additionalProperties: false,
      properties: {
        code: { type: "string", pattern: "^[a-z][a-z0-9-]*$" },
        message: { type: "string", minLength: 1 },
        request_id: { type: "string", pattern: "^[\\x21-\\x7e]{1,64}$" },
        details: {
          type: "array",
          items: {
            type: "object",
            required: ["field", "problem"],
            additionalProperties: false,
            properties: { field: { type: "string" }, problem: { type: "string", minLength: 1 } },
          },
        },
      },
    },
  },
};

const METHODS = ["get", "post", "put", "patch", "delete"];

export class Contract {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true });
    addFormats(this.ajv);
    this.ajv.addVocabulary(["example"]);
    // Ajv's strict mode wants schemas alone, without the document round them.
    this.alone = JSON.parse(JSON.stringify(document).replaceAll('"#/components/schemas/', '"component:'));
    for (const [name, schema] of Object.entries(this.alone.components?.schemas ?? {}))
      this.ajv.addSchema(schema, `component:${name}`);
    this.validateError = this.ajv.compile(ERROR);
    // A path without parameters wins over one with them.
    this.templates = Object.keys(document.paths)
      .map((path) => ({
        path,
        pattern: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{[^}]+\}/g, "[^/]+")}$`),
      }))
      .sort((a, b) => a.path.split("{").length - b.path.split("{").length);
  }

  operations() {
    return Object.entries(this.document.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })),
    );
  }

  pathOf(target) {
    const path = target.split("?")[0];
    return this.templates.find(({ pattern }) => pattern.test(path))?.path;
  }

  // Throws where an answer is not what the document says of this path, method and status.
  check({ method, target, status, type, text }) {
    const what = `${method} ${target} → ${status}`;
    const path = this.pathOf(target);
    const operation = path && this.document.paths[path][method.toLowerCase()];
    if (!operation) {
      if (status !== 404 && status !== 405) throw new Error(`${what}: the operation is not in /openapi.json`);
      return this.judge(what, this.validateError, type, text);
    }
    const key = [String(status), `${String(status)[0]}XX`, "default"].find((k) => operation.responses[k]);
    if (!key) throw new Error(`${what}: /openapi.json has no such answer for it: ${text}`);
    if (status >= 400) this.judge(what, this.validateError, type, text);
    this.judge(what, this.validator(path, method.toLowerCase(), key), type, text);
  }

  // The check of an answer's body; null where it has none, undefined where it is a file.
  validator(path, method, key) {
    let response = this.alone.paths[path][method].responses[key];
    if (response.$ref) response = this.alone.components.responses[response.$ref.split("/").at(-1)];
    const schema = response.content?.["application/json"]?.schema;
    if (!schema) return response.content ? undefined : null;
    return this.ajv.compile(schema);
  }

  judge(what, validate, type, text) {
    if (validate === undefined) return;
    if (!validate) {
      if (text !== "") throw new Error(`${what}: /openapi.json promises no body, but there is one: ${text}`);
      return;
    }
    if (!/^application\/json(;|$)/.test(type ?? ""))
      throw new Error(`${what}: the Content-Type is ${type}, not application/json`);
    if (!validate(JSON.parse(text)))
      throw new Error(`${what}: ${this.ajv.errorsText(validate.errors)}\n${text}`);
  }
}
