//! Embeds the shipped jails (`jails.d/*.toml`), so that adding one needs no Rust, and tells the linker what belongs together.

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
    order(Path::new(&root));
}

/// Has a release's functions ordered as a running daemon uses them (`tools/order.py`), where the compiler's own choice of
/// linker is known to understand it.
fn order(root: &Path) {
    let script = root.join("tools/order.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|found| found == value);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = env::var_os("RUSTC_LINKER").is_some()
        || ["linker", "link-arg"].iter().any(|flag| flags.contains(flag));
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if known && is("PROFILE", "release") && !chosen && script.exists() {
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    }
}
