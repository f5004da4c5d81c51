import { Button } from 'antd'
import { useState } from 'react'
import type { DeadLetter } from '../../api/api'
import { listDeadLetters } from '../../api/api'
import { api } from '../base/call'
import { useConfirm } from '../base/confirm'
import { letterActs } from '../base/legal'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { useLive } from '../base/live'
import { At, Head, State } from '../base/parts'
import { useMay } from '../base/session'
import { LetterDrawer } from '../letters/drawer'
import { discardMany, discardOne, editOne, filterOf, replayMany, replayOne } from '../letters/questions'
import { useText } from '../text'

const spec = {
  group: 'text',
  topic: 'text',
  type: 'text',
  user: 'text',
  key: 'text',
  reason: 'text',
  from: 'time',
  to: 'time',
  all: 'flag',
} as const

interface Backlog {
  messages: number
  parked: number
  deadLetters: number
}

export default function Letters() {
  const speech = useText()
  const { t } = speech
  const ask = useConfirm()
  const may = useMay()('operator')
  const [filters, set] = useFilters(spec)
  const [open, setOpen] = useState<DeadLetter | null>(null)
  const behind = useLive<Backlog>('dead-letters')
  const filter = filterOf(filters)
  const list = useList<DeadLetter>(
    ['dead-letters', filters],
    (turn, o) => listDeadLetters(api, { limit: 100, ...turn, ...filter, ...(filters.all ? { all: true } : {}) }, o),
    15_000,
  )
  const dead = list.rows.some(l => l.state === 'dead')
  const fields = (['group', 'topic', 'type', 'user', 'key', 'reason'] as const).map(name => ({ name, label: t(`letter.${name}`) }))
  const shown = open && (list.rows.find(l => l.id === open.id) ?? open)
  return (
    <>
      <Head
        title={t('nav.letters')}
        note={
          behind ? t('letters.behind', { messages: behind.messages, parked: behind.parked, dead: behind.deadLetters }) : t('letters.note')
        }
      >
        {may && (
          <>
            <Button disabled={!dead} onClick={() => ask(replayMany(filters, speech))} data-testid="letters-replay-all">
              {t('letters.replayAll')}
            </Button>
            <Button disabled={!dead} danger onClick={() => ask(discardMany(filters, speech))} data-testid="letters-discard-all">
              {t('letters.discardAll')}
            </Button>
          </>
        )}
      </Head>
      <FilterBar
        values={filters}
        set={set}
        fields={[
          ...fields,
          { name: 'from', label: t('from'), kind: 'time' },
          { name: 'to', label: t('to'), kind: 'time' },
          { name: 'all', label: t('letters.settled'), kind: 'flag' },
        ]}
      />
      <ListGrid
        label={t('nav.letters')}
        list={list}
        empty={t('letters.none')}
        emptyTestId="letters-empty"
        id={l => l.id}
        testId={l => `letter-${l.id}`}
        lines={3}
        columns={[
          {
            key: 'id',
            title: t('col.id'),
            width: '5rem',
            render: l => (
              <Button type="link" size="small" onClick={() => setOpen(l)} data-testid={`letter-open-${l.id}`}>
                {l.id}
              </Button>
            ),
          },
          { key: 'state', title: t('col.state'), width: '7rem', render: l => <State value={l.state} /> },
          {
            key: 'type',
            title: t('letter.type'),
            width: '10rem',
            render: l => (
              <>
                <code>{l.type}</code>
                <br />
                <span className="muted">{l.group}</span>
              </>
            ),
          },
          {
            key: 'key',
            title: t('letter.key'),
            width: '1fr',
            render: l => (
              <>
                <code>{l.key}</code>
                <br />
                <span className="muted">{l.user}</span>
              </>
            ),
          },
          { key: 'reason', title: t('letter.reason'), width: '2fr', render: l => l.reason },
          { key: 'at', title: t('letter.failedAt'), width: '12rem', render: l => <At iso={l.failedAt} /> },
          {
            key: 'acts',
            title: t('acts'),
            width: '15rem',
            render: l =>
              may &&
              letterActs(l.state).length > 0 && (
                <span className="row-acts">
                  <Button size="small" onClick={() => ask(replayOne(l, speech))} data-testid={`letter-replay-${l.id}`}>
                    {t('letter.replay')}
                  </Button>
                  <Button size="small" onClick={() => ask(editOne(l, speech))} data-testid={`letter-edit-${l.id}`}>
                    {t('letter.edit')}
                  </Button>
                  <Button size="small" danger onClick={() => ask(discardOne(l, speech))} data-testid={`letter-discard-${l.id}`}>
                    {t('letter.discard')}
                  </Button>
                </span>
              ),
          },
        ]}
      />
      <LetterDrawer letter={shown} close={() => setOpen(null)} />
    </>
  )
}
