package page

// style is the whole look. Series colours are told apart by lightness too, so that they survive a grey print.
const style = `
:root{--bg:#f6f7f9;--card:#fff;--ink:#16202c;--dim:#5c6875;--line:#e3e7ec;--sold:#0f766e;--held:#f59e0b;--free:#cbd5e1;--won:#0f766e;--lost:#475569;
--refused:#3b82f6;--shed:#a855f7;--unknown:#dc2626;--p50:#0ea5e9;--p99:#e11d48;--good:#0f766e;--goodbg:#d9f3ee;--bad:#b42318;--badbg:#fde7e4;--nonebg:#eceff3}
@media (prefers-color-scheme:dark){:root{--bg:#0d1218;--card:#151c25;--ink:#e6ebf1;--dim:#93a0ae;--line:#263140;--sold:#2dd4bf;--held:#fbbf24;--free:#334155;
--won:#2dd4bf;--lost:#94a3b8;--refused:#60a5fa;--shed:#c084fc;--unknown:#f87171;--p50:#38bdf8;--p99:#fb7185;--good:#5eead4;--goodbg:#123b37;--bad:#fda4af;--badbg:#4a1620;--nonebg:#222c38}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 24px 48px}
header{display:flex;gap:24px;justify-content:space-between;align-items:flex-end;flex-wrap:wrap;margin-bottom:24px}
.kicker{margin:0;color:var(--dim);font-size:13px;letter-spacing:.06em;text-transform:uppercase}h1{margin:2px 0 4px;font-size:32px;line-height:1.15;overflow-wrap:anywhere}.sub{margin:0;color:var(--dim)}
.verdict{display:flex;align-items:center;gap:16px;padding:14px 22px;border-radius:14px;background:var(--nonebg)}.verdict strong{font-size:26px;line-height:1}.verdict span{max-width:220px}
.verdict.pass{background:var(--goodbg);color:var(--good)}.verdict.fail{background:var(--badbg);color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin-bottom:16px}
.tile,.card,.notes{background:var(--card);border:1px solid var(--line);border-radius:14px}.tile{padding:14px 16px}.tile span{color:var(--dim);font-size:13px}
.tile strong{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}.tile em{font-style:normal;color:var(--dim);font-size:13px}
.notes{padding:12px 20px;margin-bottom:16px;border-left:4px solid var(--held)}.notes ul{margin:0;padding-left:18px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:16px;margin-bottom:16px}@media (max-width:560px){.grid{grid-template-columns:1fr}}
.card{padding:18px 20px;margin:0 0 16px}.grid .card{margin:0}h2{font-size:17px;margin:0}.hint{margin:2px 0 10px;color:var(--dim);font-size:13px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--dim);font:11px system-ui,sans-serif;font-variant-numeric:tabular-nums}svg .axis{stroke:var(--line)}svg .mark{fill:var(--ink);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin-top:8px;font-size:13px;color:var(--dim)}.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500;color:var(--dim);font-size:13px}th,td{padding:8px 10px;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.id{color:var(--dim);font-variant-numeric:tabular-nums}
td small{display:block;color:var(--dim);overflow-wrap:anywhere}td small.bad{color:var(--bad);font-family:ui-monospace,monospace;font-size:12px}
.pill{display:inline-block;padding:1px 10px;border-radius:99px;background:var(--nonebg);color:var(--dim);font-size:13px;white-space:nowrap}.pill.pass{background:var(--goodbg);color:var(--good)}.pill.fail{background:var(--badbg);color:var(--bad)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:12px 0 0}dt{color:var(--dim);font-size:13px}dd{margin:0;font-size:18px;font-variant-numeric:tabular-nums}
footer{color:var(--dim);font-size:13px;margin-top:8px}
`
