import { useState } from 'preact/hooks'

import type { Binding, Exchange } from '../api/types'
import { path, remove } from '../api/client'
import { Arguments, Badge, ErrorNote, Facts, Heading, Section, Tile, Tiles } from '../components/bits'
import { ask } from '../components/dialog'
import { tell } from '../components/toasts'
import { Chart } from '../charts/chart'
import { count, plural, rate } from '../format'
import { fill, past, rates } from '../history'
import { Publish } from '../messages/publish'
import { useResource } from '../resource'
import { go, to } from '../router'
import { BindDialog, BindingTable } from './bindings'
import { ExchangeFeatures } from './exchanges'
import { RouteGraph } from '../graph/graph'

const FLOW = [
  { name: 'publish_in', label: 'Published to it', colour: '--series-1' },
  { name: 'publish_out', label: 'Into queues', colour: '--series-2' },
]

export function ExchangePage({ args: [vhost = '', segment = ''] }: { args: string[] }) {
  const name = segment === 'amq.default' ? '' : segment
  const series = `exchange ${vhost} ${name}`
  const exchange = useResource<Exchange>(
    `${path`/exchanges/${vhost}/${segment}`}?${past('msg_rates')}`,
    2000,
    ({ message_stats: stats }) => fill(series, stats),
  )
  const outgoing = useResource<Binding[]>(path`/exchanges/${vhost}/${segment}/bindings/source`)
  const incoming = useResource<Binding[]>(path`/exchanges/${vhost}/${segment}/bindings/destination`)
  const [binding, setBinding] = useState(false)
  const { data, error } = exchange
  const isOurs = name === '' || name.startsWith('amq.')
  const drop = () =>
    ask({
      title: `Delete ${name}?`,
      text: `The exchange is deleted with ${plural(outgoing.data?.length ?? 0, 'binding')}. Whoever publishes to it is refused.`,
      verb: 'Delete exchange',
      action: async () => {
        await remove(path`/exchanges/${vhost}/${segment}`)
        tell(`${name} is deleted.`)
        go('exchanges')
      },
    })
  const reload = () => {
    outgoing.reload()
    incoming.reload()
  }
  return (
    <>
      <Heading
        kind={`Exchange in ${vhost}`}
        title={name || 'default exchange'}
        actions={
          <>
            <a
              class="button"
              href={`${to('route')}?vhost=${encodeURIComponent(vhost)}&exchange=${encodeURIComponent(name)}`}
            >
              Dry run
            </a>
            {!isOurs && (
              <button type="button" class="danger" onClick={drop}>
                Delete
              </button>
            )}
          </>
        }
      >
        {data && (
          <>
            <Badge>{data.type}</Badge>
            <ExchangeFeatures of={data} />
          </>
        )}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          <Tiles>
            <Tile label="Published to it" value={count(data.message_stats.publish_in)} />
            <Tile label="Into queues" value={count(data.message_stats.publish_out)} />
            <Tile label="Bindings" value={count(outgoing.data?.length)} />
            {data.messages_delayed > 0 && <Tile label="Delayed" value={count(data.messages_delayed)} />}
            {data.messages_deduplicated > 0 && (
              <Tile label="Duplicates dropped" value={count(data.messages_deduplicated)} />
            )}
          </Tiles>
          <div class="charts">
            <Chart
              title="Messages per second"
              lines={FLOW}
              data={rates(series, ['publish_in', 'publish_out'])}
              format={rate}
            />
          </div>
          <Section title="Routes">
            <RouteGraph vhost={vhost} exchange={name} version={outgoing.data} />
          </Section>
          <Section
            title="Bindings from here"
            actions={
              name !== '' && (
                <button type="button" class="small" onClick={() => setBinding(true)}>
                  Bind
                </button>
              )
            }
          >
            <ErrorNote text={outgoing.error} />
            {outgoing.data && <BindingTable bindings={outgoing.data} end="source" onChange={reload} />}
          </Section>
          {incoming.data && incoming.data.length > 0 && (
            <Section title="Bindings to here">
              <BindingTable bindings={incoming.data} end="destination" onChange={reload} />
            </Section>
          )}
          {!data.internal && <Publish vhost={vhost} exchange={name} onDone={exchange.reload} />}
          <Section title="Details">
            <Facts
              facts={[
                ['Arguments', <Arguments key="arguments" table={data.arguments} />],
                ['Declared by', data.user_who_performed_action],
                ['Policy', data.policy ?? 'none'],
                ['Operator policy', data.operator_policy ?? 'none'],
                [
                  'In force by policies',
                  <Arguments key="effective" table={data.effective_policy_definition} />,
                ],
              ]}
            />
          </Section>
        </>
      )}
      {binding && (
        <BindDialog vhost={vhost} source={name} onClose={() => setBinding(false)} onDone={reload} />
      )}
    </>
  )
}
