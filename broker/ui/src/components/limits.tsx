// Limits of a user or a virtual host.

import { useState } from 'preact/hooks'

import type { Limits } from '../api/types'
import { put, remove } from '../api/client'
import { Empty, ErrorNote, Section } from './bits'
import { ask } from './dialog'
import { FormDialog } from './form'
import { Table } from './table'
import { tell } from './toasts'
import { count } from '../format'
import { useResource } from '../resource'

interface Props {
  /** Where the limits are. */
  path: string
  names: readonly string[]
  canChange: boolean
}

export function LimitSection({ path, names, canChange }: Props) {
  const [adding, setAdding] = useState(false)
  const { data, error, reload } = useResource<Limits[]>(path)
  const limits = Object.entries(data?.[0]?.value ?? {})
  const drop = (name: string) =>
    ask({
      title: `Take the limit ${name} away?`,
      text: 'There is no limit any more.',
      verb: 'Take away',
      action: async () => {
        await remove(`${path}/${name}`)
        tell(`${name} is taken away.`)
        reload()
      },
    })
  return (
    <Section
      title="Limits"
      actions={
        canChange && (
          <button type="button" class="small" onClick={() => setAdding(true)}>
            Set limit
          </button>
        )
      }
    >
      <ErrorNote text={error} />
      {data && limits.length === 0 && <Empty>There is no limit.</Empty>}
      {limits.length > 0 && (
        <Table
          caption="Limits"
          items={limits}
          keyOf={([name]) => name}
          columns={[
            { title: 'Limit', cell: ([name]) => name },
            { title: 'At most', cell: ([, value]) => (value < 0 ? 'no limit' : count(value)), numeric: true },
            {
              title: '',
              cell: ([name]) =>
                canChange && (
                  <button type="button" class="small" onClick={() => drop(name)}>
                    Take away
                  </button>
                ),
            },
          ]}
        />
      )}
      {adding && (
        <FormDialog
          title="Set limit"
          verb="Set"
          onClose={() => setAdding(false)}
          fields={[
            { name: 'name', label: 'Limit', type: 'select', options: names, value: names[0] ?? '' },
            { name: 'value', label: 'At most', type: 'number', required: true },
          ]}
          submit={async (values) => {
            const name = values.text('name')
            await put(`${path}/${name}`, { value: Number(values.text('value')) })
            tell(`${name} is set.`)
            reload()
          }}
        />
      )}
    </Section>
  )
}
