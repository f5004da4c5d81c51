import { expect, it } from 'vitest'
import type { StatementDifference, StatementLines } from '../../api/api'
import type { Caller, CallRequest, Result } from '../../shared/http'
import { compare } from './compare'
import { readStatement, Unreadable } from './read'

const head = 'type,ref,payment,refund,amount,currency,state,at\n'

// CSV and NDJSON say the same; quotes, either end of line, a byte order mark, empty lines and unknown columns are taken.
it('reads both forms', () => {
  const want = [{ type: 'capture', ref: 'a,"b"', payment: '7', amount: 4990, currency: 'EUR', at: '2026-11-11T20:00:00Z' }]
  expect(
    readStatement('\ufeffType, ref ,payment,amount,currency,at,bank\r\ncapture,"a,""b""",7,4990,EUR,2026-11-11T20:00:00Z,x\r\n\r\n'),
  ).toEqual(want)
  expect(
    readStatement('{"type":"capture","ref":"a,\\"b\\"","payment":"7","amount":4990,"currency":"EUR","at":"2026-11-11T20:00:00Z"}\n\n'),
  ).toEqual(want)
})

// What cannot be read is told with its line; a sum that would be rounded is no sum.
it.each([
  ['', 1, 'empty'],
  ['type,ref,currency\n', 1, 'columns'],
  [`${head}capture,x,,,1,EUR,,\ncapture,x\n`, 3, 'fields'],
  [`${head}chargeback,x,,,1,EUR,,\n`, 2, 'type'],
  [`${head}capture,,,,1,EUR,,\n`, 2, 'ref'],
  [`${head}capture,x,,,1.5,EUR,,\n`, 2, 'amount'],
  [`${head}capture,x,,,-1,EUR,,\n`, 2, 'amount'],
  [`${head}capture,x,,,9007199254740993,EUR,,\n`, 2, 'amount'],
  [`${head}capture,x,,,1,EUR,,yesterday\n`, 2, 'at'],
  [`${head}capture,"x,,,1,EUR,,\n`, 2, 'quote'],
  ['{"type":"capture"\n', 1, 'json'],
])('refuses %j', (text, line, what) => {
  let found: unknown
  try {
    readStatement(text)
  } catch (err) {
    found = err
  }
  expect(found).toBeInstanceOf(Unreadable)
  expect(found).toMatchObject({ line, what })
})

// Lines go in pages, a second line of a transaction is told and not counted, and what the statement lacks is found but for the minutes
// around midnight.
it('compares page by page, with what is there twice and what is lacking', async () => {
  const asked: CallRequest[] = []
  const ledger = ['00:05:00', '12:00:00', '23:55:00'].map((at, i) => ({
    provider: 'sandbox',
    type: 'capture',
    ref: `lacking-${i}`,
    payment: '9',
    amount: 10,
    currency: 'EUR',
    at: `2026-11-11T${at}Z`,
    seq: String(i),
  }))
  const differs: StatementDifference = { kind: 'missing-here', type: 'capture', ref: 'r-3', here: 'nothing', there: '1 EUR', do: 'ask' }
  const api: Caller = {
    async call<T>(method: string, _: string, request: CallRequest): Promise<Result<T>> {
      asked.push(request)
      const first = asked.length === 1
      const items = method === 'GET' ? (request.query?.['cursor'] ? ledger.slice(2) : ledger.slice(0, 2)) : first ? [differs] : []
      const next = method === 'GET' && !request.query?.['cursor'] ? '1' : ''
      return { kind: 'ok', status: 200, body: { items, next } as T, replayed: false, retryAfterMs: 0, headers: new Headers() }
    },
  }
  const rows = Array.from({ length: 401 }, (_, i) => `capture,r-${i},,,1,EUR,captured,\n`).join('')
  const lines = readStatement(`${head}${rows}capture,r-0,,,1,EUR,captured,\ncapture,late,,,5,EUR,failed,\n`)
  const told: number[] = []
  const found = await compare(api, { provider: 'sandbox', day: '2026-11-11', apply: false, lines }, n => told.push(n))
  expect(asked.slice(0, 3).map(r => (r.body as StatementLines).lines.length)).toEqual([200, 200, 2])
  expect(told).toEqual([200, 400, 402])
  expect(found.differences.map(d => `${d.kind} ${d.ref}`)).toEqual(['duplicate r-0', 'missing-here r-3', 'missing-there lacking-1'])
  expect(found.there).toEqual({ capture: { EUR: 401 }, refund: {} })
  expect(found.here).toEqual({ capture: { EUR: 30 }, refund: {} })
})
