//! What the documentation promises is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shipped::path;

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether `a::b::c` is a module, or a test in the module `a::b`.
fn exists(name: &str, files: &[(String, String)]) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let module = |parts: &[&str]| {
        let path = parts.join("/");
        let fits = |file: &str| file == format!("{path}.rs") || file.starts_with(&format!("{path}/"));
        files.iter().filter(|(file, _)| fits(file)).map(|(_, text)| text.as_str()).collect::<Vec<_>>()
    };
    let (last, before) = parts.split_last().unwrap();
    let is_test = |texts: &[&str]| texts.iter().any(|text| text.contains(&format!("fn {last}()")));
    // `mod tests` may stand in the file itself.
    let inside = before.strip_suffix(&["tests"]).unwrap_or(before);
    !module(&parts).is_empty()
        || (*last == "tests" && module(before).iter().any(|text| text.contains("mod tests")))
        || is_test(&module(before))
        || is_test(&module(inside))
}

/// The rows of the tables whose last column is `test`.
fn rows_with_tests(page: &str) -> Vec<&str> {
    let mut rows = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("| ") {
            let table = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
            let table: Vec<_> = table.collect();
            rows.extend(table.into_iter().filter(|_| line.ends_with(" | test |")));
        }
    }
    rows
}

#[test]
fn each_row_on_fail2ban_and_on_faults_names_a_test_that_is_there() {
    let mut paths = Vec::new();
    let mut files = Vec::new();
    for root in ["src", "integration"] {
        paths.clear();
        rust_files(&path(root), &mut paths);
        for file in &paths {
            let inside = file.strip_prefix(path(root)).unwrap().to_string_lossy().into_owned();
            files.push((inside, fs::read_to_string(file).unwrap()));
        }
    }
    let pages =
        ["docs/fail2ban.md", "docs/reliability.md"].map(|page| fs::read_to_string(path(page)).unwrap());
    let mut count = 0;
    for row in pages.iter().flat_map(|page| rows_with_tests(page)) {
        let tests = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test is named in: {row}");
        for name in names {
            assert!(exists(name, &files), "there is no test {name}, named in: {row}");
            count += 1;
        }
    }
    assert!(count > 40, "the pages were not understood");
}
