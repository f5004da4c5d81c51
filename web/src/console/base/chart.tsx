import { LineChart } from 'echarts/charts'
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from 'echarts/components'
import { type ECharts, init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { useEffect, useRef } from 'react'
import { useText } from '../text'
import { count } from './format'
import { useSettings } from './settings'

use([LineChart, GridComponent, LegendComponent, TooltipComponent, AriaComponent, CanvasRenderer])

export interface Curve {
  name: string
  colour: string
  points: readonly (readonly [number, number])[]
  area?: boolean
}

/** Curves over time. Its height is fixed, so that nothing moves when figures come. */
export function Chart({
  label,
  curves,
  height = 220,
  unit = '',
  step = false,
}: {
  label: string
  curves: Curve[]
  height?: number
  unit?: string
  step?: boolean
}) {
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<ECharts | null>(null)
  const { shade } = useSettings()
  const { lang } = useText()
  useEffect(() => {
    const el = box.current
    if (!el) return
    const c = init(el, null, { renderer: 'canvas' })
    chart.current = c
    const size = new ResizeObserver(() => c.resize())
    size.observe(el)
    return () => {
      size.disconnect()
      c.dispose()
      chart.current = null
    }
  }, [])
  useEffect(() => {
    const ink = shade === 'dark' ? '#a6adb8' : '#5b6472'
    const rule = shade === 'dark' ? '#2a303a' : '#e6e9ee'
    chart.current?.setOption(
      {
        animation: false,
        textStyle: { color: ink, fontFamily: 'system-ui, "Noto Sans CJK SC", sans-serif' },
        grid: { left: 8, right: 12, top: 34, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
        legend: { top: 0, left: 0, icon: 'roundRect', itemWidth: 12, itemHeight: 4, textStyle: { color: ink } },
        tooltip: {
          trigger: 'axis',
          renderMode: 'richText',
          confine: true, // drawn on the canvas: no style attributes, which the page's policy refuses
          backgroundColor: shade === 'dark' ? '#1b2028' : '#fff',
          borderColor: rule,
          textStyle: { color: ink },
          valueFormatter: (v: unknown) => count(Number(v), lang) + unit,
        },
        xAxis: {
          type: 'time',
          axisLine: { lineStyle: { color: rule } },
          axisTick: { show: false },
          axisLabel: { color: ink, hideOverlap: true },
          splitLine: { show: false },
        },
        yAxis: {
          type: 'value',
          min: 0,
          minInterval: unit ? 0 : 1,
          splitNumber: 4,
          axisLabel: { color: ink, formatter: (v: number) => count(v, lang) + unit },
          splitLine: { lineStyle: { color: rule } },
        },
        series: curves.map(c => ({
          type: 'line',
          name: c.name,
          data: c.points,
          showSymbol: false,
          lineStyle: { width: 2, color: c.colour },
          itemStyle: { color: c.colour },
          ...(step ? { step: 'end' } : {}),
          ...(c.area ? { areaStyle: { opacity: 0.12, color: c.colour } } : {}),
        })),
      },
      { notMerge: false, replaceMerge: ['series'], lazyUpdate: true },
    )
  }, [curves, shade, lang, unit, step])
  return <div ref={box} role="img" aria-label={label} className="chart" style={{ height }} />
}

/** Colours that can be told apart, also by those who do not see red and green. */
export const hue = {
  blue: '#2f7ed8',
  orange: '#e07b39',
  green: '#2a9d6f',
  purple: '#8a63d2',
  grey: '#8c95a3',
  red: '#d64550',
  teal: '#2aa5b5',
}
