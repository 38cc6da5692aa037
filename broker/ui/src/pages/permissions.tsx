// Permissions and topic permissions, of a user or in a virtual host.

import { useState } from 'preact/hooks'

import type { Permission, TopicPermission, Vhost } from '../api/types'
import { exchangeName, path, put, remove } from '../api/client'
import { Empty, ErrorNote, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { FormDialog } from '../components/form'
import { Table } from '../components/table'
import { tell } from '../components/toasts'
import { useResource } from '../resource'
import { to } from '../router'

interface TableProps {
  permissions: Permission[]
  /** The end that is shown. */
  end: 'user' | 'vhost'
  onChange: () => void
}

export function PermissionTable({ permissions, end, onChange }: TableProps) {
  const clear = ({ user, vhost }: Permission) =>
    ask({
      title: `Close ${vhost} to ${user}?`,
      text: 'The user can no longer enter the virtual host, and may do nothing there any more.',
      verb: 'Close',
      action: async () => {
        await remove(path`/permissions/${vhost}/${user}`)
        tell(`${vhost} is closed to ${user}.`)
        onChange()
      },
    })
  if (permissions.length === 0) {
    return <Empty>There is none.</Empty>
  }
  return (
    <Table
      caption="Permissions"
      items={permissions}
      keyOf={({ user, vhost }) => `${user} ${vhost}`}
      columns={[
        end === 'user'
          ? { title: 'User', cell: ({ user }) => <a href={to('users', user)}>{user}</a> }
          : { title: 'Virtual host', cell: ({ vhost }) => <a href={to('vhosts', vhost)}>{vhost}</a> },
        { title: 'Configure', cell: ({ configure }) => <code>{configure}</code> },
        { title: 'Write', cell: ({ write }) => <code>{write}</code> },
        { title: 'Read', cell: ({ read }) => <code>{read}</code> },
        {
          title: '',
          cell: (permission) => (
            <button type="button" class="small" onClick={() => clear(permission)}>
              Clear
            </button>
          ),
        },
      ]}
    />
  )
}

export function PermissionsOf({ user }: { user: string }) {
  const [adding, setAdding] = useState(false)
  const { data, error, reload } = useResource<Permission[]>(path`/users/${user}/permissions`)
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  return (
    <Section
      title="Permissions"
      actions={
        <button type="button" class="small" onClick={() => setAdding(true)}>
          Set permission
        </button>
      }
    >
      <ErrorNote text={error} />
      {data && <PermissionTable permissions={data} end="vhost" onChange={reload} />}
      {adding && (
        <FormDialog
          title={`Set permission of ${user}`}
          verb="Set"
          onClose={() => setAdding(false)}
          fields={[
            { name: 'vhost', label: 'Virtual host', type: 'select', options: names, value: names[0] ?? '/' },
            {
              name: 'configure',
              label: 'Configure',
              value: '.*',
              hint: 'Regular expressions for the names of queues and exchanges.',
            },
            { name: 'write', label: 'Write', value: '.*' },
            { name: 'read', label: 'Read', value: '.*' },
          ]}
          submit={async (values) => {
            const vhost = values.text('vhost')
            await put(path`/permissions/${vhost}/${user}`, {
              configure: values.text('configure'),
              write: values.text('write'),
              read: values.text('read'),
            })
            tell(`The permission in ${vhost} is set.`)
            reload()
          }}
        />
      )}
    </Section>
  )
}

export function TopicPermissionsOf({ user }: { user: string }) {
  const [adding, setAdding] = useState(false)
  const { data, error, reload } = useResource<TopicPermission[]>(path`/users/${user}/topic-permissions`)
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 0)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  const clear = ({ vhost, exchange }: TopicPermission) =>
    ask({
      title: `Clear what ${user} may do at ${exchange || 'the default exchange'}?`,
      text: 'The user may use all routing keys there again.',
      verb: 'Clear',
      action: async () => {
        await remove(path`/topic-permissions/${vhost}/${user}/${exchangeName(exchange)}`)
        tell('The topic permission is cleared.')
        reload()
      },
    })
  return (
    <Section
      title="Topic permissions"
      actions={
        <button type="button" class="small" onClick={() => setAdding(true)}>
          Set topic permission
        </button>
      }
    >
      <ErrorNote text={error} />
      {data?.length === 0 && <Empty>There is none: all routing keys are open.</Empty>}
      {data && data.length > 0 && (
        <Table
          caption="Topic permissions"
          items={data}
          keyOf={({ vhost, exchange }) => `${vhost} ${exchange}`}
          columns={[
            { title: 'Virtual host', cell: ({ vhost }) => vhost },
            { title: 'Exchange', cell: ({ exchange }) => exchange },
            { title: 'Write', cell: ({ write }) => <code>{write}</code> },
            { title: 'Read', cell: ({ read }) => <code>{read}</code> },
            {
              title: '',
              cell: (permission) => (
                <button type="button" class="small" onClick={() => clear(permission)}>
                  Clear
                </button>
              ),
            },
          ]}
        />
      )}
      {adding && (
        <FormDialog
          title={`Set topic permission of ${user}`}
          verb="Set"
          onClose={() => setAdding(false)}
          fields={[
            { name: 'vhost', label: 'Virtual host', type: 'select', options: names, value: names[0] ?? '/' },
            { name: 'exchange', label: 'Exchange', required: true, value: 'amq.topic' },
            {
              name: 'write',
              label: 'Write',
              value: '.*',
              hint: 'Regular expressions for routing keys; {username} and {vhost} stand for the user’s own.',
            },
            { name: 'read', label: 'Read', value: '.*' },
          ]}
          submit={async (values) => {
            await put(path`/topic-permissions/${values.text('vhost')}/${user}`, {
              exchange: values.text('exchange'),
              write: values.text('write'),
              read: values.text('read'),
            })
            tell('The topic permission is set.')
            reload()
          }}
        />
      )}
    </Section>
  )
}
