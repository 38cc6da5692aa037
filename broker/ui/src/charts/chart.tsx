// A chart of lines over time.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

import { isDark } from '../theme'

export interface Line {
  label: string
  /** A variable of the style sheet. */
  colour: string
}

interface Props {
  title: string
  lines: readonly Line[]
  data: uPlot.AlignedData
  format: (value: number) => string
  /** A line across: what must not be reached. */
  limit?: number | undefined
}

const HEIGHT = 180

/** Fewer values make no line that one sees. */
const LONE = 3

/** What is drawn is told in words below it: the last value of each line. */
export function Chart({ title, lines, data, format, limit }: Props) {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const dark = isDark.value
  const names = lines.map(({ label }) => label).join('\n')

  useEffect(() => {
    const element = holder.current
    if (!element) {
      return
    }
    const created = new uPlot(options(element, lines, format, limit), [[], ...lines.map(() => [])], element)
    plot.current = created
    const observer = new ResizeObserver(() => {
      created.setSize({ width: element.clientWidth, height: HEIGHT })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      created.destroy()
      plot.current = null
    }
    // The lines are the same while their names are.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [dark, names, limit])

  useEffect(() => {
    plot.current?.setData(data, false)
    plot.current?.setScale('x', span(data[0]))
  }, [data, dark, names, limit])

  const last = (index: number) => (data[index + 1] as (number | null)[] | undefined)?.at(-1) ?? null
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={holder} class="chart-plot" aria-hidden="true" />
      <dl class="legend">
        {lines.map(({ label, colour }, index) => {
          const value = last(index)
          return (
            <div key={label}>
              <dt>
                <svg viewBox="0 0 10 10" aria-hidden="true">
                  <circle cx="5" cy="5" r="5" fill={`var(${colour})`} />
                </svg>
                {label}
              </dt>
              <dd data-value={value ?? ''}>{value === null ? '–' : format(value)}</dd>
            </div>
          )
        })}
      </dl>
    </figure>
  )
}

function options(
  element: HTMLElement,
  lines: readonly Line[],
  format: Props['format'],
  limit: number | undefined,
): uPlot.Options {
  const style = getComputedStyle(element)
  const variable = (name: string) => style.getPropertyValue(name).trim()
  const axis = {
    stroke: variable('--text-quiet'),
    grid: { stroke: variable('--line'), width: 1 },
    ticks: { show: false },
    font: `11px ${style.fontFamily}`,
  }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, Math.max(1, max || 0, limit ?? 0) * 1.1] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 6,
        space: 80,
        values: (_, splits) => splits.map((moment) => clock(moment, splits)),
      },
      { ...axis, size: 62, space: 34, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...lines.map(({ label, colour }) => ({
        label,
        stroke: variable(colour),
        width: 2,
        points: { size: 5, show: (plot: uPlot) => plot.data[0].length < LONE },
        spanGaps: false,
      })),
    ],
    hooks: limit === undefined ? {} : { draw: [(plot) => drawLimit(plot, limit, variable('--danger'))] },
  }
}

/** The time of day, with seconds where moments are close. */
function clock(moment: number, all: number[]): string {
  const isClose = (all[1] ?? 0) - (all[0] ?? 0) < 60
  const time = new Date(moment * 1000)
  const parts = [time.getHours(), time.getMinutes(), ...(isClose ? [time.getSeconds()] : [])]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** At least a minute, up to now if there is nothing yet. */
function span(times: ArrayLike<number>): { min: number; max: number } {
  const max = times[times.length - 1] ?? Date.now() / 1000
  return { min: Math.min(times[0] ?? max, max - 60), max }
}

function drawLimit(plot: uPlot, limit: number, colour: string): void {
  const { ctx, bbox } = plot
  const y = Math.round(plot.valToPos(limit, 'y', true))
  ctx.save()
  ctx.strokeStyle = colour
  ctx.setLineDash([6, 6])
  ctx.beginPath()
  ctx.moveTo(bbox.left, y)
  ctx.lineTo(bbox.left + bbox.width, y)
  ctx.stroke()
  ctx.restore()
}
