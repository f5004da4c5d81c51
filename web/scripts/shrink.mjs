/** Writes a picture half as wide, with the browser that made it: node shrink.mjs FROM TO. */
import { readFileSync, writeFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const [from, to] = process.argv.slice(2)
if (!from || !to) throw new Error('shrink.mjs FROM TO')
const data = readFileSync(from)
const width = data.readUInt32BE(16)
const height = data.readUInt32BE(20)
const scale = width > 1000 ? 0.6 : 0.8
const size = { width: Math.round(width * scale), height: Math.round(height * scale) }
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage({ viewport: size })
await page.setContent(
  `<style>body{margin:0}img{width:${size.width}px;height:${size.height}px;display:block}</style><img src="data:image/png;base64,${data.toString('base64')}">`,
)
await page.locator('img').evaluate(e => /** @type {HTMLImageElement} */ (e).decode())
writeFileSync(to, await page.screenshot())
await browser.close()
