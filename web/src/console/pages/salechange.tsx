import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, App, Button, Skeleton } from 'antd'
import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { operatorGetSale, type Patch, patchSale, type SaleDetail } from '../../api/api'
import { api, good, statusOf } from '../base/call'
import { fromField, toField } from '../base/format'
import { Card, Head, LinkButton } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { Text } from '../sale/fields'
import { useText } from '../text'

/** Changes a sale that exists. Its stock has acts of its own, and its items stay. */
export default function SaleChange() {
  const { sale: id = '' } = useParams()
  const { t } = useText()
  const sale = useQuery({
    queryKey: ['sales', id],
    queryFn: ({ signal }) => good(operatorGetSale(api, { sale: id }, { signal })),
    refetchOnWindowFocus: false,
  })
  return (
    <>
      <Head title={t('sale.edit')} note={id}>
        <LinkButton to={`/sales/${id}`}>{t('cockpit')}</LinkButton>
      </Head>
      <ProblemBox error={sale.error} retry={() => void sale.refetch()} />
      {sale.data ? <Form key={sale.data.version} sale={sale.data} /> : !sale.error && <Skeleton active />}
    </>
  )
}

const fieldsOf = (s: SaleDetail) => ({
  title: s.title,
  starts: toField(s.startsAt),
  ends: toField(s.endsAt),
  window: String(s.paymentWindowSeconds),
  grace: String(s.graceSeconds),
})

/** Only what was changed is sent. */
function changes(was: ReturnType<typeof fieldsOf>, is: ReturnType<typeof fieldsOf>): Patch {
  return {
    ...(is.title !== was.title ? { title: is.title } : {}),
    ...(is.starts !== was.starts ? { startsAt: fromField(is.starts) } : {}),
    ...(is.ends !== was.ends ? { endsAt: fromField(is.ends) } : {}),
    ...(is.window !== was.window ? { paymentWindowSeconds: Number(is.window) } : {}),
    ...(is.grace !== was.grace ? { graceSeconds: Number(is.grace) } : {}),
  }
}

function Form({ sale }: { sale: SaleDetail }) {
  const { t } = useText()
  const { message } = App.useApp()
  const cache = useQueryClient()
  const go = useNavigate()
  const was = fieldsOf(sale)
  const [is, setIs] = useState(was)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const patch = changes(was, is)
  const field = (name: keyof typeof is) => ({ value: is[name], set: (v: string) => setIs({ ...is, [name]: v }) })
  const save = async () => {
    setBusy(true)
    setError(null)
    try {
      await good(patchSale(api, { sale: sale.id, ifMatch: `"${sale.version}"`, body: patch }))
      await cache.invalidateQueries()
      void message.success(t('done'))
      await go(`/sales/${sale.id}`)
    } catch (err) {
      setError(err)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card>
      <form
        onSubmit={e => {
          e.preventDefault()
          void save()
        }}
      >
        <div className="fields">
          <Text label={t('sale.title')} pointer="/title" testId="sale-title-input" {...field('title')} />
          <Text
            label={t('sale.starts')}
            pointer="/startsAt"
            testId="sale-starts"
            type="datetime-local"
            hint={t(sale.state === 'scheduled' ? 'sale.zone' : 'sale.begun')}
            {...field('starts')}
          />
          <Text label={t('sale.ends')} pointer="/endsAt" testId="sale-ends" type="datetime-local" {...field('ends')} />
          <Text
            label={t('sale.window')}
            pointer="/paymentWindowSeconds"
            testId="sale-window"
            mode="numeric"
            suffix="s"
            hint={t('sale.window.later')}
            {...field('window')}
          />
          <Text label={t('sale.grace')} pointer="/graceSeconds" testId="sale-grace" mode="numeric" suffix="s" {...field('grace')} />
        </div>
        <Alert type="info" showIcon title={t('sale.change.effect')} />
        <div className="form-foot">
          <Button
            type="primary"
            htmlType="submit"
            loading={busy}
            disabled={Object.keys(patch).length === 0 || sale.state === 'closed'}
            data-testid="sale-save"
          >
            {t('sale.save')}
          </Button>
        </div>
        <ProblemBox error={error} acting />
        {[409, 412].includes(statusOf(error)) && (
          <Button onClick={() => void cache.invalidateQueries({ queryKey: ['sales', sale.id] })}>{t('sale.reread')}</Button>
        )}
      </form>
    </Card>
  )
}
