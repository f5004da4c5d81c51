/** What must survive a reload. A browser that forbids to keep anything still has it until the page is left. */

export interface Keep {
  get<T>(name: string): T | undefined
  set(name: string, value: unknown): void
  remove(name: string): void
  names(prefix: string): string[]
}

const root = 'penstock/'

export class BrowserKeep implements Keep {
  private memory = new Map<string, string>()

  constructor(private readonly storage: () => Storage = () => localStorage) {}

  get<T>(name: string): T | undefined {
    let text: string | null | undefined
    try {
      text = this.storage().getItem(root + name)
    } catch {
      // Forbidden: memory is all there is.
    }
    text ??= this.memory.get(name)
    if (text === undefined) return undefined
    try {
      return JSON.parse(text) as T
    } catch {
      return undefined // written by somebody else
    }
  }

  set(name: string, value: unknown): void {
    const text = JSON.stringify(value)
    try {
      this.storage().setItem(root + name, text)
      this.memory.delete(name)
    } catch {
      this.memory.set(name, text) // full, or forbidden
    }
  }

  remove(name: string): void {
    this.memory.delete(name)
    try {
      this.storage().removeItem(root + name)
    } catch {
      // Nothing was kept.
    }
  }

  names(prefix: string): string[] {
    const all = new Set([...this.memory.keys()].filter(n => n.startsWith(prefix)))
    try {
      const s = this.storage()
      for (let i = 0; i < s.length; i++) {
        const n = s.key(i)
        if (n?.startsWith(root + prefix)) all.add(n.slice(root.length))
      }
    } catch {
      // Nothing was kept.
    }
    return [...all].sort()
  }
}

/** Joins parts into a name that no other parts can make. */
export const nameOf = (...parts: string[]): string => parts.map(encodeURIComponent).join('/')
