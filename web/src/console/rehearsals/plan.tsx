import type { RehearsalPlan } from '../../api/api'
import type { Question } from '../base/confirm'
import { count } from '../base/format'
import type { Speech } from '../text'

/** What is asked before a storm, and what it does. */
export const planQuestion = ({ t, lang }: Speech, run: (plan: RehearsalPlan) => Promise<unknown>): Question => ({
  title: t('rehearse.start'),
  effect: a =>
    `${t('effect.rehearse', { n: count(Number(a.rate ?? 0) * Number(a.seconds ?? 0), lang) })}${a.whileOpen ? ` ${t('effect.rehearse.open')}` : ''}`,
  yes: t('rehearse.start'),
  reason: 'required',
  fields: [
    { name: 'rate', label: t('rehearse.rate'), kind: 'number', required: true, min: 1, max: 100_000, initial: 200 },
    { name: 'seconds', label: t('rehearse.seconds'), kind: 'number', required: true, min: 1, max: 300, initial: 10 },
    { name: 'pay', label: t('rehearse.pay'), kind: 'number', min: 0, max: 100, initial: 80 },
    { name: 'maxP99Ms', label: t('rehearse.maxP99'), kind: 'number', min: 1, initial: 1000 },
    { name: 'whileOpen', label: t('rehearse.whileOpen'), kind: 'switch', initial: false },
  ],
  run: a =>
    run({
      rate: a.rate,
      seconds: a.seconds,
      pay: Number(a.pay ?? 80) / 100,
      maxP99Ms: a.maxP99Ms ?? 1000,
      whileOpen: !!a.whileOpen,
      reason: a.reason,
    }),
})
