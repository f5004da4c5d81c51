import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const binary = resolve(process.env.BROWSER_BINARY ?? '../bin/penstock')

/** The sale that most tests use, as an operator writes it. */
export interface Definition {
  id: string
  stock: number
  limit?: number
  opens?: number
  title?: string
  itemTitle?: string
  window?: number
  admission?: 'line' | 'draw'
  /** Of a draw: when its pot closes, in milliseconds from now. */
  closes?: number
}

/** One Penstock process with a data directory of its own. It can be stopped and started again on the same addresses. */
export class House {
  readonly data = mkdtempSync(join(tmpdir(), 'penstock-browser-'))
  private process: ChildProcess | undefined
  private addresses: Record<string, string> = {}
  token = ''

  /** What the process is given beside the addresses and the directory. */
  constructor(private readonly more: Record<string, string> = {}) {}

  async start(): Promise<this> {
    const at = (name: string) => this.addresses[name] ?? '127.0.0.1:0'
    const env = {
      ...process.env,
      PENSTOCK_DATA: this.data,
      PENSTOCK_LISTEN_PUBLIC: at('public'),
      PENSTOCK_LISTEN_ADMIN: at('admin'),
      PENSTOCK_LISTEN_PROBE: at('probe'),
      PENSTOCK_LISTEN_SANDBOX: at('sandbox'),
      PENSTOCK_LIMITS_IP: 'off', // all browsers have one address here
      PENSTOCK_LOG_LEVEL: 'error',
      ...this.more,
    }
    this.process = spawn(binary, ['serve'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
    const file = join(this.data, 'listen.json')
    await until('the server is ready', async () => {
      if (this.process?.exitCode !== null) throw new Error(`the server has ended: ${this.process?.exitCode}`)
      if (!existsSync(file)) return false
      this.addresses = JSON.parse(readFileSync(file, 'utf8'))
      return (await fetch(`http://${this.addresses.probe}/health/ready`).catch(() => undefined))?.ok === true
    })
    this.token = readFileSync(join(this.data, 'operator.token'), 'utf8').trim()
    return this
  }

  async stop(): Promise<void> {
    const p = this.process
    if (!p || p.exitCode !== null) return
    const ended = new Promise(done => p.once('exit', done))
    p.kill('SIGTERM')
    await ended
  }

  async end(): Promise<void> {
    await this.stop()
    rmSync(this.data, { recursive: true, force: true })
  }

  get shop(): string {
    return `http://${this.addresses.public}`
  }

  get console(): string {
    return `http://${this.addresses.admin}/console`
  }

  /** A token of a buyer. */
  buyer(user: string): string {
    return execFileSync(binary, ['token', '--data', this.data, '--user', user], { encoding: 'utf8' }).trim()
  }

  /** A person of the back office, who logs in with a password. */
  person(name: string, role: string, password: string): void {
    const args = ['user', 'create', name, '--role', role, '--password-stdin', '--data', this.data]
    execFileSync(binary, args, { input: `${password}\n`, encoding: 'utf8' })
  }

  /** What the sandbox provider says it moved on a day. */
  async statement(day: string): Promise<string> {
    return (await fetch(`http://${this.addresses.sandbox}/statement?day=${day}`)).text()
  }

  /** Buys a teapot as somebody who needs no browser. */
  async buys(sale: string, user: string): Promise<void> {
    const r = await fetch(`${this.shop}/v1/sales/${sale}/attempts`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.buyer(user)}`, 'Content-Type': 'application/json', 'Idempotency-Key': '"one"' },
      body: JSON.stringify({ sku: 'teapot', quantity: 1 }),
    })
    if (r.status !== 201) throw new Error(`${user} buys: ${r.status} ${await r.text()}`)
  }

  async admin<T>(method: string, path: string, body?: unknown): Promise<T> {
    const r = await fetch(`http://${this.addresses.admin}/admin/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await r.text()
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${text}`)
    return (r.headers.get('Content-Type')?.includes('ndjson') ? text : JSON.parse(text)) as T
  }

  async sale(d: Definition): Promise<void> {
    const now = Date.now()
    await this.admin('POST', '/sales', {
      id: d.id,
      title: d.title ?? 'Teapots from the old foundry',
      startsAt: new Date(now + (d.opens ?? -1000)).toISOString(),
      endsAt: new Date(now + 3_600_000).toISOString(),
      paymentWindowSeconds: d.window ?? 600,
      admission: d.admission ?? 'open',
      ...(d.closes === undefined
        ? {}
        : { line: { closesAt: new Date(now + d.closes).toISOString(), publicSource: 'the dice of this test' } }),
      items: [
        {
          sku: 'teapot',
          title: d.itemTitle ?? 'Cast-iron teapot',
          price: 4990,
          currency: 'EUR',
          stock: d.stock,
          limitPerUser: d.limit ?? 1,
        },
      ],
    })
  }

  /** Damages the stopped server's files; see test/browser/plant. */
  plant(gone: string, message: string): void {
    const tool = process.env.BROWSER_PLANT
    const [name, args] = tool ? [tool, []] : ['go', ['run', '../test/browser/plant']]
    execFileSync(name, [...args, '-data', this.data, '-gone', gone], { input: message })
  }
}

/** Asks again and again until the answer is yes. */
export async function until(what: string, ok: () => Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    if (await ok()) return
    await new Promise(next => setTimeout(next, 50))
  }
  throw new Error(`it never came to be that ${what}`)
}

/** Where pictures go. */
export function pictures(): string {
  const dir = resolve(process.env.SCREENSHOTS ?? '../bin/screenshots')
  mkdirSync(dir, { recursive: true })
  return dir
}
