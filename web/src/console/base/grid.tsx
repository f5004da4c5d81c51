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
  /** Lines on a phone, where each column is a line of a card; 1 when left out. */
  tall?: number
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
  const body = useRef<HTMLDivElement>(null)
  const narrow = useNarrower(body, needed(columns))
  const high = columns.map(c => c.tall ?? 1)
  const height = narrow ? high.reduce((sum, n) => sum + n * 30, 20) : lines * 20 + 24
  const slice = useSlice(body, rows.length, height)
  const tracks = columns.map(c => (c.width?.endsWith('rem') ? c.width : `minmax(0, ${c.width ?? '1fr'})`)).join(' ')
  return (
    <>
      <div
        role="table"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        className={narrow ? 'grid grid-cards' : 'grid'}
        style={
          {
            '--tracks': tracks,
            '--row': `${height}px`,
            '--lines': lines,
            '--high': high.map(n => `${n * 30}px`).join(' '),
          } as CSSProperties
        }
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
                <div role="cell" key={c.key} data-label={c.title} className={[c.end && 'end', c.tall && 'tall'].filter(Boolean).join(' ')}>
                  <div className="grid-cell" onPointerEnter={tellWhole}>
                    {c.render(row, slice.from + i)}
                  </div>
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

/** The least width at which every column can be read as a column, in pixels: what is given in rem, and 6rem a share of the rest. */
const needed = (columns: readonly { width?: string }[]): number =>
  columns.reduce((sum, c) => sum + (c.width?.endsWith('rem') ? Number.parseFloat(c.width) : 6) * 16 + 12, 20)

/** Whether there is less room than that, so that rows are better shown as cards. */
function useNarrower(body: React.RefObject<HTMLDivElement | null>, width: number): boolean {
  const phone = useNarrow()
  const [tight, setTight] = useState(false)
  useLayoutEffect(() => {
    const at = body.current
    if (!at) return
    const look = () => setTight(at.clientWidth < width)
    look()
    const watch = new ResizeObserver(look)
    watch.observe(at)
    return () => watch.disconnect()
  }, [body, width])
  return phone || tight
}

/** What is cut off is told whole to a pointer that rests on it. */
function tellWhole(e: React.PointerEvent<HTMLDivElement>): void {
  const at = e.currentTarget
  const cut = at.scrollWidth > at.clientWidth + 1 || at.scrollHeight > at.clientHeight + 1
  if (cut && !at.querySelector('button')) at.title = at.innerText
  else at.removeAttribute('title')
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
