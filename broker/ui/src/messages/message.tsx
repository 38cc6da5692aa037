// One message: where it came from, what it says, how it died.

import type { Message } from '../api/types'
import { Arguments, Badge, text } from '../components/bits'
import { Table } from '../components/table'
import { bytes, count, time } from '../format'
import { deathsOf } from './death'

/** How much of a body is on the line of a message that is closed. */
const PREVIEW = 120

export function MessageView({ message, isStream }: { message: Message; isStream: boolean }) {
  const { position, exchange, routing_key, payload, payload_bytes, payload_encoding } = message
  const deaths = deathsOf(message)
  const { headers = {}, ...properties } = message.properties
  const others = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'x-death'))
  return (
    <details class="message">
      <summary>
        <span class="numeric quiet">
          {isStream ? 'offset' : '#'} {count(position)}
        </span>
        <code class="message-key">{routing_key || exchange || '–'}</code>
        {message.redelivered && <Badge tone="warn">redelivered</Badge>}
        {deaths.length > 0 && <Badge tone="bad">{deaths[0]?.reason}</Badge>}
        <span class="message-preview">
          {payload_encoding === 'string' ? payload.slice(0, PREVIEW) : 'binary'}
        </span>
        <span class="numeric quiet">{bytes(payload_bytes)}</span>
      </summary>
      <div class="message-body">
        {deaths.length > 0 && (
          <Table
            caption="Deaths"
            items={deaths}
            keyOf={({ queue, reason }) => `${queue} ${reason}`}
            columns={[
              { title: 'Died in', cell: ({ queue }) => queue },
              { title: 'Because', cell: ({ reason }) => reason },
              { title: 'Times', cell: ({ count: times }) => count(times), numeric: true },
              { title: 'First at', cell: ({ time: at }) => time(at * 1000) },
              { title: 'Came by', cell: ({ exchange }) => exchange || 'default exchange' },
              { title: 'Keys', cell: (death) => death['routing-keys'].join(', ') },
            ]}
          />
        )}
        <dl class="facts">
          {message.published_at !== null && (
            <div>
              <dt>Published</dt>
              <dd>{time(message.published_at)}</dd>
            </div>
          )}
          <div>
            <dt>Exchange</dt>
            <dd>{exchange || 'default exchange'}</dd>
          </div>
          <div>
            <dt>Routing key</dt>
            <dd>
              <code>{routing_key}</code>
            </dd>
          </div>
          <div>
            <dt>Properties</dt>
            <dd>
              <Arguments table={properties} />
            </dd>
          </div>
          <div>
            <dt>Headers</dt>
            <dd>
              <Arguments table={others} />
            </dd>
          </div>
        </dl>
        <p class="quiet">
          {bytes(payload_bytes)}
          {payload_encoding === 'base64' && ', base64'}
          {payload.length < payload_bytes &&
            payload_encoding === 'string' &&
            `, the first ${bytes(payload.length)}`}
        </p>
        <pre class="payload">{pretty(message)}</pre>
      </div>
    </details>
  )
}

/** JSON with its structure shown, anything else as it is. */
function pretty({ payload, payload_encoding: encoding }: Message): string {
  if (encoding === 'string' && /^\s*[[{]/.test(payload)) {
    try {
      return JSON.stringify(JSON.parse(payload), null, 2)
    } catch {
      return payload
    }
  }
  return text(payload)
}
