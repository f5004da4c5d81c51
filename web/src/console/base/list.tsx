import { type InfiniteData, useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Input, Skeleton, Switch } from 'antd'
import { type ReactNode, useCallback, useEffect, useState } from 'react'
import { useSearchParams } from 'react-router'
import { useText } from '../text'
import { good, type Page, type Result } from './call'
import { readFilters, type Spec, type Values, writeFilters } from './filters'
import { Grid, type GridProps } from './grid'
import { Choice, Named } from './parts'
import { ProblemBox } from './problem'

/** The filters of this page, and how to change them. A change replaces the address, it makes no new step back. */
export function useFilters(spec: Spec): [Values, (change: Record<string, string | undefined>) => void] {
  const [search, setSearch] = useSearchParams()
  const set = useCallback(
    (change: Record<string, string | undefined>) => setSearch(was => writeFilters(spec, was, change), { replace: true }),
    [spec, setSearch],
  )
  return [readFilters(spec, search), set]
}

export interface FilterField {
  name: string
  label: string
  kind?: 'text' | 'time' | 'flag'
  options?: { value: string; label: string }[]
}

/** The fields of a table's filters. Text is taken over when it is left or Enter is pressed, or after a short rest. */
export function FilterBar({
  fields,
  values,
  set,
  children,
}: {
  fields: FilterField[]
  values: Values
  set: (c: Record<string, string | undefined>) => void
  children?: ReactNode
}) {
  const { t } = useText()
  return (
    <search className="filters" aria-label={t('filters')}>
      {fields.map(f => (
        <Named key={f.name} label={f.label} flag={f.kind === 'flag'}>
          {f.options ? (
            <Choice
              value={values[f.name] ?? ''}
              onChange={v => set({ [f.name]: v })}
              options={[{ value: '', label: t('all') }, ...f.options]}
              data-testid={`filter-${f.name}`}
            />
          ) : f.kind === 'flag' ? (
            <Switch
              size="small"
              checked={values[f.name] === 'true'}
              onChange={on => set({ [f.name]: on ? 'true' : '' })}
              aria-label={f.label}
              data-testid={`filter-${f.name}`}
            />
          ) : (
            <TextFilter f={f} value={values[f.name] ?? ''} set={v => set({ [f.name]: v })} />
          )}
        </Named>
      ))}
      {children}
    </search>
  )
}

function TextFilter({ f, value, set }: { f: FilterField; value: string; set: (v: string) => void }) {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const id = setTimeout(() => set(text), 400)
    return () => clearTimeout(id)
  }, [text, value, set])
  return (
    <Input
      value={text}
      onChange={e => setText(e.target.value)}
      onPressEnter={() => set(text)}
      onBlur={() => text !== value && set(text)}
      allowClear
      type={f.kind === 'time' ? 'datetime-local' : 'text'}
      aria-label={f.label}
      data-testid={`filter-${f.name}`}
    />
  )
}

export interface Listing<T> {
  rows: T[]
  error: unknown
  loading: boolean
  more: boolean
  loadMore: () => void
  loadingMore: boolean
  again: () => void
  first: Page<T> | undefined
}

/** What a page of a list is asked with. */
export interface Turn {
  cursor?: string
}

/**
 * Reads a list page by page, and again every few seconds while somebody looks. key is all that the answer depends on; its first part is the
 * name by which live news make the list be read again.
 */
export function useList<T>(
  key: readonly unknown[],
  read: (turn: Turn, o: { signal: AbortSignal }) => Promise<Result<Page<T>>>,
  every: number | false = 5000,
): Listing<T> {
  const l = useInfiniteQuery<Page<T>, Error, InfiniteData<Page<T>>, readonly unknown[], string>({
    queryKey: key,
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => good(read(pageParam ? { cursor: pageParam } : {}, { signal })),
    getNextPageParam: last => last.next || undefined,
    refetchInterval: every,
    placeholderData: was => was,
  })
  return {
    rows: l.data?.pages.flatMap(p => p.items ?? []) ?? [],
    error: l.error,
    loading: l.isPending,
    more: l.hasNextPage,
    loadingMore: l.isFetchingNextPage,
    loadMore: () => void l.fetchNextPage(),
    again: () => void l.refetch(),
    first: l.data?.pages[0],
  }
}

/** A list as a table, with what there is to say when it is empty, on its way or broken. */
export function ListGrid<T>({
  list,
  empty,
  emptyTestId,
  ...grid
}: { list: Listing<T>; empty: string; emptyTestId?: string } & Omit<GridProps<T>, 'rows' | 'foot'>) {
  const { t } = useText()
  if (list.loading && !list.error) return <Skeleton active paragraph={{ rows: 8 }} title={false} />
  return (
    <>
      <ProblemBox error={list.error} retry={list.again} />
      {list.rows.length === 0 && !list.error ? (
        <div data-testid={emptyTestId}>
          <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={empty} />
        </div>
      ) : (
        <Grid
          {...grid}
          rows={list.rows}
          foot={
            <div className="grid-foot">
              {list.more ? (
                <Button onClick={list.loadMore} loading={list.loadingMore} data-testid="more">
                  {t('more')}
                </Button>
              ) : null}
              <span className="muted" aria-live="polite">
                {t('rows', { n: list.rows.length })}
                {list.more ? '+' : ''}
              </span>
            </div>
          }
        />
      )}
    </>
  )
}
