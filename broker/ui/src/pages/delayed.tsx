import type { DelayedMessage, Page, Vhost } from '../api/types'
import { path, remove } from '../api/client'
import { Arguments, Empty, ErrorNote, Heading, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { Table } from '../components/table'
import { tell } from '../components/toasts'
import { bytes, count, plural, time } from '../format'
import { useResource } from '../resource'
import { vhost } from '../session'

export function Delayed() {
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const shown = vhosts.data
    ?.map(({ name }) => name)
    .filter((name) => vhost.value === '' || name === vhost.value)
  return (
    <>
      <Heading title="Delayed messages" />
      <p class="quiet">Messages that wait at an exchange for their time, the next one first.</p>
      <ErrorNote text={vhosts.error} />
      {shown?.map((name) => (
        <DelayedIn key={name} vhost={name} />
      ))}
    </>
  )
}

function DelayedIn({ vhost }: { vhost: string }) {
  const waiting = useResource<Page<DelayedMessage>>(path`/delayed/${vhost}` + '?page_size=100&truncate=200')
  const { data, error, reload } = waiting
  const cancel = ({ id, due, routing_key: key }: DelayedMessage) =>
    ask({
      title: 'Cancel this message?',
      text: `The message with the key ${key || '(none)'}, due at ${time(due)}, is deleted and never delivered.`,
      verb: 'Cancel message',
      action: async () => {
        await remove(path`/delayed/${vhost}/${id}`)
        tell('The message is cancelled.')
        reload()
      },
    })
  const cancelAll = () =>
    ask({
      title: `Cancel all in ${vhost}?`,
      text: `${plural(data?.total_count ?? 0, 'message')} will be deleted and never delivered.`,
      verb: 'Cancel all',
      action: async () => {
        await remove(path`/delayed/${vhost}`)
        tell('All are cancelled.')
        reload()
      },
    })
  return (
    <Section
      title={`In ${vhost}: ${count(data?.total_count)}`}
      actions={
        data &&
        data.total_count > 0 && (
          <button type="button" class="small danger" onClick={cancelAll}>
            Cancel all
          </button>
        )
      }
    >
      <ErrorNote text={error} />
      {data?.items.length === 0 && <Empty>Nothing waits.</Empty>}
      {data && data.items.length > 0 && (
        <Table
          caption={`Delayed messages in ${vhost}`}
          items={data.items}
          keyOf={({ id }) => id}
          columns={[
            { title: 'Due', cell: ({ due }) => time(due) },
            { title: 'Exchange', cell: ({ exchange }) => exchange },
            { title: 'Routing key', cell: ({ routing_key: key }) => <code>{key}</code> },
            { title: 'Properties', cell: ({ properties }) => <Arguments table={properties} />, minor: true },
            { title: 'Payload', cell: ({ payload }) => <code class="clip">{payload}</code>, minor: true },
            { title: 'Size', cell: (of) => bytes(of.payload_bytes), numeric: true },
            {
              title: '',
              cell: (message) => (
                <button type="button" class="small" onClick={() => cancel(message)}>
                  Cancel
                </button>
              ),
            },
          ]}
        />
      )}
    </Section>
  )
}
