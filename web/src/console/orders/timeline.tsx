import type { OrderTimeline, TimelineEntry } from '../../api/api'
import { At, Json, Money, State } from '../base/parts'
import { useText } from '../text'

/** All that happened to an order: its steps, payments, refunds and messages that failed, in order. */
export function Timeline({ timeline }: { timeline: OrderTimeline }) {
  return (
    <ol className="timeline" data-testid="timeline">
      {timeline.entries.map(e => (
        <li key={`${e.kind} ${e.at} ${e.what} ${String((e.data as { id?: string; n?: number } | null)?.id ?? '')}`} data-value={e.kind}>
          <At iso={e.at} exact />
          <Entry e={e} />
        </li>
      ))}
    </ol>
  )
}

function Entry({ e }: { e: TimelineEntry }) {
  const { t, w } = useText()
  const data = (e.data ?? {}) as Record<string, unknown>
  const text = (name: string) => String(data[name] ?? '')
  if (e.kind === 'event') {
    return (
      <>
        <State value={e.what} />
        <span>{text('why')}</span>
      </>
    )
  }
  return (
    <>
      <b>{w('happened', e.kind)}</b>
      <State value={e.what} {...(e.kind === 'payment' ? { testId: 'payment-state' } : {})} />
      {data.amount !== undefined && <Money minor={Number(data.amount)} currency={text('currency')} />}
      <span className="muted">{[text('provider'), text('reason')].filter(Boolean).join(' · ')}</span>
      <details>
        <summary>{t('cases.detail')}</summary>
        <Json value={e.data} />
      </details>
    </>
  )
}
