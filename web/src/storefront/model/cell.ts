/** A value that can be watched. */
export class Cell<T> {
  private watchers = new Set<() => void>()

  constructor(private value: T) {}

  get(): T {
    return this.value
  }

  set(value: T): void {
    if (Object.is(value, this.value)) return
    this.value = value
    for (const w of [...this.watchers]) w()
  }

  watch(w: () => void): () => void {
    this.watchers.add(w)
    return () => this.watchers.delete(w)
  }
}
