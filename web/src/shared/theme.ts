/** Light or dark: the system's, until somebody chooses. */

export type Theme = 'system' | 'light' | 'dark'
const slot = 'penstock.theme'

export function readTheme(): Theme {
  try {
    const t = localStorage.getItem(slot)
    return t === 'light' || t === 'dark' ? t : 'system'
  } catch {
    return 'system'
  }
}

/** Shows a theme and keeps it for the next visit. */
export function showTheme(t: Theme): void {
  if (t === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = t
  try {
    localStorage.setItem(slot, t)
  } catch {
    // Then it is for this page only.
  }
}

/** What is seen now. */
export const shownTheme = (t: Theme): 'light' | 'dark' =>
  t === 'system' ? (globalThis.matchMedia?.('(prefers-color-scheme: dark)').matches ? 'dark' : 'light') : t
