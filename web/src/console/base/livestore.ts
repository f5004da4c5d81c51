import { type StreamOptions, type StreamState, stream } from '../../shared/sse'
import { Coalescer, type Timer } from './coalesce'

/** What an event of the stream holds: the whole present of a topic, or why it cannot be told. */
interface Told {
  topic: string
  now?: unknown
  error?: unknown
}

export interface LiveOptions {
  token: () => string | undefined
  open?: (url: string, o: StreamOptions) => () => void
  timer?: Timer
  /** Hears that the stream was refused because nobody is logged in any more. */
  loggedOut?: () => void
}

/**
 * The present of the topics that somebody watches, by one stream. Topics come and go with the parts of a page; a change of them opens
 * the stream anew after a moment, so that a page that mounts asks once. What is told is shown at most four times a second.
 */
export class LiveStore {
  on = false
  private readonly watched = new Map<string, number>()
  private readonly values = new Map<string, unknown>()
  private readonly listeners = new Set<() => void>()
  private readonly hearers = new Set<(kind: string) => void>()
  private readonly shown: Coalescer<unknown>
  private asked = ''
  private close: (() => void) | undefined
  private settling: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly o: LiveOptions) {
    this.shown = new Coalescer(
      changed => {
        for (const [topic, now] of changed) this.values.set(topic, now)
        this.tell()
        for (const topic of changed.keys()) for (const hear of this.hearers) hear(topic.split(':')[0] ?? topic)
      },
      250,
      o.timer,
    )
  }

  /** Watches the invariants always: the stream also tells whether the server is there. */
  start(): () => void {
    const leave = this.watch('monitor')
    return () => {
      leave()
      clearTimeout(this.settling)
      this.close?.()
      this.close = undefined
      this.asked = ''
      this.shown.stop()
    }
  }

  watch(topic: string): () => void {
    this.watched.set(topic, (this.watched.get(topic) ?? 0) + 1)
    this.settle()
    return () => {
      const left = (this.watched.get(topic) ?? 1) - 1
      if (left > 0) this.watched.set(topic, left)
      else {
        this.watched.delete(topic)
        this.values.delete(topic)
      }
      this.settle()
    }
  }

  now(topic: string): unknown {
    return this.values.get(topic)
  }

  subscribe(call: () => void): () => void {
    this.listeners.add(call)
    return () => this.listeners.delete(call)
  }

  onNews(hear: (kind: string) => void): () => void {
    this.hearers.add(hear)
    return () => this.hearers.delete(hear)
  }

  /** Begins anew after a refusal: somebody has logged in again. */
  again(): void {
    this.asked = ''
    this.open()
  }

  private settle(): void {
    clearTimeout(this.settling)
    this.settling = setTimeout(() => this.open(), 30)
  }

  private open(): void {
    const url = `/admin/v1/live?${[...this.watched.keys()]
      .sort()
      .map(t => `topic=${encodeURIComponent(t)}`)
      .join('&')}`
    if (this.watched.size === 0 || url === this.asked) return
    this.close?.()
    this.asked = url
    this.close = (this.o.open ?? stream)(url, {
      token: this.o.token,
      silenceMs: 20_000,
      onEvent: e => this.heard(e.data),
      onState: s => this.state(url, s),
      // A topic that is gone, or a session that ended, will not come back; the calls of the page say so.
      onRefused: status => {
        if (status === 401) this.o.loggedOut?.()
        return status === 429 || status >= 500
      },
    })
  }

  private state(url: string, s: StreamState): void {
    if (url !== this.asked) return
    // While a stream comes again what it told stands; it is only said to be old.
    if (s === 'connecting') return
    if (this.on !== (s === 'open')) {
      this.on = s === 'open'
      this.tell()
    }
  }

  private heard(data: string): void {
    let told: Told
    try {
      told = JSON.parse(data) as Told
    } catch {
      return
    }
    if (told.now !== undefined && this.watched.has(told.topic)) this.shown.put(told.topic, told.now)
  }

  private tell(): void {
    for (const call of this.listeners) call()
  }
}
