import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Look, launch, Person } from './browser'
import { House, until } from './house'

const evil = `"><img src=x onerror="window.hit=1"><script>window.hit=1</script>{{7*7}}javascript:alert(1)`

let house: House
let browser: Browser
beforeAll(async () => {
  ;[house, browser] = await Promise.all([new House().start(), launch()])
  await house.sale({ id: 'night', stock: 100 })
})
afterAll(async () => {
  await browser?.close()
  await house?.end()
})

const looks: Look[] = [
  { lang: 'en', width: 1440 },
  { lang: 'zh-CN', width: 390 },
  { lang: 'zh-CN', width: 1440, scheme: 'dark' },
  { lang: 'en', width: 390, scheme: 'dark' },
]
const pages = ['/sales', '/sales/night', '/orders', '/dead-letters', '/reconcile', '/audit', '/limits', '/exports', '/sales/new', '/cases']
const name = (what: string, l: Look) => `${what}-${l.lang}-${l.width}-${l.scheme ?? 'light'}`

/** Some units go while a cockpit is looked at, each seen before the next one goes, so that its curves have something to show. */
async function moves(p: Person, guest: string): Promise<void> {
  const held = async () => Number((await p.at('held-teapot').textContent())?.replace(/\D/g, ''))
  for (let n = 0; n < 4; n++) {
    const before = await held()
    await house.buys('night', `${guest}-${n}`)
    await until('the cockpit shows the unit', async () => (await held()) > before)
    await p.page.waitForTimeout(700) // a curve has a point a second
  }
}

/** Nothing stands out to the side. */
const fits = (p: Person) => p.page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1)

describe('the faces', () => {
  it('can be used by everybody, in both languages, on a phone and a wide screen', async () => {
    for (const look of looks) {
      const p = await Person.come(browser, look)
      await p.visit(house, '/shop', house.buyer(`looker-${look.width}-${look.lang}`))
      await p.at('sale-night').waitFor()
      expect(await p.page.evaluate(() => document.documentElement.lang), 'language').toBe(look.lang)
      await p.accessible(name('the list of sales', look))
      await p.picture(name('shop-sales', look))
      await p.at('sale-night').click()
      await p.at('buy-teapot').waitFor()
      await p.accessible(name('a sale', look))
      expect(await fits(p), name('a sale', look)).toBe(true)
      await p.picture(name('shop-sale', look))
      await p.leave()
    }
  })

  it('has a console that can be used by everybody, in both languages, on a phone and a wide screen', async () => {
    const found: Record<string, string[]> = {}
    for (const look of looks) {
      const p = await Person.come(browser, look)
      await p.operate(house)
      for (const path of pages) {
        await p.page.goto(`${house.console}${path}`)
        await p.page.locator('main h1').first().waitFor()
        await p.says('live', 'on')
        if (path === '/sales/night') {
          await p.says('lamp', 'ok') // the figures have come
          await moves(p, name('guest', look))
        }
        const wrong = await p.barriers()
        if (!(await fits(p))) wrong.push('wider than the screen')
        if (wrong.length > 0) found[name(path, look)] = wrong
        await p.picture(name(`console${path.replaceAll('/', '-')}`, look))
      }
      await p.leave()
    }
    expect(found).toEqual({})
  }, 600_000)

  it('switches its language where one is', async () => {
    const p = await Person.come(browser)
    await p.visit(house, '/shop/sales/night', house.buyer('polyglot'))
    const before = await p.at('buy-teapot').textContent()
    await p.at('language').click()
    await p.page.waitForFunction(() => document.documentElement.lang === 'zh-CN')
    expect(await p.at('buy-teapot').textContent()).not.toBe(before)
    await p.leave()
  })

  it('shows what people wrote as text, whatever they wrote', async () => {
    await house.sale({ id: 'evil', stock: 5, title: evil, itemTitle: evil })
    const p = await Person.come(browser)
    const buyer = evil.slice(0, 60)
    await p.visit(house, '/shop', house.buyer(buyer))
    await p.at('sale-evil').click()
    await p.at('buy-teapot').click()
    await p.says('answer', 'won')
    await p.at('order-link').click()
    await p.at('pay').click()
    await p.says('order-state', 'paid')
    expect(await p.page.evaluate(() => 'hit' in window)).toBe(false)
    await p.leave()
    const op = await Person.come(browser)
    await op.operate(house, '/sales/evil')
    await op.act('act-pause', evil)
    await op.says('sale-state', 'paused')
    const shown = ['/sales', '/orders']
    for (const path of ['/sales', '/audit', `/orders?q=${encodeURIComponent(evil)}`, '/orders', '/sales/evil/report', '/sales/evil/edit']) {
      await op.page.goto(`${house.console}${path}`)
      await op.page.locator('main h1').first().waitFor()
      if (shown.includes(path))
        await op.page.getByText('<img src=x').first().waitFor() // as text
      else await op.settles()
      expect(await op.page.evaluate(() => 'hit' in window), path).toBe(false)
      expect(await op.page.locator('img[src="x"]').count(), path).toBe(0)
    }
    await op.leave()
  })

  it('refuses scripts that are not its own', async () => {
    for (const url of [`${house.shop}/shop`, `${house.console}/login`]) {
      const r = await fetch(url)
      const policy = r.headers.get('Content-Security-Policy') ?? ''
      expect(policy, url).toMatch(/script-src/)
      expect(policy.match(/script-src[^;]*/)?.[0], url).not.toMatch(/unsafe-inline|unsafe-eval/)
      expect(r.headers.get('X-Content-Type-Options')).toBe('nosniff')
    }
  })

  it('keeps its budget: what is sent, how long it blocks, how much it jumps', async () => {
    const p = await Person.come(browser, { width: 390 })
    await p.page.addInitScript(() => {
      // biome-ignore lint/suspicious/noExplicitAny: a note for the test
      const w = window as any
      w.budget = { blocked: 0, shift: 0 }
      new PerformanceObserver(l => {
        for (const e of l.getEntries()) w.budget.blocked += Math.max(0, e.duration - 50)
      }).observe({ type: 'longtask', buffered: true })
      new PerformanceObserver(l => {
        // biome-ignore lint/suspicious/noExplicitAny: layout shifts have no type of their own
        for (const e of l.getEntries() as any[]) if (!e.hadRecentInput) w.budget.shift += e.value
      }).observe({ type: 'layout-shift', buffered: true })
    })
    await p.visit(house, '/shop/sales/night', house.buyer('thrifty'))
    await p.at('buy-teapot').waitFor()
    await p.page.waitForLoadState('load')
    const got = await p.page.evaluate(() => {
      const all = [
        ...performance.getEntriesByType('navigation'),
        ...performance.getEntriesByType('resource'),
      ] as PerformanceResourceTiming[]
      // biome-ignore lint/suspicious/noExplicitAny: a note for the test
      return { sent: all.reduce((n, e) => n + e.transferSize, 0), ...(window as any).budget }
    })
    console.log(
      `    measured: ${Math.round(got.sent / 1024)} KiB sent, blocked ${Math.round(got.blocked)} ms, shift ${got.shift.toFixed(3)}`,
    )
    expect(got.sent).toBeLessThan(90 * 1024)
    expect(got.shift).toBeLessThan(0.1)
    await p.leave()
  })
})
