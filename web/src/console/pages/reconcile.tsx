import { useMutation } from '@tanstack/react-query'
import { Alert, Button, Skeleton } from 'antd'
import { type Difference, type Gap, repairDifferences, reportDifferences } from '../../api/api'
import { api, good, patient } from '../base/call'
import { useConfirm } from '../base/confirm'
import { Grid } from '../base/grid'
import { FilterBar, useFilters } from '../base/list'
import { useLive } from '../base/live'
import { At, Head, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import type { Lamp } from '../cockpit/now'
import { useText } from '../text'

interface Found {
  at: string
  items: Difference[]
  gaps: Gap[]
}

const foundNow = (r: { items: Difference[]; gaps: Gap[] }): Found => ({ at: new Date().toISOString(), items: r.items, gaps: r.gaps })

const spec = { kind: 'text', repaired: ['yes', 'no'] } as const

/** Compares all records when somebody asks: it reads every order, claim and payment, so it does not run by itself. */
export default function Reconcile() {
  const { t } = useText()
  const ask = useConfirm()
  const may = useMay()('operator')
  const [filters, set] = useFilters(spec)
  const lamp = useLive<Lamp>('monitor')
  const report = useMutation({
    mutationFn: async () => foundNow(await good(reportDifferences(api, patient))),
  })
  const repaired = useMutation({
    mutationFn: async (reason: string) => foundNow(await good(repairDifferences(api, { body: { reason } }, patient))),
    onSuccess: () => report.reset(),
  })
  const found = repaired.data ?? report.data
  const repair = () =>
    ask({
      title: t('reconcile.repair'),
      effect: () => t('effect.repair', { n: report.data?.items.length ?? '?' }),
      yes: t('reconcile.repair'),
      danger: true,
      reason: 'required',
      run: a => repaired.mutateAsync(a.reason),
    })
  return (
    <>
      <Head title={t('nav.reconcile')} note={t('reconcile.note')}>
        <Button
          type="primary"
          onClick={() => {
            repaired.reset()
            report.mutate()
          }}
          loading={report.isPending}
          data-testid="reconcile-run"
        >
          {t('reconcile.run')}
        </Button>
        {may && (
          <Button danger onClick={repair} disabled={report.isPending} data-testid="reconcile-repair">
            {t('reconcile.repair')}
          </Button>
        )}
      </Head>
      {lamp?.state === 'bad' && (
        <Alert
          type="error"
          showIcon
          role="alert"
          title={t('reconcile.lamp', {
            kinds: Object.entries(lamp.violations)
              .map(([k, n]) => `${k} (${n})`)
              .join(', '),
          })}
        />
      )}
      <ProblemBox error={report.error} />
      {report.isPending && <Skeleton active />}
      {!found && !report.isPending && !report.error && <Alert type="info" showIcon title={t('reconcile.notRun')} />}
      {found && <Result found={found} filters={filters} set={set} />}
    </>
  )
}

function Result({
  found,
  filters,
  set,
}: {
  found: Found
  filters: Record<string, string>
  set: (c: Record<string, string | undefined>) => void
}) {
  const { t } = useText()
  const rows = found.items.filter(
    d => (!filters.kind || d.kind === filters.kind) && (!filters.repaired || d.repaired === (filters.repaired === 'yes')),
  )
  const verdict = {
    title:
      found.items.length > 0
        ? t('reconcile.found', { n: found.items.length, repaired: found.items.filter(d => d.repaired).length })
        : t(found.gaps.length > 0 ? 'reconcile.goodSoFar' : 'reconcile.good'),
    type: found.gaps.length > 0 || found.items.some(d => !d.repaired) ? ('warning' as const) : ('success' as const),
  }
  const kinds = [...new Set(found.items.map(d => d.kind))].sort()
  return (
    <div data-testid="differences" data-value={found.items.length}>
      <Alert type={verdict.type} showIcon role="status" className="verdict" title={verdict.title} description={<At iso={found.at} />} />
      {found.gaps.length > 0 && (
        <Alert
          type="warning"
          showIcon
          role="alert"
          title={t('reconcile.incomplete')}
          data-testid="reconcile-incomplete"
          description={
            <ul>
              {found.gaps.map(g => (
                <li key={`${g.kind} ${g.why}`}>
                  <code>{g.kind}</code>: {t('reconcile.gap', { n: g.count })} {g.why}
                </li>
              ))}
            </ul>
          }
        />
      )}
      {found.items.length > 0 && (
        <>
          <FilterBar
            values={filters}
            set={set}
            fields={[
              { name: 'kind', label: t('col.kind'), options: kinds.map(value => ({ value, label: value })) },
              {
                name: 'repaired',
                label: t('reconcile.repaired'),
                options: [
                  { value: 'yes', label: t('yes') },
                  { value: 'no', label: t('no') },
                ],
              },
            ]}
          />
          <Grid
            label={t('nav.reconcile')}
            rows={rows}
            id={d => `${d.kind} ${d.object}`}
            testId={(_, i) => `difference-${i}`}
            lines={6}
            columns={[
              { key: 'kind', title: t('col.kind'), width: '12rem', render: d => <code>{d.kind}</code> },
              { key: 'object', title: t('col.object'), render: d => d.object },
              { key: 'expected', title: t('reconcile.expected'), render: d => d.expected },
              { key: 'found', title: t('reconcile.is'), render: d => d.found },
              { key: 'why', title: t('reconcile.explanation'), width: '3fr', render: d => d.explanation },
              {
                key: 'repaired',
                title: t('reconcile.repaired'),
                width: '7rem',
                render: d => <State value={d.repaired ? 'yes' : 'no'} group="repaired" />,
              },
            ]}
          />
        </>
      )}
    </div>
  )
}
