/** Calls to the server. An answer is good, a problem (RFC 9457), or lost: then nobody here knows whether the call was executed. */

/** A problem as the server tells it. Problems of one type always have the same status. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  instance?: string
  requestId?: string
  errors?: { pointer?: string; detail?: string }[]
  /** On 429 and 503: false for not executed, null for nobody knows yet. */
  executed?: boolean | null
  [more: string]: unknown
}

export type Result<T> =
  | { kind: 'ok'; status: number; body: T; replayed: boolean; retryAfterMs: number; headers: Headers }
  | { kind: 'problem'; code: string; problem: Problem; retryAfterMs: number }
  | { kind: 'lost'; why: 'network' | 'timeout' | 'garbled' }

/** Values of a query; several of one name are written with commas. */
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>

export interface CallRequest {
  query?: Query
  body?: unknown
  /** The bare idempotency key; it is quoted on its way. */
  key?: string
  ifMatch?: string
}

export interface CallOptions {
  signal?: AbortSignal
  /** The bearer for this call alone, such as a pass. */
  token?: string
  timeoutMs?: number
}

/** What the generated calls need. */
export interface Caller {
  call<T>(method: string, path: string, request: CallRequest, options?: CallOptions): Promise<Result<T>>
}

export interface HttpOptions {
  fetch?: typeof fetch
  /** The bearer of all calls; without one the browser's cookies speak. */
  token?: () => string | undefined
  timeoutMs?: number
  /** Now in milliseconds, for Retry-After given as a date. */
  now?: () => number
}

export const enc = encodeURIComponent

/** Writes a query with its question mark; '' without any value. */
export function search(query: Query): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') q.set(name, String(value))
  return q.size > 0 ? `?${q}` : ''
}

/** Reads Retry-After, seconds or a date, as milliseconds from now; 0 when there is none. */
export function retryAfter(headers: Headers, now: number): number {
  const value = headers.get('Retry-After')
  if (!value) return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}

/** The name of a problem type: the last part of its address. */
export const codeOf = (p: Problem): string => p.type.slice(p.type.lastIndexOf('/') + 1)

export class Http implements Caller {
  constructor(private readonly o: HttpOptions = {}) {}

  async call<T>(method: string, path: string, request: CallRequest, options: CallOptions = {}): Promise<Result<T>> {
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), options.timeoutMs ?? this.o.timeoutMs ?? 15_000)
    const abort = () => stop.abort()
    options.signal?.addEventListener('abort', abort)
    try {
      const response = await (this.o.fetch ?? fetch)(path + search(request.query ?? {}), {
        method,
        headers: this.headers(request, options),
        signal: stop.signal,
        credentials: 'same-origin',
        // A browser that asks with a tag shows the old body again on 304, and with it the server's time of then.
        cache: 'no-store',
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      })
      return await this.read<T>(response)
    } catch {
      return { kind: 'lost', why: stop.signal.aborted && !options.signal?.aborted ? 'timeout' : 'network' }
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', abort)
    }
  }

  private headers(request: CallRequest, options: CallOptions): Headers {
    const h = new Headers({ Accept: 'application/json' })
    const token = options.token ?? this.o.token?.()
    if (token) h.set('Authorization', `Bearer ${token}`)
    if (request.body !== undefined) h.set('Content-Type', 'application/json')
    if (request.key !== undefined) h.set('Idempotency-Key', JSON.stringify(request.key))
    if (request.ifMatch !== undefined) h.set('If-Match', request.ifMatch)
    return h
  }

  private async read<T>(r: Response): Promise<Result<T>> {
    const wait = retryAfter(r.headers, (this.o.now ?? Date.now)())
    const text = await r.text()
    let body: unknown
    try {
      body = text === '' ? undefined : JSON.parse(text)
    } catch {
      return { kind: 'lost', why: 'garbled' } // not our server, but something between
    }
    if (r.ok)
      return {
        kind: 'ok',
        status: r.status,
        body: body as T,
        replayed: r.headers.get('Idempotency-Replayed') === 'true',
        retryAfterMs: wait,
        headers: r.headers,
      }
    if (!isProblem(body)) return { kind: 'lost', why: 'garbled' }
    return { kind: 'problem', code: codeOf(body), problem: body, retryAfterMs: wait }
  }
}

function isProblem(body: unknown): body is Problem {
  return (
    typeof body === 'object' &&
    body !== null &&
    'type' in body &&
    'status' in body &&
    typeof body.type === 'string' &&
    typeof body.status === 'number'
  )
}

/** Thrown by [good] for what is not good. */
export class CallError extends Error {
  constructor(readonly result: Exclude<Result<unknown>, { kind: 'ok' }>) {
    super(result.kind === 'problem' ? `${result.problem.title}: ${result.problem.detail}` : `lost: ${result.why}`)
  }
}

/** The body of a good answer; throws [CallError] for anything else. For callers such as query caches that want exceptions. */
export async function good<T>(result: Promise<Result<T>>): Promise<T> {
  const r = await result
  if (r.kind === 'ok') return r.body
  throw new CallError(r)
}
