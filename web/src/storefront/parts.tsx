import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Result } from '../shared/http'
import { type Place, pathOf } from './route'
import { useFrame } from './shop'
import { reason } from './words/words'

/** A link within the shop. */
export function Go(p: { to: Place; class?: string; testid?: string; children: ComponentChildren }) {
  const { go } = useFrame()
  const click = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return
    e.preventDefault()
    go(p.to)
  }
  return (
    <a href={pathOf(p.to)} class={p.class} data-testid={p.testid} onClick={click}>
      {p.children}
    </a>
  )
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Penstock`
  }, [title])
}

/** What to say while there is nothing to show. */
export function Waiting({ failed }: { failed?: Exclude<Result<unknown>, { kind: 'ok' }> | undefined }) {
  const { say, words } = useFrame()
  if (!failed) return <p role="status">{say('loading')}</p>
  if (failed.kind === 'problem' && failed.problem.status === 404) {
    return (
      <>
        <h1 data-testid="error">{say('gone')}</h1>
        <p>
          <Go to={{ at: 'sales' }}>{say('back')}</Go>
        </p>
      </>
    )
  }
  const why = failed.kind === 'lost' ? say('reason.network') : reason(say, words, failed.code)
  return (
    <p role="alert" class="notice bad" data-testid="error">
      {say('failed', { why })}
    </p>
  )
}

/** A button that wants to be sure. The focus goes to the question, and back. */
export function Sure(p: { label: string; question: string; testid: string; busy: boolean; act: () => void }) {
  const { say } = useFrame()
  const [asking, ask] = useState(false)
  const yes = useRef<HTMLButtonElement>(null)
  const first = useRef<HTMLButtonElement>(null)
  const was = useRef(false)
  useEffect(() => {
    if (asking) yes.current?.focus()
    else if (was.current) first.current?.focus()
    was.current = asking
  }, [asking])
  if (!asking) {
    return (
      <button type="button" class="second" ref={first} data-testid={p.testid} disabled={p.busy} onClick={() => ask(true)}>
        {p.label}
      </button>
    )
  }
  const answer = (go: boolean) => {
    ask(false)
    if (go) p.act()
  }
  return (
    <fieldset class="sure">
      <legend>{p.question}</legend>
      <button type="button" ref={yes} data-testid={`${p.testid}-yes`} onClick={() => answer(true)}>
        {say('yes')}
      </button>
      <button type="button" class="second" data-testid={`${p.testid}-no`} onClick={() => answer(false)}>
        {say('no')}
      </button>
    </fieldset>
  )
}
