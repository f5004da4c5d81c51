import { Alert, Button } from 'antd'
import { useText } from '../text'
import { CallError } from './call'
import { fieldName } from './pointer'

const detailOf = (p: { detail: string } | null): string => p?.detail ?? ''

/**
 * Says what went wrong: its kind in the language of the page, below it what the server tells of it, each finding, and the page of the problem's type. After a lost answer to an
 * act nobody knows whether it was done, and this says so.
 */
export function ProblemBox({ error, retry, acting }: { error: unknown; retry?: (() => void) | undefined; acting?: boolean }) {
  const speech = useText()
  const { t, w, lang } = speech
  if (!error) return null
  const r = error instanceof CallError ? error.result : null
  const p = r?.kind === 'problem' ? r.problem : null
  const gone = r?.kind === 'lost'
  // The server speaks English: what kind of problem it is, is said in the language of the page where the page knows the kind.
  const kind = lang === 'en' || !r || r.kind !== 'problem' ? undefined : w('problem', r.code)
  const known = kind && r?.kind === 'problem' && kind !== r.code ? kind : undefined
  const title = gone ? t('problem.lost') : (known ?? p?.title ?? t('problem.here'))
  const theirs = known ? { className: 'server', lang: 'en' } : {}
  const findings = (p?.errors ?? []).filter(e => !e.detail || !detailOf(p).endsWith(e.detail))
  const detail = gone ? t(acting ? 'problem.unknown' : 'problem.unread') : (p?.detail ?? String(error))
  return (
    <Alert
      type={gone ? 'warning' : 'error'}
      showIcon
      className="problem"
      data-testid="error"
      role="alert"
      title={title}
      description={
        <>
          <p {...theirs} className={`pre ${theirs.className ?? ''}`}>
            {detail}
          </p>
          {findings.length > 0 && (
            <ul>
              {findings.map(e => (
                <li key={`${e.pointer} ${e.detail}`}>
                  {e.pointer && <b title={e.pointer}>{fieldName(e.pointer, speech)}</b>} <span {...theirs}>{e.detail}</span>
                </li>
              ))}
            </ul>
          )}
          {p?.executed === false && <p>{t('problem.notExecuted')}</p>}
          <p className="muted">
            {p?.type.includes('/problems/') && (
              <a href={p.type} target="_blank" rel="noreferrer">
                {t('problem.page')}
              </a>
            )}
            {p?.requestId && (
              <>
                {' '}
                · {t('problem.request')} <code>{p.requestId}</code>
              </>
            )}
          </p>
        </>
      }
      {...(retry
        ? {
            action: (
              <Button size="small" onClick={retry}>
                {t('again')}
              </Button>
            ),
          }
        : {})}
    />
  )
}
