import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Acts } from './acts'
import { ServerClock } from './clock'
import { BrowserKeep } from './keep'
import { Orders } from './orders'
import { pause } from './pace'
import { Session } from './session'
import { sha256, work, zeroBits } from './work'
import { fine, MemoryKeep, Network, problem, StillTimer, settle } from './world'

describe('the server’s clock', () => {
  // The middle of question and answer counts, the surest sample wins, and time never goes back.
  it('follows the server and never goes back', () => {
    let mono = 0
    const c = new ServerClock(
      () => mono,
      () => 5,
    )
    const at = Date.parse('2026-01-01T00:00:00Z')
    expect(c.now()).toBe(5)
    let sent = c.mark()
    mono = 100
    c.sample('2026-01-01T00:00:00Z', sent)
    expect(c.now()).toBe(at + 50)
    sent = c.mark()
    mono = 1100
    c.sample('2026-01-01T01:00:00Z', sent) // less sure
    expect(c.now()).toBe(at + 1050)
    sent = c.mark()
    mono = 1102
    c.sample('2026-01-01T00:00:00Z', sent) // surer, and earlier
    expect(c.now()).toBe(at + 1050)
    mono = 5000
    expect(c.now()).toBe(at + 3899)
  })
})

describe('pauses', () => {
  // Never earlier than the server said, never longer than it and two seconds once it is longer than our own.
  it('obey Retry-After', () => {
    for (let tries = 0; tries < 20; tries++) {
      for (const r of [0, 0.5, 0.999]) {
        expect(pause(tries, 30_000, () => r)).toBeGreaterThanOrEqual(30_000)
        expect(pause(tries, 30_000, () => r)).toBeLessThanOrEqual(32_000)
        expect(pause(tries, 0, () => r)).toBeLessThanOrEqual(12_000)
      }
    }
  })
})

function acts() {
  const api = new Network()
  const keep = new MemoryKeep()
  const timer = new StillTimer(() => 0.5)
  let payable = true
  const make = () => new Acts({ api, keep, timer, user: 'ann', order: () => undefined, payable: () => payable })
  const a = make()
  return {
    api,
    keep,
    timer,
    make,
    a,
    now: () => a.cell('pay', '1').get(),
    over: () => {
      payable = false
    },
  }
}

describe('payments', () => {
  // A lost answer, a reload and a silent provider all end in the same payment.
  it('are begun once', async () => {
    const { api, timer, make, a } = acts()
    a.begin({ kind: 'pay', order: '1', outcome: 'capture', afterMs: 0 })
    a.begin({ kind: 'pay', order: '1', outcome: 'fail', afterMs: 0 })
    await settle()
    expect(api.letters).toHaveLength(1)
    const one = api.letters.shift()
    one?.answer({ kind: 'lost', why: 'network' })
    await settle()
    a.close()
    const b = make()
    b.resume()
    await settle()
    const two = api.letters.shift()
    expect([two?.request.key, two?.request.body]).toEqual([one?.request.key, one?.request.body])
    two?.answer(fine(201, { id: 'p', order: '1', state: 'pending' }))
    await settle()
    expect(b.cell('pay', '1').get()?.state).toBe('pending')
    timer.advance(5000)
    await settle()
    const three = api.letters.shift()
    expect(three?.request.key).toBe(one?.request.key)
    three?.answer(fine(201, { id: 'p', order: '1', state: 'captured' }))
    await settle()
    expect(b.cell('pay', '1').get()?.state).toBe('done')
  })

  // After a definite refusal the next try is another payment.
  it('take a new key after a refusal', async () => {
    const { api, a, now } = acts()
    a.begin({ kind: 'pay', order: '1', outcome: 'fail', afterMs: 0 })
    await settle()
    const one = api.letters.shift()
    one?.answer(fine(201, { id: 'p', order: '1', state: 'failed' }))
    await settle()
    expect(now()?.state).toBe('refused')
    a.begin({ kind: 'pay', order: '1', outcome: 'capture', afterMs: 0 })
    await settle()
    expect(api.letters.shift()?.request.key).not.toBe(one?.request.key)
  })

  // A payment its provider never reports on ends with the order.
  it('end with the order', async () => {
    const { api, timer, a, now, over } = acts()
    a.begin({ kind: 'pay', order: '1', outcome: 'lose', afterMs: 0 })
    await settle()
    api.letters.shift()?.answer(fine(201, { id: 'p', order: '1', state: 'pending' }))
    await settle()
    over()
    timer.advance(5000)
    await settle()
    expect(now()?.state).toBe('done')
  })

  // What was not executed is tried again with the same key; what is refused is told.
  it('tell why they were refused', async () => {
    const { api, timer, a, now } = acts()
    a.begin({ kind: 'pay', order: '1', outcome: 'capture', afterMs: 0 })
    await settle()
    const one = api.letters.shift()
    one?.answer(problem('quota-exceeded', 429, { executed: false }, 1000))
    await settle()
    timer.advance(5000)
    await settle()
    const two = api.letters.shift()
    expect(two?.request.key).toBe(one?.request.key)
    two?.answer(problem('payment-in-progress', 409))
    await settle()
    expect(now()).toMatchObject({ state: 'refused', reason: 'payment-in-progress' })
  })
})

describe('my orders', () => {
  const order = (id: string, version: number, state = 'paid') =>
    ({
      id,
      version,
      state,
      createdAt: `2026-01-0${id}T00:00:00Z`,
      sale: 's',
      items: [],
      amount: 1,
      currency: 'EUR',
      refundedAmount: 0,
      payBefore: '',
      events: [],
    }) as never

  // The newest version counts, in whatever order they come.
  it('keep the newest', () => {
    const o = new Orders(new Network())
    o.take(order('1', 3), order('2', 1))
    o.take(order('1', 2, 'pending_payment'))
    expect(o.all.get().map(x => [x.id, x.version])).toEqual([
      ['2', 1],
      ['1', 3],
    ])
  })
})

const tokenOf = (sub: string, exp = 4e9, iat?: number) => `h.${btoa(JSON.stringify({ sub, exp, iat })).replaceAll('=', '')}.s`

function session(fragment: string, o: { login?: string; tab?: string; kept?: string; now?: () => number } = {}) {
  const [keep, tab] = [new MemoryKeep(), new MemoryKeep()]
  if (o.tab) tab.set('token', o.tab)
  if (o.kept) keep.set('token', o.kept)
  let cleared = false
  const s = new Session({
    keep,
    tab,
    login: o.login ?? '',
    fragment,
    now: o.now ?? (() => 1e12),
    clearFragment: () => {
      cleared = true
    },
    fetch: async () => new Response(JSON.stringify({ user: 'visitor-1', token: tokenOf('visitor-1') })),
  })
  return { s, keep, tab, cleared: () => cleared }
}

describe('who buys', () => {
  // A token in the address is taken out of it, and kept for this tab.
  it('takes a token over', async () => {
    const { s, cleared } = session(`#token=${tokenOf('ann')}`)
    await s.start()
    expect([s.who.get()?.user, cleared()]).toEqual(['ann', true])
  })

  // A stranger's link cannot sign somebody else in over a person who is signed in.
  it('does not change the person by a link', async () => {
    const { s } = session(`#token=${tokenOf('mallory')}`, { tab: tokenOf('ann') })
    await s.start()
    expect([s.who.get()?.user, s.refused.get()]).toEqual(['ann', true])
  })

  // The demonstration makes a person, once for all tabs; an expired token is none.
  it('gets a name from the demonstration', async () => {
    const { s, keep } = session('', { login: 'demo', kept: tokenOf('old', 1) })
    await s.start()
    expect([s.who.get()?.user, keep.get('token')]).toEqual(['visitor-1', tokenOf('visitor-1')])
  })

  // A clock that is hours ahead of the server's makes nobody somebody else; a token that has been here for as long as it lives is over.
  it('keeps who is here though the clock is wrong', async () => {
    let now = 1e12
    const old = tokenOf('ann', 1000, 400) // for ten minutes, by a server that is decades behind
    const { s, tab } = session(`#token=${old}`, { login: 'demo', now: () => now })
    await s.start()
    const again = async () => {
      const next = new Session({
        keep: new MemoryKeep(),
        tab,
        login: '',
        fragment: '',
        now: () => now,
        clearFragment: () => {},
        fetch: async () => new Response('', { status: 404 }),
      })
      await next.start()
      return next.who.get()?.user
    }
    now += 599_000
    expect(await again()).toBe('ann')
    now += 2000
    expect(await again()).toBeUndefined()
  })

  // Where there is no login, nobody is asked.
  it('stays nobody', async () => {
    const { s } = session('')
    await s.start()
    expect(s.who.get()).toBeUndefined()
  })
})

describe('keeping', () => {
  // A browser that forbids storage still has what was written until the page is left.
  it('falls back to memory', () => {
    const k = new BrowserKeep(() => {
      throw new Error('forbidden')
    })
    k.set('a/1', { x: 1 })
    expect([k.get('a/1'), k.names('a/')]).toEqual([{ x: 1 }, ['a/1']])
    k.remove('a/1')
    expect(k.get('a/1')).toBeUndefined()
  })
})

describe('work', () => {
  // The digest is SHA-256 at every length around the block's edges, and a nonce proves what is asked.
  it('finds what SHA-256 wants', async () => {
    for (const n of [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 500]) {
      const text = 'x'.repeat(n)
      const hex = [...sha256(text)].map(w => (w >>> 0).toString(16).padStart(8, '0')).join('')
      expect(hex, `${n}`).toBe(createHash('sha256').update(text).digest('hex'))
    }
    const nonce = await work('challenge', 10, () => Promise.resolve())
    expect(zeroBits(sha256(`challenge:${nonce}`))).toBeGreaterThanOrEqual(10)
  })
})
