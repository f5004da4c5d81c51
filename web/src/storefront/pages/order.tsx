import { useCallback, useRef, useState } from 'preact/hooks'
import { getOrder, type Order as OrderData } from '../../api/api'
import type { Result } from '../../shared/http'
import { type Act, busy, type Outcome } from '../model/acts'
import { Sure, useTitle, Waiting } from '../parts'
import { type Mine, useCell, useFrame, useNow, usePoll } from '../shop'
import { duration, moment, money } from '../words/format'
import { reason } from '../words/words'

/** One order: what it is, what may be done, what happened. */
export function Order({ mine, id }: { mine: Mine; id: string }) {
  const { shop, say, lang } = useFrame()
  useCell(mine.orders.all)
  const live = useCell(mine.orders.live)
  const [failed, fail] = useState<Exclude<Result<unknown>, { kind: 'ok' }>>()
  const order = mine.orders.get(id)
  useTitle(say('order.title', { id }))
  const ask = useCallback(async () => {
    const r = await getOrder(shop.http, { order: id })
    if (r.kind !== 'ok') return fail(r)
    fail(undefined)
    mine.orders.take(r.body)
  }, [shop, mine, id])
  usePoll(ask, live === 'open' ? 30_000 : 5000, live === 'open') // the stream tells; this is for when it cannot
  if (!order) return <Waiting failed={failed} />
  return (
    <>
      <h1>{say('order.title', { id })}</h1>
      <div role="status" aria-live="polite">
        <p class="row">
          <span class={`badge ${order.state}`} data-testid="order-state" data-value={order.state}>
            {say(`order.${order.state}`)}
          </span>
          {order.refundedAmount > 0 && (
            <span>{say('order.refundedAmount', { amount: money(order.refundedAmount, order.currency, lang) })}</span>
          )}
        </p>
      </div>
      <ul class="lines">
        {order.items.map(l => (
          <li key={l.sku}>
            <span>{say('order.units', { n: l.quantity, name: l.sku })}</span>
            <span>{money(l.price * l.quantity, order.currency, lang)}</span>
          </li>
        ))}
        <li class="total">
          <span>{say('order.total')}</span>
          <span>{money(order.amount, order.currency, lang)}</span>
        </li>
      </ul>
      <Pay mine={mine} order={order} />
      <Undo mine={mine} order={order} />
      <h2>{say('order.history')}</h2>
      <ol class="history">
        {order.events.map(e => (
          <li key={e.n}>
            <span>{isState(e.to) ? say(`order.${e.to}`) : e.to}</span> <span class="quiet">{moment(e.at, lang)}</span>
            {e.why !== e.to && (
              <div class="quiet small" lang="en">
                {e.why}
              </div>
            )}
          </li>
        ))}
      </ol>
    </>
  )
}

const states: readonly string[] = ['accepted', 'pending_payment', 'paid', 'fulfilled', 'cancelled', 'expired', 'refunded']
const isState = (s: string): s is OrderData['state'] => states.includes(s)
const outcomes: readonly Outcome[] = ['capture', 'fail', 'lose', 'duplicate', 'reorder', 'wrong_amount']

function Pay({ mine, order }: { mine: Mine; order: OrderData }) {
  const { shop, say, lang } = useFrame()
  const now = useNow(shop.clock)
  const act = useCell(mine.acts.cell('pay', order.id))
  const [outcome, choose] = useState<Outcome>('capture')
  const here = useRef<HTMLElement>(null)
  const left = Date.parse(order.payBefore) - now
  const open = (order.state === 'pending_payment' || order.state === 'accepted') && left > 0
  return (
    <section class="card" ref={here} tabIndex={-1} aria-label={say('pay', { amount: money(order.amount, order.currency, lang) })}>
      {open && (
        <p class="big countdown" role="timer">
          {say('order.payIn', { time: duration(left, lang) })}
        </p>
      )}
      <div role="status" aria-live="polite">
        {act && <PaymentState act={act} order={order} />}
      </div>
      {open && !busy(act) && (
        <div class="row">
          <label>
            <span class="quiet small">{say('pay.demo')}</span>{' '}
            <select data-testid="pay-outcome" value={outcome} onChange={e => choose(e.currentTarget.value as Outcome)}>
              {outcomes.map(o => (
                <option key={o} value={o}>
                  {say(`pay.${o}`)}
                </option>
              ))}
            </select>
          </label>
          <button
            type="button"
            class="buy"
            data-testid="pay"
            onClick={() => {
              mine.acts.begin({ kind: 'pay', order: order.id, outcome, afterMs: 0 })
              here.current?.focus({ preventScroll: true }) // the button goes away, and the focus would with it
            }}
          >
            {say('pay', { amount: money(order.amount, order.currency, lang) })}
          </button>
        </div>
      )}
    </section>
  )
}

const moneyIsIn: readonly string[] = ['paid', 'fulfilled', 'refunded']

/** What became of a payment. The order may know before the payment's own answer does. */
function PaymentState({ act, order }: { act: Act; order: OrderData }) {
  const { say, words } = useFrame()
  const told = act.payment?.state
  const back = order.state === 'refunded' && (told === 'captured' || told === 'pending')
  const state = back ? 'refunded' : told === 'pending' && moneyIsIn.includes(order.state) ? 'captured' : told
  const over = state === 'pending' && order.state !== 'pending_payment' && order.state !== 'accepted'
  const text =
    act.state === 'open'
      ? say(act.unsure ? 'pay.unsure' : 'pay.sending')
      : over
        ? ''
        : state
          ? say(`pay.${state}`)
          : reason(say, words, act.reason)
  if (!text) return null
  return (
    <p class={`answer ${state === 'captured' ? 'good' : state === 'failed' || act.state === 'refused' ? 'bad' : 'warn'}`}>
      <span data-testid="payment-state" data-value={state ?? act.state}>
        {text}
      </span>
    </p>
  )
}

function Undo({ mine, order }: { mine: Mine; order: OrderData }) {
  const { say, lang } = useFrame()
  const cancel = useCell(mine.acts.cell('cancel', order.id))
  const refund = useCell(mine.acts.cell('refund', order.id))
  const rest = order.amount - order.refundedAmount
  const mayCancel = order.state === 'accepted' || order.state === 'pending_payment'
  const mayRefund = (order.state === 'paid' || order.state === 'fulfilled') && rest > 0
  return (
    <div class="row">
      {mayCancel && (
        <Sure
          label={say('cancel')}
          question={say('cancel.sure')}
          testid="cancel"
          busy={busy(cancel)}
          act={() => mine.acts.begin({ kind: 'cancel', order: order.id })}
        />
      )}
      {mayRefund && (
        <Sure
          label={say('refund')}
          question={say('refund.sure', { amount: money(rest, order.currency, lang) })}
          testid="refund"
          busy={busy(refund)}
          act={() => mine.acts.begin({ kind: 'refund', order: order.id, returnStock: true, reason: say('refund.note') })}
        />
      )}
      <div role="status">
        <Under act={cancel} />
        <Under act={refund} />
      </div>
    </div>
  )
}

function Under({ act }: { act: Act | undefined }) {
  const { say, words } = useFrame()
  if (!act || act.state === 'done') return null
  const text = act.state === 'open' ? say(act.unsure ? 'unsure' : 'doing') : reason(say, words, act.reason)
  return <p class={act.state === 'refused' ? 'bad' : 'quiet'}>{text}</p>
}
