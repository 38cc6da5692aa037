import { Heading, Section, Tile, Tiles } from '../components/bits'
import { SettingsButton } from '../components/settings'
import { Table } from '../components/table'
import { Chart } from '../charts/chart'
import { Ranges } from '../charts/ranges'
import { bytes, count, duration, rate, short } from '../format'
import { node, overview } from '../frame'
import { levels, rates } from '../history'
import { may } from '../session'

const FLOW = [
  { name: 'publish', label: 'Published', colour: '--series-1' },
  { name: 'deliver_get', label: 'Delivered', colour: '--series-2' },
  { name: 'ack', label: 'Acknowledged', colour: '--series-3' },
]
const WAITING = [
  { name: 'messages_ready', label: 'Ready', colour: '--series-1' },
  { name: 'messages_unacknowledged', label: 'Unacknowledged', colour: '--series-3' },
]
const CLIENTS = [
  { name: 'connections', label: 'Connections', colour: '--series-1' },
  { name: 'channels', label: 'Channels', colour: '--series-2' },
  { name: 'consumers', label: 'Consumers', colour: '--series-3' },
]
const MEMORY = [{ name: 'mem_used', label: 'Memory used', colour: '--series-1' }]

const names = (lines: { name: string }[]) => lines.map(({ name }) => name)

export function OverviewPage() {
  const all = overview.value
  const machine = node.value
  if (!all) {
    return <Heading title="Overview" />
  }
  const { object_totals: objects, queue_totals: messages } = all
  return (
    <>
      <Heading title="Overview" />
      <Tiles>
        <Tile label="Ready" value={count(messages.messages_ready)} />
        <Tile label="Unacknowledged" value={count(messages.messages_unacknowledged)} />
        <Tile label="Queues" value={count(objects.queues)} />
        <Tile label="Exchanges" value={count(objects.exchanges)} />
        <Tile label="Connections" value={count(objects.connections)} />
        <Tile label="Consumers" value={count(objects.consumers)} />
      </Tiles>
      <Ranges />
      <div class="charts">
        <Chart title="Messages per second" lines={FLOW} data={rates('overview', names(FLOW))} format={rate} />
        <Chart
          title="Messages waiting"
          lines={WAITING}
          data={levels('overview', names(WAITING))}
          format={short}
        />
        {machine && (
          <Chart
            title="Memory"
            lines={MEMORY}
            data={levels('node', names(MEMORY))}
            format={bytes}
            limit={machine.mem_limit}
          />
        )}
        <Chart title="Clients" lines={CLIENTS} data={levels('overview', names(CLIENTS))} format={short} />
      </div>
      {machine && may.monitor.value && (
        <Section
          title={`Node ${machine.name}`}
          actions={
            may.administrate.value && (
              <SettingsButton
                title="Change alarms"
                fields={[
                  {
                    name: 'memory_mark',
                    label: 'Publishers are blocked above this much memory',
                    required: true,
                    hint: 'A share such as 60%, or a size such as 4GiB.',
                  },
                  {
                    name: 'disk_free_limit',
                    label: 'Publishers are blocked below this much free disk',
                    required: true,
                    hint: 'A size such as 1GiB.',
                  },
                ]}
              />
            )
          }
        >
          <Tiles>
            <Tile
              label="Memory"
              value={bytes(machine.mem_used)}
              hint={`blocks at ${bytes(machine.mem_limit)}`}
              bad={machine.mem_alarm}
            />
            <Tile
              label="Disk free"
              value={bytes(machine.disk_free)}
              hint={`blocks at ${bytes(machine.disk_free_limit)}`}
              bad={machine.disk_free_alarm}
            />
            <Tile label="Files open" value={count(machine.fd_used)} hint={`of ${count(machine.fd_total)}`} />
            <Tile label="Up for" value={duration(machine.uptime)} />
            <Tile label="Processors" value={count(machine.processors)} />
            <Tile label="Durability" value={all.durability} />
            <Tile label="Version" value={all.product_version} />
          </Tiles>
        </Section>
      )}
      <Section title="Listeners">
        <Table
          caption="Listeners"
          items={all.listeners}
          keyOf={({ protocol, ip_address, port }) => `${protocol} ${ip_address} ${port}`}
          columns={[
            { title: 'Protocol', cell: ({ protocol }) => protocol },
            { title: 'Address', cell: ({ ip_address }) => ip_address },
            { title: 'Port', cell: ({ port }) => String(port), numeric: true },
          ]}
        />
      </Section>
    </>
  )
}
