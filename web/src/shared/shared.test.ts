import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { generate, source, target } from '../../scripts/api.mjs'
import { Http, retryAfter } from './http'
import { disagreements, fill, preferred } from './i18n'
import { EventParser, type StreamState, stream } from './sse'

describe('the generated client', () => {
  // It is what docs/openapi.json says.
  it('is current', () => {
    expect(readFileSync(target, 'utf8')).toBe(generate(JSON.parse(readFileSync(source, 'utf8'))))
  })
})

const answering = (r: () => Response | Promise<Response>) => new Http({ fetch: async () => r(), now: () => 1000 })

describe('calls', () => {
  // The browser's cache answers none of them: its 304 would bring back the server's time of an earlier answer.
  it('are never answered by the cache', async () => {
    let cache: string | undefined
    const h = new Http({
      fetch: async (_, o) => {
        cache = o?.cache
        return new Response('{}')
      },
    })
    await h.call('GET', '/', {})
    expect(cache).toBe('no-store')
  })

  // An answer is good, a problem, or lost; what is no answer of ours is lost, never a failure.
  it('have three outcomes', async () => {
    const ok = await answering(
      () => new Response('{"a":1}', { status: 201, headers: { 'Idempotency-Replayed': 'true', 'Retry-After': '2' } }),
    ).call('GET', '/', {})
    expect(ok).toMatchObject({ kind: 'ok', status: 201, body: { a: 1 }, replayed: true, retryAfterMs: 2000 })
    const no = await answering(
      () => new Response('{"type":"https://x/problems/sold-out","status":409,"title":"","detail":""}', { status: 409 }),
    ).call('GET', '/', {})
    expect(no).toMatchObject({ kind: 'problem', code: 'sold-out' })
    for (const r of [
      () => new Response('<html>', { status: 502 }),
      () => new Response('{"oops":1}', { status: 500 }),
      () => Promise.reject(new Error('reset')),
    ]) {
      expect((await answering(r).call('GET', '/', {})).kind).toBe('lost')
    }
  })

  // Keys are quoted, tokens are carried, queries leave out what is not given.
  it('carry what they should', async () => {
    let seen: [string, Headers] | undefined
    const h = new Http({
      token: () => 't',
      fetch: async (u, o) => {
        seen = [String(u), new Headers(o?.headers)]
        return new Response(null, { status: 204 })
      },
    })
    await h.call('POST', '/p', { key: 'a"b', query: { x: 1, y: undefined, z: '' }, body: {} })
    expect([seen?.[0], seen?.[1].get('Idempotency-Key'), seen?.[1].get('Authorization'), seen?.[1].get('Content-Type')]).toEqual([
      '/p?x=1',
      '"a\\"b"',
      'Bearer t',
      'application/json',
    ])
    await h.call('GET', '/p', {}, { token: 'pass' })
    expect(seen?.[1].get('Authorization')).toBe('Bearer pass')
  })

  // A call that takes too long is lost.
  it('end', async () => {
    const h = new Http({
      timeoutMs: 5,
      fetch: (_, o) => new Promise((_, no) => o?.signal?.addEventListener('abort', () => no(new Error('aborted')))),
    })
    expect(await h.call('GET', '/', {})).toEqual({ kind: 'lost', why: 'timeout' })
  })

  // Retry-After is seconds or a date.
  it('read Retry-After', () => {
    const at = (v: string) => retryAfter(new Headers({ 'Retry-After': v }), Date.parse('2026-01-01T00:00:00Z'))
    expect([at('3'), at('Thu, 01 Jan 2026 00:00:09 GMT'), at('soon'), at('Thu, 01 Jan 2020 00:00:00 GMT')]).toEqual([3000, 9000, 0, 0])
  })
})

describe('event streams', () => {
  // Events are the same however the bytes are cut.
  it('are cut at blank lines only', () => {
    const text = ': hi\r\nid: 1:2\nevent: order\ndata: a\ndata:b\n\nretry: 50\r\rdata\n\nid: 3\n\n'
    const want = [
      { event: 'order', data: 'a\nb', id: '1:2' },
      { event: 'message', data: '', id: '1:2' },
    ]
    for (let cut = 0; cut <= text.length; cut++) {
      const p = new EventParser()
      expect([...p.push(text.slice(0, cut)), ...p.push(text.slice(cut))]).toEqual(want)
      expect([p.id, p.retry]).toEqual(['3', 50])
    }
  })

  // A stream that was cut comes again with the last id it has seen, after at least what the server asked for; a refusal may end it.
  it('resume', async () => {
    const asked: (string | null)[] = []
    const waits: number[] = []
    const states: StreamState[] = []
    const answers = [
      () => new Response('id: 7\ndata: x\n\n'),
      () => new Response('{}', { status: 503, headers: { 'Retry-After': '9' } }),
      () => new Response('data: y\n\n'),
      () => new Response('{}', { status: 401 }),
    ]
    const got: string[] = []
    await new Promise<void>(done => {
      stream('/e', {
        lastEventId: '0',
        random: () => 0,
        onEvent: e => got.push(e.data),
        onState: s => {
          states.push(s)
          if (s === 'closed') done()
        },
        onRefused: status => status !== 401,
        fetch: async (_, o) => {
          asked.push(new Headers(o?.headers).get('Last-Event-ID'))
          return (answers.shift() as () => Response)()
        },
        after: (ms, call) => {
          if (ms >= 45_000) return () => undefined
          waits.push(ms)
          queueMicrotask(call)
          return () => undefined
        },
      })
    })
    expect([got, asked]).toEqual([
      ['x', 'y'],
      ['0', '7', '7', '7'],
    ])
    expect(waits[1]).toBeGreaterThanOrEqual(9000)
    expect(states.at(-1)).toBe('closed')
  })
})

describe('languages', () => {
  // What was chosen wins over the browser, and Chinese of any kind is Chinese.
  it('are chosen', () => {
    const kept = (v: string | null) => ({ getItem: () => v })
    expect([
      preferred(kept('zh-CN'), ['en']),
      preferred(kept(null), ['fr', 'zh-TW']),
      preferred(kept('xx'), ['de']),
      preferred(undefined, ['en-GB', 'zh']),
    ]).toEqual(['zh-CN', 'zh-CN', 'en', 'en'])
  })

  // A missing key and a missing place are found.
  it('are compared', () => {
    expect(disagreements({ a: '{n}', b: 'x', c: 'x' }, { a: 'n', b: 'y' })).toEqual(['a has {n} here and  there', 'c is missing'])
    expect(fill('{a} {b}', { a: 1 })).toBe('1 {b}')
  })
})
