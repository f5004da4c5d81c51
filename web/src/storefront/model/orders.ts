/** My orders, as they change. The newest version of each counts, however it came. */
import { listOrders, type Order } from '../../api/api'
import type { Caller, Result } from '../../shared/http'
import { type StreamOptions, type StreamState, stream } from '../../shared/sse'
import { Cell } from './cell'

export class Orders {
  readonly all = new Cell<readonly Order[]>([])
  readonly live = new Cell<StreamState>('closed')
  /** The cursor of the next page; undefined before the first, '' after the last. */
  readonly next = new Cell<string | undefined>(undefined)
  private byId = new Map<string, Order>()
  private stop: (() => void) | undefined

  constructor(
    private readonly api: Caller,
    private readonly options: Pick<StreamOptions, 'fetch' | 'token'> = {},
    private readonly onRefused: (status: number) => boolean = s => s !== 401 && s !== 403,
  ) {}

  /** Follows changes. The first connection asks for the present, as one that comes back does. */
  follow(): void {
    this.stop ??= stream('/v1/events', {
      ...this.options,
      lastEventId: '0:0',
      onState: s => this.live.set(s),
      onRefused: s => this.onRefused(s),
      onEvent: e => {
        if (e.event === 'order') this.take(JSON.parse(e.data) as Order)
      },
    })
  }

  close(): void {
    this.stop?.()
    this.stop = undefined
  }

  get(id: string): Order | undefined {
    return this.byId.get(id)
  }

  take(...orders: Order[]): void {
    let changed = false
    for (const o of orders) {
      const have = this.byId.get(o.id)
      if (have && have.version >= o.version) continue
      this.byId.set(o.id, o)
      changed = true
    }
    if (changed) this.all.set([...this.byId.values()].sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id)))
  }

  /** Reads the next page. */
  async more(): Promise<Result<unknown>> {
    const cursor = this.next.get()
    const r = await listOrders(this.api, cursor ? { cursor } : {})
    if (r.kind === 'ok') {
      this.take(...r.body.items)
      this.next.set(r.body.next)
    }
    return r
  }
}
