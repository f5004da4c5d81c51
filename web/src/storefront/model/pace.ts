/** When to try again. */

export interface Timer {
  /** Milliseconds since 1970, by this machine. */
  now(): number
  /** Resolves after some milliseconds, or sooner when something calls wake. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  random(): number
}

/** Pauses that grow from a fifth of a second to ten; never before the server wants to be asked again, and spread so that a crowd is none. */
export function pause(tries: number, retryAfterMs: number, random: () => number): number {
  const grown = Math.min(10_000, 200 * 2 ** Math.min(tries, 10))
  const least = Math.max(retryAfterMs, grown / 2)
  return Math.round(least + random() * Math.min(Math.max(grown, least) / 2, 2000))
}

export class BrowserTimer implements Timer {
  now = (): number => Date.now()
  random = (): number => Math.random()

  /** A connection that comes back ends the wait, but not at once for everybody. */
  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise(done => {
      const end = () => {
        clearTimeout(id)
        signal.removeEventListener('abort', end)
        globalThis.removeEventListener('online', back)
        done()
      }
      const back = () => {
        if (ms > 1000) setTimeout(end, Math.random() * 500)
      }
      const id = setTimeout(end, ms)
      signal.addEventListener('abort', end)
      globalThis.addEventListener('online', back)
      if (signal.aborted) end()
    })
  }
}
