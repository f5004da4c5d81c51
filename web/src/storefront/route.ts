/** Where in the shop one is. */

export type Place =
  | { at: 'sales' }
  | { at: 'sale'; sale: string }
  | { at: 'why'; sale: string; key: string }
  | { at: 'orders' }
  | { at: 'order'; order: string }
  | { at: 'nowhere' }

export const base = '/shop'

export function placeOf(path: string): Place {
  let parts: string[]
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    return { at: 'nowhere' }
  }
  const [shop, room, id, more, last, ...rest] = parts
  if (shop !== undefined && `/${shop}` !== base) return { at: 'nowhere' }
  if (rest.length > 0) return { at: 'nowhere' }
  if (room === undefined) return { at: 'sales' }
  if (room === 'sales' && id !== undefined && more === undefined) return { at: 'sale', sale: id }
  if (room === 'sales' && id !== undefined && more === 'why' && last !== undefined) return { at: 'why', sale: id, key: last }
  if (room === 'orders' && id === undefined) return { at: 'orders' }
  if (room === 'orders' && id !== undefined && more === undefined) return { at: 'order', order: id }
  return { at: 'nowhere' }
}

const part = encodeURIComponent

export function pathOf(p: Place): string {
  switch (p.at) {
    case 'sale':
      return `${base}/sales/${part(p.sale)}`
    case 'why':
      return `${base}/sales/${part(p.sale)}/why/${part(p.key)}`
    case 'orders':
      return `${base}/orders`
    case 'order':
      return `${base}/orders/${part(p.order)}`
    default:
      return base
  }
}
