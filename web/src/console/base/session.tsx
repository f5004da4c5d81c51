import { useQuery } from '@tanstack/react-query'
import { createContext, useContext } from 'react'
import { getMe, type MeOutputBody } from '../../api/api'
import { api, good, statusOf, token } from './call'
import { type Role, reaches } from './legal'

export type Me = MeOutputBody

/** Who is logged in, by cookie or by token. An answer 401 means nobody; other errors are errors. */
export function useMe() {
  return useQuery({
    queryKey: ['me'],
    queryFn: ({ signal }) => good(getMe(api, { signal })),
    retry: (n, err) => statusOf(err) !== 401 && n < 2,
    staleTime: 30_000,
    refetchInterval: 60_000,
  })
}

export const MeContext = createContext<Me>({ user: '', role: '' })

/** Whether the one who is logged in reaches a role. The server decides; this keeps out of sight what it would refuse. */
export function useMay(): (needs: Role) => boolean {
  const me = useContext(MeContext)
  return needs => reaches(me.role, needs)
}

/** What the login wants next. */
export type Step = { next: 'in' } | { next: 'code' } | { next: 'wrong'; status: number; said: string }

/** A page of the login, without its looks: its style sheet has the nonce of its own response, which this page's policy refuses. */
const page = async (r: Response): Promise<Document> =>
  new DOMParser().parseFromString((await r.text()).replace(/<style[\s\S]*?<\/style>/gi, ''), 'text/html')
const hidden = (d: Document, name: string): string => d.querySelector<HTMLInputElement>(`form input[name="${name}"]`)?.value ?? ''

/**
 * Sends one step of the login. The server's own pages at /login are the one place where passwords are checked: this reads their
 * form, with the token that says a page of this server sends it, and posts it as the form would.
 */
export async function logIn(fields: { name: string; password: string } | { code: string }): Promise<Step> {
  const step = 'code' in fields ? 'code' : 'password'
  const form = await page(
    await fetch(step === 'code' ? '/login?return=/console/' : '/login?again=1&return=/console/', { cache: 'no-store' }),
  )
  const body = new URLSearchParams({ ...fields, step, csrf: hidden(form, 'csrf'), return: '/login?return=/console/' })
  const r = await fetch('/login', { method: 'POST', body })
  const answer = await page(r)
  if (!r.ok) return { next: 'wrong', status: r.status, said: answer.querySelector('.wrong')?.textContent ?? '' }
  if (answer.querySelector('input[name="code"]')) return { next: 'code' } // the page that the login led to asks for it
  return { next: 'in' }
}

/** Ends the session; a pasted token is forgotten. */
export async function logOut(): Promise<void> {
  if (token.get()) {
    token.set('')
    return
  }
  const form = await page(await fetch('/login', { cache: 'no-store' }))
  await fetch('/logout', { method: 'POST', body: new URLSearchParams({ csrf: hidden(form, 'csrf') }) })
}
