import { useState } from 'preact/hooks'

import type { Exchange, Table as TableOf, Vhost } from '../api/types'
import { path, post } from '../api/client'
import { Arguments, Badge, Empty, ErrorNote, Heading, Section } from '../components/bits'
import { Form } from '../components/form'
import { Table } from '../components/table'
import { count, duration, nanoseconds, plural } from '../format'
import { EDGES_MAX, type Graph, idOf, labelOf } from '../graph/collect'
import { Drawing } from '../graph/graph'
import { MESSAGE_FIELDS, messageOf } from '../messages/publish'
import { useResource } from '../resource'
import { place, to } from '../router'
import { vhost as chosen } from '../session'

interface DryRun {
  routed: boolean
  refused: string | null
  queues: Reached[]
  exchanges: Visited[]
  messages: Shown[]
  notes: string[]
}

interface Reached {
  name: string
  via: string[]
  message: number
  certain: boolean
  outcome: string
  delay_ms: number | null
  transforms: Said[]
}

interface Visited {
  name: string
  type: string
  message: number
  via: string[]
  delay_ms: number | null
  duplicate: boolean
  bindings: Looked[]
  bindings_total: number
  bindings_matching: number
  by_lot: boolean
  alternate_exchange: { name: string; exists: boolean; taken: boolean } | null
  plugin: Said | null
  transforms: Said[]
}

interface Looked {
  destination: string
  destination_type: 'queue' | 'exchange'
  routing_key: string
  arguments: TableOf
  matches: boolean
  why: string
}

/** What a plugin says. */
interface Said {
  name: string
  verdict: string
  detail: string
  on_error: string | null
  time_ns: number
  log: { level: string; text: string }[]
}

interface Shown {
  origin: string
  exchange: string
  routing_keys: string[]
  properties: TableOf
  payload: string
  delay_ms: number
}

const named = (exchange: string) => exchange || 'default exchange'

export function RoutePage() {
  const { query } = place.value
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name)
  const first = query.get('vhost') ?? (chosen.value || (names?.[0] ?? '/'))
  const exchanges = useResource<Exchange[]>(path`/exchanges/${first}?columns=name`, 0)
  const [answer, setAnswer] = useState<{ vhost: string; run: DryRun }>()
  return (
    <>
      <Heading title="Route dry run" />
      <p class="quiet">
        Which queues would get this message, and why the others would not. Nothing is published.
      </p>
      <ErrorNote text={vhosts.error} />
      {names && (
        <Form
          fields={[
            { name: 'vhost', label: 'Virtual host', type: 'select', options: names, value: first },
            {
              name: 'exchange',
              label: 'Exchange',
              value: query.get('exchange') ?? '',
              suggestions: exchanges.data?.map(({ name }) => name).filter(Boolean) ?? [],
              hint: 'Empty for the default exchange.',
            },
            { name: 'key', label: 'Routing key' },
            ...MESSAGE_FIELDS,
          ]}
          verb="Try"
          submit={async (values) => {
            const vhost = values.text('vhost')
            const run = await post<DryRun>(path`/route/${vhost}`, {
              exchange: values.text('exchange'),
              routing_key: values.text('key'),
              ...messageOf(values),
            })
            setAnswer({ vhost, run })
          }}
        />
      )}
      {answer && <Answer vhost={answer.vhost} run={answer.run} />}
    </>
  )
}

function Answer({ vhost, run }: { vhost: string; run: DryRun }) {
  const taken = run.routed ? `It reaches ${plural(run.queues.length, 'queue')}` : 'It reaches no queue'
  return (
    <>
      <Section title={taken}>
        <div role="status" class="unseen">
          {taken} {run.queues.map(({ name }) => name).join(', ')}
        </div>
        {run.refused !== null && (
          <p class="note note-error">The publisher would get basic.nack: {run.refused}</p>
        )}
        {run.queues.length > 0 && <Queues vhost={vhost} queues={run.queues} />}
        {run.notes.map((note) => (
          <p key={note} class="note">
            {note}
          </p>
        ))}
      </Section>
      <Section title="Way">
        <Drawing graph={drawn(run)} vhost={vhost} taken={takenBy(run)} />
      </Section>
      {run.exchanges.map((exchange, index) => (
        <VisitedExchange key={index} vhost={vhost} exchange={exchange} />
      ))}
      {run.messages.length > 1 && <Messages messages={run.messages} />}
    </>
  )
}

function Queues({ vhost, queues }: { vhost: string; queues: Reached[] }) {
  return (
    <Table
      caption="Queues that it comes to"
      items={queues}
      keyOf={(queue) => `${queue.message} ${queue.name}`}
      columns={[
        { title: 'Queue', cell: ({ name }) => <a href={to('queues', vhost, name)}>{name}</a> },
        {
          title: 'What becomes of it',
          cell: ({ outcome, certain, delay_ms: delay }) => (
            <>
              <Badge tone={GOOD.has(outcome) ? 'good' : 'warn'}>{outcome}</Badge>
              {delay !== null && `after ${duration(delay)}`}
              {!certain && ' if it is drawn'}
            </>
          ),
        },
        { title: 'By way of', cell: ({ via }) => via.map(named).join(' → ') },
        { title: 'Transforms', cell: ({ transforms }) => <Verdicts of={transforms} /> },
      ]}
    />
  )
}

const GOOD = new Set(['enqueued', 'delayed'])
const FINE = new Set(['pass', 'route'])

function Verdicts({ of }: { of: Said[] }) {
  return (
    <>
      {of.map(({ name, verdict, detail, on_error: instead, time_ns: time, log }) => (
        <div key={name}>
          <Badge tone={FINE.has(verdict) ? 'good' : 'warn'}>{verdict}</Badge>
          {name} in {nanoseconds(time)}
          {detail !== '' && `: ${detail}`}
          {instead !== null && `, and so: ${instead}`}
          {log.map(({ level, text }) => (
            <div key={text} class="quiet">
              {level}: {text}
            </div>
          ))}
        </div>
      ))}
    </>
  )
}

function VisitedExchange({ vhost, exchange }: { vhost: string; exchange: Visited }) {
  const { name, type, plugin, transforms, bindings, alternate_exchange: alternate } = exchange
  const said = [...transforms, ...(plugin ? [plugin] : [])]
  return (
    <Section title={named(name)}>
      <p>
        <Badge>{type}</Badge>
        {exchange.duplicate && <Badge tone="warn">a duplicate: it is dropped here</Badge>}
        {exchange.delay_ms !== null && <Badge tone="warn">waits {duration(exchange.delay_ms)}</Badge>}
        {exchange.by_lot && <Badge tone="warn">one of those that match is drawn</Badge>}
        {alternate && (
          <Badge tone={alternate.taken ? 'warn' : 'plain'}>
            alternate exchange {named(alternate.name)}
            {alternate.exists ? (alternate.taken ? ', taken' : '') : ', which is not there'}
          </Badge>
        )}
        <span class="quiet">
          {count(exchange.bindings_matching)} of {plural(exchange.bindings_total, 'binding')} match.
        </span>
      </p>
      <Verdicts of={said} />
      {bindings.length === 0 ? (
        <Empty>Nothing is bound here.</Empty>
      ) : (
        <Table
          caption={`Bindings of ${named(name)}`}
          items={bindings}
          keyOf={(of) => JSON.stringify(of)}
          columns={[
            {
              title: 'To',
              cell: ({ destination, destination_type: kind }) => (
                <a href={to(kind === 'queue' ? 'queues' : 'exchanges', vhost, destination)}>{destination}</a>
              ),
            },
            { title: 'Binding', cell: (of) => <code>{labelOf(of)}</code> },
            {
              title: 'Matches',
              cell: ({ matches }) => (
                <Badge tone={matches ? 'good' : 'plain'}>{matches ? 'yes' : 'no'}</Badge>
              ),
            },
            { title: 'Why', cell: ({ why }) => why },
          ]}
        />
      )}
    </Section>
  )
}

/** What transforms made of the message, each of which goes its own way. */
function Messages({ messages }: { messages: Shown[] }) {
  return (
    <Section title="Messages">
      <Table
        caption="Messages"
        items={messages}
        keyOf={(message) => JSON.stringify(message)}
        columns={[
          { title: 'Message', cell: ({ origin }) => origin },
          { title: 'Exchange', cell: ({ exchange }) => named(exchange) },
          { title: 'Keys', cell: ({ routing_keys: keys }) => <code>{keys.join(', ')}</code> },
          { title: 'Properties', cell: ({ properties }) => <Arguments table={properties} /> },
          { title: 'Payload', cell: ({ payload }) => <code class="clip">{payload}</code> },
        ]}
      />
    </Section>
  )
}

/** What was looked at, as a graph. */
function drawn(run: DryRun): Graph {
  const nodes = new Map<string, Graph['nodes'][number]>()
  const edges = new Map<string, Graph['edges'][number]>()
  const node = (kind: 'exchange' | 'queue', name: string) => {
    const id = idOf(kind, name)
    nodes.set(id, { id, kind, name })
    return id
  }
  const connect = (from: string, to: string, label: string) => {
    const edge = edges.get(`${from}\n${to}`) ?? { from, to, labels: [] }
    edge.labels.push(label)
    edges.set(`${from}\n${to}`, edge)
  }
  for (const exchange of run.exchanges) {
    const from = node('exchange', exchange.name)
    for (const binding of exchange.bindings.slice(0, EDGES_MAX)) {
      connect(from, node(binding.destination_type, binding.destination), labelOf(binding))
    }
    if (exchange.alternate_exchange) {
      connect(from, node('exchange', exchange.alternate_exchange.name), 'alternate')
    }
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()], isCut: false }
}

/** What the message takes of it. */
function takenBy(run: DryRun): { nodes: Set<string>; edges: Set<string> } {
  const taken = { nodes: new Set<string>(), edges: new Set<string>() }
  for (const exchange of run.exchanges) {
    const from = idOf('exchange', exchange.name)
    taken.nodes.add(from)
    for (const { destination, destination_type: kind, matches } of exchange.bindings) {
      if (matches) {
        const to = idOf(kind, destination)
        taken.nodes.add(to)
        taken.edges.add(`${from}\n${to}`)
      }
    }
    if (exchange.alternate_exchange?.taken === true) {
      taken.edges.add(`${from}\n${idOf('exchange', exchange.alternate_exchange.name)}`)
    }
  }
  return taken
}
