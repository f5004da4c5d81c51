import { useState } from 'preact/hooks'
import type { ItemView, View } from '../../api/api'
import { type Intent, isOpen } from '../model/buy'
import { Go } from '../parts'
import { type Mine, useCell, useFrame, useNow } from '../shop'
import { duration, moment } from '../words/format'
import { reason } from '../words/words'
import { Line } from './line'
import { Waitlist } from './waitlist'

interface Props {
  view: View
  item: ItemView
  mine: Mine
}

/** The button, and what comes of it. */
export function Buy({ view, item, mine }: Props) {
  const intent = useCell(mine.buyer.cell(view.id, item.sku))
  const admission = view.admission === 'line' || view.admission === 'draw'
  const standing = useCell(mine.lines.cell(view.id, item.sku))
  const mayBuy = !admission || standing.entry?.pass !== undefined || (intent !== undefined && isOpen(intent))
  return (
    <>
      {admission && <Line view={view} sku={item.sku} mine={mine} />}
      {mayBuy && view.state !== 'closed' && <Button view={view} item={item} mine={mine} intent={intent} />}
      <Answer view={view} item={item} mine={mine} intent={intent} />
      {view.waitingList && <Waitlist view={view} item={item} mine={mine} intent={intent} />}
    </>
  )
}

function Button({ view, item, mine, intent }: Props & { intent: Intent | undefined }) {
  const { shop, say, lang } = useFrame()
  const now = useNow(shop.clock)
  const [quantity, setQuantity] = useState(1)
  const early = now < Date.parse(view.startsAt)
  const busy = intent !== undefined && isOpen(intent)
  const over = now >= Date.parse(view.endsAt)
  const most = Math.min(item.limitPerUser > 0 ? item.limitPerUser : 10, 10)
  const label = early ? say('buy.soon', { when: moment(view.startsAt, lang) }) : say(intent?.state === 'won' ? 'buy.again' : 'buy')
  return (
    <div class="row">
      {most > 1 && (
        <label>
          {say('quantity')}{' '}
          <select
            data-testid={`quantity-${item.sku}`}
            disabled={busy}
            value={quantity}
            onChange={e => setQuantity(Number(e.currentTarget.value))}
          >
            {Array.from({ length: most }, (_, i) => i + 1).map(n => (
              <option key={n} value={n}>
                {n}
              </option>
            ))}
          </select>
        </label>
      )}
      <button
        type="button"
        class="buy"
        data-testid={`buy-${item.sku}`}
        aria-disabled={busy || early || over}
        onClick={() => {
          if (!busy && !early && !over) mine.buyer.want(view.id, item.sku, quantity)
        }}
      >
        {busy ? say('answer.working') : label}
      </button>
    </div>
  )
}

const shown = { working: 'working', unknown: 'unknown', won: 'won', lost: 'lost', stopped: 'lost' } as const

/** The three answers in plain words. The region is there from the beginning, so that a change of it is read out. */
function Answer({ view, item, mine, intent }: Props & { intent: Intent | undefined }) {
  return (
    <div role="status" aria-live="polite" aria-atomic="true">
      {intent && <Told view={view} item={item} mine={mine} intent={intent} />}
    </div>
  )
}

function Told({ view, item, mine, intent }: Props & { intent: Intent }) {
  const { say, words, lang } = useFrame()
  const why = reason(say, words, intent.reason)
  const left = intent.left
  const tone = { working: '', unknown: 'warn', won: 'good', lost: 'bad', stopped: 'bad' }[intent.state]
  return (
    <div class={`answer ${tone}`} data-testid="answer" data-value={shown[intent.state]} data-sku={item.sku}>
      <Sentence intent={intent} />
      {why && (
        <p data-testid="reason" data-value={intent.reason}>
          {why}
        </p>
      )}
      {isOpen(intent) && <Again intent={intent} />}
      {intent.opensAt && intent.reason === 'sale-not-open' && <p>{say('buy.soon', { when: moment(intent.opensAt, lang) })}</p>}
      <p class="row">
        {intent.order && (
          <Go to={{ at: 'order', order: intent.order }} class="button" testid="order-link">
            {say('order.open')}
          </Go>
        )}
        {(intent.state === 'lost' || intent.state === 'stopped') && (
          <Go to={{ at: 'why', sale: view.id, key: intent.key }} testid="why-link">
            {say('why.open')}
          </Go>
        )}
        {intent.state === 'stopped' && left !== undefined && left > 0 && left < intent.quantity && (
          <button type="button" onClick={() => mine.buyer.want(view.id, item.sku, left)}>
            {say('buy.fewer', { n: left })}
          </button>
        )}
        {(intent.state === 'lost' || intent.state === 'stopped') && view.state !== 'closed' && (
          <button type="button" class="second" data-testid="retry" onClick={() => mine.buyer.want(view.id, item.sku, intent.quantity)}>
            {say('buy.retry')}
          </button>
        )}
        {isOpen(intent) && !intent.leaving && (intent.reason || intent.state === 'unknown') && (
          <button type="button" class="second" data-testid="stop" onClick={() => mine.buyer.leave(view.id, item.sku)}>
            {say('buy.stop')}
          </button>
        )}
      </p>
    </div>
  )
}

function Sentence({ intent }: { intent: Intent }) {
  const { say } = useFrame()
  if (intent.state === 'won') return <Won intent={intent} />
  const text =
    intent.leaving && isOpen(intent)
      ? say('answer.leaving')
      : intent.state === 'working'
        ? say('answer.working')
        : intent.state === 'unknown'
          ? say('answer.unknown')
          : say(intent.state === 'lost' ? 'answer.lost' : 'answer.stopped')
  return <p class="big">{text}</p>
}

/** The countdown is not read out every second: what is announced is that one has won. */
function Won({ intent }: { intent: Intent }) {
  const { shop, say, lang } = useFrame()
  const now = useNow(shop.clock)
  const left = intent.payBefore ? Date.parse(intent.payBefore) - now : 0
  if (left <= 0) return <p class="big">{say('answer.won.late')}</p>
  const [before, after] = say('answer.won', { time: '\0' }).split('\0')
  return (
    <p class="big">
      {before}
      <span aria-live="off" class="countdown">
        {duration(left, lang)}
      </span>
      {after}
    </p>
  )
}

function Again({ intent }: { intent: Intent }) {
  const { shop, say, lang } = useFrame()
  useNow(shop.clock)
  const wait = (intent.againAt ?? 0) - Date.now()
  if (wait < 1500) return null
  return (
    <p class="quiet" aria-live="off">
      {say('answer.again', { time: duration(wait, lang) })}
    </p>
  )
}
