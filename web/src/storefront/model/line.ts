/** The line, or the draw, that one has joined: where one stands, and the pass when it is one's turn. */
import { getLineEntry, joinLine, type LineEntry, leaveLine } from '../../api/api'
import type { Caller, Result } from '../../shared/http'
import { type StreamOptions, stream } from '../../shared/sse'
import { Cell } from './cell'
import { type Keep, nameOf } from './keep'

export interface Standing {
  entry?: LineEntry
  state: 'out' | 'joining' | 'in'
  /** Why one could not join, or is out. */
  reason?: string
}

export interface LinesDeps {
  api: Caller
  keep: Keep
  user: string
  stream: Pick<StreamOptions, 'fetch' | 'token'>
  /** Finds the nonce that a proof of work asks for. */
  work: (challenge: string, bits: number) => Promise<string>
  sleep: (ms: number) => Promise<void>
}

const over = new Set(['used', 'expired', 'left'])

export class Lines {
  private cells = new Map<string, Cell<Standing>>()
  private stops = new Map<string, () => void>()

  constructor(private readonly d: LinesDeps) {}

  cell(sale: string, sku: string): Cell<Standing> {
    const name = this.name(sale, sku)
    let c = this.cells.get(name)
    if (!c) {
      c = new Cell<Standing>({ state: 'out' })
      this.cells.set(name, c)
    }
    return c
  }

  pass = (sale: string, sku: string): string | undefined => this.cells.get(this.name(sale, sku))?.get().entry?.pass

  /** Joins; joining again is being there again, so that a lost answer does no harm. */
  async join(sale: string, sku: string): Promise<void> {
    const c = this.cell(sale, sku)
    if (c.get().state !== 'out') return
    c.set({ state: 'joining' })
    this.d.keep.set(this.name(sale, sku), { sale, sku })
    let proof: { challenge: string; nonce: string } | undefined
    for (let tries = 0; c.get().state === 'joining'; tries++) {
      const r: Result<LineEntry> = await joinLine(this.d.api, { sale, body: proof ? { sku, proof } : { sku } })
      if (r.kind === 'ok') return this.take(sale, sku, r.body)
      if (r.kind === 'problem' && r.code === 'proof-required') {
        proof = await this.prove(r.problem)
        continue
      }
      if (r.kind === 'problem' && r.retryAfterMs === 0 && r.problem.status < 500) {
        this.d.keep.remove(this.name(sale, sku))
        return c.set({ state: 'out', reason: r.code })
      }
      await this.d.sleep(Math.max(r.kind === 'problem' ? r.retryAfterMs : 0, Math.min(10_000, 500 * 2 ** Math.min(tries, 5))))
    }
  }

  /** Goes on standing where the page was left. */
  resume(): void {
    for (const n of this.d.keep.names(`line/${nameOf(this.d.user)}/`)) {
      const at = this.d.keep.get<{ sale: string; sku: string }>(n)
      if (at) void this.join(at.sale, at.sku)
    }
  }

  async leave(sale: string, sku: string): Promise<void> {
    const entry = this.cell(sale, sku).get().entry
    this.end(sale, sku, { state: 'out', reason: 'left' })
    if (entry) await leaveLine(this.d.api, { sale, entry: entry.entry })
  }

  /** Looks at once, such as when the pass was used. */
  async look(sale: string, sku: string): Promise<void> {
    const entry = this.cell(sale, sku).get().entry
    if (!entry) return
    const r = await getLineEntry(this.d.api, { sale, entry: entry.entry })
    if (r.kind === 'ok') this.take(sale, sku, r.body)
  }

  close(): void {
    for (const s of this.stops.values()) s()
    this.stops.clear()
  }

  private name(sale: string, sku: string): string {
    return `line/${nameOf(this.d.user, sale, sku)}`
  }

  private async prove(p: { [more: string]: unknown }): Promise<{ challenge: string; nonce: string } | undefined> {
    const [challenge, bits] = [p['challenge'], p['bits']]
    if (typeof challenge !== 'string' || typeof bits !== 'number') return undefined
    return { challenge, nonce: await this.d.work(challenge, bits) }
  }

  private take(sale: string, sku: string, entry: LineEntry): void {
    if (over.has(entry.state)) {
      this.end(sale, sku, { state: 'out', entry, reason: entry.state })
      return
    }
    this.cell(sale, sku).set({ state: 'in', entry })
    const name = this.name(sale, sku)
    if (this.stops.has(name)) return
    this.stops.set(
      name,
      stream(`/v1/sales/${encodeURIComponent(sale)}/line/${encodeURIComponent(entry.entry)}`, {
        ...this.d.stream,
        onEvent: e => {
          if (e.event === 'entry') this.take(sale, sku, JSON.parse(e.data) as LineEntry)
        },
        onRefused: status => {
          if (status !== 404) return true
          this.end(sale, sku, { state: 'out', reason: 'not-found' })
          return false
        },
      }),
    )
  }

  private end(sale: string, sku: string, s: Standing): void {
    const name = this.name(sale, sku)
    this.d.keep.remove(name)
    this.stops.get(name)?.()
    this.stops.delete(name)
    this.cell(sale, sku).set(s)
  }
}
