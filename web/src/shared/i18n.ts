/** Words in two languages, with keys that the compiler checks. A face brings a dictionary in English; the Chinese one must have the same keys. */

export type Lang = 'en' | 'zh-CN'
export const languages: readonly Lang[] = ['en', 'zh-CN']

export type Dictionary = Readonly<Record<string, string>>
export type Params = Readonly<Record<string, string | number>>
export type Translate<D extends Dictionary> = (key: keyof D & string, params?: Params) => string

/** Puts the values where the text has {name}. What is not given stays as it is, so that it is seen. */
export const fill = (text: string, params: Params = {}): string =>
  text.replaceAll(/\{(\w+)\}/g, (all, name: string) => (name in params ? String(params[name]) : all))

export const translator =
  <D extends Dictionary>(d: D): Translate<D> =>
  (key, params) =>
    fill(d[key] ?? key, params)

const slot = 'penstock.language'

/** The language that was chosen here, else the browser's, else English. */
export function preferred(storage: Pick<Storage, 'getItem'> | undefined, browser: readonly string[]): Lang {
  let chosen: string | null | undefined
  try {
    chosen = storage?.getItem(slot)
  } catch {
    // A browser may forbid to keep anything.
  }
  const found = languages.find(l => l === chosen)
  if (found) return found
  const first = browser.find(l => /^(zh|en)\b/i.test(l))
  return first && /^zh/i.test(first) ? 'zh-CN' : 'en'
}

export function keepLanguage(storage: Pick<Storage, 'setItem'>, lang: Lang): void {
  try {
    storage.setItem(slot, lang)
  } catch {
    // Then it is for this page only.
  }
}

/** What two dictionaries disagree on: keys that one lacks, and places for values that differ. For the tests of each face. */
export function disagreements(a: Dictionary, b: Dictionary): string[] {
  const out: string[] = []
  const places = (s: string) => [...new Set(s.match(/\{\w+\}/g))].sort().join()
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const [x, y] = [a[key], b[key]]
    if (x === undefined || y === undefined) out.push(`${key} is missing`)
    else if (x.trim() === '' || y.trim() === '') out.push(`${key} is empty`)
    else if (places(x) !== places(y)) out.push(`${key} has ${places(x)} here and ${places(y)} there`)
  }
  return out
}
