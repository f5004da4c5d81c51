import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Skeleton } from 'antd'
import { useNavigate, useParams } from 'react-router'
import * as calls from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { span } from '../base/format'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Card, Facts, Head, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { Secrets } from '../base/secret'
import { useText } from '../text'
import { endpointFields } from './webhooks'

const states = ['waiting', 'due', 'delivered', 'given-up'] as const
const spec = { state: states } as const

/** One endpoint: how it is, what was delivered, and what can be done about it. */
export default function Webhook() {
  const { webhook: id = '' } = useParams()
  const { t, w } = useText()
  const ask = useConfirm()
  const [filters, set] = useFilters(spec)
  const state = filters.state as (typeof states)[number] | undefined
  const one = useQuery({
    queryKey: ['webhooks', 'one', id],
    queryFn: ({ signal }) => good(calls.getWebhook(api, { webhook: id }, { signal })),
    refetchInterval: 5000,
  })
  const list = useList<calls.WebhookDelivery>(['webhooks', id, 'deliveries', state], (turn, o) =>
    calls.listWebhookDeliveries(api, { webhook: id, limit: 100, ...turn, state }, o),
  )
  const again = (d: calls.WebhookDelivery) =>
    ask({
      title: t('webhook.again'),
      effect: () => t('effect.webhook.again', { type: d.type }),
      yes: t('webhook.again'),
      reason: 'optional',
      run: a => good(calls.replayWebhookDelivery(api, { webhook: id, delivery: d.id, body: { reason: a.reason } })),
    })
  const e = one.data
  return (
    <>
      <Head
        title={e ? e.url : id}
        note={
          e && (
            <span className="row">
              <State value={e.health} />
              {e.description}
            </span>
          )
        }
      >
        {e && <Acts e={e} />}
      </Head>
      <ProblemBox error={one.error} retry={() => void one.refetch()} />
      {!e && !one.error && <Skeleton active />}
      {e?.why && <Alert type="warning" showIcon title={e.why} />}
      {e && (
        <Card>
          <Facts
            facts={[
              [t('webhook.events'), (e.events ?? []).join(', ')],
              [t('webhook.rate'), e.rate],
              [t('webhook.concurrency'), e.concurrency],
              [t('webhook.secrets'), (e.secrets ?? []).length],
              [t('col.created'), <At key="c" iso={e.createdAt} />],
              [t('webhook.failingSince'), e.failingSince ? <At key="f" iso={e.failingSince} /> : '–'],
            ]}
          />
        </Card>
      )}
      <h2>{t('webhook.deliveries')}</h2>
      <FilterBar
        values={filters}
        set={set}
        fields={[{ name: 'state', label: t('col.state'), options: states.map(value => ({ value, label: w('state', value) })) }]}
      />
      <ListGrid
        label={t('webhook.deliveries')}
        list={list}
        empty={t('webhook.noDeliveries')}
        id={d => d.id}
        lines={2}
        columns={[
          { key: 'state', title: t('col.state'), width: '8rem', render: d => <State value={d.state} /> },
          {
            key: 'type',
            title: t('letter.type'),
            render: d => (
              <>
                <code>{d.type}</code>
                <br />
                <span className="muted">{d.user}</span>
              </>
            ),
          },
          { key: 'tries', title: t('letter.attempts'), width: '5rem', end: true, render: d => d.tries },
          { key: 'status', title: t('webhook.answer'), width: '2fr', render: d => [d.status || '', d.error].filter(Boolean).join(' ') },
          { key: 'at', title: t('col.at'), width: '12rem', render: d => <At iso={d.at} /> },
          { key: 'next', title: t('webhook.next'), width: '12rem', render: d => <At iso={d.nextAt} /> },
          {
            key: 'act',
            title: t('acts'),
            width: '7rem',
            render: d => (
              <Button size="small" onClick={() => again(d)}>
                {t('letter.replay')}
              </Button>
            ),
          },
        ]}
      />
    </>
  )
}

function Acts({ e }: { e: calls.WebhookEndpoint }) {
  const speech = useText()
  const { t, lang } = speech
  const ask = useConfirm()
  const go = useNavigate()
  const webhook = e.id
  const simple = (act: 'enable' | 'disable', call: typeof calls.enableWebhook) =>
    ask({
      title: t(act),
      effect: () => t(`effect.webhook.${act}`),
      yes: t(act),
      danger: act === 'disable',
      reason: 'required',
      run: a => good(call(api, { webhook, body: { reason: a.reason } })),
    })
  const ping = () =>
    ask({
      title: t('webhook.ping'),
      effect: () => t('effect.webhook.ping'),
      yes: t('webhook.ping'),
      reason: 'optional',
      run: a => good(calls.pingWebhook(api, { webhook, body: { reason: a.reason } }, { timeoutMs: 30_000 })),
      done: answer => {
        const p = answer as calls.PingOutputBody
        return (
          <Alert
            type={p.taken ? 'success' : 'error'}
            showIcon
            title={`${p.status || ''} ${p.error ?? ''}`}
            description={span(p.tookMs, lang)}
          />
        )
      },
    })
  const edit = () =>
    ask({
      title: t('edit'),
      effect: () => t('effect.webhook.edit'),
      yes: t('save'),
      reason: 'required',
      fields: endpointFields(speech, e),
      run: a =>
        good(
          calls.patchWebhook(api, {
            webhook,
            body: {
              url: a.url,
              events: a.events,
              description: a.description,
              rate: a.rate,
              concurrency: a.concurrency,
              reason: a.reason,
            },
          }),
        ),
    })
  const rotate = () =>
    ask({
      title: t('rotate'),
      effect: a => t('effect.rotate', { hours: a.hours ?? 24 }),
      yes: t('rotate'),
      danger: true,
      reason: 'required',
      fields: [{ name: 'hours', label: t('rotate.overlap'), kind: 'number', min: 0, max: 720, initial: 24, required: true }],
      run: a => good(calls.rotateWebhook(api, { webhook, body: { overlapSeconds: a.hours * 3600, reason: a.reason } })),
      done: answer => <Secrets secrets={[[t('webhook.secret'), (answer as calls.WebhookEndpoint).secret]]} />,
    })
  const bring = () =>
    ask({
      title: t('webhook.bring'),
      effect: a => t(a.delivered ? 'effect.webhook.bringAll' : 'effect.webhook.bring', { since: a.since ?? '' }),
      yes: t('webhook.bring'),
      danger: true,
      reason: 'required',
      fields: [
        { name: 'since', label: t('from'), kind: 'time', required: true },
        { name: 'delivered', label: t('webhook.delivered'), kind: 'switch', initial: false },
      ],
      run: a =>
        good(
          calls.replayWebhook(api, {
            webhook,
            body: { since: new Date(a.since).toISOString(), delivered: !!a.delivered, reason: a.reason },
          }),
        ),
      done: answer => t('webhook.queued', { n: (answer as calls.ReplayedOutputBody).queued }),
    })
  const remove = () =>
    ask({
      title: t('delete'),
      effect: () => t('effect.webhook.delete'),
      yes: t('delete'),
      danger: true,
      reason: 'required',
      run: async a => {
        await good(calls.deleteWebhook(api, { webhook, reason: a.reason }))
        await go('/webhooks')
      },
    })
  return (
    <>
      <Button onClick={ping} data-testid="webhook-ping">
        {t('webhook.ping')}
      </Button>
      <Button onClick={edit} data-testid="webhook-edit">
        {t('edit')}
      </Button>
      {e.enabled ? (
        <Button onClick={() => simple('disable', calls.disableWebhook)}>{t('disable')}</Button>
      ) : (
        <Button type="primary" onClick={() => simple('enable', calls.enableWebhook)}>
          {t('enable')}
        </Button>
      )}
      <Button onClick={bring}>{t('webhook.bring')}</Button>
      <Button onClick={rotate}>{t('rotate')}</Button>
      <Button danger onClick={remove}>
        {t('delete')}
      </Button>
    </>
  )
}
