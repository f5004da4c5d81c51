import { describe, expect, it } from 'vitest'
import { Buyer, type Intent, isOpen, underway } from './buy'
import { fine, type Letter, MemoryKeep, Network, problem, randomOf, Server, StillTimer, settle } from './world'

const seeds = Number(process.env['BUY_SEEDS'] ?? 400)
const first = Number(process.env['BUY_SEED'] ?? 1)

/** Tabs of one browser, one server, and everything between them. */
class Night {
  readonly random: () => number
  readonly timer: StillTimer
  readonly keep = new MemoryKeep()
  readonly net: Network
  readonly server: Server
  /** Answers on their way, and requests that arrive though their sender has given up. */
  late: { at: number; run: () => void }[] = []
  tabs: Buyer[]
  readonly told = new Map<string, Intent['state']>()
  intentions = 0

  constructor(seed: number) {
    this.random = randomOf(seed)
    this.timer = new StillTimer(this.random)
    this.net = new Network(this.timer.now)
    this.server = new Server(Math.floor(this.random() * 4), 1 + Math.floor(this.random() * 3), this.random)
    this.server.held = this.random() < 0.3 ? 1 : 0
    this.tabs = [this.open(), this.open()]
  }

  open(): Buyer {
    const b = new Buyer({
      api: this.net,
      keep: this.keep,
      timer: this.timer,
      user: 'ann',
      changed: i => {
        if (this.told.get(i.key) !== 'won') this.told.set(i.key, i.state)
      },
    })
    b.resume()
    return b
  }

  kept(): Intent | undefined {
    return this.keep.get<Intent>('intent/ann/s/cup')
  }

  pick(n: number): number {
    return Math.floor(this.random() * n)
  }

  click(): void {
    const before = this.kept()
    const quantity = 1 + this.pick(2)
    this.tabs[this.pick(this.tabs.length)]?.want('s', 'cup', quantity)
    const now = this.kept()
    if (now?.key !== before?.key) {
      this.intentions++
      expect(before === undefined || !isOpen(before), 'a click while an intention is open makes no other').toBe(true)
    }
  }

  /** One call meets its fate. */
  deliver(calm: boolean): void {
    const l = this.net.letters.splice(this.pick(this.net.letters.length), 1)[0]
    if (!l) return
    const fate = calm ? 1 : this.random()
    if (fate < 0.12) {
      l.answer({ kind: 'lost', why: 'network' }) // never arrived
      return
    }
    if (fate < 0.24) {
      this.later(l, () => this.server.serve(l, true)) // arrives when nobody waits for it any more
      l.answer({ kind: 'lost', why: 'timeout' })
      return
    }
    const r = this.server.serve(l, calm)
    if (fate < 0.36)
      l.answer({ kind: 'lost', why: 'network' }) // executed, and the answer lost
    else if (fate < 0.5) this.later(l, () => l.answer(r))
    else l.answer(r)
  }

  later(l: Letter, run: () => void): void {
    this.late.push({ at: l.at, run })
  }

  /** Time goes on. No call is under way for longer than the buyer's part takes it to be. */
  pass(ms: number): void {
    const tired = this.net.letters.filter(l => l.at + 15_000 <= this.timer.now() + ms)
    this.net.letters = this.net.letters.filter(l => !tired.includes(l))
    for (const l of tired) {
      this.later(l, () => this.server.serve(l, true))
      l.answer({ kind: 'lost', why: 'timeout' })
    }
    const due = this.late.filter(l => l.at + underway <= this.timer.now() + ms)
    this.late = this.late.filter(l => !due.includes(l))
    for (const l of due) l.run()
    this.timer.advance(ms)
  }

  reload(): void {
    const n = this.pick(this.tabs.length)
    this.tabs[n]?.close()
    // What the page had sent is on its way all the same.
    for (const l of this.net.letters.splice(0)) if (this.random() < 0.5) this.later(l, () => this.server.serve(l, true))
    this.tabs[n] = this.open()
  }

  async step(): Promise<void> {
    const what = this.random()
    if (what < 0.12) this.click()
    else if (what < 0.5) this.deliver(false)
    else if (what < 0.6) this.late.splice(this.pick(this.late.length), 1)[0]?.run()
    else if (what < 0.7) this.reload()
    else if (what < 0.74) this.tabs[this.pick(2)]?.leave('s', 'cup')
    else if (what < 0.8) this.tabs[this.pick(2)]?.refresh()
    else if (what < 0.83)
      this.server.stock += 2 // units come back
    else this.pass(this.pick(4000))
    await settle()
  }

  /** The faults end, and time goes on. */
  async end(): Promise<void> {
    this.server.held = 0
    for (const l of this.late.splice(0)) l.run()
    for (let i = 0; i < 200; i++) {
      await settle()
      while (this.net.letters.length > 0) {
        this.deliver(true)
        await settle()
      }
      const k = this.kept()
      if (!k || !isOpen(k)) break
      this.pass(5000)
      for (const t of this.tabs) t.refresh()
    }
    await settle()
    for (const t of this.tabs) t.close()
  }
}

describe('buying over a network that fails', () => {
  // However calls, answers, tabs and reloads interleave: each intention buys once or not at all, every win is told, and what is told is what the
  // server has decided.
  it(
    `buys nothing twice and forgets nothing (${seeds} nights from seed ${first})`,
    async () => {
      for (let seed = first; seed < first + seeds; seed++) {
        const night = new Night(seed)
        for (let n = 0; n < 80; n++) await night.step()
        await night.end()
        const say = `seed ${seed}: BUY_SEED=${seed} BUY_SEEDS=1 npx vitest run buy`
        const k = night.kept()
        expect(k && isOpen(k), `${say}: settled`).toBeFalsy()
        expect(night.server.seen.size, `${say}: keys`).toBeLessThanOrEqual(night.intentions)
        for (const key of night.server.wins) expect(night.told.get(key), `${say}: win of ${key} told`).toBe('won')
        for (const [key, state] of night.told)
          if (state === 'won') expect(night.server.bound.get(key)?.answer.state, `${say}: told ${key}`).toBe('won')
        if (k?.state === 'lost') expect(night.server.bound.get(k.key)?.answer.state, say).toBe('lost')
      }
    },
    60_000 + 20 * seeds,
  )
})

function setup(pass?: string) {
  const net = new Network()
  const keep = new MemoryKeep()
  const timer = new StillTimer(() => 0.5)
  const buyer = new Buyer({ api: net, keep, timer, user: 'ann', pass: () => pass })
  const next = () => {
    const l = net.letters.shift()
    if (!l) throw new Error('nothing was sent')
    return l
  }
  const now = () => buyer.cell('s', 'cup').get()
  return { net, keep, timer, buyer, next, now }
}

describe('one purchase', () => {
  // Ten clicks make one call.
  it('sends a double click once', async () => {
    const { buyer, net } = setup()
    for (let i = 0; i < 10; i++) buyer.want('s', 'cup', 1)
    await settle()
    expect(net.letters).toHaveLength(1)
  })

  // The same question after a reload has the same key, and the server is asked before anything is tried again.
  it('keeps its key over a reload', async () => {
    const { buyer, next, keep, timer, net } = setup()
    buyer.want('s', 'cup', 1)
    await settle()
    const key = next().request.key
    buyer.close()
    const again = new Buyer({ api: net, keep, timer, user: 'ann' })
    again.resume()
    await settle()
    const asked = next()
    expect([asked.method, asked.path]).toEqual(['GET', `/v1/sales/s/attempts/${key}`])
    asked.answer(problem('not-found', 404))
    await settle()
    expect(next().request.key).toBe(key)
  })

  // Retry-After is never undercut, and jitter comes on top.
  it('waits as long as it is told', async () => {
    const { buyer, next, net, timer, now } = setup()
    buyer.want('s', 'cup', 1)
    await settle()
    next().answer(problem('reduced-capacity', 503, { executed: false }, 7000))
    await settle()
    expect(now()).toMatchObject({ state: 'working', reason: 'reduced-capacity' })
    timer.advance(7000)
    await settle()
    expect(net.letters).toHaveLength(0)
    timer.advance(2500)
    await settle()
    expect(next().method).toBe('POST')
  })

  // A final no is the end of the key; the next click begins another intention.
  it('takes a new key after a final no, and only then', async () => {
    const { buyer, next, now } = setup()
    buyer.want('s', 'cup', 1)
    await settle()
    const one = next()
    one.answer(problem('sold-out', 409))
    await settle()
    expect(now()).toMatchObject({ state: 'lost', reason: 'sold-out' })
    buyer.want('s', 'cup', 1)
    await settle()
    expect(next().request.key).not.toBe(one.request.key)
  })

  // A no that binds nothing leaves the key good: the same wish goes on with it.
  it('goes on with its key after a no that binds nothing', async () => {
    const { buyer, next, now } = setup()
    buyer.want('s', 'cup', 2)
    await settle()
    const one = next()
    one.answer(problem('not-enough-left', 409, { left: 1 }))
    await settle()
    expect(now()).toMatchObject({ state: 'stopped', left: 1 })
    buyer.want('s', 'cup', 2)
    await settle()
    expect(next().request.key).toBe(one.request.key)
  })

  // Giving up while a call may be under way first finds out what becomes of it.
  it('does not give up a key that may still win', async () => {
    const { buyer, next, timer, now } = setup()
    buyer.want('s', 'cup', 1)
    await settle()
    next().answer({ kind: 'lost', why: 'network' })
    await settle()
    buyer.leave('s', 'cup')
    await settle()
    timer.advance(1000)
    await settle()
    next().answer(problem('not-found', 404))
    await settle()
    expect(now()).toMatchObject({ state: 'unknown', leaving: true })
    timer.advance(10_000)
    await settle()
    next().answer(fine(200, { state: 'won', order: '7' }))
    await settle()
    expect(now()).toMatchObject({ state: 'won', order: '7' })
  })
})
