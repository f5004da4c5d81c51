import { Button, type ButtonProps, Tag } from 'antd'
import type { ReactNode } from 'react'
import { useHref, useNavigate } from 'react-router'
import { useText } from '../text'
import { count, moment, money, pretty } from './format'

/** The head of a page: what it is, and what can be done here. */
export function Head({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <div className="head">
      <div className="head-title">
        <h1>{title}</h1>
        {note && <p className="muted">{note}</p>}
      </div>
      <div className="head-acts">{children}</div>
    </div>
  )
}

export function Card({
  title,
  extra,
  children,
  className = '',
}: {
  title?: ReactNode
  extra?: ReactNode
  children: ReactNode
  className?: string
}) {
  return (
    <section className={`card ${className}`}>
      {(title || extra) && (
        <div className="card-head">
          <h2>{title}</h2>
          {extra}
        </div>
      )}
      {children}
    </section>
  )
}

const colours: Record<string, string> = {
  open: 'green',
  paid: 'green',
  working: 'green',
  go: 'green',
  confirmed: 'green',
  captured: 'green',
  delivered: 'green',
  closed: 'default',
  fulfilled: 'blue',
  scheduled: 'cyan',
  pending_payment: 'gold',
  paused: 'orange',
  sold_out: 'cyan',
  cancelled: 'default',
  expired: 'default',
  refunded: 'magenta',
  dead: 'red',
  replayed: 'green',
  discarded: 'default',
  failing: 'orange',
  disabled: 'red',
  needs_human: 'red',
  trying: 'gold',
  confirming: 'gold',
  cancelling: 'gold',
  failed: 'red',
  mismatch: 'red',
  pending: 'gold',
  refunding: 'gold',
  'given-up': 'red',
  waiting: 'gold',
  due: 'gold',
  refuse: 'red',
  pass: 'green',
}

/** A state of the API as a word of the language. data-value keeps the API's own name. */
export function State({ value, group = 'state', testId }: { value: string; group?: string; testId?: string }) {
  const { w } = useText()
  return (
    <Tag color={colours[value] ?? 'default'} data-testid={testId} data-value={value} className="state">
      {w(group, value)}
    </Tag>
  )
}

export function Money({ minor, currency }: { minor: number; currency: string }) {
  const { lang } = useText()
  return <span className="num">{money(minor, currency, lang)}</span>
}

export function Count({ n }: { n: number }) {
  const { lang } = useText()
  return <span className="num">{count(n, lang)}</span>
}

export function At({ iso, exact = false }: { iso: string | undefined; exact?: boolean }) {
  const { lang } = useText()
  return (
    <time className="num" dateTime={iso} title={iso}>
      {moment(iso, lang, exact)}
    </time>
  )
}

/** Names with their values; wide ones have a line each. */
export function Facts({ facts, wide = false }: { facts: [string, ReactNode][]; wide?: boolean }) {
  return (
    <dl className={wide ? 'facts facts-wide' : 'facts'}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** JSON as text. React escapes it: what a buyer wrote stays text. */
export function Json({ value }: { value: unknown }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
    <pre className="json" tabIndex={0}>
      {pretty(value)}
    </pre>
  )
}

interface ChoiceProps {
  options: { value: string; label: string }[]
  value?: string
  onChange?: (value: string) => void
  id?: string
  disabled?: boolean
  'data-testid'?: string
}

/** One of some words, by the browser's own control: it is usable by thumb, by keyboard and by voice. */
export function Choice({ options, value = '', onChange, ...rest }: ChoiceProps) {
  return (
    <select className="choice" value={value} onChange={e => onChange?.(e.target.value)} {...rest}>
      {options.map(o => (
        <option key={o.value} value={o.value}>
          {o.label}
        </option>
      ))}
    </select>
  )
}

/** A link that looks like a button. */
export function LinkButton({ to, ...props }: { to: string } & ButtonProps) {
  const go = useNavigate()
  const href = useHref(to)
  return (
    <Button
      {...props}
      href={href}
      onClick={e => {
        if (e.metaKey || e.ctrlKey || e.shiftKey) return
        e.preventDefault()
        void go(to)
      }}
    />
  )
}

/** A control with its name above it, as filters have it. The control is the child. */
export function Named({ label, flag = false, children }: { label: string; flag?: boolean; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className={flag ? 'filter filter-flag' : 'filter'}>
      <span>{label}</span>
      {children}
    </label>
  )
}
