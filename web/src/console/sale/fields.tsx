import { Button, Input, Switch } from 'antd'
import { createContext, type ReactNode, useContext, useId } from 'react'
import { Choice } from '../base/parts'
import { useText } from '../text'
import type { Draft, DraftItem, Finding } from './define'

export interface Said {
  pointer: string
  words: string
  /** The words are the server's own. */
  theirs?: boolean
}

const Findings = createContext<Said[]>([])

/** A labelled field that shows what was found about it. Its place for that is always there. */
function Labelled({
  label,
  pointer,
  hint,
  children,
}: {
  label: string
  pointer: string
  hint?: string
  children: (id: string, wrong: boolean, note: string) => ReactNode
}) {
  const id = useId()
  const found = useContext(Findings).filter(f => f.pointer === pointer)
  const wrong = found.length > 0
  return (
    <div className={wrong ? 'field wrong' : 'field'}>
      <label htmlFor={id}>{label}</label>
      {children(id, wrong, `${id}-note`)}
      <small id={`${id}-note`}>{wrong ? found.map(f => f.words).join(' ') : hint}</small>
    </div>
  )
}

interface TextProps {
  label: string
  pointer: string
  value: string
  set: (v: string) => void
  testId: string
  hint?: string
  type?: string
  suffix?: string
  mode?: 'numeric' | 'decimal'
}

export function Text({ label, pointer, value, set, testId, hint, type, suffix, mode }: TextProps) {
  return (
    <Labelled label={label} pointer={pointer} {...(hint ? { hint } : {})}>
      {(id, wrong, note) => (
        <Input
          id={id}
          value={value}
          onChange={e => set(e.target.value)}
          data-testid={testId}
          aria-invalid={wrong}
          aria-describedby={note}
          {...(wrong ? { status: 'error' as const } : {})}
          {...(type ? { type, step: 1 } : {})}
          {...(mode ? { inputMode: mode } : {})}
          {...(suffix ? { suffix } : {})}
        />
      )}
    </Labelled>
  )
}

/** The fields of a new sale. */
export function SaleFields({ draft, set, found }: { draft: Draft; set: (d: Draft) => void; found: Said[] }) {
  const { t, w } = useText()
  const field = (name: keyof Draft) => ({ value: String(draft[name]), set: (v: string) => set({ ...draft, [name]: v }) })
  return (
    <Findings value={found}>
      <div className="fields">
        <Text label={t('sale.title')} pointer="/title" testId="sale-title-input" {...field('title')} />
        <Text label={t('sale.id')} pointer="/id" testId="sale-id" hint={t('sale.id.hint')} {...field('id')} />
        <Text
          label={t('sale.starts')}
          pointer="/startsAt"
          testId="sale-starts"
          type="datetime-local"
          hint={t('sale.zone')}
          {...field('starts')}
        />
        <Text label={t('sale.ends')} pointer="/endsAt" testId="sale-ends" type="datetime-local" {...field('ends')} />
        <Text
          label={t('sale.window')}
          pointer="/paymentWindowSeconds"
          testId="sale-window"
          mode="numeric"
          suffix="s"
          hint={t('sale.window.hint')}
          {...field('window')}
        />
        <Text
          label={t('sale.grace')}
          pointer="/graceSeconds"
          testId="sale-grace"
          mode="numeric"
          suffix="s"
          hint={t('sale.grace.hint')}
          {...field('grace')}
        />
        <Text
          label={t('sale.currency')}
          pointer="/items/0/currency"
          testId="sale-currency"
          {...field('currency')}
          set={v => set({ ...draft, currency: v.toUpperCase() })}
        />
        <Labelled label={t('sale.admission')} pointer="/admission" hint={t(`sale.admission.${draft.admission}`)}>
          {id => (
            <Choice
              id={id}
              data-testid="sale-admission"
              value={draft.admission}
              onChange={v => set({ ...draft, admission: v as Draft['admission'] })}
              options={['open', 'line', 'draw'].map(value => ({ value, label: w('admission', value) }))}
            />
          )}
        </Labelled>
        {draft.admission !== 'open' && (
          <>
            <Text
              label={t('line.rate')}
              pointer="/line/ratePerSecond"
              testId="sale-rate"
              mode="numeric"
              suffix="/s"
              hint={t('sale.default')}
              {...field('rate')}
            />
            <Text
              label={t('line.reach')}
              pointer="/line/reach"
              testId="sale-reach"
              mode="decimal"
              hint={t('line.reach.hint')}
              {...field('reach')}
            />
          </>
        )}
        {draft.admission === 'draw' && (
          <>
            <Text
              label={t('draw.closes')}
              pointer="/line/closesAt"
              testId="sale-closes"
              type="datetime-local"
              hint={t('draw.closes.hint')}
              {...field('closes')}
            />
            <Text
              label={t('draw.source')}
              pointer="/line/publicSource"
              testId="sale-source"
              hint={t('draw.source.hint')}
              {...field('source')}
            />
          </>
        )}
        <Labelled label={t('sale.waiting')} pointer="/waitingList" hint={t('sale.waiting.hint')}>
          {id => (
            <Switch
              id={id}
              checked={draft.waitingList}
              onChange={waitingList => set({ ...draft, waitingList })}
              data-testid="sale-waiting"
            />
          )}
        </Labelled>
      </div>
      <h2>{t('sale.items')}</h2>
      {draft.items.map((item, i) => (
        <ItemFields
          // biome-ignore lint/suspicious/noArrayIndexKey: an item has no name of its own while it is written
          key={i}
          n={i}
          item={item}
          only={draft.items.length === 1}
          set={next => set({ ...draft, items: draft.items.flatMap((was, j) => (j !== i ? [was] : next ? [next] : [])) })}
        />
      ))}
      <Button
        onClick={() => set({ ...draft, items: [...draft.items, emptyItem()] })}
        disabled={draft.items.length >= 50}
        data-testid="item-add"
      >
        {t('item.add')}
      </Button>
    </Findings>
  )
}

export const emptyItem = (): DraftItem => ({ sku: '', title: '', price: '', stock: '', limit: '1' })

function ItemFields({ n, item, only, set }: { n: number; item: DraftItem; only: boolean; set: (item: DraftItem | null) => void }) {
  const { t } = useText()
  const field = (name: keyof DraftItem) => ({ value: item[name], set: (v: string) => set({ ...item, [name]: v }) })
  return (
    <fieldset className="fields item">
      <legend>{t('item.n', { n: n + 1 })}</legend>
      <Text label={t('sku')} pointer={`/items/${n}/sku`} testId={`item-sku-${n}`} {...field('sku')} />
      <Text label={t('sale.title')} pointer={`/items/${n}/title`} testId={`item-title-${n}`} {...field('title')} />
      <Text
        label={t('sale.price')}
        pointer={`/items/${n}/price`}
        testId={`item-price-${n}`}
        mode="decimal"
        hint={t('item.price.hint')}
        {...field('price')}
      />
      <Text label={t('item.stock')} pointer={`/items/${n}/stock`} testId={`item-stock-${n}`} mode="numeric" {...field('stock')} />
      <Text
        label={t('item.limit')}
        pointer={`/items/${n}/limitPerUser`}
        testId={`item-limit-${n}`}
        mode="numeric"
        hint={t('item.limit.hint')}
        {...field('limit')}
      />
      {!only && (
        <Button type="text" danger onClick={() => set(null)} className="item-remove" data-testid={`item-remove-${n}`}>
          {t('item.remove')}
        </Button>
      )}
    </fieldset>
  )
}

export const say = (found: Finding[], t: ReturnType<typeof useText>['t']): Said[] =>
  found.map(f => ({ pointer: f.pointer, words: t(f.text, f.params) }))
