import { Alert, Button, Input } from 'antd'
import { useEffect, useState } from 'react'
import { Link } from 'react-router'
import { type OperatorOrder, type OrderPage, operatorListOrders } from '../../api/api'
import { api } from '../base/call'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { useLive } from '../base/live'
import { At, Head, Money, State } from '../base/parts'
import { useText } from '../text'

const states = ['accepted', 'pending_payment', 'paid', 'fulfilled', 'cancelled', 'expired', 'refunded'] as const
const spec = { q: 'text', sale: 'text', state: states } as const

export default function Orders() {
  const { t, w } = useText()
  const [filters, set] = useFilters(spec)
  useLive('orders') // news of it make the list be read again
  const list = useList<OperatorOrder>(
    ['orders', filters],
    (turn, o) => operatorListOrders(api, { limit: 100, ...turn, ...filters }, o),
    15_000,
  )
  const missing = (list.first as OrderPage | undefined)?.missing ?? []
  return (
    <>
      <Head title={t('nav.orders')} note={t('orders.note')} />
      <Search value={filters.q ?? ''} set={q => set({ q })} />
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'sale', label: t('col.sale') },
          { name: 'state', label: t('col.state'), options: states.map(value => ({ value, label: w('state', value) })) },
        ]}
      />
      {missing.length > 0 && <Alert type="warning" showIcon role="alert" title={t('orders.missing', { shards: missing.join(', ') })} />}
      <ListGrid
        label={t('nav.orders')}
        list={list}
        empty={t('orders.none')}
        id={o => o.id}
        columns={[
          {
            key: 'id',
            title: t('col.order'),
            width: '12rem',
            render: o => (
              <Link to={`/orders/${o.id}`} data-testid={`order-${o.id}`}>
                <code>{o.id}</code>
              </Link>
            ),
          },
          { key: 'state', title: t('col.state'), width: '9rem', render: o => <State value={o.state} /> },
          { key: 'user', title: t('col.user'), render: o => <code>{o.user}</code> },
          { key: 'sale', title: t('col.sale'), render: o => <Link to={`/sales/${o.sale}`}>{o.sale}</Link> },
          { key: 'items', title: t('sale.items'), render: o => (o.items ?? []).map(i => `${i.quantity} × ${i.sku}`).join(', ') },
          {
            key: 'amount',
            title: t('col.amount'),
            width: '8rem',
            end: true,
            render: o => <Money minor={o.amount} currency={o.currency} />,
          },
          { key: 'at', title: t('col.created'), width: '12rem', render: o => <At iso={o.createdAt} /> },
        ]}
      />
    </>
  )
}

function Search({ value, set }: { value: string; set: (v: string) => void }) {
  const { t } = useText()
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  return (
    <search>
      <form
        className="searchline"
        onSubmit={e => {
          e.preventDefault()
          set(text.trim())
        }}
      >
        <Input
          value={text}
          onChange={e => setText(e.target.value)}
          allowClear
          onClear={() => set('')}
          aria-label={t('orders.search')}
          placeholder={t('orders.search')}
          data-testid="order-search"
        />
        <Button type="primary" htmlType="submit" data-testid="order-search-submit">
          {t('search')}
        </Button>
      </form>
    </search>
  )
}
