import { createHmac } from 'node:crypto'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, Person } from './browser'
import { House, until } from './house'

const first = 'a password to begin with'
const second = 'another one, and longer'

let house: House
let browser: Browser
beforeAll(async () => {
  house = new House({ PENSTOCK_IDENTITY_ISSUER: 'http://127.0.0.1:18081' })
  ;[, browser] = await Promise.all([house.start(), launch()])
  for (const name of ['wei', 'lena', 'omar']) house.person(name, 'admin', first)
})
afterAll(async () => {
  await browser?.close()
  await house?.end()
})

/** The code that an authenticator app shows for a secret (RFC 6238). */
function codeOf(secret: string, at = Date.now()): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret].map(c => letters.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(b => Number.parseInt(b, 2)))
  const count = Buffer.alloc(8)
  count.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)))
  const mac = createHmac('sha1', key).update(count).digest()
  const from = (mac[19] ?? 0) & 15
  return String((mac.readUInt32BE(from) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** The newest acts of the trail, by name. */
const acts = async () =>
  (await house.admin<{ items: { act: string; who: string }[] }>('GET', '/audit?newest=true&limit=50')).items.map(a => `${a.who} ${a.act}`)

describe('the desk', () => {
  it('lets a person change the password and set up a second factor, and asks for both from then on', async () => {
    const p = await Person.come(browser)
    await p.page.goto(`${house.console}/account`)
    await p.logIn('wei', first)
    await p.at('password-old').fill('not the password')
    await p.at('password-new').fill(second)
    await p.at('password-again').fill(`${second}x`)
    await p.at('password-save').click()
    await p.page.getByText('The two are not the same.').waitFor()
    await p.at('password-again').fill(second)
    await p.at('password-save').click()
    await p.page.getByText('This is not your password.').waitFor()
    await p.at('password-old').fill(first)
    await p.at('password-save').click()
    await until('the form is empty again', async () => (await p.at('password-old').inputValue()) === '')
    await p.page.getByText('The password is changed.').waitFor({ state: 'detached' })
    await p.at('language').click()
    await p.at('second-factor-make').click()
    await p.at('field-password').fill(second)
    await p.at('confirm-yes').click()
    await p.at('second-factor-made').waitFor()
    await p.accessible('a new second factor')
    await p.picture('desk-account-zh-CN')
    await p.at('confirm-yes').click()
    await p.at('language').click()
    await p.says('second-factor', 'off') // shown is not enough
    await p.at('second-factor-make').click()
    await p.at('field-password').fill(second)
    await p.at('confirm-yes').click()
    await p.at('second-factor-made').waitFor()
    const secret = (await p.at('second-factor-made').locator('code').first().innerText()).trim()
    await p.picture('desk-account-en')
    await p.at('second-factor-code').fill('abcdef')
    await p.at('second-factor-confirm').click()
    await p.page.getByText('This is not the code of this secret.').waitFor()
    const spent = Date.now()
    await p.at('second-factor-code').fill(codeOf(secret, spent))
    await p.at('second-factor-confirm').click()
    await p.says('second-factor-state', 'on')
    await p.at('confirm-yes').click()
    await p.says('second-factor', 'on')
    await p.accessible('one’s account')
    await p.at('logout').click()
    await p.logIn('wei', first)
    await p.at('error').waitFor()
    await p.logIn('wei', second)
    await p.at('login-code').fill(codeOf(secret, Math.max(Date.now(), spent + 30_000))) // the code of the set-up is spent; one step ahead is let in
    await p.at('login-submit').click()
    await p.at('sale-new').waitFor()
    expect(await acts()).toEqual(expect.arrayContaining(['wei user.password', 'wei user.totp.begin', 'wei user.totp']))
    await p.leave()
  })

  it('keeps what somebody was writing when the session ends, and goes on after a new login', async () => {
    const p = await Person.come(browser)
    await p.page.goto(`${house.console}/sales/new`)
    await p.logIn('lena', first)
    await p.at('sale-title-input').fill('Half written')
    await p.says('live', 'on')
    const other = await Person.come(browser)
    await other.page.goto(`${house.console}/people?user=lena`)
    await other.logIn('omar', first)
    await other.at('person-lena').getByText('Log out everywhere').click()
    await other.at('confirm-reason').fill('a test of it')
    await other.at('confirm-yes').click()
    await p.at('login-again').waitFor()
    expect(await p.at('sale-title-input').isVisible()).toBe(false) // whoever passes by reads nothing
    await p.accessible('a session that is over')
    await p.at('login-password').fill(first)
    await p.at('login-submit').click()
    await p.at('login-again').waitFor({ state: 'detached' })
    expect(await p.at('sale-title-input').inputValue()).toBe('Half written')
    await p.says('live', 'on')
    for (const x of [p, other]) await x.leave()
  })

  it('takes a password after a token that is over', async () => {
    const p = await Person.come(browser)
    await p.page.goto(`${house.console}/login#token=over.and.out`)
    await p.logIn('omar', first)
    await p.at('sale-new').waitFor()
    await p.leave()
  })

  it('gives other systems the login, and takes it back', async () => {
    const p = await Person.come(browser, { lang: 'zh-CN', scheme: 'dark' })
    await p.page.goto(`${house.console}/clients`)
    await p.logIn('omar', first)
    await p.at('client-new').click()
    await p.at('field-id').fill('crm')
    await p.at('field-name').fill('CRM <b>of</b> the house')
    await p.at('field-redirects').fill('https://crm.example/callback\nhttp://crm.example/plain')
    await p.at('confirm-yes').click()
    await p.at('error').waitFor() // plain http leads to this machine only
    await p.at('field-name').fill('CRM of the house')
    await p.at('field-redirects').fill('https://crm.example/callback\nhttps://crm.example/second')
    await p.at('confirm-yes').click()
    await p.page.getByText('client_secret').waitFor()
    await p.at('confirm-yes').click()
    await p.at('client-open-crm').click()
    await p.accessible('a system that uses the login')
    await both(p, 'desk-clients')
    const before = await secret(p)
    await p.at('client-disable').click()
    await p.at('confirm-reason').fill('moved out')
    await p.at('confirm-yes').click()
    await p.at('client-enable').waitFor()
    expect(before).toMatch(/^[A-Z2-7]{52}$/)
    expect(await acts()).toEqual(expect.arrayContaining(['omar oidc-client.create', 'omar oidc-client.rotate', 'omar oidc-client.change']))
    await p.at('client-delete').click()
    await p.at('confirm-reason').fill('no longer used')
    await p.at('confirm-yes').click()
    await until('the system is gone', async () => (await p.at('client-crm').count()) === 0)
    await p.leave()
  })

  it('compares a statement, line by line and sum by sum', async () => {
    await house.sale({ id: 'stated', stock: 5 })
    const ann = await Person.come(browser, { width: 390 })
    await ann.visit(house, '/shop/sales/stated', house.buyer('ann'))
    await ann.at('buy-teapot').click()
    await ann.at('order-link').click()
    await ann.at('pay').click()
    await ann.says('order-state', 'paid')
    await ann.leave()
    const day = new Date().toISOString().slice(0, 10)
    const good = await house.statement(day)
    const p = await Person.come(browser)
    await p.operate(house, `/statements?day=${day}`)
    const zh = await Person.come(browser, { lang: 'zh-CN', scheme: 'dark' })
    await zh.operate(house, `/statements?day=${day}`)
    const give = async (text: string, who = p) => {
      await who.at('statement-file').setInputFiles({ name: 'statement.csv', mimeType: 'text/csv', buffer: Buffer.from(text) })
      await who.at('statement-compare').click()
    }
    await give(good)
    await p.says('statement-result', '0')
    const [head = '', line = ''] = good.trim().split('\n')
    const wrong = [head, line.replace('4990', '4991'), line, 'capture,stray,,,100,EUR,captured,', ''].join('\n')
    for (const who of [p, zh]) {
      await give(wrong, who)
      await who.says('statement-result', '3')
    }
    await p.picture('desk-statement-en')
    await zh.picture('desk-statement-zh-CN')
    await zh.leave()
    await p.accessible('a statement that differs')
    await give(`${head}\ncapture,x,,,12.50,EUR,captured,\n`)
    await p.page.getByText('line 2').waitFor() // minor units, not a decimal that somebody rounds
    await p.leave()
  })

  it('says what a role lacks instead of showing forms that lead nowhere', async () => {
    house.person('vito', 'viewer', first)
    const p = await Person.come(browser, { lang: 'zh-CN', width: 390 })
    await p.page.goto(`${house.console}/sales/new`)
    await p.logIn('vito', first)
    await p.at('role-needed').waitFor()
    for (const path of ['/sales/new', '/exports', '/people', '/clients', '/statements', '/audit']) {
      await p.page.goto(`${house.console}${path}`)
      await p.at('role-needed').waitFor()
    }
    await p.page.goto(`${house.console}/orders/1`)
    expect(await p.at('error').innerText()).toContain('未找到') // what kind of problem, in the language of the page
    await p.leave()
  })

  it('has tables that can be read at every width, and acts that a thumb reaches', async () => {
    await house.sale({ id: 'wide', stock: 5 })
    for (const width of [320, 390, 768, 1024, 1440]) {
      const p = await Person.come(browser, { width })
      await p.operate(house)
      const name = p.at('sale-wide')
      await name.waitFor()
      expect((await name.boundingBox())?.width ?? 0, `the title at ${width} px`).toBeGreaterThan(60)
      await p.leave()
    }
    const boss = await Person.come(browser, { width: 390 })
    await boss.page.goto(`${house.console}/people`)
    await boss.logIn('omar', first)
    const acts = boss.at('person-lena').locator('.row-acts button')
    await acts.first().waitFor()
    for (const b of await acts.all()) {
      const box = await b.boundingBox()
      expect(box && box.x >= 0 && box.x + box.width <= 390, `${await b.innerText()} is on the screen`).toBe(true)
    }
    await boss.leave()
  })
})

/** Takes a picture in each language, and leaves the page in the one it was in. */
async function both(p: Person, name: string): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const other = await p.at('language').getAttribute('lang')
    await p.page.evaluate(() => window.scrollTo(0, 0))
    await p.picture(`${name}-${other === 'en' ? 'zh-CN' : 'en'}`)
    await p.at('language').evaluate(e => (e as HTMLElement).click()) // a dialog may lie over it
    await p.page.locator(`[data-testid=language]:not([lang="${other}"])`).waitFor()
  }
}

/** Gives the system that is shown a new secret, and reads it. */
async function secret(p: Person): Promise<string> {
  await p.at('client-rotate').click()
  await p.at('confirm-reason').fill('a test of it')
  await p.at('confirm-yes').click()
  const code = p.at('confirm').locator('code').last()
  await code.waitFor()
  const text = (await code.innerText()).trim()
  await p.at('confirm-yes').click()
  return text
}
