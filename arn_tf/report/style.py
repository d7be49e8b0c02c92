"""The page's style sheet: light and dark, from a phone's width to a desk's."""

CSS = """
:root { --page: #f5f6f8; --card: #fff; --text: #1b1f24; --quiet: #59636f; --line: #dfe3e8;
  --grid: #e3e7ec; --accent: #2456d6; --tint: 36 86 214; --base: #c2410c; --other: #a3adb9;
  --right: #0f8a4b; --wrong: #cf2f3c; --bar: #e9edf2; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --page: #12151a; --card: #1b1f26; --text: #e8ebef; --quiet: #9ba6b4; --line: #303741;
    --grid: #2a313a; --accent: #7da6ff; --tint: 108 152 255; --base: #fb9a5b; --other: #64707e;
    --right: #3ecf85; --wrong: #ff6b76; --bar: #2a3039; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.5rem; max-width: 75rem; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
h3 { font-size: .95rem; margin: 1.1rem 0 .4rem; }
p { margin: 0 0 .75rem; max-width: 68ch; }
ul { margin: 0 0 .75rem; padding-left: 1.2rem; max-width: 72ch; }
.quiet, figcaption { color: var(--quiet); }
.eyebrow { margin: 0; color: var(--accent); font-weight: 650; font-size: .85rem; }
section { padding: 1.25rem 1.4rem; margin: 0 0 1.1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .8rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0 1.1rem; }
.tile { padding: .85rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .8rem; }
.tile b { display: block; font-size: 1.75rem; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: .85rem; color: var(--quiet); }
.tile:first-child b { color: var(--accent); }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr));
  gap: .5rem 2rem; }
.two > div, .matrices > div { min-width: 0; }
.matrices { display: grid; gap: .5rem 2rem; }
.wide { overflow-x: auto; margin: 0 0 .75rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .35rem .7rem; text-align: right; white-space: nowrap; }
thead th { color: var(--quiet); font-weight: 600; }
tbody th { text-align: left; font-weight: 500; position: sticky; left: 0;
  background: var(--card); }
thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
tbody tr { border-top: 1px solid var(--line); }
tr.kept th, tr.kept td { font-weight: 700; }
td small { color: var(--quiet); font-weight: 400; }
.plain td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.matrix td { text-align: center; padding: .45rem .5rem; min-width: 3.2rem; line-height: 1.15; }
.matrix td small { display: block; font-size: .72rem; }
.matrix th { max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
.matrix thead th { text-align: center; }
svg { display: block; overflow: visible; }
.chart { width: 100%; max-width: 34rem; height: auto; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--quiet); }
.grid { stroke: var(--grid); fill: none; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.line.kept { stroke: var(--accent); stroke-width: 2.5; }
.line.base { stroke: var(--base); stroke-width: 2; stroke-dasharray: 6 3; }
.line.other { stroke: var(--other); }
.line.right { stroke: var(--right); stroke-width: 2; }
.area { opacity: .22; }
.area.right { fill: var(--right); } .area.other { fill: var(--other); }
.area.kept { fill: var(--accent); }
.whisker { width: 7.5rem; height: 1rem; display: inline-block; vertical-align: middle; }
.whisker circle { fill: var(--accent); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .85rem;
  color: var(--quiet); margin: .2rem 0 .75rem; }
.legend i { display: inline-block; width: 1.1rem; height: .22rem; border-radius: 1px;
  margin-right: .4rem; vertical-align: middle; background: var(--other); }
.legend i.kept { background: var(--accent); } .legend i.base { background: var(--base); }
.legend i.right { background: var(--right); }
.list { border-top: 1px solid var(--line); padding: .75rem 0; }
.list p { margin: 0 0 .4rem; font-size: .85rem; max-width: none; }
.strip { display: flex; gap: .65rem; overflow-x: auto; margin: 0; padding: 3px; }
figure { margin: 0; flex: 1 0 5rem; max-width: 5.9rem; min-width: 0; font-size: .74rem;
  line-height: 1.3; }
figure:first-child { margin-right: .6rem; }
.frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 1 / 2;
  background: var(--bar); border-radius: .4rem; overflow: hidden; margin-bottom: .3rem;
  outline: 2px solid var(--line); }
.frame img { width: 100%; height: 100%; object-fit: contain; }
.right .frame { outline: 3px solid var(--right); }
.wrong .frame { outline: 3px dashed var(--wrong); }
.query .frame { outline: 3px solid var(--accent); }
figcaption { overflow: hidden; }
figcaption bdi { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
figcaption b { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums; }
.right b i { color: var(--right); font-style: normal; }
.wrong b i { color: var(--wrong); font-style: normal; }
.query b { color: var(--accent); }
.gone { padding: .4rem; text-align: center; color: var(--quiet); }
details summary { cursor: pointer; font-weight: 600; }
details .wide { margin-top: .75rem; }
code { font: .88em ui-monospace, monospace; }
footer { color: var(--quiet); font-size: .85rem; }
@media (max-width: 40rem) {
  body { padding: 1.1rem .7rem; } section { padding: 1rem .85rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile b { font-size: 1.45rem; }
  figure { flex: 0 0 4.6rem; }
  .query { position: sticky; left: 0; z-index: 1; background: var(--card); padding-right: .35rem; }
  .wide tbody th { min-width: 7.5rem; max-width: 9.5rem; white-space: normal; }
  .wide .matrix tbody th { min-width: 0; max-width: 6rem; white-space: nowrap; }
  .whisker { display: none; } }
@media print { section { break-inside: avoid; } .strip { flex-wrap: wrap; } }
"""
