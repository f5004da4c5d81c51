import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { type House, pictures, until } from './house'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export async function launch(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? places.find(p => existsSync(p))
  if (!executablePath) throw new Error('there is no Chromium; scripts/browser install')
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

export interface Look {
  lang?: 'en' | 'zh-CN'
  width?: number
  scheme?: 'light' | 'dark'
}

/**
 * A person at a browser of his own. Whatever the page says to the browser's console as an error, and whatever its policy refuses, is a
 * failure, but for answers that are no success: the browser lists those, and they are part of the interface.
 */
export class Person {
  private readonly wrong: string[] = []
  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('pageerror', e => this.wrong.push(String(e)))
    page.on('console', m => {
      if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) this.wrong.push(m.text())
    })
    page.on('dialog', d => {
      this.wrong.push(`a dialog: ${d.message()}`)
      void d.dismiss()
    })
  }

  static async come(browser: Browser, look: Look = {}): Promise<Person> {
    const { lang = 'en', width = 1440, scheme = 'light' } = look
    const context = await browser.newContext({
      locale: lang,
      viewport: { width, height: width < 600 ? 844 : 900 },
      colorScheme: scheme,
      reducedMotion: 'reduce',
      isMobile: width < 600,
      hasTouch: width < 600,
      timezoneId: 'UTC',
    })
    context.setDefaultTimeout(60_000)
    return new Person(context, await context.newPage())
  }

  /** Opens another tab of the same browser. It is closed with it. */
  async tab(): Promise<Person> {
    return new Person(this.context, await this.context.newPage())
  }

  async leave(): Promise<void> {
    await this.context.close()
    expect(this.wrong).toEqual([])
  }

  at(id: string) {
    return this.page.getByTestId(id)
  }

  /** Presses a button at this moment, if it is there: a click would wait until it is at rest, and somebody else’s act may take it away. */
  async press(id: string): Promise<void> {
    await this.page.evaluate(id => document.querySelector<HTMLElement>(`[data-testid="${id}"]`)?.click(), id)
  }

  /** Waits until an element says a value. */
  async says(id: string, value: string, timeout = 60_000): Promise<void> {
    const quoted = JSON.stringify(value)
    await this.page
      .locator(`[data-testid=${JSON.stringify(id)}][data-value=${quoted}]`)
      .first()
      .waitFor({ timeout })
  }

  /** Opens a page of the shop as a buyer. */
  async visit(house: House, path: string, token: string): Promise<void> {
    await this.page.goto(`${house.shop}${path}#token=${token}`)
    await this.page.locator('[data-testid=who]:not([data-value=""])').waitFor()
  }

  /** Logs into the console and opens a page of it. */
  async operate(house: House, path = '/sales'): Promise<void> {
    await this.page.goto(`${house.console}/login?token`)
    await this.at('login-token').fill(house.token)
    await this.at('login-token-submit').click()
    await this.at('sale-new').waitFor()
    if (path !== '/sales') await this.page.goto(`${house.console}${path}`)
  }

  /** Logs into the console with a name and a password, wherever the page is that asks for them. */
  async logIn(name: string, password: string): Promise<void> {
    await this.at('login-user').fill(name)
    await this.at('login-password').fill(password)
    await this.at('login-submit').click()
  }

  /** Presses an act of the console and answers its question. */
  async act(id: string, reason: string, fields: Record<string, string> = {}): Promise<void> {
    await this.at(id).click()
    for (const [field, value] of Object.entries(fields)) await fill(this.page, field, value)
    await this.at('confirm-reason').fill(reason)
    await this.at('confirm-yes').click()
    await this.at('confirm-yes').waitFor({ state: 'detached' })
  }

  /** Waits until the page has stopped changing: a stream keeps its network busy for good. */
  async settles(): Promise<void> {
    let before = ''
    await until('the page settles', async () => {
      const now = await this.page.locator('main').innerText()
      const same = now === before
      before = now
      return same && now.length > 20
    })
  }

  async picture(name: string): Promise<void> {
    await this.page.screenshot({ path: join(pictures(), `${name}.png`) })
  }

  /** Asks axe-core; serious findings are failures. */
  async accessible(what: string): Promise<void> {
    expect(await this.barriers(), what).toEqual([])
  }

  /** What axe-core calls serious or critical. */
  async barriers(): Promise<string[]> {
    // Injected through the debugger, which the page's policy does not bind.
    await this.page.evaluate(axe())
    return this.page.evaluate(async () => {
      // biome-ignore lint/suspicious/noExplicitAny: axe puts itself on the window
      const r = await (window as any).axe.run(document, { resultTypes: ['violations'] })
      return r.violations
        .filter((v: { impact: string }) => v.impact === 'serious' || v.impact === 'critical')
        .map(
          (v: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
            `${v.id}: ${v.nodes.map(n => `${n.html.slice(0, 160)} ${n.failureSummary}`).join(' | ')}`,
        )
    })
  }
}

const axe = () => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Fills a field, be it an input, a select of the platform or what stands around one. */
export async function fill(page: Page, id: string, value: string): Promise<void> {
  const at = page.getByTestId(id)
  const tag = await at.evaluate(e => e.tagName)
  if (tag === 'SELECT') await at.selectOption(value)
  else if (tag === 'INPUT' || tag === 'TEXTAREA') await at.fill(value)
  else await at.locator('input, textarea').first().fill(value)
}
