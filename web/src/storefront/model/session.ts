/** Who buys. A token comes from the shop's own login, or, in a demonstration, from the server itself. */
import { Cell } from './cell'
import type { Keep } from './keep'

export interface Who {
  user: string
  token: string
}

export interface SessionDeps {
  keep: Keep
  /** For this tab only. */
  tab: Keep
  fetch: typeof fetch
  /** "demo" where the server hands out tokens. */
  login: string
  /** The fragment of the address, and what takes it away. */
  fragment: string
  clearFragment: () => void
  now: () => number
}

interface Claims {
  sub?: string
  iat?: number
  exp?: number
}

/** Reads what a token says about itself. It proves nothing: the server does. */
export function claims(token: string): Claims {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(part), c => c.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims
  } catch {
    return {}
  }
}

export class Session {
  readonly who = new Cell<Who | undefined>(undefined)
  /** Somebody handed over a token of another person than the one who is signed in. */
  readonly refused = new Cell(false)
  private asking: Promise<boolean> | undefined

  constructor(private readonly d: SessionDeps) {}

  token = (): string | undefined => this.who.get()?.token

  /**
   * Finds out who is here. A token in the address is taken if nobody else is signed in: else a link from a stranger could make somebody pay for
   * the stranger's orders.
   */
  async start(): Promise<void> {
    const handed = new URLSearchParams(this.d.fragment.replace(/^#/, '')).get('token')
    const here = this.stored()
    if (handed) {
      this.d.clearFragment()
      const user = claims(handed).sub
      const demo = here?.user.startsWith('visitor-') && !this.d.tab.get('token')
      if (user && (!here || demo || here.user === user)) {
        this.d.tab.set('token', handed)
        this.lives(this.d.tab, claims(handed))
        this.who.set({ user, token: handed })
        return
      }
      if (user) this.refused.set(true)
    }
    if (here) this.who.set(here)
    else await this.renew()
  }

  /** Gets a new token where there is a login that gives one. */
  renew = (): Promise<boolean> => {
    this.asking ??= this.demo().finally(() => {
      this.asking = undefined
    })
    return this.asking
  }

  leave(): void {
    this.d.tab.remove('token')
    this.d.keep.remove('token')
    this.who.set(undefined)
    this.refused.set(false)
  }

  private stored(): Who | undefined {
    for (const k of [this.d.tab, this.d.keep]) {
      const token = k.get<string>('token')
      const c = token ? claims(token) : {}
      if (token && c.sub && this.lives(k, c)) return { user: c.sub, token }
    }
    return undefined
  }

  /**
   * Whether a token may still be good. Its times are the server's and the clock here may be hours off, so what counts is how long it has been
   * here. Past that the server decides.
   */
  private lives(k: Keep, { sub, iat, exp }: Claims): boolean {
    if (exp === undefined) return true
    if (iat === undefined) return exp * 1000 > this.d.now()
    const met = k.get<{ sub: string; exp: number; at: number }>('token-met')
    if (met?.sub === sub && met?.exp === exp) return this.d.now() - met.at < (exp - iat) * 1000
    k.set('token-met', { sub, exp, at: this.d.now() })
    return true
  }

  private async demo(): Promise<boolean> {
    if (this.d.login !== 'demo' || this.d.tab.get('token')) return false
    try {
      const r = await this.d.fetch('/demo/buyer', { method: 'POST', cache: 'no-store' })
      if (!r.ok) return false
      const who = (await r.json()) as Who
      this.d.keep.set('token', who.token)
      this.who.set({ user: who.user, token: who.token })
      return true
    } catch {
      return false
    }
  }
}
