import { useQuery } from '@tanstack/react-query'
import { Button, Progress, Skeleton } from 'antd'
import { Link, useParams } from 'react-router'
import {
  fulfilOrder,
  type OperatorOrder,
  type OrderAction,
  type OrderTimeline,
  operatorCancelOrder,
  operatorRefundOrder,
  orderTimeline,
} from '../../api/api'
import { api, good } from '../base/call'
import { type Question, useConfirm } from '../base/confirm'
import { decimal, money, parseMoney } from '../base/format'
import { useLive } from '../base/live'
import { At, Card, Facts, Head, Json, Money, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { Timeline } from '../orders/timeline'
import { type Speech, useText } from '../text'

/** One order: what it is, all that happened to it, and what may be done. */
export default function Order() {
  const { order: id = '' } = useParams()
  const { t } = useText()
  useLive('orders')
  const order = useQuery({
    queryKey: ['orders', 'timeline', id],
    queryFn: ({ signal }) => good(orderTimeline(api, { order: id }, { signal })),
    refetchInterval: 5000,
  })
  const o = order.data?.order
  return (
    <>
      <Head
        title={
          <>
            {t('col.order')} <code>{id}</code>
          </>
        }
        note={
          o && (
            <span className="row">
              <State value={o.state} testId="order-state" />
              <Link to={`/orders?q=${encodeURIComponent(o.user)}`}>{o.user}</Link>
              <Link to={`/sales/${o.sale}`}>{o.sale}</Link>
            </span>
          )
        }
      >
        {order.data && <OrderActs timeline={order.data} />}
      </Head>
      <ProblemBox error={order.error} retry={() => void order.refetch()} />
      {!o && !order.error && <Skeleton active />}
      {o && (
        <div className="columns">
          <Card title={t('order.what')}>
            <What order={o} />
          </Card>
          <Card title={t('order.timeline')}>{order.data && <Timeline timeline={order.data} />}</Card>
        </div>
      )}
    </>
  )
}

function What({ order: o }: { order: OperatorOrder }) {
  const { t } = useText()
  return (
    <>
      <ul className="lines">
        {(o.items ?? []).map(i => (
          <li key={i.sku}>
            <b>
              {i.quantity} × {i.sku}
            </b>
            <Money minor={i.price * i.quantity} currency={o.currency} />
          </li>
        ))}
      </ul>
      <Facts
        facts={[
          [t('col.amount'), <Money key="a" minor={o.amount} currency={o.currency} />],
          [t('order.refunded'), <Money key="r" minor={o.refundedAmount} currency={o.currency} />],
          [t('col.created'), <At key="c" iso={o.createdAt} exact />],
          [t('order.payBefore'), <At key="p" iso={o.payBefore} />],
          [t('order.key'), <code key="k">{o.key}</code>],
          [t('order.version'), o.version],
          [t('order.place'), `${o.shard} / ${o.table}`],
        ]}
      />
      {o.refundedAmount > 0 && (
        <Progress percent={Math.round((o.refundedAmount / o.amount) * 100)} size="small" aria-label={t('order.refunded')} />
      )}
      {o.delivery !== undefined && o.delivery !== null && (
        <>
          <h3>{t('order.delivery')}</h3>
          <Json value={o.delivery} />
        </>
      )}
    </>
  )
}

/** The acts that the server says are legal now. */
function OrderActs({ timeline }: { timeline: OrderTimeline }) {
  const speech = useText()
  const ask = useConfirm()
  const may = useMay()
  if (!may('support')) return null
  return timeline.actions.map(({ action: act, most }) => (
    <Button
      key={act}
      data-testid={`act-${act}`}
      danger={act !== 'fulfil'}
      onClick={() => ask(questions[act](timeline.order, speech, most ?? 0))}
    >
      {speech.t(`act.${act}`)}
    </Button>
  ))
}

const units = (o: OperatorOrder): string => (o.items ?? []).map(i => `${i.quantity} × ${i.sku}`).join(', ')

/** What each act asks, and what it says it does to money and stock. */
const questions: Record<OrderAction['action'], (o: OperatorOrder, s: Speech, most: number) => Question> = {
  fulfil: (o, { t }) => ({
    title: t('act.fulfil'),
    effect: () => t('effect.fulfil', { units: units(o) }),
    yes: t('act.fulfil'),
    reason: 'optional',
    run: a => good(fulfilOrder(api, { order: o.id, body: { reason: a.reason } })),
  }),
  cancel: (o, { t }) => ({
    title: t('act.cancel'),
    effect: () => t('effect.cancel', { units: units(o) }),
    yes: t('act.cancel'),
    danger: true,
    reason: 'required',
    run: a => good(operatorCancelOrder(api, { order: o.id, body: { reason: a.reason } })),
  }),
  refund: (o, { t, lang }, left) => {
    const asked = (text: unknown) => parseMoney(String(text ?? ''), o.currency)
    return {
      title: t('act.refund'),
      effect: a => {
        const n = asked(a.amount)
        if (n === null || n <= 0 || n > left) return t('effect.refund.choose', { left: money(left, o.currency, lang) })
        return t(a.returnStock ? 'effect.refund.return' : 'effect.refund', {
          sum: money(n, o.currency, lang),
          units: units(o),
          left: money(left - n, o.currency, lang),
        })
      },
      yes: t('act.refund'),
      danger: true,
      reason: 'required',
      fields: [
        {
          name: 'amount',
          label: t('refund.amount', { currency: o.currency }),
          kind: 'text',
          required: true,
          initial: decimal(left, o.currency),
          testId: 'confirm-quantity',
          check: v => {
            const n = asked(v)
            return n !== null && n > 0 && n <= left ? undefined : t('effect.refund.choose', { left: money(left, o.currency, lang) })
          },
        },
        { name: 'returnStock', label: t('refund.return'), kind: 'switch', initial: false },
      ],
      run: (a, key) =>
        good(
          operatorRefundOrder(api, {
            order: o.id,
            key,
            body: { amount: asked(a.amount) ?? 0, returnStock: !!a.returnStock, reason: a.reason },
          }),
        ),
    }
  },
}
