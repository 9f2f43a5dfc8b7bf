//! How the page looks, in light and in dark.

pub(super) const STYLE: &str = "
:root { --ink: #1c2430; --soft: #5c6773; --paper: #fff; --line: #dfe4ea; --panel: #f5f7fa; --bar: #5b93c9; --mark: #c2410c; --far: #b42318 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d8dee5; --soft: #93a0ad; --paper: #14181d; --line: #2b333c; --panel: #1b2129; --bar: #4b7fb3; --mark: #fb923c; --far: #ff8a7a }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1.2rem; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem } p { max-width: 54rem }
.lead, .sources { color: var(--soft) } .sources { padding-left: 1.1rem; font-size: 14px }
.cards { display: flex; flex-wrap: wrap; gap: .8rem } .card { background: var(--panel); border-radius: 8px; padding: .6rem 1rem; min-width: 9rem }
.card b { display: block; font-size: 1.35rem } .card span { color: var(--soft); font-size: 13px }
.plot { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: start } .plot > svg { max-width: 100%; height: auto; flex: 0 1 44rem }
.plot text { fill: var(--soft); font-size: 12px } .plot .axis { font-size: 13px; fill: var(--ink) }
.grid { stroke: var(--line) } .frame { stroke: var(--soft); fill: none } .equal { stroke: var(--ink); stroke-width: 1.4 }
.band { fill: var(--soft); opacity: .16 } .kernel { fill: none; stroke: var(--ink); stroke-width: 1.8 } .hollow { fill: var(--paper) }
ul.legend { list-style: none; margin: 1rem 0; padding: 0; font-size: 14px } .legend li { margin: .2rem 0 }
.swatch { vertical-align: -2px; margin-right: .45rem }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; margin: .8rem 0 } table.narrow { width: auto }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); padding: .3rem .7rem; position: sticky; top: 0; background: var(--paper) }
td { padding: .18rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } td.name { font-family: ui-monospace, monospace; font-size: 12.5px; white-space: nowrap }
tr.group td { background: var(--panel); font-weight: 600 } td.source { color: var(--soft); overflow-wrap: anywhere } td.bar { padding-right: 0 } td.bar svg { display: block }
.far { color: var(--far) } .predicted { fill: var(--bar) } .measured { fill: var(--mark) }
";
