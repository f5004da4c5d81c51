import { useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { giveDrawValue, operatorGetLine, type SaleDetail } from '../../api/api'
import { api, good } from '../base/call'
import { useConfirm } from '../base/confirm'
import { span } from '../base/format'
import { Card, Count, Facts } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useMay } from '../base/session'
import { useText } from '../text'

/** The line or the draw of a sale, per SKU; a sale that is open to all has none. */
export function LineCard({ sale }: { sale: SaleDetail }) {
  const { t, lang, w } = useText()
  const ask = useConfirm()
  const may = useMay()
  const has = sale.admission !== 'open'
  const line = useQuery({
    queryKey: ['line', sale.id],
    enabled: has,
    refetchInterval: 2000,
    queryFn: ({ signal }) => good(operatorGetLine(api, { sale: sale.id }, { signal })),
  })
  const giveValue = () =>
    ask({
      title: t('draw.give'),
      effect: () => t('draw.effect'),
      yes: t('draw.give'),
      danger: true,
      reason: 'required',
      fields: [{ name: 'value', label: t('draw.value'), kind: 'text', required: true, hint: sale.line?.publicSource ?? '' }],
      run: a => good(giveDrawValue(api, { sale: sale.id, body: { value: a.value, reason: a.reason } })),
    })
  return (
    <Card title={t('line')}>
      {!has && <p className="muted">{t('line.none')}</p>}
      <ProblemBox error={line.error} />
      {line.data?.items.map(l => (
        <div key={l.sku} className="line">
          <h3>
            {l.sku || t('line.whole')} {l.draw && <span className="muted">· {w('draw', l.draw)}</span>}
          </h3>
          <Facts
            facts={[
              [t('line.waiting'), <Count key="w" n={l.waiting} />],
              [t('line.called'), <Count key="c" n={l.called} />],
              [t('line.used'), <Count key="u" n={l.used} />],
              [t('line.away'), <Count key="a" n={l.away} />],
              [t('line.pace'), `${l.pacePerSecond} / ${l.ratePerSecond} /s`],
              [t('line.wait'), l.waitSeconds === undefined ? '–' : span(l.waitSeconds * 1000, lang)],
            ]}
          />
          {l.draw === 'closed' && may('operator') && (
            <Button onClick={giveValue} data-testid="draw-value">
              {t('draw.give')}
            </Button>
          )}
        </div>
      ))}
    </Card>
  )
}
