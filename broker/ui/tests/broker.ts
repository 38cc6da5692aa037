// A broker of one's own: the real program, with a folder and ports that nobody else has.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const BINARY = process.env.AMPHORA_BINARY ?? '../../target/debug/amphora'

/** Where `plugins/build` puts the stock plugins. */
export const COMPONENTS = resolve(process.env.AMPHORA_COMPONENTS ?? '../../plugins/target/components')

const CONFIG = `[[plugin]]
name = "configured"
path = "${join(COMPONENTS, 'content-router.wasm')}"
exchange-type = "x-content"

[[plugin]]
name = "late"
path = "${join(COMPONENTS, 'delayed.wasm')}"
`

// Variables of the tests are none of the broker's, and it refuses what it does not know.
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('AMPHORA_')),
)

const START_MS_MAX = 60_000
const LOGIN = `Basic ${Buffer.from('guest:guest').toString('base64')}`

export class Broker {
  readonly url: string
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(url: string, process: ChildProcess, folder: string) {
    this.url = url
    this.#process = process
    this.#folder = folder
  }

  /** A port that was free may be taken by somebody else before the broker has it: then it tries others. */
  static async start(attempts = 3): Promise<Broker> {
    const folder = mkdtempSync(join(tmpdir(), 'amphora-ui-'))
    const [amqp, http] = [await freePort(), await freePort()]
    const config = join(folder, 'amphora.toml')
    writeFileSync(config, CONFIG)
    const places = ['--data-dir', join(folder, 'data')]
    const addresses = ['--amqp-listen', `127.0.0.1:${amqp}`, '--http-listen', `127.0.0.1:${http}`]
    const process = spawn(BINARY, ['serve', '--config', config, ...places, ...addresses], {
      env: ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const failed = new Promise<never>((_, reject) => process.once('error', reject))
    const broker = new Broker(`http://127.0.0.1:${http}`, process, folder)
    try {
      await Promise.race([broker.#isUp(), failed])
    } catch (error) {
      if (process.exitCode === null || attempts <= 1) {
        throw error
      }
      return Broker.start(attempts - 1)
    }
    return broker
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGTERM')
    await gone
    rmSync(this.#folder, { recursive: true })
  }

  /** Asks the API, as guest, and not through the pages. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}/api${path}`, {
      method,
      headers: { authorization: LOGIN, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`)
    }
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  async publish(exchange: string, key: string, payload: string, properties = {}): Promise<void> {
    const name = exchange === '' ? 'amq.default' : exchange
    await this.api('POST', `/exchanges/%2F/${name}/publish`, {
      routing_key: key,
      payload,
      payload_encoding: 'string',
      properties,
    })
  }

  async #isUp(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX
    for (;;) {
      try {
        await this.api('GET', '/overview')
        return
      } catch (error) {
        if (Date.now() > deadline || this.#process.exitCode !== null) {
          throw error
        }
        await sleep(50)
      }
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address !== null && typeof address === 'object') {
          resolve(address.port)
        } else {
          reject(new Error('no port'))
        }
      })
    })
  })
}
