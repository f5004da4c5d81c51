import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Skeleton, Tag } from 'antd'
import { useMemo } from 'react'
import { useParams } from 'react-router'
import { fetchOwn, goodResponse } from '../base/call'
import { Chart, hue } from '../base/chart'
import { At, Card, Count, Facts, Head, LinkButton, Money, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { saveAs } from '../base/save'
import { useMay } from '../base/session'
import { useText } from '../text'

/** What report.json holds; see package report. */
interface SaleReport {
  state: string
  at: string
  skus: {
    sku: string
    price: number
    currency: string
    offered: number
    withdrawn: number
    available: number
    held: number
    sold: number
  }[]
  funnel: Record<'buyers' | 'won' | 'open' | 'paid' | 'expired' | 'cancelled' | 'refunded' | 'partlyRefunded' | 'expiredUnits', number>
  money: { currency: string; won: number; captured: number; refunded: number }[]
  lateMoney: { payments: number; returned: number }
  refused: { name: string; n: number }[] | null
  timeline: { at: string; held: number; sold: number; released: number; free: number; inHold: number; inSold: number }[] | null
  proof: { verdict: string; invariants: { id: string; name: string; checked: number; violations: number; verdict: string }[] | null }
  notRecorded: string[] | null
}

const funnel = ['buyers', 'won', 'open', 'paid', 'expired', 'cancelled', 'refunded', 'partlyRefunded', 'expiredUnits'] as const

/** The story of a sale with its proof. */
export default function Report() {
  const { sale = '' } = useParams()
  const { t } = useText()
  const may = useMay()('operator')
  const path = `/admin/v1/sales/${encodeURIComponent(sale)}/report`
  const report = useQuery({
    queryKey: ['report', sale],
    queryFn: async ({ signal }) => (await (await goodResponse(await fetchOwn(`${path}.json`, signal))).json()) as SaleReport,
    refetchInterval: q => (q.state.data?.state === 'closed' ? false : 15_000),
  })
  const r = report.data
  return (
    <>
      <Head
        title={`${t('report')}: ${sale}`}
        note={
          r && (
            <span className="row">
              <State value={r.state} />
              <At iso={r.at} />
            </span>
          )
        }
      >
        <LinkButton to={`/sales/${sale}`}>{t('cockpit')}</LinkButton>
        {may &&
          ['html', 'xlsx', 'json'].map(f => (
            <Button key={f} onClick={() => void saveAs(`${path}.${f}`, `${sale}.${f}`)} data-testid={`report-${f}`}>
              {f.toUpperCase()}
            </Button>
          ))}
      </Head>
      <ProblemBox error={report.error} retry={() => void report.refetch()} />
      {!r && !report.error && <Skeleton active paragraph={{ rows: 12 }} />}
      {r && <Told r={r} />}
    </>
  )
}

function Told({ r }: { r: SaleReport }) {
  const { t, w } = useText()
  const bad = (r.proof.invariants ?? []).filter(i => i.verdict === 'fail')
  return (
    <div data-testid="report">
      <Alert
        type={bad.length === 0 ? 'success' : 'error'}
        showIcon
        role="status"
        className="verdict"
        data-testid="report-verdict"
        data-value={r.proof.verdict}
        title={bad.length === 0 ? t('report.holds') : t('report.broken', { ids: bad.map(i => i.id).join(', ') })}
      />
      <div className="columns">
        <Card title={t('report.funnel')}>
          <Facts facts={funnel.map(f => [t(`funnel.${f}`), <Count key={f} n={r.funnel[f]} />])} />
        </Card>
        <Card title={t('report.money')}>
          {r.money.map(m => (
            <Facts
              key={m.currency}
              facts={[
                [t('report.won'), <Money key="w" minor={m.won} currency={m.currency} />],
                [t('cases.captured'), <Money key="c" minor={m.captured} currency={m.currency} />],
                [t('order.refunded'), <Money key="r" minor={m.refunded} currency={m.currency} />],
              ]}
            />
          ))}
          <Facts
            facts={[
              [t('report.late'), <Count key="l" n={r.lateMoney.payments} />],
              [t('report.lateReturned'), <Count key="r" n={r.lateMoney.returned} />],
            ]}
          />
        </Card>
        <Card title={t('refusals')}>
          {r.refused?.length === 0 ? (
            <p className="muted">{t('report.noneRefused')}</p>
          ) : r.refused ? (
            <Facts facts={r.refused.map(c => [w('problem', c.name), <Count key={c.name} n={c.n} />])} />
          ) : (
            <p className="muted">{t('report.notRecorded')}</p>
          )}
        </Card>
      </div>
      <Curve r={r} />
      <Card title={t('stock')} className="stock">
        <table>
          <thead>
            <tr>
              <th scope="col">{t('sku')}</th>
              <th scope="col" className="end">
                {t('sale.price')}
              </th>
              {(['offered', 'withdrawn', 'available', 'held', 'sold'] as const).map(p => (
                <th key={p} scope="col" className="end">
                  {t(`stock.${p}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {r.skus.map(s => (
              <tr key={s.sku}>
                <th scope="row">{s.sku}</th>
                <td className="end">
                  <Money minor={s.price} currency={s.currency} />
                </td>
                {(['offered', 'withdrawn', 'available', 'held', 'sold'] as const).map(p => (
                  <td key={p} className="end">
                    <Count n={s[p]} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
      <Card title={t('report.proof')}>
        <table className="small-table">
          <thead>
            <tr>
              <th scope="col">#</th>
              <th scope="col">{t('report.invariant')}</th>
              <th scope="col" className="end">
                {t('report.checked')}
              </th>
              <th scope="col" className="end">
                {t('report.violations')}
              </th>
              <th scope="col">{t('explain.verdict')}</th>
            </tr>
          </thead>
          <tbody>
            {(r.proof.invariants ?? []).map(i => (
              <tr key={i.id}>
                <th scope="row">{i.id}</th>
                <td>{i.name}</td>
                <td className="end">
                  <Count n={i.checked} />
                </td>
                <td className="end">
                  <Count n={i.violations} />
                </td>
                <td>
                  <Tag color={i.verdict === 'pass' ? 'green' : i.verdict === 'fail' ? 'red' : 'default'}>{w('proof', i.verdict)}</Tag>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
    </div>
  )
}

function Curve({ r }: { r: SaleReport }) {
  const { t } = useText()
  const curves = useMemo(() => {
    const of = (name: string, colour: string, what: 'free' | 'inHold' | 'inSold', area = false) => ({
      name,
      colour,
      area,
      points: (r.timeline ?? []).map(m => [Date.parse(m.at), m[what]] as const),
    })
    return [
      of(t('stock.available'), hue.blue, 'free', true),
      of(t('stock.held'), hue.orange, 'inHold'),
      of(t('stock.sold'), hue.green, 'inSold'),
    ]
  }, [r, t])
  return (
    <Card title={t('chart.stock')}>
      <Chart label={t('chart.stock')} curves={curves} height={260} step />
    </Card>
  )
}
