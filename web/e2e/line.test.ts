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

type Orders = { items: { user: string }[] }
const orders = (sale: string) => house.admin<Orders>('GET', `/orders?sale=${sale}`)

const come = async (user: string, sale: string) => {
  const p = await Person.come(browser, { width: 390 })
  await p.visit(house, `/shop/sales/${sale}`, house.buyer(user))
  await p.at('line-join').click()
  return p
}

describe('a line', () => {
  it('is joined before the sale opens, and its first buys when it does', async () => {
    await house.sale({ id: 'queue', stock: 1, opens: 5000, admission: 'line' })
    const ann = await come('ann', 'queue')
    await ann.page.locator('[data-testid=line]:not([data-value=out])').waitFor()
    await ann.accessible('a line')
    await ann.picture('line')
    await ann.says('line', 'admitted')
    await ann.at('buy-teapot').click()
    await ann.says('answer', 'won')
    await until('the order is written', async () => (await orders('queue')).items.length > 0)
    expect((await orders('queue')).items.map(o => o.user)).toEqual(['ann'])
    await ann.leave()
  })

  it('begins with a draw whose value an operator gives, and the first drawn buys', async () => {
    await house.sale({ id: 'pot', stock: 1, opens: 6000, admission: 'draw', closes: 5000 })
    const all = await Promise.all(['ben', 'cem', 'dee'].map(user => come(user, 'pot')))
    for (const p of all) await p.says('line', 'pot')
    await all[0]?.picture('pot')
    const op = await Person.come(browser)
    await op.operate(house, '/sales/pot')
    await op.at('draw-value').waitFor()
    type Draw = { pots: { listedAt?: string }[] }
    const listed = async () => {
      const r = await fetch(`${house.shop}/v1/sales/pot/draw`)
      const at = JSON.stringify((await r.json()) as Draw).match(/"listedAt":"([^"]+)"/)?.[1]
      return at !== undefined && Date.now() - Date.parse(at) > 2500
    }
    await until('the list has been out for two seconds', listed)
    await op.act('draw-value', 'the dice have fallen', { 'field-value': '4 2 6' })
    const first = await Promise.race(all.map(p => p.says('line', 'admitted', 25_000).then(() => p)))
    await first.at('buy-teapot').click()
    await first.says('answer', 'won')
    await until('the order is written', async () => (await orders('pot')).items.length > 0)
    expect((await orders('pot')).items).toHaveLength(1)
    for (const p of [...all, op]) await p.leave()
  })
})
