/** What the shop says. */
import type { Translate } from '../../shared/i18n'
import type { en } from './en'

export type Word = keyof typeof en
export type Words = Readonly<Record<Word, string>>
export type Say = Translate<Words>

/** Says why, in words; a reason nobody has words for is named. */
export function reason(say: Say, words: Words, code: string | undefined): string {
  if (!code) return ''
  const key = `reason.${code}`
  return key in words ? say(key as Word) : say('reason.other', { code })
}
