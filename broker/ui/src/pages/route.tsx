import { useState } from 'preact/hooks'

import type { Exchange, Table as TableOf, Vhost } from '../api/types'
import { path, post } from '../api/client'
import { Badge, Empty, ErrorNote, Heading, Section } from '../components/bits'
import { Form } from '../components/form'
import { Table } from '../components/table'
import { type Graph, idOf, labelOf } from '../graph/collect'
import { Drawing } from '../graph/graph'
import { MESSAGE_FIELDS, messageOf } from '../messages/publish'
import { plural } from '../format'
import { useResource } from '../resource'
import { place, to } from '../router'
import { vhost as chosen } from '../session'

interface DryRun {
  routed: boolean
  queues: { name: string; via: string[] }[]
  exchanges: Visited[]
  notes: string[]
}

interface Visited {
  name: string
  type: string
  bindings: Looked[]
  plugin: TableOf | null
  transforms: { name: string; verdict: string }[]
}

interface Looked {
  destination: string
  destination_type: 'queue' | 'exchange'
  routing_key: string
  arguments: TableOf
  matches: boolean
  why: string
}

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
  return (
    <>
      <Section
        title={run.routed ? `It reaches ${plural(run.queues.length, 'queue')}` : 'It reaches no queue'}
      >
        <div role="status" class="unseen">
          {run.routed ? `It reaches ${run.queues.map(({ name }) => name).join(', ')}` : 'It reaches no queue'}
        </div>
        {run.queues.length > 0 && (
          <Table
            caption="Queues that get it"
            items={run.queues}
            keyOf={({ name }) => name}
            columns={[
              { title: 'Queue', cell: ({ name }) => <a href={to('queues', vhost, name)}>{name}</a> },
              {
                title: 'By way of',
                cell: ({ via }) => via.map((each) => each || 'default exchange').join(' → '),
              },
            ]}
          />
        )}
        {run.notes.map((note) => (
          <p key={note} class="note">
            {note}
          </p>
        ))}
        <Drawing graph={drawn(run)} vhost={vhost} taken={takenBy(run)} />
      </Section>
      {run.exchanges.map((exchange) => (
        <VisitedExchange key={exchange.name} vhost={vhost} exchange={exchange} />
      ))}
    </>
  )
}

function VisitedExchange({ vhost, exchange }: { vhost: string; exchange: Visited }) {
  const { name, type, plugin, transforms, bindings } = exchange
  return (
    <Section title={name || 'default exchange'}>
      <p>
        <Badge>{type}</Badge>
        {transforms.map((transform) => (
          <Badge key={transform.name} tone="warn">
            {transform.name}: {transform.verdict}
          </Badge>
        ))}
      </p>
      {plugin && <pre class="payload">{JSON.stringify(plugin, null, 2)}</pre>}
      {bindings.length === 0 ? (
        <Empty>Nothing is bound here.</Empty>
      ) : (
        <Table
          caption={`Bindings of ${name || 'the default exchange'}`}
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

/** What was looked at, as a graph. */
function drawn(run: DryRun): Graph {
  const nodes = new Map<string, Graph['nodes'][number]>()
  const edges = new Map<string, Graph['edges'][number]>()
  const node = (kind: 'exchange' | 'queue', name: string) => {
    const id = idOf(kind, name)
    nodes.set(id, { id, kind, name })
    return id
  }
  for (const exchange of run.exchanges) {
    const from = node('exchange', exchange.name)
    for (const binding of exchange.bindings) {
      const to = node(binding.destination_type, binding.destination)
      const edge = edges.get(`${from}\n${to}`) ?? { from, to, labels: [] }
      edge.labels.push(labelOf(binding))
      edges.set(`${from}\n${to}`, edge)
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
  }
  return taken
}
