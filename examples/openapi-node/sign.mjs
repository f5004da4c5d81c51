// Signs requests for Penstock's open API (RFC 9421, hmac-sha256; docs/open-api.md). Copy it. Node 20, no dependencies.
import { createHash, createHmac, randomBytes } from "node:crypto";

const covered = ["content-type", "content-digest", "idempotency-key", "if-match"];

// sign returns the headers to send, those given among them, and the text that was signed. Names of headers are in lower case.
export function sign({ method, url, headers = {}, body = "", keyId, secret, created = Math.floor(Date.now() / 1000), nonce = newNonce() }) {
  const { host, pathname, search } = new URL(url);
  const all = { ...headers };
  if (body.length > 0) {
    all["content-digest"] = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  }
  const parts = [["@method", method], ["@authority", host.toLowerCase()], ["@path", pathname], ["@query", search === "" ? "?" : search]];
  for (const name of covered) {
    if (all[name] !== undefined) parts.push([name, all[name].trim()]);
  }
  const names = parts.map(([name]) => `"${name}"`).join(" ");
  const params = `(${names});created=${created};nonce="${nonce}";keyid="${keyId}";alg="hmac-sha256"`;
  const base = [...parts, ["@signature-params", params]].map(([name, value]) => `"${name}": ${value}`).join("\n");
  all["signature-input"] = `sig=${params}`;
  all.signature = `sig=:${createHmac("sha256", secret).update(base).digest("base64")}:`;
  return { headers: all, base };
}

// newNonce returns 24 random characters. A nonce is good for one request.
export function newNonce() {
  return randomBytes(18).toString("base64url");
}
