import { Progress } from 'antd'
import { Link } from 'react-router'
import { operatorListSales, type SaleDetail } from '../../api/api'
import { api } from '../base/call'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Count, Head, LinkButton, State } from '../base/parts'
import { useMay } from '../base/session'
import { useText } from '../text'

const states = ['scheduled', 'open', 'paused', 'sold_out', 'closed'] as const
const spec = { q: 'text', state: states } as const

export default function Sales() {
  const { t, w } = useText()
  const may = useMay()
  const [filters, set] = useFilters(spec)
  const list = useList<SaleDetail>(['sales'], (_, o) => operatorListSales(api, o), 2000)
  const q = (filters.q ?? '').toLowerCase()
  // Copies that rehearsals run on are shown to who looks for them.
  const rows = list.rows
    .filter(s => q !== '' || !s.id.startsWith('rehearsal-'))
    .filter(s => (!filters.state || s.state === filters.state) && (!q || `${s.id} ${s.title}`.toLowerCase().includes(q)))
  return (
    <>
      <Head title={t('nav.sales')} note={t('sales.note')}>
        {may('operator') && (
          <LinkButton to="/sales/new" type="primary" data-testid="sale-new">
            {t('sale.new')}
          </LinkButton>
        )}
      </Head>
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'q', label: t('sales.search') },
          { name: 'state', label: t('col.state'), options: states.map(value => ({ value, label: w('state', value) })) },
        ]}
      />
      <ListGrid
        label={t('nav.sales')}
        list={{ ...list, rows }}
        empty={t('sales.none')}
        id={s => s.id}
        testId={s => `sale-row-${s.id}`}
        columns={[
          {
            key: 'title',
            title: t('sale.title'),
            width: '2fr',
            render: s => (
              <Link to={`/sales/${s.id}`} className="strong" data-testid={`sale-${s.id}`}>
                {s.title}
              </Link>
            ),
          },
          { key: 'id', title: t('col.id'), render: s => <code>{s.id}</code> },
          { key: 'state', title: t('col.state'), width: '8rem', render: s => <State value={s.state} /> },
          { key: 'starts', title: t('sale.starts'), width: '12rem', render: s => <At iso={s.startsAt} /> },
          { key: 'ends', title: t('sale.ends'), width: '12rem', render: s => <At iso={s.endsAt} /> },
          { key: 'left', title: t('stock.available'), width: '7rem', end: true, render: s => <Count n={sum(s, 'available')} /> },
          { key: 'sold', title: t('sales.gone'), width: '1fr', render: s => <Gone sale={s} /> },
        ]}
      />
    </>
  )
}

const sum = (s: SaleDetail, what: 'available' | 'held' | 'sold' | 'offered' | 'withdrawn') => s.stock.reduce((n, row) => n + row[what], 0)

function Gone({ sale }: { sale: SaleDetail }) {
  const { t } = useText()
  const all = sum(sale, 'offered') - sum(sale, 'withdrawn')
  const part = (n: number) => (all > 0 ? Math.round((n / all) * 100) : 0)
  return (
    <Progress
      size="small"
      percent={part(sum(sale, 'sold') + sum(sale, 'held'))}
      success={{ percent: part(sum(sale, 'sold')) }}
      aria-label={t('sales.gone')}
    />
  )
}
