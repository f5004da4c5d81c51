import { useCallback, useState } from 'preact/hooks'
import { getWaitingEntry, type ItemView, leaveWaitingList, type View, type WaitingEntry } from '../../api/api'
import { busy } from '../model/acts'
import { type Intent, isOpen } from '../model/buy'
import { Go } from '../parts'
import { type Mine, useCell, useFrame, usePoll } from '../shop'
import { reason } from '../words/words'

const worth = new Set(['sold-out', 'stock-held', 'not-enough-left'])

/** Waiting for units that come back, where the sale keeps a list. */
export function Waitlist({ view, item, mine, intent }: { view: View; item: ItemView; mine: Mine; intent: Intent | undefined }) {
  const { shop, say, words } = useFrame()
  const act = useCell(mine.acts.cell('wait', view.id, item.sku))
  const [entry, show] = useState<WaitingEntry>()
  const id = act?.state === 'done' ? act.entry?.entry : undefined
  const ask = useCallback(async () => {
    if (!id) return
    const r = await getWaitingEntry(shop.http, { sale: view.id, entry: id })
    if (r.kind === 'ok') show(r.body)
  }, [shop, view.id, id])
  usePoll(ask, 10_000, id)
  const now = id ? (entry?.entry === id ? entry : act?.entry) : undefined
  const leave = async () => {
    if (!id || !act) return
    const r = await leaveWaitingList(shop.http, { sale: view.id, entry: id })
    if (r.kind !== 'ok') return
    show(r.body)
    mine.acts.forget(act.doing)
  }
  if (now?.state === 'waiting') {
    return (
      <div role="status" class="answer" data-testid="waiting" data-value="waiting">
        <p>{say('wait.position', { n: now.position ?? 1 })}</p>
        <button type="button" class="second" data-testid="waiting-leave" onClick={() => void leave()}>
          {say('wait.leave')}
        </button>
      </div>
    )
  }
  if (busy(act)) return <p role="status">{say('wait.joining')}</p>
  const useful =
    view.state !== 'closed' && (item.availability === 'held' || item.availability === 'none' || worth.has(intent?.reason ?? ''))
  return (
    <div role="status">
      {now?.state === 'offered' && (
        <p class="answer good" data-testid="waiting" data-value="offered">
          {say('wait.offered')}{' '}
          {now.order && (
            <Go to={{ at: 'order', order: now.order }} testid="order-link">
              {say('order.open')}
            </Go>
          )}
        </p>
      )}
      {now && now.state !== 'offered' && <p>{say('wait.ended')}</p>}
      {act?.state === 'refused' && act.reason !== 'left' && <p data-testid="waiting-refused">{reason(say, words, act.reason)}</p>}
      {useful && now?.state !== 'offered' && !(intent && isOpen(intent) && intent.state === 'unknown') && (
        <button
          type="button"
          class="second"
          data-testid="waiting-join"
          onClick={() => mine.acts.begin({ kind: 'wait', sale: view.id, sku: item.sku, quantity: intent?.quantity ?? 1 })}
        >
          {say('wait.join')}
        </button>
      )}
    </div>
  )
}
