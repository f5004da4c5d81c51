/** Reads a provider's statement as order/payment/statement/read.go does: CSV with a header, or NDJSON. */
import type { StatementLine } from '../../api/api'

/** What is wrong with a statement, and on which line. The name is a text of the console. */
export class Unreadable extends Error {
  constructor(
    readonly line: number,
    readonly what: 'columns' | 'fields' | 'json' | 'type' | 'ref' | 'amount' | 'at' | 'quote' | 'empty',
    readonly value = '',
  ) {
    super(`line ${line}: ${what} ${value}`)
  }
}

/** The lines of a statement. Throws [Unreadable]. */
export function readStatement(text: string): StatementLine[] {
  const whole = text.replace(/^\ufeff/, '')
  if (whole.trim() === '') throw new Unreadable(1, 'empty')
  return whole.startsWith('{') ? ndjson(whole) : csv(whole)
}

function ndjson(text: string): StatementLine[] {
  const out: StatementLine[] = []
  text.split('\n').forEach((raw, i) => {
    if (raw.trim() === '') return
    let o: unknown
    try {
      o = JSON.parse(raw)
    } catch {
      throw new Unreadable(i + 1, 'json')
    }
    if (typeof o !== 'object' || o === null) throw new Unreadable(i + 1, 'json')
    out.push(line(name => (o as Record<string, unknown>)[name], i + 1))
  })
  return out
}

function csv(text: string): StatementLine[] {
  const [head, ...rows] = records(text)
  const at = new Map((head?.fields ?? []).map((name, i) => [name.trim().toLowerCase(), i]))
  for (const name of ['type', 'ref', 'amount', 'currency']) if (!at.has(name)) throw new Unreadable(1, 'columns', name)
  return rows.map(r => {
    if (r.fields.length !== head?.fields.length) throw new Unreadable(r.line, 'fields')
    return line(name => r.fields[at.get(name) ?? -1]?.trim(), r.line)
  })
}

interface Row {
  line: number
  fields: string[]
}

/** Splits CSV into records: RFC 4180, with either end of line; empty lines are none. */
function records(text: string): Row[] {
  const out: Row[] = []
  const token = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  let row: Row = { line: 1, fields: [] }
  for (let at = 0, line = 1; at < text.length || row.fields.length > 0; at = token.lastIndex) {
    token.lastIndex = at
    const found = token.exec(text)
    if (!found) throw new Unreadable(line, 'quote')
    const [all, quoted, bare = '', end] = found
    row.fields.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'))
    line += all.split('\n').length - 1
    if (end === ',') continue
    if (row.fields.length > 1 || row.fields[0] !== '') out.push(row)
    row = { line, fields: [] }
  }
  return out
}

const text = (v: unknown): string => (v === undefined || v === null ? '' : String(v))

function line(get: (name: string) => unknown, n: number): StatementLine {
  const type = text(get('type'))
  if (type !== 'capture' && type !== 'refund') throw new Unreadable(n, 'type', type)
  const amount = text(get('amount'))
  // A number that a browser would round is none: money is compared to the unit.
  if (!/^\d+$/.test(amount) || !Number.isSafeInteger(Number(amount))) throw new Unreadable(n, 'amount', amount)
  const l: StatementLine = { type, ref: text(get('ref')), amount: Number(amount), currency: text(get('currency')) }
  for (const name of ['payment', 'refund', 'state'] as const) {
    const value = text(get(name))
    if (value) l[name] = value
  }
  if (keyOf(l) === '') throw new Unreadable(n, 'ref')
  const at = text(get('at'))
  if (at) {
    if (!/^\d{4}-\d\d-\d\dT/.test(at) || Number.isNaN(Date.parse(at))) throw new Unreadable(n, 'at', at)
    l.at = at
  }
  return l
}

/** What a line is known by: the provider's transaction of a capture, our refund where it is named. */
export const keyOf = (l: StatementLine): string => (l.type === 'refund' && l.refund ? l.refund : l.ref)

/** Whether a line says that money moved. */
export const moved = (l: StatementLine): boolean => ['', 'captured', 'refunded', 'booked', 'settled'].includes(l.state ?? '')
