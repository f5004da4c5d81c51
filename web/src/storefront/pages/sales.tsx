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
        {inOrder(views).map(v => (
          <li key={v.id}>
            <Card view={v} />
          </li>
        ))}
      </ul>
    </>
  )
}

const ranks: readonly View['state'][] = ['open', 'paused', 'scheduled', 'sold_out', 'closed']

/** What can be bought first, then what comes, the soonest first; what is over last. */
const inOrder = (views: readonly View[]): View[] =>
  [...views].sort(
    (a, b) => ranks.indexOf(a.state) - ranks.indexOf(b.state) || Date.parse(a.startsAt) - Date.parse(b.startsAt) || (a.id < b.id ? -1 : 1),
  )

/** The state to show: a sale opens by the clock, and what was told of it may be seconds old. */
export function useShown(view: View): View['state'] {
  const { shop } = useFrame()
  const now = useNow(shop.clock)
  return view.state === 'scheduled' && now >= Date.parse(view.startsAt) ? 'open' : view.state
}

function Card({ view }: { view: View }) {
  const { say, lang } = useFrame()
  const first = view.items?.[0]
  const state = useShown(view)
  return (
    <article class="card">
      <Go to={{ at: 'sale', sale: view.id }} class="title" testid={`sale-${view.id}`}>
        {view.title}
      </Go>
      <p class="row">
        <span class={`badge ${state}`} data-value={state}>
          {say(`state.${state}`)}
        </span>
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
      ? now < ends // somebody closed it before its time
        ? ''
        : say('ended', { when: moment(view.endsAt, lang) })
      : now < starts
        ? say('opens.in', { time: duration(starts - now, lang) })
        : say('closes.in', { time: duration(ends - now, lang) })
  return (
    <span class="countdown" role="timer" data-testid={testid}>
      {text}
    </span>
  )
}
