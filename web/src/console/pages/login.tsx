import { useQueryClient } from '@tanstack/react-query'
import { Button, Form, Input } from 'antd'
import { useNavigate, useSearchParams } from 'react-router'
import { token } from '../base/call'
import { Switches } from '../base/frame'
import { LoginForm } from '../base/loginform'
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
  const enter = async () => {
    cache.clear()
    await go(backTo(search), { replace: true })
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
      <LoginForm enter={enter} />
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
