// What can be changed of the configuration while the broker runs.

import { useState } from 'preact/hooks'

import { put } from '../api/client'
import { useResource } from '../resource'
import { type Field, FormDialog } from './form'
import { tell } from './toasts'

export type Settings = Record<'log_level' | 'memory_mark' | 'disk_free_limit', string | number>

interface Props {
  title: string
  fields: readonly (Omit<Field, 'name'> & { name: keyof Settings })[]
}

/** A button that shows some settings and changes them. */
export function SettingsButton({ title, fields }: Props) {
  const [isOpen, setIsOpen] = useState(false)
  const { data } = useResource<Settings>(isOpen ? '/settings' : null, 0)
  return (
    <>
      <button type="button" class="small" onClick={() => setIsOpen(true)}>
        {title}
      </button>
      {isOpen && data && (
        <FormDialog
          title={title}
          verb="Change"
          onClose={() => setIsOpen(false)}
          fields={fields.map((field) => ({ ...field, value: String(data[field.name]) }))}
          submit={async (values) => {
            await put('/settings', Object.fromEntries(fields.map(({ name }) => [name, values.text(name)])))
            tell('In force until the configuration’s file says otherwise, or the broker ends.')
          }}
        >
          <p class="quiet">
            This is in force until the configuration’s file says otherwise, or the broker ends.
          </p>
        </FormDialog>
      )}
    </>
  )
}
