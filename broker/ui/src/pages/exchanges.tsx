import { useState } from 'preact/hooks'

import type { Exchange, Vhost } from '../api/types'
import { exchangeName, path, put } from '../api/client'
import { Badge, Heading } from '../components/bits'
import { FormDialog } from '../components/form'
import { PagedTable } from '../components/table'
import { tell } from '../components/toasts'
import { count, rate } from '../format'
import { overview } from '../frame'
import { useResource } from '../resource'
import { go, to } from '../router'
import { vhost } from '../session'

export const EXCHANGE_ARGUMENTS = [
  'alternate-exchange',
  'x-transform',
  'x-delayed-exchange',
  'x-delayed-type',
  'x-message-deduplication',
  'x-cache-size',
  'x-cache-ttl',
  'x-deduplication-header',
  'hash-header',
  'hash-property',
  'x-recent-history-length',
]

export function Exchanges() {
  const [adding, setAdding] = useState(false)
  return (
    <>
      <Heading
        title="Exchanges"
        actions={
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Add exchange
          </button>
        }
      />
      <PagedTable<Exchange>
        caption="Exchanges"
        path={vhost.value === '' ? '/exchanges' : path`/exchanges/${vhost.value}`}
        empty="There is no exchange."
        sortBy="name"
        keyOf={({ vhost, name }) => `${vhost} ${name}`}
        columns={[
          {
            title: 'Name',
            sort: 'name',
            cell: ({ vhost: place, name }) => (
              <>
                <a href={to('exchanges', place, exchangeName(name))}>{name || 'default exchange'}</a>
                {vhost.value === '' && <span class="below quiet narrow">in {place}</span>}
              </>
            ),
          },
          { title: 'Virtual host', sort: 'vhost', cell: ({ vhost }) => vhost, minor: true },
          { title: 'Type', sort: 'type', cell: ({ type }) => type },
          { title: 'Features', cell: (exchange) => <ExchangeFeatures of={exchange} />, minor: true },
          {
            title: 'Published',
            sort: 'message_stats.publish_in',
            cell: (of) => count(of.message_stats.publish_in),
            numeric: true,
          },
          {
            title: 'In',
            sort: 'message_stats.publish_in_details.rate',
            cell: (of) => rate(of.message_stats.publish_in_details.rate),
            numeric: true,
          },
          {
            title: 'Out',
            sort: 'message_stats.publish_out_details.rate',
            cell: (of) => rate(of.message_stats.publish_out_details.rate),
            numeric: true,
          },
        ]}
      />
      {adding && <AddExchange onClose={() => setAdding(false)} />}
    </>
  )
}

export function ExchangeFeatures({ of }: { of: Exchange }) {
  const given = Object.keys(of.arguments)
  return (
    <>
      {of.durable && <Badge title="Survives a restart">durable</Badge>}
      {of.auto_delete && <Badge title="Is deleted with its last binding">auto-delete</Badge>}
      {of.internal && <Badge title="Only other exchanges may publish to it">internal</Badge>}
      {given.length > 0 && <Badge title={given.join(', ')}>{given.length} args</Badge>}
      {of.policy !== null && <Badge title="Policy">{of.policy}</Badge>}
    </>
  )
}

function AddExchange({ onClose }: { onClose: () => void }) {
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  const types = overview.value?.exchange_types ?? []
  if (names.length === 0) {
    return null
  }
  return (
    <FormDialog
      title="Add exchange"
      verb="Add exchange"
      onClose={onClose}
      fields={[
        {
          name: 'vhost',
          label: 'Virtual host',
          type: 'select',
          options: names,
          value: vhost.value || (names[0] ?? '/'),
        },
        { name: 'name', label: 'Name', required: true },
        {
          name: 'type',
          label: 'Type',
          type: 'select',
          options: types.map(({ name, enabled }) => ({
            value: name,
            label: enabled ? name : `${name} (its plugin is not loaded)`,
          })),
          value: 'direct',
        },
        { name: 'durable', label: 'Durable: survives a restart', type: 'checkbox', value: true },
        { name: 'auto_delete', label: 'Delete with the last binding', type: 'checkbox', value: false },
        {
          name: 'internal',
          label: 'Internal: only other exchanges publish to it',
          type: 'checkbox',
          value: false,
        },
        {
          name: 'arguments',
          label: 'Arguments',
          type: 'arguments',
          value: {},
          suggestions: EXCHANGE_ARGUMENTS,
        },
      ]}
      submit={async (values) => {
        const [place, name] = [values.text('vhost'), values.text('name')]
        await put(path`/exchanges/${place}/${name}`, {
          type: values.text('type'),
          durable: values.flag('durable'),
          auto_delete: values.flag('auto_delete'),
          internal: values.flag('internal'),
          arguments: values.table('arguments'),
        })
        tell(`Exchange ${name} is there.`)
        go('exchanges', place, name)
      }}
    />
  )
}
