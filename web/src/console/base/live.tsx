import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { loggedOut, token } from './call'
import { LiveStore } from './livestore'

const LiveContext = createContext<LiveStore | null>(null)

/** One stream of server-sent events for all that a page watches. */
export function LiveProvider({ out, children }: { out: boolean; children: ReactNode }) {
  const cache = useQueryClient()
  const [store] = useState(
    () => new LiveStore({ token: () => token.get() || undefined, loggedOut: () => loggedOut.dispatchEvent(new Event('401')) }),
  )
  useEffect(() => store.start(), [store])
  const was = useRef(out)
  useEffect(() => {
    if (was.current && !out) store.again()
    was.current = out
  }, [store, out])
  useEffect(
    () =>
      store.onNews(kind => {
        // News of these say that something changed, not what: lists that are shown are read again.
        if (['orders', 'dead-letters', 'cases', 'breakers', 'limits'].includes(kind)) void cache.invalidateQueries({ queryKey: [kind] })
      }),
    [store, cache],
  )
  return <LiveContext value={store}>{children}</LiveContext>
}

function useStore(): LiveStore {
  const store = useContext(LiveContext)
  if (!store) throw new Error('no LiveProvider')
  return store
}

/** The present of a topic, as docs/live.md has it; undefined until it was told. */
export function useLive<T>(topic: string): T | undefined {
  const store = useStore()
  useEffect(() => store.watch(topic), [store, topic])
  return useSyncExternalStore(
    call => store.subscribe(call),
    () => store.now(topic) as T | undefined,
  )
}

/** Whether the stream stands. */
export function useLiveState(): boolean {
  const store = useStore()
  return useSyncExternalStore(
    call => store.subscribe(call),
    () => store.on,
  )
}
