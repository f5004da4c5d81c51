import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Form, Input, Progress, Switch } from 'antd'
import { useEffect, useRef, useState } from 'react'
import { Link } from 'react-router'
import type { StatementDifference } from '../../api/api'
import { api } from '../base/call'
import { useConfirm } from '../base/confirm'
import { money } from '../base/format'
import { ListGrid, useFilters } from '../base/list'
import { Card, Facts, Head, Money } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { hand } from '../base/save'
import { compare, type Found, type Statement, type Sums } from '../statement/compare'
import { readStatement, Unreadable } from '../statement/read'
import { type Speech, useText } from '../text'

const spec = { provider: 'text', day: 'text' } as const
const isDay = (day: string): boolean => /^\d{4}-\d\d-\d\d$/.test(day) && !Number.isNaN(Date.parse(day))

type Run = { state: 'none' } | { state: 'running'; done: number; of: number } | { state: 'done'; found: Found; s: Statement; at: number }

/** A provider's statement, held against what we learned of its money. */
export default function Statements() {
  const { t } = useText()
  const ask = useConfirm()
  const cache = useQueryClient()
  const [filters, set] = useFilters(spec)
  const [provider, day] = [filters.provider ?? 'sandbox', filters.day ?? '']
  const [file, setFile] = useState<File | null>(null)
  const [apply, setApply] = useState(false)
  const [run, setRun] = useState<Run>({ state: 'none' })
  const [error, setError] = useState<unknown>(null)
  const stop = useRef(new AbortController())
  useEffect(() => () => stop.current.abort(), [])
  const badDay = day !== '' && !isDay(day)
  const start = async () => {
    if (!file) return
    setError(null)
    try {
      const s = { provider: provider.trim(), day, apply, lines: readStatement(await file.text()) }
      const go = async () => {
        stop.current = new AbortController()
        setRun({ state: 'running', done: 0, of: s.lines.length })
        try {
          const tell = (done: number) => setRun({ state: 'running', done, of: s.lines.length })
          const found = await compare(api, s, tell, { signal: stop.current.signal })
          setRun({ state: 'done', found, s, at: Date.now() })
        } catch (err) {
          setRun({ state: 'none' })
          setError(err)
        }
        if (s.apply) void cache.invalidateQueries()
      }
      if (!apply) return await go()
      ask({
        title: t('statements.apply'),
        effect: () =>
          t(s.provider === 'transfer' ? 'effect.statement.transfer' : 'effect.statement', { n: s.lines.length, provider: s.provider }),
        yes: t('statements.apply.yes'),
        danger: true,
        reason: 'none',
        run: async () => void go(),
        done: t('statements.started'),
      })
    } catch (err) {
      setError(err)
    }
  }
  return (
    <>
      <Head title={t('nav.statements')} note={t('statements.note')} />
      <Card>
        <Form layout="vertical" onFinish={start} className="statement-form" disabled={run.state === 'running'}>
          <Form.Item label={t('statements.file')} htmlFor="statement-file" extra={t('statements.file.hint')} required>
            <input
              id="statement-file"
              className="file"
              type="file"
              accept=".csv,.ndjson,.jsonl,.txt,text/csv,application/x-ndjson"
              onChange={e => setFile(e.target.files?.[0] ?? null)}
              data-testid="statement-file"
            />
          </Form.Item>
          <Form.Item label={t('statements.provider')} htmlFor="statement-provider" required>
            <Input
              id="statement-provider"
              list="statement-providers"
              maxLength={32}
              value={provider}
              onChange={e => set({ provider: e.target.value })}
              data-testid="statement-provider"
            />
            <datalist id="statement-providers">
              <option value="sandbox" />
              <option value="transfer" />
            </datalist>
          </Form.Item>
          <Form.Item
            label={t('statements.day')}
            htmlFor="statement-day"
            extra={t('statements.day.hint')}
            {...(badDay ? { validateStatus: 'error', help: t('statements.day.bad') } : {})}
          >
            <Input
              id="statement-day"
              type="date"
              value={badDay ? '' : day}
              onChange={e => set({ day: e.target.value })}
              data-testid="statement-day"
            />
          </Form.Item>
          <Form.Item label={t('statements.apply')} htmlFor="statement-apply" extra={t('statements.apply.hint')}>
            <Switch id="statement-apply" checked={apply} onChange={setApply} data-testid="statement-apply" />
          </Form.Item>
          <Button
            type="primary"
            htmlType="submit"
            loading={run.state === 'running'}
            disabled={!file || badDay || provider.trim() === ''}
            data-testid="statement-compare"
          >
            {t('statements.compare')}
          </Button>
        </Form>
      </Card>
      <Trouble error={error} />
      {run.state === 'running' && (
        <Progress percent={Math.round((100 * run.done) / Math.max(1, run.of))} aria-label={t('exports.progress')} />
      )}
      {run.state === 'done' && <Told run={run} />}
    </>
  )
}

/** A file that cannot be read is told by its line; anything else as the server told it. */
function Trouble({ error }: { error: unknown }) {
  const { t } = useText()
  if (!(error instanceof Unreadable)) return <ProblemBox error={error} acting />
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      className="problem"
      data-testid="error"
      title={t('statements.unreadable', { line: error.line })}
      description={t(`statements.bad.${error.what}`, { value: error.value })}
    />
  )
}

function Told({ run: { found, s, at } }: { run: Extract<Run, { state: 'done' }> }) {
  const speech = useText()
  const { t, w } = speech
  const all = found.differences
  const save = () =>
    hand(
      new Blob(
        all.map(d => `${JSON.stringify(d)}\n`),
        { type: 'application/x-ndjson' },
      ),
      `differences-${s.provider}-${s.day || 'statement'}.ndjson`,
    )
  return (
    <div data-testid="statement-result" data-value={all.length}>
      <Alert
        type={all.length === 0 ? 'success' : 'warning'}
        showIcon
        role="status"
        className="verdict"
        title={t(all.length === 0 ? 'statements.same' : 'statements.differs', { n: all.length, lines: found.lines })}
        {...(all.length > 0
          ? {
              action: (
                <Button size="small" onClick={save} data-testid="statement-save">
                  {t('statements.save')}
                </Button>
              ),
            }
          : {})}
      />
      <div className="columns">
        <Side title={t('statements.there', { provider: s.provider })} sums={found.there} />
        {found.here ? (
          <Side title={t('statements.here', { day: s.day })} sums={found.here} />
        ) : (
          <Card title={t('statements.here.none')}>
            <p className="muted">{t('statements.day.hint')}</p>
          </Card>
        )}
      </div>
      {all.length > 0 && (
        <ListGrid
          label={t('statements.list')}
          list={{
            rows: all,
            error: null,
            loading: false,
            more: false,
            loadMore: () => {},
            loadingMore: false,
            again: () => {},
            first: undefined,
          }}
          empty=""
          id={d => `${at} ${d.kind} ${d.type} ${d.ref} ${all.indexOf(d)}`}
          testId={(_, i) => `statement-difference-${i}`}
          lines={3}
          columns={[
            { key: 'kind', title: t('col.kind'), width: '8rem', render: d => <span data-value={d.kind}>{w('statement', d.kind)}</span> },
            { key: 'type', title: t('statements.type'), width: '6rem', render: d => w('statementtype', d.type) },
            { key: 'ref', title: t('statements.ref'), width: '9rem', render: d => <code>{d.ref}</code> },
            {
              key: 'payment',
              title: t('cases.payment'),
              width: '12rem',
              render: d => (d.payment ? <Link to={`/orders?q=${encodeURIComponent(d.payment)}`}>{d.payment}</Link> : '–'),
            },
            { key: 'here', title: t('statements.col.here'), width: '6rem', render: d => side(d.here, speech) },
            { key: 'there', title: t('statements.col.there'), width: '6rem', render: d => side(d.there, speech) },
            { key: 'do', title: t('statements.do'), width: '1fr', tall: 4, render: d => advice(d, speech) },
          ]}
        />
      )}
    </div>
  )
}

function Side({ title, sums }: { title: string; sums: { capture: Sums; refund: Sums } }) {
  const { t } = useText()
  const told = (s: Sums) => {
    const all = Object.entries(s)
    return all.length === 0
      ? '–'
      : all.map(([currency, minor]) => (
          <div key={currency}>
            <Money minor={minor} currency={currency} />
          </div>
        ))
  }
  return (
    <Card title={title}>
      <Facts
        facts={[
          [t('statements.captured'), told(sums.capture)],
          [t('statements.refunded'), told(sums.refund)],
        ]}
      />
    </Card>
  )
}

/** What one side says, as the comparison writes it, in the language of the page. */
function side(text: string, { t, w, lang }: Speech): string {
  const sum = /^(moved )?(\d+) ([A-Z]{3})$/.exec(text)
  if (sum) {
    const said = money(Number(sum[2]), sum[3] ?? '', lang)
    return sum[1] ? t('statements.moved', { sum: said }) : said
  }
  const state = /^payment is (\w+)$/.exec(text)
  if (state) return t('statements.payment', { state: w('state', state[1] ?? '') })
  const other = /^belongs to payment (\w+)$/.exec(text)
  if (other) return t('statements.belongs', { id: other[1] ?? '' })
  return w('statementside', text)
}

/** What to do. The server says it to those at a shell, who see it here by pointing at it. */
const advice = (d: StatementDifference, { t }: Speech) => <span title={d.do || undefined}>{t(`statement.do.${d.kind}`)}</span>
