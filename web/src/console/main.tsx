import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRoot } from 'react-dom/client'
import { RouterProvider } from 'react-router'
import { readTheme, showTheme } from '../shared/theme'
import { statusOf, takeToken } from './base/call'
import { nonce, nonceStyles } from './base/nonce'
import { SettingsProvider } from './base/settings'
import { router } from './routes'
import '../shared/tokens.css'
import './console.css'
import './desk.css'

nonceStyles(nonce())
takeToken()
showTheme(readTheme())

const cache = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server has refused it will refuse again; what did not arrive is worth another try.
      retry: (n, err) => !(statusOf(err) >= 400 && statusOf(err) < 500) && n < 2,
      refetchOnWindowFocus: true,
      staleTime: 1000,
    },
  },
})

const root = document.getElementById('app')
if (root) {
  createRoot(root).render(
    <QueryClientProvider client={cache}>
      <SettingsProvider>
        <RouterProvider router={router} />
      </SettingsProvider>
    </QueryClientProvider>,
  )
}
