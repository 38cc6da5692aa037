// What charts show: figures as they were, of which the broker tells the past, or as they were seen while the pages are open.

import { signal } from '@preact/signals'

export interface Sample {
  /** Seconds since 1970. */
  at: number
  values: Record<string, number>
}

/** A stretch of the past, and how far apart its moments are, in seconds. */
export interface Range {
  label: string
  age: number
  apart: number
}

const TEN_MINUTES: Range = { label: '10 min', age: 600, apart: 5 }
export const RANGES: readonly Range[] = [
  TEN_MINUTES,
  { label: '1 hour', age: 3600, apart: 60 },
  { label: '1 day', age: 86_400, apart: 600 },
]

/** What the charts show. */
export const range = signal<Range>(TEN_MINUTES)

/** Asks for the past that the charts show. */
export function past(...kinds: readonly ('lengths' | 'msg_rates' | 'data_rates' | 'node_stats')[]): string {
  const { age, apart } = range.value
  return kinds.map((kind) => `${kind}_age=${String(age)}&${kind}_incr=${String(apart)}`).join('&')
}

/** What the broker tells of a figure beside its value. */
export interface Detail {
  rate: number
  samples?: { sample: number; timestamp: number }[]
}

/** A rate over less time than this would jump. */
const LEAST_S = 2

/** Ten minutes at the usual pace. */
const SAMPLES_MAX = 120

/** After so many seconds without a sample, a line has a gap. */
const GAP_S = 20

/** What charts show. */
const series = new Map<string, Sample[]>()

/** Of that, what was seen since the page was opened, where the broker tells what was before. */
const seen = new Map<string, Sample[]>()
const SERIES_MAX = 100

export function record(key: string, values: Record<string, number>): void {
  keep(series, key, append(series.get(key) ?? [], values))
}

function append(samples: readonly Sample[], values: Record<string, number>): Sample[] {
  return [...samples, { at: Date.now() / 1000, values }].slice(-SAMPLES_MAX)
}

/** Of the last ones that were asked for. */
function keep(all: Map<string, Sample[]>, key: string, samples: Sample[]): void {
  all.delete(key)
  all.set(key, samples)
  for (const oldest of all.keys()) {
    if (all.size <= SERIES_MAX) {
      break
    }
    all.delete(oldest)
  }
}

/** Takes the past of figures, and what they are now, from what the broker answered. */
export function fill(key: string, ...answers: readonly object[]): void {
  const moments = new Map<number, Record<string, number>>()
  const now: Record<string, number> = {}
  for (const [name, value] of answers.flatMap((answer) => Object.entries(answer) as [string, unknown][])) {
    if (typeof value === 'number') {
      now[name] = value
    } else if (name.endsWith('_details')) {
      const figure = name.slice(0, -'_details'.length)
      for (const { sample, timestamp } of (value as Detail).samples ?? []) {
        const moment = moments.get(timestamp) ?? {}
        moments.set(timestamp, { ...moment, [figure]: sample })
      }
    }
  }
  const told = [...moments].sort(([a], [b]) => a - b).map(([ms, values]) => ({ at: ms / 1000, values }))
  const own = append(seen.get(key) ?? [], now)
  keep(seen, key, own)
  // What was seen here is closer together than what the broker keeps of an hour or a day.
  const from = range.value === TEN_MINUTES ? (own[0]?.at ?? 0) : (own.at(-1)?.at ?? 0)
  const before = told.filter(({ at }) => at < from - LEAST_S)
  keep(series, key, [...before, ...own.filter(({ at }) => at >= from)])
}

export function samples(key: string): readonly Sample[] {
  return series.get(key) ?? []
}

export function forget(): void {
  series.clear()
  seen.clear()
}

/** The values themselves, one list for each name, beside their times. */
export function levels(key: string, names: readonly string[]): [number[], ...(number | null)[][]] {
  const all = samples(key)
  return [all.map(({ at }) => at), ...names.map((name) => all.map(({ values }) => values[name] ?? null))]
}

/** How fast counters rise, per second, between each two samples. A counter that fell was set back: there is no rate there. */
export function rates(key: string, names: readonly string[]): [number[], ...(number | null)[][]] {
  const all = samples(key)
  const pairs = all.slice(1).map((after, index) => [all[index] ?? after, after] as const)
  const rateOf = (name: string) =>
    pairs.map(([before, after]) => {
      const seconds = after.at - before.at
      const rise = (after.values[name] ?? 0) - (before.values[name] ?? 0)
      return seconds <= 0 || seconds > Math.max(GAP_S, 3 * range.value.apart) || rise < 0
        ? null
        : rise / seconds
    })
  return [pairs.map(([, after]) => after.at), ...names.map(rateOf)]
}
