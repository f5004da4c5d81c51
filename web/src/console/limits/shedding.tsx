import type { SheddingView } from '../../api/api'
import { Count, Facts } from '../base/parts'
import { useText } from '../text'

/** How full the server is, and whom it has refused for lack of room. */
export function Shedding({ view }: { view: SheddingView | undefined }) {
  const { t, w } = useText()
  if (!view) return <p className="muted">{t('limits.noShedding')}</p>
  const classes = [...new Set([...Object.keys(view.passed ?? {}), ...Object.keys(view.refused ?? {})])]
  return (
    <>
      <Facts
        facts={[
          [t('shed.inFlight'), <Count key="i" n={view.running} />],
          [t('shed.limit'), <Count key="l" n={view.limit} />],
          [t('shed.waiting'), <Count key="w" n={view.waiting} />],
          [t('shed.target'), view.target],
        ]}
      />
      {classes.length > 0 && (
        <table className="small-table">
          <thead>
            <tr>
              <th scope="col">{t('limits.class')}</th>
              <th scope="col" className="end">
                {t('shed.passed')}
              </th>
              <th scope="col" className="end">
                {t('shed.refused')}
              </th>
            </tr>
          </thead>
          <tbody>
            {classes.map(c => (
              <tr key={c}>
                <th scope="row">{w('class', c)}</th>
                <td className="end">
                  <Count n={view.passed?.[c] ?? 0} />
                </td>
                <td className="end">
                  <Count n={view.refused?.[c] ?? 0} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}
