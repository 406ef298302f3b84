#pragma once

#include <string_view>

namespace tenon::report {

// The page's style sheet. Colours of series m0..m5 and s0..s5 keep at least 3:1 against the
// background in light and dark, and differ in lightness for people who see fewer hues.
inline constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#1d1d1b;--soft:#5c5b57;--rule:#dcdbd6;--code:#f1f0ec;
--c0:#1f5fbf;--c1:#b4531a;--c2:#13795b;--c3:#8a3ea8;--c4:#a0213f;--c5:#6b6a2f}
@media (prefers-color-scheme:dark){:root{--page:#191918;--ink:#ecebe6;--soft:#a9a8a2;--rule:#3a3a37;--code:#252523;
--c0:#7db0f5;--c1:#f0a06a;--c2:#5fcaa2;--c3:#cf97e6;--c4:#f08a9f;--c5:#c9c77a}}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:60rem;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.8rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.3rem;margin:2.4rem 0 .6rem;
border-bottom:1px solid var(--rule);padding-bottom:.25rem}h3{font-size:1.05rem;margin:1.6rem 0 .4rem}
p{margin:.6rem 0;max-width:46rem}
pre{background:var(--code);padding:.75rem 1rem;overflow-x:auto;border-radius:4px;font-size:.85rem;line-height:1.45}
.wide{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--soft)}
th,td{padding:.28rem .8rem .28rem 0;border-bottom:1px solid var(--rule);vertical-align:top;overflow-wrap:break-word}
.r{text-align:right}
figure{margin:1.2rem 0}img{max-width:100%;min-width:min(100%,24rem);image-rendering:pixelated}figcaption{color:var(--soft);font-size:.88rem}svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font-size:12px}svg .title{font-size:14px;font-weight:600}svg .label{fill:var(--soft)}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
polyline{fill:none;stroke-width:2}
.m0{fill:var(--c0)}.m1{fill:var(--c1)}.m2{fill:var(--c2)}.m3{fill:var(--c3)}.m4{fill:var(--c4)}.m5{fill:var(--c5)}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}
@media print{body{max-width:none}h2{break-after:avoid}figure,table{break-inside:avoid}}
)css";

}  // namespace tenon::report
