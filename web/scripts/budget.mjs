/** Measures what a buyer's browser loads before it can do anything: the page, and every script and style that it names. It must stay below 90 KB gzipped. */
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

export const limit = 90 * 1024

/** The files of a built page's first load, with their gzipped sizes. @param {string} dir @param {string} page @param {string} base @returns {[string, number][]} */
export function firstLoad(dir, page, base) {
  const html = readFileSync(resolve(dir, page), 'utf8')
  const names = new Set([...html.matchAll(/<(?:script|link)[^>]+(?:src|href)="([^"]+)"/g)].map(m => m[1] ?? ''))
  /** @type {[string, number][]} */
  const files = [[page, gzipSync(html, { level: 9 }).length]]
  for (const name of names) {
    const path = resolve(dir, name.slice(base.length))
    statSync(path)
    files.push([name, gzipSync(readFileSync(path), { level: 9 }).length])
  }
  return files
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = firstLoad(resolve(import.meta.dirname, '../dist/storefront'), 'storefront.html', '/shop/')
  const sum = files.reduce((n, [, size]) => n + size, 0)
  console.log(
    `first load of the storefront: ${(sum / 1024).toFixed(1)} KB gzipped, of ${limit / 1024} KB: ${files.map(([n, s]) => `${n} ${s}`).join(', ')}`,
  )
  if (sum > limit) process.exit(1)
}
