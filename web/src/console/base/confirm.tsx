import { useQueryClient } from '@tanstack/react-query'
import { Alert, App, Form, Input, InputNumber, Modal, Select, Switch } from 'antd'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from 'react'
import { useText } from '../text'
import { Choice } from './parts'
import { ProblemBox } from './problem'

export interface Field {
  name: string
  label: string
  kind: 'text' | 'long' | 'lines' | 'number' | 'select' | 'tags' | 'switch' | 'password' | 'time'
  options?: { value: string; label: string }[]
  initial?: unknown
  required?: boolean
  min?: number
  max?: number
  hint?: string
  testId?: string
  /** Of a password: it is the one that is asked to prove who acts, not a new one. */
  current?: boolean
  /** Why a value will not do; nothing when it will. */
  check?: (value: unknown) => string | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: what a form holds is as different as its fields
export type Answers = Record<string, any>

export interface Question {
  title: string
  /** What will happen, in words; about money and stock it names the sums. */
  effect: (a: Answers) => ReactNode
  yes: string
  danger?: boolean
  fields?: Field[]
  reason: 'required' | 'optional' | 'none'
  /** Gets one key for this intention: a second press after a lost answer repeats the first. */
  run: (a: Answers, key: string) => Promise<unknown>
  /** What to say when it is done. Given the answer of run, it may show it instead. */
  done?: string | ((answer: unknown) => ReactNode)
  /** A refusal in words of this act; without one it is shown as the server told it. */
  said?: (error: unknown) => string | undefined
}

const Asking = createContext<(q: Question) => void>(() => {})

/** Asks before an act: what it does, and why it is done. */
export const useConfirm = (): ((q: Question) => void) => useContext(Asking)

export function ConfirmProvider({ children }: { children: ReactNode }) {
  const [question, setQuestion] = useState<{ q: Question; key: string } | null>(null)
  const ask = useCallback((q: Question) => setQuestion({ q, key: crypto.randomUUID() }), [])
  return (
    <Asking value={ask}>
      {children}
      {question && <Dialog key={question.key} q={question.q} intention={question.key} close={() => setQuestion(null)} />}
    </Asking>
  )
}

const named = (name: string): Record<`data-${string}`, string> => ({ 'data-testid': name })

function Dialog({ q, intention, close }: { q: Question; intention: string; close: () => void }) {
  const { t } = useText()
  const { message } = App.useApp()
  const cache = useQueryClient()
  const [form] = Form.useForm<Answers>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [shown, setShown] = useState<ReactNode>(null)
  const initial = Object.fromEntries((q.fields ?? []).map(f => [f.name, f.initial]))
  const given = Form.useWatch([], form) as Answers | undefined
  const submit = async (a: Answers) => {
    setBusy(true)
    setError(null)
    try {
      const answer = await q.run(a, intention)
      void cache.invalidateQueries()
      if (typeof q.done === 'function') setShown(q.done(answer))
      else {
        void message.success(q.done ?? t('done'))
        close()
      }
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  const over = shown !== null
  const wrong = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (error) wrong.current?.scrollIntoView({ block: 'nearest' })
  }, [error])
  return (
    <Modal
      open
      title={q.title}
      onCancel={close}
      mask={{ closable: false }}
      confirmLoading={busy}
      modalRender={box => <div data-testid="confirm">{box}</div>}
      destroyOnHidden
      okText={over ? t('close') : q.yes}
      cancelText={t('back')}
      onOk={() => (over ? close() : form.submit())}
      okButtonProps={{ danger: !!q.danger && !over, ...named('confirm-yes') }}
      cancelButtonProps={{ ...named('confirm-no'), style: over ? { display: 'none' } : {} }}
    >
      {over ? (
        shown
      ) : (
        <Form form={form} layout="vertical" initialValues={{ reason: '', ...initial }} onFinish={submit} disabled={busy} scrollToFirstError>
          {(q.fields ?? []).map(f => (
            <FieldItem key={f.name} f={f} />
          ))}
          {q.reason !== 'none' && (
            <Form.Item
              name="reason"
              label={t('reason')}
              rules={q.reason === 'required' ? [{ required: true, whitespace: true, message: t('reason.needed') }] : []}
              extra={t('reason.hint')}
            >
              <Input.TextArea rows={2} maxLength={500} data-testid="confirm-reason" autoFocus={!q.fields?.length} />
            </Form.Item>
          )}
          <Alert
            type={q.danger ? 'warning' : 'info'}
            showIcon
            title={<span aria-live="polite">{q.effect({ ...initial, ...given })}</span>}
            className="effect"
          />
          <div ref={wrong}>
            {error && q.said?.(error) ? (
              <Alert type="error" showIcon role="alert" className="problem" data-testid="error" title={q.said(error)} />
            ) : (
              <ProblemBox error={error} acting />
            )}
          </div>
        </Form>
      )}
    </Modal>
  )
}

export function FieldItem({ f }: { f: Field }) {
  const { t } = useText()
  const rules = [
    ...(f.required ? [{ required: true, message: t('field.needed') }] : []),
    ...(f.check
      ? [
          {
            validator: async (_: unknown, v: unknown) => {
              const why = f.check?.(v)
              if (why) throw new Error(why)
            },
          },
        ]
      : []),
  ]
  return (
    <Form.Item
      name={f.name}
      label={f.label}
      rules={rules}
      {...(f.hint ? { extra: f.hint } : {})}
      {...(f.kind === 'switch' ? { valuePropName: 'checked' } : {})}
    >
      {control(f)}
    </Form.Item>
  )
}

function control(f: Field) {
  const testId = { 'data-testid': f.testId ?? `field-${f.name}` }
  switch (f.kind) {
    case 'number':
      return (
        <InputNumber
          {...testId}
          {...(f.min !== undefined ? { min: f.min } : {})}
          {...(f.max !== undefined ? { max: f.max } : {})}
          precision={0}
          style={{ width: '100%' }}
        />
      )
    case 'select':
      return <Choice {...testId} options={f.options ?? []} />
    case 'tags':
      return <Select {...testId} mode="tags" options={f.options ?? []} tokenSeparators={[',', ' ', '\n']} />
    case 'switch':
      return <Switch {...testId} />
    case 'long':
      return <Input.TextArea {...testId} rows={12} className="mono" spellCheck={false} />
    case 'lines':
      return <Input.TextArea {...testId} rows={3} spellCheck={false} />
    case 'password':
      return <Input.Password {...testId} autoComplete={f.current ? 'current-password' : 'new-password'} />
    case 'time':
      return <Input {...testId} type="datetime-local" step={1} />
    default:
      return <Input {...testId} />
  }
}
