// node server.js plain|tuned REDIS-PORT: serves POST /v1/sales/:sale/attempts on a free port of loopback and prints its address.
//
// plain  one process, the client's defaults
// tuned  two processes on one port, automatic pipelining, the script by its hash, answers by schema
//
// The user is read out of the bearer pass without checking its signature, which is to this peer's advantage.
import cluster from 'node:cluster'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { FlashSale, Refused } from './sale.js'

const [form, port] = process.argv.slice(2)
const tuned = form === 'tuned'
const workers = tuned ? 2 : 1
if (tuned) Error.stackTraceLimit = 0 // a refusal is an error, and its stack is nobody's concern

const text = { type: 'string' }
const whole = { type: 'integer' }
const won = {
  type: 'object',
  properties: {
    state: text, attempt: text, order: text,
    items: { type: 'array', items: { type: 'object', properties: { sku: text, quantity: whole, price: whole } } },
    amount: whole, currency: text, payBefore: text,
  },
}

if (workers > 1 && cluster.isPrimary) {
  let listening = 0
  cluster.on('listening', (_, at) => {
    if (++listening === workers) console.log(`127.0.0.1:${at.port}`)
  })
  cluster.on('exit', () => process.exit(1))
  for (let i = 0; i < workers; i++) cluster.fork()
} else {
  const at = await serve()
  if (workers === 1) console.log(`127.0.0.1:${at}`)
}

async function serve() {
  const redis = new Redis({ port: Number(port), host: '127.0.0.1', enableAutoPipelining: tuned })
  const sale = new FlashSale(redis, { tuned, node: cluster.worker?.id ?? 0 })
  const app = Fastify({ logger: false, keepAliveTimeout: 60_000 })
  app.post('/v1/sales/:sale/attempts', tuned ? { schema: { response: { 201: won } } } : {}, async (request, reply) => {
    const user = userOf(request.headers.authorization)
    const { sku, quantity } = request.body
    if (!user || typeof sku !== 'string' || quantity !== 1) throw new Refused(400, 'bad-request', 'Bad request', 'a pass, a sku and quantity 1')
    reply.code(201)
    return sale.attempt(user, request.params.sale, sku, quantity)
  })
  app.setErrorHandler((err, request, reply) => {
    const { status = err.statusCode ?? 500, type = 'internal', title = 'Error' } = err
    reply.code(status).type('application/problem+json').send(JSON.stringify({
      type: `/problems/${type}`, title, status, detail: err.message, instance: request.url, requestId: request.id,
    }))
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app.server.address().port
}

// userOf reads p1.BASE64URL(8 bytes key, 8 bytes expiry, 1 byte length, user, sale).MAC.
function userOf(header) {
  if (!header?.startsWith('Bearer p1.')) return ''
  const payload = Buffer.from(header.slice(10, header.lastIndexOf('.')), 'base64url')
  return payload.toString('utf8', 17, 17 + payload[16])
}
