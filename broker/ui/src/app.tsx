// The frame around all pages: who is logged in, where one can go, and what is the matter.

import type { FunctionComponent } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { reason } from './api/client'
import { Heading } from './components/bits'
import { Questions } from './components/dialog'
import { tellError, Toasts } from './components/toasts'
import { Header, Navigation } from './frame'
import { Channel, Channels } from './pages/channels'
import { Connection, Connections } from './pages/connections'
import { Consumers } from './pages/consumers'
import { Definitions } from './pages/definitions'
import { Delayed } from './pages/delayed'
import { ExchangePage } from './pages/exchange'
import { Exchanges } from './pages/exchanges'
import { Login } from './pages/login'
import { Logs } from './pages/logs'
import { OverviewPage } from './pages/overview'
import { PluginPage } from './pages/plugin'
import { Plugins } from './pages/plugins'
import { Policies } from './pages/policies'
import { QueuePage } from './pages/queue'
import { Queues } from './pages/queues'
import { RoutePage } from './pages/route'
import { UserPage, Users } from './pages/users'
import { VhostPage, Vhosts } from './pages/vhosts'
import { place } from './router'
import { resume, user } from './session'

/** Pages by the first segment of their address, and by how many follow. */
const PAGES: Record<string, FunctionComponent<{ args: string[] }>[]> = {
  '': [OverviewPage],
  connections: [Connections, Connection],
  channels: [Channels, Channel],
  consumers: [Consumers],
  exchanges: [Exchanges, Nowhere, ExchangePage],
  queues: [Queues, Nowhere, QueuePage],
  delayed: [Delayed],
  route: [RoutePage],
  plugins: [Plugins, PluginPage],
  users: [Users, UserPage],
  vhosts: [Vhosts, VhostPage],
  policies: [Policies],
  definitions: [Definitions],
  logs: [Logs],
}

export function App() {
  useEffect(() => {
    resume().catch((error: unknown) => {
      user.value = null
      tellError(reason(error))
    })
  }, [])
  if (user.value === undefined) {
    return <Toasts />
  }
  return (
    <>
      {user.value === null ? <Login /> : <Frame />}
      <Questions />
      <Toasts />
    </>
  )
}

function Frame() {
  const { segments } = place.value
  const [first = '', ...args] = segments
  const Shown = PAGES[first]?.[args.length] ?? Nowhere
  const key = segments.join('/')

  // A new page is read from its heading on; the first one from the top.
  const isFirst = useRef(true)
  useEffect(() => {
    const heading = document.querySelector('h1')
    document.title = heading?.textContent ? `${heading.textContent} – Amphora` : 'Amphora'
    if (!isFirst.current) {
      heading?.focus({ preventScroll: true })
      window.scrollTo(0, 0)
    }
    isFirst.current = false
  }, [key])

  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector('h1')?.focus()}>
        Skip to content
      </button>
      <Header />
      <div class="columns">
        <Navigation current={first} />
        <main id="main">
          <Shown key={key} args={args} />
        </main>
      </div>
    </>
  )
}

function Nowhere() {
  return (
    <>
      <Heading title="Not found" />
      <p>
        There is no such page. <a href="#/">Go to the overview</a>.
      </p>
    </>
  )
}
