import { Drawer } from 'antd'
import { Link } from 'react-router'
import type { DeadLetter } from '../../api/api'
import { At, Facts, Json, State } from '../base/parts'
import { useText } from '../text'

/** All there is to know about a dead letter. */
export function LetterDrawer({ letter: l, close }: { letter: DeadLetter | null; close: () => void }) {
  const { t } = useText()
  return (
    <Drawer open={!!l} onClose={close} size={560} title={l ? `${t('letter')} ${l.id}` : ''}>
      {l && (
        <>
          <Facts
            facts={[
              [t('col.state'), <State key="s" value={l.state} />],
              [t('letter.reason'), l.reason],
              [t('letter.type'), <code key="t">{l.type}</code>],
              [t('letter.group'), l.group],
              [t('letter.topic'), `${l.topic} / ${l.partition} / ${l.offset}`],
              [
                t('letter.user'),
                <Link key="u" to={`/orders?q=${encodeURIComponent(l.user)}`}>
                  {l.user}
                </Link>,
              ],
              [
                t('letter.key'),
                /^\d{10,}$/.test(l.key) ? (
                  <Link key="k" to={`/orders/${l.key}`}>
                    {l.key}
                  </Link>
                ) : (
                  <code key="k">{l.key}</code>
                ),
              ],
              [t('letter.message'), <code key="m">{l.messageId}</code>],
              [t('letter.failedAt'), <At key="a" iso={l.failedAt} exact />],
              [t('letter.attempts'), l.attempts],
              [t('letter.replays'), l.replays],
              ...(l.note ? ([[t('letter.note'), l.note]] as [string, string][]) : []),
            ]}
          />
          <h3>{t('letter.payload')}</h3>
          <Json value={l.payload} />
          <h3>{t('letter.headers')}</h3>
          <Json value={l.headers} />
        </>
      )}
    </Drawer>
  )
}
