import { Button, Drawer } from 'antd'
import { useState } from 'react'
import type { AuditRow } from '../../api/api'
import { useTrail } from '../audit/trail'
import { FilterBar, ListGrid, useFilters } from '../base/list'
import { At, Facts, Head, Json } from '../base/parts'
import { useText } from '../text'

const spec = { q: 'text', who: 'text', act: 'text', object: 'text' } as const

/** The trail, newest first: who did what, when and why, and what it was before and after. */
export default function Audit() {
  const { t } = useText()
  const [filters, set] = useFilters(spec)
  const [open, setOpen] = useState<AuditRow | null>(null)
  const list = useTrail(filters)
  return (
    <div data-testid="audit">
      <Head title={t('nav.audit')} note={t('audit.note')} />
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'q', label: t('search') },
          { name: 'who', label: t('audit.who') },
          { name: 'act', label: t('audit.act') },
          { name: 'object', label: t('audit.object') },
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
