/** A sale as it is being written. The rules are those of sale/define.go; the server checks them again. */
import type { Definition } from '../../api/api'
import { fromField, parseMoney } from '../base/format'
import type { Key, Params } from '../text'

export interface DraftItem {
  sku: string
  title: string
  price: string
  stock: string
  limit: string
}

/** What the fields of the editor hold, as typed. */
export interface Draft {
  id: string
  title: string
  starts: string
  ends: string
  window: string
  grace: string
  admission: 'open' | 'line' | 'draw'
  waitingList: boolean
  currency: string
  rate: string
  reach: string
  closes: string
  source: string
  items: DraftItem[]
}

export interface Finding {
  /** JSON pointer into the definition. */
  pointer: string
  text: Key
  params?: Params
}

const maxWindow = 30 * 24 * 3600
const maxGrace = 24 * 3600
const maxStock = 1_000_000_000
const maxPrice = 1_000_000_000_000
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const control = /[\u0000-\u001f\u007f-\u009f]/

const whole = (text: string): number | null => (/^\d+$/.test(text.trim()) ? Number(text.trim()) : null)

const titleWrong = (title: string): boolean => title === '' || [...title].length > 200 || control.test(title)

/** Everything that the server would refuse. */
export function findings(d: Draft): Finding[] {
  const out: Finding[] = []
  const add = (pointer: string, text: Key, params?: Params) => out.push(params ? { pointer, text, params } : { pointer, text })
  const seconds = (pointer: string, text: string, least: number, most: number) => {
    const n = whole(text)
    if (text !== '' && (n === null || n < least || n > most)) add(pointer, 'find.range', { least, most })
  }
  if (d.id && !/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(d.id)) add('/id', 'find.id')
  if (titleWrong(d.title)) add('/title', 'find.title')
  const [starts, ends] = [Date.parse(d.starts), Date.parse(d.ends)]
  if (Number.isNaN(starts)) add('/startsAt', 'find.time')
  if (Number.isNaN(ends)) add('/endsAt', 'find.time')
  else if (ends <= starts) add('/endsAt', 'find.order')
  seconds('/paymentWindowSeconds', d.window, 1, maxWindow)
  seconds('/graceSeconds', d.grace, 0, maxGrace)
  if (!/^[A-Z]{3}$/.test(d.currency)) add('/items/0/currency', 'find.currency')
  if (d.admission !== 'open') seconds('/line/ratePerSecond', d.rate, 1, 1_000_000)
  if (d.admission !== 'open' && d.reach !== '' && !(Number(d.reach) >= 0)) add('/line/reach', 'find.number')
  if (d.admission === 'draw' && !d.source.trim()) add('/line/publicSource', 'find.source')
  else if (d.admission === 'draw' && (new TextEncoder().encode(d.source).length > 200 || control.test(d.source)))
    add('/line/publicSource', 'find.sourceLong')
  if (d.admission === 'draw' && d.closes !== '' && !(Date.parse(d.closes) < ends)) add('/line/closesAt', 'find.closes')
  if (d.items.length === 0 || d.items.length > 50) add('/items', 'find.items')
  return out.concat(d.items.flatMap((item, i) => itemFindings(d, item, i)))
}

function itemFindings(d: Draft, item: DraftItem, i: number): Finding[] {
  const out: Finding[] = []
  const at = `/items/${i}`
  if (!item.sku || new TextEncoder().encode(item.sku).length > 64 || control.test(item.sku))
    out.push({ pointer: `${at}/sku`, text: 'find.sku' })
  else if (d.items.findIndex(other => other.sku === item.sku) < i) out.push({ pointer: `${at}/sku`, text: 'find.twice' })
  if (titleWrong(item.title)) out.push({ pointer: `${at}/title`, text: 'find.title' })
  const price = parseMoney(item.price, d.currency)
  if (price === null || price < 0 || price > maxPrice) out.push({ pointer: `${at}/price`, text: 'find.price' })
  const stock = whole(item.stock)
  if (stock === null || stock > maxStock) out.push({ pointer: `${at}/stock`, text: 'find.range', params: { least: 0, most: maxStock } })
  const limit = whole(item.limit || '0')
  if (limit === null || limit > maxStock)
    out.push({ pointer: `${at}/limitPerUser`, text: 'find.range', params: { least: 0, most: maxStock } })
  return out
}

/** What is allowed and rarely meant. */
export function doubts(d: Draft, now: number): Finding[] {
  const out: Finding[] = []
  if (Date.parse(d.starts) <= now) out.push({ pointer: '/startsAt', text: 'doubt.atOnce' })
  if (Date.parse(d.ends) <= now) out.push({ pointer: '/endsAt', text: 'doubt.over' })
  d.items.forEach((item, i) => {
    if (whole(item.stock) === 0) out.push({ pointer: `/items/${i}/stock`, text: 'doubt.nothing' })
    if (parseMoney(item.price, d.currency) === 0) out.push({ pointer: `/items/${i}/price`, text: 'doubt.free' })
    if (whole(item.limit || '0') === 0) out.push({ pointer: `/items/${i}/limitPerUser`, text: 'doubt.noLimit' })
  })
  return out
}

/** The body of the call. Only for a draft without findings. */
export function definition(d: Draft): Definition {
  const line = {
    ...(d.rate ? { ratePerSecond: Number(d.rate) } : {}),
    ...(d.reach ? { reach: Number(d.reach) } : {}),
    ...(d.admission === 'draw' && d.closes ? { closesAt: fromField(d.closes) } : {}),
    ...(d.admission === 'draw' && d.source ? { publicSource: d.source } : {}),
  }
  return {
    ...(d.id ? { id: d.id } : {}),
    title: d.title,
    startsAt: fromField(d.starts),
    endsAt: fromField(d.ends),
    admission: d.admission,
    waitingList: d.waitingList,
    ...(d.window ? { paymentWindowSeconds: Number(d.window) } : {}),
    ...(d.grace ? { graceSeconds: Number(d.grace) } : {}),
    ...(d.admission !== 'open' && Object.keys(line).length > 0 ? { line } : {}),
    items: d.items.map(item => ({
      sku: item.sku,
      title: item.title,
      price: parseMoney(item.price, d.currency) ?? 0,
      currency: d.currency,
      stock: Number(item.stock),
      limitPerUser: Number(item.limit || '0'),
    })),
  }
}

/** Units and their worth, in all. */
export function worth(d: Draft): { units: number; minor: number } {
  return d.items.reduce(
    (sum, item) => {
      const units = whole(item.stock) ?? 0
      return { units: sum.units + units, minor: sum.minor + units * (parseMoney(item.price, d.currency) ?? 0) }
    },
    { units: 0, minor: 0 },
  )
}
