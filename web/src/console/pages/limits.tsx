import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Skeleton } from 'antd'
import { type BreakerView, getGateway, type PolicyView, type RouteView, type Rule, reloadGateway } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { Grid } from '../base/grid'
import { FilterBar, useFilters } from '../base/list'
import { useLive } from '../base/live'
import { At, Card, Facts, Head, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { BreakerActs } from '../limits/breakeracts'
import { Explain } from '../limits/explain'
import { Shedding } from '../limits/shedding'
import { useText } from '../text'

const spec = { route: 'text' } as const

/** The gateway's policy in use: limits, breakers, shedding, and what each route is under. */
export default function Limits() {
  const { t } = useText()
  const ask = useConfirm()
  const may = useMay()('operator')
  const live = useLive<Record<string, BreakerView>>('breakers')
  const shed = useLive<{ shedding: PolicyView['shedding'] | null }>('shed')
  const policy = useQuery({ queryKey: ['limits'], queryFn: ({ signal }) => good(getGateway(api, { signal })), refetchInterval: 5000 })
  const p = policy.data
  const reload = () =>
    ask({
      title: t('limits.reload'),
      effect: () => t('effect.reload'),
      yes: t('limits.reload'),
      danger: true,
      reason: 'required',
      run: a => good(reloadGateway(api, { body: { reason: a.reason } })),
    })
  return (
    <>
      <Head title={t('nav.limits')} note={t('limits.note')}>
        {may && (
          <Button onClick={reload} data-testid="policy-reload">
            {t('limits.reload')}
          </Button>
        )}
      </Head>
      <ProblemBox error={policy.error} retry={() => void policy.refetch()} />
      {!p && !policy.error && <Skeleton active />}
      {p?.lastError && (
        <Alert
          type="error"
          showIcon
          role="alert"
          title={t('limits.lastError')}
          description={
            <>
              <p className="pre">{p.lastError}</p>
              <At iso={p.lastErrorAt} />
            </>
          }
        />
      )}
      {p && (
        <>
          <div className="columns">
            <Card title={t('limits.policy')}>
              <Facts
                facts={[
                  [t('limits.file'), p.file || t('limits.noFile')],
                  [t('order.version'), p.version],
                  [t('limits.hash'), <code key="h">{p.hash.slice(0, 16)}</code>],
                  [t('limits.loadedAt'), <At key="l" iso={p.loadedAt} />],
                ]}
              />
            </Card>
            <Card title={t('limits.breakers')}>
              <Breakers all={live ?? p.breakers} />
            </Card>
            <Card title={t('limits.shedding')}>
              <Shedding view={(shed ? shed.shedding : p.shedding) ?? undefined} />
            </Card>
          </div>
          <h2>{t('limits.rules')}</h2>
          <Rules rules={p.limits ?? []} />
          <h2>{t('limits.routes')}</h2>
          <Routes routes={p.routes ?? []} />
        </>
      )}
      <h2>{t('limits.explain')}</h2>
      <Explain />
    </>
  )
}

function Breakers({ all }: { all: Record<string, BreakerView> }) {
  const { t } = useText()
  const names = Object.keys(all).sort()
  if (names.length === 0) return <p className="muted">{t('limits.noBreakers')}</p>
  return names.map(name => {
    const b = all[name]
    return (
      b && (
        <div key={name} className="branch">
          <b>{name}</b> <State value={b.state} group="breaker" testId={`breaker-${name}`} />{' '}
          {b.forced && <span className="muted">{t('limits.forced')}</span>}
          <div className="muted">{t('limits.breaker', { failures: b.failures, window: b.window, open: b.open, slow: b.slow })}</div>
          <BreakerActs name={name} breaker={b} />
        </div>
      )
    )
  })
}

function Rules({ rules }: { rules: Rule[] }) {
  const { t } = useText()
  if (rules.length === 0) return <p className="muted">{t('limits.noRules')}</p>
  return (
    <Grid
      label={t('limits.rules')}
      rows={rules}
      id={r => r.name}
      columns={[
        { key: 'name', title: t('apps.name'), render: r => <b>{r.name}</b> },
        { key: 'by', title: t('limits.by'), render: r => (r.by ?? []).join(' + ') || t('all') },
        {
          key: 'rate',
          title: t('limits.rate'),
          render: r => (
            <code>
              {r.rate}
              {r.burst ? ` (${r.burst})` : ''}
            </code>
          ),
        },
        { key: 'algorithm', title: t('limits.algorithm'), render: r => r.algorithm },
        {
          key: 'routes',
          title: t('limits.routes'),
          width: '2fr',
          render: r => [...(r.routes ?? []), ...(r.except ?? []).map(x => `− ${x}`)].join(', ') || t('all'),
        },
      ]}
    />
  )
}

function Routes({ routes }: { routes: RouteView[] }) {
  const { t, w } = useText()
  const [filters, set] = useFilters(spec)
  const q = (filters.route ?? '').toLowerCase()
  return (
    <>
      <FilterBar values={filters} set={set} fields={[{ name: 'route', label: t('limits.route') }]} />
      <Grid
        label={t('limits.routes')}
        rows={routes.filter(r => r.route.toLowerCase().includes(q))}
        id={r => r.route}
        columns={[
          { key: 'route', title: t('limits.route'), width: '2fr', render: r => <code>{r.route}</code> },
          { key: 'access', title: t('limits.access'), width: '7rem', render: r => w('access', r.access) },
          { key: 'class', title: t('limits.class'), width: '11rem', render: r => w('class', r.class) },
          { key: 'limits', title: t('limits.rules'), render: r => (r.limits ?? []).join(', ') },
          { key: 'breaker', title: t('limits.breakers'), width: '8rem', render: r => r.breaker },
          { key: 'off', title: t('limits.off'), render: r => (r.off ?? []).join(', ') },
        ]}
      />
    </>
  )
}
