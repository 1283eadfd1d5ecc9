//! Plots as SVG text, without a plotting library: bars with spread and target, and lines.

use crate::statistics::short;
use std::fmt::Write;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 400.0;
const RIGHT: f64 = 110.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;
const MET: &str = "#3b7a57";
const MISSED: &str = "#b5523b";
const COLOURS: [&str; 4] = ["#3b7a57", "#3a5f95", "#b5523b", "#7a5c99"];

/// Bar of a plot.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Label to the left of the bar.
    pub label: String,
    /// Length.
    pub value: f64,
    /// Lower end of the spread.
    pub least: f64,
    /// Upper end of the spread.
    pub most: f64,
    /// Position of the target's mark.
    pub target: Option<f64>,
    /// `true` if the target is met. It decides the colour.
    pub met: bool,
}

/// Line of a plot.
#[derive(Clone, Debug)]
pub struct Series {
    /// Label at the end of the line.
    pub name: String,
    /// Points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Draws horizontal bars. The axis starts at zero, or is logarithmic if the longest bar exceeds the shortest 30 times.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let ends = |bar: &Bar| [bar.value, bar.most, bar.target.unwrap_or(0.0)].into_iter().fold(0.0, f64::max);
    let longest = bars.iter().map(ends).filter(|end| end.is_finite()).fold(0.0, f64::max);
    let starts = bars.iter().flat_map(|bar| [bar.value, bar.least]).filter(|value| *value > 0.0);
    let shortest = starts.fold(f64::INFINITY, f64::min);
    let width = WIDTH - LEFT - RIGHT;
    let logarithmic = shortest.is_finite() && longest / shortest > 30.0;
    let (low, high) = (shortest.log10().floor(), longest.log10());
    let x = |value: f64| {
        let fraction = match logarithmic {
            true => (value.max(10_f64.powf(low)).log10() - low) / (high - low).max(1e-9),
            false => value / longest.max(1e-9),
        };
        LEFT + width * fraction.clamp(0.0, 1.0)
    };
    let height = TOP + ROW * (bars.len() as f64 + 1.0);
    let mut out = open(title, height);
    for (bar, number) in bars.iter().zip(0_u32..) {
        let y = TOP + ROW * f64::from(number);
        let (middle, end) = (y + ROW / 2.0, x(bar.value));
        let colour = if bar.met { MET } else { MISSED };
        text(&mut out, LEFT - 8.0, middle + 4.0, "end", &bar.label);
        let _ = writeln!(
            out,
            r#"<rect x="{LEFT}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{colour}"/>"#,
            y + 4.0,
            (end - LEFT).max(0.5),
            ROW - 8.0
        );
        stroke(&mut out, (x(bar.least), middle), (x(bar.most), middle), "#222", 1.5);
        if let Some(target) = bar.target {
            stroke(&mut out, (x(target), y + 1.0), (x(target), y + ROW - 1.0), "#000", 2.5);
        }
        let value = format!("{}×", short(bar.value));
        text(&mut out, x(bar.most.max(bar.value)) + 6.0, middle + 4.0, "start", &value);
    }
    let scale = if logarithmic { "logarithmic scale" } else { "linear scale from 0" };
    text(&mut out, LEFT, height - 8.0, "start", scale);
    out.push_str("</svg>\n");
    out
}

/// Draws lines over a logarithmic horizontal axis and a linear vertical axis that starts at zero.
pub fn lines(title: &str, right: &str, up: &str, series: &[Series]) -> String {
    let (height, bottom) = (420.0, 370.0);
    let points = || series.iter().flat_map(|line| line.points.iter().copied());
    let most = points().map(|(_, y)| y).fold(0.0, f64::max).max(1e-9);
    let low = points().map(|(x, _)| x.max(1.0).log10()).fold(f64::INFINITY, f64::min);
    let high = points().map(|(x, _)| x.max(1.0).log10()).fold(f64::NEG_INFINITY, f64::max);
    let (left, width) = (90.0, WIDTH - 90.0 - 220.0);
    let at = |(x, y): (f64, f64)| {
        let fraction = if high > low { (x.max(1.0).log10() - low) / (high - low) } else { 0.5 };
        (left + width * fraction, bottom - (bottom - TOP) * y / most)
    };
    let mut out = open(title, height);
    stroke(&mut out, (left, bottom), (left + width, bottom), "#222", 1.0);
    stroke(&mut out, (left, TOP), (left, bottom), "#222", 1.0);
    text(&mut out, left - 8.0, TOP + 4.0, "end", &short(most));
    text(&mut out, left - 8.0, bottom + 4.0, "end", "0");
    text(&mut out, left, TOP - 8.0, "start", up);
    text(&mut out, left + width / 2.0, bottom + 38.0, "middle", right);
    for (number, line) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        for pair in line.points.windows(2) {
            stroke(&mut out, at(pair[0]), at(pair[1]), colour, 2.0);
        }
        for point in &line.points {
            let (x, y) = at(*point);
            let _ = writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#);
            text(&mut out, x, bottom + 18.0, "middle", &short(point.0));
        }
        if let Some(last) = line.points.last() {
            text(&mut out, at(*last).0 + 10.0, at(*last).1 + 4.0, "start", &line.name);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn open(title: &str, height: f64) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut out, 12.0, 22.0, "start", title);
    out
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#);
}

fn stroke(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
    let _ = writeln!(
        out,
        r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{colour}" stroke-width="{width}"/>"#,
        from.0, from.1, to.0, to.1
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `true` if every element is closed and every attribute is quoted.
    fn is_well_formed(svg: &str) -> bool {
        let mut open: Vec<String> = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, content)) = piece.split_once('>') else { return false };
            if content.contains('>') || tag.matches('"').count() % 2 != 0 {
                return false;
            }
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop().as_deref() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap_or_default().to_owned());
            }
        }
        open.is_empty() && svg.starts_with("<svg xmlns=") && !svg.contains("NaN") && !svg.contains("inf")
    }

    fn bar(value: f64, target: Option<f64>) -> Bar {
        let label = "a < b & c > \"d\"".to_owned();
        Bar { label, value, least: value * 0.9, most: value * 1.1, target, met: true }
    }

    #[test]
    fn plots_are_well_formed() {
        assert!(!is_well_formed("<svg xmlns=\"\"><g></svg>"));
        for case in [
            vec![],
            vec![bar(0.0, None)],
            vec![bar(0.5, Some(0.7)), bar(1.2, None)],
            vec![bar(0.01, Some(0.7)), bar(120.0, Some(10.0))],
        ] {
            let svg = bars("title <&>", &case);
            assert!(is_well_formed(&svg), "{svg}");
            assert_eq!(svg.matches("<rect x=").count(), case.len());
        }
        for points in [vec![], vec![(1e6, 2.0)], vec![(1e6, 2.0), (1e8, 1.0)]] {
            let svg = lines("title", "live", "rate", &[Series { name: "register".to_owned(), points }]);
            assert!(is_well_formed(&svg), "{svg}");
        }
    }

    #[test]
    fn bar_length_follows_value_and_target_is_marked() {
        let svg = bars("title", &[bar(1.0, Some(2.0)), bar(4.0, None)]);
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect x="))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!((widths[1] / widths[0] - 4.0).abs() < 0.01, "{widths:?}");
        assert_eq!(svg.matches("stroke-width=\"2.5\"").count(), 1);
    }
}
