import type { ComponentType } from 'react'
import { createBrowserRouter, Navigate } from 'react-router'
import { Frame } from './base/frame'
import { Lost } from './base/lost'

/** A page is loaded when it is first gone to. */
const page = (path: string, load: () => Promise<{ default: ComponentType }>) => ({
  path,
  lazy: async () => ({ Component: (await load()).default }),
})

export const router = createBrowserRouter(
  [
    { ...page('/login', () => import('./pages/login')), ErrorBoundary: Lost, HydrateFallback: () => null },
    {
      path: '/',
      Component: Frame,
      ErrorBoundary: Lost,
      HydrateFallback: () => null,
      children: [
        { index: true, element: <Navigate to="/sales" replace /> },
        {
          ErrorBoundary: Lost,
          children: [
            page('sales', () => import('./pages/sales')),
            page('sales/new', () => import('./pages/saleeditor')),
            page('sales/:sale', () => import('./pages/cockpit')),
            page('sales/:sale/edit', () => import('./pages/salechange')),
            page('sales/:sale/rehearsals', () => import('./pages/rehearsals')),
            page('sales/:sale/report', () => import('./pages/report')),
            page('orders', () => import('./pages/orders')),
            page('orders/:order', () => import('./pages/order')),
            page('dead-letters', () => import('./pages/letters')),
            page('reconcile', () => import('./pages/reconcile')),
            page('cases', () => import('./pages/cases')),
            page('statements', () => import('./pages/statements')),
            page('transactions', () => import('./pages/transactions')),
            page('balances', () => import('./pages/balances')),
            page('webhooks', () => import('./pages/webhooks')),
            page('webhooks/:webhook', () => import('./pages/webhook')),
            page('apps', () => import('./pages/apps')),
            page('limits', () => import('./pages/limits')),
            page('audit', () => import('./pages/audit')),
            page('exports', () => import('./pages/exports')),
            page('people', () => import('./pages/people')),
            page('clients', () => import('./pages/clients')),
            page('account', () => import('./pages/account')),
            { path: '*', Component: Lost },
          ],
        },
      ],
    },
  ],
  { basename: '/console' },
)
