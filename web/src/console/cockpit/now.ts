/** The present of a sale as the stream tells it; see docs/live.md. */
export interface StockNow {
  sku: string
  offered: number
  available: number
  held: number
  sold: number
  withdrawn: number
}

export interface SaleNow {
  id: string
  title: string
  state: string
  startsAt: string
  endsAt: string
  admission: string
  version: number
  paused: boolean
  forcedSoldOut: boolean
  stock: StockNow[] | null
  answers: Answers
  line: LineNow | null
  lamp: Lamp
}

export const kinds = ['won', 'lost', 'refused', 'throttled', 'shed', 'unknown', 'failed'] as const
export type Kind = (typeof kinds)[number]

export interface Answers {
  /** Processes beside the one that tells: what they answer is not in these figures. */
  others?: number
  perSecond: Record<Kind, number>
  latencyMs: { p50: number; p99: number } | null
  reasons: { reason: string; n: number }[]
  total: number
}

export interface LineNow {
  waiting: number
  away: number
  called: number
  admitted: number
  used: number
  ratePerSecond: number
  draw?: string
}

export interface Lamp {
  state: 'ok' | 'late' | 'bad' | 'off'
  violations: Record<string, number>
}

/** What curves are drawn of, one point a second. */
export interface Point {
  at: number
  available: number
  held: number
  sold: number
  won: number
  lost: number
  refused: number
  shed: number
  p50: number | null
  p99: number | null
}

export const total = (stock: readonly StockNow[], what: 'available' | 'held' | 'sold' | 'withdrawn' | 'offered'): number =>
  stock.reduce((n, row) => n + row[what], 0)

/** One point of the curves. Answers that may be tried again are one curve, those for lack of room another. */
export function pointOf(now: SaleNow, at: number): Point {
  const stock = now.stock ?? []
  const rate = now.answers.perSecond
  return {
    at,
    available: total(stock, 'available'),
    held: total(stock, 'held'),
    sold: total(stock, 'sold'),
    won: rate.won,
    lost: rate.lost,
    refused: rate.refused + rate.throttled,
    shed: rate.shed + rate.unknown + rate.failed,
    p50: now.answers.latencyMs?.p50 ?? null,
    p99: now.answers.latencyMs?.p99 ?? null,
  }
}
