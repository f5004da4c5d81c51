import { Alert, Typography } from 'antd'
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
