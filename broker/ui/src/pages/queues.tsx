import { useState } from 'preact/hooks'

import type { Queue, Vhost } from '../api/types'
import { path, put } from '../api/client'
import { Badge, Heading, State } from '../components/bits'
import { FormDialog } from '../components/form'
import { PagedTable } from '../components/table'
import { tell } from '../components/toasts'
import { bytes, count, rate } from '../format'
import { useResource } from '../resource'
import { go, to } from '../router'
import { vhost } from '../session'

/** What queues understand, to be offered while one writes. */
export const QUEUE_ARGUMENTS = [
  'x-message-ttl',
  'x-expires',
  'x-max-length',
  'x-max-length-bytes',
  'x-overflow',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-dead-letter-strategy',
  'x-delivery-limit',
  'x-max-priority',
  'x-single-active-consumer',
  'x-consumer-timeout',
  'x-message-deduplication',
  'x-cache-size',
  'x-cache-ttl',
  'x-deduplication-header',
  'x-transform',
  'x-max-age',
  'x-stream-max-segment-size-bytes',
]

/** The columns that the list shows, and no others: they are cheap to send. */
const COLUMNS = [
  'vhost',
  'name',
  'type',
  'state',
  'durable',
  'auto_delete',
  'exclusive',
  'arguments',
  'policy',
  'operator_policy',
  'consumers',
  'messages_ready',
  'messages_unacknowledged',
  'message_bytes',
  'message_stats.publish_details.rate',
  'message_stats.deliver_get_details.rate',
].join(',')

export function Queues() {
  const [adding, setAdding] = useState(false)
  const [version, setVersion] = useState(0)
  return (
    <>
      <Heading
        title="Queues"
        actions={
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Add queue
          </button>
        }
      />
      <PagedTable<Queue>
        caption="Queues"
        path={vhost.value === '' ? '/queues' : path`/queues/${vhost.value}`}
        columnsAsked={COLUMNS}
        empty="There is no queue yet."
        sortBy="name"
        version={version}
        keyOf={({ vhost, name }) => `${vhost} ${name}`}
        columns={[
          {
            title: 'Name',
            sort: 'name',
            cell: ({ vhost: place, name }) => (
              <>
                <a href={to('queues', place, name)}>{name}</a>
                {vhost.value === '' && <span class="below quiet narrow">in {place}</span>}
              </>
            ),
          },
          { title: 'Virtual host', sort: 'vhost', cell: ({ vhost }) => vhost, minor: true },
          { title: 'Features', cell: (queue) => <Features of={queue} />, minor: true },
          { title: 'Ready', sort: 'messages_ready', cell: (of) => count(of.messages_ready), numeric: true },
          {
            title: 'Unacked',
            sort: 'messages_unacknowledged',
            cell: (of) => count(of.messages_unacknowledged),
            numeric: true,
          },
          { title: 'Bytes', sort: 'message_bytes', cell: (of) => bytes(of.message_bytes), numeric: true },
          { title: 'Consumers', sort: 'consumers', cell: (of) => count(of.consumers), numeric: true },
          { title: 'State', sort: 'state', cell: ({ state }) => <State name={state} /> },
          {
            title: 'In',
            sort: 'message_stats.publish_details.rate',
            cell: (of) => rate(of.message_stats.publish_details.rate),
            numeric: true,
          },
          {
            title: 'Out',
            sort: 'message_stats.deliver_get_details.rate',
            cell: (of) => rate(of.message_stats.deliver_get_details.rate),
            numeric: true,
          },
        ]}
      />
      {adding && <AddQueue onClose={() => setAdding(false)} onDone={() => setVersion(version + 1)} />}
    </>
  )
}

export function Features({ of }: { of: Queue }) {
  const { durable, auto_delete: autoDelete, exclusive, type, policy } = of
  const given = Object.keys(of.arguments).filter((name) => name !== 'x-queue-type')
  return (
    <>
      {type !== 'classic' && <Badge>{type}</Badge>}
      {durable && <Badge title="Survives a restart">durable</Badge>}
      {autoDelete && <Badge title="Is deleted with its last consumer">auto-delete</Badge>}
      {exclusive && <Badge title="Belongs to one connection">exclusive</Badge>}
      {given.length > 0 && <Badge title={given.join(', ')}>{given.length} args</Badge>}
      {policy !== null && <Badge title="Policy">{policy}</Badge>}
    </>
  )
}

function AddQueue({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  if (names.length === 0) {
    return null
  }
  return (
    <FormDialog
      title="Add queue"
      verb="Add queue"
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
          options: ['classic', 'quorum', 'stream'],
          value: 'classic',
        },
        { name: 'durable', label: 'Durable: survives a restart', type: 'checkbox', value: true },
        { name: 'auto_delete', label: 'Delete with the last consumer', type: 'checkbox', value: false },
        { name: 'arguments', label: 'Arguments', type: 'arguments', value: {}, suggestions: QUEUE_ARGUMENTS },
      ]}
      submit={async (values) => {
        const [place, name, type] = [values.text('vhost'), values.text('name'), values.text('type')]
        const given = values.table('arguments')
        await put(path`/queues/${place}/${name}`, {
          durable: values.flag('durable'),
          auto_delete: values.flag('auto_delete'),
          arguments: type === 'classic' ? given : { 'x-queue-type': type, ...given },
        })
        tell(`Queue ${name} is there.`)
        onDone()
        go('queues', place, name)
      }}
    />
  )
}
