import type { Channel as ChannelOf, Connection as ConnectionOf } from '../api/types'
import { path, remove } from '../api/client'
import { Arguments, Empty, ErrorNote, Facts, Heading, Section, State, Tile, Tiles } from '../components/bits'
import { ask } from '../components/dialog'
import { PagedTable, Table } from '../components/table'
import { tell } from '../components/toasts'
import { Chart } from '../charts/chart'
import { Ranges } from '../charts/ranges'
import { bytes, count, time, yesNo } from '../format'
import { fill, past, rates } from '../history'
import { useResource } from '../resource'
import { go, to } from '../router'
import { vhost } from '../session'
import { CHANNEL_COLUMNS } from './channels'

export function Connections() {
  return (
    <>
      <Heading title="Connections" />
      <PagedTable<ConnectionOf>
        caption="Connections"
        path={vhost.value === '' ? '/connections' : path`/vhosts/${vhost.value}/connections`}
        empty="No client is connected."
        sortBy="name"
        keyOf={({ name }) => name}
        columns={[
          {
            title: 'Name',
            sort: 'name',
            cell: ({ name, user_provided_name: given }) => (
              <>
                <a href={to('connections', name)}>{given ?? name}</a>
                {given !== null && <span class="below quiet">{name}</span>}
              </>
            ),
          },
          { title: 'Virtual host', sort: 'vhost', cell: ({ vhost }) => vhost, minor: true },
          { title: 'User', sort: 'user', cell: ({ user }) => user },
          { title: 'State', sort: 'state', cell: ({ state }) => <State name={state} /> },
          { title: 'TLS', sort: 'ssl', cell: ({ ssl }) => yesNo(ssl), minor: true },
          { title: 'Channels', sort: 'channels', cell: ({ channels }) => count(channels), numeric: true },
          { title: 'Received', sort: 'recv_oct', cell: ({ recv_oct }) => bytes(recv_oct), numeric: true },
          { title: 'Sent', sort: 'send_oct', cell: ({ send_oct }) => bytes(send_oct), numeric: true },
          {
            title: 'Since',
            sort: 'connected_at',
            cell: ({ connected_at }) => time(connected_at),
            minor: true,
          },
        ]}
      />
    </>
  )
}

const TRAFFIC = [
  { name: 'recv_oct', label: 'Received', colour: '--series-1' },
  { name: 'send_oct', label: 'Sent', colour: '--series-2' },
]

const perSecond = (value: number) => `${bytes(value)}/s`

export function Connection({ args: [name = ''] }: { args: string[] }) {
  const series = `connection ${name}`
  const asked = `${path`/connections/${name}`}?${past('data_rates')}`
  const { data, error } = useResource<ConnectionOf>(asked, undefined, (connection) =>
    fill(series, connection),
  )
  const channels = useResource<ChannelOf[]>(path`/connections/${name}/channels`)
  const close = () =>
    ask({
      title: 'Close this connection?',
      text: `The client ${name} is told to go; most clients come back by themselves. What it has not acknowledged is delivered again.`,
      verb: 'Close connection',
      action: async () => {
        await remove(path`/connections/${name}`)
        tell('The connection was told to close.')
        go('connections')
      },
    })
  return (
    <>
      <Heading
        kind="Connection"
        title={data?.user_provided_name ?? name}
        actions={
          <button type="button" class="danger" onClick={close}>
            Close
          </button>
        }
      >
        {data && <State name={data.state} />}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          <Tiles>
            <Tile label="Received" value={bytes(data.recv_oct)} />
            <Tile label="Sent" value={bytes(data.send_oct)} />
            <Tile label="Waiting to be sent" value={bytes(data.send_pend)} />
            <Tile label="Channels" value={count(data.channels)} hint={`of ${count(data.channel_max)}`} />
          </Tiles>
          <Ranges />
          <div class="charts">
            <Chart
              title="Traffic"
              lines={TRAFFIC}
              data={rates(series, ['recv_oct', 'send_oct'])}
              format={perSecond}
            />
          </div>
          <Section title="Channels">
            {channels.data?.length === 0 ? (
              <Empty>This connection has no channel open.</Empty>
            ) : (
              <Table
                caption="Channels"
                items={channels.data ?? []}
                keyOf={({ name }) => name}
                columns={CHANNEL_COLUMNS}
              />
            )}
          </Section>
          <Section title="Details">
            <Facts
              facts={[
                ['User', data.user],
                ['Virtual host', data.vhost],
                ['Client', `${data.peer_host}:${data.peer_port}`],
                ['Server', `${data.host}:${data.port}`],
                ['Since', time(data.connected_at)],
                ['Protocol', data.protocol],
                ['Login by', data.auth_mechanism],
                ['TLS', data.ssl ? `${data.ssl_protocol ?? ''} ${data.ssl_cipher ?? ''}` : 'no'],
                ['Certificate', data.peer_cert_subject ?? 'none'],
                ['Heartbeat', `${data.timeout} s`],
                ['Largest frame', bytes(data.frame_max)],
                ['Client properties', <Arguments key="properties" table={data.client_properties} />],
              ]}
            />
          </Section>
        </>
      )}
    </>
  )
}
