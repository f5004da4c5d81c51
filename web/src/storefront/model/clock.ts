/** The server's clock, as far as it can be told from here. It never goes back. */
export class ServerClock {
  private offset: number | undefined
  private error = Number.POSITIVE_INFINITY
  private taken = Number.NEGATIVE_INFINITY
  private last = Number.NEGATIVE_INFINITY

  /** mono is a clock that no one sets, in milliseconds; wall is the machine's, for as long as the server has said nothing. */
  constructor(
    private readonly mono: () => number = () => performance.now(),
    private readonly wall: () => number = () => Date.now(),
  ) {}

  mark(): number {
    return this.mono()
  }

  /**
   * Takes the server's time out of an answer to a question that was asked at sent (a mark). The truth lies within half of the way there and back;
   * the surest sample of the last minute counts.
   */
  sample(serverTime: string, sent: number): void {
    const now = this.mono()
    const at = Date.parse(serverTime)
    const error = (now - sent) / 2
    if (Number.isNaN(at) || error < 0) return
    const stale = now - this.taken > 60_000
    if (!stale && error > this.error) return
    this.offset = at - (now + sent) / 2
    this.error = error
    this.taken = now
  }

  /** Milliseconds since 1970 where the server is. */
  now(): number {
    const t = this.offset === undefined ? this.wall() : this.mono() + this.offset
    // The wall clock may have been far ahead: only the server's own time may not go back.
    if (this.offset === undefined) return t
    this.last = Math.max(this.last, t)
    return this.last
  }
}
