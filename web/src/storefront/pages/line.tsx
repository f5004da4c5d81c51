import type { View } from '../../api/api'
import { type Mine, useCell, useFrame, useNow } from '../shop'
import { duration } from '../words/format'
import { reason } from '../words/words'

/** Joining the line or the draw of a sale, and where one stands. */
export function Line({ view, sku, mine }: { view: View; sku: string; mine: Mine }) {
  const { shop, say, words, lang } = useFrame()
  const now = useNow(shop.clock)
  const s = useCell(mine.lines.cell(view.id, sku))
  const e = s.entry
  if (s.state === 'out') {
    return (
      <div role="status" class="answer" data-testid="line" data-value="out">
        {s.reason && <p>{reason(say, words, s.reason)}</p>}
        <button type="button" data-testid="line-join" onClick={() => void mine.lines.join(view.id, sku)}>
          {say(view.admission === 'draw' ? 'line.draw' : 'line.join')}
        </button>
      </div>
    )
  }
  if (!e) return <p role="status">{say('line.joining')}</p>
  const left = e.passExpiresAt ? Date.parse(e.passExpiresAt) - now : 0
  return (
    <div role="status" class={`answer ${e.pass ? 'good' : ''}`} data-testid="line" data-value={e.state}>
      {e.state === 'pot' && <p>{say('line.pot')}</p>}
      {e.drawn !== undefined && <p>{say('line.drawn', { n: e.drawn })}</p>}
      {e.position !== undefined && (
        <p class="big" data-testid="line-position" data-value={e.position}>
          {say('line.position', { n: e.position })}
        </p>
      )}
      {e.pass && (
        <p class="big">
          <span aria-live="off">{say('line.admitted', { time: duration(left, lang) })}</span>
        </p>
      )}
      {e.waitSeconds !== undefined && e.waitSeconds > 0 && !e.pass && (
        <p>{say('line.wait', { time: duration(e.waitSeconds * 1000, lang) })}</p>
      )}
      {e.reach && !e.pass && <p>{say(`line.reach.${e.reach}`)}</p>}
      {!e.pass && <p class="quiet">{say('line.stay')}</p>}
      <button type="button" class="second" data-testid="line-leave" onClick={() => void mine.lines.leave(view.id, sku)}>
        {say('line.leave')}
      </button>
    </div>
  )
}
