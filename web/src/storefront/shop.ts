/** Everything behind the pages, put together once. */
import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import { getSale, type View } from '../api/api'
import { Http, type Result } from '../shared/http'
import type { Lang } from '../shared/i18n'
import { Acts } from './model/acts'
import { Buyer } from './model/buy'
import { Cell } from './model/cell'
import { ServerClock } from './model/clock'
import { BrowserKeep } from './model/keep'
import { Lines } from './model/line'
import { Orders } from './model/orders'
import { BrowserTimer } from './model/pace'
import { Session } from './model/session'
import type { Place } from './route'
import type { Say, Words } from './words/words'

/** What a person who is signed in has. */
export interface Mine {
  user: string
  buyer: Buyer
  acts: Acts
  lines: Lines
  orders: Orders
}

export class Shop {
  readonly clock = new ServerClock()
  readonly keep = new BrowserKeep()
  readonly session: Session
  readonly http: Http
  readonly mine = new Cell<Mine | undefined>(undefined)
  readonly online = new Cell(navigator.onLine)

  constructor(login: string) {
    this.session = new Session({
      keep: this.keep,
      tab: new BrowserKeep(() => sessionStorage),
      fetch: (i, o) => fetch(i, o),
      login,
      fragment: location.hash,
      clearFragment: () => history.replaceState(history.state, '', location.pathname + location.search),
      now: Date.now,
    })
    this.http = new Http({ token: this.session.token })
    addEventListener('online', () => this.online.set(true))
    addEventListener('offline', () => this.online.set(false))
    addEventListener('storage', () => this.mine.get()?.buyer.refresh())
    this.session.who.watch(() => this.meet())
  }

  /** Reads a sale and, by the way, the server's clock. */
  async sale(id: string): Promise<Result<View>> {
    const sent = this.clock.mark()
    const r = await getSale(this.http, { sale: id })
    if (r.kind === 'ok' && !r.headers.get('Age')) this.clock.sample(r.body.serverTime, sent)
    return r
  }

  /** Goes on with what the person who is here had begun. */
  private meet(): void {
    const user = this.session.who.get()?.user
    const before = this.mine.get()
    if (before?.user === user) return
    if (before) {
      before.buyer.close()
      before.acts.close()
      before.lines.close()
      before.orders.close()
    }
    if (!user) {
      this.mine.set(undefined)
      return
    }
    const common = { api: this.http, keep: this.keep, timer: new BrowserTimer(), user, renew: this.session.renew }
    const orders = new Orders(this.http, { token: this.session.token })
    const lines = new Lines({
      api: this.http,
      keep: this.keep,
      user,
      stream: { token: this.session.token },
      sleep: ms => new Promise(r => setTimeout(r, ms)),
      work: async (challenge, bits) => (await import('./model/work')).work(challenge, bits),
    })
    const buyer = new Buyer({
      ...common,
      pass: lines.pass,
      changed: i => {
        if (i.state === 'won' || i.state === 'stopped') void lines.look(i.sale, i.sku)
      },
    })
    const payable = (id: string) => {
      const o = orders.get(id)
      return !o || o.state === 'accepted' || o.state === 'pending_payment'
    }
    const acts = new Acts({ ...common, order: o => orders.take(o), payable })
    this.mine.set({ user, buyer, acts, lines, orders })
    lines.resume()
    buyer.resume()
    acts.resume()
    orders.follow()
  }
}

export interface Frame {
  shop: Shop
  lang: Lang
  say: Say
  words: Words
  go: (p: Place) => void
}

export const FrameContext = createContext<Frame | undefined>(undefined)

export function useFrame(): Frame {
  const f = useContext(FrameContext)
  if (!f) throw new Error('outside the frame')
  return f
}

/** Shows a cell's value as it changes. */
export function useCell<T>(c: Cell<T>): T {
  const [, turn] = useState(0)
  useEffect(() => {
    turn(n => n + 1) // it may have changed between the drawing and now
    return c.watch(() => turn(n => n + 1))
  }, [c])
  return c.get()
}

/** The server's time, once a second while somebody looks. */
export function useNow(clock: ServerClock): number {
  const [now, set] = useState(() => clock.now())
  useEffect(() => {
    let id: ReturnType<typeof setTimeout>
    const tick = () => {
      const t = clock.now()
      set(t)
      id = setTimeout(tick, 1000 - (t % 1000) + 5)
    }
    tick()
    return () => clearTimeout(id)
  }, [clock])
  return now
}

/** Asks again and again while the page is seen: after every ms, spread, and sooner when nudge changes. */
export function usePoll(ask: () => Promise<void>, ms: number, nudge: unknown): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: nudge is what makes it ask again
  useEffect(() => {
    let over = false
    let id: ReturnType<typeof setTimeout>
    const turn = async () => {
      if (!document.hidden) await ask()
      if (!over) id = setTimeout(turn, ms * (0.8 + Math.random() * 0.4))
    }
    void turn()
    const seen = () => {
      if (document.hidden) return
      clearTimeout(id)
      void turn()
    }
    document.addEventListener('visibilitychange', seen)
    return () => {
      over = true
      clearTimeout(id)
      document.removeEventListener('visibilitychange', seen)
    }
  }, [ask, ms, nudge])
}
