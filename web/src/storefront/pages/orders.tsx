import { useEffect } from 'preact/hooks'
import { Go, useTitle } from '../parts'
import { type Mine, useCell, useFrame } from '../shop'
import { moment, money } from '../words/format'

/** My orders, newest first, as they change. */
export function Orders({ mine }: { mine: Mine }) {
  const { say, lang } = useFrame()
  const orders = useCell(mine.orders.all)
  const next = useCell(mine.orders.next)
  const live = useCell(mine.orders.live)
  useTitle(say('orders'))
  useEffect(() => {
    if (mine.orders.next.get() === undefined) void mine.orders.more()
  }, [mine])
  return (
    <>
      <h1>{say('orders')}</h1>
      {live === 'waiting' && <p role="status">{say('live.waiting')}</p>}
      {orders.length === 0 && live !== 'waiting' && (
        <p>
          {say('empty.orders')} <Go to={{ at: 'sales' }}>{say('back')}</Go>
        </p>
      )}
      <ul class="cards" data-testid="orders">
        {orders.map(o => (
          <li key={o.id}>
            <article class="card">
              <Go to={{ at: 'order', order: o.id }} class="title" testid={`order-${o.id}`}>
                {o.items.map(l => say('order.units', { n: l.quantity, name: l.sku })).join(', ')}
              </Go>
              <p class="row">
                <span class={`badge ${o.state}`} data-value={o.state}>
                  {say(`order.${o.state}`)}
                </span>
                <span>{money(o.amount, o.currency, lang)}</span>
                <span class="quiet">{moment(o.createdAt, lang)}</span>
              </p>
            </article>
          </li>
        ))}
      </ul>
      {next && (
        <button type="button" class="second" onClick={() => void mine.orders.more()}>
          {say('order.more')}
        </button>
      )}
    </>
  )
}
