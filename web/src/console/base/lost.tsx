import { Result } from 'antd'
import { isRouteErrorResponse, Link, useRouteError } from 'react-router'
import { useText } from '../text'

/** What a page that does not exist shows, or one that broke: with a way back. */
export function Lost() {
  const { t } = useText()
  const err = useRouteError()
  const missing = !err || (isRouteErrorResponse(err) && err.status === 404)
  return (
    <Result
      status={missing ? '404' : 'error'}
      title={<h1 className="lost">{t(missing ? 'lost.page' : 'lost.broke')}</h1>}
      subTitle={missing ? undefined : String(err)}
      extra={missing ? <Link to="/sales">{t('nav.sales')}</Link> : <a href={location.href}>{t('again')}</a>}
    />
  )
}
