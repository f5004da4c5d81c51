import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Empty, Progress, Skeleton } from 'antd'
import { useParams } from 'react-router'
import { listRehearsals, type Rehearsal, startRehearsal } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { span } from '../base/format'
import { useLive } from '../base/live'
import { At, Card, Count, Facts, Head, LinkButton, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { planQuestion } from '../rehearsals/plan'
import { useText } from '../text'

const over = (r: Rehearsal) => r.state === 'done' || r.state === 'failed'

/** Storms against copies of a sale: start one, and read go or no-go. */
export default function Rehearsals() {
  const { sale = '' } = useParams()
  const speech = useText()
  const { t } = speech
  const ask = useConfirm()
  const may = useMay()('operator')
  const list = useQuery({
    queryKey: ['rehearsals', sale],
    queryFn: ({ signal }) => good(listRehearsals(api, { sale }, { signal })),
    refetchInterval: q => (q.state.data?.items.some(r => !over(r)) ? 2000 : 10_000),
  })
  const runs = list.data?.items ?? []
  return (
    <>
      <Head title={t('rehearse')} note={t('rehearse.note')}>
        <LinkButton to={`/sales/${sale}`}>{t('cockpit')}</LinkButton>
        {may && (
          <Button
            type="primary"
            disabled={runs.some(r => !over(r))}
            onClick={() => ask(planQuestion(speech, plan => good(startRehearsal(api, { sale, body: plan }))))}
            data-testid="rehearsal-start"
          >
            {t('rehearse.start')}
          </Button>
        )}
      </Head>
      <ProblemBox error={list.error} retry={() => void list.refetch()} />
      {list.isPending && <Skeleton active />}
      {list.data && runs.length === 0 && <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('rehearse.none')} />}
      {runs.map((r, i) => (over(r) ? <Run key={r.id} r={r} first={i === 0} /> : <Running key={r.id} was={r} first={i === 0} />))}
    </>
  )
}

/** One that runs, as the stream tells it. */
function Running({ was, first }: { was: Rehearsal; first: boolean }) {
  const now = useLive<Rehearsal>(`rehearsal:${was.id}`)
  return <Run r={now ?? was} first={first} />
}

const steps = ['preparing', 'storming', 'settling', 'checking', 'cleaning', 'done']

function share(r: Rehearsal): number {
  if (over(r)) return 100
  if (r.state === 'storming') return 5 + Math.round((80 * r.arrived) / Math.max(1, r.arrivals))
  return r.state === 'preparing' ? 2 : 85 + 3 * (steps.indexOf(r.state) - 1)
}

/** The newest one has the names that tests hold on to. */
function Run({ r, first }: { r: Rehearsal; first: boolean }) {
  const { t, w, lang } = useText()
  const named = (name: string) => (first ? { 'data-testid': name } : {})
  return (
    <Card
      title={<At iso={r.startedAt} />}
      extra={<State value={r.state} group="rehearsal" {...(first ? { testId: 'rehearsal-state' } : {})} />}
    >
      <div {...named('rehearsal-progress')}>
        <Progress
          percent={share(r)}
          status={r.state === 'failed' ? 'exception' : over(r) ? 'success' : 'active'}
          aria-label={t('exports.progress')}
        />
      </div>
      {r.verdict && (
        <Alert
          type={r.verdict === 'go' ? 'success' : 'error'}
          showIcon
          role="status"
          title={
            <strong {...named('rehearsal-verdict')} data-value={r.verdict}>
              {t(r.verdict === 'go' ? 'rehearse.go' : 'rehearse.noGo')}
            </strong>
          }
        />
      )}
      {r.reasons.length > 0 && (
        <ul className="findings findings-marked" {...named('rehearsal-reasons')}>
          {r.reasons.map(x => (
            <li key={`${x.what}-${x.detail}`} className={x.good ? 'good' : 'bad'}>
              {x.good ? '✓' : '✗'} <b>{w('ground', x.what)}</b>: {x.detail}
            </li>
          ))}
        </ul>
      )}
      {r.note && <p>{r.note}</p>}
      <Facts
        facts={[
          [
            t('rehearse.arrived'),
            <>
              <Count n={r.arrived} /> / <Count n={r.arrivals} />
            </>,
          ],
          ...Object.entries(r.answers ?? {}).map(([k, n]): [string, React.ReactNode] => [w('answer', k), <Count key={k} n={n} />]),
          [t('funnel.paid'), <Count key="p" n={r.paid} />],
          [t('latency.p50'), span(r.latencyP50Ms, lang)],
          [t('latency.p99'), span(r.latencyP99Ms, lang)],
          [t('rehearse.rate'), r.plan.rate],
          [t('rehearse.seconds'), r.plan.seconds],
          [t('rehearse.copy'), <code key="c">{r.shadow}</code>],
        ]}
      />
    </Card>
  )
}
