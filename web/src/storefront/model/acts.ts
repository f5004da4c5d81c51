/**
 * What a buyer does to what he has: pay, cancel, give back, wait for units. Each act is written down with its key before it is sent, goes on after a
 * reload, and is repeated with the same key until the server has given a definite answer.
 */
import { cancelOrder, joinWaitingList, type Order, type Payment, payOrder, refundOrder, type WaitingEntry } from '../../api/api'
import type { Caller, Result } from '../../shared/http'
import { Cell } from './cell'
import { type Keep, nameOf } from './keep'
import { pause, type Timer } from './pace'

export type Outcome = 'capture' | 'fail' | 'lose' | 'duplicate' | 'reorder' | 'wrong_amount'

export type Doing =
  | { kind: 'pay'; order: string; outcome: Outcome; afterMs: number }
  | { kind: 'cancel'; order: string }
  | { kind: 'refund'; order: string; returnStock: boolean; reason: string }
  | { kind: 'wait'; sale: string; sku: string; quantity: number }

export interface Act {
  doing: Doing
  n: number
  key: string
  /** open: not answered yet. pending: a payment that its provider has not reported on. */
  state: 'open' | 'pending' | 'done' | 'refused'
  /** While open: the last try has no known outcome. */
  unsure?: boolean
  reason?: string
  payment?: Payment
  entry?: WaitingEntry
}

export interface ActsDeps {
  api: Caller
  keep: Keep
  timer: Timer
  user: string
  /** Told of each order that an answer brings. */
  order: (o: Order) => void
  /** Whether a payment of the order can still change anything. */
  payable: (order: string) => boolean
  renew?: () => Promise<boolean>
}

/** Answers that say that nothing was executed and that the same may be tried again. */
const again = new Set(['quota-exceeded', 'reduced-capacity', 'request-timeout', 'unknown-outcome', 'internal', 'key-in-progress'])

export const busy = (a: Act | undefined): boolean => a?.state === 'open' || a?.state === 'pending'

export class Acts {
  private cells = new Map<string, Cell<Act | undefined>>()
  private running = new Map<string, AbortController>()

  constructor(private readonly d: ActsDeps) {}

  cell(kind: Doing['kind'], ...of: string[]): Cell<Act | undefined> {
    return this.at(`act/${nameOf(this.d.user, kind, ...of)}`)
  }

  /** Begins an act; while one of its kind is under way for the same thing, that one goes on instead. */
  begin(doing: Doing): void {
    const name = this.name(doing)
    const before = this.d.keep.get<Act>(name)
    if (!before || !busy(before)) {
      const n = (before?.n ?? 0) + 1
      this.put({ doing, n, key: `${nameOf(...idOf(doing)).slice(0, 180)}.${doing.kind}.${this.salt()}.${n}`, state: 'open' })
    }
    this.drive(name)
  }

  resume(): void {
    for (const name of this.d.keep.names(`act/${nameOf(this.d.user)}/`)) if (busy(this.d.keep.get<Act>(name))) this.drive(name)
  }

  /** Forgets an act that has ended. */
  forget(doing: Doing): void {
    const name = this.name(doing)
    const a = this.d.keep.get<Act>(name)
    if (!a || busy(a)) return
    this.put({ ...a, state: 'refused', reason: 'left' })
  }

  close(): void {
    for (const a of this.running.values()) a.abort()
    this.running.clear()
  }

  private at(name: string): Cell<Act | undefined> {
    let c = this.cells.get(name)
    if (!c) {
      c = new Cell(this.d.keep.get<Act>(name))
      this.cells.set(name, c)
    }
    return c
  }

  private name(d: Doing): string {
    return `act/${nameOf(this.d.user, d.kind, ...idOf(d))}`
  }

  private salt(): string {
    const slot = `salt/${nameOf(this.d.user)}`
    if (!this.d.keep.get<string>(slot))
      this.d.keep.set(
        slot,
        Math.floor(this.d.timer.random() * 2 ** 52)
          .toString(36)
          .padStart(11, '0'),
      )
    return this.d.keep.get<string>(slot) ?? '0'
  }

  private put(a: Act): Act {
    const name = this.name(a.doing)
    const there = this.d.keep.get<Act>(name)
    if (there && (there.n > a.n || (there.n === a.n && !busy(there) && busy(a)))) {
      this.at(name).set(there)
      return there
    }
    this.d.keep.set(name, a)
    this.at(name).set(a)
    return a
  }

  private drive(name: string): void {
    if (this.running.has(name)) return
    const stop = new AbortController()
    this.running.set(name, stop)
    void this.run(name, stop.signal).finally(() => {
      if (this.running.get(name) === stop) this.running.delete(name)
    })
  }

  private async run(name: string, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      const a = this.d.keep.get<Act>(name)
      if (!a || !busy(a)) return
      if (a.state === 'pending' && !this.d.payable(a.doing.kind === 'pay' ? a.doing.order : '')) {
        this.put({ ...a, state: 'done' }) // the order has told how it ended
        return
      }
      const r = await this.send(a, signal)
      if (signal.aborted) return
      if (r.kind === 'problem' && r.code === 'unauthenticated' && (await this.d.renew?.())) continue
      const next = this.put(after(a, r))
      if (!busy(next)) return
      const wait = r.kind === 'ok' ? 1000 : r.kind === 'problem' ? r.retryAfterMs : 0
      await this.d.timer.sleep(
        pause(tries, wait, () => this.d.timer.random()),
        signal,
      )
    }
  }

  private async send(a: Act, signal: AbortSignal): Promise<Result<Order | Payment | WaitingEntry>> {
    const d = a.doing
    switch (d.kind) {
      case 'pay':
        return payOrder(
          this.d.api,
          { order: d.order, key: a.key, body: { method: 'sandbox', outcome: d.outcome, afterMs: d.afterMs } },
          { signal },
        )
      case 'wait':
        return joinWaitingList(this.d.api, { sale: d.sale, key: a.key, body: { sku: d.sku, quantity: d.quantity } }, { signal })
      case 'cancel':
        return this.told(await cancelOrder(this.d.api, { order: d.order, body: {} }, { signal }))
      case 'refund': {
        const body = { returnStock: d.returnStock, reason: d.reason }
        return this.told(await refundOrder(this.d.api, { order: d.order, key: a.key, body }, { signal }))
      }
    }
  }

  private told(r: Result<Order>): Result<Order> {
    if (r.kind === 'ok') this.d.order(r.body)
    return r
  }
}

const idOf = (d: Doing): string[] => (d.kind === 'wait' ? [d.sale, d.sku] : [d.order])

function after(a: Act, r: Result<Order | Payment | WaitingEntry>): Act {
  const next: Act = { ...a }
  delete next.unsure
  if (r.kind === 'lost') return { ...next, unsure: true }
  if (r.kind === 'problem') {
    if (again.has(r.code)) return { ...next, unsure: r.problem.executed !== false, reason: r.code }
    return { ...next, state: 'refused', reason: r.code }
  }
  delete next.reason
  if (a.doing.kind === 'wait') return { ...next, state: 'done', entry: r.body as WaitingEntry }
  if (a.doing.kind !== 'pay') return { ...next, state: 'done' }
  const payment = r.body as Payment
  return { ...next, payment, state: payment.state === 'pending' ? 'pending' : payment.state === 'failed' ? 'refused' : 'done' }
}
