import { useCallback, useState } from 'preact/hooks'
import { explainAttempt, type Why as WhyData } from '../../api/api'
import type { Result } from '../../shared/http'
import { Go, useTitle, Waiting } from '../parts'
import { useFrame, usePoll } from '../shop'
import { moment } from '../words/format'
import { reason } from '../words/words'

/** Why an attempt was answered as it was. */
export function Why({ sale, attempt }: { sale: string; attempt: string }) {
  const { shop, say, words, lang } = useFrame()
  const [why, show] = useState<WhyData>()
  const [failed, fail] = useState<Exclude<Result<unknown>, { kind: 'ok' }>>()
  useTitle(say('why.title'))
  const ask = useCallback(async () => {
    const r = await explainAttempt(shop.http, { sale, key: attempt })
    if (r.kind !== 'ok') return fail(r)
    fail(undefined)
    show(r.body)
  }, [shop, sale, attempt])
  usePoll(ask, 30_000, undefined)
  const none = failed?.kind === 'problem' && failed.problem.status === 404
  if (!why && !none) return <Waiting failed={failed} />
  const last = why?.stages?.at(-1)?.verdict ?? ''
  const code = /^refused: ([a-z-]+)/.exec(last)?.[1]
  return (
    <article data-testid="why">
      <p>
        <Go to={{ at: 'sale', sale }}>← {say('back')}</Go>
      </p>
      <h1>{say('why.title')}</h1>
      {!why && <p>{say('why.none')}</p>}
      {why && (
        <>
          <p>{say('why.arrived', { when: moment(why.arrivedAt, lang) })}</p>
          {why.place !== undefined && why.place > 0 && <p>{say('why.place', { n: why.place })}</p>}
          <h2>{say('why.stages')}</h2>
          <ol class="history">
            {(why.stages ?? []).map((s, n) => (
              <li key={s.stage} data-testid={`why-verdict-${n}`} data-value={s.verdict}>
                {s.stage in stages ? say(`stage.${s.stage as keyof typeof stages}`) : s.stage} <Verdict text={s.verdict} />
              </li>
            ))}
          </ol>
          <h2>{say('why.rule')}</h2>
          <p class="answer">{code ? reason(say, words, code) : why.rule}</p>
        </>
      )}
      <p class="quiet small">{say('why.key', { key: attempt })}</p>
    </article>
  )
}

const stages = { gate: 1, throttle: 1, line: 1, decision: 1 }

function Verdict({ text }: { text: string }) {
  const { say, words } = useFrame()
  const code = /^refused: ([a-z-]+)/.exec(text)?.[1]
  if (code) return <strong>{say('why.refused', { reason: reason(say, words, code) })}</strong>
  if (text === 'passed') return <span>{say('why.passed')}</span>
  if (text === 'won') return <strong>{say('why.won')}</strong>
  return <span>{text === 'not known yet' ? say('why.pending') : text}</span>
}
