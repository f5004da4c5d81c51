import { App, ConfigProvider, theme } from 'antd'
import enUS from 'antd/locale/en_US'
import zhCN from 'antd/locale/zh_CN'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { keepLanguage, type Lang, preferred } from '../../shared/i18n'
import { readTheme, shownTheme, showTheme } from '../../shared/theme'
import { SpeechContext, speech } from '../text'
import { nonce } from './nonce'

export type Shade = 'light' | 'dark'

interface Settings {
  lang: Lang
  shade: Shade
  setLang: (l: Lang) => void
  setShade: (s: Shade) => void
}

const SettingsContext = createContext<Settings>({ lang: 'en', shade: 'light', setLang: () => {}, setShade: () => {} })
export const useSettings = (): Settings => useContext(SettingsContext)

const type = { fontFamily: 'var(--sans)', fontFamilyCode: 'var(--mono)', borderRadius: 8 }
// The components compute with colours, so these stand for tokens.css.
const day = {
  colorPrimary: '#0b6e63',
  colorLink: '#0b6e63',
  colorError: '#c0262d',
  colorTextDescription: '#55625f',
  colorTextPlaceholder: '#66736f',
}
const night = {
  colorPrimary: '#40bba9',
  colorLink: '#4cc3b1',
  colorError: '#ff9d9a',
  colorTextLightSolid: '#021512', // on the bright fills of the night
  colorBgBase: '#101514',
  colorTextDescription: '#a3b1ad',
  colorTextPlaceholder: '#8b9995',
}

/** Language and shade for everything below, kept from one visit to the next. */
export function SettingsProvider({ children }: { children: ReactNode }) {
  const [lang, setLang] = useState<Lang>(() => preferred(localStorage, navigator.languages))
  const [shade, setShade] = useState<Shade>(() => shownTheme(readTheme()))
  useEffect(() => {
    document.documentElement.lang = lang
  }, [lang])
  const chooseLang = useCallback((l: Lang) => {
    keepLanguage(localStorage, l)
    setLang(l)
  }, [])
  const chooseShade = useCallback((s: Shade) => {
    showTheme(s)
    setShade(s)
  }, [])
  const settings = useMemo(() => ({ lang, shade, setLang: chooseLang, setShade: chooseShade }), [lang, shade, chooseLang, chooseShade])
  const said = useMemo(() => speech(lang), [lang])
  const look = useMemo(
    () => ({
      algorithm: shade === 'dark' ? theme.darkAlgorithm : theme.defaultAlgorithm,
      token: { ...type, ...(shade === 'dark' ? night : day), motion: !matchMedia('(prefers-reduced-motion: reduce)').matches },
    }),
    [shade],
  )
  return (
    <SettingsContext value={settings}>
      <SpeechContext value={said}>
        <ConfigProvider csp={{ nonce: nonce() }} locale={lang === 'zh-CN' ? zhCN : enUS} theme={look} button={{ autoInsertSpace: false }}>
          <App component={false}>{children}</App>
        </ConfigProvider>
      </SpeechContext>
    </SettingsContext>
  )
}
