import { useSyncExternalStore } from 'react'

const media = '(max-width: 760px)'

const watch = (change: () => void): (() => void) => {
  const m = matchMedia(media)
  m.addEventListener('change', change)
  return () => m.removeEventListener('change', change)
}

/** Whether the screen is that of a phone. */
export const useNarrow = (): boolean => useSyncExternalStore(watch, () => matchMedia(media).matches)
