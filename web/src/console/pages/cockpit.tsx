import { useQuery } from '@tanstack/react-query'
import { Skeleton, Tooltip } from 'antd'
import { useEffect, useMemo, useRef, useState } from 'react'
import { useParams } from 'react-router'
import { operatorGetSale, type SaleDetail } from '../../api/api'
import { api, good } from '../base/call'
import { Chart, hue } from '../base/chart'
import { push } from '../base/coalesce'
import { span } from '../base/format'
import { useLive } from '../base/live'
import { At, Card, Count, Head, LinkButton, Money, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { Acts, type Current } from '../cockpit/acts'
import { LineCard } from '../cockpit/line'
import { kinds, type Lamp, type Point, pointOf, type SaleNow, type StockNow } from '../cockpit/now'
import { useText } from '../text'

/** The cockpit of one sale: what happens now, and the acts that change it. */
export default function Cockpit() {
  const { sale: id = '' } = useParams()
  const { t } = useText()
  const may = useMay()
  const detail = useQuery({
    queryKey: ['sales', id],
    queryFn: ({ signal }) => good(operatorGetSale(api, { sale: id }, { signal })),
    refetchInterval: 5000,
  })
  const now = useLive<SaleNow>(`sale:${id}`)
  if (!detail.data)
    return detail.error ? (
      <>
        <Head title={id}>
          <LinkButton to="/sales">{t('nav.sales')}</LinkButton>
        </Head>
        <ProblemBox error={detail.error} retry={() => void detail.refetch()} />
      </>
    ) : (
      <Skeleton active paragraph={{ rows: 14 }} />
    )
  const sale = current(detail.data, now)
  return (
    <>
      <Head title={sale.title} note={<Note sale={detail.data} state={sale.state} />}>
        {may('operator') && (
          <LinkButton to={`/sales/${id}/edit`} data-testid="sale-edit">
            {t('sale.edit')}
          </LinkButton>
        )}
        <LinkButton to={`/sales/${id}/rehearsals`} data-testid="rehearse">
          {t('rehearse')}
        </LinkButton>
        <LinkButton to={`/sales/${id}/report`} data-testid="report-link">
          {t('report')}
        </LinkButton>
      </Head>
      <ProblemBox error={detail.error} />
      <Acts sale={sale} />
      <Figures now={now} />
      <StockTable sale={sale} />
      <Curves now={now} />
      <div className="columns">
        <Refusals now={now} />
        <LineCard sale={detail.data} />
      </div>
    </>
  )
}

/** The newest of what the stream and the call say. */
function current(d: SaleDetail, now: SaleNow | undefined): Current {
  const live = now && now.version >= d.version ? now : undefined
  return {
    ...d,
    items: d.items ?? [],
    state: (live?.state as SaleDetail['state']) ?? d.state,
    paused: live?.paused ?? d.paused,
    forcedSoldOut: live?.forcedSoldOut ?? d.forcedSoldOut,
    stock: now?.stock ?? d.stock,
  }
}

function Note({ sale, state }: { sale: SaleDetail; state: string }) {
  const { t, w } = useText()
  return (
    <span className="row">
      <State value={state} testId="sale-state" />
      <code>{sale.id}</code>
      <span>
        <At iso={sale.startsAt} /> – <At iso={sale.endsAt} />
      </span>
      <span>
        {t('sale.admission')}: {w('admission', sale.admission)}
      </span>
    </span>
  )
}

const calm: Record<(typeof kinds)[number], string> = {
  won: 'good',
  lost: '',
  refused: '',
  throttled: '',
  shed: 'warn',
  unknown: 'warn',
  failed: 'bad',
}

/** Says that rates, latency and reasons are those of one process of several. */
function Elsewhere({ others }: { others: number }) {
  const { t } = useText()
  if (others === 0) return null
  return (
    <p className="muted" role="note" data-testid="elsewhere">
      {t('answers.elsewhere', { n: others })}
    </p>
  )
}

/** The figures of this second. Each has its place from the beginning. */
function Figures({ now }: { now: SaleNow | undefined }) {
  const { t, lang } = useText()
  const ms = (n: number | undefined) => (n === undefined ? '–' : span(n, lang))
  return (
    <div className="figures">
      <LampFigure lamp={now?.lamp} />
      {kinds.map(kind => {
        const n = now?.answers.perSecond[kind]
        return (
          <Figure
            key={kind}
            name={t(`rate.${kind}`)}
            hint={t(`rate.${kind}.hint`)}
            tone={n ? calm[kind] : ''}
            testId={`rate-${kind}`}
            value={n === undefined ? '–' : <Count n={n} />}
          />
        )
      })}
      <Figure name={t('latency.p50')} hint={t('latency.hint')} testId="latency-p50" value={ms(now?.answers.latencyMs?.p50)} />
      <Figure name={t('latency.p99')} hint={t('latency.hint')} testId="latency-p99" value={ms(now?.answers.latencyMs?.p99)} />
      <Figure name={t('line.length')} hint={t('line.hint')} testId="line-length" value={now?.line ? <Count n={now.line.waiting} /> : '–'} />
      {now && <Elsewhere others={now.answers.others ?? 0} />}
    </div>
  )
}

function Figure({
  name,
  value,
  hint,
  testId,
  tone = '',
}: {
  name: string
  value: React.ReactNode
  hint: string
  testId: string
  tone?: string | undefined
}) {
  return (
    <div className={`figure ${tone}`}>
      <Tooltip title={hint}>
        <span className="figure-name">{name}</span>
      </Tooltip>
      <span className="figure-value num" data-testid={testId}>
        {value}
      </span>
    </div>
  )
}

function LampFigure({ lamp }: { lamp: Lamp | undefined }) {
  const { t } = useText()
  const state = lamp?.state ?? 'off'
  const broken = Object.entries(lamp?.violations ?? {})
    .map(([kind, n]) => `${kind}: ${n}`)
    .join(', ')
  return (
    <div className={`figure lamp lamp-${state}`} role="status">
      <span className="figure-name">{t('lamp')}</span>
      <Tooltip title={broken || t(`lamp.${state}.hint`)}>
        <span className="figure-value" data-testid="lamp" data-value={state}>
          <i aria-hidden="true" />
          {t(`lamp.${state}`)}
        </span>
      </Tooltip>
    </div>
  )
}

const parts = ['available', 'held', 'sold', 'withdrawn'] as const

function StockTable({ sale }: { sale: Current }) {
  const { t } = useText()
  return (
    <Card title={t('stock')} className="stock">
      <table>
        <thead>
          <tr>
            <th scope="col">{t('sku')}</th>
            <th scope="col" className="end price">
              {t('sale.price')}
            </th>
            {parts.map(p => (
              <th key={p} scope="col" className="end">
                {t(`stock.${p}`)}
              </th>
            ))}
            <th scope="col" className="bar-head">
              <span className="unseen">{t('stock')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sale.stock.map(row => {
            const item = sale.items.find(i => i.sku === row.sku)
            return (
              <tr key={row.sku}>
                <th scope="row">
                  <b className="sku">{row.sku}</b>
                  <span className="muted">{item?.title}</span>
                </th>
                <td className="end price">{item && <Money minor={item.price} currency={item.currency} />}</td>
                {parts.map(p => (
                  <td key={p} className="end num" data-testid={`${p}-${row.sku}`}>
                    {row[p]}
                  </td>
                ))}
                <td className="bar-cell">
                  <Bar row={row} />
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </Card>
  )
}

/** Sold, held and free as parts of what is on offer. */
function Bar({ row }: { row: StockNow }) {
  const all = Math.max(1, row.available + row.held + row.sold)
  return (
    <svg className="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect className="bar-free" width="100" height="6" />
      <rect className="bar-held" width={((row.sold + row.held) / all) * 100} height="6" />
      <rect className="bar-sold" width={(row.sold / all) * 100} height="6" />
    </svg>
  )
}

const kept = 300 // seconds of curves

/** One point a second of what the stream says, also while nothing changes. */
function usePoints(now: SaleNow | undefined): Point[] {
  const [points, setPoints] = useState<Point[]>([])
  const newest = useRef(now)
  newest.current = now
  useEffect(() => {
    const id = setInterval(() => {
      const n = newest.current
      if (n) setPoints(was => push(was, pointOf(n, Date.now()), kept))
    }, 1000)
    return () => clearInterval(id)
  }, [])
  return points
}

function Curves({ now }: { now: SaleNow | undefined }) {
  const { t } = useText()
  const points = usePoints(now)
  const curve = (name: string, colour: string, of: keyof Point, area = false) => ({
    name,
    colour,
    area,
    points: points.flatMap(p => (p[of] === null ? [] : [[p.at, p[of]] as const])),
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: curve depends on points alone
  const [stock, answers, latency] = useMemo(
    () => [
      [
        curve(t('stock.available'), hue.blue, 'available', true),
        curve(t('stock.held'), hue.orange, 'held'),
        curve(t('stock.sold'), hue.green, 'sold'),
      ],
      [
        curve(t('rate.won'), hue.green, 'won', true),
        curve(t('rate.lost'), hue.grey, 'lost'),
        curve(t('rate.refused'), hue.purple, 'refused'),
        curve(t('rate.shed'), hue.red, 'shed'),
      ],
      [curve(t('latency.p50'), hue.teal, 'p50'), curve(t('latency.p99'), hue.orange, 'p99')],
    ],
    [points, t],
  )
  return (
    <div className="columns columns-3">
      <Card title={t('chart.stock')}>
        <Chart label={t('chart.stock')} curves={stock ?? []} />
      </Card>
      <Card title={t('chart.answers')}>
        <Chart label={t('chart.answers')} curves={answers ?? []} />
      </Card>
      <Card title={t('chart.latency')}>
        <Chart label={t('chart.latency')} curves={latency ?? []} unit=" ms" />
      </Card>
    </div>
  )
}

function Refusals({ now }: { now: SaleNow | undefined }) {
  const { t, w } = useText()
  const reasons = now?.answers.reasons ?? []
  const most = Math.max(1, ...reasons.map(r => r.n))
  return (
    <Card title={t('refusals')} className="refusals">
      <ol data-testid="refusals">
        {reasons.map(r => (
          <li key={r.reason} data-value={r.reason}>
            <a href={`/problems/${encodeURIComponent(r.reason)}`} target="_blank" rel="noreferrer">
              {w('problem', r.reason)}
            </a>
            <meter min={0} max={most} value={r.n} aria-label={w('problem', r.reason)} />
            <Count n={r.n} />
          </li>
        ))}
      </ol>
      {reasons.length === 0 && <p className="muted">{t('refusals.none')}</p>}
    </Card>
  )
}
