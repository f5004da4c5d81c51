import { expect, it } from 'vitest'
import { type Draft, definition, doubts, findings, worth } from './define'

const good: Draft = {
  id: 'night',
  title: '双十一',
  starts: '2026-11-11T00:00',
  ends: '2026-11-12T00:00',
  window: '',
  grace: '',
  admission: 'open',
  waitingList: false,
  currency: 'CNY',
  rate: '',
  reach: '',
  closes: '',
  source: '',
  items: [{ sku: 'a', title: 'A', price: '99.5', stock: '10', limit: '2' }],
}

const pointers = (change: Partial<Draft>) => findings({ ...good, ...change }).map(f => f.pointer)
const item = (change: object) => pointers({ items: [{ sku: 'a', title: 'A', price: '1', stock: '1', limit: '', ...change }] })

// What the server would refuse is found at the field that it is about.
it('finds what is wrong', () => {
  expect(findings(good)).toEqual([])
  expect(pointers({ id: '-x' })).toEqual(['/id'])
  expect(pointers({ title: '' })).toEqual(['/title'])
  expect(pointers({ title: '字'.repeat(201) })).toEqual(['/title'])
  expect(pointers({ ends: good.starts })).toEqual(['/endsAt'])
  expect(pointers({ starts: '' })).toEqual(['/startsAt'])
  expect(pointers({ window: '0' })).toEqual(['/paymentWindowSeconds'])
  expect(pointers({ grace: '86401' })).toEqual(['/graceSeconds'])
  expect(pointers({ items: [] })).toEqual(['/items'])
  expect(item({ sku: '' })).toEqual(['/items/0/sku'])
  expect(item({ sku: '字'.repeat(22) })).toEqual(['/items/0/sku'])
  expect(item({ price: '1.234' })).toEqual(['/items/0/price'])
  expect(item({ stock: '1000000001' })).toEqual(['/items/0/stock'])
  expect(item({ stock: '-1' })).toEqual(['/items/0/stock'])
  expect(pointers({ admission: 'draw', source: ' ' })).toEqual(['/line/publicSource'])
  expect(pointers({ admission: 'draw', source: '字'.repeat(67) })).toEqual(['/line/publicSource'])
  expect(pointers({ admission: 'draw', source: 'drand', closes: good.ends })).toEqual(['/line/closesAt'])
  expect(pointers({ admission: 'draw', source: 'drand', closes: good.starts })).toEqual([])
  expect(pointers({ admission: 'line' })).toEqual([])
  expect(pointers({ items: [...good.items, ...good.items] })).toEqual(['/items/1/sku'])
})

// The body says what was typed, in minor units, and leaves out what the server has defaults for.
it('makes the body', () => {
  const d = definition(good)
  expect(d.items).toEqual([{ sku: 'a', title: 'A', price: 9950, currency: 'CNY', stock: 10, limitPerUser: 2 }])
  expect(d.startsAt).toBe(new Date('2026-11-11T00:00').toISOString())
  expect('paymentWindowSeconds' in d || 'line' in d).toBe(false)
  expect(definition({ ...good, admission: 'draw', rate: '50', source: 'drand' }).line).toEqual({ ratePerSecond: 50, publicSource: 'drand' })
  expect(definition({ ...good, rate: '50' }).line).toBeUndefined()
})

// What is allowed and rarely meant is said, and what is at stake is added up.
it('doubts and adds up', () => {
  expect(doubts(good, Date.parse('2026-01-01'))).toEqual([])
  expect(doubts({ ...good, items: [{ sku: 'a', title: 'A', price: '0', stock: '0', limit: '0' }] }, Date.parse('2027-01-01'))).toHaveLength(
    5,
  )
  expect(worth(good)).toEqual({ units: 10, minor: 99500 })
})
