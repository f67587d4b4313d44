//! Embeds the shipped jails (`jails.d/*.toml`), so that adding one needs no Rust.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&root).join("jails.d");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.retain(|path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "toml"));
    files.sort();

    let mut table = String::from("pub(crate) static SHIPPED: &[(&str, &str)] = &[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_name().expect("read_dir names files").to_string_lossy().into_owned();
        let file = file.to_string_lossy();
        writeln!(table, "    ({name:?}, include_str!({file:?})),").expect("a string takes any text");
    }
    table.push_str("];\n");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("shipped.rs"), table).expect("OUT_DIR is writable");
}
