import { useState } from 'preact/hooks'

import type { User } from '../api/types'
import { path, put, remove } from '../api/client'
import { Badge, ErrorNote, Facts, Heading, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { type Field, FormDialog } from '../components/form'
import { LimitSection } from '../components/limits'
import { Table } from '../components/table'
import { tell } from '../components/toasts'
import { useResource } from '../resource'
import { go, to } from '../router'
import { PermissionsOf, TopicPermissionsOf } from './permissions'

const TAGS = ['administrator', 'monitoring', 'policymaker', 'management', 'impersonator']

export function Users() {
  const [adding, setAdding] = useState(false)
  const { data, error } = useResource<User[]>('/users')
  return (
    <>
      <Heading
        title="Users"
        actions={
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Add user
          </button>
        }
      />
      <ErrorNote text={error} />
      {data && (
        <Table
          caption="Users"
          items={data}
          keyOf={({ name }) => name}
          columns={[
            { title: 'Name', cell: ({ name }) => <a href={to('users', name)}>{name}</a> },
            { title: 'Tags', cell: ({ tags }) => tags.map((tag) => <Badge key={tag}>{tag}</Badge>) },
            { title: 'Password', cell: (of) => (of.password_hash === '' ? 'none' : 'set') },
          ]}
        />
      )}
      {adding && (
        <FormDialog
          title="Add user"
          verb="Add user"
          onClose={() => setAdding(false)}
          fields={[
            { name: 'name', label: 'Name', required: true },
            {
              name: 'password',
              label: 'Password',
              type: 'password',
              required: true,
              autocomplete: 'new-password',
            },
            ...tagFields([]),
          ]}
          submit={async (values) => {
            const name = values.text('name')
            const tags = TAGS.filter((tag) => values.flag(tag))
            await put(path`/users/${name}`, { password: values.text('password'), tags })
            tell(`${name} is there, and may enter no virtual host yet.`)
            go('users', name)
          }}
        />
      )}
    </>
  )
}

function tagFields(tags: string[]): Field[] {
  return TAGS.map((tag) => ({ name: tag, label: tag, type: 'checkbox', value: tags.includes(tag) }))
}

export function UserPage({ args: [name = ''] }: { args: string[] }) {
  const [changing, setChanging] = useState<'tags' | 'password' | null>(null)
  const { data, error, reload } = useResource<User>(path`/users/${name}`)
  const drop = () =>
    ask({
      title: `Delete ${name}?`,
      text: 'The user can no longer log in, and its connections are closed.',
      verb: 'Delete user',
      action: async () => {
        await remove(path`/users/${name}`)
        tell(`${name} is deleted.`)
        go('users')
      },
    })
  return (
    <>
      <Heading
        kind="User"
        title={name}
        actions={
          data && (
            <>
              <button type="button" onClick={() => setChanging('tags')}>
                Change tags
              </button>
              <button type="button" onClick={() => setChanging('password')}>
                Change password
              </button>
              <button type="button" class="danger" onClick={drop}>
                Delete
              </button>
            </>
          )
        }
      >
        {data?.tags.map((tag) => (
          <Badge key={tag}>{tag}</Badge>
        ))}
      </Heading>
      <ErrorNote text={error} />
      {data && (
        <>
          <PermissionsOf user={name} />
          <TopicPermissionsOf user={name} />
          <LimitSection
            path={path`/user-limits/${name}`}
            names={['max-connections', 'max-channels']}
            canChange
          />
          <Section title="Details">
            <Facts
              facts={[['Password', data.password_hash === '' ? 'none: logs in by certificate' : 'set']]}
            />
          </Section>
        </>
      )}
      {changing === 'tags' && data && (
        <FormDialog
          title={`Change tags of ${name}`}
          verb="Change"
          onClose={() => setChanging(null)}
          fields={tagFields(data.tags)}
          submit={async (values) => {
            const others = data.tags.filter((tag) => !TAGS.includes(tag))
            const tags = [...TAGS.filter((tag) => values.flag(tag)), ...others]
            await put(path`/users/${name}`, { password_hash: data.password_hash, tags })
            tell('The tags are changed.')
            reload()
          }}
        />
      )}
      {changing === 'password' && data && (
        <FormDialog
          title={`Change password of ${name}`}
          verb="Change"
          onClose={() => setChanging(null)}
          fields={[
            {
              name: 'password',
              label: 'New password',
              type: 'password',
              required: true,
              autocomplete: 'new-password',
            },
          ]}
          submit={async (values) => {
            await put(path`/users/${name}`, { password: values.text('password'), tags: data.tags })
            tell('The password is changed.')
          }}
        />
      )}
    </>
  )
}
