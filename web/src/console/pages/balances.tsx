import { useQuery } from '@tanstack/react-query'
import { Button, Empty } from 'antd'
import { Link } from 'react-router'
import { getUserBalance, listUserBalanceEntries, type OperatorEntry, postBalanceEntry, putCreditLimit, type Standing } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { money, parseMoney } from '../base/format'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Card, Facts, Head, Money } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { useText } from '../text'

const spec = { user: 'text' } as const

/** The balance of a user: what he has, how it came about, and how to correct it. */
export default function Balances() {
  const { t } = useText()
  const [filters, set] = useFilters(spec)
  const user = filters.user ?? ''
  return (
    <>
      <Head title={t('nav.balances')} note={t('balances.note')}>
        {user && <Acts user={user} />}
      </Head>
      <FilterBar values={filters} set={set} fields={[{ name: 'user', label: t('col.user') }]} />
      {user ? <Of key={user} user={user} /> : <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('balances.choose')} />}
    </>
  )
}

function Of({ user }: { user: string }) {
  const { t, w } = useText()
  const balance = useQuery({
    queryKey: ['balances', user],
    queryFn: ({ signal }) => good(getUserBalance(api, { user }, { signal })),
    refetchInterval: 5000,
  })
  const list = useList<OperatorEntry>(['balances', user, 'entries'], (turn, o) =>
    listUserBalanceEntries(api, { user, limit: 100, ...turn }, o),
  )
  return (
    <>
      <ProblemBox error={balance.error} retry={() => void balance.refetch()} />
      <div className="columns">
        {balance.data?.items.map(s => (
          <StandingCard key={s.currency} s={s} />
        ))}
        {balance.data?.items.length === 0 && <p className="muted">{t('balances.none')}</p>}
      </div>
      <p>
        <Link to={`/orders?q=${encodeURIComponent(user)}`}>{t('balances.orders')}</Link>
      </p>
      <ListGrid
        label={t('balances.entries')}
        list={list}
        empty={t('balances.none')}
        id={e => e.id}
        columns={[
          { key: 'at', title: t('col.at'), width: '12rem', render: e => <At iso={e.at} /> },
          { key: 'kind', title: t('col.kind'), width: '8rem', render: e => w('entry', e.kind) },
          { key: 'account', title: t('balances.account'), width: '6rem', render: e => w('account', e.account) },
          {
            key: 'amount',
            title: t('col.amount'),
            width: '8rem',
            end: true,
            render: e => <Money minor={e.amount} currency={e.currency} />,
          },
          {
            key: 'balance',
            title: t('balances.after'),
            width: '8rem',
            end: true,
            render: e => <Money minor={e.balance} currency={e.currency} />,
          },
          { key: 'ref', title: t('balances.ref'), render: e => <code>{e.ref}</code> },
          { key: 'who', title: t('audit.who'), render: e => [e.who, e.reason].filter(Boolean).join(': ') },
        ]}
      />
    </>
  )
}

function StandingCard({ s }: { s: Standing }) {
  const { t } = useText()
  return (
    <Card title={s.currency}>
      <Facts
        facts={[
          [t('balances.balance'), <Money key="b" minor={s.balance} currency={s.currency} />],
          [t('balances.held'), <Money key="h" minor={s.held} currency={s.currency} />],
          [t('balances.credit'), <Money key="c" minor={s.creditLimit} currency={s.currency} />],
          [t('balances.available'), <Money key="a" minor={s.available} currency={s.currency} />],
        ]}
      />
    </Card>
  )
}

function Acts({ user }: { user: string }) {
  const { t, lang } = useText()
  const ask = useConfirm()
  const may = useMay()('operator')
  if (!may) return null
  const currency = {
    name: 'currency',
    label: t('sale.currency'),
    kind: 'text' as const,
    required: true,
    initial: 'CNY',
    check: (v: unknown) => (/^[A-Z]{3}$/.test(String(v)) ? undefined : t('find.currency')),
  }
  const move = (sign: 1 | -1) => {
    const title = t(sign > 0 ? 'balances.topUp' : 'balances.withdraw')
    const sum = (a: Record<string, unknown>) => parseMoney(String(a.amount ?? ''), String(a.currency ?? ''))
    ask({
      title: `${title}: ${user}`,
      effect: a => {
        const n = sum(a)
        return n && n > 0 ? t(sign > 0 ? 'effect.topUp' : 'effect.take', { sum: money(n, a.currency, lang), user }) : t('effect.sum')
      },
      yes: title,
      danger: true,
      reason: 'required',
      fields: [
        currency,
        {
          name: 'amount',
          label: t('col.amount'),
          kind: 'text',
          required: true,
          testId: 'confirm-quantity',
          check: v => ((parseMoney(String(v), 'CNY') ?? 0) > 0 ? undefined : t('effect.sum')),
        },
      ],
      run: (a, key) =>
        good(postBalanceEntry(api, { user, key, body: { currency: a.currency, amount: sign * (sum(a) ?? 0), reason: a.reason } })),
    })
  }
  const limit = () =>
    ask({
      title: `${t('balances.credit')}: ${user}`,
      effect: a =>
        t('effect.credit', { user, sum: money(parseMoney(String(a.limit ?? ''), a.currency ?? '') ?? 0, a.currency ?? '', lang) }),
      yes: t('balances.setCredit'),
      danger: true,
      reason: 'required',
      fields: [
        currency,
        {
          name: 'limit',
          label: t('balances.credit'),
          kind: 'text',
          required: true,
          initial: '0',
          check: v => ((parseMoney(String(v), 'CNY') ?? -1) >= 0 ? undefined : t('effect.sum')),
        },
      ],
      run: a =>
        good(
          putCreditLimit(api, {
            user,
            currency: a.currency,
            body: { limit: parseMoney(String(a.limit), a.currency) ?? 0, reason: a.reason },
          }),
        ),
    })
  return (
    <>
      <Button onClick={() => move(1)} data-testid="balance-top-up">
        {t('balances.topUp')}
      </Button>
      <Button onClick={() => move(-1)} danger data-testid="balance-withdraw">
        {t('balances.withdraw')}
      </Button>
      <Button onClick={limit} data-testid="balance-credit">
        {t('balances.setCredit')}
      </Button>
    </>
  )
}
