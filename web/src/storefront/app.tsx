import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { keepLanguage, type Lang, preferred, translator } from '../shared/i18n'
import { readTheme, shownTheme, showTheme } from '../shared/theme'
import { Order } from './pages/order'
import { Orders } from './pages/orders'
import { Sale } from './pages/sale'
import { Sales } from './pages/sales'
import { Why } from './pages/why'
import { Go } from './parts'
import { type Place, pathOf, placeOf } from './route'
import { FrameContext, type Shop, useCell, useFrame } from './shop'
import { en } from './words/en'
import { zh } from './words/zh'

export function App({ shop }: { shop: Shop }) {
  const [lang, setLang] = useState<Lang>(() => preferred(localStorage, navigator.languages))
  const [place, setPlace] = useState<Place>(() => placeOf(location.pathname))
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    const back = () => setPlace(placeOf(location.pathname))
    addEventListener('popstate', back)
    return () => removeEventListener('popstate', back)
  }, [])
  useEffect(() => {
    document.documentElement.lang = lang
    keepLanguage(localStorage, lang)
  }, [lang])
  const frame = useMemo(() => {
    const words = lang === 'en' ? en : zh
    const go = (p: Place) => {
      history.pushState(null, '', pathOf(p))
      setPlace(p)
      scrollTo(0, 0)
      main.current?.focus({ preventScroll: true }) // so that a screen reader hears the new page
    }
    return { shop, lang, words, say: translator(words), go }
  }, [shop, lang])
  return (
    <FrameContext.Provider value={frame}>
      <a class="skip" href="#main">
        {frame.say('skip')}
      </a>
      <Head lang={lang} setLang={setLang} />
      <Notices />
      <main id="main" ref={main} tabIndex={-1}>
        <Page place={place} />
      </main>
    </FrameContext.Provider>
  )
}

function Page({ place }: { place: Place }) {
  const { say, shop } = useFrame()
  const mine = useCell(shop.mine)
  switch (place.at) {
    case 'sales':
      return <Sales />
    case 'sale':
      return <Sale id={place.sale} key={place.sale} />
    case 'nowhere':
      return (
        <>
          <h1>{say('gone')}</h1>
          <p>
            <Go to={{ at: 'sales' }}>{say('back')}</Go>
          </p>
        </>
      )
  }
  if (!mine) return <p>{say('who.need')}</p>
  switch (place.at) {
    case 'why':
      return <Why sale={place.sale} attempt={place.key} />
    case 'orders':
      return <Orders mine={mine} />
    case 'order':
      return <Order mine={mine} id={place.order} key={place.order} />
  }
}

function Head({ lang, setLang }: { lang: Lang; setLang: (l: Lang) => void }) {
  const { say, shop } = useFrame()
  const [theme, setTheme] = useState(readTheme)
  const who = useCell(shop.session.who)
  const other = shownTheme(theme) === 'dark' ? 'light' : 'dark'
  const toggle = () => {
    showTheme(other)
    setTheme(other)
  }
  return (
    <header>
      <nav aria-label={say('shop')}>
        <Go to={{ at: 'sales' }} class="brand">
          Penstock
        </Go>
        <Go to={{ at: 'sales' }}>{say('sales')}</Go>
        <Go to={{ at: 'orders' }} testid="nav-orders">
          {say('orders')}
        </Go>
      </nav>
      <div class="tools">
        <span class="who" data-testid="who" data-value={who?.user ?? ''}>
          {who ? say('who', { user: who.user }) : say('who.none')}
        </span>
        <button type="button" class="plain" data-testid="theme" onClick={toggle}>
          {say(`theme.${other}`)}
        </button>
        <button
          type="button"
          class="plain"
          data-testid="language"
          lang={lang === 'en' ? 'zh-CN' : 'en'}
          onClick={() => setLang(lang === 'en' ? 'zh-CN' : 'en')}
        >
          {say('language')}
        </button>
      </div>
    </header>
  )
}

function Notices() {
  const { say, shop } = useFrame()
  const online = useCell(shop.online)
  const refused = useCell(shop.session.refused)
  return (
    <div role="status" class="notices">
      {!online && (
        <p class="notice warn" data-testid="offline">
          {say('offline')}
        </p>
      )}
      {refused && (
        <p class="notice warn" data-testid="error">
          {say('who.refused')}{' '}
          <button type="button" class="plain" onClick={() => shop.session.leave()}>
            {say('who.leave')}
          </button>
        </p>
      )}
    </div>
  )
}
