import { useState } from 'preact/hooks'

import { path, request } from '../api/client'
import { Heading, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { Form } from '../components/form'
import { tell } from '../components/toasts'
import { vhost } from '../session'

/** A file for the browser to save. */
function save(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}

/** How often the broker is asked how far it is. */
const LOOK_MS = 300

/** Tells how far the import is. Whether it is done is told by its own answer. */
async function look(tell: (share: number) => void): Promise<void> {
  try {
    const { running, done, total } = await request<Import>('/imports')
    if (running && total > 0) {
      tell(done / total)
    }
  } catch {
    // The import itself says what is wrong.
  }
}

interface Import {
  running: boolean
  done: number
  total: number
}

export function Definitions() {
  const [version, setVersion] = useState(0)
  const place = vhost.value === '' ? '/definitions' : path`/definitions/${vhost.value}`
  const what = vhost.value === '' ? 'the whole broker' : `virtual host ${vhost.value}`
  const download = async () => {
    const definitions = await request<unknown>(place)
    const day = new Date().toISOString().slice(0, 10)
    save(JSON.stringify(definitions, null, 2), `amphora-definitions-${day}.json`)
  }
  const take = (file: File) =>
    ask({
      title: `Take in ${file.name}?`,
      text: `What it says of users, permissions, policies, queues, exchanges and bindings of ${what} is added, and replaces what has the same name. Nothing is deleted.`,
      verb: 'Take in',
      action: async (share) => {
        const raw = new Blob([await file.text()], { type: 'application/json' })
        const timer = window.setInterval(() => void look(share), LOOK_MS)
        try {
          await request(place, { method: 'POST', raw })
        } finally {
          window.clearInterval(timer)
        }
        tell('The definitions are taken in.')
        setVersion(version + 1)
      },
    })
  return (
    <>
      <Heading title="Definitions" />
      <p>
        All that there is but messages, as one file in RabbitMQ’s format, of {what}. The choice of the virtual
        host at the top decides.
      </p>
      <Section title="Download">
        <Form fields={[]} verb="Download" submit={download} />
      </Section>
      <Section title="Upload">
        <Form
          key={version}
          fields={[{ name: 'file', label: 'File', type: 'file', required: true }]}
          verb="Upload"
          submit={async (values) => {
            const file = values.file('file')
            if (file) {
              take(file)
            }
            return Promise.resolve()
          }}
        />
      </Section>
    </>
  )
}
