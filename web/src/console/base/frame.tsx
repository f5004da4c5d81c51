import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Drawer, Dropdown, Modal, Skeleton } from 'antd'
import { Suspense, useContext, useEffect, useState } from 'react'
import { Navigate, NavLink, Outlet, useLocation, useNavigate } from 'react-router'
import { getMe } from '../../api/api'
import { type Key, useText } from '../text'
import { api, good, loggedOut, statusOf } from './call'
import { ConfirmProvider } from './confirm'
import { type Role, reaches } from './legal'
import { LiveProvider, useLiveState } from './live'
import { LoginForm } from './loginform'
import { useNarrow } from './narrow'
import { ProblemBox } from './problem'
import { logOut, MeContext, useMay, useMe } from './session'
import { useSettings } from './settings'

interface Entry {
  to: string
  text: Key
  needs: Role
}

/** What the console has, as the navigation shows it. */
const entries: { text: Key; entries: Entry[] }[] = [
  {
    text: 'nav.night',
    entries: [
      { to: 'sales', text: 'nav.sales', needs: 'viewer' },
      { to: 'orders', text: 'nav.orders', needs: 'viewer' },
    ],
  },
  {
    text: 'nav.care',
    entries: [
      { to: 'cases', text: 'nav.cases', needs: 'viewer' },
      { to: 'dead-letters', text: 'nav.letters', needs: 'viewer' },
      { to: 'reconcile', text: 'nav.reconcile', needs: 'viewer' },
      { to: 'statements', text: 'nav.statements', needs: 'operator' },
      { to: 'transactions', text: 'nav.transactions', needs: 'viewer' },
      { to: 'balances', text: 'nav.balances', needs: 'viewer' },
    ],
  },
  {
    text: 'nav.outside',
    entries: [
      { to: 'webhooks', text: 'nav.webhooks', needs: 'operator' },
      { to: 'apps', text: 'nav.apps', needs: 'operator' },
    ],
  },
  {
    text: 'nav.house',
    entries: [
      { to: 'limits', text: 'nav.limits', needs: 'viewer' },
      { to: 'audit', text: 'nav.audit', needs: 'operator' },
      { to: 'exports', text: 'nav.exports', needs: 'operator' },
      { to: 'people', text: 'nav.people', needs: 'admin' },
      { to: 'clients', text: 'nav.clients', needs: 'admin' },
    ],
  },
]

/** The role that a page needs; what is written needs more than what is read. */
const needed = (path: string): Role => {
  if (/^\/sales\/(new$|[^/]+\/edit$)/.test(path)) return 'operator'
  const room = path.split('/')[1] ?? ''
  return entries.flatMap(g => g.entries).find(e => e.to === room)?.needs ?? 'viewer'
}

/** The page, or why somebody of this role does not get it. */
function Page({ path }: { path: string }) {
  const { t, w } = useText()
  const me = useContext(MeContext)
  const needs = needed(path)
  if (reaches(me.role, needs)) return <Outlet />
  return (
    <>
      <h1>{t('role.title')}</h1>
      <Alert
        type="info"
        showIcon
        data-testid="role-needed"
        title={t('role.needed', { needs: w('role', needs), have: w('role', me.role) })}
      />
    </>
  )
}

/** The frame of every page: who is there, where one can go. Without a login it leads to it. */
export function Frame() {
  const me = useMe()
  const where = useLocation()
  const { refetch } = me
  useEffect(() => {
    const ask = () => void refetch()
    loggedOut.addEventListener('401', ask)
    return () => loggedOut.removeEventListener('401', ask)
  }, [refetch])
  const out = statusOf(me.error) === 401
  if (out && !me.data) {
    return <Navigate to={`/login?return=${encodeURIComponent(where.pathname + where.search)}`} replace />
  }
  if (!me.data)
    return <main className="lone">{me.error ? <ProblemBox error={me.error} retry={() => void me.refetch()} /> : <Skeleton active />}</main>
  return (
    <MeContext value={me.data}>
      <LiveProvider out={out}>
        <ConfirmProvider>
          <div hidden={out}>
            <Framed />
          </div>
          {out && <Again user={me.data.user} />}
        </ConfirmProvider>
      </LiveProvider>
    </MeContext>
  )
}

/**
 * The session has ended while somebody was at work. What is on the page stays as it is, unseen, until the same person is back;
 * somebody else begins anew.
 */
function Again({ user }: { user: string }) {
  const { t } = useText()
  const cache = useQueryClient()
  const go = useNavigate()
  const enter = async () => {
    const me = await cache.fetchQuery({ queryKey: ['me'], queryFn: () => good(getMe(api)) })
    if (me.user === user) return void cache.invalidateQueries()
    cache.clear()
    await go('/login')
    location.reload()
  }
  return (
    <Modal
      open
      title={t('login.over')}
      footer={null}
      closable={false}
      mask={{ closable: false, blur: true }}
      keyboard={false}
      zIndex={2000}
    >
      <div data-testid="login-again">
        <p className="muted">{t('login.over.hint')}</p>
        <LoginForm enter={enter} name={user} />
      </div>
    </Modal>
  )
}

function Framed() {
  const { t } = useText()
  const narrow = useNarrow()
  const [open, setOpen] = useState(false)
  const where = useLocation()
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page closes the menu
  useEffect(() => setOpen(false), [where.pathname])
  return (
    <div className="frame">
      <a className="skip" href="#main">
        {t('skip')}
      </a>
      <header className="top">
        {narrow && (
          <Button type="text" aria-label={t('menu')} aria-expanded={open} onClick={() => setOpen(true)} data-testid="menu">
            ☰
          </Button>
        )}
        <NavLink to="/sales" className="brand">
          Penstock
        </NavLink>
        <span className="grow" />
        <Live />
        <Switches />
        <Who />
      </header>
      {narrow ? (
        <Drawer open={open} onClose={() => setOpen(false)} placement="left" size={264} title={t('menu')}>
          <Nav />
        </Drawer>
      ) : (
        <aside className="side">
          <Nav />
        </aside>
      )}
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Skeleton active paragraph={{ rows: 10 }} />}>
          <Page path={where.pathname} />
        </Suspense>
      </main>
    </div>
  )
}

function Nav() {
  const { t } = useText()
  const may = useMay()
  return (
    <nav aria-label={t('menu')}>
      {entries.map(group => {
        const open = group.entries.filter(e => may(e.needs))
        if (open.length === 0) return null
        return (
          <div key={group.text} className="nav-group">
            <h2>{t(group.text)}</h2>
            <ul>
              {open.map(e => (
                <li key={e.to}>
                  <NavLink to={`/${e.to}`} data-testid={`nav-${e.to}`}>
                    {t(e.text)}
                  </NavLink>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
    </nav>
  )
}

function Live() {
  const { t } = useText()
  const on = useLiveState()
  return (
    <span className={on ? 'live live-on' : 'live'} data-testid="live" data-value={on ? 'on' : 'off'} title={t(on ? 'live.on' : 'live.off')}>
      <i aria-hidden="true" />
      {t(on ? 'live' : 'live.not')}
    </span>
  )
}

/** Language and shade. Each button says what it leads to. */
export function Switches() {
  const { t } = useText()
  const s = useSettings()
  const dark = s.shade === 'dark'
  return (
    <>
      <Button
        type="text"
        size="small"
        data-testid="language"
        lang={s.lang === 'en' ? 'zh-CN' : 'en'}
        onClick={() => s.setLang(s.lang === 'en' ? 'zh-CN' : 'en')}
      >
        {s.lang === 'en' ? '中文' : 'English'}
      </Button>
      <Button
        type="text"
        size="small"
        data-testid="theme"
        aria-label={t(dark ? 'theme.light' : 'theme.dark')}
        title={t(dark ? 'theme.light' : 'theme.dark')}
        onClick={() => s.setShade(dark ? 'light' : 'dark')}
      >
        {dark ? '☀' : '☾'}
      </Button>
    </>
  )
}

function Who() {
  const { t, w } = useText()
  const me = useContext(MeContext)
  const cache = useQueryClient()
  const go = useNavigate()
  const out = async () => {
    await logOut()
    cache.clear()
    await go('/login')
  }
  const narrow = useNarrow()
  const button = (
    <Button type="text" size="small" data-testid="logout" onClick={() => void out()}>
      {t('logout')}
    </Button>
  )
  if (narrow) {
    return (
      <Dropdown
        trigger={['click']}
        menu={{
          items: [
            {
              key: 'who',
              label: `${me.user} · ${w('role', me.role)}`,
              onClick: () => void go('/account'),
            },
            { key: 'out', label: <span data-testid="logout">{t('logout')}</span>, onClick: () => void out() },
          ],
        }}
      >
        <Button type="text" size="small" aria-label={t('account')} data-testid="who">
          ◉
        </Button>
      </Dropdown>
    )
  }
  return (
    <>
      <NavLink to="/account" className="who" data-testid="who" title={`${t('account')} · ${w('role', me.role)}`}>
        {me.user}
      </NavLink>
      {button}
    </>
  )
}
