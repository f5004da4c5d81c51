import { Button, Tag } from 'antd'
import * as calls from '../../api/api'
import { api, good } from '../base/call'
import { type Field, useConfirm } from '../base/confirm'
import { FilterBar, ListGrid, useFilters, useList } from '../base/list'
import { At, Head, State } from '../base/parts'
import { NewFactor, Secrets } from '../base/secret'
import { type Speech, useText } from '../text'

const roles = ['viewer', 'support', 'operator', 'admin'] as const
const spec = { q: 'text', role: roles, user: 'text' } as const

const fields = ({ t, w }: Speech, u?: calls.BackOfficeUser): Field[] => [
  ...(u ? [] : [{ name: 'name', label: t('people.name'), kind: 'text' as const, required: true }]),
  { name: 'display', label: t('people.display'), kind: 'text', initial: u?.display ?? '' },
  { name: 'email', label: t('people.email'), kind: 'text', initial: u?.email ?? '' },
  {
    name: 'role',
    label: t('people.role'),
    kind: 'select',
    required: true,
    initial: u?.role ?? 'viewer',
    options: roles.map(value => ({ value, label: w('role', value) })),
  },
]

/** Who may come in, and who is in. */
export default function People() {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const [filters, set] = useFilters(spec)
  const list = useList<calls.BackOfficeUser>(['users'], (turn, o) => calls.listUsers(api, { limit: 100, ...turn }, o))
  const q = (filters.q ?? '').toLowerCase()
  const create = () =>
    ask({
      title: t('people.new'),
      effect: a => t('effect.user', { role: w('role', a.role ?? 'viewer') }),
      yes: t('people.new'),
      reason: 'none',
      fields: fields(speech),
      run: a => good(calls.createUser(api, { body: { name: a.name, display: a.display, email: a.email, role: a.role } })),
      done: answer => <Secrets secrets={[[t('login.password'), (answer as calls.BackOfficeUser).password]]} />,
    })
  return (
    <>
      <Head title={t('nav.people')} note={t('people.note')}>
        <Button type="primary" onClick={create} data-testid="person-new">
          {t('people.new')}
        </Button>
      </Head>
      <FilterBar
        values={filters}
        set={set}
        fields={[
          { name: 'q', label: t('search') },
          { name: 'role', label: t('people.role'), options: roles.map(value => ({ value, label: w('role', value) })) },
        ]}
      />
      <ListGrid
        label={t('nav.people')}
        list={{
          ...list,
          rows: list.rows.filter(
            u => (!filters.role || u.role === filters.role) && `${u.name} ${u.display} ${u.email}`.toLowerCase().includes(q),
          ),
        }}
        empty={t('people.none')}
        id={u => u.name}
        testId={u => `person-${u.name}`}
        lines={2}
        columns={[
          {
            key: 'name',
            title: t('people.name'),
            render: u => (
              <>
                <b>{u.name}</b>
                <br />
                <span className="muted">{[u.display, u.email].filter(Boolean).join(' · ')}</span>
              </>
            ),
          },
          { key: 'role', title: t('people.role'), width: '8rem', render: u => w('role', u.role) },
          {
            key: 'state',
            title: t('col.state'),
            width: '10rem',
            render: u => (
              <>
                <State value={u.disabled ? 'disabled' : 'working'} />
                {u.totp && <Tag>TOTP</Tag>}
              </>
            ),
          },
          { key: 'at', title: t('col.changed'), width: '12rem', render: u => <At iso={u.changedAt} /> },
          { key: 'acts', title: t('acts'), width: '30rem', tall: 3, render: u => <PersonActs u={u} /> },
        ]}
      />
      <h2>{t('people.sessions')}</h2>
      <Sessions user={filters.user ?? ''} set={user => set({ user })} />
    </>
  )
}

function PersonActs({ u }: { u: calls.BackOfficeUser }) {
  const speech = useText()
  const { t, w } = speech
  const ask = useConfirm()
  const user = u.name
  const edit = () =>
    ask({
      title: `${t('edit')}: ${user}`,
      effect: a => (a.role === u.role ? t('effect.user.edit') : t('effect.user.role', { role: w('role', a.role ?? u.role) })),
      yes: t('save'),
      reason: 'required',
      fields: fields(speech, u),
      run: a =>
        good(
          calls.changeUser(api, {
            user,
            body: { display: a.display, email: a.email, ...(a.role === u.role ? {} : { role: a.role }), reason: a.reason },
          }),
        ),
    })
  const toggle = () =>
    ask({
      title: `${t(u.disabled ? 'enable' : 'disable')}: ${user}`,
      effect: () => t(u.disabled ? 'effect.user.enable' : 'effect.user.disable'),
      yes: t(u.disabled ? 'enable' : 'disable'),
      danger: !u.disabled,
      reason: 'required',
      run: a => good(calls.changeUser(api, { user, body: { disabled: !u.disabled, reason: a.reason } })),
    })
  const password = () =>
    ask({
      title: `${t('people.password')}: ${user}`,
      effect: () => t('effect.user.password'),
      yes: t('people.password'),
      danger: true,
      reason: 'none',
      run: () => good(calls.putUserPassword(api, { user, body: {} })),
      done: x => <Secrets secrets={[[t('login.password'), (x as calls.BackOfficeUser).password]]} />,
    })
  const totp = () =>
    u.totp
      ? ask({
          title: `${t('people.noTotp')}: ${user}`,
          effect: () => t('effect.user.noTotp'),
          yes: t('people.noTotp'),
          danger: true,
          reason: 'required',
          run: a => good(calls.deleteUserTotp(api, { user, body: { reason: a.reason } })),
        })
      : ask({
          title: `${t('people.totp')}: ${user}`,
          effect: () => t('effect.user.totp'),
          yes: t('people.totp'),
          danger: true,
          reason: 'none',
          run: () => good(calls.putUserTotp(api, { user })),
          done: x => {
            return <NewFactor f={x as calls.SecondFactor} />
          },
        })
  const logout = () =>
    ask({
      title: `${t('people.logout')}: ${user}`,
      effect: () => t('effect.user.logout'),
      yes: t('people.logout'),
      danger: true,
      reason: 'required',
      run: a => good(calls.logoutUser(api, { user, body: { reason: a.reason } })),
    })
  return (
    <span className="row-acts">
      <Button size="small" onClick={edit}>
        {t('edit')}
      </Button>
      <Button size="small" onClick={password}>
        {t('people.password')}
      </Button>
      <Button size="small" onClick={totp}>
        {t(u.totp ? 'people.noTotp' : 'people.totp')}
      </Button>
      <Button size="small" onClick={logout}>
        {t('people.logout')}
      </Button>
      <Button size="small" danger={!u.disabled} onClick={toggle}>
        {t(u.disabled ? 'enable' : 'disable')}
      </Button>
    </span>
  )
}

function Sessions({ user, set }: { user: string; set: (user: string) => void }) {
  const { t } = useText()
  const ask = useConfirm()
  const list = useList<calls.BackOfficeSession>(['sessions', user], (_, o) => calls.listSessions(api, { user: user || undefined }, o))
  const end = (s: calls.BackOfficeSession) =>
    ask({
      title: t('people.end'),
      effect: () => t('effect.session', { user: s.user }),
      yes: t('people.end'),
      danger: true,
      reason: 'required',
      run: a => good(calls.endSession(api, { session: s.id, body: { reason: a.reason } })),
    })
  return (
    <>
      <FilterBar values={{ user }} set={c => set(c.user ?? '')} fields={[{ name: 'user', label: t('people.name') }]} />
      <ListGrid
        label={t('people.sessions')}
        list={list}
        empty={t('people.nobody')}
        id={s => s.id}
        lines={2}
        columns={[
          { key: 'user', title: t('people.name'), render: s => <b>{s.user}</b> },
          { key: 'address', title: t('people.address'), width: '10rem', render: s => s.address },
          { key: 'agent', title: t('people.agent'), width: '2fr', render: s => s.agent },
          { key: 'methods', title: t('people.methods'), width: '7rem', render: s => s.methods.join(' + ') },
          { key: 'seen', title: t('people.seen'), width: '12rem', render: s => <At iso={s.seenAt} /> },
          {
            key: 'act',
            title: t('acts'),
            width: '7rem',
            render: s => (
              <Button size="small" danger onClick={() => end(s)}>
                {t('people.end')}
              </Button>
            ),
          },
        ]}
      />
    </>
  )
}
