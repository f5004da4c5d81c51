import { useCallback, useState } from 'preact/hooks'
import { listSales, type View } from '../../api/api'
import type { Result } from '../../shared/http'
import { Go, useTitle, Waiting } from '../parts'
import { useFrame, useNow, usePoll } from '../shop'
import { duration, moment, money } from '../words/format'

/** The list of all sales. */
export function Sales() {
  const { shop, say } = useFrame()
  const [views, show] = useState<readonly View[]>()
  const [failed, fail] = useState<Exclude<Result<unknown>, { kind: 'ok' }>>()
  useTitle(say('sales'))
  const ask = useCallback(async () => {
    const sent = shop.clock.mark()
    const r = await listSales(shop.http)
    if (r.kind !== 'ok') return fail(r)
    const first = r.body.items[0]
    if (first && !r.headers.get('Age')) shop.clock.sample(first.serverTime, sent)
    fail(undefined)
    show(r.body.items)
  }, [shop])
  usePoll(ask, 10_000, undefined)
  if (!views) return <Waiting failed={failed} />
  return (
    <>
      <h1>{say('sales')}</h1>
      {failed && <Waiting failed={failed} />}
      {views.length === 0 && <p>{say('empty.sales')}</p>}
      <ul class="cards" data-testid="sales">
        {views.map(v => (
          <li key={v.id}>
            <Card view={v} />
          </li>
        ))}
      </ul>
    </>
  )
}

function Card({ view }: { view: View }) {
  const { say, lang } = useFrame()
  const first = view.items?.[0]
  return (
    <article class="card">
      <Go to={{ at: 'sale', sale: view.id }} class="title" testid={`sale-${view.id}`}>
        {view.title}
      </Go>
      <p class="row">
        <span class={`badge ${view.state}`}>{say(`state.${view.state}`)}</span>
        <Countdown view={view} />
      </p>
      {first && (
        <p class="quiet">
          {first.title} · {money(first.price, first.currency, lang)}
        </p>
      )}
    </article>
  )
}

/** How long until a sale opens or ends, by the server's clock. */
export function Countdown({ view, testid }: { view: View; testid?: string }) {
  const { shop, say, lang } = useFrame()
  const now = useNow(shop.clock)
  const [starts, ends] = [Date.parse(view.startsAt), Date.parse(view.endsAt)]
  const text =
    view.state === 'closed'
      ? say('ended', { when: moment(view.endsAt, lang) })
      : now < starts
        ? say('opens.in', { time: duration(starts - now, lang) })
        : say('closes.in', { time: duration(ends - now, lang) })
  return (
    <span class="countdown" role="timer" data-testid={testid}>
      {text}
    </span>
  )
}
