// The bar at the top and the navigation.

import { Menu, Moon, Sun, SunMoon, TriangleAlert } from 'lucide-preact'
import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import type { Node, Overview, Vhost } from './api/types'
import { attempt } from './components/toasts'
import { fill, past } from './history'
import { useResource } from './resource'
import { place, to } from './router'
import { chooseVhost, logout, may, user, vhost } from './session'
import { choose, theme, type Theme } from './theme'

/** The last answers, for all that is on the page. */
export const overview = signal<Overview | undefined>(undefined)
export const node = signal<Node | undefined>(undefined)

const menuIsOpen = signal(false)

interface Entry {
  to: string
  title: string
  when?: () => boolean
}

const ENTRIES: { title: string; entries: Entry[] }[] = [
  { title: '', entries: [{ to: '', title: 'Overview' }] },
  {
    title: 'Messages',
    entries: [
      { to: 'queues', title: 'Queues' },
      { to: 'exchanges', title: 'Exchanges' },
      { to: 'route', title: 'Route dry run' },
      { to: 'delayed', title: 'Delayed' },
    ],
  },
  {
    title: 'Clients',
    entries: [
      { to: 'connections', title: 'Connections' },
      { to: 'channels', title: 'Channels' },
      { to: 'consumers', title: 'Consumers' },
    ],
  },
  {
    title: 'Administration',
    entries: [
      { to: 'plugins', title: 'Plugins', when: () => may.monitor.value },
      { to: 'policies', title: 'Policies' },
      { to: 'users', title: 'Users', when: () => may.administrate.value },
      { to: 'vhosts', title: 'Virtual hosts' },
      { to: 'definitions', title: 'Definitions', when: () => may.administrate.value },
      { to: 'logs', title: 'Log', when: () => may.monitor.value },
    ],
  },
]

export function Header() {
  useResource<Overview>(`/overview?${past('msg_rates', 'lengths')}`, undefined, (data) => {
    overview.value = data
    fill('overview', data.message_stats, data.queue_totals, data.object_totals)
  })
  useResource<Node[]>(may.monitor.value ? `/nodes?${past('node_stats')}` : null, undefined, ([data]) => {
    node.value = data
    if (data) {
      fill('node', data)
    }
  })
  const vhosts = useResource<Vhost[]>('/vhosts?columns=name', 30_000)
  const names = vhosts.data?.map(({ name }) => name) ?? []
  const chosen = vhost.value
  useEffect(() => {
    if (vhosts.data && chosen !== '' && !vhosts.data.some(({ name }) => name === chosen)) {
      chooseVhost('')
    }
  }, [vhosts.data, chosen])
  return (
    <header class="top">
      <button
        type="button"
        class="icon-button menu-button"
        aria-label="Navigation"
        aria-expanded={menuIsOpen.value}
        aria-controls="navigation"
        onClick={() => (menuIsOpen.value = !menuIsOpen.value)}
      >
        <Menu aria-hidden="true" />
      </button>
      <a class="brand" href={to()} aria-label="Amphora, overview">
        <Logo />
        <span class="brand-name">Amphora</span>
      </a>
      <span class="cluster quiet" title="Cluster name">
        {overview.value?.cluster_name}
      </span>
      <Alarms />
      <span class="spacer" />
      <label class="vhost-choice">
        <span class="quiet" aria-hidden="true">
          Virtual host
        </span>
        <select
          aria-label="Virtual host"
          value={chosen}
          onChange={(event) => chooseVhost(event.currentTarget.value)}
        >
          <option value="">All</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <ThemeSwitch />
      <span class="who">
        <span class="who-name" title={user.value?.tags.join(', ')}>
          {user.value?.name}
        </span>
        <button type="button" class="small" onClick={() => void attempt(logout, 'Logged out.')}>
          Log out
        </button>
      </span>
    </header>
  )
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M12 3h8M13 3v5c0 2-5 4-5 10 0 5 4 9 6 11h4c2-2 6-6 6-11 0-6-5-8-5-10V3M13 6C8 5 6 8 8.500 12M19 6c5-1 7 2 4.500 6M11 29h10" />
    </svg>
  )
}

function Alarms() {
  const { mem_alarm: memory = false, disk_free_alarm: disk = false } = node.value ?? {}
  if (!memory && !disk) {
    return null
  }
  return (
    <span class="alarm" role="alert">
      <TriangleAlert aria-hidden="true" />
      {[memory && 'Memory alarm', disk && 'Disk alarm'].filter(Boolean).join(', ')}: publishers are blocked
    </span>
  )
}

const NEXT: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' }

function ThemeSwitch() {
  const Icon = { system: SunMoon, dark: Moon, light: Sun }[theme.value]
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={`Colours: ${theme.value}. Change to ${NEXT[theme.value]}.`}
      title={`Colours: ${theme.value}`}
      onClick={() => choose(NEXT[theme.value])}
    >
      <Icon aria-hidden="true" />
    </button>
  )
}

export function Navigation({ current }: { current: string }) {
  const address = place.value.segments.join('/')
  useEffect(() => {
    menuIsOpen.value = false
  }, [address])
  return (
    <nav id="navigation" class={menuIsOpen.value ? 'side open' : 'side'} aria-label="Pages of the broker">
      {ENTRIES.map(({ title, entries }) => (
        <div key={title} class="side-group">
          {title !== '' && <p class="side-title">{title}</p>}
          <ul>
            {entries
              .filter(({ when }) => when?.() ?? true)
              .map((entry) => (
                <li key={entry.to}>
                  <a
                    href={entry.to === '' ? to() : to(entry.to)}
                    aria-current={entry.to === current ? 'page' : undefined}
                  >
                    {entry.title}
                  </a>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </nav>
  )
}
