//! `kiln view`: pages and figures, and how they stand in a real browser.

use crate::support::{kiln, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the page says of itself once its script has run: the first kernel's width before and after zooming, by button
/// and by key, and whether anything is wider than the window.
const PROBE: &str = r#"<script>addEventListener("load", () => {
  const timeline = document.querySelector(".timeline"), svg = timeline.querySelector("svg.tracks");
  const span = svg.querySelector(".k0"), width = () => span.getBoundingClientRect().width, before = width();
  timeline.querySelector("button[data-do=in]").click();
  const button = width() / before, press = (key) => timeline.dispatchEvent(new KeyboardEvent("keydown", { key }));
  ["0", "+", "+"].forEach(press);
  const keys = width() / before, page = document.documentElement, wide = page.scrollWidth - page.clientWidth;
  document.body.dataset.probe = `button ${button.toFixed(2)} keys ${keys.toFixed(2)} overflow ${wide}`;
});</script></body>"#;

/// A browser of the Chromium family, if this machine has one.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|p| p.is_file());
    if found.is_none() {
        println!("skipped: no chromium on PATH");
    }
    found
}

/// The document of a page after its scripts, in a window of a width.
fn rendered(browser: &Path, page: &Path, width: u32, folder: &Path) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]);
    command.args([
        "--disable-background-networking",
        "--disable-component-update",
        "--virtual-time-budget=5000",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!("--window-size={width},900")).arg("--dump-dom").arg(page);
    run(&mut command).success()
}

#[test]
fn a_design_becomes_one_page_that_asks_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("relu2.html");
    let figures = folder.path().join("figures");
    let (out, svg) = (page.to_str().expect("UTF-8"), figures.to_str().expect("UTF-8"));
    let said = kiln(&["view", "relu2", "--out", out, "--svg", svg]).success();
    assert!(said.starts_with("array, memory and time of relu2 in "), "{said}");
    let text = std::fs::read_to_string(&page).expect("a page");
    let cycles: serde_json::Value =
        serde_json::from_str(&kiln(&["run", "relu2", "--json"]).success()).expect("JSON");
    assert_eq!(text.matches(&format!("data-end=\"{}\"", cycles["cycles"])).count(), 1);
    for foreign in ["src=", "http:", "https:", "@import", "url(http"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    kiln(&["view", "relu2", "--out", out]).success();
    assert_eq!(text, std::fs::read_to_string(&page).expect("a page"), "two runs, one page");
    for name in ["array.svg", "memory.svg", "timeline.svg"] {
        let figure = std::fs::read_to_string(figures.join(name)).expect("a figure");
        assert!(figure.starts_with("<svg xmlns=") && figure.ends_with("</svg>"), "{name}");
    }
}

#[test]
fn a_trace_becomes_a_timeline_and_what_is_none_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, page) = (folder.path().join("t.json"), folder.path().join("t.html"));
    let (trace, page) = (trace.to_str().expect("UTF-8"), page.to_str().expect("UTF-8"));
    kiln(&["run", "relu2", "--trace", trace]).success();
    let said = kiln(&["view", trace, "--out", page]).success();
    assert!(said.starts_with("timeline of "), "{said}");
    assert!(std::fs::read_to_string(page).expect("a page").contains("relu_i8"));
    std::fs::write(trace, "{\"traceEvents\": [{\"ph\": \"M\"}]}").expect("a file");
    kiln(&["view", trace, "--out", page]).error(&["t.json", "no event with a duration"]);
    std::fs::write(trace, "[1, 2").expect("a file");
    kiln(&["view", trace, "--out", page]).error(&["t.json", "no trace", "help: `kiln run DESIGN --trace"]);
    kiln(&["view", "nothing", "--out", page]).error(&["no design is named \"nothing\""]);
}

#[test]
fn in_a_browser_the_page_zooms_and_fits_its_window() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("mm4x4.html");
    kiln(&["view", "mm4x4", "--out", page.to_str().expect("UTF-8"), "--events", "10000"]).success();
    let text = std::fs::read_to_string(&page).expect("a page").replace("</body>", PROBE);
    std::fs::write(&page, text).expect("a page");
    for width in [1280, 600] {
        let dom = rendered(&browser, &page, width, folder.path());
        assert!(
            dom.contains("data-probe=\"button 2.00 keys 4.00 overflow 0\""),
            "{width}: {:?}",
            probe(&dom)
        );
    }
}

/// What the probe found.
fn probe(dom: &str) -> Option<&str> {
    let from = dom.find("data-probe=")?;
    dom.get(from..(from + 80).min(dom.len()))
}
