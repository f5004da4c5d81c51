import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { useNavigate, useSearchParams } from 'react-router'
import { token } from '../base/call'
import { Switches } from '../base/frame'
import { ProblemBox } from '../base/problem'
import { logIn, type Step } from '../base/session'
import { useText } from '../text'

/** Only a path of the console is gone back to. */
const backTo = (search: URLSearchParams): string => {
  const want = search.get('return') ?? ''
  return /^\/(?!\/)[\w\-./?=&%:+,~]*$/.test(want) && !want.startsWith('/login') ? want : '/sales'
}

export default function Login() {
  const { t } = useText()
  const [search] = useSearchParams()
  const go = useNavigate()
  const cache = useQueryClient()
  const [code, setCode] = useState(false)
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<Step | null>(null)
  const [error, setError] = useState<unknown>(null)
  const enter = async () => {
    cache.clear()
    await go(backTo(search), { replace: true })
  }
  const send = async (fields: { name: string; password: string } | { code: string }) => {
    setBusy(true)
    setWrong(null)
    setError(null)
    try {
      const step = await logIn(fields)
      if (step.next === 'in') await enter()
      else if (step.next === 'code') setCode(true)
      else setWrong(step)
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  const byToken = async ({ bearer }: { bearer: string }) => {
    token.set(bearer.trim())
    await enter()
  }
  return (
    <main className="lone login" id="main">
      <div className="login-top">
        <h1>Penstock</h1>
        <span className="grow" />
        <Switches />
      </div>
      <p className="muted">{t('login.what')}</p>
      {wrong?.next === 'wrong' && (
        <Alert
          type="error"
          showIcon
          role="alert"
          data-testid="error"
          title={wrong.status === 401 ? t('login.wrong') : wrong.said || t('login.failed')}
        />
      )}
      <ProblemBox error={error} />
      {code ? (
        <Form layout="vertical" onFinish={send} disabled={busy} key="code">
          <Form.Item name="code" label={t('login.code')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input autoFocus autoComplete="one-time-code" data-testid="login-code" />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy} data-testid="login-submit">
            {t('login.go')}
          </Button>
          <Button type="link" block onClick={() => setCode(false)}>
            {t('login.other')}
          </Button>
        </Form>
      ) : (
        <Form layout="vertical" onFinish={send} disabled={busy} key="password">
          <Form.Item name="name" label={t('login.name')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input autoFocus autoComplete="username" autoCapitalize="none" data-testid="login-user" />
          </Form.Item>
          <Form.Item name="password" label={t('login.password')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input.Password autoComplete="current-password" data-testid="login-password" />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy} data-testid="login-submit">
            {t('login.submit')}
          </Button>
        </Form>
      )}
      <details className="login-token" open={search.has('token')}>
        <summary>{t('login.token')}</summary>
        <p className="muted">{t('login.token.hint')}</p>
        <Form layout="vertical" onFinish={byToken}>
          <Form.Item name="bearer" label={t('login.token.label')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input.Password autoComplete="off" data-testid="login-token" />
          </Form.Item>
          <Button htmlType="submit" block data-testid="login-token-submit">
            {t('login.token.submit')}
          </Button>
        </Form>
      </details>
    </main>
  )
}
