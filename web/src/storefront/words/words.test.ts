import { describe, expect, it } from 'vitest'
import { disagreements } from '../../shared/i18n'
import { pathOf, placeOf } from '../route'
import { en } from './en'
import { duration, money } from './format'
import { zh } from './zh'

describe('words', () => {
  // Both languages say everything, with the same places for values.
  it('are there in both languages', () => {
    expect(disagreements(en, zh)).toEqual([])
  })

  // Nothing is said in English by mistake: every Chinese text has Chinese in it, but for the name of the other language.
  it('are Chinese where they should be', () => {
    expect(Object.entries(zh).filter(([k, v]) => !/\p{Script=Han}/u.test(v) && !['language', 'order.units'].includes(k))).toEqual([])
  })

  // Amounts are exact, whatever the number of minor digits.
  it('write money exactly', () => {
    expect(money(1250, 'EUR', 'en')).toBe('€12.50')
    expect(money(9007199254740991, 'CNY', 'zh-CN')).toBe('¥90,071,992,547,409.91')
    expect(money(500, 'JPY', 'en')).toBe('¥500')
    expect(money(5, 'no', 'en')).toBe('5 no')
  })

  // A second that has begun counts, and nothing is ever negative.
  it('write durations', () => {
    expect([duration(61_001, 'en'), duration(3_600_000, 'en'), duration(-5, 'en'), duration(90_000_000, 'zh-CN')]).toEqual([
      '1:02',
      '1:00:00',
      '0:00',
      '1 天 01:00:00',
    ])
  })

  // Places and paths are one to one, whatever is in an id.
  it('find places', () => {
    for (const p of [
      { at: 'sales' },
      { at: 'orders' },
      { at: 'order', order: '7' },
      { at: 'sale', sale: 'a/b ü' },
      { at: 'why', sale: '1', key: 'k.%2F' },
    ] as const) {
      expect(placeOf(pathOf(p))).toEqual(p)
    }
    expect([placeOf('/shop/nope'), placeOf('/shop/sales/%E0%A4%A'), placeOf('/')].map(p => p.at)).toEqual(['nowhere', 'nowhere', 'sales'])
  })
})
