import type { Channel as ChannelOf } from '../api/types'
import { path } from '../api/client'
import { Badge, Empty, ErrorNote, Heading, Section, Tile, Tiles } from '../components/bits'
import { type Column, PagedTable, Table } from '../components/table'
import { Chart } from '../charts/chart'
import { Ranges } from '../charts/ranges'
import { count, rate } from '../format'
import { fill, past, rates } from '../history'
import { useResource } from '../resource'
import { to } from '../router'
import { vhost } from '../session'
import { CONSUMER_COLUMNS, consumerKey } from './consumers'

export const CHANNEL_COLUMNS: Column<ChannelOf>[] = [
  { title: 'Name', sort: 'name', cell: ({ name }) => <a href={to('channels', name)}>{name}</a> },
  { title: 'Virtual host', sort: 'vhost', cell: ({ vhost }) => vhost, minor: true },
  { title: 'User', sort: 'user', cell: ({ user }) => user, minor: true },
  {
    title: 'Mode',
    cell: ({ confirm, transactional }) => (
      <>
        {confirm && <Badge title="Publishes are confirmed">confirm</Badge>}
        {transactional && <Badge title="In transactions">tx</Badge>}
      </>
    ),
  },
  { title: 'Consumers', sort: 'consumer_count', cell: (of) => count(of.consumer_count), numeric: true },
  { title: 'Prefetch', sort: 'prefetch_count', cell: (of) => count(of.prefetch_count), numeric: true },
  {
    title: 'Unacked',
    sort: 'messages_unacknowledged',
    cell: (of) => count(of.messages_unacknowledged),
    numeric: true,
  },
  {
    title: 'Unconfirmed',
    sort: 'messages_unconfirmed',
    cell: (of) => count(of.messages_unconfirmed),
    numeric: true,
  },
  {
    title: 'Published',
    sort: 'message_stats.publish',
    cell: (of) => count(of.message_stats.publish),
    numeric: true,
  },
  {
    title: 'Delivered',
    sort: 'message_stats.deliver_get',
    cell: (of) => count(of.message_stats.deliver_get),
    numeric: true,
  },
]

export function Channels() {
  return (
    <>
      <Heading title="Channels" />
      <PagedTable<ChannelOf>
        caption="Channels"
        path={vhost.value === '' ? '/channels' : path`/vhosts/${vhost.value}/channels`}
        empty="No channel is open."
        sortBy="name"
        keyOf={({ name }) => name}
        columns={CHANNEL_COLUMNS}
      />
    </>
  )
}

const FLOW = [
  { label: 'Published', colour: '--series-1' },
  { label: 'Delivered', colour: '--series-2' },
  { label: 'Acknowledged', colour: '--series-3' },
]

export function Channel({ args: [name = ''] }: { args: string[] }) {
  const series = `channel ${name}`
  const { data, error } = useResource<ChannelOf>(
    `${path`/channels/${name}`}?${past('msg_rates')}`,
    undefined,
    ({ message_stats }) => fill(series, message_stats),
  )
  return (
    <>
      <Heading kind="Channel" title={name}>
        {data?.confirm === true && <Badge>confirm</Badge>}
        {data?.transactional === true && <Badge>transactional</Badge>}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          <p>
            On connection{' '}
            <a href={to('connections', data.connection_details.name)}>{data.connection_details.name}</a>, user{' '}
            {data.user}, virtual host {data.vhost}.
          </p>
          <Tiles>
            <Tile label="Unacknowledged" value={count(data.messages_unacknowledged)} />
            <Tile label="Unconfirmed" value={count(data.messages_unconfirmed)} />
            <Tile
              label="Prefetch"
              value={count(data.prefetch_count)}
              hint={`whole channel: ${count(data.global_prefetch_count)}`}
            />
            <Tile label="Published" value={count(data.message_stats.publish)} />
            <Tile label="Returned" value={count(data.message_stats.return_unroutable)} />
            <Tile label="Redelivered" value={count(data.message_stats.redeliver)} />
          </Tiles>
          <Ranges />
          <div class="charts">
            <Chart
              title="Messages per second"
              lines={FLOW}
              data={rates(series, ['publish', 'deliver_get', 'ack'])}
              format={rate}
            />
          </div>
          <Section title="Consumers">
            {data.consumer_details?.length ? (
              <Table
                caption="Consumers"
                items={data.consumer_details}
                keyOf={consumerKey}
                columns={CONSUMER_COLUMNS}
              />
            ) : (
              <Empty>This channel has no consumer.</Empty>
            )}
          </Section>
        </>
      )}
    </>
  )
}
