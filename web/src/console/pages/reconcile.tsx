import { useMutation } from '@tanstack/react-query'
import { Alert, Button, Skeleton } from 'antd'
import { type Difference, repairDifferences, reportDifferences } from '../../api/api'
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

const spec = { kind: 'text', repaired: ['yes', 'no'] } as const

/** Compares all records when somebody asks: it reads every order, claim and payment, so it does not run by itself. */
export default function Reconcile() {
  const { t } = useText()
  const ask = useConfirm()
  const may = useMay()('operator')
  const [filters, set] = useFilters(spec)
  const lamp = useLive<Lamp>('monitor')
  const report = useMutation({
    mutationFn: async () => ({ at: new Date().toISOString(), items: (await good(reportDifferences(api, patient))).items }),
  })
  const repaired = useMutation({
    mutationFn: async (reason: string) => ({
      at: new Date().toISOString(),
      items: (await good(repairDifferences(api, { body: { reason } }, patient))).items,
    }),
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
      {found && <Found found={found} filters={filters} set={set} />}
    </>
  )
}

function Found({
  found,
  filters,
  set,
}: {
  found: { at: string; items: Difference[] }
  filters: Record<string, string>
  set: (c: Record<string, string | undefined>) => void
}) {
  const { t } = useText()
  const rows = found.items.filter(
    d => (!filters.kind || d.kind === filters.kind) && (!filters.repaired || d.repaired === (filters.repaired === 'yes')),
  )
  const kinds = [...new Set(found.items.map(d => d.kind))].sort()
  return (
    <div data-testid="differences" data-value={found.items.length}>
      <Alert
        type={found.items.every(d => d.repaired) ? 'success' : 'warning'}
        showIcon
        role="status"
        className="verdict"
        title={
          found.items.length === 0
            ? t('reconcile.good')
            : t('reconcile.found', { n: found.items.length, repaired: found.items.filter(d => d.repaired).length })
        }
        description={<At iso={found.at} />}
      />
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
            lines={4}
            columns={[
              { key: 'kind', title: t('col.kind'), width: '12rem', render: d => <code>{d.kind}</code> },
              { key: 'object', title: t('col.object'), render: d => d.object },
              { key: 'expected', title: t('reconcile.expected'), render: d => d.expected },
              { key: 'found', title: t('reconcile.is'), render: d => d.found },
              { key: 'why', title: t('reconcile.explanation'), width: '2fr', render: d => d.explanation },
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
