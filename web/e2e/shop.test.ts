import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, Person } from './browser'
import { House, until } from './house'

let house: House
let browser: Browser
beforeAll(async () => {
  ;[house, browser] = await Promise.all([new House().start(), launch()])
})
afterAll(async () => {
  await browser?.close()
  await house?.end()
})

/** Buys one and looks at the order. */
async function order(p: Person, sale: string, token: string): Promise<string> {
  await p.visit(house, `/shop/sales/${sale}`, token)
  await p.at('buy-teapot').click()
  await p.says('answer', 'won')
  await p.at('order-link').click()
  await p.says('order-state', 'pending_payment')
  return p.page.url()
}

/** Everything that is in the export of payments about a sale's only order. */
const payments = async () =>
  (await house.admin<string>('GET', '/export/payments'))
    .trim()
    .split('\n')
    .filter(l => l !== '')
    .map(l => JSON.parse(l) as { order: string; state: string })

describe('the shop', () => {
  it('keeps the focus where one paid, and tells of a refund without offering anything more', async () => {
    await house.sale({ id: 'refunds', stock: 5 })
    const p = await Person.come(browser)
    await order(p, 'refunds', house.buyer('ida'))
    await p.at('pay').focus()
    await p.page.keyboard.press('Enter')
    await p.at('pay').waitFor({ state: 'detached' })
    const focus = () => p.page.evaluate(() => [document.activeElement?.tagName, document.activeElement?.getAttribute('aria-label')])
    expect(await focus()).toEqual(['SECTION', expect.stringContaining('49.90')])
    await p.says('payment-state', 'captured')
    await p.at('refund').click()
    await p.at('refund-yes').click()
    await p.says('order-state', 'refunded')
    await p.says('payment-state', 'refunded')
    const text = await p.page.locator('main').innerText()
    expect(text).toContain('given back')
    expect(text).not.toMatch(/arrived|still be paid|Pay within/)
    for (const act of ['pay', 'cancel', 'refund']) expect(await p.at(act).count(), act).toBe(0)
    await p.accessible('an order that was refunded')
    await p.leave()
  })

  it('lists what can be bought first, then what comes, and what is over last', async () => {
    await house.sale({ id: 'list-over', stock: 5 })
    await house.admin('POST', '/sales/list-over/actions', { action: 'close', reason: 'over' })
    await house.sale({ id: 'list-later', stock: 5, opens: 2_400_000 })
    await house.sale({ id: 'list-soon', stock: 5, opens: 1_200_000 })
    await house.sale({ id: 'list-out', stock: 0 })
    await house.sale({ id: 'list-now', stock: 5 })
    const p = await Person.come(browser)
    await p.visit(house, '/shop', house.buyer('jan'))
    await p.at('sale-list-now').waitFor()
    const ids = await p.page.locator('[data-testid^="sale-list-"]').evaluateAll(all => all.map(e => e.getAttribute('data-testid')))
    expect(ids).toEqual(['now', 'soon', 'later', 'out', 'over'].map(id => `sale-list-${id}`))
    await p.leave()
  })

  it('shows states by its own clock, whatever the browser’s says', async () => {
    await house.sale({ id: 'clock-open', stock: 5 })
    await house.sale({ id: 'clock-soon', stock: 5, opens: 1_200_000 })
    for (const hours of [9, -7]) {
      const p = await Person.come(browser)
      await p.page.addInitScript(ms => {
        const real = Date.now
        Date.now = () => real() + ms
      }, hours * 3_600_000)
      await p.visit(house, '/shop', house.buyer('kim'))
      for (const [id, state] of [
        ['clock-open', 'open'],
        ['clock-soon', 'scheduled'],
      ] as const) {
        const card = p.page.locator('article', { has: p.page.getByTestId(`sale-${id}`) })
        await card.waitFor()
        expect(await card.locator('.badge').getAttribute('data-value'), `${id}, ${hours} h`).toBe(state)
        await p.at(`sale-${id}`).click()
        await p.says('sale-state', state)
        await p.page.goBack()
      }
      await p.leave()
    }
  })

  it('takes one payment from two tabs that pay at once, and tells both', async () => {
    await house.sale({ id: 'tabs', stock: 5 })
    const token = house.buyer('lou')
    const one = await Person.come(browser)
    const url = new URL(await order(one, 'tabs', token))
    const two = await one.tab()
    await two.visit(house, url.pathname, token)
    await two.at('pay').waitFor()
    await Promise.all([one, two].map(p => p.press('pay')))
    for (const p of [one, two]) {
      await p.says('order-state', 'paid')
      await p.at('payment-state').waitFor()
      expect(await p.at('pay').count()).toBe(0)
    }
    const id = url.pathname.split('/').pop()
    await until('the payment is in the books', async () => (await payments()).some(x => x.order === id && x.state === 'captured'))
    expect((await payments()).filter(x => x.order === id).map(x => x.state)).toEqual(['captured'])
    await one.leave()
  })

  it('goes back and forward through what was seen', async () => {
    await house.sale({ id: 'ways', stock: 5 })
    const p = await Person.come(browser)
    await p.visit(house, '/shop', house.buyer('mo'))
    await p.at('sale-ways').click()
    await p.at('buy-teapot').click()
    await p.says('answer', 'won')
    await p.at('order-link').click()
    await p.says('order-state', 'pending_payment')
    const there = p.page.url()
    await p.page.goBack()
    await p.says('answer', 'won') // the answer is still there
    await p.page.goBack()
    await p.at('sale-ways').waitFor()
    await p.page.goForward()
    await p.says('sale-state', 'open')
    await p.page.goForward()
    await p.says('order-state', 'pending_payment')
    expect(p.page.url()).toBe(there)
    expect((await house.admin<{ items: unknown[] }>('GET', '/orders?sale=ways')).items).toHaveLength(1)
    await p.leave()
  })
})
