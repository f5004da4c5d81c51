import { createContext, useContext } from 'react'
import { fill, type Lang } from '../../shared/i18n'
import { en } from './en'
import { zh } from './zh'

export type Key = keyof typeof en
export type Params = Record<string, string | number>
export type T = (key: Key, params?: Params) => string

const tables: Record<Lang, Record<Key, string>> = { en, 'zh-CN': zh }

/** The words of a language, with {name} filled in. */
export const words =
  (lang: Lang): T =>
  (key, params) =>
    fill(tables[lang][key] ?? key, params)

/** A word of the API, such as a state, in the language where the table has it, else as it is. */
export const word = (lang: Lang, group: string, value: string): string =>
  (tables[lang] as Record<string, string>)[`${group}.${value}`] ?? value

export interface Speech {
  lang: Lang
  t: T
  w: (group: string, value: string) => string
}

export const speech = (lang: Lang): Speech => ({ lang, t: words(lang), w: (group, value) => word(lang, group, value) })

export const SpeechContext = createContext<Speech>(speech('en'))

export const useText = (): Speech => useContext(SpeechContext)
