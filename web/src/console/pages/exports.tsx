import { Button, Progress } from 'antd'
import { useRef, useState } from 'react'
import { FilterBar, useFilters } from '../base/list'
import { useLive } from '../base/live'
import { Card, Choice, Count, Head, Named } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { saveAs } from '../base/save'
import { useText } from '../text'

const names = [
  'orders',
  'order-events',
  'claims',
  'stock-ledger',
  'waiting',
  'line',
  'payments',
  'balances',
  'outbox',
  'dead-letters',
  'audit',
] as const
const formats = ['csv', 'xlsx', 'ndjson'] as const
const spec = { name: names, format: formats } as const

type Run = { state: 'idle' } | { state: 'running' | 'done' | 'stopped'; bytes: number; rows: number } | { state: 'failed'; error: unknown }

/** Everything of one kind as a file. It comes as a stream; what it is so far is told while it comes. */
export default function Exports() {
  const { t, w } = useText()
  const [filters, set] = useFilters(spec)
  const name = filters.name ?? 'orders'
  const format = filters.format ?? 'csv'
  const [run, setRun] = useState<Run>({ state: 'idle' })
  const [work, setWork] = useState('')
  const told = useLive<{ rows: number }>(work ? `work:${work}` : 'monitor')
  const abort = useRef<AbortController | null>(null)
  const start = async () => {
    abort.current = new AbortController()
    const work = crypto.randomUUID()
    setWork(work)
    setRun({ state: 'running', bytes: 0, rows: 0 })
    let last = 0
    let far = { bytes: 0, rows: 0 }
    const tell = (p: typeof far) => {
      far = p
      if (performance.now() - last < 200) return
      last = performance.now()
      setRun({ state: 'running', ...p })
    }
    try {
      await saveAs(`/admin/v1/export/${name}?format=${format}&work=${work}`, `${name}.${format}`, tell, abort.current.signal)
      setRun({ state: 'done', ...far })
    } catch (error) {
      setRun(abort.current.signal.aborted ? { state: 'stopped', ...far } : { state: 'failed', error })
    }
  }
  return (
    <>
      <Head title={t('nav.exports')} note={t('exports.note')} />
      <Card>
        <FilterBar values={{}} set={set} fields={[]}>
          <Named label={t('exports.what')}>
            <Choice
              value={name}
              onChange={v => set({ name: v })}
              options={names.map(value => ({ value, label: w('export', value) }))}
              data-testid="export-name"
            />
          </Named>
          <Named label={t('exports.format')}>
            <Choice
              value={format}
              onChange={v => set({ format: v })}
              options={formats.map(value => ({ value, label: value.toUpperCase() }))}
              data-testid="export-format"
            />
          </Named>
          {run.state === 'running' ? (
            <Button danger onClick={() => abort.current?.abort()} data-testid="export-stop">
              {t('stop')}
            </Button>
          ) : (
            <Button type="primary" onClick={() => void start()} data-testid="export-start">
              {t('exports.start')}
            </Button>
          )}
        </FilterBar>
        <p className="muted">{t(`exports.${format as 'csv'}`)}</p>
        <div className="export-progress" data-testid="export-progress" data-value={run.state} role="status">
          {'bytes' in run && (
            <>
              <Progress
                percent={run.state === 'done' ? 100 : 60}
                status={run.state === 'running' ? 'active' : run.state === 'done' ? 'success' : 'exception'}
                showInfo={false}
                aria-label={t('exports.progress')}
              />
              <span>
                {t(`exports.${run.state}`)} · <Count n={Math.round(run.bytes / 1024)} /> KiB ·{' '}
                <Count n={format === 'ndjson' ? run.rows : (told?.rows ?? 0)} /> {t('exports.rows')}
              </span>
            </>
          )}
          {run.state === 'failed' && <ProblemBox error={run.error} />}
        </div>
      </Card>
    </>
  )
}
