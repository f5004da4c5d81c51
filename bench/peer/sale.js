// The flash sale as the documents describe it: seven calls of Redis for a win, five for a refusal.
//
//   throttle   SET NX EX 1      one attempt a second and user
//   activity   GET              is the sale open, at what price
//   guard      SET NX EX 10     one attempt at a time of a user and an item
//   stock      EVAL             look and take one unit
//   queue      RPUSH            the order, for the order processor
//   record     LPUSH            the success
//   guard      DEL
//
// Two slips of the documents are mended, because they would only make this peer slower or wrong: the activity is parsed, and the last
// unit is sold. Everything else is as described: what was taken and not queued when the process dies is gone.

// take returns what is left, or -1 where nothing was, or -2 where there is no such item.
const take = `
local stock = redis.call('get', KEYS[1])
if not stock then return -2 end
stock = tonumber(stock)
if stock <= 0 then return -1 end
redis.call('decr', KEYS[1])
return stock - 1`

export class Refused extends Error {
  constructor(status, type, title, detail) {
    super(detail)
    Object.assign(this, { status, type, title })
  }
}

export class FlashSale {
  // tuned: the script by its hash, and the last three calls in one flight.
  constructor(redis, { tuned = false, node = 0 } = {}) {
    this.redis = redis
    this.tuned = tuned
    this.node = node
    this.orders = 0
    redis.defineCommand('takeUnit', { numberOfKeys: 1, lua: take })
  }

  async attempt(user, sale, sku, quantity) {
    const item = `${sale}/${sku}`
    if (!(await this.redis.set(`flashsale:ratelimit:${user}`, '1', 'EX', 1, 'NX'))) {
      throw new Refused(429, 'too-fast', 'Too fast', 'one attempt a second')
    }
    const activity = JSON.parse(await this.redis.get(`flashsale:activity:${item}`))
    if (!activity || Date.now() < activity.startTime) throw new Refused(409, 'not-open', 'Not open', `${item} is not open`)

    const guard = `flashsale:lock:${user}:${item}`
    if (!(await this.redis.set(guard, '1', 'EX', 10, 'NX'))) throw new Refused(409, 'in-progress', 'In progress', 'an attempt is running')
    let held = true
    try {
      const key = `flashsale:stock:${item}`
      const left = this.tuned ? await this.redis.takeUnit(key) : await this.redis.eval(take, 1, key)
      if (left < 0) throw new Refused(409, 'sold-out', 'Sold out', `${sku} is sold out`)

      const now = Date.now()
      const order = `${now}${this.node}${this.orders++}`
      const queue = ['flashsale:queue', JSON.stringify({ order, userId: user, skuId: item, quantity, price: activity.price, status: 0, at: now })]
      const record = [`flashsale:orders:${item}`, JSON.stringify({ userId: user, skuId: item, timestamp: now })]
      if (this.tuned) {
        held = false
        await Promise.all([this.redis.rpush(...queue), this.redis.lpush(...record), this.redis.del(guard)])
      } else {
        await this.redis.rpush(...queue)
        await this.redis.lpush(...record)
      }
      return {
        state: 'won', attempt: order, order, items: [{ sku, quantity, price: activity.price }],
        amount: activity.price * quantity, currency: activity.currency, payBefore: new Date(now + 900_000).toISOString(),
      }
    } finally {
      if (held) await this.redis.del(guard)
    }
  }
}
