import { useMutation } from '@tanstack/react-query'
import { Alert, Button, Input } from 'antd'
import { useState } from 'react'
import { explainCall } from '../../api/api'
import { api, good } from '../base/call'
import { Card, Choice, Named, State } from '../base/parts'
import { ProblemBox } from '../base/problem'
import { useText } from '../text'

/** Asks what each stage would say to a call. Nothing is executed or counted. */
export function Explain() {
  const { t } = useText()
  const [q, setQ] = useState({ method: 'POST', path: '/v1/sales/…/attempts', from: '', token: '' })
  const answer = useMutation({
    mutationFn: () =>
      good(
        explainCall(api, {
          body: { method: q.method, path: q.path, ...(q.from ? { from: q.from } : {}), ...(q.token ? { token: q.token } : {}) },
        }),
      ),
  })
  const field = (name: 'path' | 'from' | 'token', label: string) => (
    <Named label={label}>
      <Input value={q[name]} onChange={e => setQ({ ...q, [name]: e.target.value })} data-testid={`explain-${name}`} />
    </Named>
  )
  return (
    <Card>
      <form
        className="filters"
        onSubmit={e => {
          e.preventDefault()
          answer.mutate()
        }}
      >
        <Named label={t('explain.method')}>
          <Choice
            value={q.method}
            onChange={method => setQ({ ...q, method })}
            options={['GET', 'POST', 'DELETE'].map(value => ({ value, label: value }))}
          />
        </Named>
        {field('path', t('explain.path'))}
        {field('from', t('explain.from'))}
        {field('token', t('explain.token'))}
        <Button htmlType="submit" loading={answer.isPending} data-testid="explain-go">
          {t('explain.go')}
        </Button>
      </form>
      <ProblemBox error={answer.error} />
      {answer.data && (
        <>
          <Alert type={answer.data.verdict === 'pass' ? 'success' : 'warning'} showIcon title={answer.data.summary} />
          <table className="small-table">
            <thead>
              <tr>
                <th scope="col">{t('explain.stage')}</th>
                <th scope="col">{t('explain.verdict')}</th>
                <th scope="col">{t('cases.detail')}</th>
              </tr>
            </thead>
            <tbody>
              {(answer.data.stages ?? []).map(s => (
                <tr key={s.stage}>
                  <th scope="row">{s.stage}</th>
                  <td>
                    <State value={s.verdict} group="verdict" />
                  </td>
                  <td>{[s.status, s.problem, s.detail].filter(Boolean).join(' ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </Card>
  )
}
