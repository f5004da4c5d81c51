/**
 * Buying over a network that fails. A wish to buy is an intention: (sale, SKU, n) of one buyer in one browser. Its idempotency key is a function of
 * these, kept before the first call, so that neither a second click, nor a reload, nor another tab makes another purchase of it. Only when the
 * server has bound the key (won, or a final no) does the next click begin the next intention.
 *
 *            want                    201, or bound as won
 *   (none) ───────► working ───────────────────────────────► won
 *                   │  ▲   └─ a final no ──► lost              ▲
 *     202, lost,    │  │ 404: not executed so far              │
 *     500           ▼  │                                       │
 *                  unknown ────────────────────────────────────┘
 *                      └─ leaving, and nothing under way ──► stopped ──(want)──► working, same key
 */
import { attempt, getAttempt, type Won } from '../../api/api'
import type { Caller, Problem, Result } from '../../shared/http'
import { Cell } from './cell'
import { type Keep, nameOf } from './keep'
import { pause, type Timer } from './pace'

export interface Intent {
  sale: string
  sku: string
  quantity: number
  n: number
  key: string
  state: 'working' | 'unknown' | 'won' | 'lost' | 'stopped'
  /** The last problem heard, by the name of its type. */
  reason?: string
  order?: string
  payBefore?: string
  amount?: number
  currency?: string
  /** How many are left, where that was the reason. */
  left?: number
  opensAt?: string
  /** Not before this moment is the server asked again; by this machine's clock. */
  againAt?: number
  /** When calls left, of any tab, whose answers were never heard. While one may still arrive, the key must not be given up. */
  doubts?: Record<string, number>
  /** The buyer wants no more; the truth is still to be heard. */
  leaving?: boolean
}

export interface BuyerDeps {
  api: Caller
  keep: Keep
  timer: Timer
  user: string
  /** The bearer of an attempt where the sale admits by a line. */
  pass?: (sale: string, sku: string) => string | undefined
  /** Gets a new token after a 401; false when there is none to be had. */
  renew?: () => Promise<boolean>
  /** Called for every change of an intention. */
  changed?: (i: Intent) => void
}

/** How long a call may be under way after its answer was lost. */
export const underway = 30_000

export const isOpen = (i: Intent): boolean => i.state === 'working' || i.state === 'unknown'

/** Problems that end an attempt though they bind nothing: trying the same again cannot help now. */
const ends = new Set([
  'sold-out',
  'limit-reached',
  'not-enough-left',
  'sale-closed',
  'pass-required',
  'pass-used',
  'key-reused',
  'not-found',
  'invalid-request',
  'forbidden',
  'key-missing',
  'body-too-large',
  'unsupported-media-type',
  'method-not-allowed',
  'unauthenticated',
  'line-closed',
])
/** Of these, the ones that the server has bound to the key. */
const binds = new Set(['sold-out', 'limit-reached'])

export class Buyer {
  private cells = new Map<string, Cell<Intent | undefined>>()
  private running = new Map<string, AbortController>()
  private closed = false

  constructor(private readonly d: BuyerDeps) {}

  /** The intention of a buyer for a SKU, to be watched. */
  cell(sale: string, sku: string): Cell<Intent | undefined> {
    const name = this.name(sale, sku)
    let c = this.cells.get(name)
    if (!c) {
      c = new Cell(this.d.keep.get<Intent>(name))
      this.cells.set(name, c)
    }
    return c
  }

  /** All intentions that this browser remembers. */
  all(): Intent[] {
    return this.d.keep
      .names(`intent/${nameOf(this.d.user)}/`)
      .map(n => this.d.keep.get<Intent>(n))
      .filter(i => i !== undefined)
  }

  /** A click on "buy". While an intention is open it changes nothing. */
  want(sale: string, sku: string, quantity: number): Intent {
    const before = this.d.keep.get<Intent>(this.name(sale, sku))
    if (before && isOpen(before)) {
      delete before.leaving
      this.d.keep.set(this.name(sale, sku), before)
      this.show(before)
      this.drive(before)
      return before
    }
    let next: Intent
    if (before?.state === 'stopped' && before.quantity === quantity) {
      next = { sale, sku, quantity, n: before.n, key: before.key, state: 'working' }
      if (before.doubts) next.doubts = before.doubts
    } else {
      const n = (before?.n ?? 0) + 1
      next = { sale, sku, quantity, n, key: this.key(sale, sku, n), state: 'working' }
    }
    this.d.keep.set(this.name(sale, sku), next)
    this.show(next)
    this.drive(next)
    return next
  }

  /** Wants no more. What was asked already is still found out. */
  leave(sale: string, sku: string): void {
    const i = this.d.keep.get<Intent>(this.name(sale, sku))
    if (!i || !isOpen(i)) return
    this.put({ ...i, leaving: true })
    this.running.get(this.name(sale, sku))?.abort()
    this.running.delete(this.name(sale, sku))
    this.drive({ ...i, leaving: true })
  }

  /** Goes on with what was open when the page was left. */
  resume(): void {
    for (const i of this.all()) if (isOpen(i)) this.drive(i)
  }

  /** Hears of what another tab has written. */
  refresh(): void {
    for (const [name, c] of this.cells) {
      const i = this.d.keep.get<Intent>(name)
      if (JSON.stringify(i) !== JSON.stringify(c.get())) c.set(i)
    }
    this.resume()
  }

  close(): void {
    this.closed = true
    for (const a of this.running.values()) a.abort()
    this.running.clear()
  }

  private name(sale: string, sku: string): string {
    return `intent/${nameOf(this.d.user, sale, sku)}`
  }

  /** The same in every tab of this browser, and in no other browser. */
  private key(sale: string, sku: string, n: number): string {
    const slot = `salt/${nameOf(this.d.user)}`
    let salt = this.d.keep.get<string>(slot)
    if (!salt) {
      this.d.keep.set(
        slot,
        Math.floor(this.d.timer.random() * 2 ** 52)
          .toString(36)
          .padStart(11, '0'),
      )
      salt = this.d.keep.get<string>(slot) ?? '0'
    }
    let sum = 0xcbf29ce484222325n // names may hold what a header may not
    for (const c of new TextEncoder().encode(nameOf(sale, sku))) sum = BigInt.asUintN(64, (sum ^ BigInt(c)) * 0x100000001b3n)
    return `shop.${salt}.${sum.toString(36)}.${n}`
  }

  /** Writes a change down, unless another tab knows more. Returns what counts. */
  private put(i: Intent): Intent {
    const there = this.d.keep.get<Intent>(this.name(i.sale, i.sku))
    if (there && (there.n > i.n || (there.n === i.n && !isOpen(there) && isOpen(i)))) {
      this.show(there)
      return there
    }
    if (there?.n === i.n && isOpen(i)) {
      if (there.leaving) i.leaving = true
      if (there.doubts) i.doubts = there.doubts
      else delete i.doubts
    }
    this.d.keep.set(this.name(i.sale, i.sku), i)
    this.show(i)
    return i
  }

  /** Writes down that a call has left, or, without a moment, that it was answered. Other tabs may have calls of their own under way. */
  private doubt(i: Intent, call: string, at?: number): void {
    const there = this.d.keep.get<Intent>(this.name(i.sale, i.sku))
    if (there?.n !== i.n || !isOpen(there)) return
    const now = this.d.timer.now()
    const still = Object.entries(there.doubts ?? {}).filter(([c, t]) => c !== call && now - t < underway)
    if (at !== undefined) still.push([call, at])
    if (still.length > 0) there.doubts = Object.fromEntries(still)
    else delete there.doubts
    this.d.keep.set(this.name(i.sale, i.sku), there)
  }

  /** Whether, at a moment, a call might have been under way whose answer was not heard. */
  private unsure(i: Intent, moment: number): boolean {
    return Object.values(this.d.keep.get<Intent>(this.name(i.sale, i.sku))?.doubts ?? {}).some(t => moment - t < underway)
  }

  private show(i: Intent): void {
    this.cell(i.sale, i.sku).set({ ...i })
    this.d.changed?.(i)
  }

  private drive(i: Intent): void {
    const name = this.name(i.sale, i.sku)
    if (this.running.has(name) || this.closed) return
    const stop = new AbortController()
    this.running.set(name, stop)
    void this.run(i, stop.signal).finally(() => {
      if (this.running.get(name) === stop) this.running.delete(name)
    })
  }

  private async run(start: Intent, signal: AbortSignal): Promise<void> {
    // What was under way when the page was left has an answer, or none: asking is cheaper than trying again.
    let i: Intent = { ...start }
    if (i.doubts) i.state = 'unknown'
    for (let tries = 0; isOpen(i) && !signal.aborted; tries++) {
      const left = i.againAt === undefined ? 0 : i.againAt - this.d.timer.now()
      if (left > 0) {
        await this.d.timer.sleep(Math.min(left, 60_000), signal)
        if (signal.aborted) return
      }
      delete i.againAt
      const step = i.state === 'unknown' || i.leaving ? await this.ask(i, signal) : await this.try(i, signal)
      if (signal.aborted) return // what this call heard is heard again by the next
      if (step.wait !== undefined && isOpen(step.intent))
        step.intent.againAt = this.d.timer.now() + pause(tries, step.wait, () => this.d.timer.random())
      i = { ...this.put(step.intent) }
      if (i.n !== start.n) return
    }
  }

  /** Makes the attempt. That it was made is written down first. */
  private async try(i: Intent, signal: AbortSignal): Promise<Step> {
    const sent = this.put({ ...i })
    if (!isOpen(sent) || sent.n !== i.n) return { intent: sent }
    const call = Math.floor(this.d.timer.random() * 2 ** 52).toString(36)
    this.doubt(sent, call, this.d.timer.now())
    const token = this.d.pass?.(i.sale, i.sku)
    const r: Result<Won | { state?: string }> = await attempt(
      this.d.api,
      { sale: i.sale, key: i.key, body: { sku: i.sku, quantity: i.quantity } },
      token ? { signal, token } : { signal },
    )
    const next: Intent = { ...sent }
    if (r.kind === 'ok') return r.body.state === 'won' ? { intent: won(next, r.body as Won) } : unknown(next, r.retryAfterMs)
    if (r.kind === 'lost') return unknown(next, 0)
    if (r.code === 'unknown-outcome' || r.code === 'internal' || (r.problem.executed === null && r.problem.status === 503))
      return unknown(next, r.retryAfterMs)
    this.doubt(sent, call) // a definite answer to this call; others may still be under way
    if (r.code === 'unauthenticated' && (await this.d.renew?.())) return { intent: next, wait: 0 }
    return this.refused(next, r.code, r.problem, r.retryAfterMs)
  }

  private refused(i: Intent, code: string, problem: Problem, retryAfterMs: number): Step {
    i.reason = code
    if (typeof problem['left'] === 'number') i.left = problem['left']
    if (binds.has(code)) return { intent: lost(i) }
    if (code === 'key-in-progress') return unknown(i, retryAfterMs)
    if (code === 'sale-not-open' && typeof problem['opensAt'] === 'string') {
      i.opensAt = problem['opensAt']
      return { intent: i, wait: Math.max(retryAfterMs, 500) }
    }
    if (!ends.has(code)) return { intent: i, wait: Math.max(retryAfterMs, 500) } // nothing was executed: the same key may be tried again
    if (code === 'key-reused') this.doubt(i, code, this.d.timer.now()) // bound to something that was wished before: ask to what
    if (this.unsure(i, this.d.timer.now())) return unknown({ ...i, leaving: true }, 0)
    return { intent: { ...i, state: 'stopped' } }
  }

  /** Asks what the key is bound to. */
  private async ask(i: Intent, signal: AbortSignal): Promise<Step> {
    const asked = this.d.timer.now()
    const r = await getAttempt(this.d.api, { sale: i.sale, key: i.key }, { signal })
    const next: Intent = { ...i }
    if (r.kind === 'lost') return unknown(next, 0)
    if (r.kind === 'ok') {
      if (r.body.state === 'won') return { intent: won(next, r.body) }
      if (r.body.state === 'unknown') return unknown(next, Math.max(r.retryAfterMs, 300))
      if (r.body.reason) next.reason = r.body.reason
      return { intent: lost(next) }
    }
    if (r.code === 'unauthenticated') return (await this.d.renew?.()) ? unknown(next, 0) : unknown({ ...next, reason: r.code }, 5000)
    if (r.code !== 'not-found') return unknown(next, Math.max(r.retryAfterMs, 500))
    // Not executed so far. A call that is still under way may yet be: the key is not given up before that is over.
    if (!next.leaving) return { intent: { ...next, state: 'working' } }
    if (this.unsure(next, asked)) return unknown(next, 2000) // the moment of the question counts: its answer may be old
    delete next.doubts
    delete next.leaving
    return { intent: { ...next, state: 'stopped' } }
  }
}

interface Step {
  intent: Intent
  /** Milliseconds that the server wants to be left alone; the next step comes after that and a pause of our own. */
  wait?: number
}

const unknown = (i: Intent, wait: number): Step => ({ intent: { ...i, state: 'unknown' }, wait })

function won(i: Intent, w: { order?: string; payBefore?: string; amount?: number; currency?: string }): Intent {
  const next = settled(i, 'won')
  if (w.order) next.order = w.order
  if (w.payBefore) next.payBefore = w.payBefore
  if (w.amount !== undefined) next.amount = w.amount
  if (w.currency) next.currency = w.currency
  return next
}

const lost = (i: Intent): Intent => {
  const next = settled(i, 'lost')
  if (i.reason) next.reason = i.reason
  return next
}

const settled = (i: Intent, state: 'won' | 'lost'): Intent => ({
  sale: i.sale,
  sku: i.sku,
  quantity: i.quantity,
  n: i.n,
  key: i.key,
  state,
})
