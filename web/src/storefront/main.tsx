import { render } from 'preact'
import '../shared/tokens.css'
import './style.css'
import { readTheme, showTheme } from '../shared/theme'
import { App } from './app'
import { Shop } from './shop'

const root = document.getElementById('app')
if (root) {
  showTheme(readTheme())
  const login = document.querySelector('meta[name="penstock-login"]')?.getAttribute('content') ?? ''
  const shop = new Shop(login)
  render(<App shop={shop} />, root)
  void shop.session.start()
}
