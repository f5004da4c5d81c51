import { Button } from 'antd'
import { actOnBreaker, type BreakerView } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { useMay } from '../base/session'
import { useText } from '../text'

/** Trips a breaker by hand, or lets it go. */
export function BreakerActs({ name, breaker }: { name: string; breaker: BreakerView }) {
  const { t } = useText()
  const ask = useConfirm()
  const may = useMay()('operator')
  if (!may) return null
  const act = (action: 'trip' | 'reset') =>
    ask({
      title: `${t(`limits.${action}`)}: ${name}`,
      effect: () => t(`effect.${action}`, { name }),
      yes: t(`limits.${action}`),
      danger: action === 'trip',
      reason: 'required',
      run: a => good(actOnBreaker(api, { breaker: name, body: { action, reason: a.reason } })),
    })
  return (
    <span className="row-acts">
      <Button size="small" danger disabled={breaker.forced} onClick={() => act('trip')} data-testid={`breaker-trip-${name}`}>
        {t('limits.trip')}
      </Button>
      <Button
        size="small"
        disabled={!breaker.forced && breaker.state === 'closed'}
        onClick={() => act('reset')}
        data-testid={`breaker-reset-${name}`}
      >
        {t('limits.reset')}
      </Button>
    </span>
  )
}
