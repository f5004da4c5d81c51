import type { Speech } from '../text'

/** The name of the field that a JSON pointer leads to, as the forms call it; what no table has is shown as it is. */
export function fieldName(pointer: string, { w }: Pick<Speech, 'w'>): string {
  const parts = pointer.split('/').filter(p => p !== '')
  const names = parts.flatMap((p, i) =>
    /^\d+$/.test(p) ? [] : [/^\d+$/.test(parts[i + 1] ?? '') ? `${w('pointer', p)} ${Number(parts[i + 1]) + 1}` : w('pointer', p)],
  )
  // The line of a sale is no field of its own: what stands under it is named well enough.
  return (names.length > 1 && parts[0] === 'line' ? names.slice(1) : names).join(' · ')
}
