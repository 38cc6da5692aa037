// Bindings, seen from one of their ends.

import type { Binding, Exchange, Queue } from '../api/types'
import { exchangeName, path, post, remove } from '../api/client'
import { Arguments, Empty } from '../components/bits'
import { ask } from '../components/dialog'
import { type Field, FormDialog } from '../components/form'
import { type Column, Table } from '../components/table'
import { tell } from '../components/toasts'
import { useResource } from '../resource'
import { to } from '../router'

const kindOf = ({ destination_type }: Binding) => (destination_type === 'queue' ? 'q' : 'e')

function unbind(binding: Binding, onChange: () => void): void {
  const { vhost, source, destination, properties_key: key, routing_key } = binding
  ask({
    title: 'Remove this binding?',
    text: `${source} no longer sends to ${destination}${routing_key ? ` what has the key ${routing_key}` : ''}.`,
    verb: 'Remove binding',
    action: async () => {
      await remove(path`/bindings/${vhost}/e/${source}/${kindOf(binding)}/${destination}/${key}`)
      tell('The binding is removed.')
      onChange()
    },
  })
}

interface TableProps {
  bindings: Binding[]
  /** The end that the page is about; the table shows the other. */
  end: 'source' | 'destination'
  onChange: () => void
}

const SHOWN_MAX = 500

export function BindingTable({ bindings, end, onChange }: TableProps) {
  if (bindings.length === 0) {
    return <Empty>There is no binding.</Empty>
  }
  const other: Column<Binding> =
    end === 'source'
      ? {
          title: 'To',
          cell: ({ vhost, destination, destination_type: type }) => (
            <a href={to(type === 'queue' ? 'queues' : 'exchanges', vhost, destination)}>{destination}</a>
          ),
        }
      : {
          title: 'From',
          cell: ({ vhost, source }) => (
            <a href={to('exchanges', vhost, exchangeName(source))}>{source || 'default exchange'}</a>
          ),
        }
  return (
    <>
      {bindings.length > SHOWN_MAX && (
        <p class="quiet">
          The first {SHOWN_MAX} of {bindings.length}.
        </p>
      )}
      <Table
        caption="Bindings"
        items={bindings.slice(0, SHOWN_MAX)}
        keyOf={(of) => `${of.source} ${of.destination_type} ${of.destination} ${of.properties_key}`}
        columns={[
          other,
          ...(end === 'source'
            ? [{ title: 'Which is', cell: ({ destination_type: type }: Binding) => type }]
            : []),
          { title: 'Routing key', cell: ({ routing_key: key }) => <code>{key}</code> },
          { title: 'Arguments', cell: (of) => <Arguments table={of.arguments} /> },
          {
            title: '',
            cell: (binding) =>
              binding.source !== '' && (
                <button type="button" class="small" onClick={() => unbind(binding, onChange)}>
                  Unbind
                </button>
              ),
          },
        ]}
      />
    </>
  )
}

interface BindProps {
  vhost: string
  /** One end is known. */
  source?: string
  destination?: { type: 'queue' | 'exchange'; name: string }
  onClose: () => void
  onDone: () => void
}

export function BindDialog({ vhost, source, destination, onClose, onDone }: BindProps) {
  const exchanges = useResource<Exchange[]>(path`/exchanges/${vhost}?columns=name`, 0)
  const queues = useResource<{ items: Queue[] }>(
    source === undefined ? null : path`/queues/${vhost}` + '?columns=name&page=1&page_size=500',
    0,
  )
  const exchangeNames = exchanges.data?.map(({ name }) => name).filter(Boolean) ?? []
  const fields: Field[] = []
  if (source === undefined) {
    fields.push({ name: 'source', label: 'From exchange', required: true, suggestions: exchangeNames })
  }
  if (!destination) {
    const queueNames = queues.data?.items.map(({ name }) => name) ?? []
    fields.push(
      { name: 'type', label: 'To a', type: 'select', options: ['queue', 'exchange'], value: 'queue' },
      { name: 'destination', label: 'Name', required: true, suggestions: [...queueNames, ...exchangeNames] },
    )
  }
  fields.push(
    { name: 'key', label: 'Routing key' },
    {
      name: 'arguments',
      label: 'Arguments',
      type: 'arguments',
      value: {},
      suggestions: ['x-match'],
    },
  )
  return (
    <FormDialog
      title={source === undefined ? `Bind ${destination?.name ?? ''}` : `Bind to ${source}`}
      verb="Bind"
      onClose={onClose}
      fields={fields}
      submit={async (values) => {
        const from = source ?? values.text('source')
        const type = destination?.type ?? values.text('type')
        const target = destination?.name ?? values.text('destination')
        const kind = type === 'exchange' ? 'e' : 'q'
        await post(path`/bindings/${vhost}/e/${exchangeName(from)}/${kind}/${target}`, {
          routing_key: values.text('key'),
          arguments: values.table('arguments'),
        })
        tell('The binding is there.')
        onDone()
      }}
    />
  )
}
