//! The results as bars: `docs/bench.svg`.

use std::fmt::Write;

use anyhow::Result;

use super::cases::Case;
use super::results::{Figure, Results};
use super::servers::Server;

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 440;
const NAMES_WIDTH: usize = 160;
const BARS_WIDTH: usize = 220;
const ROW_HEIGHT: usize = 18;
const TITLE_HEIGHT: usize = 42;

/// Dark on light and light on dark, as the reader has it.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.name { text-anchor: end }
.bar { fill: #8c959f } .ceiling { fill: #d0d7de } .httpling { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 } .ceiling { fill: #3d444d } .httpling { fill: #f0883e }
}";

/// Bars of one kind.
struct Panel {
    title: String,
    bars: Vec<(Server, Figure<f64>)>,
}

pub(crate) fn draw(results: &Results, servers: &[Server]) -> Result<String> {
    let panel = |title: String, figure: &dyn Fn(Server) -> Figure<f64>| Panel {
        title,
        bars: servers.iter().map(|&server| (server, figure(server))).collect(),
    };
    let mut panels: Vec<Panel> =
        [Case::KeepAlive64, Case::KeepAlive256, Case::KeepAlive1024, Case::Pipelined, Case::Reconnecting]
            .into_iter()
            .map(|case| {
                panel(format!("Requests/s ÷ ceiling: {case}"), &|server| results.ratio(server, case))
            })
            .collect();
    panels.push(panel("Thousand requests/s: POST 1 KiB".to_owned(), &|server| {
        results.rate(server, Case::Post1Kib).map(|rate| rate / 1000.0)
    }));
    panels.push(panel("User-space µs per request: 64 connections".to_owned(), &|server| {
        results.processor_time(server, Case::KeepAlive64).map(|(user, _)| user)
    }));
    panels.push(panel("KiB per idle connection".to_owned(), &|server| results.idle_kib(server)));

    let height = TITLE_HEIGHT + ROW_HEIGHT * servers.len();
    let (width, whole) = (PANEL_WIDTH * COLUMNS, height * panels.len().div_ceil(COLUMNS) + ROW_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {whole}\" width=\"{width}\" height=\"{whole}\" role=\"img\">\n\
         <title>httpling beside other servers</title>\n<style>\n{STYLE}\n</style>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = (number % COLUMNS * PANEL_WIDTH, number / COLUMNS * height);
        writeln!(svg, "<g transform=\"translate({x} {y})\">")?;
        panel.draw(&mut svg)?;
        writeln!(svg, "</g>")?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

impl Panel {
    fn draw(&self, svg: &mut String) -> Result<()> {
        writeln!(
            svg,
            "<text class=\"title\" x=\"{NAMES_WIDTH}\" y=\"{}\">{}</text>",
            TITLE_HEIGHT - 14,
            self.title
        )?;
        let values = self.bars.iter().filter_map(|(_, figure)| match figure {
            Figure::Is(value) => Some(*value),
            _ => None,
        });
        let longest = values.fold(f64::MIN_POSITIVE, f64::max);
        let bars = self.bars.iter().filter(|(_, figure)| *figure != Figure::None);
        for (row, (server, figure)) in bars.enumerate() {
            let top = TITLE_HEIGHT + row * ROW_HEIGHT;
            let base = top + 11;
            writeln!(svg, "<text class=\"name\" x=\"{}\" y=\"{base}\">{server}</text>", NAMES_WIDTH - 6)?;
            let (width, label) = match figure {
                Figure::Is(value) => (value / longest, format!("{value:.2}")),
                Figure::Failed | Figure::None => (0.0, "failed".to_owned()),
            };
            let class = match server {
                Server::Ceiling => "ceiling",
                Server::Httpling => "httpling",
                _ => "bar",
            };
            #[expect(clippy::cast_precision_loss, reason = "some hundred pixels")]
            let (width, names) = (width * BARS_WIDTH as f64, NAMES_WIDTH as f64);
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{NAMES_WIDTH}\" y=\"{top}\" width=\"{width:.1}\" height=\"13\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{base}\">{label}</text>",
                names + width + 5.0
            )?;
        }
        Ok(())
    }
}
