import type { BreakerView } from '../../api/api'

/** Trips a breaker by hand, or lets it go. */
export function BreakerActs(_: { name: string; breaker: BreakerView }) {
  return null
}
