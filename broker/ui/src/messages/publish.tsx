// A message of one's own.

import type { Table } from '../api/types'
import { exchangeName, path, post } from '../api/client'
import { Section } from '../components/bits'
import { Form, type Values } from '../components/form'
import { tell, tellError } from '../components/toasts'

/** Properties of a message, other than its headers. */
const PROPERTIES = [
  'content_type',
  'content_encoding',
  'priority',
  'correlation_id',
  'reply_to',
  'expiration',
  'message_id',
  'timestamp',
  'type',
  'user_id',
  'app_id',
]

export const MESSAGE_FIELDS = [
  { name: 'payload', label: 'Payload', type: 'textarea', value: '' },
  { name: 'persistent', label: 'Persistent', type: 'checkbox', value: true },
  {
    name: 'headers',
    label: 'Headers',
    type: 'arguments',
    value: {},
    suggestions: ['x-delay', 'x-deduplication-header', 'CC', 'BCC'],
  },
  { name: 'properties', label: 'Properties', type: 'arguments', value: {}, suggestions: PROPERTIES },
] as const

export function messageOf(values: Values) {
  const properties: Table = { ...values.table('properties') }
  const headers = values.table('headers')
  if (values.flag('persistent')) {
    properties.delivery_mode = 2
  }
  if (Object.keys(headers).length > 0) {
    properties.headers = headers
  }
  return { properties, payload: values.text('payload'), payload_encoding: 'string' }
}

interface Props {
  vhost: string
  exchange: string
  /** Given if it cannot be chosen. */
  routingKey?: string
  onDone: () => void
}

export function Publish({ vhost, exchange, routingKey, onDone }: Props) {
  const key = routingKey === undefined ? [{ name: 'routing_key', label: 'Routing key', value: '' }] : []
  return (
    <Section title="Publish">
      <details class="panel">
        <summary>A message to {routingKey === undefined ? 'this exchange' : 'this queue'}</summary>
        <Form
          fields={[...key, ...MESSAGE_FIELDS]}
          verb="Publish"
          submit={async (values) => {
            const answer = await post<{ routed: boolean }>(
              path`/exchanges/${vhost}/${exchangeName(exchange)}/publish`,
              { routing_key: routingKey ?? values.text('routing_key'), ...messageOf(values) },
            )
            if (answer.routed) {
              tell('Published, and confirmed.')
            } else {
              tellError(new Error('Published, but no queue wanted it.'))
            }
            onDone()
          }}
        />
      </details>
    </Section>
  )
}
