// What is in a queue or stream: look at it, and move, republish or delete what one picks.

import { useState } from 'preact/hooks'

import type { Message, Queue } from '../api/types'
import { path, post, request } from '../api/client'
import { Badge, Empty, ErrorNote, Section } from '../components/bits'
import { ask } from '../components/dialog'
import { FormDialog } from '../components/form'
import { tell } from '../components/toasts'
import { reason } from '../api/client'
import { count, plural } from '../format'
import { deathsOf, type Destination, originOf, queueOf } from './death'
import { MessageView } from './message'

interface Props {
  queue: Queue
  onChange: () => void
}

interface Found {
  items: Message[]
  /** Where to go on in a stream; nothing at the end. */
  next: number | null
}

/** Bytes of each body that are shown. */
const TRUNCATE = 50_000

export function Browser({ queue, onChange }: Props) {
  const isStream = queue.type === 'stream'
  const [found, setFound] = useState<Found | null>(null)
  const [error, setError] = useState('')
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set())
  const [size, setSize] = useState('20')
  const [offset, setOffset] = useState('first')
  const place = path`/queues/${queue.vhost}/${queue.name}/messages`

  const look = async (from: string) => {
    const query = new URLSearchParams({ count: size, truncate: String(TRUNCATE) })
    if (isStream) {
      query.set('offset', from)
    }
    setError('')
    try {
      setFound(await request<Found>(`${place}?${query.toString()}`))
      setPicked(new Set())
    } catch (failure) {
      setError(reason(failure))
    }
  }
  const afterChange = () => {
    onChange()
    void look(offset)
  }
  const all = found?.items ?? []
  const chosen = all.filter(({ position }) => picked.has(position))
  const pick = (position: number, isPicked: boolean) => {
    const next = new Set(picked)
    if (isPicked) {
      next.add(position)
    } else {
      next.delete(position)
    }
    setPicked(next)
  }
  return (
    <Section title="Messages">
      <form
        class="row-form"
        onSubmit={(event) => {
          event.preventDefault()
          void look(offset)
        }}
      >
        {isStream && (
          <label>
            From
            <input
              value={offset}
              list="stream-offsets"
              spellcheck={false}
              title="first, last, an offset, how many from the end as a negative number, or an age such as 1h"
              onInput={(event) => setOffset(event.currentTarget.value)}
            />
            <datalist id="stream-offsets">
              <option value="first" />
              <option value="last" />
              <option value="-20" />
              <option value="1h" />
            </datalist>
          </label>
        )}
        <label>
          Messages
          <select value={size} onChange={(event) => setSize(event.currentTarget.value)}>
            {['1', '20', '100', '500'].map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <button type="submit">{found ? 'Look again' : 'Look'}</button>
        {isStream && found?.next !== null && found !== null && (
          <button
            type="button"
            onClick={() => {
              setOffset(String(found.next))
              void look(String(found.next))
            }}
          >
            Next {size}
          </button>
        )}
        <span class="quiet">
          {isStream ? 'Reading a stream changes nothing.' : 'Looking takes nothing out of the queue.'}
        </span>
      </form>
      <ErrorNote text={error} />
      {found && all.length === 0 && <Empty>There is nothing to see.</Empty>}
      {all.length > 0 && !isStream && (
        <Picked
          queue={queue}
          place={place}
          all={all}
          chosen={chosen}
          onPick={setPicked}
          onDone={afterChange}
        />
      )}
      <ol class="messages">
        {all.map((message) => (
          <li key={message.position}>
            {!isStream && (
              <input
                type="checkbox"
                aria-label={`Select message ${message.position}`}
                checked={picked.has(message.position)}
                onChange={(event) => pick(message.position, event.currentTarget.checked)}
              />
            )}
            <MessageView message={message} isStream={isStream} />
          </li>
        ))}
      </ol>
    </Section>
  )
}

interface PickedProps {
  queue: Queue
  place: string
  all: Message[]
  chosen: Message[]
  onPick: (positions: ReadonlySet<number>) => void
  onDone: () => void
}

/** What can be done with the messages that were picked. */
function Picked({ queue, place, all, chosen, onPick, onDone }: PickedProps) {
  const [moving, setMoving] = useState(false)
  const haveDied = chosen.length > 0 && chosen.every((message) => deathsOf(message).length > 0)
  const isAll = chosen.length === all.length

  const move = async (messages: Message[], to: (message: Message) => Destination) => {
    let moved = 0
    for (const [destination, positions] of byDestination(messages, to)) {
      const answer = await post<{ moved: number }>(`${place}/move`, { positions, ...destination })
      moved += answer.moved
    }
    const gone = messages.length - moved
    tell(`Moved ${count(moved)}.${gone > 0 ? ` ${count(gone)} were no longer there.` : ''}`)
    onDone()
  }
  const republish = (title: string, text: string, to: (message: Message) => Destination) =>
    ask({ title, text, verb: 'Republish', action: () => move(chosen, to) })
  const drop = () =>
    ask({
      title: `Delete ${plural(chosen.length, 'message')}?`,
      text: `They are taken out of ${queue.name} for good, and go to no dead-letter exchange.`,
      verb: 'Delete messages',
      action: async () => {
        const positions = chosen.map(({ position }) => position)
        const { deleted } = await post<{ deleted: number }>(`${place}/delete`, { positions })
        tell(`Deleted ${count(deleted)}.`)
        onDone()
      },
    })
  return (
    <div class="picked">
      <label class="inline">
        <input
          type="checkbox"
          checked={isAll}
          onChange={() => onPick(new Set(isAll ? [] : all.map(({ position }) => position)))}
        />
        All
      </label>
      <Badge>{count(chosen.length)} selected</Badge>
      <div class="actions">
        {haveDied && (
          <>
            <button
              type="button"
              class="small"
              onClick={() =>
                republish(
                  'Republish to where they died?',
                  'Each goes back into the queue that it died in, and is taken out of this one when it is safe there.',
                  queueOf,
                )
              }
            >
              Back to their queue
            </button>
            <button
              type="button"
              class="small"
              onClick={() =>
                republish(
                  'Republish as at first?',
                  'Each is published again to the exchange and with the key that it was first published with.',
                  originOf,
                )
              }
            >
              To their exchange
            </button>
          </>
        )}
        <button type="button" class="small" disabled={chosen.length === 0} onClick={() => setMoving(true)}>
          Move…
        </button>
        <button type="button" class="small danger" disabled={chosen.length === 0} onClick={drop}>
          Delete
        </button>
      </div>
      {moving && (
        <FormDialog
          title={`Move ${plural(chosen.length, 'message')}`}
          verb="Move"
          onClose={() => setMoving(false)}
          fields={[
            {
              name: 'exchange',
              label: 'Exchange',
              hint: 'Leave it empty to name a queue as the routing key.',
            },
            {
              name: 'key',
              label: 'Routing key',
              hint: 'Leave it empty to keep each message’s own.',
            },
          ]}
          submit={(values) => {
            const [exchange, key] = [values.text('exchange'), values.text('key')]
            return move(chosen, (message) => ({ exchange, routing_key: key || message.routing_key }))
          }}
        />
      )}
    </div>
  )
}

/** The positions of the messages that go to the same place. */
function byDestination(
  messages: Message[],
  to: (message: Message) => Destination,
): [Destination, number[]][] {
  const groups = new Map<string, [Destination, number[]]>()
  for (const message of messages) {
    const destination = to(message)
    const key = JSON.stringify(destination)
    const group = groups.get(key) ?? [destination, []]
    group[1].push(message.position)
    groups.set(key, group)
  }
  return [...groups.values()]
}
