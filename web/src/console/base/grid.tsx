// biome-ignore-all lint/a11y/useSemanticElements: rows are placed freely, which the elements of a table do not allow
// biome-ignore-all lint/a11y/useFocusableInteractive: the rows of a table are read, not worked
import { type CSSProperties, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useNarrow } from './narrow'
import { type Slice, visible } from './window'

export interface Column<T> {
  key: string
  title: string
  /** A track of a CSS grid, such as "8rem" or "2fr"; 1fr when left out. */
  width?: string
  /** Figures stand at the end of their column. */
  end?: boolean
  render: (row: T, index: number) => ReactNode
}

export interface GridProps<T> {
  label: string
  rows: readonly T[]
  columns: readonly Column<T>[]
  id: (row: T) => string
  testId?: (row: T, index: number) => string
  /** Lines of text per row on a wide screen. */
  lines?: number
  foot?: ReactNode
}

/**
 * A table that draws only what is on the screen. It scrolls with the page, so that a phone has one scroll bar. Every row has the
 * same height: nothing jumps when rows come. On a phone each row is a card with one line per column.
 */
export function Grid<T>({ label, rows, columns, id, testId, lines = 1, foot }: GridProps<T>) {
  const narrow = useNarrow()
  const body = useRef<HTMLDivElement>(null)
  const height = narrow ? columns.length * 30 + 20 : lines * 20 + 24
  const slice = useSlice(body, rows.length, height)
  const tracks = columns.map(c => (c.width?.endsWith('rem') ? c.width : `minmax(0, ${c.width ?? '1fr'})`)).join(' ')
  return (
    <>
      <div
        role="table"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        className={narrow ? 'grid grid-cards' : 'grid'}
        style={{ '--tracks': tracks, '--row': `${height}px`, '--lines': lines } as CSSProperties}
      >
        <div role="rowgroup" className="grid-head">
          <div role="row" aria-rowindex={1} className="grid-row">
            {columns.map(c => (
              <div role="columnheader" key={c.key} className={c.end ? 'end' : undefined}>
                {c.title}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" ref={body} style={{ height: rows.length * height, position: 'relative' }}>
          {rows.slice(slice.from, slice.to).map((row, i) => (
            <div
              role="row"
              key={id(row)}
              aria-rowindex={slice.from + i + 2}
              className="grid-row"
              data-testid={testId?.(row, slice.from + i)}
              style={{ position: 'absolute', insetInline: 0, top: (slice.from + i) * height }}
            >
              {columns.map(c => (
                <div role="cell" key={c.key} data-label={c.title} className={c.end ? 'end' : undefined}>
                  <div className="grid-cell">{c.render(row, slice.from + i)}</div>
                </div>
              ))}
            </div>
          ))}
        </div>
      </div>
      {foot}
    </>
  )
}

/** The rows of body that are on the screen, as the page scrolls. */
function useSlice(body: React.RefObject<HTMLDivElement | null>, rows: number, height: number): Slice {
  const [slice, setSlice] = useState<Slice>({ from: 0, to: Math.min(rows, 40) })
  const look = useRef(() => {})
  look.current = () => {
    const top = body.current?.getBoundingClientRect().top ?? 0
    const now = visible(rows, height, -top, window.innerHeight)
    setSlice(was => (was.from === now.from && was.to === now.to ? was : now))
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: look reads both when it is called
  useLayoutEffect(() => look.current(), [rows, height])
  useEffect(() => {
    let frame = 0
    const later = () => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(() => look.current())
    }
    window.addEventListener('scroll', later, { passive: true })
    window.addEventListener('resize', later)
    return () => {
      cancelAnimationFrame(frame)
      window.removeEventListener('scroll', later)
      window.removeEventListener('resize', later)
    }
  }, [])
  return slice
}
