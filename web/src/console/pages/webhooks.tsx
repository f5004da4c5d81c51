import { Button } from 'antd'
import { Link } from 'react-router'
import { createWebhook, listWebhooks, type WebhookEndpoint } from '../../api/api'
import { api, good } from '../base/call'
import { type Field, useConfirm } from '../base/confirm'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Head, State } from '../base/parts'
import { Secrets } from '../base/secret'
import { useMay } from '../base/session'
import { type Speech, useText } from '../text'

const healths = ['working', 'failing', 'disabled'] as const
const spec = { health: healths, q: 'text' } as const

export const eventTypes = [
  '*',
  'stock.*',
  'stock.held',
  'stock.sold',
  'stock.released',
  'order.*',
  'order.paid',
  'order.fulfilled',
  'order.cancelled',
  'order.expired',
  'order.refunded',
  'order.refund_completed',
  'payment.*',
  'payment.captured',
  'payment.failed',
  'payment.refunded',
]

export const endpointFields = ({ t }: Speech, w?: WebhookEndpoint): Field[] => [
  {
    name: 'url',
    label: 'URL',
    kind: 'text',
    required: true,
    initial: w?.url ?? '',
    check: v => (/^https?:\/\//.test(String(v)) ? undefined : t('webhook.url')),
  },
  {
    name: 'events',
    label: t('webhook.events'),
    kind: 'tags',
    required: true,
    initial: w?.events ?? ['order.*'],
    options: eventTypes.map(value => ({ value, label: value })),
  },
  { name: 'description', label: t('description'), kind: 'text', initial: w?.description ?? '' },
  { name: 'rate', label: t('webhook.rate'), kind: 'number', min: 0, max: 1000, initial: w?.rate ?? 50 },
  { name: 'concurrency', label: t('webhook.concurrency'), kind: 'number', min: 0, max: 16, initial: w?.concurrency ?? 4 },
]

export default function Webhooks() {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const may = useMay()('operator')
  const [filters, set] = useFilters(spec)
  const health = filters.health as (typeof healths)[number] | undefined
  const list = useList<WebhookEndpoint>(['webhooks', health], (_, o) => listWebhooks(api, { health }, o))
  const q = filters.q ?? ''
  const create = () =>
    ask({
      title: t('webhook.new'),
      effect: () => t('effect.webhook'),
      yes: t('webhook.new'),
      reason: 'none',
      fields: endpointFields(speech),
      run: a =>
        good(
          createWebhook(api, {
            body: {
              url: a.url,
              events: a.events,
              description: a.description,
              rate: a.rate ?? 0,
              concurrency: a.concurrency ?? 0,
            },
          }),
        ),
      done: answer => <Secrets secrets={[[t('webhook.secret'), (answer as WebhookEndpoint).secret]]} />,
    })
  return (
    <>
      <Head title={t('nav.webhooks')} note={t('webhooks.note')}>
        {may && (
          <Button type="primary" onClick={create} data-testid="webhook-new">
            {t('webhook.new')}
          </Button>
        )}
      </Head>
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'q', label: t('search') },
          { name: 'health', label: t('webhook.health'), options: healths.map(value => ({ value, label: w('state', value) })) },
        ]}
      />
      <ListGrid
        label={t('nav.webhooks')}
        list={{ ...list, rows: list.rows.filter(e => `${e.url} ${e.description}`.includes(q)) }}
        empty={t('webhooks.none')}
        id={e => e.id}
        testId={e => `webhook-${e.id}`}
        lines={2}
        columns={[
          {
            key: 'url',
            title: 'URL',
            width: '2fr',
            render: e => (
              <>
                <Link to={`/webhooks/${e.id}`}>{e.url}</Link>
                <br />
                <span className="muted">{e.description}</span>
              </>
            ),
          },
          { key: 'health', title: t('webhook.health'), width: '8rem', render: e => <State value={e.health} /> },
          { key: 'events', title: t('webhook.events'), render: e => (e.events ?? []).join(', ') },
          { key: 'why', title: t('reason'), render: e => e.why },
          { key: 'at', title: t('col.changed'), width: '12rem', render: e => <At iso={e.changedAt} /> },
        ]}
      />
    </>
  )
}
