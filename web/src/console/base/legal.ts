/** What may be done now. The server decides; these tables only keep what it would refuse out of sight. */

export type SaleAct = 'open' | 'pause' | 'resume' | 'add-stock' | 'withdraw' | 'force_sold_out' | 'close'
export type Role = 'viewer' | 'support' | 'operator' | 'admin'

const roles: readonly string[] = ['viewer', 'support', 'operator', 'admin']

/** Whether a role reaches another one. One that does not exist reaches none. */
export const reaches = (have: string | undefined, needs: Role): boolean => roles.indexOf(have ?? '') >= roles.indexOf(needs)

export interface SaleNow {
  state: string
  paused: boolean
  forcedSoldOut: boolean
  stock: { available: number }[]
}

/** The acts that a sale's state allows, as sale/operate.go has them. */
export function saleActs(s: SaleNow): Set<SaleAct> {
  const acts = new Set<SaleAct>()
  if (s.state === 'closed') return acts
  if (s.state === 'scheduled') acts.add('open')
  if (!s.paused && ['open', 'scheduled', 'sold_out'].includes(s.state)) acts.add('pause')
  if (s.paused || s.forcedSoldOut) acts.add('resume')
  acts.add('add-stock')
  if (s.stock.some(row => row.available > 0)) acts.add('withdraw')
  if (!s.forcedSoldOut) acts.add('force_sold_out')
  acts.add('close')
  return acts
}

/** The acts on a dead letter: one that was settled is history. */
export const letterActs = (state: string): ('replay' | 'edit' | 'discard')[] => (state === 'dead' ? ['replay', 'edit', 'discard'] : [])
