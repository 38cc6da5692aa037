import { useState } from 'preact/hooks'

import type { Plugin } from '../api/types'
import { path, request } from '../api/client'
import { Badge, Empty, ErrorNote, Heading, State } from '../components/bits'
import { FormDialog } from '../components/form'
import { Table } from '../components/table'
import { tell } from '../components/toasts'
import { bytes, count, nanoseconds } from '../format'
import { useResource } from '../resource'
import { go, to } from '../router'
import { may } from '../session'

export function Plugins() {
  const [uploading, setUploading] = useState(false)
  const { data, error } = useResource<Plugin[]>('/plugins')
  return (
    <>
      <Heading
        title="Plugins"
        actions={
          may.administrate.value && (
            <button type="button" class="primary" onClick={() => setUploading(true)}>
              Upload plugin
            </button>
          )
        }
      />
      <ErrorNote text={error} />
      {data?.length === 0 && (
        <Empty>
          No plugin is there yet. Upload a WebAssembly component, or name one in the configuration.
        </Empty>
      )}
      {data && data.length > 0 && (
        <Table
          caption="Plugins"
          items={data}
          keyOf={({ name }) => name}
          columns={[
            { title: 'Name', cell: ({ name }) => <a href={to('plugins', name)}>{name}</a> },
            { title: 'State', cell: ({ state }) => <State name={state} /> },
            {
              title: 'Supplies',
              cell: ({ kind, exchange_type: type }) =>
                kind === 'exchange' ? <Badge title="A type of exchange">{type}</Badge> : 'transform',
            },
            { title: 'Version', cell: ({ version }) => version ?? '–', minor: true },
            { title: 'From', cell: ({ source }) => source, minor: true },
            { title: 'Calls', cell: ({ calls }) => count(calls), numeric: true },
            { title: 'Messages', cell: ({ messages }) => count(messages), numeric: true },
            {
              title: 'Per message',
              cell: ({ ns_per_message: { mean } }) => (mean === null ? '–' : nanoseconds(mean)),
              numeric: true,
            },
            { title: 'Errors', cell: (plugin) => count(errorsOf(plugin)), numeric: true },
            { title: 'Memory', cell: ({ memory }) => bytes(memory), numeric: true, minor: true },
          ]}
        />
      )}
      {uploading && <Upload onClose={() => setUploading(false)} />}
    </>
  )
}

export function errorsOf({ errors }: Plugin): number {
  return Object.values(errors).reduce((sum, each) => sum + each, 0)
}

const GRANTS = ['config', 'kv', 'log', 'metrics', 'random', 'publish']

/** Sends a component; for a plugin that there is, `settings` stay. */
export async function upload(name: string, file: File | undefined, settings: URLSearchParams): Promise<void> {
  if (!file) {
    throw new Error('Choose the file of the component.')
  }
  const query = settings.toString()
  await request(path`/plugins/${name}` + (query ? `?${query}` : ''), { method: 'PUT', raw: file })
}

function Upload({ onClose }: { onClose: () => void }) {
  return (
    <FormDialog
      title="Upload plugin"
      verb="Upload"
      onClose={onClose}
      fields={[
        {
          name: 'name',
          label: 'Name',
          required: true,
          hint: 'Letters, digits, dots, dashes and underscores.',
        },
        { name: 'file', label: 'Component (.wasm)', type: 'file', required: true },
        {
          name: 'exchange-type',
          label: 'Type of exchange',
          placeholder: 'x-my-type',
          hint: 'Leave it empty for a transform.',
        },
        {
          name: 'grants',
          label: 'Grants',
          suggestions: GRANTS,
          hint: `What it may import, with commas in between: ${GRANTS.join(', ')}. Nothing by default.`,
        },
        { name: 'deadline', label: 'Deadline for a call', placeholder: '50ms' },
        { name: 'memory', label: 'Memory for each instance', placeholder: '64MiB' },
      ]}
      submit={async (values) => {
        const name = values.text('name')
        const settings = new URLSearchParams()
        for (const key of ['exchange-type', 'grants', 'deadline', 'memory']) {
          const value = values.text(key)
          if (value !== '') {
            settings.set(key, value)
          }
        }
        await upload(name, values.file('file'), settings)
        tell(`${name} is loaded.`)
        go('plugins', name)
      }}
    />
  )
}
