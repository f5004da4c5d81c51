import type { OperatorOrder } from '../../api/api'
import { At, State } from '../base/parts'

/** All that happened to an order, in its order. */
export function Timeline({ order }: { order: OperatorOrder }) {
  return (
    <ol className="timeline" data-testid="timeline">
      {(order.events ?? []).map(e => (
        <li key={e.n}>
          <At iso={e.at} exact />
          <State value={e.to} />
          <span>{e.why}</span>
        </li>
      ))}
    </ol>
  )
}
