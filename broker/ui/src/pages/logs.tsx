import { useRef, useState } from 'preact/hooks'

import type { LogLine } from '../api/types'
import { Badge, Empty, ErrorNote, Heading } from '../components/bits'
import { SettingsButton } from '../components/settings'
import { useResource } from '../resource'
import { may } from '../session'

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace']
const LINES_MAX = 2000

interface News {
  lines: LogLine[]
  /** What to ask for next. */
  next: number
}

export function Logs() {
  const [lines, setLines] = useState<LogLine[]>([])
  const [since, setSince] = useState(0)
  const [level, setLevel] = useState('trace')
  const [words, setWords] = useState('')
  const [isHeld, setIsHeld] = useState(false)
  const asked = useRef(since)
  const { error } = useResource<News>(isHeld ? null : `/logs?since=${since}`, 2000, (news) => {
    if (news.lines.length > 0 || news.next !== asked.current) {
      asked.current = news.next
      setLines((before) => [...before, ...news.lines].slice(-LINES_MAX))
      setSince(news.next)
    }
  })
  const most = LEVELS.indexOf(level)
  const wanted = words.toLowerCase()
  const shown = lines.filter(
    (line) =>
      LEVELS.indexOf(line.level) <= most &&
      `${line.target ?? ''} ${line.text}`.toLowerCase().includes(wanted),
  )
  return (
    <>
      <Heading
        title="Log"
        actions={
          may.administrate.value && (
            <SettingsButton
              title="Change level"
              fields={[
                {
                  name: 'log_level',
                  label: 'Level',
                  required: true,
                  suggestions: LEVELS,
                  hint: 'Of all, or of parts: info,amphora::management=debug',
                },
              ]}
            />
          )
        }
      />
      <form class="row-form" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          From level
          <select value={level} onChange={(event) => setLevel(event.currentTarget.value)}>
            {LEVELS.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <label>
          With the words
          <input type="search" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        </label>
        <button type="button" aria-pressed={isHeld} onClick={() => setIsHeld(!isHeld)}>
          {isHeld ? 'Go on' : 'Hold'}
        </button>
      </form>
      <ErrorNote text={error} />
      {shown.length === 0 ? <Empty>No line yet.</Empty> : <LogLines lines={shown.toReversed()} />}
    </>
  )
}

const TONES = { error: 'bad', warn: 'warn' } as const
const clock = new Intl.DateTimeFormat('en-GB', {
  day: '2-digit',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

export function LogLines({ lines }: { lines: readonly LogLine[] }) {
  return (
    <ol class="log" tabIndex={0} aria-label="Lines of the log">
      {lines.map(({ at, level, text, target, number }, index) => (
        <li key={number ?? index}>
          <time>{clock.format(at)}</time>
          <Badge tone={level === 'error' || level === 'warn' ? TONES[level] : 'plain'}>{level}</Badge>
          {target !== undefined && <span class="quiet log-target">{target}</span>}
          <span class="log-text">{text}</span>
        </li>
      ))}
    </ol>
  )
}
