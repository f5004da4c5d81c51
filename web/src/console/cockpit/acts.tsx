import { Button } from 'antd'
import { actOnSale, type ItemView, offerStock, type SaleDetail } from '../../api/api'
import { api, good } from '../base/call'
import { type Answers, type Question, useConfirm } from '../base/confirm'
import { count, moment, money } from '../base/format'
import { type SaleAct, saleActs } from '../base/legal'
import { useMay } from '../base/session'
import { type Speech, useText } from '../text'
import { type StockNow, total } from './now'

/** A sale with its newest figures. */
export type Current = Pick<SaleDetail, 'id' | 'title' | 'state' | 'paused' | 'forcedSoldOut' | 'startsAt'> & {
  items: ItemView[]
  stock: StockNow[]
}

const order: SaleAct[] = ['open', 'pause', 'resume', 'add-stock', 'withdraw', 'force_sold_out', 'close']

/** The big acts. All are always there, so that nothing moves under a finger; what the state does not allow cannot be pressed. */
export function Acts({ sale }: { sale: Current }) {
  const speech = useText()
  const ask = useConfirm()
  const may = useMay()
  const legal = saleActs(sale)
  if (!may('operator')) return <p className="muted">{speech.t('acts.watch')}</p>
  return (
    <fieldset className="acts">
      <legend className="unseen">{speech.t('acts')}</legend>
      {order.map(act => (
        <Button
          key={act}
          size="large"
          data-testid={`act-${act}`}
          disabled={!legal.has(act)}
          danger={act === 'close' || act === 'force_sold_out'}
          type={act === 'open' || act === 'resume' ? 'primary' : 'default'}
          onClick={() => ask(act === 'add-stock' || act === 'withdraw' ? stockQuestion(sale, act, speech) : actQuestion(sale, act, speech))}
        >
          {speech.t(`act.${act}`)}
        </Button>
      ))}
    </fieldset>
  )
}

function actQuestion(sale: Current, act: Exclude<SaleAct, 'add-stock' | 'withdraw'>, { t, lang }: Speech): Question {
  const n = (what: 'available' | 'held') => count(total(sale.stock, what), lang)
  return {
    title: t('act.title', { act: t(`act.${act}`), sale: sale.title }),
    effect: () => t(`effect.${act}`, { available: n('available'), held: n('held'), starts: moment(sale.startsAt, lang) }),
    yes: t(`act.${act}`),
    danger: act === 'close' || act === 'force_sold_out' || act === 'pause',
    reason: 'required',
    run: a => good(actOnSale(api, { sale: sale.id, body: { action: act, reason: a.reason.trim() } })),
  }
}

/** What a change of stock does, in units and in money. */
export function stockEffect(sale: Current, act: 'add-stock' | 'withdraw', a: Answers, { t, lang }: Speech): string {
  const item = sale.items.find(i => i.sku === a.sku)
  const row = sale.stock.find(s => s.sku === a.sku)
  const n = Number(a.quantity ?? 0)
  if (!item || !row || !(n > 0)) return t('effect.stock.choose')
  const after = row.available + (act === 'withdraw' ? -n : n)
  if (after < 0) return t('effect.stock.tooMany', { available: count(row.available, lang) })
  return t(`effect.${act}`, {
    n: count(n, lang),
    sku: item.sku,
    before: count(row.available, lang),
    after: count(after, lang),
    worth: money(n * item.price, item.currency, lang),
  })
}

function stockQuestion(sale: Current, act: 'add-stock' | 'withdraw', speech: Speech): Question {
  const { t } = speech
  return {
    title: t('act.title', { act: t(`act.${act}`), sale: sale.title }),
    effect: a => stockEffect(sale, act, a, speech),
    yes: t(`act.${act}`),
    danger: act === 'withdraw',
    reason: 'required',
    fields: [
      {
        name: 'sku',
        label: t('sku'),
        kind: 'select',
        required: true,
        initial: sale.items[0]?.sku,
        options: sale.items.map(i => ({ value: i.sku, label: `${i.sku} · ${i.title}` })),
        testId: 'confirm-sku',
      },
      { name: 'quantity', label: t('units'), kind: 'number', required: true, min: 1, max: 1_000_000_000, testId: 'confirm-quantity' },
    ],
    run: (a, key) =>
      good(
        offerStock(api, {
          sale: sale.id,
          key,
          body: { sku: a.sku, delta: act === 'withdraw' ? -Number(a.quantity) : Number(a.quantity), reason: a.reason.trim() },
        }),
      ),
  }
}
