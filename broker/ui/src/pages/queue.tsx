import { useState } from 'preact/hooks'

import type { Binding, Offset, Queue, Unacked } from '../api/types'
import { path, put, remove } from '../api/client'
import { Arguments, Empty, ErrorNote, Facts, Heading, Section, State, Tile, Tiles } from '../components/bits'
import { ask } from '../components/dialog'
import { Table } from '../components/table'
import { attempt, tell } from '../components/toasts'
import { Chart } from '../charts/chart'
import { Ranges } from '../charts/ranges'
import { bytes, count, duration, plural, rate, short, time } from '../format'
import { fill, levels, past, rates } from '../history'
import { Publish } from '../messages/publish'
import { Browser } from '../messages/browser'
import { type Resource, useResource } from '../resource'
import { go, to } from '../router'
import { BindDialog, BindingTable } from './bindings'
import { CONSUMER_COLUMNS, consumerKey } from './consumers'
import { Features } from './queues'

const FLOW = [
  { name: 'publish', label: 'Published', colour: '--series-1' },
  { name: 'deliver_get', label: 'Delivered', colour: '--series-2' },
  { name: 'ack', label: 'Acknowledged', colour: '--series-3' },
  { name: 'redeliver', label: 'Redelivered', colour: '--series-4' },
]
const WAITING = [
  { name: 'messages_ready', label: 'Ready', colour: '--series-1' },
  { name: 'messages_unacknowledged', label: 'Unacknowledged', colour: '--series-3' },
]

const names = (lines: { name: string }[]) => lines.map(({ name }) => name)

export function QueuePage({ args: [vhost = '', name = ''] }: { args: string[] }) {
  const series = `queue ${vhost} ${name}`
  const asked = `${path`/queues/${vhost}/${name}`}?${past('msg_rates', 'lengths')}`
  const queue = useResource<Queue>(asked, 2000, (data) => fill(series, data.message_stats, data))
  const { data } = queue
  return (
    <>
      <Heading
        kind={`Queue in ${vhost}`}
        title={name}
        actions={data && <Actions of={data} reload={queue.reload} />}
      >
        {data && (
          <>
            <State name={data.state} />
            <Features of={data} />
          </>
        )}
      </Heading>
      <ErrorNote text={queue.error} />
      {data && (
        <>
          <Tiles>
            <Tile label="Ready" value={count(data.messages_ready)} />
            <Tile label="Unacknowledged" value={count(data.messages_unacknowledged)} />
            <Tile label="Consumers" value={count(data.consumers)} />
            <Tile label="Bytes" value={bytes(data.message_bytes)} hint={`in memory: ${bytes(data.memory)}`} />
            {data.messages_delayed > 0 && (
              <Tile label="Waiting for retry" value={count(data.messages_delayed)} />
            )}
            {data.messages_dying > 0 && (
              <Tile label="Being dead-lettered" value={count(data.messages_dying)} />
            )}
            <Tile label="Dead-lettered" value={count(data.deaths.dead_lettered ?? 0)} />
          </Tiles>
          <Ranges />
          <div class="charts">
            <Chart title="Messages per second" lines={FLOW} data={rates(series, names(FLOW))} format={rate} />
            <Chart
              title="Messages waiting"
              lines={WAITING}
              data={levels(series, names(WAITING))}
              format={short}
            />
          </div>
          <Browser queue={data} onChange={queue.reload} />
          <Publish exchange="" vhost={vhost} routingKey={name} onDone={queue.reload} />
          <Bindings vhost={vhost} name={name} />
          <Section title="Consumers">
            {data.consumer_details?.length ? (
              <Table
                caption="Consumers"
                items={data.consumer_details}
                keyOf={consumerKey}
                columns={CONSUMER_COLUMNS.filter(({ title }) => title !== 'Queue')}
              />
            ) : (
              <Empty>Nobody consumes from this queue.</Empty>
            )}
          </Section>
          {data.type === 'stream' && <Offsets vhost={vhost} name={name} />}
          <Outstanding vhost={vhost} name={name} unacked={data.messages_unacknowledged} />
          <Details of={data} />
        </>
      )}
    </>
  )
}

function Actions({
  of: { vhost, name, type, state, messages_ready },
  reload,
}: {
  of: Queue
  reload: () => void
}) {
  const isPaused = state === 'paused'
  const pause = () =>
    void attempt(
      () => put(path`/queues/${vhost}/${name}/${isPaused ? 'resume' : 'pause'}`),
      isPaused ? 'Deliveries go on.' : 'Nothing is delivered until you resume.',
    ).then(reload)
  const purge = () =>
    ask({
      title: `Purge ${name}?`,
      text: `${plural(messages_ready, 'ready message')} will be deleted. What consumers hold stays.`,
      verb: 'Purge',
      action: async () => {
        await remove(path`/queues/${vhost}/${name}/contents`)
        tell(`${name} is purged.`)
        reload()
      },
    })
  const drop = () =>
    ask({
      title: `Delete ${name}?`,
      text: 'The queue is deleted with all its messages and bindings, and its consumers are cancelled.',
      verb: 'Delete queue',
      action: async () => {
        await remove(path`/queues/${vhost}/${name}`)
        tell(`${name} is deleted.`)
        go('queues')
      },
    })
  return (
    <>
      <button type="button" onClick={pause}>
        {isPaused ? 'Resume' : 'Pause'}
      </button>
      {/* Retention alone lets go of what is in a stream. */}
      {type !== 'stream' && (
        <button type="button" onClick={purge}>
          Purge
        </button>
      )}
      <button type="button" class="danger" onClick={drop}>
        Delete
      </button>
    </>
  )
}

function Bindings({ vhost, name }: { vhost: string; name: string }) {
  const [binding, setBinding] = useState(false)
  const bindings = useResource<Binding[]>(path`/queues/${vhost}/${name}/bindings`)
  return (
    <Section
      title="Bindings"
      actions={
        <button type="button" class="small" onClick={() => setBinding(true)}>
          Bind
        </button>
      }
    >
      <ErrorNote text={bindings.error} />
      {bindings.data && (
        <BindingTable bindings={bindings.data} end="destination" onChange={bindings.reload} />
      )}
      {binding && (
        <BindDialog
          vhost={vhost}
          destination={{ type: 'queue', name }}
          onClose={() => setBinding(false)}
          onDone={bindings.reload}
        />
      )}
    </Section>
  )
}

/** The consumers that a stream remembers. */
function Offsets({ vhost, name }: { vhost: string; name: string }) {
  const offsets = useResource<Offset[]>(path`/queues/${vhost}/${name}/offsets`)
  return (
    <Section title="Remembered consumers">
      <ErrorNote text={offsets.error} />
      {offsets.data?.length === 0 && <Empty>The stream remembers no consumer.</Empty>}
      {offsets.data && offsets.data.length > 0 && (
        <Table
          caption="Remembered consumers"
          items={offsets.data}
          keyOf={({ consumer_tag: tag }) => tag}
          columns={[
            { title: 'Tag', cell: ({ consumer_tag: tag }) => tag },
            { title: 'Next offset', cell: (of) => count(of.next_offset), numeric: true },
          ]}
        />
      )}
    </Section>
  )
}

function Outstanding({ vhost, name, unacked }: { vhost: string; name: string; unacked: number }) {
  const [isOpen, setIsOpen] = useState(false)
  const held = useResource<Unacked[]>(isOpen ? path`/queues/${vhost}/${name}/unacked` : null)
  if (unacked === 0 && !isOpen) {
    return null
  }
  return (
    <Section
      title="Unacknowledged"
      actions={
        <button type="button" class="small" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? 'Hide' : `Show ${count(unacked)}`}
        </button>
      }
    >
      {isOpen && <Held of={held} />}
    </Section>
  )
}

const HELD_MAX = 200

function Held({ of: { data, error } }: { of: Resource<Unacked[]> }) {
  return (
    <>
      <ErrorNote text={error} />
      {data && data.length > HELD_MAX && (
        <p class="quiet">
          The first {HELD_MAX} of {count(data.length)}.
        </p>
      )}
      {data && (
        <Table
          caption="Unacknowledged messages"
          items={data.slice(0, HELD_MAX)}
          keyOf={({ position, channel_name }) => `${position} ${channel_name}`}
          columns={[
            { title: 'Position', cell: ({ position }) => count(position), numeric: true },
            {
              title: 'Channel',
              cell: ({ channel_name: channel }) => <a href={to('channels', channel)}>{channel}</a>,
            },
            { title: 'Consumer', cell: ({ consumer_tag: tag }) => tag || 'basic.get' },
            { title: 'Delivery tag', cell: (of) => count(of.delivery_tag), numeric: true },
            { title: 'For', cell: (of) => duration(of.unacked_for_seconds * 1000), numeric: true },
          ]}
        />
      )}
    </>
  )
}

function Details({ of }: { of: Queue }) {
  const died = Object.entries(of.deaths).filter(([, number]) => number > 0)
  return (
    <Section title="Details">
      <Facts
        facts={[
          ['Type', of.type],
          ['Arguments', <Arguments key="arguments" table={of.arguments} />],
          ['Policy', of.policy ?? 'none'],
          ['Operator policy', of.operator_policy ?? 'none'],
          ['In force by policies', <Arguments key="effective" table={of.effective_policy_definition} />],
          ['Idle since', of.idle_since === null ? 'in use' : time(Date.parse(of.idle_since))],
          ['Persistent messages', count(of.messages_persistent)],
          ['Messages in memory', count(of.messages_ram)],
          ['Duplicates dropped', count(of.messages_deduplicated)],
          ['Single active consumer', of.single_active_consumer_tag ?? 'none'],
          [
            'Died',
            died.length === 0 ? 'none' : died.map(([why, number]) => `${why}: ${count(number)}`).join(', '),
          ],
        ]}
      />
    </Section>
  )
}
