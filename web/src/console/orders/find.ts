import { type OperatorOrder, operatorGetOrder, operatorListOrders } from '../../api/api'
import { api, type Page, type Result } from '../base/call'
import type { Values } from '../base/filters'
import type { Turn } from '../base/list'

export interface OrdersPage extends Page<OperatorOrder> {
  missing?: number[]
}

/** Orders by what somebody typed: an order's id, else a user or an idempotency key. */
export async function findOrders(f: Values, turn: Turn, o: { signal: AbortSignal }): Promise<Result<OrdersPage>> {
  const q = f['q'] ?? ''
  if (/^\d{10,20}$/.test(q) && !turn.cursor) {
    const one = await operatorGetOrder(api, { order: q }, o)
    if (one.kind === 'ok') return { ...one, body: { items: [one.body], next: '' } }
    if (one.kind === 'lost' || one.problem.status !== 404) return one
  }
  return operatorListOrders(api, { limit: 100, ...turn }, o)
}
