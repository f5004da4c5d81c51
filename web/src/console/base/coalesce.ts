/** Updates come as fast as they like and are shown at most four times a second. */

export interface Timer {
  now(): number
  /** Calls back once after some milliseconds; the answer takes it back. */
  after(ms: number, call: () => void): () => void
}

export const browserTimer: Timer = {
  now: () => performance.now(),
  after: (ms, call) => {
    const id = setTimeout(call, ms)
    return () => clearTimeout(id)
  },
}

/** Gathers the newest value per key and hands all that changed over together, the first at once. */
export class Coalescer<T> {
  private waiting = new Map<string, T>()
  private last = Number.NEGATIVE_INFINITY
  private cancel: (() => void) | null = null

  constructor(
    private readonly show: (changed: ReadonlyMap<string, T>) => void,
    private readonly every = 250,
    private readonly timer: Timer = browserTimer,
  ) {}

  put(key: string, value: T): void {
    this.waiting.set(key, value)
    if (this.cancel) return
    const wait = this.last + this.every - this.timer.now()
    if (wait <= 0) this.flush()
    else this.cancel = this.timer.after(wait, () => this.flush())
  }

  private flush(): void {
    this.cancel = null
    this.last = this.timer.now()
    const changed = this.waiting
    this.waiting = new Map()
    this.show(changed)
  }

  stop(): void {
    this.cancel?.()
    this.cancel = null
    this.waiting.clear()
  }
}

/** Keeps the last points of a curve. */
export function push<T>(points: readonly T[], point: T, most: number): T[] {
  return points.length < most ? [...points, point] : [...points.slice(points.length - most + 1), point]
}
