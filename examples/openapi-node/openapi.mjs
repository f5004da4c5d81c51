// Calls Penstock's open API as a third-party app. Node 20, no dependencies.
//
//   OPENAPI_SECRET=pssk_… node openapi.mjs --url https://shop.example.com --key sk_… GET /v1/orders
//   OPENAPI_SECRET=pssk_… node openapi.mjs --url … --key sk_… --idempotency-key k-1 POST /v1/sales/s/attempts '{"sku":"tea","quantity":1}'
//   OPENAPI_SECRET=pscs_… node openapi.mjs --url … --id app_… GET /v1/orders      (by an OAuth2 token)
//   node openapi.mjs --vectors docs/open-api-vectors.json                          (checks sign.mjs)
//
// The answer's body goes to standard output; the exit code is 0 for a success and 1 for everything else.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { sign } from "./sign.mjs";

const text = { type: "string" };
const usage = "write METHOD PATH [BODY], for example --key sk_… GET /v1/orders, with the secret in OPENAPI_SECRET";
const { values: o, positionals: args } = options();
const secret = process.env.OPENAPI_SECRET ?? ""; // not an argument: others on the machine can read those

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { url: { type: "string", default: "http://127.0.0.1:8080" }, key: text, id: text, "idempotency-key": text, vectors: text },
    });
  } catch (e) {
    console.error(`${e.message}\n${usage}`);
    process.exit(1);
  }
}

// grant gets a token by OAuth2 client credentials. Keep it until it expires; this program asks each time.
async function grant() {
  const basic = Buffer.from(`${encodeURIComponent(o.id)}:${encodeURIComponent(secret)}`).toString("base64");
  const res = await fetch(new URL("/oauth2/token", o.url), {
    method: "POST",
    headers: { authorization: `Basic ${basic}`, "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials",
  });
  const answer = await res.json();
  if (!res.ok) throw new Error(`${res.status} ${answer.error}: ${answer.error_description}`);
  return answer.access_token;
}

async function call([method, path, body = ""]) {
  const url = o.url.replace(/\/+$/, "") + path;
  let headers = {};
  if (body !== "") headers["content-type"] = "application/json";
  if (o["idempotency-key"] !== undefined) headers["idempotency-key"] = JSON.stringify(o["idempotency-key"]);
  if (o.id !== undefined) {
    headers.authorization = `Bearer ${await grant()}`;
  } else {
    ({ headers } = sign({ method, url, headers, body, keyId: o.key, secret })); // last: it covers the fields above
  }
  const res = await fetch(url, { method, headers, body: body === "" ? undefined : body });
  console.log(await res.text());
  if (!res.ok) throw new Error(`${res.status} ${res.statusText}`);
}

// checkVectors signs what the file says and compares every step.
function checkVectors(path) {
  const all = JSON.parse(readFileSync(path, "utf8"));
  for (const v of all) {
    const { headers, base } = sign({ ...v, keyId: v.keyid, headers: v.headers ?? {}, body: v.body ?? "" });
    const steps = [["contentDigest", headers["content-digest"] ?? ""], ["base", base], ["signatureInput", headers["signature-input"]], ["signature", headers.signature]];
    for (const [what, got] of steps) {
      if (got !== v[what]) throw new Error(`vector ${v.name}: ${what} is\n${got}\nwant\n${v[what]}`);
    }
  }
  console.log("ok", all.length, "vectors");
}

try {
  if (o.vectors !== undefined) checkVectors(o.vectors);
  else if (args.length < 2 || args.length > 3) throw new Error(usage);
  else if (secret === "" || (o.key === undefined) === (o.id === undefined)) throw new Error("give --key sk_… or --id app_…, and its secret in OPENAPI_SECRET");
  else await call(args);
} catch (err) {
  console.error(err.message);
  process.exitCode = 1;
}
