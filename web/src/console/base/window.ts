/** Which rows of a list that scrolls with the page are to be drawn. */

export interface Slice {
  from: number
  to: number
}

/**
 * The rows from..to (excluded) that are on the screen, with some before and after.
 * above is how many pixels of the list are above the screen's upper edge; negative while the list begins below it.
 */
export function visible(rows: number, rowHeight: number, above: number, screen: number, spare = 6): Slice {
  const from = Math.max(0, Math.min(rows, Math.floor(above / rowHeight) - spare))
  const to = Math.max(from, Math.min(rows, Math.ceil((above + screen) / rowHeight) + spare))
  return { from, to }
}
