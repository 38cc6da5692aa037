// What charts show: figures as they were, for as long as the pages are open.

export interface Sample {
  /** Seconds since 1970. */
  at: number
  values: Record<string, number>
}

/** Ten minutes at the usual pace. */
const SAMPLES_MAX = 120

/** After so many seconds without a sample, a line has a gap. */
const GAP_S = 20

const series = new Map<string, Sample[]>()
const SERIES_MAX = 100

export function record(key: string, values: Record<string, number>): void {
  const samples = series.get(key) ?? []
  series.delete(key)
  samples.push({ at: Date.now() / 1000, values })
  if (samples.length > SAMPLES_MAX) {
    samples.shift()
  }
  series.set(key, samples)
  for (const oldest of series.keys()) {
    if (series.size <= SERIES_MAX) {
      break
    }
    series.delete(oldest)
  }
}

export function samples(key: string): readonly Sample[] {
  return series.get(key) ?? []
}

export function forget(): void {
  series.clear()
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
      return seconds <= 0 || seconds > GAP_S || rise < 0 ? null : rise / seconds
    })
  return [pairs.map(([, after]) => after.at), ...names.map(rateOf)]
}

/** The last rate, if there is one. */
export function lastRate(key: string, name: string): number | null {
  return rates(key, [name])[1]?.at(-1) ?? null
}
