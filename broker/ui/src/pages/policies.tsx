import { useState } from 'preact/hooks'

import type { Policy, Vhost } from '../api/types'
import { path, put, remove } from '../api/client'
import { Arguments, Empty, ErrorNote, Heading, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { FormDialog } from '../components/form'
import { Table } from '../components/table'
import { tell } from '../components/toasts'
import { useResource } from '../resource'
import { may, vhost } from '../session'

interface Kind {
  title: string
  path: string
  /** What one of them is called. */
  one: string
}

const USER: Kind = { title: 'Policies', path: 'policies', one: 'policy' }
const OPERATOR: Kind = { title: 'Operator policies', path: 'operator-policies', one: 'operator policy' }

const KEYS = [
  'message-ttl',
  'expires',
  'max-length',
  'max-length-bytes',
  'overflow',
  'dead-letter-exchange',
  'dead-letter-routing-key',
  'dead-letter-strategy',
  'delivery-limit',
  'consumer-timeout',
  'alternate-exchange',
  'max-age',
  'stream-max-segment-size-bytes',
  'transform',
]

export function Policies() {
  return (
    <>
      <Heading title="Policies" />
      <PolicySection kind={USER} canChange={may.makePolicies.value} />
      <PolicySection kind={OPERATOR} canChange={may.administrate.value} />
    </>
  )
}

function PolicySection({ kind, canChange }: { kind: Kind; canChange: boolean }) {
  const [edited, setEdited] = useState<Policy | 'new' | null>(null)
  const place = vhost.value === '' ? `/${kind.path}` : `/${kind.path}` + path`/${vhost.value}`
  const { data, error, reload } = useResource<Policy[]>(place)
  const drop = ({ vhost, name }: Policy) =>
    ask({
      title: `Delete ${kind.one} ${name}?`,
      text: 'What it says is no longer in force for the queues and exchanges that match it.',
      verb: 'Delete',
      action: async () => {
        await remove(`/${kind.path}` + path`/${vhost}/${name}`)
        tell(`${name} is deleted.`)
        reload()
      },
    })
  return (
    <Section
      title={kind.title}
      actions={
        canChange && (
          <button type="button" class="small" onClick={() => setEdited('new')}>
            Add {kind.one}
          </button>
        )
      }
    >
      <ErrorNote text={error} />
      {data?.length === 0 && <Empty>There is none.</Empty>}
      {data && data.length > 0 && (
        <Table
          caption={kind.title}
          items={data}
          keyOf={({ vhost, name }) => `${vhost} ${name}`}
          columns={[
            { title: 'Name', cell: ({ name }) => name },
            { title: 'Virtual host', cell: ({ vhost }) => vhost, minor: true },
            { title: 'Pattern', cell: ({ pattern }) => <code>{pattern}</code> },
            { title: 'Applies to', cell: (policy) => policy['apply-to'], minor: true },
            { title: 'Priority', cell: ({ priority }) => String(priority), numeric: true },
            { title: 'Definition', cell: ({ definition }) => <Arguments table={definition} /> },
            {
              title: '',
              cell: (policy) =>
                canChange && (
                  <span class="actions">
                    <button type="button" class="small" onClick={() => setEdited(policy)}>
                      Change
                    </button>
                    <button type="button" class="small" onClick={() => drop(policy)}>
                      Delete
                    </button>
                  </span>
                ),
            },
          ]}
        />
      )}
      {edited && (
        <PolicyDialog
          kind={kind}
          policy={edited === 'new' ? undefined : edited}
          onClose={() => setEdited(null)}
          onDone={reload}
        />
      )}
    </Section>
  )
}

interface DialogProps {
  kind: Kind
  policy: Policy | undefined
  onClose: () => void
  onDone: () => void
}

function PolicyDialog({ kind, policy, onClose, onDone }: DialogProps) {
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  if (names.length === 0) {
    return null
  }
  const first = vhost.value || (names[0] ?? '/')
  return (
    <FormDialog
      title={policy ? `Change ${policy.name}` : `Add ${kind.one}`}
      verb="Set"
      onClose={onClose}
      fields={[
        ...(policy
          ? []
          : ([
              { name: 'vhost', label: 'Virtual host', type: 'select', options: names, value: first },
              { name: 'name', label: 'Name', required: true },
            ] as const)),
        {
          name: 'pattern',
          label: 'Pattern',
          required: true,
          value: policy?.pattern ?? '',
          hint: 'A regular expression for names, such as ^orders\\.',
        },
        {
          name: 'apply-to',
          label: 'Applies to',
          type: 'select',
          options: ['all', 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges'],
          value: policy?.['apply-to'] ?? 'all',
        },
        { name: 'priority', label: 'Priority', type: 'number', value: String(policy?.priority ?? 0) },
        {
          name: 'definition',
          label: 'Definition',
          type: 'arguments',
          value: policy?.definition ?? {},
          suggestions: KEYS,
        },
      ]}
      submit={async (values) => {
        const name = policy?.name ?? values.text('name')
        const place = policy?.vhost ?? values.text('vhost')
        await put(`/${kind.path}` + path`/${place}/${name}`, {
          pattern: values.text('pattern'),
          'apply-to': values.text('apply-to'),
          priority: Number(values.text('priority')),
          definition: values.table('definition'),
        })
        tell(`${name} is in force.`)
        onDone()
      }}
    />
  )
}
