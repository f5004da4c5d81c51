// A service that takes part in Penstock's transactions, in plain Node (18 or newer, no packages): it gives out loyalty points.
//
//   node participant.mjs --listen 127.0.0.1:7001 --data points.log --secret whsec_… --points 1000
//
// It answers POST /try, /confirm and /cancel as docs/transactions.md says: 200 when the effect is durable, 409 for a definite no.
// Its store is a log: one JSON line per step of a branch, synced before the answer. The branches read back from it are the
// barrier. GET /points shows what is free, held and taken.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values: opt } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:7001' },
    data: { type: 'string', default: 'points.log' },
    secret: { type: 'string', default: process.env.PARTICIPANT_SECRET ?? '' },
    points: { type: 'string', default: '1000' },
  },
});
const key = Buffer.from(opt.secret.replace(/^whsec_/, ''), 'base64');
if (key.length < 24) {
  console.error('--secret (or PARTICIPANT_SECRET) is whsec_ and the base64 of at least 24 bytes: participants.secret of the data directory');
  process.exit(2);
}

const branches = new Map(); // "transaction/branch" → { state, points }
const account = { free: Number(opt.points), held: 0, taken: 0 };

// What each step does to the account.
const effects = {
  tried: (n) => { account.free -= n; account.held += n; },
  confirmed: (n) => { account.held -= n; account.taken += n; },
  cancelled: (n) => { account.held -= n; account.free += n; },
  void: () => {}, // a cancel that came before its try, which will be refused
};

function apply({ id, state, points }) {
  effects[state](points);
  branches.set(id, { state, points });
}

// A line that a crash cut short was never answered: it is cut off.
const text = existsSync(opt.data) ? readFileSync(opt.data) : Buffer.alloc(0);
const whole = text.lastIndexOf(10) + 1;
for (const line of text.subarray(0, whole).toString().split('\n')) if (line) apply(JSON.parse(line));
const log = openSync(opt.data, 'a');
ftruncateSync(log, whole);

function store(step) {
  try {
    writeSync(log, JSON.stringify(step) + '\n');
    fdatasyncSync(log);
  } catch (err) {
    console.error(err);
    process.exit(1); // what the log holds now is known only by reading it again
  }
  apply(step);
}

const next = { try: { '': 'tried' }, confirm: { tried: 'confirmed' }, cancel: { '': 'void', tried: 'cancelled' } };
const again = { try: ['tried', 'confirmed'], confirm: ['confirmed'], cancel: ['cancelled', 'void'] };

// act returns the status of the answer. Node runs one at a time, so that what is read stays true until it is stored.
function act({ transaction, branch, op, payload }) {
  const id = `${transaction}/${branch}`;
  const known = branches.get(id);
  if (known && again[op].includes(known.state)) return [200, 'done'];
  const state = next[op][known?.state ?? ''];
  const points = known?.points ?? (op === 'try' ? payload?.points : 0);
  if (!state) return [409, `${op}, but the branch is ${known?.state ?? 'unknown'}`];
  if (op === 'try' && !(Number.isSafeInteger(points) && points > 0 && points <= account.free)) return [409, 'too few points'];
  store({ id, state, points });
  return [200, 'done'];
}

// genuine verifies a Standard Webhooks signature: HMAC-SHA256 over id.timestamp.body, not older than five minutes.
function genuine(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signatures = '' } = headers;
  if (!id || !(Math.abs(Date.now() / 1000 - Number(at)) < 300)) return false;
  const want = Buffer.from('v1,' + createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64'));
  return signatures.split(' ').some((s) => s.length === want.length && timingSafeEqual(Buffer.from(s), want));
}

async function serve(req, res) {
  const answer = (status, body) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body) + '\n');
  if (req.method === 'GET' && req.url === '/points') return answer(200, account);
  const op = req.url.slice(1);
  if (req.method !== 'POST' || !Object.hasOwn(next, op)) return answer(404, { title: 'not found' });
  const parts = [];
  let size = 0;
  for await (const part of req) {
    if ((size += part.length) > 1 << 20) return answer(413, { title: 'too large' });
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  if (!genuine(req.headers, body)) return answer(401, { title: 'the signature does not match' });
  let call;
  try {
    call = JSON.parse(body);
  } catch {
    return answer(400, { title: 'no JSON' });
  }
  if (!call.transaction || !call.branch || call.op !== op) return answer(400, { title: 'want transaction, branch, op as in the path' });
  const [status, title] = act(call);
  answer(status, { title });
}

const server = createServer((req, res) => {
  serve(req, res).catch((err) => {
    console.error(err);
    if (!res.headersSent) res.writeHead(503);
    res.end(); // it will be asked again
  });
});
const at = opt.listen.lastIndexOf(':');
server.listen(Number(opt.listen.slice(at + 1)), opt.listen.slice(0, at), () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
process.on('SIGTERM', () => server.close(() => closeSync(log)));
