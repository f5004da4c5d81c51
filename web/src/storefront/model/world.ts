/** A server, a network that fails and time that stands still, for tests. */
import type { Caller, CallRequest, Problem, Result } from '../../shared/http'
import type { Keep } from './keep'
import type { Timer } from './pace'

/** The same numbers for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Lets everything run that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve()
}

export class MemoryKeep implements Keep {
  readonly all = new Map<string, string>()

  get<T>(name: string): T | undefined {
    const text = this.all.get(name)
    return text === undefined ? undefined : (JSON.parse(text) as T)
  }
  set(name: string, value: unknown): void {
    this.all.set(name, JSON.stringify(value))
  }
  remove(name: string): void {
    this.all.delete(name)
  }
  names(prefix: string): string[] {
    return [...this.all.keys()].filter(n => n.startsWith(prefix)).sort()
  }
}

export class StillTimer implements Timer {
  private t = 1_000_000
  private sleepers: { at: number; wake: () => void }[] = []

  constructor(readonly random: () => number) {}

  now = (): number => this.t

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise(done => {
      const wake = () => {
        signal.removeEventListener('abort', wake)
        this.sleepers = this.sleepers.filter(x => x !== s)
        done()
      }
      const s = { at: this.t + ms, wake }
      this.sleepers.push(s)
      signal.addEventListener('abort', wake)
      if (signal.aborted) done()
    })
  }

  advance(ms: number): void {
    this.t += ms
    const due = this.sleepers.filter(s => s.at <= this.t)
    this.sleepers = this.sleepers.filter(s => s.at > this.t)
    for (const s of due) s.wake()
  }
}

export const problem = (code: string, status: number, more: Record<string, unknown> = {}, retryAfterMs = 0): Result<never> => ({
  kind: 'problem',
  code,
  problem: { type: `/problems/${code}`, title: code, status, detail: code, ...more } as Problem,
  retryAfterMs,
})

export const fine = (status: number, body: unknown, retryAfterMs = 0): Result<unknown> => ({
  kind: 'ok',
  status,
  body,
  replayed: false,
  retryAfterMs,
  headers: new Headers(),
})

export interface Letter {
  method: string
  path: string
  request: CallRequest
  /** Gives the caller an answer, unless he has gone or has one. */
  answer: (r: Result<unknown>) => void
  /** When it was sent. */
  at: number
  /** The caller still waits. */
  heard: boolean
}

/** Holds every call until the test decides what becomes of it. */
export class Network implements Caller {
  letters: Letter[] = []

  constructor(private readonly now: () => number = () => 0) {}

  call<T>(method: string, path: string, request: CallRequest, options?: { signal?: AbortSignal }): Promise<Result<T>> {
    return new Promise(done => {
      const letter: Letter = {
        method,
        path,
        request: structuredClone(request),
        heard: true,
        at: this.now(),
        answer: r => {
          if (letter.heard) done(r as Result<T>)
          letter.heard = false
          options?.signal?.removeEventListener('abort', gone)
        },
      }
      const gone = () => letter.answer({ kind: 'lost', why: 'network' })
      this.letters.push(letter)
      options?.signal?.addEventListener('abort', gone)
    })
  }
}

/** What attempts are decided by: a key is bound once. */
export class Server {
  readonly bound = new Map<string, { body: string; answer: Record<string, unknown> & { state: 'won' | 'lost' } }>()
  readonly seen = new Set<string>()
  held = 0

  constructor(
    public stock: number,
    private readonly limit: number,
    private readonly random: () => number,
  ) {}

  get wins(): string[] {
    return [...this.bound].filter(([, b]) => b.answer.state === 'won').map(([key]) => key)
  }

  serve(l: Letter, calm: boolean): Result<unknown> {
    if (l.method === 'GET') return this.look(decodeURIComponent(l.path.slice(l.path.lastIndexOf('/') + 1)))
    const key = l.request.key ?? ''
    const luck = calm ? 1 : this.random()
    if (luck < 0.05) return problem('reduced-capacity', 503, { executed: false }, 1000)
    if (luck < 0.1) return problem('quota-exceeded', 429, { executed: false }, 1000)
    const decided = this.decide(key, JSON.stringify(l.request.body))
    if (luck < 0.2) return fine(202, { state: 'unknown', attempt: key }, 1000)
    if (luck < 0.25) return problem('unknown-outcome', 503, { executed: null }, 1000)
    if (luck < 0.3) return problem('internal', 500)
    return decided
  }

  private decide(key: string, body: string): Result<unknown> {
    this.seen.add(key)
    const before = this.bound.get(key)
    if (before && before.body !== body) return problem('key-reused', 422)
    if (!before) {
      const quantity = (JSON.parse(body) as { quantity: number }).quantity
      if (this.stock === 0 && this.held > 0) return problem('stock-held', 409, {}, 1000)
      if (this.stock > 0 && quantity > this.stock) return problem('not-enough-left', 409, { left: this.stock })
      const lost = this.stock === 0 ? 'sold-out' : this.wins.length >= this.limit ? 'limit-reached' : undefined
      if (!lost) this.stock -= quantity
      this.bound.set(key, {
        body,
        answer: lost ? { state: 'lost', reason: lost, final: true } : { state: 'won', order: `o-${key}`, final: true },
      })
    }
    const answer = this.bound.get(key)?.answer
    return answer?.state === 'won' ? fine(201, answer) : problem(String(answer?.['reason']), 409)
  }

  private look(key: string): Result<unknown> {
    const b = this.bound.get(key)
    return b ? fine(200, b.answer) : problem('not-found', 404)
  }
}
