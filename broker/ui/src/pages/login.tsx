import { useEffect } from 'preact/hooks'

import { Form } from '../components/form'
import { forget } from '../history'
import { Logo } from '../frame'
import { login, notice } from '../session'

export function Login() {
  useEffect(() => {
    document.title = 'Log in – Amphora'
    document.querySelector('input')?.focus()
    forget()
  }, [])
  return (
    <main class="login">
      <h1>
        <Logo />
        Amphora
      </h1>
      {notice.value !== '' && <p class="note">{notice.value}</p>}
      <Form
        fields={[
          { name: 'username', label: 'User', required: true, autocomplete: 'username' },
          {
            name: 'password',
            label: 'Password',
            type: 'password',
            required: true,
            autocomplete: 'current-password',
          },
        ]}
        verb="Log in"
        submit={(values) => login(values.text('username'), values.text('password'))}
      />
    </main>
  )
}
