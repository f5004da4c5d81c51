import { fetchOwn, goodResponse } from './call'

export interface Progress {
  bytes: number
  rows: number
}

/** Reads a response to its end and tells how far it is. Rows are lines. */
export async function gather(r: Response, tell: (p: Progress) => void): Promise<Blob> {
  const parts: BlobPart[] = []
  const p = { bytes: 0, rows: 0 }
  const reader = r.body?.getReader()
  for (;;) {
    const turn = await reader?.read()
    if (!turn || turn.done) break
    parts.push(turn.value)
    p.bytes += turn.value.length
    for (const byte of turn.value) if (byte === 10) p.rows++
    tell({ ...p })
  }
  return new Blob(parts, { type: r.headers.get('Content-Type') ?? 'application/octet-stream' })
}

/** Hands a file to the browser's downloads. */
export function hand(file: Blob, name: string): void {
  const url = URL.createObjectURL(file)
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** Fetches a file with the login of this page and hands it over. */
export async function saveAs(path: string, name: string, tell: (p: Progress) => void = () => {}, signal?: AbortSignal): Promise<void> {
  hand(await gather(await goodResponse(await fetchOwn(path, signal)), tell), name)
}
