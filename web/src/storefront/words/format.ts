/** Money, moments and durations as people read them. */
import type { Lang } from '../../shared/i18n'

/** Minor units of a currency, without a detour over fractions. */
export function money(minor: number, currency: string, lang: Lang): string {
  try {
    const f = new Intl.NumberFormat(lang, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' })
    const digits = f.resolvedOptions().maximumFractionDigits ?? 2
    const text = String(Math.abs(minor)).padStart(digits + 1, '0')
    const exact = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
    return f.format(`${minor < 0 ? '-' : ''}${exact}` as unknown as number) // Intl takes decimals as text, and does not round them
  } catch {
    return `${minor} ${currency}`
  }
}

export const moment = (iso: string, lang: Lang): string =>
  new Intl.DateTimeFormat(lang, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(
    new Date(iso),
  )

/** 3:07, 1:02:07, or 2 d 01:02:07; never less than nothing. A second that has begun counts. */
export function duration(ms: number, lang: Lang): string {
  const all = Math.max(0, Math.ceil(ms / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const [d, h, m, s] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60]
  if (d > 0) return `${d} ${lang === 'en' ? 'd' : '天'} ${two(h)}:${two(m)}:${two(s)}`
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}
