import { useState } from 'preact/hooks'

import type { LogLine, Plugin } from '../api/types'
import { ApiError, path, post, remove } from '../api/client'
import { Bars } from '../charts/bars'
import { Chart } from '../charts/chart'
import {
  Arguments,
  Badge,
  Empty,
  ErrorNote,
  Facts,
  Heading,
  Section,
  State,
  Tile,
  Tiles,
} from '../components/bits'
import { ask } from '../components/dialog'
import { FormDialog } from '../components/form'
import { Table } from '../components/table'
import { attempt, tell } from '../components/toasts'
import { bytes, count, duration, nanoseconds, plural, rate, short, time, yesNo } from '../format'
import { rates, record } from '../history'
import { useResource } from '../resource'
import { go } from '../router'
import { may } from '../session'
import { LogLines } from './logs'
import { errorsOf, upload } from './plugins'

const FLOW = [
  { name: 'messages', label: 'Messages', colour: '--series-1' },
  { name: 'calls', label: 'Calls', colour: '--series-2' },
  { name: 'failed_messages', label: 'Failed', colour: '--series-4' },
]

export function PluginPage({ args: [name = ''] }: { args: string[] }) {
  const series = `plugin ${name}`
  const plugin = useResource<Plugin>(path`/plugins/${name}`, 2000, (data) =>
    record(series, { messages: data.messages, calls: data.calls, failed_messages: data.failed_messages }),
  )
  const log = useResource<LogLine[]>(path`/plugins/${name}/logs`)
  const { data, error, reload } = plugin
  return (
    <>
      <Heading
        kind="Plugin"
        title={name}
        actions={data && may.administrate.value && <Actions of={data} reload={reload} />}
      >
        {data && (
          <>
            <State name={data.state} />
            <Badge>{data.exchange_type ?? 'transform'}</Badge>
          </>
        )}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          {data.quarantine_left_ms !== null && (
            <p class="note note-error">
              It failed too often and is in quarantine. It is called again in{' '}
              {duration(data.quarantine_left_ms)}.
            </p>
          )}
          {data.last_error && (
            <p class="note note-error">
              Last error, {time(data.last_error.at)}: {data.last_error.text}
            </p>
          )}
          <Tiles>
            <Tile
              label="Messages"
              value={count(data.messages)}
              hint={`${count(data.cache_hits)} known before`}
            />
            <Tile label="Calls" value={count(data.calls)} />
            <Tile label="Errors" value={count(errorsOf(data))} bad={errorsOf(data) > 0} />
            <Tile label="Messages that failed" value={count(data.failed_messages)} />
            <Tile label="Instances" value={count(data.instances)} hint={bytes(data.memory)} />
            <Tile label="Exchanges" value={count(data.exchanges)} />
          </Tiles>
          <div class="charts">
            <Chart
              title="Per second"
              lines={FLOW}
              data={rates(
                series,
                FLOW.map(({ name }) => name),
              )}
              format={rate}
            />
            <Bars title="Time per message" histogram={data.ns_per_message} format={nanoseconds} />
            <Bars title="Messages per call" histogram={data.batch_size} format={short} />
            <Errors of={data} />
          </div>
          <Section title="Log">
            <ErrorNote text={log.error} />
            {log.data?.length === 0 && <Empty>It has logged nothing.</Empty>}
            {log.data && log.data.length > 0 && <LogLines lines={log.data} />}
          </Section>
          <Details of={data} />
        </>
      )}
    </>
  )
}

function Actions({ of, reload }: { of: Plugin; reload: () => void }) {
  const [replacing, setReplacing] = useState(false)
  const { name, state, previous, exchanges } = of
  const isOn = state === 'loaded' || state === 'quarantined'
  const enable = () =>
    void attempt(() => post(path`/plugins/${name}/load`), `${name} is loaded.`).then(reload)
  const isUpload = of.path === null
  const orphans =
    exchanges > 0
      ? ` ${plural(exchanges, 'exchange')} of its type would stay, where messages fail as its setting on-error says.`
      : ''
  const unload = async (force: boolean) => {
    await remove(path`/plugins/${name}` + (force ? '?force=true' : ''))
    tell(isUpload ? `${name} is deleted.` : `${name} is disabled.`)
    if (isUpload) {
      go('plugins')
    } else {
      reload()
    }
  }
  const disable = () =>
    ask({
      title: isUpload ? `Delete ${name}?` : `Disable ${name}?`,
      text: isUpload
        ? `The plugin, its version before and what it stored are deleted for good.${orphans}`
        : `It is no longer called.${orphans}`,
      verb: isUpload ? 'Delete plugin' : 'Disable',
      action: async () => {
        try {
          await unload(exchanges > 0)
        } catch (failure) {
          // Only the broker knows all that it is attached to.
          if (!(failure instanceof ApiError && failure.status === 409)) {
            throw failure
          }
          ask({
            title: `${name} is needed`,
            text: failure.message,
            verb: isUpload ? 'Delete all the same' : 'Disable all the same',
            action: () => unload(true),
          })
        }
      },
    })
  const rollback = () =>
    ask({
      title: `Roll ${name} back?`,
      text: `Version ${previous?.version ?? ''} of ${time(previous?.loaded_at)} comes into force again, between two batches of messages.`,
      verb: 'Roll back',
      action: async () => {
        await post(path`/plugins/${name}/rollback`)
        tell(`${name} is rolled back.`)
        reload()
      },
    })
  return (
    <>
      <button type="button" onClick={() => setReplacing(true)}>
        Replace
      </button>
      {previous && (
        <button type="button" onClick={rollback}>
          Roll back
        </button>
      )}
      {!isOn && (
        <button type="button" onClick={enable}>
          Enable
        </button>
      )}
      {(isOn || isUpload) && (
        <button type="button" class="danger" onClick={disable}>
          {isUpload ? 'Delete' : 'Disable'}
        </button>
      )}
      {replacing && (
        <FormDialog
          title={`Replace ${name}`}
          verb="Upload"
          onClose={() => setReplacing(false)}
          fields={[
            {
              name: 'file',
              label: 'Component (.wasm)',
              type: 'file',
              required: true,
              hint: 'If it does not load, the version in force stays.',
            },
          ]}
          submit={async (values) => {
            await upload(name, values.file('file'), new URLSearchParams())
            tell(`${name} is replaced.`)
            reload()
          }}
        />
      )}
    </>
  )
}

function Errors({ of }: { of: Plugin }) {
  const kinds = Object.entries(of.errors).filter(([, number]) => number > 0)
  return (
    <figure class="chart">
      <figcaption>Errors by kind</figcaption>
      {kinds.length === 0 ? (
        <p class="empty">None.</p>
      ) : (
        <Table
          caption="Errors by kind"
          items={kinds}
          keyOf={([kind]) => kind}
          columns={[
            { title: 'Kind', cell: ([kind]) => kind },
            { title: 'Count', cell: ([, number]) => count(number), numeric: true },
          ]}
        />
      )}
    </figure>
  )
}

function Details({ of }: { of: Plugin }) {
  const { needs, previous } = of
  return (
    <Section title="Details">
      <Facts
        facts={[
          ['Calls itself', of.described_name ?? '–'],
          ['Version', of.version ?? '–'],
          ['SHA-256', <code key="hash">{of.hash ?? '–'}</code>],
          ['Size', bytes(of.size)],
          ['Loaded', time(of.loaded_at)],
          ['Version before', previous ? `${previous.version}, ${time(previous.loaded_at)}` : 'none'],
          ['From', of.path ?? of.source],
          ['Grants', of.grants.join(', ') || 'none'],
          ['Deadline', duration(of.deadline_ms)],
          ['Memory for each instance', bytes(of.memory_max)],
          ['On error', of.on_error],
          ['Dead letters to', of.dead_letter_exchange ?? 'nowhere'],
          [
            'Sees',
            needs ? `${needs.parts.join(', ')}; headers: ${String(needs.headers)}; body: ${needs.body}` : '–',
          ],
          ['Answers are pure', needs ? yesNo(needs.pure) : '–'],
          ['Stored', `${count(of.kv_entries)} entries, ${bytes(of.kv_bytes)} of ${bytes(of.kv_max)}`],
          ['Quarantines', count(of.quarantines)],
          ['Its own figures', <Arguments key="metrics" table={of.metrics} />],
          ...(of.config === undefined
            ? []
            : ([['Configuration', <code key="config">{JSON.stringify(of.config)}</code>]] as [
                string,
                preact.JSX.Element,
              ][])),
        ]}
      />
    </Section>
  )
}
