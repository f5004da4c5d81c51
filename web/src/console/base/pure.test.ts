import { describe, expect, it } from 'vitest'
import { speech } from '../text'
import { Coalescer, push } from './coalesce'
import { readFilters, writeFilters } from './filters'
import { count, decimal, fromField, moment, money, parseMoney, span, toField } from './format'
import { letterActs, reaches, saleActs } from './legal'
import { fieldName } from './pointer'
import { visible } from './window'

describe('filters in the address', () => {
  const spec = { q: 'text', state: ['open', 'closed'], all: 'flag', from: 'time' } as const

  // What is written is read again, and nothing else of the address is lost.
  it('survive a round trip beside other parameters', () => {
    const written = writeFilters(spec, new URLSearchParams('tab=2'), {
      q: 'a&b=c 中',
      state: 'open',
      all: 'true',
      from: '2026-11-11T00:00',
    })
    expect(written.get('tab')).toBe('2')
    expect(readFilters(spec, new URLSearchParams(written.toString()))).toEqual({
      q: 'a&b=c 中',
      state: 'open',
      all: 'true',
      from: '2026-11-11T00:00',
    })
  })

  // An address may come from anybody: what is no filter counts as not given.
  it('refuse what is none of their words', () => {
    expect(readFilters(spec, new URLSearchParams('state=evil&all=1&from=soon&q=&other=x'))).toEqual({})
    expect(writeFilters(spec, new URLSearchParams('state=open'), { state: 'evil', other: 'x' }).toString()).toBe('')
  })
})

describe('money', () => {
  // Every amount is written exactly, with the digits of its currency, also those that a float cannot hold.
  it('is exact in both directions', () => {
    for (const [minor, currency, text] of [
      [12345, 'CNY', '123.45'],
      [5, 'CNY', '0.05'],
      [-5, 'EUR', '-0.05'],
      [1234, 'JPY', '1234'],
      [1, 'KWD', '0.001'],
      [900719925474099, 'CNY', '9007199254740.99'],
    ] as const) {
      expect(decimal(minor, currency)).toBe(text)
      expect(parseMoney(text, currency)).toBe(minor)
    }
    expect(money(900719925474099, 'CNY', 'en')).toContain('9,007,199,254,740.99')
    expect(money(100, 'points', 'en')).toBe('100 points')
  })

  // What is no amount, or finer than the currency, is refused and not rounded.
  it('refuses what it cannot hold', () => {
    for (const text of ['', 'abc', '1.234', '1e3', '.5', '--1', '99999999999999999999']) expect(parseMoney(text, 'CNY')).toBeNull()
    expect(parseMoney('1.5', 'JPY')).toBeNull()
    expect(parseMoney(' 1,234.5 ', 'CNY')).toBe(123450)
  })
})

describe('times', () => {
  // A field shows the moment in the browser's zone and gives the same moment back.
  it('go through a field unchanged', () => {
    expect(fromField(toField('2026-11-11T08:30:05Z'))).toBe('2026-11-11T08:30:05.000Z')
    expect(fromField('soon')).toBe('')
  })

  // A time that was never set is a dash in every language.
  it('show nothing for none', () => {
    expect(moment('0001-01-01T00:00:00Z', 'en')).toBe('–')
    expect(moment(undefined, 'zh-CN')).toBe('–')
    expect(moment('2026-11-11T08:30:05Z', 'en')).toContain('2026')
  })

  // Spans are told with their two largest units.
  it('tells spans', () => {
    expect(span(1.25, 'en')).toBe('1.3 ms')
    expect(span(340, 'zh-CN')).toBe('340毫秒')
    expect(span(7_500_000, 'en')).toBe('2 h 5 min')
    expect(span(3_600_000, 'zh-CN')).toBe('1小时')
    expect(span(-60_000, 'en')).toBe('-1 min')
    expect(count(1234.56, 'en')).toBe('1,234.6')
  })
})

describe('acts', () => {
  const sale = { state: 'open', paused: false, forcedSoldOut: false, stock: [{ available: 3 }] }

  // The table is that of sale/operate.go.
  it('of a sale follow its state', () => {
    const acts = (change: object) => [...saleActs({ ...sale, ...change })].sort()
    expect(acts({})).toEqual(['add-stock', 'close', 'force_sold_out', 'pause', 'withdraw'])
    expect(acts({ state: 'scheduled' })).toContain('open')
    expect(acts({ state: 'paused', paused: true })).toEqual(['add-stock', 'close', 'force_sold_out', 'resume', 'withdraw'])
    expect(acts({ state: 'sold_out', forcedSoldOut: true, stock: [{ available: 0 }] })).toEqual(['add-stock', 'close', 'pause', 'resume'])
    expect(acts({ state: 'closed' })).toEqual([])
  })

  // Each role may do what the ones before it may, and an unknown one nothing.
  it('need a role', () => {
    expect(reaches('operator', 'support')).toBe(true)
    expect(reaches('support', 'operator')).toBe(false)
    expect(reaches('root', 'viewer')).toBe(false)
    expect(reaches(undefined, 'viewer')).toBe(false)
    expect(letterActs('dead')).toContain('replay')
    expect(letterActs('replayed')).toEqual([])
  })
})

/** A clock that only moves when it is told to. */
class HandClock {
  at = 0
  private due: { at: number; call: () => void }[] = []
  now = () => this.at
  after = (ms: number, call: () => void) => {
    const one = { at: this.at + ms, call }
    this.due.push(one)
    return () => {
      this.due = this.due.filter(d => d !== one)
    }
  }
  go(ms: number) {
    this.at += ms
    const now = this.due.filter(d => d.at <= this.at)
    this.due = this.due.filter(d => d.at > this.at)
    for (const d of now) d.call()
  }
}

describe('live updates', () => {
  // However fast they come, they are shown at most four times a second, and the newest always is.
  it('are shown four times a second at most, the newest last', () => {
    const clock = new HandClock()
    const shown: Record<string, number>[] = []
    const c = new Coalescer<number>(changed => shown.push(Object.fromEntries(changed)), 250, clock)
    for (let i = 0; i < 1000; i++) {
      c.put(i % 2 ? 'odd' : 'even', i)
      clock.go(1)
    }
    clock.go(250)
    expect(shown.length).toBeLessThanOrEqual(6)
    expect(shown[0]).toEqual({ even: 0 })
    expect({ ...shown.at(-2), ...shown.at(-1) }).toEqual({ odd: 999, even: 998 })
  })

  // After it was stopped nothing is shown any more.
  it('end with their page', () => {
    const clock = new HandClock()
    let shown = 0
    const c = new Coalescer(() => shown++, 250, clock)
    c.put('a', 1)
    c.put('a', 2)
    c.stop()
    clock.go(1000)
    expect(shown).toBe(1)
  })

  // A curve keeps its last points.
  it('keep a bounded curve', () => {
    let points: number[] = []
    for (let i = 0; i < 10; i++) points = push(points, i, 3)
    expect(points).toEqual([7, 8, 9])
  })
})

describe('a list', () => {
  // Of a hundred thousand rows only those on the screen are drawn, wherever it is scrolled to.
  it('draws what is on the screen', () => {
    expect(visible(100_000, 44, -200, 900, 6)).toEqual({ from: 0, to: 22 })
    expect(visible(100_000, 44, 44_000, 900, 6)).toEqual({ from: 994, to: 1027 })
    expect(visible(10, 44, 9_000_000, 900, 6)).toEqual({ from: 10, to: 10 })
    expect(visible(0, 44, 0, 900)).toEqual({ from: 0, to: 0 })
  })
})

describe('pointers', () => {
  // A finding names the field as the form does; what nobody has a word for is shown as it came.
  it('name fields by their label', () => {
    expect(fieldName('/items/0/sku', speech('zh-CN'))).toBe('商品 1 · SKU')
    expect(fieldName('/line/ratePerSecond', speech('zh-CN'))).toBe('最大放行速度')
    expect(fieldName('/endsAt', speech('en'))).toBe('Ends')
    expect(fieldName('/brandNew/3', speech('en'))).toBe('brandNew 4')
  })
})
