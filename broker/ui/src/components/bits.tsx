// Small things that many pages have.

import type { ComponentChildren } from 'preact'

import type { Json, Table } from '../api/types'

export function ErrorNote({ text }: { text: string }) {
  return text === '' ? null : (
    <p class="note note-error" role="alert">
      {text}
    </p>
  )
}

/** Nothing to show, and why. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>
}

type Tone = 'good' | 'bad' | 'warn' | 'plain'

export function Badge({
  tone = 'plain',
  title,
  children,
}: {
  tone?: Tone
  title?: string
  children: ComponentChildren
}) {
  return (
    <span class={`badge badge-${tone}`} {...(title === undefined ? {} : { title })}>
      {children}
    </span>
  )
}

const TONES: Record<string, Tone> = {
  running: 'good',
  loaded: 'good',
  idle: 'plain',
  flow: 'warn',
  paused: 'warn',
  blocking: 'warn',
  blocked: 'bad',
  closing: 'warn',
  quarantined: 'bad',
  failed: 'bad',
  not_loaded: 'plain',
}

export function State({ name }: { name: string }) {
  return <Badge tone={TONES[name] ?? 'plain'}>{name.replace('_', ' ')}</Badge>
}

/** A figure with a name. */
export function Tile({
  label,
  value,
  hint,
  bad = false,
}: {
  label: string
  value: string
  hint?: string
  bad?: boolean
}) {
  return (
    <div class={bad ? 'tile tile-bad' : 'tile'}>
      <dt>{label}</dt>
      <dd>
        <span class="tile-value">{value}</span>
        {hint !== undefined && <span class="tile-hint">{hint}</span>}
      </dd>
    </div>
  )
}

export function Tiles({ children }: { children: ComponentChildren }) {
  return <dl class="tiles">{children}</dl>
}

/** Names and values, one below the other. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** A value as one would write it. */
export function text(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A table of arguments, on one line if it is in a cell. */
export function Arguments({ table }: { table: Table }) {
  const entries = Object.entries(table)
  if (entries.length === 0) {
    return <span class="quiet">none</span>
  }
  return (
    <ul class="arguments">
      {entries.map(([name, value]) => (
        <li key={name}>
          <span class="quiet">{name}</span> {text(value)}
        </li>
      ))}
    </ul>
  )
}

/** A part of a page with a heading and, to its right, what can be done. */
export function Section({
  title,
  actions,
  children,
}: {
  title: string
  actions?: ComponentChildren
  children: ComponentChildren
}) {
  return (
    <section class="section">
      <div class="section-head">
        <h2>{title}</h2>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </div>
      {children}
    </section>
  )
}

/** The top of a page. */
export function Heading({
  title,
  kind,
  actions,
  children,
}: {
  title: string
  kind?: string | undefined
  actions?: ComponentChildren
  children?: ComponentChildren
}) {
  return (
    <header class="heading">
      <div class="heading-text">
        {kind !== undefined && <p class="kind">{kind}</p>}
        <h1 tabIndex={-1}>{title}</h1>
        {children !== undefined && <div class="heading-badges">{children}</div>}
      </div>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </header>
  )
}
