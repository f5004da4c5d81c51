import { Button, Drawer, Tag } from 'antd'
import * as calls from '../../api/api'
import { api, good } from '../base/call'
import { type Field, useConfirm } from '../base/confirm'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Card, Count, Facts, Head, State } from '../base/parts'
import { Secrets } from '../base/secret'
import { type Speech, useText } from '../text'

const spec = { q: 'text', app: 'text' } as const
const apis = ['sales.read', 'orders.read', 'orders.write', 'payments.write', 'balance.read']

const fields = ({ t }: Speech, a?: calls.PartnerApp): Field[] => [
  { name: 'name', label: t('apps.name'), kind: 'text', required: true, initial: a?.name ?? '' },
  { name: 'description', label: t('description'), kind: 'text', initial: a?.description ?? '' },
  {
    name: 'apis',
    label: t('apps.apis'),
    kind: 'tags',
    required: true,
    initial: a?.apis ?? ['sales.read'],
    options: apis.map(value => ({ value, label: value })),
  },
  {
    name: 'perMinute',
    label: t('apps.perMinute'),
    kind: 'number',
    min: 0,
    max: 1_000_000,
    initial: a?.perMinute ?? 0,
    hint: t('apps.quota.hint'),
  },
  { name: 'perDay', label: t('apps.perDay'), kind: 'number', min: 0, max: 10_000_000, initial: a?.perDay ?? 0 },
]

const secretsOf = (app: calls.PartnerApp): [string, string | undefined][] =>
  app.secrets.filter(s => s.secret).map(s => [`${s.use} · ${s.id}`, s.secret])

export default function Apps() {
  const speech = useText()
  const { t } = speech
  const ask = useConfirm()
  const [filters, set] = useFilters(spec)
  const list = useList<calls.PartnerApp>(['apps'], (_, o) => calls.listApps(api, o))
  const q = filters.q ?? ''
  const open = list.rows.find(a => a.id === filters.app)
  const create = () =>
    ask({
      title: t('apps.new'),
      effect: a => t(a.sandbox ? 'effect.app.sandbox' : 'effect.app', { apis: (a.apis ?? []).join(', ') }),
      yes: t('apps.new'),
      reason: 'none',
      fields: [
        ...fields(speech),
        { name: 'sandbox', label: t('apps.sandbox'), kind: 'switch', initial: false, hint: t('apps.sandbox.hint') },
      ],
      run: a =>
        good(
          calls.createApp(api, {
            body: {
              name: a.name,
              description: a.description,
              apis: a.apis,
              perMinute: a.perMinute ?? 0,
              perDay: a.perDay ?? 0,
              sandbox: !!a.sandbox,
            },
          }),
        ),
      done: answer => <Secrets secrets={secretsOf(answer as calls.PartnerApp)} />,
    })
  return (
    <>
      <Head title={t('nav.apps')} note={t('apps.note')}>
        <Button type="primary" onClick={create} data-testid="app-new">
          {t('apps.new')}
        </Button>
      </Head>
      <FilterBar values={filters} set={set} fields={[{ name: 'q', label: t('search') }]} />
      <ListGrid
        label={t('nav.apps')}
        list={{ ...list, rows: list.rows.filter(a => `${a.id} ${a.name} ${a.description}`.includes(q)) }}
        empty={t('apps.none')}
        id={a => a.id}
        testId={a => `app-${a.id}`}
        columns={[
          {
            key: 'name',
            title: t('apps.name'),
            width: '1.5fr',
            render: a => (
              <Button type="link" size="small" onClick={() => set({ app: a.id })}>
                {a.name}
              </Button>
            ),
          },
          { key: 'id', title: t('col.id'), render: a => <code>{a.id}</code> },
          {
            key: 'state',
            title: t('col.state'),
            width: '9rem',
            render: a => (
              <>
                <State value={a.enabled ? 'working' : 'disabled'} />
                {a.sandbox && <Tag>{t('apps.sandbox')}</Tag>}
              </>
            ),
          },
          { key: 'apis', title: t('apps.apis'), width: '2fr', render: a => a.apis.join(', ') },
          {
            key: 'quota',
            title: t('apps.perMinute'),
            width: '7rem',
            end: true,
            render: a => (a.perMinute ? <Count n={a.perMinute} /> : '–'),
          },
          { key: 'at', title: t('col.changed'), width: '12rem', render: a => <At iso={a.changedAt} /> },
        ]}
      />
      <Drawer open={!!open} onClose={() => set({ app: '' })} size={600} title={open?.name}>
        {open && <One app={open} />}
      </Drawer>
    </>
  )
}

function One({ app }: { app: calls.PartnerApp }) {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const at = { app: app.id }
  const toggle = () => {
    const act = app.enabled ? 'disable' : 'enable'
    ask({
      title: `${t(act)}: ${app.name}`,
      effect: () => t(`effect.app.${act}`),
      yes: t(act),
      danger: app.enabled,
      reason: 'required',
      run: a => good((app.enabled ? calls.disableApp : calls.enableApp)(api, { ...at, body: { reason: a.reason } })),
    })
  }
  const edit = () =>
    ask({
      title: `${t('edit')}: ${app.name}`,
      effect: a => t('effect.app.edit', { apis: (a.apis ?? []).join(', ') }),
      yes: t('save'),
      reason: 'required',
      fields: fields(speech, app),
      run: a =>
        good(
          calls.patchApp(api, {
            ...at,
            body: {
              name: a.name,
              description: a.description,
              apis: a.apis,
              perMinute: a.perMinute ?? 0,
              perDay: a.perDay ?? 0,
              reason: a.reason,
            },
          }),
        ),
    })
  const rotate = (use: 'oauth2' | 'signing') =>
    ask({
      title: `${t('rotate')}: ${w('use', use)}`,
      effect: a => t('effect.rotate', { hours: a.hours ?? 24 }),
      yes: t('rotate'),
      danger: true,
      reason: 'required',
      fields: [{ name: 'hours', label: t('rotate.overlap'), kind: 'number', min: 0, max: 720, initial: 24, required: true }],
      run: a => good(calls.rotateApp(api, { ...at, body: { use, overlapSeconds: a.hours * 3600, reason: a.reason } })),
      done: answer => <Secrets secrets={secretsOf(answer as calls.PartnerApp)} />,
    })
  const end = (s: calls.AppSecret) =>
    ask({
      title: t('apps.endSecret'),
      effect: () => t('effect.app.endSecret', { id: s.id }),
      yes: t('apps.endSecret'),
      danger: true,
      reason: 'required',
      run: a => good(calls.endAppSecret(api, { ...at, secret: s.id, reason: a.reason })),
    })
  const remove = () =>
    ask({
      title: `${t('delete')}: ${app.name}`,
      effect: () => t('effect.app.delete'),
      yes: t('delete'),
      danger: true,
      reason: 'required',
      run: a => good(calls.deleteApp(api, { ...at, reason: a.reason })),
    })
  return (
    <>
      <div className="row-acts">
        <Button onClick={edit}>{t('edit')}</Button>
        <Button onClick={toggle} danger={app.enabled}>
          {t(app.enabled ? 'disable' : 'enable')}
        </Button>
        <Button onClick={() => rotate('signing')}>
          {t('rotate')} ({w('use', 'signing')})
        </Button>
        <Button onClick={() => rotate('oauth2')}>
          {t('rotate')} ({w('use', 'oauth2')})
        </Button>
        <Button danger onClick={remove}>
          {t('delete')}
        </Button>
      </div>
      <Facts
        facts={[
          [t('col.id'), <code key="i">{app.id}</code>],
          [t('description'), app.description || '–'],
          [t('apps.apis'), app.apis.join(', ')],
          [t('apps.perMinute'), app.perMinute || '–'],
          [t('apps.perDay'), app.perDay || '–'],
          [t('col.created'), <At key="c" iso={app.createdAt} />],
          ...(app.why ? ([[t('reason'), app.why]] as [string, string][]) : []),
        ]}
      />
      <Card title={t('apps.secrets')}>
        {app.secrets.map(s => (
          <div key={s.id} className="branch">
            <b>{w('use', s.use)}</b> <code>{s.id}</code>{' '}
            <span className="muted">
              <At iso={s.createdAt} />
              {s.until && (
                <>
                  {' '}
                  – <At iso={s.until} />
                </>
              )}
            </span>{' '}
            <Button size="small" danger onClick={() => end(s)}>
              {t('apps.endSecret')}
            </Button>
          </div>
        ))}
      </Card>
    </>
  )
}
