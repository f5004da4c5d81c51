/** The filters of a table live in the address, so that a view can be sent to somebody and survives a reload. */

/** What a filter may be: free text, one of some words, or a switch. */
export type Kind = 'text' | 'time' | 'flag' | readonly string[]
export type Spec = Readonly<Record<string, Kind>>
export type Values = Readonly<Record<string, string>>

const fits = (kind: Kind, value: string): boolean => {
  if (value === '') return false
  if (kind === 'text') return value.length <= 500
  if (kind === 'time') return !Number.isNaN(Date.parse(value))
  if (kind === 'flag') return value === 'true'
  return kind.includes(value)
}

/** Reads the filters of an address. What is no filter, or none of its words, counts as not given. */
export function readFilters(spec: Spec, search: URLSearchParams): Values {
  const out: Record<string, string> = {}
  for (const [name, kind] of Object.entries(spec)) {
    const value = search.get(name)
    if (value !== null && fits(kind, value)) out[name] = value
  }
  return out
}

/** Writes changed filters into an address; everything else in it stays. An empty value takes a filter out. */
export function writeFilters(spec: Spec, search: URLSearchParams, change: Record<string, string | undefined>): URLSearchParams {
  const out = new URLSearchParams(search)
  for (const [name, value] of Object.entries(change)) {
    const kind = spec[name]
    if (!kind) continue
    if (value !== undefined && fits(kind, value)) out.set(name, value)
    else out.delete(name)
  }
  return out
}
