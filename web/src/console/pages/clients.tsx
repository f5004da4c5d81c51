import { Alert, Button, Drawer, Empty, Tag } from 'antd'
import * as calls from '../../api/api'
import { api, good, statusOf } from '../base/call'
import { type Answers, type Field, useConfirm } from '../base/confirm'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Facts, Head, State } from '../base/parts'
import { Secrets } from '../base/secret'
import { type Speech, useText } from '../text'

const spec = { q: 'text', client: 'text' } as const
const roles = ['viewer', 'support', 'operator', 'admin'] as const
const algorithms = ['RS256', 'ES256', 'EdDSA'] as const

/** Addresses, one a line. */
const lines = (text: unknown): string[] =>
  String(text ?? '')
    .split(/\s+/)
    .filter(Boolean)

const badAddress = (text: unknown): string | undefined => lines(text).find(uri => !/^[a-z][a-z0-9+.-]*:[^#\s]+$/i.test(uri))

const fields = ({ t, w }: Speech, c?: calls.OIDCClient): Field[] => [
  ...(c
    ? []
    : [
        {
          name: 'id',
          label: t('col.id'),
          kind: 'text' as const,
          required: true,
          hint: t('clients.id.hint'),
          check: (v: unknown) => (!v || /^[a-z0-9][a-z0-9._-]{0,63}$/.test(String(v)) ? undefined : t('clients.id.hint')),
        },
      ]),
  { name: 'name', label: t('apps.name'), kind: 'text', required: true, initial: c?.name ?? '' },
  {
    name: 'redirects',
    label: t('clients.redirects'),
    kind: 'lines',
    required: true,
    initial: c?.redirectUris.join('\n') ?? '',
    hint: t('clients.redirects.hint'),
    check: v => {
      const bad = badAddress(v)
      return bad && t('clients.redirects.bad', { uri: bad })
    },
  },
  {
    name: 'postLogout',
    label: t('clients.postLogout'),
    kind: 'lines',
    initial: c?.postLogoutRedirectUris.join('\n') ?? '',
    check: v => {
      const bad = badAddress(v)
      return bad && t('clients.redirects.bad', { uri: bad })
    },
  },
  {
    name: 'roles',
    label: t('clients.roles'),
    kind: 'tags',
    initial: c?.roles ?? [],
    options: roles.map(value => ({ value, label: w('role', value) })),
    hint: t('clients.roles.hint'),
  },
  {
    name: 'alg',
    label: t('clients.alg'),
    kind: 'select',
    initial: c?.idTokenAlg ?? 'RS256',
    options: algorithms.map(value => ({ value, label: value })),
  },
]

const body = (a: Answers) => ({
  name: String(a.name),
  redirectUris: lines(a.redirects),
  postLogoutRedirectUris: lines(a.postLogout),
  roles: (a.roles ?? []) as string[],
  idTokenAlg: a.alg as calls.OIDCClient['idTokenAlg'],
})

const secretOf = (c: calls.OIDCClient, { t }: Speech) =>
  c.secret ? (
    <Secrets
      secrets={[
        ['client_id', c.id],
        ['client_secret', c.secret],
      ]}
    />
  ) : (
    <p>{t('clients.noSecret', { id: c.id })}</p>
  )

/** Other systems that use the login of this house. */
export default function Clients() {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const [filters, set] = useFilters(spec)
  const list = useList<calls.OIDCClient>(['oidc-clients'], (_, o) => calls.listOidcClients(api, o))
  const q = (filters.q ?? '').toLowerCase()
  const open = list.rows.find(c => c.id === filters.client)
  if (statusOf(list.error) === 404) {
    return (
      <>
        <Head title={t('nav.clients')} note={t('clients.note')} />
        <div data-testid="clients-off">
          <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('clients.off')} />
        </div>
      </>
    )
  }
  const create = () =>
    ask({
      title: t('clients.new'),
      effect: a => t(a.public ? 'effect.client.public' : 'effect.client', { name: a.name || '…' }),
      yes: t('clients.new'),
      reason: 'none',
      fields: [
        ...fields(speech),
        { name: 'public', label: t('clients.public'), kind: 'switch', initial: false, hint: t('clients.public.hint') },
      ],
      run: a => good(calls.createOidcClient(api, { body: { id: a.id, public: !!a.public, ...body(a) } })),
      done: x => secretOf(x as calls.OIDCClient, speech),
    })
  const keys = () =>
    ask({
      title: t('clients.keys'),
      effect: () => t('effect.clients.keys'),
      yes: t('clients.keys'),
      danger: true,
      reason: 'required',
      run: a => good(calls.rotateOidcKeys(api, { body: { reason: a.reason } })),
    })
  return (
    <>
      <Head title={t('nav.clients')} note={t('clients.note')}>
        <Button onClick={keys} data-testid="client-keys">
          {t('clients.keys')}
        </Button>
        <Button type="primary" onClick={create} data-testid="client-new">
          {t('clients.new')}
        </Button>
      </Head>
      <FilterBar values={filters} set={set} fields={[{ name: 'q', label: t('search') }]} />
      <ListGrid
        label={t('nav.clients')}
        list={{ ...list, rows: list.rows.filter(c => `${c.id} ${c.name} ${c.redirectUris.join(' ')}`.toLowerCase().includes(q)) }}
        empty={t('clients.none')}
        id={c => c.id}
        testId={c => `client-${c.id}`}
        columns={[
          {
            key: 'name',
            title: t('apps.name'),
            render: c => (
              <Button type="link" size="small" onClick={() => set({ client: c.id })} data-testid={`client-open-${c.id}`}>
                {c.name}
              </Button>
            ),
          },
          { key: 'id', title: t('col.id'), render: c => <code>{c.id}</code> },
          { key: 'state', title: t('col.state'), width: '10rem', render: c => <ClientState c={c} /> },
          { key: 'redirects', title: t('clients.redirects'), width: '2fr', render: c => c.redirectUris.join(' ') },
          {
            key: 'roles',
            title: t('clients.roles'),
            render: c => (c.roles.length === 0 ? t('all') : c.roles.map(r => w('role', r)).join(', ')),
          },
          { key: 'at', title: t('col.created'), width: '12rem', render: c => <At iso={c.createdAt} /> },
        ]}
      />
      <Drawer open={!!filters.client} onClose={() => set({ client: '' })} size={600} title={open?.name ?? filters.client}>
        {open ? <One c={open} /> : !list.loading && <Alert type="warning" showIcon title={t('clients.gone')} />}
      </Drawer>
    </>
  )
}

function ClientState({ c }: { c: calls.OIDCClient }) {
  const { t } = useText()
  return (
    <>
      <State value={c.disabled ? 'disabled' : 'working'} testId="client-state" />
      {c.public && <Tag>{t('clients.public')}</Tag>}
    </>
  )
}

function One({ c }: { c: calls.OIDCClient }) {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const client = c.id
  const edit = () =>
    ask({
      title: `${t('edit')}: ${c.name}`,
      effect: () => t('effect.client.edit'),
      yes: t('save'),
      reason: 'required',
      fields: fields(speech, c),
      run: a => good(calls.changeOidcClient(api, { client, body: { ...body(a), reason: a.reason } })),
    })
  const rotate = () =>
    ask({
      title: `${t('rotate')}: ${c.name}`,
      effect: () => t('effect.client.rotate'),
      yes: t('rotate'),
      danger: true,
      reason: 'required',
      run: a => good(calls.rotateOidcClient(api, { client, body: { reason: a.reason } })),
      done: x => secretOf(x as calls.OIDCClient, speech),
    })
  const toggle = () =>
    ask({
      title: `${t(c.disabled ? 'enable' : 'disable')}: ${c.name}`,
      effect: () => t(c.disabled ? 'effect.client.enable' : 'effect.client.disable'),
      yes: t(c.disabled ? 'enable' : 'disable'),
      danger: !c.disabled,
      reason: 'required',
      run: a => good(calls.changeOidcClient(api, { client, body: { disabled: !c.disabled, reason: a.reason } })),
    })
  const remove = () =>
    ask({
      title: `${t('delete')}: ${c.name}`,
      effect: () => t('effect.client.delete'),
      yes: t('delete'),
      danger: true,
      reason: 'required',
      run: a => good(calls.deleteOidcClient(api, { client, reason: a.reason })),
    })
  const list = (all: string[]) => (all.length === 0 ? '–' : all.map(uri => <div key={uri}>{uri}</div>))
  return (
    <>
      <Facts
        facts={[
          ['client_id', <code key="i">{c.id}</code>],
          [t('col.state'), <ClientState key="s" c={c} />],
          [t('clients.alg'), c.idTokenAlg],
          [t('clients.roles'), c.roles.length === 0 ? t('all') : c.roles.map(r => w('role', r)).join(', ')],
          [t('col.created'), <At key="a" iso={c.createdAt} />],
        ]}
      />
      <Facts
        wide
        facts={[
          [t('clients.redirects'), list(c.redirectUris)],
          [t('clients.postLogout'), list(c.postLogoutRedirectUris)],
        ]}
      />
      <div className="row">
        <Button onClick={edit} data-testid="client-edit">
          {t('edit')}
        </Button>
        {!c.public && (
          <Button onClick={rotate} data-testid="client-rotate">
            {t('rotate')}
          </Button>
        )}
        <Button onClick={toggle} danger={!c.disabled} data-testid={c.disabled ? 'client-enable' : 'client-disable'}>
          {t(c.disabled ? 'enable' : 'disable')}
        </Button>
        <Button onClick={remove} danger data-testid="client-delete">
          {t('delete')}
        </Button>
      </div>
    </>
  )
}
