import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { type AuditRow, listAudit } from '../../api/api'
import { api, good } from '../base/call'
import type { Values } from '../base/filters'
import type { Listing } from '../base/list'

/** Whether a row is what the filters want. */
export function matches(r: AuditRow, f: Values): boolean {
  const has = (text: string, part: string | undefined) => !part || text.toLowerCase().includes(part.toLowerCase())
  return has(r.who, f['who']) && has(r.act, f['act']) && has(r.object, f['object']) && has(`${r.who} ${r.act} ${r.object} ${r.why}`, f['q'])
}

/** The trail is told oldest first. This keeps what was read and asks for what came after it. */
export class Trail {
  rows: AuditRow[] = []

  async follow(read: (cursor: string) => Promise<{ items: AuditRow[]; next: string }>): Promise<AuditRow[]> {
    for (;;) {
      const last = this.rows.at(-1)?.seq ?? ''
      const page = await read(last)
      if (page.items.length > 0) this.rows = this.rows.concat(page.items)
      if (!page.next) return this.rows
    }
  }
}

/** The trail newest first, and what is added to it as it is added. */
export function useTrail(filters: Values): Listing<AuditRow> {
  const [trail] = useState(() => new Trail())
  const q = useQuery({
    queryKey: ['audit'],
    queryFn: ({ signal }) => trail.follow(cursor => good(listAudit(api, { limit: 500, ...(cursor ? { cursor } : {}) }, { signal }))),
    refetchInterval: 3000,
  })
  const rows = (q.data ?? []).filter(r => matches(r, filters)).reverse()
  return {
    rows,
    error: q.error,
    loading: q.isPending,
    more: false,
    loadMore: () => {},
    loadingMore: false,
    again: () => void q.refetch(),
    first: undefined,
  }
}
