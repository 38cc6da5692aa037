// Tables: of what is at hand, and of what the broker pages, sorts and filters.

import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight, Search } from 'lucide-preact'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'

import type { Page } from '../api/types'
import { count } from '../format'
import { type Resource, useResource } from '../resource'
import { place, setQuery } from '../router'
import { Empty, ErrorNote } from './bits'

export interface Column<T> {
  title: string
  cell: (item: T) => ComponentChildren
  /** What the broker sorts by. */
  sort?: string
  numeric?: boolean
  /** Left out on narrow screens. */
  minor?: boolean
}

interface TableProps<T> {
  caption: string
  columns: readonly Column<T>[]
  items: readonly T[]
  keyOf: (item: T) => string
  sort?: { by: string; reverse: boolean; onSort: (by: string) => void }
}

export function Table<T>({ caption, columns, items, keyOf, sort }: TableProps<T>) {
  // What can be done with a row is at its end, like numbers.
  const classOf = ({ title, numeric = title === '', minor = false }: Column<T>) =>
    [numeric ? 'numeric' : '', minor ? 'minor' : ''].join(' ').trim()
  return (
    <div class="table-holder" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.title} column={column} sort={sort} class={classOf(column)} />
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.title} scope="row" class={classOf(column)}>
                    {column.cell(item)}
                  </th>
                ) : (
                  <td key={column.title} class={classOf(column)}>
                    {column.cell(item)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Head<T>({
  column,
  sort,
  class: classes,
}: {
  column: Column<T>
  sort: TableProps<T>['sort']
  class: string
}) {
  const { title, sort: by } = column
  if (!sort || by === undefined) {
    return (
      <th scope="col" class={classes}>
        {title === '' ? <span class="unseen">Actions</span> : title}
      </th>
    )
  }
  const active = sort.by === by
  const order = active ? (sort.reverse ? 'descending' : 'ascending') : 'none'
  return (
    <th scope="col" class={classes} aria-sort={order}>
      <button type="button" class="sort" onClick={() => sort.onSort(by)}>
        {title}
        {active && (sort.reverse ? <ArrowDown aria-hidden="true" /> : <ArrowUp aria-hidden="true" />)}
      </button>
    </th>
  )
}

interface PagedProps<T> extends Omit<TableProps<T>, 'items' | 'sort'> {
  /** The path of the list. */
  path: string
  empty: string
  /** The columns to ask for; all if none are given. */
  columnsAsked?: string
  /** Sorted by this at first. */
  sortBy: string
  pageSize?: number
  /** Whether one can look for names: the items have some. */
  filters?: boolean
  onData?: (items: T[]) => void
  /** Asks at once when it changes. */
  version?: number
}

const PAGE_SIZE = 50

/** A list that the broker pages, sorts and filters; where one is in it is part of the address. */
export function PagedTable<T>({
  path,
  empty,
  columnsAsked,
  sortBy,
  pageSize = PAGE_SIZE,
  filters = true,
  onData,
  version = 0,
  ...table
}: PagedProps<T>) {
  const query = place.value.query
  const page = Number(query.get('page') ?? '1') || 1
  const by = query.get('sort') ?? sortBy
  const reverse = query.get('reverse') === 'true'
  const name = query.get('name') ?? ''
  const isRegex = query.get('regex') === 'true'
  const asked = new URLSearchParams({
    page: String(page),
    page_size: String(pageSize),
    sort: by,
    sort_reverse: String(reverse),
    name,
    use_regex: String(isRegex),
    ...(columnsAsked === undefined ? {} : { columns: columnsAsked }),
  })
  const resource = useResource<Page<T>>(`${path}?${asked.toString()}`, undefined, ({ items }) =>
    onData?.(items),
  )
  const { reload } = resource
  useEffect(() => {
    if (version > 0) {
      reload()
    }
  }, [version, reload])
  // There were more when the page was chosen.
  const isBeyond = page > 1 && resource.error.startsWith('Page out of range')
  useEffect(() => {
    if (isBeyond) {
      setQuery({ page: undefined })
    }
  }, [isBeyond])
  // Of numbers, the largest are looked for.
  const isNumeric = (column: string) => table.columns.some(({ sort, numeric }) => sort === column && numeric)
  const onSort = (column: string) => {
    const next = by === column ? !reverse : isNumeric(column)
    setQuery({ sort: column, reverse: next ? 'true' : undefined, page: undefined })
  }
  return (
    <>
      {filters && <Filter name={name} isRegex={isRegex} resource={resource} />}
      <ErrorNote text={resource.error} />
      {resource.data?.items.length === 0 && <Empty>{name === '' ? empty : 'No name contains that.'}</Empty>}
      {resource.data && resource.data.items.length > 0 && (
        <>
          <Table {...table} items={resource.data.items} sort={{ by, reverse, onSort }} />
          <Pages page={page} count={resource.data.page_count} />
        </>
      )}
    </>
  )
}

const TYPING_MS = 300

function Filter<T>({
  name,
  isRegex,
  resource,
}: {
  name: string
  isRegex: boolean
  resource: Resource<Page<T>>
}) {
  const [text, setText] = useState(name)
  const id = useId()
  useEffect(() => {
    const timer = setTimeout(() => {
      if (text !== name) {
        setQuery({ name: text, page: undefined })
      }
    }, TYPING_MS)
    return () => clearTimeout(timer)
  }, [text, name])
  const { data } = resource
  const found = data?.filtered_count ?? data?.total_count
  return (
    <form class="filter" role="search" onSubmit={(event) => event.preventDefault()}>
      <label for={id} class="unseen">
        Filter by name
      </label>
      <span class="filter-input">
        <Search aria-hidden="true" />
        <input
          id={id}
          type="search"
          placeholder="Filter by name"
          value={text}
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </span>
      <label class="inline">
        <input
          type="checkbox"
          checked={isRegex}
          onChange={(event) =>
            setQuery({ regex: event.currentTarget.checked ? 'true' : undefined, page: undefined })
          }
        />
        Regex
      </label>
      <span class="quiet filter-count" aria-live="polite">
        {data &&
          (found === data.total_count ? count(found) : `${count(found)} of ${count(data.total_count)}`)}
      </span>
    </form>
  )
}

function Pages({ page, count: pages }: { page: number; count: number }) {
  if (pages <= 1) {
    return null
  }
  const turn = (to: number) => setQuery({ page: to === 1 ? undefined : String(to) })
  return (
    <nav class="pages" aria-label="Pages">
      <button
        type="button"
        class="icon-button"
        aria-label="Previous page"
        disabled={page <= 1}
        onClick={() => turn(page - 1)}
      >
        <ChevronLeft aria-hidden="true" />
      </button>
      <span>
        Page {count(page)} of {count(pages)}
      </span>
      <button
        type="button"
        class="icon-button"
        aria-label="Next page"
        disabled={page >= pages}
        onClick={() => turn(page + 1)}
      >
        <ChevronRight aria-hidden="true" />
      </button>
    </nav>
  )
}
