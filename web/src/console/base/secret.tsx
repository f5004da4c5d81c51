import { Alert, QRCode, Typography } from 'antd'
import type { SecondFactor } from '../../api/api'
import { useText } from '../text'

/** Something that is shown once and never again. */
export function Secrets({ secrets }: { secrets: [name: string, value: string | undefined][] }) {
  const { t } = useText()
  return (
    <div className="stack">
      <Alert type="warning" showIcon title={t('secret.once')} />
      {secrets.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <div className="muted">{name}</div>
              <Typography.Text code copyable={{ text: value, tooltips: [t('copy'), t('copied')] }} className="secret">
                {value}
              </Typography.Text>
            </div>
          ),
      )}
    </div>
  )
}

/** What the authenticator app reads, and what stands in for it. */
export function NewFactor({ f }: { f: SecondFactor }) {
  const { t } = useText()
  return (
    <div className="stack" data-testid="second-factor-made">
      <div className="factor">
        <div className="qr" aria-hidden="true">
          <QRCode value={f.uri} type="svg" size={160} color="#000" bgColor="#fff" bordered={false} />
        </div>
        <p>{t('people.totp.scan')}</p>
      </div>
      <Secrets secrets={[[t('people.totp.secret'), f.secret]]} />
      <div>
        <div className="muted">
          {t('people.totp.recovery')}{' '}
          <Typography.Text copyable={{ text: f.recoveryCodes.join('\n'), tooltips: [t('copy'), t('copied')] }} />
        </div>
        <ul className="codes">
          {f.recoveryCodes.map(code => (
            <li key={code}>
              <code>{code}</code>
            </li>
          ))}
        </ul>
      </div>
    </div>
  )
}
