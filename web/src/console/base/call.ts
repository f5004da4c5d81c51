/** Calls to the operator API: by the session cookie of the login, or by a bearer token that was pasted. */
import { type CallError, type Caller, good, Http, type Result } from '../../shared/http'

export { CallError, good, type Result } from '../../shared/http'

const slot = 'penstock.console.token'

/** The pasted token. It lives as long as the tab. */
export const token = {
  get: (): string => sessionStorage.getItem(slot) ?? '',
  set: (value: string): void => (value ? sessionStorage.setItem(slot, value) : sessionStorage.removeItem(slot)),
}

/** Takes a token out of the address (#token=…), where a command line may have put it, and keeps it for this tab. */
export function takeToken(): void {
  const found = /^#token=([\w.~+/=-]+)$/.exec(location.hash)
  if (!found) return
  token.set(found[1] ?? '')
  history.replaceState(history.state, '', location.pathname + location.search)
}

const http = new Http({ token: () => token.get() || undefined })

/** Hears that a call was refused because nobody is logged in any more. */
export const loggedOut = new EventTarget()

/** What the generated calls take. */
export const api: Caller = {
  async call(method, path, request, options) {
    const r = await http.call<never>(method, path, request, options)
    if (r.kind === 'problem' && r.problem.status === 401 && path !== '/admin/v1/me') loggedOut.dispatchEvent(new Event('401'))
    return r
  },
}

/** The status of a refusal; 0 when the answer was lost. */
export const statusOf = (err: unknown): number => {
  const r = (err as Partial<CallError> | null)?.result
  return r?.kind === 'problem' ? r.problem.status : 0
}

/** How long a call may take that reads everything there is. */
export const patient = { timeoutMs: 120_000 }

/** A call that no client was generated for, such as a file. */
export const fetchOwn = (path: string, signal?: AbortSignal): Promise<Response> => {
  const bearer = token.get()
  return fetch(path, {
    headers: bearer ? { Authorization: `Bearer ${bearer}` } : {},
    credentials: 'same-origin',
    cache: 'no-store',
    signal: signal ?? null,
  })
}

/** Reads a refusal out of such a response, as the generated calls would. */
export async function goodResponse(r: Response): Promise<Response> {
  if (r.ok) return r
  const problem = await r
    .json()
    .catch(() => ({ type: 'about:blank', title: r.statusText || `HTTP ${r.status}`, status: r.status, detail: '' }))
  const refusal: Promise<Result<Response>> = Promise.resolve({ kind: 'problem', code: '', problem, retryAfterMs: 0 })
  return good(refusal)
}

export interface Page<T> {
  items: T[] | null
  next: string
}
