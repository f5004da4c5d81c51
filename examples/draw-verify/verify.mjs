// Recomputes the draws of a sale from what the shop published, with nothing but Node 20:
//   curl -s http://127.0.0.1:8080/v1/sales/first/draw > draw.json && node verify.mjs draw.json [published-before.json]
// The second file is the same document, saved before the public value was known. How it is computed: docs/line.md.
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

const sha = (...parts) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest()
const hex = (text) => {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`not 32 bytes in hex: ${text}`)
  return Buffer.from(text, 'hex')
}
const fail = (why) => { throw new Error(why) }

function recompute(d) {
  if (d.version !== 1 || d.state !== 'drawn') fail(`version ${d.version}, state ${d.state}: nothing to verify`)
  const { version, sale, sku, state, closesAt, publicSource, listedAt, entrants, publicValue } = d
  if (!publicSource || !publicValue) fail('no public source or value')
  if (![closesAt, listedAt].every((t) => new Date(t).toISOString() === t) || listedAt < closesAt) fail('the list was published before the pot closed')
  entrants.forEach((e, i) => { hex(e); if (i && entrants[i - 1] >= e) fail(`entrant ${i} is twice there or out of place`) })
  const commitment = sha(hex(d.secret)).toString('hex')
  const head = JSON.stringify([sale, sku, closesAt, commitment, publicSource, listedAt])
  const list = sha('penstock draw 1\n', head, '\n', ...entrants.map((e) => e + '\n'))
  const seed = sha(hex(d.secret), list, publicValue)
  const ticket = entrants.map((e) => createHmac('sha256', seed).update(hex(e)).digest())
  const order = entrants.map((_, i) => i).sort((a, b) => Buffer.compare(ticket[a], ticket[b]))
  return {
    version, sale, sku, state, closesAt, commitment, publicSource, listedAt, listHash: list.toString('hex'), entrants,
    publicValue, secret: d.secret, seed: seed.toString('hex'), order
  }
}

// file reads a file, or says that it cannot and ends: that is no word on a draw.
function file(path) {
  try {
    return readFileSync(path)
  } catch (e) {
    console.error(path === undefined ? 'write: node verify.mjs draw.json [published-before.json]' : e.message)
    process.exit(2)
  }
}

try {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(file(process.argv[2])).replace(/\n$/, '')
  const published = JSON.parse(text).draws
  if (!Array.isArray(published)) fail('this is no document of a draw')
  const draws = published.map(recompute)
  if (!draws.length || JSON.stringify({ draws }) !== text) fail('what was published is not what its secret, list and value give')
  const before = process.argv[3] ? JSON.parse(file(process.argv[3])).draws : []
  for (const b of before) {
    const d = draws.find((x) => x.sale === b.sale && x.sku === b.sku) ?? fail(`SKU ${b.sku} is missing`)
    for (const name of ['commitment', 'closesAt', 'publicSource']) if (d[name] !== b[name]) fail(`${name} was changed afterwards`)
    if (b.listHash && b.listHash !== d.listHash) fail('the list was changed afterwards')
  }
  for (const d of draws) console.log(`agrees: sale ${d.sale}, SKU ${d.sku}: ${d.order.length} entrants, seed ${d.seed}`)
} catch (e) {
  console.error(`DISAGREES: ${e.message}`)
  process.exit(1)
}
