// Who is logged in, and what that user may see.

import { computed, signal } from '@preact/signals'

import { ApiError, post, request, whenLoggedOut } from './api/client'
import type { Whoami } from './api/types'

/** `undefined` until the broker has said, `null` if nobody is. */
export const user = signal<Whoami | null | undefined>(undefined)

/** Why the login page is shown though one had logged in. */
export const notice = signal('')

const VHOST_KEY = 'amphora-vhost'

/** The virtual host that lists are about; all that are open to the user if it is empty. */
export const vhost = signal(sessionStorage.getItem(VHOST_KEY) ?? '')

export function chooseVhost(name: string): void {
  vhost.value = name
  sessionStorage.setItem(VHOST_KEY, name)
}

const has = (...tags: string[]) => computed(() => user.value?.tags.some((tag) => tags.includes(tag)) ?? false)

/** As the broker decides; the pages only leave out what it would refuse. */
export const may = {
  administrate: has('administrator'),
  monitor: has('administrator', 'monitoring'),
  makePolicies: has('administrator', 'policymaker'),
}

whenLoggedOut(() => {
  if (user.value) {
    notice.value = 'The session is over. Please log in again.'
  }
  user.value = null
})

/** Finds out whether there is a session. */
export async function resume(): Promise<void> {
  try {
    user.value = await request<Whoami>('/whoami')
  } catch (error) {
    if (!(error instanceof ApiError)) {
      throw error
    }
    user.value = null
  }
}

export async function login(name: string, password: string): Promise<void> {
  const raw = new URLSearchParams({ username: name, password })
  await request('/login', { method: 'POST', raw })
  user.value = await request<Whoami>('/whoami')
  notice.value = ''
}

export async function logout(): Promise<void> {
  await post('/logout')
  user.value = null
}
