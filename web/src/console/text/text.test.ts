import { expect, it } from 'vitest'
import { disagreements } from '../../shared/i18n'
import { word, words } from '.'
import { en } from './en'
import { zh } from './zh'

// Both languages have the same keys with the same places for values, and none is empty.
it('has every text in both languages', () => {
  expect(disagreements(en, zh)).toEqual([])
})

// A word of the API that no table has is shown as it is, so that nothing new of the server is hidden.
it('shows unknown words of the API as they are', () => {
  expect(word('zh-CN', 'state', 'open')).toBe('进行中')
  expect(word('zh-CN', 'state', 'brand-new')).toBe('brand-new')
})

// Values are put where the text has places for them.
it('fills in values', () => {
  expect(words('en')('rows', { n: 3 })).toBe('Rows: 3')
})
