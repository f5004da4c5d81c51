/**
 * Server-sent events over fetch, because the browser's own EventSource cannot carry a bearer. It resumes with Last-Event-ID, comes again with
 * jitter, obeys Retry-After, and takes a connection that is silent for too long for dead.
 */
import { type Problem, retryAfter } from './http'

export interface ServerEvent {
  event: string
  data: string
  id: string
}

export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed'

export interface StreamOptions {
  fetch?: typeof fetch
  token?: () => string | undefined
  /** The id to begin after; kept up to date by the stream itself. */
  lastEventId?: string
  onEvent: (e: ServerEvent) => void
  onState?: (s: StreamState) => void
  /** Told of refusals; false gives the stream up, such as after a 401 or 404. */
  onRefused?: (status: number, problem: Problem | undefined) => boolean
  /** Milliseconds without a sign of life after which a connection counts as dead. */
  silenceMs?: number
  /** The first and the longest pause before coming again. */
  retryMs?: number
  maxRetryMs?: number
  random?: () => number
  after?: (ms: number, call: () => void) => () => void
}

/** Cuts a stream into events, as the HTML standard says. */
export class EventParser {
  private rest = ''
  private data: string[] = []
  private event = ''
  id: string
  retry: number | undefined

  constructor(id = '') {
    this.id = id
  }

  push(text: string): ServerEvent[] {
    const out: ServerEvent[] = []
    this.rest += text
    for (;;) {
      const end = this.rest.search(/[\r\n]/)
      // A CR at the very end may be half of CRLF.
      if (end < 0 || (this.rest[end] === '\r' && end === this.rest.length - 1)) return out
      const line = this.rest.slice(0, end)
      this.rest = this.rest.slice(end + (this.rest.startsWith('\r\n', end) ? 2 : 1))
      const e = this.line(line)
      if (e) out.push(e)
    }
  }

  private line(line: string): ServerEvent | undefined {
    if (line === '') return this.dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    if (name === 'data') this.data.push(value)
    else if (name === 'event') this.event = value
    else if (name === 'id' && !value.includes('\0')) this.id = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value)
    return undefined
  }

  private dispatch(): ServerEvent | undefined {
    const e = { event: this.event || 'message', data: this.data.join('\n'), id: this.id }
    const some = this.data.length > 0
    this.data = []
    this.event = ''
    return some ? e : undefined
  }
}

const browserAfter = (ms: number, call: () => void): (() => void) => {
  const id = setTimeout(call, ms)
  return () => clearTimeout(id)
}

/** Opens a stream that lives until the answer is called. */
export function stream(url: string, o: StreamOptions): () => void {
  const s = new Stream(url, o)
  s.connect()
  return () => s.close()
}

class Stream {
  private id: string
  private failures = 0
  private closed = false
  private abort: AbortController | undefined
  private pending: (() => void) | undefined
  private retry: number
  private readonly wake = () => {
    if (this.pending) this.again(0)
  }

  constructor(
    private readonly url: string,
    private readonly o: StreamOptions,
  ) {
    this.id = o.lastEventId ?? ''
    this.retry = o.retryMs ?? 1000
    globalThis.addEventListener?.('online', this.wake)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    globalThis.removeEventListener?.('online', this.wake)
    this.pending?.()
    this.abort?.abort()
    this.o.onState?.('closed')
  }

  async connect(): Promise<void> {
    this.pending = undefined
    this.o.onState?.('connecting')
    this.abort = new AbortController()
    let wait = 0
    try {
      const headers = new Headers({ Accept: 'text/event-stream' })
      const token = this.o.token?.()
      if (token) headers.set('Authorization', `Bearer ${token}`)
      if (this.id) headers.set('Last-Event-ID', this.id)
      const r = await (this.o.fetch ?? fetch)(this.url, {
        headers,
        signal: this.abort.signal,
        credentials: 'same-origin',
        cache: 'no-store',
      })
      wait = retryAfter(r.headers, Date.now())
      if (r.status === 204) return this.close()
      if (!r.ok || !r.body) await this.refused(r)
      else await this.read(r.body)
    } catch {
      // Cut off: come again.
    }
    if (!this.closed) this.again(this.pause(wait))
  }

  private async refused(r: Response): Promise<void> {
    const problem = (await r.json().catch(() => undefined)) as Problem | undefined
    this.failures++
    if (this.o.onRefused && !this.o.onRefused(r.status, problem)) this.close()
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new EventParser(this.id)
    const reader = body.getReader()
    const decoder = new TextDecoder()
    const after = this.o.after ?? browserAfter
    let quiet: (() => void) | undefined
    const abort = this.abort
    this.failures++ // until the stream has said something, it has not come back
    try {
      for (;;) {
        quiet = after(this.o.silenceMs ?? 45_000, () => abort?.abort())
        const { done, value } = await reader.read()
        quiet()
        if (done || this.closed) return
        if (this.failures > 0) this.o.onState?.('open')
        this.failures = 0
        for (const e of parser.push(decoder.decode(value, { stream: true }))) this.o.onEvent(e)
        this.id = parser.id
        this.retry = parser.retry ?? this.retry
      }
    } finally {
      quiet?.()
      void reader.cancel().catch(() => undefined)
    }
  }

  /** At least what the server wants; beyond that half fixed and half drawn, so that a crowd that was cut off does not come back at once. */
  private pause(wait: number): number {
    const most = Math.min(this.o.maxRetryMs ?? 30_000, this.retry * 2 ** Math.min(this.failures, 10))
    const random = (this.o.random ?? Math.random)()
    return Math.max(wait, most / 2) + (random * Math.max(wait, most)) / 2
  }

  private again(ms: number): void {
    this.pending?.()
    this.o.onState?.('waiting')
    this.pending = (this.o.after ?? browserAfter)(ms, () => void this.connect())
  }
}
