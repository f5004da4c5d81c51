import { Alert, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { useText } from '../text'
import { token } from './call'
import { ProblemBox } from './problem'
import { logIn, type Step } from './session'

/** Name and password, and the code where one is asked for. in is called once the browser has its session. */
export function LoginForm({ enter, name }: { enter: () => Promise<void>; name?: string }) {
  const { t } = useText()
  const [code, setCode] = useState(false)
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<Step | null>(null)
  const [error, setError] = useState<unknown>(null)
  const send = async (fields: { name: string; password: string } | { code: string }) => {
    setBusy(true)
    setWrong(null)
    setError(null)
    try {
      const step = await logIn(fields)
      if (step.next === 'in') {
        token.set('') // a token beside the session is what the server would look at
        await enter()
      } else if (step.next === 'code') setCode(true)
      else setWrong(step)
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      {wrong?.next === 'wrong' && (
        <Alert
          type="error"
          showIcon
          role="alert"
          data-testid="error"
          title={wrong.status === 401 ? t(code ? 'login.wrongCode' : 'login.wrong') : wrong.said || t('login.failed')}
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
        <Form layout="vertical" onFinish={send} disabled={busy} key="password" initialValues={{ name: name ?? '' }}>
          <Form.Item name="name" label={t('login.name')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input autoFocus={!name} autoComplete="username" autoCapitalize="none" data-testid="login-user" />
          </Form.Item>
          <Form.Item name="password" label={t('login.password')} rules={[{ required: true, message: t('field.needed') }]}>
            <Input.Password autoFocus={!!name} autoComplete="current-password" data-testid="login-password" />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy} data-testid="login-submit">
            {t('login.submit')}
          </Button>
        </Form>
      )}
    </>
  )
}
