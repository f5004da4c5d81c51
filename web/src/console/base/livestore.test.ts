import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { StreamOptions } from '../../shared/sse'
import { LiveStore } from './livestore'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setup() {
  const opened: { url: string; o: StreamOptions; closed: boolean }[] = []
  const store = new LiveStore({
    token: () => 't',
    open: (url, o) => {
      const one = { url, o, closed: false }
      opened.push(one)
      return () => {
        one.closed = true
      }
    },
  })
  const say = (topic: string, now: unknown) => opened.at(-1)?.o.onEvent({ event: 'x', id: '1', data: JSON.stringify({ topic, now }) })
  return { store, opened, say }
}

// Parts of a page that mount together ask for one stream, and the stream is the only one that is open.
it('opens one stream for all that a page watches', () => {
  const { store, opened } = setup()
  const stop = store.start()
  const leave = store.watch('sale:night')
  store.watch('sale:night')
  vi.advanceTimersByTime(50)
  expect(opened.map(s => s.url)).toEqual(['/admin/v1/live?topic=monitor&topic=sale%3Anight'])
  leave() // another part still watches it
  vi.advanceTimersByTime(50)
  expect(opened).toHaveLength(1)
  store.watch('orders')
  vi.advanceTimersByTime(50)
  expect(opened.map(s => s.closed)).toEqual([true, false])
  stop()
  expect(opened.every(s => s.closed)).toBe(true)
})

// What is told reaches who watches, and what nobody watches is not kept.
it('keeps the present of what is watched', () => {
  const { store, say } = setup()
  store.start()
  const leave = store.watch('sale:night')
  vi.advanceTimersByTime(50)
  say('sale:night', { sold: 1 })
  say('sale:other', { sold: 2 })
  expect(store.now('sale:night')).toEqual({ sold: 1 })
  expect(store.now('sale:other')).toBeUndefined()
  leave()
  expect(store.now('sale:night')).toBeUndefined()
})

// A stream that is cut off says so until it stands again; a frame that is no JSON breaks nothing.
it('says whether it stands', () => {
  const { store, opened } = setup()
  store.start()
  vi.advanceTimersByTime(50)
  const o = opened[0]?.o
  o?.onState?.('open')
  expect(store.on).toBe(true)
  o?.onEvent({ event: 'x', id: '1', data: '{' })
  o?.onState?.('waiting')
  expect(store.on).toBe(false)
  expect(o?.onRefused?.(404, undefined)).toBe(false)
  expect(o?.onRefused?.(503, undefined)).toBe(true)
})
