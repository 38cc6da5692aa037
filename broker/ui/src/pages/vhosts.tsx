import { useState } from 'preact/hooks'

import type { Permission, Vhost } from '../api/types'
import { path, post, put, remove } from '../api/client'
import { Badge, ErrorNote, Facts, Heading, Section, Tile, Tiles } from '../components/bits'
import { ask } from '../components/dialog'
import { FormDialog } from '../components/form'
import { LimitSection } from '../components/limits'
import { Table } from '../components/table'
import { attempt, tell } from '../components/toasts'
import { count, yesNo } from '../format'
import { useResource } from '../resource'
import { go, to } from '../router'
import { may } from '../session'
import { PermissionTable } from './permissions'

export function Vhosts() {
  const [adding, setAdding] = useState(false)
  const { data, error, reload } = useResource<Vhost[]>('/vhosts')
  return (
    <>
      <Heading
        title="Virtual hosts"
        actions={
          may.administrate.value && (
            <button type="button" class="primary" onClick={() => setAdding(true)}>
              Add virtual host
            </button>
          )
        }
      />
      <ErrorNote text={error} />
      {data && (
        <Table
          caption="Virtual hosts"
          items={data}
          keyOf={({ name }) => name}
          columns={[
            { title: 'Name', cell: ({ name }) => <a href={to('vhosts', name)}>{name}</a> },
            { title: 'Description', cell: ({ description }) => description, minor: true },
            {
              title: 'Tags',
              cell: ({ tags }) => tags.map((tag) => <Badge key={tag}>{tag}</Badge>),
              minor: true,
            },
            { title: 'Queue type', cell: (of) => of.default_queue_type, minor: true },
            { title: 'Protected', cell: (of) => yesNo(of.protected_from_deletion), minor: true },
            { title: 'Tracing', cell: ({ tracing }) => yesNo(tracing) },
            { title: 'Ready', cell: (of) => count(of.messages_ready), numeric: true },
            { title: 'Unacked', cell: (of) => count(of.messages_unacknowledged), numeric: true },
          ]}
        />
      )}
      {adding && <VhostDialog onClose={() => setAdding(false)} onDone={reload} />}
    </>
  )
}

function VhostDialog({ vhost, onClose, onDone }: { vhost?: Vhost; onClose: () => void; onDone: () => void }) {
  return (
    <FormDialog
      title={vhost ? `Change ${vhost.name}` : 'Add virtual host'}
      verb={vhost ? 'Change' : 'Add'}
      onClose={onClose}
      fields={[
        ...(vhost ? [] : [{ name: 'name', label: 'Name', required: true }]),
        { name: 'description', label: 'Description', value: vhost?.description ?? '' },
        { name: 'tags', label: 'Tags', value: vhost?.tags.join(', ') ?? '', hint: 'With commas in between.' },
        {
          name: 'type',
          label: 'Type of queues that name none',
          type: 'select',
          options: ['classic', 'quorum', 'stream'],
          value: vhost?.default_queue_type ?? 'classic',
        },
      ]}
      submit={async (values) => {
        const name = vhost?.name ?? values.text('name')
        await put(path`/vhosts/${name}`, {
          description: values.text('description'),
          tags: values.text('tags'),
          default_queue_type: values.text('type'),
        })
        tell(vhost ? `${name} is changed.` : `${name} is there.`)
        onDone()
      }}
    />
  )
}

export function VhostPage({ args: [name = ''] }: { args: string[] }) {
  const [changing, setChanging] = useState(false)
  const { data, error, reload } = useResource<Vhost>(path`/vhosts/${name}`)
  const permissions = useResource<Permission[]>(
    may.administrate.value ? path`/vhosts/${name}/permissions` : null,
  )
  const canChange = may.administrate.value
  return (
    <>
      <Heading
        kind="Virtual host"
        title={name}
        actions={
          data &&
          canChange && (
            <>
              <button type="button" onClick={() => setChanging(true)}>
                Change
              </button>
              <Switches of={data} reload={reload} />
            </>
          )
        }
      >
        {data?.tracing === true && <Badge tone="warn">tracing</Badge>}
        {data?.protected_from_deletion === true && <Badge>protected</Badge>}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          <Tiles>
            <Tile label="Ready" value={count(data.messages_ready)} />
            <Tile label="Unacknowledged" value={count(data.messages_unacknowledged)} />
          </Tiles>
          {permissions.data && (
            <Section title="Permissions">
              <PermissionTable permissions={permissions.data} end="user" onChange={permissions.reload} />
            </Section>
          )}
          <LimitSection
            path={path`/vhost-limits/${name}`}
            names={['max-connections', 'max-queues']}
            canChange={canChange}
          />
          <Section title="Details">
            <Facts
              facts={[
                ['Description', data.description || '–'],
                ['Tags', data.tags.join(', ') || 'none'],
                ['Type of queues that name none', data.default_queue_type],
              ]}
            />
          </Section>
        </>
      )}
      {changing && data && <VhostDialog vhost={data} onClose={() => setChanging(false)} onDone={reload} />}
    </>
  )
}

function Switches({ of, reload }: { of: Vhost; reload: () => void }) {
  const { name, tracing, protected_from_deletion: isProtected } = of
  const trace = () =>
    void attempt(
      () => put(path`/vhosts/${name}`, { tracing: !tracing }),
      tracing ? 'The firehose is off.' : 'Every message is copied to amq.rabbitmq.trace.',
    ).then(reload)
  const protection = path`/vhosts/${name}/deletion/protection`
  const protect = () =>
    void attempt(
      () => (isProtected ? remove(protection) : post(protection)),
      isProtected ? `${name} can be deleted.` : `${name} cannot be deleted.`,
    ).then(reload)
  const drop = () =>
    ask({
      title: `Delete ${name}?`,
      text: 'All its queues, exchanges, messages, policies and permissions are deleted, and its clients are disconnected.',
      verb: 'Delete virtual host',
      action: async () => {
        await remove(path`/vhosts/${name}`)
        tell(`${name} is deleted.`)
        go('vhosts')
      },
    })
  return (
    <>
      <button type="button" onClick={trace}>
        {tracing ? 'Stop tracing' : 'Trace'}
      </button>
      <button type="button" onClick={protect}>
        {isProtected ? 'Unprotect' : 'Protect'}
      </button>
      {!isProtected && (
        <button type="button" class="danger" onClick={drop}>
          Delete
        </button>
      )}
    </>
  )
}
