import { useCallback, useEffect, useState } from 'preact/hooks'
import type { ItemView, View } from '../../api/api'
import type { Result } from '../../shared/http'
import { Go, useTitle, Waiting } from '../parts'
import { type Mine, useCell, useFrame, usePoll } from '../shop'
import { money } from '../words/format'
import { Buy } from './buy'
import { Countdown, useShown } from './sales'

/** One sale with its items. */
export function Sale({ id }: { id: string }) {
  const { shop, say } = useFrame()
  const mine = useCell(shop.mine)
  const [view, show] = useState<View>()
  const [failed, fail] = useState<Exclude<Result<unknown>, { kind: 'ok' }>>()
  const [turn, nudge] = useState(0)
  useTitle(view?.title ?? say('sales'))
  const ask = useCallback(async () => {
    const r = await shop.sale(id)
    if (r.kind !== 'ok') return fail(r)
    fail(undefined)
    show(r.body)
  }, [shop, id])
  usePoll(ask, 5000, turn)
  const edge = view && nextEdge(view, shop.clock.now())
  useEffect(() => {
    if (edge === undefined) return
    // Not everybody at the very moment: the button is free by the clock, this only refreshes what is shown.
    const timer = setTimeout(() => nudge(n => n + 1), Math.min(edge - shop.clock.now() + 50 + Math.random() * 450, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  }, [edge, shop])
  if (!view) return <Waiting failed={failed} />
  return <Shown view={view} mine={mine} failed={failed} />
}

function Shown({ view, mine, failed }: { view: View; mine: Mine | undefined; failed: Parameters<typeof Waiting>[0]['failed'] }) {
  const { say } = useFrame()
  const state = useShown(view)
  return (
    <>
      <p>
        <Go to={{ at: 'sales' }}>← {say('back')}</Go>
      </p>
      <h1 data-testid="sale-title">{view.title}</h1>
      <p class="row">
        <span class={`badge ${state}`} data-testid="sale-state" data-value={state}>
          {say(`state.${state}`)}
        </span>
        <Countdown view={view} testid="countdown" />
        {state !== 'closed' && <span class="quiet small">{say('clock')}</span>}
      </p>
      {failed && <Waiting failed={failed} />}
      <ul class="items">
        {(view.items ?? []).map(item => (
          <li key={item.sku}>
            <Item view={view} item={item} mine={mine} />
          </li>
        ))}
      </ul>
    </>
  )
}

/** When the state of a sale changes by itself next. */
function nextEdge(v: View, now: number): number | undefined {
  return [v.startsAt, v.endsAt].map(t => Date.parse(t)).find(t => t > now)
}

function Item({ view, item, mine }: { view: View; item: ItemView; mine: Mine | undefined }) {
  const { say, lang } = useFrame()
  return (
    <article class="card item" data-testid={`item-${item.sku}`}>
      <div class="picture" aria-hidden="true">
        {item.title.slice(0, 1)}
      </div>
      <div class="grow">
        <h2>{item.title}</h2>
        <p class="price">{money(item.price, item.currency, lang)}</p>
        <p class="row">
          {view.state !== 'closed' && (
            <span class={`badge ${item.availability}`} data-testid={`availability-${item.sku}`} data-value={item.availability}>
              {say(`availability.${item.availability as 'plenty' | 'few' | 'held' | 'none'}`)}
            </span>
          )}
          {item.limitPerUser > 0 && <span class="quiet">{say('limit', { n: item.limitPerUser })}</span>}
        </p>
        {mine ? <Buy view={view} item={item} mine={mine} /> : <p class="quiet">{say('who.need')}</p>}
      </div>
    </article>
  )
}
