/** The work that a sale may ask for before one joins its line: a nonce such that SHA-256 of "challenge:nonce" begins with so many zero bits. */

/** Searches in slices of a few milliseconds, so that the page stays alive. It is not the browser's own digest: that costs a promise for each try. */
export async function work(
  challenge: string,
  bits: number,
  breathe: () => Promise<void> = () => new Promise(r => setTimeout(r)),
): Promise<string> {
  for (let n = 0; ; ) {
    for (const end = performance.now() + 12; performance.now() < end; n++)
      if (zeroBits(sha256(`${challenge}:${n}`)) >= bits) return String(n)
    await breathe()
  }
}

export function zeroBits(words: Int32Array): number {
  let n = 0
  for (const w of words) {
    n += Math.clz32(w)
    if (w !== 0) break
  }
  return n
}

const primes = (() => {
  const out: number[] = []
  for (let n = 2; out.length < 64; n++) if (out.every(p => n % p !== 0)) out.push(n)
  return out
})()
const fraction = (x: number): number => ((x - Math.floor(x)) * 2 ** 32) | 0
const round = Int32Array.from(primes, p => fraction(Math.cbrt(p)))
const start = Int32Array.from(primes.slice(0, 8), p => fraction(Math.sqrt(p)))

/** FIPS 180-4, of ASCII text. */
export function sha256(text: string): Int32Array {
  const h = start.slice()
  const w = new Int32Array(64)
  const blocks = ((text.length + 8) >> 6) + 1
  for (let b = 0; b < blocks; b++) {
    for (let t = 0; t < 16; t++) {
      let word = 0
      for (let i = 0; i < 4; i++) {
        const at = b * 64 + t * 4 + i
        word = (word << 8) | (at < text.length ? text.charCodeAt(at) & 255 : at === text.length ? 128 : 0)
      }
      w[t] = word
    }
    if (b === blocks - 1) w[15] = text.length * 8
    compress(h, w)
  }
  return h
}

const turn = (x: number, n: number): number => (x >>> n) | (x << (32 - n))
const at = (a: Int32Array, i: number): number => a[i] as number

function compress(h: Int32Array, w: Int32Array): void {
  for (let t = 16; t < 64; t++) {
    const [x, y] = [at(w, t - 15), at(w, t - 2)]
    w[t] = (at(w, t - 16) + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + at(w, t - 7) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0
  }
  let [a, b, c, d, e, f, g, i] = [at(h, 0), at(h, 1), at(h, 2), at(h, 3), at(h, 4), at(h, 5), at(h, 6), at(h, 7)]
  for (let t = 0; t < 64; t++) {
    const one = (i + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + at(round, t) + at(w, t)) | 0
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
    ;[i, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0]
  }
  for (const [n, v] of [a, b, c, d, e, f, g, i].entries()) h[n] = (at(h, n) + v) | 0
}
