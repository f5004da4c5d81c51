import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Drawer, Skeleton } from 'antd'
import { Link } from 'react-router'
import { getCase, listCases, type PaymentCase, resolveCase } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { money } from '../base/format'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { useLive } from '../base/live'
import { At, Card, Facts, Head, LinkButton, Money, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { type Speech, useText } from '../text'

const kinds = [
  'mismatch',
  'reference-reused',
  'second-capture',
  'refund-refused',
  'refund-waiting',
  'refund-books',
  'late',
  'silent',
] as const
const spec = { kind: kinds, all: 'flag', case: 'text' } as const

/** Payments that a person must decide about. */
export default function Cases() {
  const { t, w } = useText()
  const [filters, set] = useFilters(spec)
  useLive('cases')
  const list = useList<PaymentCase>(
    ['cases', filters.kind, filters.all],
    (turn, o) =>
      listCases(
        api,
        { limit: 100, ...turn, kind: filters.kind as (typeof kinds)[number] | undefined, ...(filters.all ? { all: true } : {}) },
        o,
      ),
    15_000,
  )
  return (
    <div data-testid="cases">
      <Head title={t('nav.cases')} note={t('cases.note')}>
        <LinkButton to="/transactions?state=needs_human">{t('cases.transactions')}</LinkButton>
      </Head>
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'kind', label: t('col.kind'), options: kinds.map(value => ({ value, label: w('case', value) })) },
          { name: 'all', label: t('cases.closed'), kind: 'flag' },
        ]}
      />
      <ListGrid
        label={t('nav.cases')}
        list={list}
        empty={t('cases.none')}
        id={c => c.id}
        testId={c => `case-${c.id}`}
        lines={2}
        columns={[
          {
            key: 'id',
            title: t('col.id'),
            width: '5rem',
            render: c => (
              <Button type="link" size="small" onClick={() => set({ case: c.id })} data-testid={`case-open-${c.id}`}>
                {c.id}
              </Button>
            ),
          },
          { key: 'kind', title: t('col.kind'), width: '12rem', render: c => w('case', c.kind) },
          { key: 'state', title: t('col.state'), width: '6rem', render: c => <State value={c.state} group="casestate" /> },
          {
            key: 'amount',
            title: t('cases.stake'),
            width: '9rem',
            end: true,
            render: c => <Money minor={c.amount} currency={c.currency} />,
          },
          { key: 'detail', title: t('cases.detail'), width: '2fr', render: c => c.detail },
          { key: 'at', title: t('col.at'), width: '12rem', render: c => <At iso={c.at} /> },
        ]}
      />
      <Drawer open={!!filters.case} onClose={() => set({ case: '' })} size={560} title={`${t('case')} ${filters.case ?? ''}`}>
        {filters.case && <One id={filters.case} />}
      </Drawer>
    </div>
  )
}

/** What an act on a case does: it may mean something else for each kind. An act nobody here knows is told in the server's words. */
function effectOf(c: PaymentCase, a: { action: string; effect: string }, { t, lang }: Speech): string {
  const sum = { sum: money(c.amount, c.currency, lang) }
  const refund = c.kind === 'refund-refused' || c.kind === 'refund-waiting'
  switch (a.action) {
    case 'refund':
      return t('caseeffect.refund', sum)
    case 'accept':
      return t(refund ? 'caseeffect.accept.refund' : 'caseeffect.accept', sum)
    case 'retry':
      if (refund) return t('caseeffect.retry.refund', sum)
      if (c.kind === 'late') return t('caseeffect.retry.late')
      if (c.kind === 'silent') return t('caseeffect.retry.silent')
      if (c.kind === 'refund-books') return t('caseeffect.retry.books')
  }
  return a.effect
}

function One({ id }: { id: string }) {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const may = useMay()('support')
  const one = useQuery({ queryKey: ['cases', 'one', id], queryFn: ({ signal }) => good(getCase(api, { case: id }, { signal })) })
  const c = one.data
  if (!c) return one.error ? <ProblemBox error={one.error} retry={() => void one.refetch()} /> : <Skeleton active />
  return (
    <>
      <Facts
        facts={[
          [t('col.kind'), w('case', c.kind)],
          [t('col.state'), <State key="s" value={c.state} group="casestate" />],
          [t('cases.stake'), <Money key="m" minor={c.amount} currency={c.currency} />],
          [t('cases.payment'), <code key="p">{c.payment}</code>],
          [t('cases.ref'), <code key="r">{c.ref}</code>],
          [t('col.at'), <At key="a" iso={c.at} exact />],
          [
            t('cases.detail'),
            <span key="d" lang="en">
              {c.detail}
            </span>,
          ],
        ]}
      />
      {c.known && (
        <Card title={t('cases.known')}>
          <Facts
            facts={[
              [
                t('col.order'),
                <Link key="o" to={`/orders/${c.known.order}`}>
                  {c.known.order}
                </Link>,
              ],
              [t('cases.orderState'), <State key="s" value={c.known.orderState} />],
              [t('cases.paymentState'), <State key="p" value={c.known.paymentState} />],
              [t('cases.provider'), `${c.known.provider}: ${c.known.providerSays}`],
              [t('cases.asked'), <Money key="as" minor={c.known.asked} currency={c.currency} />],
              [t('cases.captured'), <Money key="ca" minor={c.known.captured} currency={c.currency} />],
              [t('order.refunded'), <Money key="re" minor={c.known.refunded} currency={c.currency} />],
            ]}
          />
        </Card>
      )}
      {c.closing && (
        <Alert
          type="success"
          showIcon
          title={`${w('caseact', c.closing.action)} · ${c.closing.who}`}
          description={
            <>
              <At iso={c.closing.at} /> · {c.closing.reason}
            </>
          }
        />
      )}
      {may &&
        c.actions.map(a => (
          <div key={a.action} className="choice-act">
            <Button
              data-testid={`case-${a.action}`}
              onClick={() =>
                ask({
                  title: `${w('caseact', a.action)}: ${t('case')} ${c.id}`,
                  effect: () => (
                    <>
                      <Money minor={c.amount} currency={c.currency} /> · {effectOf(c, a, speech)}
                    </>
                  ),
                  yes: w('caseact', a.action),
                  danger: a.action !== 'retry',
                  reason: 'required',
                  run: given => good(resolveCase(api, { case: c.id, body: { action: a.action, reason: given.reason } })),
                })
              }
            >
              {w('caseact', a.action)}
            </Button>
            <span className="muted">{effectOf(c, a, speech)}</span>
          </div>
        ))}
    </>
  )
}
