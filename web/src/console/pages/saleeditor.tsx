import { Alert, Button } from 'antd'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { createSale, validateSale } from '../../api/api'
import { api, CallError, good } from '../base/call'
import { count, moment, money, parseMoney, span, toField } from '../base/format'
import { Card, Head } from '../base/parts'
import { fieldName } from '../base/pointer'
import { ProblemBox } from '../base/problem'
import { type Draft, definition, doubts, findings, worth } from '../sale/define'
import { emptyItem, type Said, SaleFields, say } from '../sale/fields'
import { useText } from '../text'

const fresh = (): Draft => {
  const start = new Date(Date.now() + 3600_000)
  start.setMinutes(0, 0, 0)
  return {
    id: '',
    title: '',
    starts: toField(start.toISOString()),
    ends: toField(new Date(start.getTime() + 7200_000).toISOString()),
    window: '',
    grace: '',
    admission: 'open',
    waitingList: false,
    currency: 'CNY',
    rate: '',
    reach: '',
    closes: '',
    source: '',
    items: [emptyItem()],
  }
}

/** Writes a new sale, with what is wrong with it and what a buyer will see. */
export default function SaleEditor() {
  const { t } = useText()
  const go = useNavigate()
  const [draft, setDraft] = useState<Draft>(fresh)
  const [checked, setChecked] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [fromAfar, setFromAfar] = useState<Said[]>([])
  const found = findings(draft)
  const shown = checked ? [...say(found, t), ...fromServer(error), ...fromAfar] : fromServer(error)
  const change = (d: Draft) => {
    setDraft(d)
    setError(null)
    setFromAfar([])
  }
  /** What is right here is shown to the server too: it alone knows whether an id is taken. */
  const check = async () => {
    setChecked(true)
    setError(null)
    setFromAfar([])
    if (found.length > 0) return
    setBusy(true)
    try {
      const answer = await good(validateSale(api, { body: definition(draft) }))
      setFromAfar(answer.findings.map(f => ({ pointer: f.pointer ?? '', words: f.detail ?? '', theirs: true })))
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  const save = async () => {
    setChecked(true)
    if (found.length > 0) return
    setBusy(true)
    setError(null)
    try {
      const made = await good(createSale(api, { body: definition(draft) }))
      await go(`/sales/${made.id}`)
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <Head title={t('sale.new')} note={t('sale.new.note')} />
      <div className="columns columns-editor">
        <Card>
          <form
            onSubmit={e => {
              e.preventDefault()
              void save()
            }}
          >
            <SaleFields draft={draft} set={change} found={shown} />
            <div className="form-foot">
              <Button onClick={() => void check()} data-testid="sale-check">
                {t('sale.check')}
              </Button>
              <Button type="primary" htmlType="submit" loading={busy} data-testid="sale-save">
                {t('sale.save')}
              </Button>
            </div>
            <ProblemBox error={error} acting />
          </form>
        </Card>
        <div className="stack">
          <Findings checked={checked} found={shown} draft={draft} />
          <Preview draft={draft} good={found.length === 0} />
        </div>
      </div>
    </>
  )
}

/** What the server found, so that it stands at its field. */
const fromServer = (error: unknown): Said[] =>
  error instanceof CallError && error.result.kind === 'problem'
    ? (error.result.problem.errors ?? []).map(e => ({ pointer: e.pointer ?? '', words: e.detail ?? '', theirs: true }))
    : []

function Findings({ checked, found, draft }: { checked: boolean; found: Said[]; draft: Draft }) {
  const speech = useText()
  const { t } = speech
  const doubtful = say(doubts(draft, Date.now()), t)
  return (
    <Card title={t('sale.findings')}>
      <div data-testid="sale-findings" data-value={checked ? found.length : ''} aria-live="polite">
        {found.length > 0 ? (
          <ul className="findings">
            {found.map(f => (
              <li key={`${f.pointer} ${f.words}`}>
                <b title={f.pointer}>{fieldName(f.pointer, speech)}</b> <Words f={f} />
              </li>
            ))}
          </ul>
        ) : (
          <Alert type={checked ? 'success' : 'info'} showIcon title={t(checked ? 'sale.findings.none' : 'sale.findings.unchecked')} />
        )}
        {doubtful.length > 0 && (
          <>
            <h3>{t('sale.doubts')}</h3>
            <ul className="findings">
              {doubtful.map(f => (
                <li key={f.pointer}>
                  <b title={f.pointer}>{fieldName(f.pointer, speech)}</b> {f.words}
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </Card>
  )
}

/** What was found, in the language it was said in. */
const Words = ({ f }: { f: Said }) => (f.theirs ? <span lang="en">{f.words}</span> : f.words)

/** What a buyer will see, and what saving does. */
function Preview({ draft, good: valid }: { draft: Draft; good: boolean }) {
  const { t, lang, w } = useText()
  const all = worth(draft)
  const price = (text: string) => {
    const minor = parseMoney(text, draft.currency)
    return minor === null ? '–' : money(minor, draft.currency, lang)
  }
  const lasts = Date.parse(draft.ends) - Date.parse(draft.starts)
  return (
    <Card title={t('sale.preview')} className="preview">
      <div data-testid="sale-preview">
        <h3>{draft.title || t('sale.untitled')}</h3>
        <p className="muted">
          {moment(draft.starts, lang)} – {moment(draft.ends, lang)} {lasts > 0 && `(${span(lasts, lang)})`}
        </p>
        <p className="muted">
          {t('sale.admission')}: {w('admission', draft.admission)}
          {draft.waitingList && ` · ${t('sale.waiting')}`}
        </p>
        <ul className="preview-items">
          {draft.items.map((item, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: an item has no name of its own while it is written
            <li key={i}>
              <b className="name">{item.title || item.sku || '–'}</b>
              <span className="num">{price(item.price)}</span>
              <span className="muted">{Number(item.limit || 0) > 0 ? t('preview.limit', { n: item.limit }) : t('preview.noLimit')}</span>
            </li>
          ))}
        </ul>
        <p className="effect-text">
          {t(valid ? 'sale.effect' : 'sale.effect.not', {
            units: count(all.units, lang),
            worth: /^[A-Z]{3}$/.test(draft.currency) ? money(all.minor, draft.currency, lang) : '–',
            starts: moment(draft.starts, lang),
          })}
        </p>
      </div>
    </Card>
  )
}
