import type { Consumer } from '../api/types'
import { path } from '../api/client'
import { Arguments, Badge, Heading } from '../components/bits'
import { type Column, PagedTable } from '../components/table'
import { count, yesNo } from '../format'
import { to } from '../router'
import { vhost } from '../session'

export const consumerKey = (consumer: Consumer) =>
  `${consumer.channel_details.name} ${consumer.consumer_tag} ${consumer.queue.name}`

export const CONSUMER_COLUMNS: Column<Consumer>[] = [
  { title: 'Tag', sort: 'consumer_tag', cell: (of) => of.consumer_tag },
  {
    title: 'Queue',
    sort: 'queue.name',
    cell: ({ queue: { vhost, name } }) => <a href={to('queues', vhost, name)}>{name}</a>,
  },
  {
    title: 'Channel',
    sort: 'channel_details.name',
    cell: ({ channel_details: { name } }) => <a href={to('channels', name)}>{name}</a>,
  },
  { title: 'User', sort: 'channel_details.user', cell: (of) => of.channel_details.user, minor: true },
  {
    title: 'State',
    sort: 'active',
    cell: ({ active, exclusive }) => (
      <>
        <Badge tone={active ? 'good' : 'plain'}>{active ? 'active' : 'waiting'}</Badge>
        {exclusive && <Badge>exclusive</Badge>}
      </>
    ),
  },
  { title: 'Acks', sort: 'ack_required', cell: (of) => yesNo(of.ack_required), minor: true },
  { title: 'Prefetch', sort: 'prefetch_count', cell: (of) => count(of.prefetch_count), numeric: true },
  { title: 'Arguments', cell: (of) => <Arguments table={of.arguments} />, minor: true },
]

export function Consumers() {
  return (
    <>
      <Heading title="Consumers" />
      <PagedTable<Consumer>
        caption="Consumers"
        path={vhost.value === '' ? '/consumers' : path`/consumers/${vhost.value}`}
        empty="Nobody consumes."
        sortBy="queue.name"
        filters={false}
        keyOf={consumerKey}
        columns={CONSUMER_COLUMNS}
      />
    </>
  )
}
