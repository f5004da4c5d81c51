import { useQueryClient } from '@tanstack/react-query'
import { Alert, App, Button, Form, Input } from 'antd'
import { type ReactNode, useContext, useState } from 'react'
import * as calls from '../../api/api'
import { api, good, statusOf } from '../base/call'
import { useConfirm } from '../base/confirm'
import { At, Card, Facts, Head } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { NewFactor } from '../base/secret'
import { MeContext } from '../base/session'
import { useText } from '../text'

/** One's own account: who one is, the password, the second factor. */
export default function Account() {
  const { t, w } = useText()
  const me = useContext(MeContext)
  const s = me.session
  return (
    <>
      <Head title={t('account')} note={t('account.note')} />
      <Card title={me.user}>
        <Facts
          facts={[
            [t('people.role'), w('role', me.role)],
            ...(s
              ? ([
                  [t('account.since'), <At key="s" iso={s.createdAt} />],
                  [t('account.ends'), <At key="e" iso={s.endsAt} />],
                ] satisfies [string, ReactNode][])
              : []),
          ]}
        />
      </Card>
      {s ? (
        <div className="columns">
          <Password />
          <SecondFactor has={!!me.totp} />
        </div>
      ) : (
        <Alert type="info" showIcon title={t('account.token')} data-testid="account-token" />
      )}
    </>
  )
}

interface Given {
  old: string
  fresh: string
  again: string
}

const bytes = (text: string): number => new TextEncoder().encode(text).length

function Password() {
  const { t } = useText()
  const { message } = App.useApp()
  const me = useContext(MeContext)
  const [form] = Form.useForm<Given>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const needed = { required: true, message: t('field.needed') }
  const save = async (a: Given) => {
    setBusy(true)
    setError(null)
    try {
      await good(calls.putMyPassword(api, { body: { old: a.old, new: a.fresh } }))
      form.resetFields()
      void message.success(t('account.password.done'))
    } catch (err) {
      if (statusOf(err) === 403) form.setFields([{ name: 'old', errors: [t('account.wrong')] }])
      else setError(err)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title={t('account.password')}>
      <Form form={form} layout="vertical" onFinish={save} disabled={busy} scrollToFirstError>
        <input type="text" name="username" autoComplete="username" value={me.user} readOnly hidden />
        <Form.Item name="old" label={t('account.password.old')} rules={[needed]}>
          <Input.Password autoComplete="current-password" data-testid="password-old" />
        </Form.Item>
        <Form.Item
          name="fresh"
          label={t('account.password.new')}
          extra={t('account.password.rule')}
          dependencies={['old']}
          rules={[
            needed,
            ({ getFieldValue }) => ({
              validator: async (_, v: string) => {
                const n = bytes(v ?? '')
                if (n > 0 && (n < 12 || n > 256)) throw new Error(t('account.password.rule'))
                if (n > 0 && v === getFieldValue('old')) throw new Error(t('account.password.same'))
              },
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" data-testid="password-new" />
        </Form.Item>
        <Form.Item
          name="again"
          label={t('account.password.again')}
          dependencies={['fresh']}
          rules={[
            needed,
            ({ getFieldValue }) => ({
              validator: async (_, v: string) => {
                if (v && v !== getFieldValue('fresh')) throw new Error(t('account.password.differs'))
              },
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" data-testid="password-again" />
        </Form.Item>
        <ProblemBox error={error} acting />
        <p className="muted">{t('account.password.effect')}</p>
        <Button type="primary" htmlType="submit" loading={busy} data-testid="password-save">
          {t('account.password.save')}
        </Button>
      </Form>
    </Card>
  )
}

function SecondFactor({ has }: { has: boolean }) {
  const { t } = useText()
  const ask = useConfirm()
  const enrol = () =>
    ask({
      title: t(has ? 'account.totp.again' : 'people.totp'),
      effect: () => t(has ? 'effect.totp.again' : 'effect.totp'),
      yes: t('account.totp.make'),
      danger: has,
      reason: 'none',
      fields: [{ name: 'password', label: t('account.password.old'), kind: 'password', current: true, required: true }],
      run: a => good(calls.putMyTotp(api, { body: { password: a.password } })),
      said: err => (statusOf(err) === 403 ? t('account.wrong') : undefined),
      done: x => <Begun f={x as calls.SecondFactor} />,
    })
  return (
    <Card title={t('people.totp')}>
      <p data-testid="second-factor" data-value={has ? 'on' : 'off'}>
        {t(has ? 'account.totp.on' : 'account.totp.off')}
      </p>
      <Button onClick={enrol} data-testid="second-factor-make">
        {t(has ? 'account.totp.again' : 'people.totp')}
      </Button>
      {has && <p className="muted">{t('account.totp.lost')}</p>}
    </Card>
  )
}

/** A second factor that waits for its first code. */
function Begun({ f }: { f: calls.SecondFactor }) {
  const { t } = useText()
  const cache = useQueryClient()
  const [form] = Form.useForm<{ code: string }>()
  const [busy, setBusy] = useState(false)
  const [on, setOn] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const confirm = async ({ code }: { code: string }) => {
    setBusy(true)
    setError(null)
    try {
      await good(calls.confirmMyTotp(api, { body: { code } }))
      setOn(true)
      void cache.invalidateQueries({ queryKey: ['me'] })
    } catch (err) {
      const said = { 403: t('account.totp.wrongCode'), 409: t('account.totp.void') }[statusOf(err)]
      if (said) form.setFields([{ name: 'code', errors: [said] }])
      else setError(err)
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="stack">
      <NewFactor f={f} />
      <div role="status">
        <Alert
          type={on ? 'success' : 'info'}
          showIcon
          title={t(on ? 'account.totp.done' : 'account.totp.begun')}
          data-testid="second-factor-state"
          data-value={on ? 'on' : 'begun'}
        />
      </div>
      {!on && (
        <Form form={form} layout="vertical" onFinish={confirm} disabled={busy}>
          <Form.Item name="code" label={t('account.totp.code')} rules={[{ required: true, whitespace: true, message: t('field.needed') }]}>
            <Input autoComplete="one-time-code" inputMode="numeric" maxLength={16} data-testid="second-factor-code" />
          </Form.Item>
          <ProblemBox error={error} acting />
          <Button type="primary" htmlType="submit" loading={busy} data-testid="second-factor-confirm">
            {t('account.totp.confirm')}
          </Button>
        </Form>
      )}
    </div>
  )
}
