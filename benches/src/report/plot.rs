//! Line plots as SVG, on a light background.

use std::fmt::Write;

use super::scale::Scale;
use crate::record::{Plot, Series};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// Distinguishable with red-green colour blindness; the dashes distinguish them in print.
const COLOURS: [&str; 4] = ["#0b5fa5", "#d1600a", "#4b7a1f", "#7a3b93"];
const DASHES: [&str; 4] = ["none", "7 4", "2 3", "10 3 2 3"];

/// Draws a plot.
pub(super) fn svg(plot: &Plot) -> String {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Scale::of(points().map(|point| point.0), plot.x.logarithmic);
    let y = Scale::of(points().map(|point| point.1), plot.y.logarithmic);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" fill=\"#111\">{title}</text>\n",
        title = escaped(&plot.title),
    );
    axes(&mut text, plot, x, y);
    for (n, series) in plot.series.iter().enumerate() {
        line(&mut text, n, series, x, y);
        legend(&mut text, n, plot.series.len(), &series.name);
    }
    text.push_str("</svg>\n");
    text
}

fn across(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn up(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

fn axes(text: &mut String, plot: &Plot, x: Scale, y: Scale) {
    let (left, right, bottom, top) = (across(0.0), across(1.0), up(0.0), up(1.0));
    for mark in x.marks() {
        let at = across(x.place(mark));
        let _ = writeln!(
            text,
            "<path d=\"M{at:.1} {bottom}V{top}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\" fill=\"#333\">{}</text>",
            bottom + 18.0,
            number(mark)
        );
    }
    for mark in y.marks() {
        let at = up(y.place(mark));
        let _ = writeln!(
            text,
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" fill=\"#333\">{}</text>",
            left - 8.0,
            at + 4.0,
            number(mark)
        );
    }
    let _ = writeln!(
        text,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#111\">{}</text>\n\
         <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"#111\">{}</text>",
        f64::midpoint(left, right),
        HEIGHT - 14.0,
        escaped(&plot.x.label),
        f64::midpoint(top, bottom),
        escaped(&plot.y.label)
    );
}

fn line(text: &mut String, n: usize, series: &Series, x: Scale, y: Scale) {
    let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n % DASHES.len()]);
    let places: Vec<(f64, f64)> =
        series.points.iter().map(|&(at, value)| (across(x.place(at)), up(y.place(value)))).collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
        path.join(" ")
    );
    // Mark the measured points if there are few.
    if places.len() <= 10 {
        for (x, y) in places {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
        }
    }
}

fn legend(text: &mut String, n: usize, of: usize, name: &str) {
    let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n % DASHES.len()]);
    let left = LEFT + n as f64 * (WIDTH - LEFT - RIGHT) / of.max(2) as f64;
    let _ = writeln!(
        text,
        "<path d=\"M{left:.1} 44h26\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\
         <text x=\"{:.1}\" y=\"48\" fill=\"#111\">{}</text>",
        left + 32.0,
        escaped(name)
    );
}

fn number(value: f64) -> String {
    if value >= 1_000.0 && (value % 1_000.0).abs() < 1e-6 {
        return format!("{},000", value / 1_000.0);
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Axis;

    #[test]
    fn a_plot_has_its_lines_labels_and_names() {
        let series = |name: &str| Series { name: name.to_owned(), points: vec![(1.0, 10.0), (10.0, 20.0)] };
        let plot = Plot {
            name: "p".to_owned(),
            title: "Memory < 30 MB".to_owned(),
            x: Axis::logarithmic("workspaces"),
            y: Axis::linear("MB"),
            series: vec![series("product"), series("baseline")],
        };
        let svg = svg(&plot);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 4);
        for text in ["Memory &lt; 30 MB", ">workspaces<", ">MB<", ">product<", ">baseline<"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.5, 20.0, 5_000.0, 1_500.0].map(number), ["0.5", "20", "5,000", "1500"]);
    }
}
