//! Each ring uses only the rings above it (`lib.rs` lists them), and only the actors know actix and clocks.

use std::fs;
use std::path::{Path, PathBuf};

/// The module list of lib.rs: `// ── N …` begins a ring.
fn rings() -> Vec<(String, u8)> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut ring = None;
    let mut rings = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("// ── ") {
            ring = rest.split(' ').next().and_then(|number| number.parse().ok());
        }
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            rings.push((name.to_owned(), ring.expect("a module before the first ring")));
        }
    }
    rings
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code of a file: without comments, and without the tests, which may use anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn each_ring_uses_only_the_rings_above_it() {
    let rings = rings();
    assert!(rings.len() > 15, "lib.rs was not understood: {rings:?}");
    let ring_of = |name: &str| rings.iter().find(|(module, _)| module == name).map(|(_, ring)| *ring);
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut wrong = Vec::new();
    for path in files.iter().filter(|path| !is_test(path)) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        let Some(own) = ring_of(module) else { continue };
        let code = code(path);
        for (index, _) in code.match_indices("crate::") {
            let name: String =
                code[index + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(used) = ring_of(&name).filter(|used| *used > own) {
                wrong.push(format!("{} (ring {own}) uses {name} (ring {used})", inside.display()));
            }
        }
        let forbidden: &[&str] = match own {
            0 | 1 => &[
                "actix",
                "std::fs",
                "std::net::Tcp",
                "std::net::Udp",
                "std::os::unix::net",
                "tokio",
                "rusqlite",
                "tracing::",
                "println!",
                "SystemTime",
                "Instant::now",
                "Timestamp::now",
                "Zoned::now",
                "std::thread",
            ],
            2 | 3 => &["actix", "SystemTime::now", "Timestamp::now", "Zoned::now"],
            _ => &[],
        };
        for word in forbidden.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{} (ring {own}) says {word}", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
