/** How figures, money and times are written. Pure: the language is given, and the time zone is the browser's. */

import type { Lang } from '../../shared/i18n'

export type { Lang } from '../../shared/i18n'

const digitsOf = (currency: string): number => {
  try {
    return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  } catch {
    return 2
  }
}

/** Minor units as a decimal, exactly: 12345 of CNY is "123.45". */
export function decimal(minor: number, currency: string): string {
  const digits = digitsOf(currency)
  const whole = Math.abs(minor)
    .toString()
    .padStart(digits + 1, '0')
  const sign = minor < 0 ? '-' : ''
  return digits === 0 ? sign + whole : `${sign}${whole.slice(0, -digits)}.${whole.slice(-digits)}`
}

/** An amount in minor units for reading. A currency nobody knows keeps its name. */
export function money(minor: number, currency: string, lang: Lang): string {
  if (!/^[A-Z]{3}$/.test(currency)) return `${minor} ${currency}`.trim()
  const exact = decimal(minor, currency) as unknown as number // Intl takes decimals as text, without rounding
  return new Intl.NumberFormat(lang, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }).format(exact)
}

/** What somebody typed as an amount, in minor units; null when it is none or is finer than the currency. */
export function parseMoney(text: string, currency: string): number | null {
  const digits = digitsOf(currency)
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text.trim().replace(/,/g, ''))
  if (!found) return null
  const [, sign, whole, fraction = ''] = found
  if (fraction.length > digits) return null
  const minor = Number(`${whole}${fraction.padEnd(digits, '0')}`)
  return Number.isSafeInteger(minor) ? (sign ? -minor : minor) : null
}

export const count = (n: number, lang: Lang): string => new Intl.NumberFormat(lang, { maximumFractionDigits: 1 }).format(n)

/** A moment in the browser's zone, to the second or the millisecond. */
export function moment(iso: string | undefined, lang: Lang, exact = false): string {
  const at = iso ? new Date(iso) : null
  if (!at || Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1971) return '–'
  return new Intl.DateTimeFormat(lang, {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
    ...(exact ? { fractionalSecondDigits: 3 as const } : {}),
  }).format(at)
}

/** A span in milliseconds, with the two largest units that count: "2 h 5 min", "340 ms". */
export function span(ms: number, lang: Lang): string {
  const zh = lang === 'zh-CN'
  const unit = (n: number, en: string, han: string) => (zh ? `${n}${han}` : `${n} ${en}`)
  const sign = ms < 0 ? '-' : ''
  const abs = Math.abs(ms)
  if (abs < 10) return `${sign}${unit(Math.round(abs * 10) / 10, 'ms', '毫秒')}`
  if (abs < 1000) return `${sign}${unit(Math.round(abs), 'ms', '毫秒')}`
  const s = Math.round(abs / 1000)
  const parts: [number, string][] = [
    [Math.floor(s / 86400), unit(Math.floor(s / 86400), 'd', '天')],
    [Math.floor(s / 3600) % 24, unit(Math.floor(s / 3600) % 24, 'h', '小时')],
    [Math.floor(s / 60) % 60, unit(Math.floor(s / 60) % 60, 'min', '分')],
    [s % 60, unit(s % 60, 's', '秒')],
  ]
  const first = parts.findIndex(([n]) => n > 0)
  const said = parts.slice(first, first + 2).filter(([n], i) => i === 0 || n > 0)
  return sign + said.map(([, words]) => words).join(zh ? '' : ' ')
}

/** What a datetime-local field shows of a moment, and the other way round. */
export function toField(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return ''
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19)
}

export function fromField(text: string): string {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? '' : at.toISOString()
}

export const pretty = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? ''))
