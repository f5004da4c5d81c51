import { Button, Drawer } from 'antd'
import { useState } from 'react'
import { type AuditRow, listAudit } from '../../api/api'
import { api } from '../base/call'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Facts, Head, Json } from '../base/parts'
import { useText } from '../text'

const spec = { who: 'text', act: 'text', object: 'text', from: 'time', to: 'time' } as const

/** The trail, newest first: who did what, when and why, and what it was before and after. */
export default function Audit() {
  const { t } = useText()
  const [filters, set] = useFilters(spec)
  const [open, setOpen] = useState<AuditRow | null>(null)
  const { from, to, ...rest } = filters
  const times = { ...(from ? { from: new Date(from).toISOString() } : {}), ...(to ? { to: new Date(to).toISOString() } : {}) }
  const list = useList<AuditRow>(
    ['audit', filters],
    (turn, o) => listAudit(api, { limit: 200, newest: true, ...turn, ...rest, ...times }, o),
    3000,
  )
  return (
    <div data-testid="audit">
      <Head title={t('nav.audit')} note={t('audit.note')} />
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'who', label: t('audit.who') },
          { name: 'act', label: t('audit.act') },
          { name: 'object', label: t('audit.object') },
          { name: 'from', label: t('from'), kind: 'time' },
          { name: 'to', label: t('to'), kind: 'time' },
        ]}
      />
      <ListGrid
        label={t('nav.audit')}
        list={list}
        empty={t('audit.none')}
        id={r => r.seq}
        testId={r => `audit-${r.seq}`}
        columns={[
          {
            key: 'seq',
            title: '#',
            width: '5rem',
            render: r => (
              <Button type="link" size="small" onClick={() => setOpen(r)}>
                {r.seq}
              </Button>
            ),
          },
          { key: 'at', title: t('col.at'), width: '12rem', render: r => <At iso={r.at} /> },
          { key: 'who', title: t('audit.who'), width: '10rem', render: r => r.who },
          { key: 'act', title: t('audit.act'), width: '12rem', render: r => <code>{r.act}</code> },
          { key: 'object', title: t('audit.object'), render: r => r.object },
          { key: 'why', title: t('reason'), width: '2fr', render: r => r.why },
        ]}
      />
      <Drawer open={!!open} onClose={() => setOpen(null)} size={600} title={open ? `${open.act} · ${open.seq}` : ''}>
        {open && (
          <>
            <Facts
              facts={[
                [t('audit.who'), open.who],
                [t('col.at'), <At key="a" iso={open.at} exact />],
                [t('audit.object'), open.object],
                [t('reason'), open.why],
              ]}
            />
            <h3>{t('audit.before')}</h3>
            <Json value={open.before} />
            <h3>{t('audit.after')}</h3>
            <Json value={open.after} />
          </>
        )}
      </Drawer>
    </div>
  )
}
