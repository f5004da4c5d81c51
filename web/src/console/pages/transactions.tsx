import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Drawer, Skeleton } from 'antd'
import { getTransaction, listTransactions, resolveTransaction, type Sum, type Transaction } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { money } from '../base/format'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Card, Facts, Head, Json, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { type Speech, useText } from '../text'

const states = ['needs_human', 'trying', 'confirming', 'confirmed', 'cancelling', 'cancelled'] as const
const spec = { state: states, transaction: 'text' } as const

export default function Transactions() {
  const speech = useText()
  const { t, w } = speech
  const [filters, set] = useFilters(spec)
  const state = filters.state as (typeof states)[number] | undefined
  const list = useList<Transaction>(['transactions', state], (turn, o) => listTransactions(api, { limit: 100, ...turn, state }, o), 3000)
  return (
    <>
      <Head title={t('nav.transactions')} note={t('transactions.note')} />
      <FilterBar
        values={filters}
        set={set}
        fields={[{ name: 'state', label: t('col.state'), options: states.map(value => ({ value, label: w('state', value) })) }]}
      />
      <ListGrid
        label={t('nav.transactions')}
        list={list}
        empty={t('transactions.none')}
        id={x => x.id}
        testId={x => `transaction-${x.id}`}
        lines={2}
        columns={[
          {
            key: 'id',
            title: t('col.id'),
            width: '1fr',
            render: x => (
              <Button type="link" size="small" onClick={() => set({ transaction: x.id })}>
                {x.id}
              </Button>
            ),
          },
          { key: 'state', title: t('col.state'), width: '9rem', render: x => <State value={x.state} /> },
          { key: 'kind', title: t('col.kind'), width: '5rem', render: x => x.kind },
          {
            key: 'branches',
            title: t('transactions.branches'),
            width: '2fr',
            render: x => (x.branches ?? []).map(b => `${b.name}: ${w('branch', b.state)}`).join(' · '),
          },
          { key: 'stake', title: t('transactions.unsure'), render: x => stake(x.atStake.unsure, speech) || '–' },
          { key: 'at', title: t('col.at'), width: '12rem', render: x => <At iso={x.beganAt} /> },
        ]}
      />
      <Drawer open={!!filters.transaction} onClose={() => set({ transaction: '' })} size={640} title={filters.transaction}>
        {filters.transaction && <One id={filters.transaction} />}
      </Drawer>
    </>
  )
}

/** Money and units of a sum, in words. */
function stake(s: Sum, { lang }: Speech): string {
  return [
    ...Object.entries(s.money ?? {}).map(([c, n]) => money(n, c, lang)),
    ...Object.entries(s.units ?? {}).map(([sku, n]) => `${n} × ${sku}`),
  ].join(', ')
}

function One({ id }: { id: string }) {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const may = useMay()('operator')
  const one = useQuery({
    queryKey: ['transactions', 'one', id],
    queryFn: ({ signal }) => good(getTransaction(api, { transaction: id }, { signal })),
    refetchInterval: 3000,
  })
  const x = one.data
  if (!x) return one.error ? <ProblemBox error={one.error} retry={() => void one.refetch()} /> : <Skeleton active />
  const says = {
    held: stake(x.atStake.held, speech) || '0',
    taken: stake(x.atStake.taken, speech) || '0',
    unsure: stake(x.atStake.unsure, speech) || '0',
  }
  const resolve = (action: 'retry' | 'confirm' | 'cancel') =>
    ask({
      title: `${t(`transaction.${action}`)}: ${x.id}`,
      effect: a =>
        `${t(`effect.transaction.${action}`, says)} ${a.settled?.length ? t('effect.transaction.settled', { branches: a.settled.join(', ') }) : ''}`,
      yes: t(`transaction.${action}`),
      danger: action !== 'retry',
      reason: 'required',
      fields: [
        {
          name: 'settled',
          label: t('transactions.settled'),
          kind: 'tags',
          initial: [],
          options: (x.branches ?? []).map(b => ({ value: b.name, label: b.name })),
          hint: t('transactions.settled.hint'),
        },
      ],
      run: a => good(resolveTransaction(api, { transaction: x.id, body: { action, reason: a.reason, settled: a.settled ?? [] } })),
    })
  return (
    <>
      <Facts
        facts={[
          [t('col.state'), <State key="s" value={x.state} />],
          [t('transactions.held'), says.held],
          [t('transactions.taken'), says.taken],
          [t('transactions.unsure'), says.unsure],
          [t('col.at'), <At key="a" iso={x.beganAt} exact />],
          ...(x.reason ? ([[t('reason'), x.reason]] as [string, string][]) : []),
        ]}
      />
      {x.state === 'needs_human' && may && (
        <Alert
          type="warning"
          showIcon
          title={t('transactions.human')}
          description={
            <span className="row-acts">
              {(['retry', 'confirm', 'cancel'] as const).map(a => (
                <Button key={a} onClick={() => resolve(a)} data-testid={`transaction-${a}`}>
                  {t(`transaction.${a}`)}
                </Button>
              ))}
            </span>
          }
        />
      )}
      <Card title={t('transactions.branches')}>
        {(x.branches ?? []).map(b => (
          <div key={b.name} className="branch">
            <b>{b.name}</b> <span className="muted">{b.participant}</span> <State value={b.state} group="branch" />{' '}
            <span className="muted">
              {b.holding} · {t('letter.attempts')}: {b.tries}
            </span>
            {b.error && <p className="pre">{b.error}</p>}
            {b.payload !== undefined && b.payload !== null && (
              <details>
                <summary>{t('letter.payload')}</summary>
                <Json value={b.payload} />
              </details>
            )}
          </div>
        ))}
      </Card>
      <h3>{t('order.timeline')}</h3>
      <ol className="timeline">
        {(x.timeline ?? []).map(s => (
          <li key={s.n}>
            <At iso={s.at} exact />
            <b>{w('step', s.what)}</b>
            <span>{[s.branch, s.detail, s.who].filter(Boolean).join(' · ')}</span>
          </li>
        ))}
      </ol>
    </>
  )
}
