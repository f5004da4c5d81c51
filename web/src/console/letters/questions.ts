/** What the acts on dead letters ask and do. */
import {
  type DeadLetter,
  discardDeadLetter,
  discardDeadLetters,
  editDeadLetter,
  type LetterFilter,
  type ManySettled,
  replayDeadLetter,
  replayDeadLetters,
} from '../../api/api'
import { api, good, patient, type Result } from '../base/call'
import type { Question } from '../base/confirm'
import type { Values } from '../base/filters'
import { pretty } from '../base/format'
import type { Speech } from '../text'

/** The filter of a call from the filters of the page; times go as instants. */
export function filterOf(f: Values): LetterFilter {
  const out: Record<string, string> = {}
  for (const name of ['group', 'topic', 'type', 'user', 'key', 'reason']) if (f[name]) out[name] = f[name]
  for (const name of ['from', 'to']) if (f[name]) out[name] = new Date(f[name]).toISOString()
  return out as LetterFilter
}

export const replayOne = (l: DeadLetter, { t }: Speech): Question => ({
  title: `${t('letter.replay')} ${l.id}`,
  effect: () => t('effect.replay', { type: l.type, key: l.key, group: l.group }),
  yes: t('letter.replay'),
  reason: 'optional',
  run: a => good(replayDeadLetter(api, { letter: l.id, body: { reason: a.reason } })),
})

export const discardOne = (l: DeadLetter, { t }: Speech): Question => ({
  title: `${t('letter.discard')} ${l.id}`,
  effect: () => t('effect.discard', { type: l.type, key: l.key, group: l.group }),
  yes: t('letter.discard'),
  danger: true,
  reason: 'required',
  run: a => good(discardDeadLetter(api, { letter: l.id, body: { reason: a.reason } })),
})

const parsed = (text: unknown): { ok: true; value: unknown } | { ok: false } => {
  try {
    return { ok: true, value: JSON.parse(String(text)) }
  } catch {
    return { ok: false }
  }
}

export const editOne = (l: DeadLetter, { t }: Speech): Question => ({
  title: `${t('letter.edit')} ${l.id}`,
  effect: () => t('effect.edit', { group: l.group }),
  yes: t('letter.send'),
  danger: true,
  reason: 'required',
  fields: [
    {
      name: 'payload',
      label: t('letter.payload'),
      kind: 'long',
      required: true,
      initial: pretty(l.payload),
      testId: 'letter-payload',
      check: v => (parsed(v).ok ? undefined : t('letter.noJson')),
    },
    { name: 'type', label: t('letter.type'), kind: 'text', initial: l.type },
  ],
  run: a => {
    const payload = parsed(a.payload)
    return good(
      editDeadLetter(api, {
        letter: l.id,
        body: {
          payload: payload.ok ? payload.value : null,
          reason: a.reason,
          ...(a.type && a.type !== l.type ? { type: a.type } : {}),
        },
      }),
    )
  },
})

/** Batch after batch until nothing is left. Each batch is bounded by the server. */
async function all(
  batch: (cursor: string) => Promise<Result<ManySettled>>,
): Promise<{ settled: number; skipped: number; stopped: string }> {
  const sum = { settled: 0, skipped: 0, stopped: '' }
  for (let cursor = ''; ; ) {
    const b = await good(batch(cursor))
    sum.settled += b.settled
    sum.skipped += b.skipped.length
    sum.stopped = b.stopped ?? ''
    cursor = b.next
    if (!cursor || sum.stopped) return sum
  }
}

const many = (f: Values, { t }: Speech, act: 'replay' | 'discard'): Question => {
  const filter = filterOf(f)
  const some = Object.keys(filter).length > 0
  const call = act === 'replay' ? replayDeadLetters : discardDeadLetters
  return {
    title: t(act === 'replay' ? 'letters.replayAll' : 'letters.discardAll'),
    effect: () =>
      t(`effect.${act}.${some ? 'filter' : 'all'}`, {
        filter: Object.entries(filter)
          .map(([k, v]) => `${k}=${v}`)
          .join(', '),
      }),
    yes: t(act === 'replay' ? 'letters.replayAll' : 'letters.discardAll'),
    danger: true,
    reason: 'required',
    run: a =>
      all(cursor =>
        call(api, { body: { ...(some ? { filter } : { all: true }), reason: a.reason, ...(cursor ? { cursor } : {}) } }, patient),
      ),
    done: answer => {
      const sum = answer as Awaited<ReturnType<typeof all>>
      return `${t('letters.settledMany', { n: sum.settled, skipped: sum.skipped })} ${sum.stopped}`
    },
  }
}

export const replayMany = (f: Values, s: Speech): Question => many(f, s, 'replay')
export const discardMany = (f: Values, s: Speech): Question => many(f, s, 'discard')
