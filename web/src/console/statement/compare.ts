/** Compares a statement with our ledger, page by page, as order/payment/statement/check.go does. */
import { compareStatement, type LedgerEntry, listLedger, type StatementDifference, type StatementLine } from '../../api/api'
import { type Caller, type CallOptions, good } from '../../shared/http'
import { keyOf, moved } from './read'

/** Minor units by currency, of one side. */
export type Sums = Record<string, number>

export interface Found {
  lines: number
  differences: StatementDifference[]
  /** What the statement adds up to, and what our ledger has of the day; ours is known only where a day was named. */
  there: { capture: Sums; refund: Sums }
  here: { capture: Sums; refund: Sums } | null
}

export interface Statement {
  provider: string
  /** A day in UTC, or '': then nothing is looked for that the statement lacks. */
  day: string
  apply: boolean
  lines: StatementLine[]
}

const page = 200
const dayMs = 86_400_000
/** What was learned so close to midnight may stand on the next statement. */
const marginMs = 10 * 60_000

const add = (sums: Sums, currency: string, amount: number) => {
  sums[currency] = (sums[currency] ?? 0) + amount
}

/** tell hears how many lines were compared. An error leaves what came before it done: the same statement may be sent again. */
export async function compare(api: Caller, s: Statement, tell: (lines: number) => void, o: CallOptions = {}): Promise<Found> {
  const found: Found = { lines: s.lines.length, differences: [], there: { capture: {}, refund: {} }, here: null }
  const seen = new Set<string>()
  const once = s.lines.filter(l => {
    const key = `${l.type} ${keyOf(l)}`
    if (seen.has(key)) {
      found.differences.push(twice(l))
      return false
    }
    seen.add(key)
    if (moved(l)) add(found.there[l.type], l.currency, l.amount)
    return true
  })
  for (let at = 0; at < once.length; at += page) {
    const lines = once.slice(at, at + page)
    const r = await good(compareStatement(api, { body: { provider: s.provider, lines, apply: s.apply } }, { timeoutMs: 60_000, ...o }))
    found.differences.push(...(r.items ?? []))
    tell(Math.min(at + page, once.length))
  }
  if (s.day) await lacking(api, s, seen, found, o)
  return found
}

async function lacking(api: Caller, s: Statement, seen: Set<string>, found: Found, o: CallOptions): Promise<void> {
  const from = Date.parse(`${s.day}T00:00:00Z`)
  const here: Found['here'] = { capture: {}, refund: {} }
  for (let cursor: string | undefined; ; ) {
    const r = await good(listLedger(api, { provider: s.provider, day: s.day, limit: page, cursor }, { timeoutMs: 60_000, ...o }))
    for (const m of r.items ?? []) {
      add(here[m.type], m.currency, m.amount)
      const at = Date.parse(m.at)
      const sure = at >= from + marginMs && at < from + dayMs - marginMs
      if (sure && !seen.has(`${m.type} ${m.ref}`)) found.differences.push(missing(m))
    }
    if (!r.next) break
    cursor = r.next
  }
  found.here = here
}

const twice = (l: StatementLine): StatementDifference => ({
  kind: 'duplicate',
  type: l.type,
  ref: keyOf(l),
  ...(l.payment ? { payment: l.payment } : {}),
  here: 'once',
  there: moved(l) ? `${l.amount} ${l.currency}` : (l.state ?? ''),
  do: '',
})

const missing = (m: LedgerEntry): StatementDifference => ({
  kind: 'missing-there',
  type: m.type,
  ref: m.ref,
  payment: m.payment,
  here: `${m.amount} ${m.currency}`,
  there: 'nothing',
  do: '',
})
